/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_random.h
 * @brief Random numbers for jitter: fast, with one state per thread, not for secrets.
 */
#ifndef RH_RANDOM_H
#define RH_RANDOM_H

#include "rh_base.h"

/** Make an initial state, never 0. */
apr_uint32_t rh_random_seed(void);

/** Return the next number; `state` must not be 0, and is not 0 afterwards. */
apr_uint32_t rh_random_next(apr_uint32_t *state);

#endif
