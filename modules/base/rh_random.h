/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_random.h
 * @brief Random numbers for jitter: quick, each thread its own, not for secrets.
 */
#ifndef RH_RANDOM_H
#define RH_RANDOM_H

#include "rh_base.h"

/** A first state, never 0. */
apr_uint32_t rh_random_seed(void);

/** The next number; `state` must not be 0, and is not 0 afterwards. */
apr_uint32_t rh_random_next(apr_uint32_t *state);

#endif
