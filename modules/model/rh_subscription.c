/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Names of states, and members that are written in their own way. */
#include "rh_subscription_private.h"

#include "rh_time.h"

static const char *const state_names[] = {RH_SUBSCRIPTION_STATES(RH_ROW_NAME)};

const char *rh_subscription_state_name(rh_subscription_state_t state)
{
    return state_names[state];
}

bool rh_subscription_state_parse(const char *name, rh_subscription_state_t *state)
{
    int found = rh_word_index(state_names, RH_SUBSCRIPTION_STATE_COUNT, name);

    if (found >= 0) {
        *state = (rh_subscription_state_t)found;
    }
    return found >= 0;
}

apr_time_t rh_subscription_overlap_end(const rh_subscription_t *subscription)
{
    bool overlaps = subscription->old_secret && subscription->old_secret_until > apr_time_now();

    return overlaps ? subscription->old_secret_until : 0;
}

struct json_object *rh_member_write_active(const rh_subscription_t *subscription, apr_pool_t *pool)
{
    (void)pool;
    return json_object_new_boolean(subscription->state == RH_SUBSCRIPTION_ACTIVE);
}

struct json_object *rh_member_write_old_secret_expires_at(const rh_subscription_t *subscription,
                                                          apr_pool_t *pool)
{
    apr_time_t end = rh_subscription_overlap_end(subscription);

    return rh_json_new_text(end ? rh_time_format(pool, end) : NULL);
}
