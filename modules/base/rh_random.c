/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_random.h"

#include <apr_general.h>

apr_uint32_t rh_random_seed(void)
{
    apr_uint32_t seed = 0;

    if (apr_generate_random_bytes((unsigned char *)&seed, sizeof(seed)) != APR_SUCCESS) {
        seed = (apr_uint32_t)apr_time_now();
    }
    return seed ? seed : 1;
}

/** Xorshift (Marsaglia 2003), of period 2^32 - 1. */
apr_uint32_t rh_random_next(apr_uint32_t *state)
{
    apr_uint32_t x = *state;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}
