/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* /jobs: replays and bulk redeliveries. A request creates a job and runs its first chunks. */
#include "rh_api.h"

#include "rh_time.h"
#include "rh_uuid.h"

#include <http_protocol.h>

/** How long a call works on its new job before it leaves the rest to the dispatchers. */
#define MOMENT apr_time_from_msec(700)
/** Interval between checks while a dispatcher works on the job. */
#define POLL apr_time_from_msec(10)

struct json_object *rh_api_job_json(const rh_store_job_t *job, apr_pool_t *pool)
{
    struct json_object *tree = json_object_new_object();
    bool ended = job->total >= 0;

    json_object_object_add(tree, "id", json_object_new_string(job->id));
    json_object_object_add(tree, "kind", json_object_new_string(job->kind));
    json_object_object_add(tree, "subscription_id", rh_json_new_text(job->subscription_id));
    json_object_object_add(tree, "filter", rh_json_raw(job->filter, strlen(job->filter)));
    json_object_object_add(tree, "state", json_object_new_string(job->state));
    json_object_object_add(tree, "done", json_object_new_int64(job->done));
    json_object_object_add(tree, "total", ended ? json_object_new_int64(job->total) : NULL);
    json_object_object_add(tree, "created_by", rh_json_new_text(job->created_by));
    json_object_object_add(tree, "created_at",
                           json_object_new_string(rh_time_format(pool, job->created_at)));
    json_object_object_add(tree, "updated_at",
                           json_object_new_string(rh_time_format(pool, job->updated_at)));
    return tree;
}

apr_status_t rh_api_job_begin(rh_api_t *api, rh_store_job_t *job,
                              const rh_delivery_filter_t *filter, bool any, rh_store_job_t **begun)
{
    apr_time_t until = apr_time_now() + MOMENT;
    apr_pool_t *pool = api->r->pool;
    apr_status_t status;
    bool running = true;

    job->tenant = api->tenant;
    job->created_by = api->r->user;
    status = rh_store_job_create(api->store, job, filter, any, pool);
    if (status != APR_SUCCESS) {
        return status; /* without a job, the dispatchers would have nothing to continue */
    }
    while (status == APR_SUCCESS && running && apr_time_now() < until) {
        status = rh_store_job_work(api->store, api->tenant, job->id, pool, &running);
        if (status == APR_SUCCESS && !running) {
            /* It has ended, or a dispatcher holds its row at this moment. */
            status = rh_store_job_get(api->store, api->tenant, job->id, pool, begun);
            running = status == APR_SUCCESS && strcmp((*begun)->state, "running") == 0;
            if (running) {
                apr_sleep(POLL);
            }
        }
    }
    if ((status == APR_SUCCESS && running) || APR_STATUS_IS_EAGAIN(status)) {
        /* The dispatchers continue with the rest, even after an outage. */
        status = rh_store_job_get(api->store, api->tenant, job->id, pool, begun);
    }
    rh_server_wake(api->r);
    return status;
}

int rh_api_jobs_list(rh_api_t *api)
{
    rh_page_t page = rh_api_page(api);
    const rh_store_job_t *last = NULL;
    struct json_object *array;
    apr_array_header_t *rows;
    apr_status_t status;

    if (rh_problem_is(api->problem)) {
        return rh_api_problem(api);
    }
    status = rh_store_job_list(api->store, api->tenant, &page, api->r->pool, &rows);
    if (status != APR_SUCCESS) {
        return rh_api_store_error(api, status);
    }
    array = json_object_new_array();
    for (int i = 0; i < rows->nelts && i < page.limit - 1; i++) {
        last = APR_ARRAY_IDX(rows, i, rh_store_job_t *);
        json_object_array_add(array, rh_api_job_json(last, api->r->pool));
    }
    return rh_api_list(api, array, last && rows->nelts == page.limit ? last->id : NULL);
}

/** Respond with a job in its current state. */
static int send_job(rh_api_t *api, int code, const char *id)
{
    rh_store_job_t *job;
    apr_status_t status = rh_store_job_get(api->store, api->tenant, id, api->r->pool, &job);

    return status == APR_SUCCESS ? rh_api_json(api, code, rh_api_job_json(job, api->r->pool))
                                 : rh_api_store_error(api, status);
}

int rh_api_job_get(rh_api_t *api)
{
    return rh_api_uuid_parameter(api) ? send_job(api, HTTP_OK, api->parameter)
                                      : rh_api_problem(api);
}

int rh_api_job_cancel(rh_api_t *api)
{
    apr_status_t status;

    if (!rh_api_uuid_parameter(api)) {
        return rh_api_problem(api);
    }
    status = rh_store_job_cancel(api->store, api->tenant, api->parameter, api->r->pool);
    return status == APR_SUCCESS ? send_job(api, HTTP_OK, api->parameter)
                                 : rh_api_store_error(api, status);
}

/** Treat a filter's members like the parameters of GET /deliveries. */
static void read_filter(rh_api_t *api, struct json_object *filter)
{
    static const char *const names[] = {"subscription", "state", "event",  "status", "from",
                                        "to",           "key",   "source", "q",      NULL};

    if (!json_object_is_type(filter, json_type_object)) {
        rh_problem_field(api->problem, "filter", "must be a JSON object");
        return;
    }
    json_object_object_foreach(filter, name, value)
    {
        const char *field = apr_pstrcat(api->r->pool, "filter.", name, NULL);
        const char *const *known = names;

        while (*known && strcmp(*known, name) != 0) {
            known++;
        }
        if (!*known) {
            rh_api_unknown_field(api, field);
        } else if (!json_object_is_type(value, json_type_string)) {
            rh_problem_field(api->problem, field, "must be a string");
        } else {
            apr_table_setn(api->query, name, json_object_get_string(value));
        }
    }
}

/** Read the body of POST /deliveries/redeliver. @param filter receives its JSON text */
static void read_redeliver(rh_api_t *api, struct json_object *body, const char **filter,
                           bool *dry_run)
{
    bool given = false;
    apr_size_t len;

    json_object_object_foreach(body, name, value)
    {
        if (strcmp(name, "filter") == 0) {
            given = true;
            read_filter(api, value);
            *filter = rh_json_text(api->r->pool, value, &len);
        } else if (strcmp(name, "dry_run") == 0) {
            *dry_run = json_object_get_boolean(value);
            if (!json_object_is_type(value, json_type_boolean)) {
                rh_problem_field(api->problem, name, "must be true or false");
            }
        } else {
            rh_api_unknown_field(api, name);
        }
    }
    if (!given) {
        rh_problem_field(api->problem, "filter", "is required");
    }
}

int rh_api_deliveries_redeliver(rh_api_t *api)
{
    rh_delivery_filter_t filter = {0};
    rh_store_job_t job = {.kind = RH_JOB_REDELIVER}, *begun;
    struct json_object *body, *tree;
    apr_int64_t count = 0;
    apr_status_t status;
    bool dry_run = false;

    rh_api_read_json(api, false, &body);
    if (!rh_problem_is(api->problem)) {
        read_redeliver(api, body, &job.filter, &dry_run);
    }
    if (!rh_problem_is(api->problem)) {
        rh_api_read_delivery_filter(api, &filter);
    }
    if (rh_problem_is(api->problem)) {
        return rh_api_problem(api);
    }
    if (dry_run) {
        status = rh_store_delivery_count(api->store, api->tenant, &filter, api->r->pool, &count);
        if (status != APR_SUCCESS) {
            return rh_api_store_error(api, status);
        }
        tree = json_object_new_object();
        json_object_object_add(tree, "matching", json_object_new_int64(count));
        return rh_api_json(api, HTTP_OK, tree);
    }
    status = rh_api_job_begin(api, &job, &filter, false, &begun);
    if (status != APR_SUCCESS) {
        return rh_api_store_error(api, status);
    }
    apr_table_setn(api->r->headers_out, "Location",
                   rh_api_url(api, apr_pstrcat(api->r->pool, "/jobs/", begun->id, NULL)));
    return rh_api_json(api, HTTP_ACCEPTED, rh_api_job_json(begun, api->r->pool));
}
