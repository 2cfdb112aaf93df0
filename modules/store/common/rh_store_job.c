/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * Jobs: what a person sends again in bulk. Each runs in chunks, one transaction per chunk: the
 * chunk's deliveries and the job's cursor are committed together under the lock of the job's row.
 * So a process that dies in between leaves a job that another goes on with, at the same place; and
 * two processes never work on one job at once.
 */
#include "rh_store_private.h"

#include "rh_json.h"
#include "rh_queue_private.h"
#include "rh_uuid.h"

/** Deliveries of one chunk of a bulk redelivery. */
#define REDELIVER_CHUNK 100

/** Columns of a job's row, as rh_sql_job.c selects them. */
enum {
    JOB_ID,
    JOB_KIND,
    JOB_SUBSCRIPTION,
    JOB_FILTER,
    JOB_STATE,
    JOB_DONE,
    JOB_TOTAL,
    JOB_CREATED_BY,
    JOB_CREATED_AT,
    JOB_UPDATED_AT,
    JOB_SPEC,
    JOB_CURSOR,
    JOB_TENANT
};

static rh_store_job_t *read_job(const char **row, apr_pool_t *pool)
{
    rh_store_job_t *job = apr_pcalloc(pool, sizeof(*job));

    job->tenant = row[JOB_TENANT];
    job->id = row[JOB_ID];
    job->kind = row[JOB_KIND];
    job->subscription_id = rh_db_text(row[JOB_SUBSCRIPTION]);
    job->filter = row[JOB_FILTER];
    job->state = row[JOB_STATE];
    job->done = rh_db_number(row[JOB_DONE]);
    job->total = rh_db_text(row[JOB_TOTAL]) ? rh_db_number(row[JOB_TOTAL]) : -1;
    job->created_by = row[JOB_CREATED_BY];
    job->created_at = rh_db_number(row[JOB_CREATED_AT]) * 1000;
    job->updated_at = rh_db_number(row[JOB_UPDATED_AT]) * 1000;
    return job;
}

/** What a job does, as the column `spec` keeps it. */
static const char *write_spec(apr_pool_t *pool, const rh_delivery_filter_t *filter, bool any,
                              const char *end)
{
    struct json_object *tree = rh_json_own(pool, json_object_new_object());
    apr_size_t len;

    json_object_object_add(tree, "any", json_object_new_boolean(any));
    json_object_object_add(tree, "end", json_object_new_string(end));
    json_object_object_add(tree, "subscription_id", rh_json_new_text(filter->subscription_id));
    json_object_object_add(tree, "type", rh_json_new_text(filter->type));
    json_object_object_add(tree, "state", json_object_new_int(filter->state));
    json_object_object_add(tree, "status_from", json_object_new_int(filter->status_from));
    json_object_object_add(tree, "status_end", json_object_new_int(filter->status_end));
    json_object_object_add(tree, "key", rh_json_new_text(filter->search.key));
    json_object_object_add(tree, "sources", rh_json_new_text(filter->search.sources));
    json_object_object_add(tree, "text", rh_json_new_text(filter->search.text));
    json_object_object_add(tree, "from", json_object_new_int64(filter->from));
    json_object_object_add(tree, "to", json_object_new_int64(filter->to));
    return rh_json_text(pool, tree, &len);
}

static const char *spec_text(struct json_object *spec, const char *name)
{
    struct json_object *value = json_object_object_get(spec, name);

    return value ? json_object_get_string(value) : NULL;
}

static apr_int64_t spec_number(struct json_object *spec, const char *name)
{
    return json_object_get_int64(json_object_object_get(spec, name));
}

apr_status_t rh_store_job_create(rh_store_t *store, rh_store_job_t *job,
                                 const rh_delivery_filter_t *filter, bool any, apr_pool_t *pool)
{
    char *id = apr_palloc(pool, RH_UUID_LEN + 1);
    const char *lowest, *end, *now = rh_store_number(pool, rh_store_ms(apr_time_now()));
    const char *args[10];

    rh_uuid_make(id);
    rh_store_range(pool, filter->from, filter->to, NULL, &lowest, &end);
    job->id = id;
    args[0] = job->tenant;
    args[1] = id;
    args[2] = job->kind;
    args[3] = job->subscription_id;
    args[4] = job->filter;
    args[5] = write_spec(pool, filter, any, end);
    /* A replay goes up from the oldest event, a redelivery down from the newest delivery. */
    args[6] = strcmp(job->kind, RH_JOB_REPLAY) == 0 ? lowest : RH_LAST_ID;
    args[7] = job->created_by;
    args[8] = args[9] = now;
    return rh_store_execute(store->source, &rh_sql_job_insert, 10, args, pool, NULL);
}

apr_status_t rh_store_job_get(rh_store_t *store, const char *tenant, const char *id,
                              apr_pool_t *pool, rh_store_job_t **job)
{
    const char *args[] = {tenant, id};
    apr_array_header_t *rows;
    apr_status_t status = rh_store_select(store->source, &rh_sql_job_get, 2, args, pool, &rows);

    if (status == APR_SUCCESS && rows->nelts == 0) {
        status = APR_NOTFOUND;
    }
    if (status == APR_SUCCESS) {
        *job = read_job(rh_row(rows, 0), pool);
    }
    return status;
}

apr_status_t rh_store_job_list(rh_store_t *store, const char *tenant, const rh_page_t *page,
                               apr_pool_t *pool, apr_array_header_t **jobs)
{
    const char *args[] = {tenant, page->before ? page->before : RH_LAST_ID,
                          rh_store_number(pool, page->limit)};
    apr_array_header_t *rows;
    apr_status_t status = rh_store_select(store->source, &rh_sql_job_list, 3, args, pool, &rows);

    if (status != APR_SUCCESS) {
        return status;
    }
    *jobs = apr_array_make(pool, rows->nelts + 1, sizeof(rh_store_job_t *));
    for (int i = 0; i < rows->nelts; i++) {
        APR_ARRAY_PUSH(*jobs, rh_store_job_t *) = read_job(rh_row(rows, i), pool);
    }
    return APR_SUCCESS;
}

apr_status_t rh_store_job_cancel(rh_store_t *store, const char *tenant, const char *id,
                                 apr_pool_t *pool)
{
    const char *args[] = {rh_store_number(pool, rh_store_ms(apr_time_now())), tenant, id};

    return rh_store_execute(store->source, &rh_sql_job_cancel, 3, args, pool, NULL);
}

/* ---- a chunk ---- */

/** One chunk of a job. */
typedef struct chunk_t {
    const char *tenant, *id; /**< of the job; tenant NULL: the one whose turn it is */
    bool found;              /**< there was a job to work on */
    bool running;            /**< it is not done yet */
    int done;                /**< deliveries of this chunk */
    const char *cursor;      /**< where the next one goes on */
    bool failed;             /**< its subscription is gone or not active */
} chunk_t;

static apr_status_t replay_chunk(rh_db_t *db, chunk_t *chunk, const char **row,
                                 struct json_object *spec, apr_pool_t *pool)
{
    const char *end = spec_text(spec, "end");
    const char *subscription = row[JOB_SUBSCRIPTION];
    const char *bounds[] = {row[JOB_TENANT], row[JOB_CURSOR], end};
    bool any = json_object_get_boolean(json_object_object_get(spec, "any"));
    const char *states = any ? "[\"failed\",\"delivered\",\"cancelled\"]" : "[\"failed\"]";
    apr_array_header_t *rows;
    apr_status_t status = rh_store_begin_send(db, row[JOB_TENANT], subscription, pool);

    if (status == APR_NOTFOUND || status == APR_EEXIST) {
        chunk->failed = true;
        return APR_SUCCESS;
    }
    if (status == APR_SUCCESS) {
        status = rh_db_select(db, &rh_sql_job_chunk_end, 3, bounds, pool, &rows);
    }
    if (status != APR_SUCCESS) {
        return status;
    }
    chunk->running = rows->nelts > 0;
    chunk->cursor = chunk->running ? rh_row(rows, 0)[0] : end;
    if (any) {
        const char *missing[] = {row[JOB_TENANT], subscription, row[JOB_CURSOR],
                                 chunk->cursor,   NULL,         NULL};

        status =
            rh_store_replayed(db, row[JOB_TENANT], subscription, pool, &missing[4], &missing[5]);
        if (status == APR_SUCCESS) {
            status = rh_db_execute(db, &rh_sql_replay_missing, 6, missing, pool, NULL);
        }
    }
    if (status == APR_SUCCESS) {
        const char *args[] = {row[JOB_TENANT], row[JOB_CURSOR], chunk->cursor, subscription,
                              states};

        status = rh_db_execute(db, &rh_sql_job_chunk_queue, 5, args, pool, &chunk->done);
        if (status == APR_SUCCESS) {
            status = rh_db_execute(db, &rh_sql_job_chunk_pending, 5, args, pool, NULL);
        }
    }
    return status;
}

static apr_status_t redeliver_chunk(rh_db_t *db, chunk_t *chunk, const char **row,
                                    struct json_object *spec, apr_pool_t *pool)
{
    rh_delivery_filter_t filter = {0};
    rh_page_t page = {REDELIVER_CHUNK, row[JOB_CURSOR]};
    apr_array_header_t *rows;
    apr_status_t status;

    filter.subscription_id = spec_text(spec, "subscription_id");
    filter.type = spec_text(spec, "type");
    filter.state = (int)spec_number(spec, "state");
    filter.status_from = (int)spec_number(spec, "status_from");
    filter.status_end = (int)spec_number(spec, "status_end");
    filter.search.key = spec_text(spec, "key");
    filter.search.sources = spec_text(spec, "sources");
    filter.search.text = spec_text(spec, "text");
    filter.from = spec_number(spec, "from");
    filter.to = spec_number(spec, "to");
    status = rh_store_delivery_rows(db, row[JOB_TENANT], &filter, &page, pool, &rows);
    for (int i = 0; i < rows->nelts && status == APR_SUCCESS; i++) {
        chunk->cursor = rh_row(rows, i)[0];
        status = rh_store_send_again(db, row[JOB_TENANT], chunk->cursor, pool);
        chunk->done += status == APR_SUCCESS;
        /* Of a subscription that is not active, or past retention by now: not one that is sent. */
        status = status == APR_NOTFOUND || status == APR_EEXIST ? APR_SUCCESS : status;
    }
    chunk->running = rows->nelts == REDELIVER_CHUNK;
    return status;
}

static apr_status_t record_progress(rh_db_t *db, const chunk_t *chunk, const char **row,
                                    apr_pool_t *pool)
{
    const char *state = chunk->failed ? "failed" : chunk->running ? "running" : "done";
    const char *done = rh_store_number(pool, chunk->done);
    const char *args[] = {
        done, chunk->cursor ? chunk->cursor : row[JOB_CURSOR],    state,           state,
        done, rh_store_number(pool, rh_store_ms(apr_time_now())), row[JOB_TENANT], row[JOB_ID]};

    return rh_db_execute(db, &rh_sql_job_progress, 8, args, pool, NULL);
}

static apr_status_t work_on_chunk(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    chunk_t *chunk = baton;
    const char *args[] = {chunk->tenant, chunk->id}, *none = NULL;
    apr_array_header_t *rows;
    struct json_object *spec = NULL;
    const char **row;
    apr_status_t status = chunk->tenant ? rh_db_select(db, &rh_sql_job_take, 2, args, pool, &rows)
                                        : rh_db_select(db, &rh_sql_job_next, 0, &none, pool, &rows);

    chunk->found = status == APR_SUCCESS && rows->nelts > 0;
    chunk->done = 0;
    chunk->running = chunk->failed = false;
    if (!chunk->found) {
        return status;
    }
    row = rh_row(rows, 0);
    if (rh_json_parse(pool, row[JOB_SPEC], strlen(row[JOB_SPEC]), &spec, NULL) != APR_SUCCESS) {
        chunk->failed = true;
    } else {
        status = strcmp(row[JOB_KIND], RH_JOB_REPLAY) == 0
                     ? replay_chunk(db, chunk, row, spec, pool)
                     : redeliver_chunk(db, chunk, row, spec, pool);
    }
    return status == APR_SUCCESS ? record_progress(db, chunk, row, pool) : status;
}

apr_status_t rh_store_job_work(rh_store_t *store, const char *tenant, const char *id,
                               apr_pool_t *pool, bool *running)
{
    chunk_t chunk = {.tenant = tenant, .id = id};
    apr_status_t status = rh_store_run(store->source, true, work_on_chunk, &chunk, pool);

    *running = status == APR_SUCCESS && chunk.found && chunk.running;
    return status;
}

apr_status_t rh_queue_work_job(rh_queue_t *self, apr_pool_t *scratch, bool *found)
{
    rh_queue_impl_t *queue = (rh_queue_impl_t *)self;
    chunk_t chunk = {0};
    apr_status_t status = rh_store_run(queue->source, true, work_on_chunk, &chunk, scratch);

    *found = status == APR_SUCCESS && chunk.found;
    return status;
}
