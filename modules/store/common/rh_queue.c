/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_queue_private.h"

#include <stdlib.h>

/** Deliveries that are cancelled at a time. */
#define CANCEL_CHUNK "2000"
/** Rows that housekeeping removes at a time, and how often it does so in one call. */
#define OLD_CHUNK "2000"
#define MAX_CHUNKS 25

const char *rh_queue_now(apr_pool_t *pool, apr_interval_time_t later)
{
    return rh_store_number(pool, rh_store_ms_up(apr_time_now() + later));
}

apr_status_t rh_queue_cancel(rh_db_t *db, const char *tenant, const char *subscription_id,
                             apr_pool_t *pool, bool *more)
{
    const char *args[] = {tenant, subscription_id, CANCEL_CHUNK};
    int cancelled = 0;
    apr_status_t status;

    if (db->dialect == RH_DIALECT_PGSQL) {
        status = rh_db_execute(db, &rh_sql_cancel, 3, args, pool, &cancelled);
    } else {
        status = rh_db_execute(db, &rh_sql_cancel_delivery, 3, args, pool, NULL);
        if (status == APR_SUCCESS) {
            status = rh_db_execute(db, &rh_sql_cancel_queue, 3, args, pool, &cancelled);
        }
    }
    if (more) {
        *more = cancelled >= atoi(CANCEL_CHUNK);
    }
    return status;
}

/** A statement with its arguments, for rh_store_run. */
typedef struct call_t {
    const rh_statement_t *statement;
    int count;
    const char *const *args;
    int affected;
} call_t;

static apr_status_t call_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    call_t *call = baton;

    return rh_db_execute(db, call->statement, call->count, call->args, pool, &call->affected);
}

/** Remove rows a chunk and a transaction at a time. */
static apr_status_t remove_old(rh_queue_impl_t *queue, const rh_statement_t *statement,
                               const char *bound, apr_pool_t *scratch)
{
    const char *args[] = {bound, OLD_CHUNK};
    bool writes = queue->source->dialect == RH_DIALECT_SQLITE;
    apr_status_t status = APR_SUCCESS;
    int i;

    for (i = 0; i < MAX_CHUNKS && status == APR_SUCCESS; i++) {
        call_t call = {statement, 2, args, 0};

        status = rh_store_run(queue->source, writes, call_work, &call, scratch);
        if (call.affected < atoi(OLD_CHUNK)) {
            break;
        }
    }
    return status;
}

/** Keep the first error. If the database is unreachable, stop: the other steps would fail too. */
static bool goes_on(apr_status_t *first, apr_status_t status)
{
    if (*first == APR_SUCCESS) {
        *first = status;
    }
    return !APR_STATUS_IS_EAGAIN(status);
}

/** Create partitions first: inserts depend on them, and clean-up can wait. */
static apr_status_t maintain(rh_queue_t *self, apr_interval_time_t retention, apr_pool_t *scratch)
{
    static const rh_statement_t *const old[] = {&rh_sql_old_attempts, &rh_sql_old_deliveries,
                                                &rh_sql_old_events, NULL};
    static const rh_statement_t *const partitions[] = {&rh_sql_partitions_make,
                                                       &rh_sql_partitions_drop, NULL};
    rh_queue_impl_t *queue = (rh_queue_impl_t *)self;
    bool sqlite = queue->source->dialect == RH_DIALECT_SQLITE, reached = true;
    const char *ms = rh_store_number(scratch, rh_store_ms(retention));
    const rh_statement_t *const *step;
    apr_status_t first = APR_SUCCESS;
    char oldest[RH_UUID_LEN + 1];

    rh_uuid_floor(apr_time_now() - retention, oldest);
    for (step = sqlite ? old : partitions; *step && reached; step++) {
        apr_array_header_t *rows;

        reached =
            goes_on(&first, sqlite ? remove_old(queue, *step, oldest, scratch)
                                   : rh_store_select(queue->source, *step, 1, &ms, scratch, &rows));
    }
    if (reached) {
        goes_on(&first, remove_old(queue, &rh_sql_old_keys, ms, scratch));
    }
    if (first == APR_SUCCESS) {
        const char *before = rh_store_number(scratch, rh_store_ms(apr_time_now() - retention));

        goes_on(&first,
                rh_store_execute(queue->source, &rh_sql_job_old, 1, &before, scratch, NULL));
    }
    return first;
}

static apr_status_t count_backlog(rh_queue_t *self, apr_pool_t *scratch, rh_backlog_t *backlog)
{
    rh_queue_impl_t *queue = (rh_queue_impl_t *)self;
    const char *most = rh_store_number(scratch, RH_BACKLOG_MOST);
    apr_array_header_t *rows;
    apr_status_t status = rh_store_select(queue->source, &rh_sql_backlog, 1, &most, scratch, &rows);

    memset(backlog, 0, sizeof(*backlog));
    if (status == APR_SUCCESS && rows->nelts == 1) {
        backlog->pending = rh_db_number(rh_row(rows, 0)[0]);
        backlog->due = rh_db_number(rh_row(rows, 0)[1]);
        backlog->oldest = rh_db_number(rh_row(rows, 0)[2]) * 1000;
    }
    return status;
}

static apr_status_t release_lease(rh_queue_t *self, apr_int64_t lease, apr_pool_t *scratch)
{
    rh_queue_impl_t *queue = (rh_queue_impl_t *)self;
    const char *arg = rh_store_number(scratch, lease);
    call_t call = {&rh_sql_release, 1, &arg, 0};

    return rh_store_run(queue->source, queue->source->dialect == RH_DIALECT_SQLITE, call_work,
                        &call, scratch);
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
    queue->base.release = release_lease;
    queue->source = source;
    rh_uuid_floor(0, queue->walk.at.subscription);
    return &queue->base;
}
