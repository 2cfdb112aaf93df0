/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_turns.h"

#include "rh_text.h"

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
    return event->key ? 1 + rh_text_hash(event->key, event->tenant) % (STRIPES - 1) : 0;
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
