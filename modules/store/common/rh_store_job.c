/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Run jobs, which are replays and redeliveries in bulk. A job runs in chunks, one transaction per
 * chunk: the chunk's deliveries and the job's cursor are committed together under the lock of the
 * job's row. So if a process dies, another one continues the job at the same position, and two
 * processes never work on one job at once. */
#include "rh_store_private.h"

#include "rh_json.h"
#include "rh_queue_private.h"
#include "rh_uuid.h"

/** Number of deliveries in one chunk of a bulk redelivery. */
#define REDELIVER_CHUNK 100

static rh_store_job_t *read_job(const rh_job_get_row_t *row, apr_pool_t *pool)
{
    rh_store_job_t *job = apr_pcalloc(pool, sizeof(*job));

    job->tenant = row->tenant;
    job->id = row->id;
    job->kind = row->kind;
    job->subscription_id = rh_db_text(row->subscription_id);
    job->filter = row->filter;
    job->state = row->state;
    job->done = rh_db_number(row->done);
    job->total = rh_db_text(row->total) ? rh_db_number(row->total) : -1;
    job->created_by = row->created_by;
    job->created_at = rh_db_number(row->created_at) * 1000;
    job->updated_at = rh_db_number(row->updated_at) * 1000;
    return job;
}

/** The parameters of a job, stored in the column `spec`. */
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
    /* A replay goes up from the oldest event, a redelivery down from the newest delivery. */
    bool up = strcmp(job->kind, RH_JOB_REPLAY) == 0;

    rh_uuid_make(id);
    rh_store_range(pool, filter->from, filter->to, NULL, &lowest, &end);
    job->id = id;
    return rh_store_change(
        store->source,
        RH_QUERY(job_insert, .tenant = job->tenant, .id = id, .kind = job->kind,
                 .subscription_id = job->subscription_id, .filter = job->filter,
                 .spec = write_spec(pool, filter, any, end), .cursor = up ? lowest : RH_LAST_ID,
                 .created_by = job->created_by, .created_at = now, .updated_at = now),
        pool, NULL);
}

apr_status_t rh_store_job_get(rh_store_t *store, const char *tenant, const char *id,
                              apr_pool_t *pool, rh_store_job_t **job)
{
    apr_array_header_t *rows;
    apr_status_t status =
        rh_store_fetch(store->source, RH_QUERY(job_get, .tenant = tenant, .id = id), pool, &rows);

    if (status == APR_SUCCESS && rows->nelts == 0) {
        status = APR_NOTFOUND;
    }
    if (status == APR_SUCCESS) {
        *job = read_job(RH_ROW(job_get, rows, 0), pool);
    }
    return status;
}

apr_status_t rh_store_job_list(rh_store_t *store, const char *tenant, const rh_page_t *page,
                               apr_pool_t *pool, apr_array_header_t **jobs)
{
    apr_array_header_t *rows;
    apr_status_t status = rh_store_fetch(
        store->source,
        RH_QUERY(job_list, .tenant = tenant, .before = page->before ? page->before : RH_LAST_ID,
                 .limit = rh_store_number(pool, page->limit)),
        pool, &rows);

    if (status != APR_SUCCESS) {
        return status;
    }
    *jobs = apr_array_make(pool, rows->nelts + 1, sizeof(rh_store_job_t *));
    for (int i = 0; i < rows->nelts; i++) {
        APR_ARRAY_PUSH(*jobs, rh_store_job_t *) = read_job(RH_ROW(job_get, rows, i), pool);
    }
    return APR_SUCCESS;
}

apr_status_t rh_store_job_cancel(rh_store_t *store, const char *tenant, const char *id,
                                 apr_pool_t *pool)
{
    const char *now = rh_store_number(pool, rh_store_ms(apr_time_now()));

    return rh_store_change(
        store->source, RH_QUERY(job_cancel, .now = now, .tenant = tenant, .id = id), pool, NULL);
}

/* ---- a chunk ---- */

/** One chunk of a job. */
typedef struct chunk_t {
    const char *tenant, *id; /**< the job's; tenant NULL: the next job */
    bool found;              /**< there was a job to run */
    bool running;            /**< the job has not ended yet */
    int done;                /**< number of deliveries in this chunk */
    const char *cursor;      /**< position of the next chunk */
    bool failed;             /**< its subscription was removed or is not active */
} chunk_t;

/** Make the deliveries that a chunk's events lack. */
static apr_status_t make_missing(rh_db_t *db, const chunk_t *chunk, const rh_job_get_row_t *row,
                                 apr_pool_t *pool)
{
    const char *sources, *types;
    apr_status_t status =
        rh_store_replayed(db, row->tenant, row->subscription_id, pool, &sources, &types);

    return status == APR_SUCCESS
               ? rh_db_change(db,
                              RH_QUERY(replay_missing, .tenant = row->tenant,
                                       .subscription_id = row->subscription_id,
                                       .lowest = row->cursor, .end = chunk->cursor,
                                       .sources = sources, .types = types),
                              pool, NULL)
               : status;
}

/** Arguments of the statements that send a chunk of a replay. */
#define CHUNK_OF(chunk, row, which)                                                                \
    .tenant = (row)->tenant, .lowest = (row)->cursor, .end = (chunk)->cursor,                      \
    .subscription_id = (row)->subscription_id, .states = (which)

static apr_status_t queue_chunk(rh_db_t *db, chunk_t *chunk, const rh_job_get_row_t *row,
                                const char *states, apr_pool_t *pool)
{
    const rh_query_t *const log_steps[] = {
        RH_QUERY(job_chunk_attempts, CHUNK_OF(chunk, row, states)),
        RH_QUERY(job_chunk_count, CHUNK_OF(chunk, row, states)),
        RH_QUERY(job_chunk_pending, CHUNK_OF(chunk, row, states))};
    apr_status_t status = rh_db_change(db, RH_QUERY(job_chunk_queue, CHUNK_OF(chunk, row, states)),
                                       pool, &chunk->done);

    return status == APR_SUCCESS
               ? rh_db_change_all(db, log_steps, (int)RH_COUNT_OF(log_steps), pool)
               : status;
}

static apr_status_t replay_chunk(rh_db_t *db, chunk_t *chunk, const rh_job_get_row_t *row,
                                 struct json_object *spec, apr_pool_t *pool)
{
    const char *end = spec_text(spec, "end");
    bool any = json_object_get_boolean(json_object_object_get(spec, "any"));
    /* Deliveries that are pending and not queued were made by this chunk. */
    const char *states =
        any ? "[\"failed\",\"delivered\",\"cancelled\",\"pending\"]" : "[\"failed\"]";
    apr_array_header_t *rows;
    apr_status_t status = rh_store_begin_send(db, row->tenant, row->subscription_id, pool);

    if (status == APR_NOTFOUND || status == APR_EEXIST) {
        chunk->failed = true;
        return APR_SUCCESS;
    }
    if (status == APR_SUCCESS) {
        status = rh_db_fetch(
            db, RH_QUERY(job_chunk_end, .tenant = row->tenant, .lowest = row->cursor, .end = end),
            pool, &rows);
    }
    if (status != APR_SUCCESS) {
        return status;
    }
    chunk->running = rows->nelts > 0;
    chunk->cursor = chunk->running ? RH_ROW(job_chunk_end, rows, 0)->id : end;
    if (any) {
        status = make_missing(db, chunk, row, pool);
    }
    return status == APR_SUCCESS ? queue_chunk(db, chunk, row, states, pool) : status;
}

static apr_status_t redeliver_chunk(rh_db_t *db, chunk_t *chunk, const rh_job_get_row_t *row,
                                    struct json_object *spec, apr_pool_t *pool)
{
    rh_delivery_filter_t filter = {0};
    rh_page_t page = {REDELIVER_CHUNK, row->cursor};
    const char *stopped;
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
    status = rh_store_delivery_rows(db, row->tenant, &filter, &page, pool, &rows, &stopped);
    for (int i = 0; i < rows->nelts && status == APR_SUCCESS; i++) {
        chunk->cursor = RH_ROW(delivery_list, rows, i)->id;
        status = rh_store_send_again(db, row->tenant, chunk->cursor, pool);
        chunk->done += status == APR_SUCCESS;
        /* The subscription is not active, or the delivery is past retention by now, so it is not
         * sent. */
        status = status == APR_NOTFOUND || status == APR_EEXIST ? APR_SUCCESS : status;
    }
    chunk->running = rows->nelts == REDELIVER_CHUNK || stopped;
    if (rows->nelts < REDELIVER_CHUNK && stopped) {
        chunk->cursor = stopped;
    }
    return status;
}

static apr_status_t record_progress(rh_db_t *db, const chunk_t *chunk, const rh_job_get_row_t *row,
                                    apr_pool_t *pool)
{
    return rh_db_change(db,
                        RH_QUERY(job_progress, .tenant = row->tenant, .id = row->id,
                                 .state = chunk->failed    ? "failed"
                                          : chunk->running ? "running"
                                                           : "done",
                                 .done = rh_store_number(pool, chunk->done),
                                 .cursor = chunk->cursor ? chunk->cursor : row->cursor,
                                 .now = rh_store_number(pool, rh_store_ms(apr_time_now()))),
                        pool, NULL);
}

static apr_status_t work_on_chunk(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    chunk_t *chunk = baton;
    apr_array_header_t *rows;
    struct json_object *spec = NULL;
    const rh_job_get_row_t *row;
    apr_status_t status =
        chunk->tenant
            ? rh_db_fetch(db, RH_QUERY(job_take, .tenant = chunk->tenant, .id = chunk->id), pool,
                          &rows)
            : rh_db_fetch(db, RH_QUERY(job_next), pool, &rows);

    chunk->found = status == APR_SUCCESS && rows->nelts > 0;
    chunk->done = 0;
    chunk->running = chunk->failed = false;
    if (!chunk->found) {
        return status;
    }
    row = RH_ROW(job_get, rows, 0);
    if (rh_json_parse(pool, row->spec, strlen(row->spec), &spec, NULL) != APR_SUCCESS) {
        chunk->failed = true;
    } else {
        status = strcmp(row->kind, RH_JOB_REPLAY) == 0
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
