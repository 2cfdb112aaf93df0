/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file shared_pool.h
 * @brief The pool of the running test, where a program's tests share one.
 */
#ifndef RH_SHARED_POOL_H
#define RH_SHARED_POOL_H

#include <apr_pools.h>

extern apr_pool_t *pool;

#endif
