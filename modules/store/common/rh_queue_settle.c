/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Record outcomes of attempts in one commit. */
#include "rh_queue_private.h"

#include "rh_rows.h"

#include <stdlib.h>

/** Number of deliveries that are cancelled at a time. */
#define CANCEL_CHUNK "2000"

/** @param templates ids of what was sent, as rh_queue_template_rows() gives them */
static const char *outcomes_json(rh_settle_t *const *outcomes, int count,
                                 const char *const *templates, apr_pool_t *pool)
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
            rh_rows_text(&rows, "event_id", settle->event_id);
            rh_rows_optional(&rows, "type", settle->type);
            rh_rows_text(&rows, "attempt_id", attempt->id);
            rh_rows_number(&rows, "number", attempt->number);
            rh_rows_number(&rows, "started_at", rh_store_ms(attempt->started_at));
            rh_rows_number(&rows, "ms", rh_store_ms(attempt->duration));
            rh_rows_number(&rows, "status_code", attempt->status_code);
            rh_rows_text(&rows, "format", rh_format_name(attempt->format));
            rh_rows_text(&rows, "headers", attempt->headers);
            rh_rows_text(&rows, "answer", attempt->answer);
            rh_rows_text(&rows, "error", attempt->error);
            rh_rows_optional(&rows, "template", templates[i]);
            rh_rows_optional(&rows, "sent",
                             attempt->template && !templates[i] ? NULL : attempt->sent);
        }
    }
    return rh_rows_end(&rows);
}

apr_status_t rh_queue_cancel(rh_db_t *db, const char *tenant, const char *subscription_id,
                             apr_pool_t *pool, bool *more)
{
    int cancelled = 0;
    apr_status_t status =
        db->dialect->queue->cancel(db, tenant, subscription_id, CANCEL_CHUNK, pool, &cancelled);

    if (more) {
        *more = cancelled >= atoi(CANCEL_CHUNK);
    }
    return status;
}

/** Deliveries that do not fit in one chunk, or that an error prevents from being cancelled here,
 * are cancelled by a later claim. */
apr_status_t rh_queue_cancel_gone(rh_db_t *db, const apr_array_header_t *ended, apr_pool_t *pool)
{
    apr_status_t status = APR_SUCCESS;

    for (int i = 0; i < ended->nelts && status == APR_SUCCESS; i++) {
        const rh_settle_row_t *row = RH_ROW(settle, ended, i);

        if (!row->state || strcmp(row->state, "gone") == 0) {
            status = rh_queue_cancel(db, row->tenant, row->id, pool, NULL);
        }
    }
    return status;
}

/** The rows that a settle stores. */
typedef struct settling_t {
    const char *outcomes;  /**< rows */
    const char *templates; /**< rows; NULL: none */
} settling_t;

static apr_status_t settle_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    const settling_t *settling = baton;
    apr_status_t status = APR_SUCCESS;

    if (settling->templates) {
        status =
            rh_db_change(db, RH_QUERY(template_keep, .templates = settling->templates), pool, NULL);
    }
    return status == APR_SUCCESS ? db->dialect->queue->settle(db, settling->outcomes, pool)
                                 : status;
}

apr_status_t rh_queue_settle(rh_queue_t *self, rh_settle_t *const *outcomes, int count,
                             apr_pool_t *scratch)
{
    rh_queue_impl_t *queue = (rh_queue_impl_t *)self;
    const char **ids = apr_palloc(scratch, (apr_size_t)count * sizeof(*ids));
    apr_array_header_t *fresh = apr_array_make(scratch, 4, sizeof(const char *));
    settling_t settling;
    apr_status_t status;

    settling.templates = rh_queue_template_rows(queue, outcomes, count, ids, fresh, scratch);
    settling.outcomes = outcomes_json(outcomes, count, ids, scratch);
    status = rh_store_run(queue->source, queue->source->dialect->locks_writers, settle_work,
                          &settling, scratch);
    rh_queue_templates_stored(queue, fresh, status);
    return status;
}
