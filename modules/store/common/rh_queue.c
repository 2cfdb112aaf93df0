/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_queue_private.h"

#include <stdlib.h>

/** How many times housekeeping removes RH_QUEUE_CHUNK rows in one call. */
#define MAX_CHUNKS 25

/** The statement and the arguments that rh_store_run runs. */
typedef struct call_t {
    const rh_query_t *query;
    int affected;
} call_t;

static apr_status_t call_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    call_t *call = baton;

    return rh_db_change(db, call->query, pool, &call->affected);
}

apr_status_t rh_queue_remove_old(rh_db_source_t *source, const rh_query_t *query,
                                 apr_pool_t *scratch)
{
    apr_status_t status = APR_SUCCESS;

    for (int i = 0; i < MAX_CHUNKS && status == APR_SUCCESS; i++) {
        call_t call = {query, 0};

        status = rh_store_run(source, source->dialect->locks_writers, call_work, &call, scratch);
        if (call.affected < atoi(RH_QUEUE_CHUNK)) {
            break;
        }
    }
    return status;
}

bool rh_queue_goes_on(apr_status_t *first, apr_status_t status)
{
    if (*first == APR_SUCCESS) {
        *first = status;
    }
    return !APR_STATUS_IS_EAGAIN(status);
}

static apr_status_t maintain(rh_queue_t *self, apr_interval_time_t retention, apr_pool_t *scratch)
{
    rh_db_source_t *source = ((rh_queue_impl_t *)self)->source;
    const char *ms = rh_store_number(scratch, rh_store_ms(retention));
    apr_status_t first = source->dialect->queue->remove_logs(source, retention, scratch);

    if (!APR_STATUS_IS_EAGAIN(first)) {
        rh_queue_goes_on(
            &first,
            rh_queue_remove_old(
                source, RH_QUERY(old_keys, .retention = ms, .limit = RH_QUEUE_CHUNK), scratch));
    }
    if (!APR_STATUS_IS_EAGAIN(first)) {
        rh_queue_goes_on(
            &first,
            rh_queue_remove_old(
                source, RH_QUERY(old_hours, .retention = ms, .limit = RH_QUEUE_CHUNK), scratch));
    }
    if (first == APR_SUCCESS) {
        const char *before = rh_store_number(scratch, rh_store_ms(apr_time_now() - retention));

        first = rh_store_change(source, RH_QUERY(job_old, .before = before), scratch, NULL);
    }
    return first;
}

static apr_status_t count_backlog(rh_queue_t *self, apr_pool_t *scratch, rh_backlog_t *backlog)
{
    rh_queue_impl_t *queue = (rh_queue_impl_t *)self;
    const char *limit = rh_store_number(scratch, RH_BACKLOG_MOST);
    apr_array_header_t *rows;
    apr_status_t status =
        rh_store_fetch(queue->source, RH_QUERY(backlog, .limit = limit), scratch, &rows);

    memset(backlog, 0, sizeof(*backlog));
    if (status == APR_SUCCESS && rows->nelts == 1) {
        const rh_backlog_row_t *row = RH_ROW(backlog, rows, 0);

        backlog->pending = rh_db_number(row->pending);
        backlog->due = rh_db_number(row->due);
        backlog->oldest = rh_db_number(row->oldest) * 1000;
    }
    return status;
}

static apr_status_t release_lease(rh_queue_t *self, apr_int64_t lease, apr_pool_t *scratch)
{
    rh_db_source_t *source = ((rh_queue_impl_t *)self)->source;
    call_t call = {RH_QUERY(release, .lease = rh_store_number(scratch, lease)), 0};

    return rh_store_run(source, source->dialect->locks_writers, call_work, &call, scratch);
}

rh_queue_t *rh_queue_make(apr_pool_t *pool, rh_db_source_t *source)
{
    rh_queue_impl_t *queue = apr_pcalloc(pool, sizeof(*queue));

    queue->base.commit = rh_queue_commit;
    queue->base.claim = rh_queue_claim;
    queue->base.settle = rh_queue_settle;
    queue->base.maintain = maintain;
    queue->base.backlog = count_backlog;
    queue->base.expand = rh_queue_expand;
    queue->base.work_job = rh_queue_work_job;
    queue->base.add_up = rh_queue_add_up;
    queue->base.release = release_lease;
    queue->source = source;
    rh_uuid_floor(0, queue->walk.at.subscription);
    return &queue->base;
}
