/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_turns.h"

#include <apr_hash.h>

#define STRIPES 262144

struct rh_turns_t {
    apr_uint16_t taken[STRIPES]; /**< number of events being committed, by lock stripe; stripe 0
                                      is not used */
};

rh_turns_t *rh_turns_make(apr_pool_t *pool)
{
    return apr_pcalloc(pool, sizeof(rh_turns_t));
}

apr_uint32_t rh_turns_stripe(const rh_event_t *event)
{
    apr_ssize_t len = APR_HASH_KEY_STRING;
    unsigned int hash;

    if (!event->key) {
        return 0;
    }
    hash = apr_hashfunc_default(event->key, &len);
    len = APR_HASH_KEY_STRING;
    hash = hash * 2654435761U ^ apr_hashfunc_default(event->tenant, &len);
    return 1 + (hash ^ hash >> 16) % (STRIPES - 1);
}

bool rh_turns_free(const rh_turns_t *turns, const apr_uint32_t *stripes, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        if (stripes[i] != 0 && turns->taken[stripes[i]] > 0) {
            return false;
        }
    }
    return true;
}

void rh_turns_take(rh_turns_t *turns, const apr_uint32_t *stripes, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        turns->taken[stripes[i]]++;
    }
}

void rh_turns_give(rh_turns_t *turns, const apr_uint32_t *stripes, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        turns->taken[stripes[i]]--;
    }
}
