/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* /subscriptions/{id}/secret: show the secret, and change it with an overlap. */
#include "rh_api.h"

#include "rh_signature.h"
#include "rh_time.h"

#include <http_protocol.h>

/** How long the old secret signs as well: the default and the maximum. */
#define DEFAULT_OVERLAP apr_time_from_sec(24 * 3600)
#define MAX_OVERLAP apr_time_from_sec(30 * 24 * 3600)

static int answer(rh_api_t *api, const rh_subscription_t *subscription)
{
    struct json_object *tree = json_object_new_object(), *until = NULL;
    apr_time_t end = rh_subscription_overlap_end(subscription);

    if (end) {
        until = json_object_new_string(rh_time_format(api->r->pool, end));
    }
    json_object_object_add(tree, "secret", json_object_new_string(subscription->secret));
    json_object_object_add(tree, "old_secret_expires_at", until);
    return rh_api_json(api, HTTP_OK, tree);
}

int rh_api_secret_get(rh_api_t *api)
{
    rh_subscription_t *subscription;

    return rh_api_find_subscription(api, &subscription) ? answer(api, subscription)
                                                        : rh_api_problem(api);
}

static void rotate(rh_api_t *api, rh_subscription_t *subscription, void *baton)
{
    apr_interval_time_t overlap = *(const apr_interval_time_t *)baton;

    subscription->old_secret = overlap > 0 ? subscription->secret : NULL;
    subscription->old_secret_until = overlap > 0 ? apr_time_now() + overlap : 0;
    if (rh_secret_make(api->r->pool, &subscription->secret) != APR_SUCCESS) {
        rh_problem_set(api->problem, 500, "Could not generate a secret (random source failed).");
    }
}

static void read_overlap(rh_api_t *api, struct json_object *value, apr_interval_time_t *overlap)
{
    const char *text =
        json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;

    if (!text || rh_duration_parse(text, strlen(text), false, overlap) != APR_SUCCESS) {
        rh_problem_field(api->problem, "overlap", "must be a duration such as \"24h\"");
    } else if (*overlap > MAX_OVERLAP) {
        rh_problem_field(api->problem, "overlap", "must be at most 30d");
    }
}

int rh_api_secret_rotate(rh_api_t *api)
{
    apr_interval_time_t overlap = DEFAULT_OVERLAP;
    rh_subscription_t *subscription;
    struct json_object *body;
    int answered;

    rh_api_read_json(api, true, &body);
    if (body && !rh_problem_is(api->problem)) {
        json_object_object_foreach(body, name, value)
        {
            if (strcmp(name, "overlap") == 0) {
                read_overlap(api, value, &overlap);
            } else {
                rh_api_unknown_field(api, name);
            }
        }
    }
    if (rh_problem_is(api->problem)) {
        return rh_api_problem(api);
    }
    answered = rh_api_subscription_change(api, rotate, &overlap, &subscription);
    return rh_problem_is(api->problem) ? answered : answer(api, subscription);
}

static void forget_old(rh_api_t *api, rh_subscription_t *subscription, void *baton)
{
    (void)api;
    (void)baton;
    subscription->old_secret = NULL;
    subscription->old_secret_until = 0;
}

/** End the overlap early, so that only the new secret signs. */
int rh_api_secret_end_overlap(rh_api_t *api)
{
    rh_subscription_t *subscription;

    if (!rh_api_find_subscription(api, &subscription)) {
        return rh_api_problem(api);
    }
    if (rh_subscription_overlap_end(subscription)) {
        int answered = rh_api_subscription_change(api, forget_old, NULL, &subscription);

        if (rh_problem_is(api->problem)) {
            return answered;
        }
    }
    return rh_api_text(api, HTTP_NO_CONTENT, NULL, "", 0);
}
