/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Deliveries: lists, details with attempts, redelivery; tests and replays. */
#include "rh_api.h"
#include "rh_instruments.h"

#include "rh_event_type.h"
#include "rh_matching.h"
#include "rh_time.h"
#include "rh_uuid.h"

#include <http_protocol.h>

/** Type of a test event if the subscription names no known type. */
#define TEST_TYPE "webhook.test"

/** Respond with a delivery in its current state. */
static int send_delivery(rh_api_t *api, int status, const char *id)
{
    rh_delivery_t *delivery;
    apr_status_t rv = rh_store_delivery_get(api->store, api->tenant, id, api->r->pool, &delivery);

    if (rv != APR_SUCCESS) {
        return rh_api_store_error(api, rv);
    }
    if (!*delivery->base_url) {
        delivery->base_url = rh_api_canonical_url(api, "");
    }
    return rh_api_json(api, status, rh_delivery_json(delivery, api->r->pool));
}

/** Respond with a page of deliveries. `filter` has what the caller asks for; state, type, from and
 * to are read from the query. */
static int send_deliveries(rh_api_t *api, rh_delivery_filter_t *filter)
{
    const char *stopped, *next;
    struct json_object *array;
    apr_array_header_t *rows;
    apr_status_t status;
    rh_page_t page = rh_api_page(api);
    int i;

    rh_api_read_delivery_filter(api, filter);
    if (rh_problem_is(api->problem)) {
        return rh_api_problem(api);
    }
    status = rh_store_delivery_list(api->store, api->tenant, filter, &page, api->r->pool, &rows,
                                    &stopped);
    if (status != APR_SUCCESS) {
        return rh_api_store_error(api, status);
    }
    array = json_object_new_array();
    for (i = 0; i < rows->nelts && i < page.limit - 1; i++) {
        json_object_array_add(
            array, rh_delivery_json(APR_ARRAY_IDX(rows, i, rh_delivery_t *), api->r->pool));
    }
    next = i < rows->nelts ? APR_ARRAY_IDX(rows, i - 1, rh_delivery_t *)->id : stopped;
    if (stopped || rh_store_is_search(&filter->search)) {
        rh_api_name_searched(api, &page, filter->from, filter->to, next);
    }
    return rh_api_list(api, array, next);
}

int rh_api_deliveries_list(rh_api_t *api)
{
    rh_delivery_filter_t filter = {0};

    return send_deliveries(api, &filter);
}

int rh_api_subscription_deliveries(rh_api_t *api)
{
    rh_delivery_filter_t filter = {0};
    rh_subscription_t *subscription;

    if (!rh_api_find_subscription(api, &subscription)) {
        return rh_api_problem(api);
    }
    filter.subscription_id = api->parameter;
    return send_deliveries(api, &filter);
}

int rh_api_delivery_get(rh_api_t *api)
{
    return rh_api_uuid_parameter(api) ? send_delivery(api, HTTP_OK, api->parameter)
                                      : rh_api_problem(api);
}

/** Respond with a delivery that is now due. */
static int accepted(rh_api_t *api, const char *id)
{
    const char *path = apr_pstrcat(api->r->pool, "/deliveries/", id, NULL);

    rh_server_wake(api->r);
    apr_table_setn(api->r->headers_out, "Location", rh_api_url(api, path));
    return send_delivery(api, HTTP_ACCEPTED, id);
}

int rh_api_delivery_redeliver(rh_api_t *api)
{
    struct json_object *body;
    apr_status_t status;

    if (!rh_api_uuid_parameter(api)) {
        return rh_api_problem(api);
    }
    rh_api_read_json(api, true, &body);
    if (body && !rh_problem_is(api->problem)) {
        json_object_object_foreach(body, name, value)
        {
            (void)value;
            rh_api_unknown_field(api, name);
        }
    }
    if (rh_problem_is(api->problem)) {
        return rh_api_problem(api);
    }
    status = rh_store_redeliver(api->store, api->tenant, api->parameter, api->r->pool);
    return status == APR_SUCCESS ? accepted(api, api->parameter) : rh_api_store_error(api, status);
}

/* ---- replay ---- */

static apr_time_t read_time(rh_api_t *api, const char *name, struct json_object *value)
{
    const char *text =
        json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
    apr_time_t time = 0;

    if (!text || rh_time_parse(text, strlen(text), &time) != APR_SUCCESS) {
        rh_problem_field(api->problem, name, "must be an RFC 3339 date-time");
    }
    return time;
}

static void read_replay(rh_api_t *api, struct json_object *body, apr_time_t *from, apr_time_t *to,
                        bool *any, bool *dry_run)
{
    json_object_object_foreach(body, name, value)
    {
        if (strcmp(name, "from") == 0) {
            *from = read_time(api, name, value);
        } else if (strcmp(name, "to") == 0) {
            *to = value ? read_time(api, name, value) : 0;
        } else if (strcmp(name, "state") == 0) {
            const char *text =
                json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";

            *any = strcmp(text, "any") == 0;
            if (!*any && strcmp(text, "failed") != 0) {
                rh_problem_field(api->problem, name, "must be \"failed\" or \"any\"");
            }
        } else if (strcmp(name, "dry_run") == 0) {
            *dry_run = json_object_get_boolean(value);
            if (!json_object_is_type(value, json_type_boolean)) {
                rh_problem_field(api->problem, name, "must be true or false");
            }
        } else {
            rh_api_unknown_field(api, name);
        }
    }
    if (!json_object_object_get_ex(body, "from", NULL)) {
        rh_problem_field(api->problem, "from", "is required");
    }
    if (!rh_problem_is(api->problem) && *to > 0 && *to <= *from) {
        rh_problem_field(api->problem, "to", "must be later than from");
    }
}

/** Begin a replay as a job; a small one is finished at once. */
static int begin_replay(rh_api_t *api, struct json_object *body, bool any, apr_time_t from,
                        apr_time_t to)
{
    rh_delivery_filter_t filter = {.from = from, .to = to, .state = -1};
    rh_store_job_t job = {.kind = RH_JOB_REPLAY, .subscription_id = api->parameter}, *begun;
    struct json_object *tree;
    apr_size_t len;
    apr_status_t status;

    job.filter = rh_json_text(api->r->pool, body, &len);
    status = rh_api_job_begin(api, &job, &filter, any, &begun);
    if (status != APR_SUCCESS) {
        return rh_api_store_error(api, status);
    }
    tree = json_object_new_object();
    json_object_object_add(tree, "queued", json_object_new_int64(begun->done));
    json_object_object_add(tree, "job", rh_api_job_json(begun, api->r->pool));
    apr_table_setn(api->r->headers_out, "Location",
                   rh_api_url(api, apr_pstrcat(api->r->pool, "/jobs/", begun->id, NULL)));
    return rh_api_json(api, HTTP_ACCEPTED, tree);
}

int rh_api_subscription_replay(rh_api_t *api)
{
    struct json_object *body, *tree;
    rh_subscription_t *subscription;
    apr_time_t from = 0, to = 0;
    apr_int64_t count = 0;
    apr_status_t status;
    bool any = false, dry_run = false;

    if (!rh_api_uuid_parameter(api)) {
        return rh_api_problem(api);
    }
    rh_api_read_json(api, false, &body);
    if (!rh_problem_is(api->problem)) {
        read_replay(api, body, &from, &to, &any, &dry_run);
    }
    if (rh_problem_is(api->problem) || !rh_api_find_subscription(api, &subscription)) {
        return rh_api_problem(api);
    }
    if (subscription->state != RH_SUBSCRIPTION_ACTIVE) {
        return rh_api_store_error(api, APR_EEXIST);
    }
    if (!dry_run) {
        return begin_replay(api, body, any, from, to);
    }
    status = rh_store_replay_count(api->store, api->tenant, api->parameter, any, from, to,
                                   api->r->pool, &count);
    if (status != APR_SUCCESS) {
        return rh_api_store_error(api, status);
    }
    tree = json_object_new_object();
    json_object_object_add(tree, "matching", json_object_new_int64(count));
    return rh_api_json(api, HTTP_OK, tree);
}

/* ---- test ---- */

/**
 * Choose the type of a test: the first of the subscription's that the catalogue has, else its
 * first.
 */
static const char *default_type(rh_api_t *api, const rh_subscription_t *subscription)
{
    const apr_array_header_t *types = api->config->settings.types;
    int i, j;

    for (i = 0; i < subscription->events->nelts; i++) {
        const char *pattern = APR_ARRAY_IDX(subscription->events, i, const char *);

        for (j = 0; j < types->nelts; j++) {
            const char *type = APR_ARRAY_IDX(types, j, rh_catalogue_type_t *)->type;

            if (rh_matching_covers(pattern, type)) {
                return type;
            }
        }
        if (rh_event_type_valid(pattern, strlen(pattern))) {
            return pattern;
        }
    }
    return TEST_TYPE;
}

/** Read the member `type` of a test's body; NULL: missing. */
static const char *read_type(rh_api_t *api)
{
    const char *type = NULL;
    struct json_object *body;

    rh_api_read_json(api, true, &body);
    if (!body || rh_problem_is(api->problem)) {
        return NULL;
    }
    json_object_object_foreach(body, name, value)
    {
        if (strcmp(name, "type") != 0) {
            rh_api_unknown_field(api, name);
            continue;
        }
        type = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
        if (!rh_event_type_valid(type, strlen(type))) {
            rh_problem_field(api->problem, name, "must be an event type such as employee.created");
        } else if (api->config->settings.types->nelts > 0 && !rh_api_find_type(api->config, type)) {
            rh_problem_field(api->problem, name, "is not an event type of this server");
        }
    }
    return type;
}

int rh_api_subscription_test(rh_api_t *api)
{
    apr_pool_t *pool = api->r->pool;
    char *id = apr_palloc(pool, RH_UUID_LEN + 1);
    rh_subscription_t *subscription;
    rh_event_t *event;
    const char *type, *delivery_id;
    apr_status_t status;

    if (!rh_api_find_subscription(api, &subscription)) {
        return rh_api_problem(api);
    }
    type = read_type(api);
    if (rh_problem_is(api->problem)) {
        return rh_api_problem(api);
    }
    event = apr_pcalloc(pool, sizeof(*event));
    rh_uuid_make(id);
    event->id = id;
    event->tenant = api->tenant;
    event->type = type ? type : default_type(api, subscription);
    event->data = rh_api_sample(api->config, event->type);
    event->key = rh_event_key(pool, event->data.data, event->data.len);
    event->time = apr_time_now();
    event->source = RH_SOURCE_TEST;
    status = rh_store_test(api->store, event, subscription->id, pool, &delivery_id);
    if (status == APR_SUCCESS) {
        rh_instruments_event(api->config, event->type, event->source);
    }
    return status == APR_SUCCESS ? accepted(api, delivery_id) : rh_api_store_error(api, status);
}
