/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* /stats: deliveries, and durations of attempts, over time. */
#include "rh_api.h"

#include "rh_time.h"
#include "rh_uuid.h"

/** Minimum length of a bucket, in seconds. */
#define MIN_STEP_S 60
/** Number of buckets if the request names no step. */
#define USUAL_BUCKETS 24

static const apr_time_t day = apr_time_from_sec(86400);

/** The time when the hour ends, or begins. */
static apr_time_t hours_up(apr_time_t time)
{
    return (time + RH_STATS_HOUR - 1) / RH_STATS_HOUR * RH_STATS_HOUR;
}

/** Divide the range into buckets. From a step of an hour on they are whole hours; one bucket stays
 * one.
 * @param usual the range is the usual day, which then has 24 hours */
static void set_buckets(rh_stats_range_t *range, apr_interval_time_t step, bool usual)
{
    if (step >= RH_STATS_HOUR) {
        bool one = range->to - range->from <= step;

        range->to = hours_up(range->to);
        range->from = usual ? range->to - day : range->from - range->from % RH_STATS_HOUR;
        step = one ? range->to - range->from : hours_up(step);
    }
    range->step = step;
    range->count = (int)((range->to - range->from + step - 1) / step);
}

/** Read the parameters from, to and step. @return false after setting a problem */
static bool read_range(rh_api_t *api, rh_stats_range_t *range)
{
    const char *step = apr_table_get(api->query, "step");
    apr_int64_t seconds, whole;
    bool usual;

    range->from = rh_api_time(api, "from");
    range->to = rh_api_time(api, "to");
    if (rh_problem_is(api->problem)) {
        return false;
    }
    usual = range->from == 0;
    range->to = range->to ? range->to : apr_time_now();
    range->from = usual ? range->to - day : range->from;
    if (range->from >= range->to || range->from < 0) {
        rh_problem_set(api->problem, 400, "The parameter from must be earlier than to.");
        return false;
    }
    whole = (range->to - range->from + APR_USEC_PER_SEC - 1) / APR_USEC_PER_SEC;
    seconds = (whole + USUAL_BUCKETS - 1) / USUAL_BUCKETS;
    if (seconds < MIN_STEP_S) {
        seconds = MIN_STEP_S;
    }
    if (step) {
        seconds = apr_atoi64(step);
        if (strlen(step) > 9 || strspn(step, "0123456789") != strlen(step) ||
            seconds < MIN_STEP_S) {
            rh_problem_set(api->problem, 400,
                           "The parameter step must be a number of seconds from %d on.",
                           MIN_STEP_S);
            return false;
        }
    }
    if ((whole + seconds - 1) / seconds > RH_STATS_BUCKETS) {
        rh_problem_set(api->problem, 400,
                       "The parameter step must be at least a %dth of the time that is asked for.",
                       RH_STATS_BUCKETS);
        return false;
    }
    set_buckets(range, apr_time_from_sec(seconds), usual);
    return true;
}

static void add_time(rh_api_t *api, struct json_object *tree, const char *name, apr_time_t time)
{
    json_object_object_add(tree, name, json_object_new_string(rh_time_format(api->r->pool, time)));
}

/** Make the beginning of both responses; the caller's reference. */
static struct json_object *range_json(rh_api_t *api, const rh_stats_range_t *range)
{
    struct json_object *tree = json_object_new_object();

    add_time(api, tree, "from", range->from);
    add_time(api, tree, "to", range->to);
    json_object_object_add(tree, "step", json_object_new_int64(apr_time_sec(range->step)));
    return tree;
}

static void add_percentile(struct json_object *tree, const char *name, int ms)
{
    json_object_object_add(tree, name, ms < 0 ? NULL : json_object_new_int(ms));
}

int rh_api_stats_get(rh_api_t *api)
{
    const char *subscription = apr_table_get(api->query, "subscription");
    struct json_object *tree, *array;
    rh_stats_bucket_t *buckets;
    rh_stats_range_t range;
    apr_status_t status;
    int i, state;

    if (subscription && !rh_uuid_valid(subscription, strlen(subscription))) {
        rh_problem_set(api->problem, 400, "The parameter subscription must be an id.");
    }
    if (rh_problem_is(api->problem) || !read_range(api, &range)) {
        return rh_api_problem(api);
    }
    status = rh_store_stats(api->store, api->tenant, subscription, &range, api->r->pool, &buckets);
    if (status != APR_SUCCESS) {
        return rh_api_store_error(api, status);
    }
    array = json_object_new_array();
    for (i = 0; i < range.count; i++) {
        struct json_object *item = json_object_new_object();

        add_time(api, item, "time", range.from + i * range.step);
        for (state = RH_DELIVERY_PENDING; state <= RH_DELIVERY_CANCELLED; state++) {
            json_object_object_add(item, rh_delivery_state_name((rh_delivery_state_t)state),
                                   json_object_new_int64(buckets[i].deliveries[state]));
        }
        json_object_object_add(item, "attempts", json_object_new_int64(buckets[i].attempts));
        add_percentile(item, "p50", buckets[i].p50);
        add_percentile(item, "p90", buckets[i].p90);
        add_percentile(item, "p99", buckets[i].p99);
        json_object_array_add(array, item);
    }
    tree = range_json(api, &range);
    json_object_object_add(tree, "buckets", array);
    return rh_api_json(api, HTTP_OK, tree);
}

static struct json_object *numbers(const apr_int64_t *values, int count)
{
    struct json_object *array = json_object_new_array();

    for (int i = 0; i < count; i++) {
        json_object_array_add(array, json_object_new_int64(values[i]));
    }
    return array;
}

int rh_api_stats_subscriptions(rh_api_t *api)
{
    struct json_object *tree, *array;
    apr_array_header_t *rows;
    rh_stats_range_t range;
    apr_status_t status;
    int i;

    if (!read_range(api, &range)) {
        return rh_api_problem(api);
    }
    status = rh_store_stats_subscriptions(api->store, api->tenant, &range, api->r->pool, &rows);
    if (status != APR_SUCCESS) {
        return rh_api_store_error(api, status);
    }
    array = json_object_new_array();
    for (i = 0; i < rows->nelts; i++) {
        const rh_stats_subscription_t *row = APR_ARRAY_IDX(rows, i, rh_stats_subscription_t *);
        struct json_object *item = json_object_new_object();

        json_object_object_add(item, "id", json_object_new_string(row->id));
        json_object_object_add(item, "delivered", numbers(row->delivered, range.count));
        json_object_object_add(item, "failed", numbers(row->failed, range.count));
        json_object_array_add(array, item);
    }
    tree = range_json(api, &range);
    json_object_object_add(tree, "subscriptions", array);
    return rh_api_json(api, HTTP_OK, tree);
}
