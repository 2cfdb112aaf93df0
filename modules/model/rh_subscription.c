/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Names of states, and the JSON of a subscription. */
#include "rh_subscription_members.h"

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

/* Writers of members. */

static struct json_object *time_or_null(apr_pool_t *pool, apr_time_t time)
{
    return time ? json_object_new_string(rh_time_format(pool, time)) : NULL;
}

/** Define a writer whose value is an expression of `subscription` and `pool`. */
#define WRITER(member, expression)                                                                 \
    struct json_object *rh_member_write_##member(const rh_subscription_t *subscription,            \
                                                 apr_pool_t *pool)                                 \
    {                                                                                              \
        (void)pool;                                                                                \
        return expression;                                                                         \
    }

WRITER(id, json_object_new_string(subscription->id))
WRITER(target_url, json_object_new_string(subscription->target_url))
WRITER(active, json_object_new_boolean(subscription->state == RH_SUBSCRIPTION_ACTIVE))
WRITER(description, json_object_new_string(subscription->description))
WRITER(format, json_object_new_string(rh_format_name(subscription->format)))
WRITER(ordered, json_object_new_boolean(subscription->ordered))
WRITER(rate_limit, subscription->rate_limit ? json_object_new_int(subscription->rate_limit) : NULL)
WRITER(state, json_object_new_string(rh_subscription_state_name(subscription->state)))
WRITER(state_reason, rh_json_new_text(subscription->state_reason))
WRITER(created_at, time_or_null(pool, subscription->created_at))
WRITER(updated_at, time_or_null(pool, subscription->updated_at))
WRITER(old_secret_expires_at, time_or_null(pool, rh_subscription_overlap_end(subscription)))
WRITER(secret, json_object_new_string(subscription->secret))

struct json_object *rh_member_write_events(const rh_subscription_t *subscription, apr_pool_t *pool)
{
    struct json_object *events = json_object_new_array();

    (void)pool;
    for (int i = 0; i < subscription->events->nelts; i++) {
        json_object_array_add(
            events, json_object_new_string(APR_ARRAY_IDX(subscription->events, i, const char *)));
    }
    return events;
}

struct json_object *rh_member_write_stats(const rh_subscription_t *subscription, apr_pool_t *pool)
{
    struct json_object *stats = json_object_new_object();
    int code = subscription->stats.last_status_code;

    json_object_object_add(stats, "delivered",
                           json_object_new_int64(subscription->stats.delivered));
    json_object_object_add(stats, "failed", json_object_new_int64(subscription->stats.failed));
    json_object_object_add(stats, "pending", json_object_new_int64(subscription->stats.pending));
    json_object_object_add(stats, "last_status_code", code ? json_object_new_int(code) : NULL);
    json_object_object_add(stats, "last_attempt_at",
                           time_or_null(pool, subscription->stats.last_attempt_at));
    return stats;
}
