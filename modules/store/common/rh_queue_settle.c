/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Outcomes of attempts, in one commit. */
#include "rh_queue_private.h"
#include "rh_rows.h"

static const char *outcomes_json(rh_settle_t *const *outcomes, int count, apr_pool_t *pool)
{
    rh_rows_t rows;
    int i;

    rh_rows_begin(&rows, pool);
    for (i = 0; i < count; i++) {
        const rh_settle_t *settle = outcomes[i];
        const rh_attempt_t *attempt = &settle->attempt;

        rh_rows_next(&rows);
        rh_rows_text(&rows, "kind", rh_settle_kind_name(settle->kind));
        rh_rows_text(&rows, "tenant", settle->tenant);
        rh_rows_text(&rows, "id", settle->delivery_id);
        rh_rows_text(&rows, "subscription_id", settle->subscription_id);
        rh_rows_number(&rows, "lease", settle->lease);
        rh_rows_number(&rows, "delay", rh_store_ms_up(settle->delay));
        rh_rows_number(&rows, "pause", rh_store_ms_up(settle->pause));
        rh_rows_text(&rows, "reason", settle->reason);
        if (settle->kind != RH_SETTLE_RELEASE) {
            rh_rows_text(&rows, "attempt_id", attempt->id);
            rh_rows_number(&rows, "number", attempt->number);
            rh_rows_number(&rows, "started_at", rh_store_ms(attempt->started_at));
            rh_rows_number(&rows, "ms", rh_store_ms(attempt->duration));
            rh_rows_number(&rows, "status_code", attempt->status_code);
            rh_rows_text(&rows, "format", rh_format_name(attempt->format));
            rh_rows_text(&rows, "headers", attempt->headers);
            rh_rows_text(&rows, "answer", attempt->answer);
            rh_rows_text(&rows, "error", attempt->error);
            rh_rows_optional(&rows, "sent", attempt->sent);
        }
    }
    return rh_rows_end(&rows);
}

/** Subscriptions whose target is gone: their other deliveries are cancelled. What is more than a
 * chunk, or is not reached, is cancelled by who comes to claim it. */
static apr_status_t cancel_gone(rh_db_t *db, const apr_array_header_t *gone, apr_pool_t *pool)
{
    apr_status_t status = APR_SUCCESS;
    int i;

    for (i = 0; i < gone->nelts && status == APR_SUCCESS; i++) {
        const char **row = rh_row(gone, i);

        if (!row[2] || strcmp(row[2], "gone") == 0) {
            status = rh_queue_cancel(db, row[0], row[1], pool, NULL);
        }
    }
    return status;
}

static apr_status_t settle_pgsql(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    const char *outcomes = baton;
    apr_array_header_t *gone;
    apr_status_t status = rh_db_select(db, &rh_sql_settle, 1, &outcomes, pool, &gone);

    if (status == APR_SUCCESS && cancel_gone(db, gone, pool) != APR_SUCCESS) {
        rh_log(db->log, RH_LOG_INFO, 0, "RH0120",
               "deliveries of a subscription that is gone are cancelled later");
    }
    return status;
}

static apr_status_t settle_sqlite(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    static const struct {
        const rh_statement_t *statement;
        int count;
    } steps[] = {{&rh_sql_settle_stat, 1},  {&rh_sql_settle_attempts, 1},
                 {&rh_sql_settle_again, 1}, {&rh_sql_settle_delivery, 1},
                 {&rh_sql_settle_wake, 2},  {&rh_sql_settle_remove, 1}};
    const char *args[] = {baton, baton};
    apr_status_t status = APR_SUCCESS;
    apr_array_header_t *gone;
    apr_size_t i;

    for (i = 0; i < RH_COUNT_OF(steps) && status == APR_SUCCESS; i++) {
        status = rh_db_execute(db, steps[i].statement, steps[i].count, args, pool, NULL);
    }
    if (status == APR_SUCCESS) {
        status = rh_db_select(db, &rh_sql_settle_subscription, 1, args, pool, &gone);
    }
    return status == APR_SUCCESS ? cancel_gone(db, gone, pool) : status;
}

apr_status_t rh_queue_settle(rh_queue_t *self, rh_settle_t *const *outcomes, int count,
                             apr_pool_t *scratch)
{
    rh_queue_impl_t *queue = (rh_queue_impl_t *)self;
    bool sqlite = queue->source->dialect == RH_DIALECT_SQLITE;
    char *json = (char *)outcomes_json(outcomes, count, scratch);

    return rh_store_run(queue->source, sqlite, sqlite ? settle_sqlite : settle_pgsql, json,
                        scratch);
}
