/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_pool.h
 * @brief Root pools, for threads and for objects that are passed between them. httpd's own pools
 * share their allocators with its threads, or have none that threads may share (prefork).
 */
#ifndef RH_POOL_H
#define RH_POOL_H

#include "rh_base.h"

/** How much unused memory a root pool that lives as long as a thread keeps, in bytes. */
#define RH_POOL_KEEP (1024 * 1024)

/**
 * Make a pool without a parent, with an allocator of its own, which is destroyed with it.
 * @param keep bytes of freed memory that the allocator keeps
 * @param shared true if several threads use it at the same time
 */
apr_status_t rh_root_pool_make(apr_pool_t **pool, apr_size_t keep, bool shared);

/**
 * Make a pool without a parent for one short-lived object that is passed from thread to thread.
 *
 * Its memory comes from an allocator that all such pools of the process share, under a mutex, and
 * that keeps some megabytes. An allocator of its own would have the system map and unmap the memory
 * of each such object, which interrupts all threads of the process and makes each of its pages
 * fault again.
 */
apr_status_t rh_passing_pool_make(apr_pool_t **pool);

#endif
