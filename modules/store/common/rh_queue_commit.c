/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Store events and their deliveries in one commit. */
#include "rh_matching.h"
#include "rh_queue_private.h"
#include "rh_rows.h"

static const char *items_json(rh_commit_t *const *items, int count, apr_pool_t *pool)
{
    rh_rows_t rows;
    int i;

    rh_rows_begin(&rows, pool);
    for (i = 0; i < count; i++) {
        const rh_event_t *event = items[i]->event;

        rh_rows_next(&rows);
        rh_rows_number(&rows, "n", i);
        rh_rows_text(&rows, "id", event->id);
        rh_rows_text(&rows, "tenant", event->tenant);
        rh_rows_text(&rows, "type", event->type);
        rh_rows_optional(&rows, "key", event->key);
        rh_rows_optional(&rows, "client_id", event->client_id);
        rh_rows_optional(&rows, "traceparent", event->traceparent);
        rh_rows_number(&rows, "time", rh_store_ms(event->time));
        rh_rows_text(&rows, "source", rh_event_source_name(event->source));
        if (rh_matching_sends(event)) {
            rh_rows_number(&rows, "sent", 1);
        }
        rh_rows_bytes(&rows, "data", event->data.data, event->data.len);
        if (event->previous.data) {
            rh_rows_bytes(&rows, "previous", event->previous.data, event->previous.len);
        }
        rh_rows_optional(&rows, "reason", event->reason);
        if (event->hops > 0) {
            rh_rows_number(&rows, "hops", event->hops);
        }
    }
    return rh_rows_end(&rows);
}

/** Return the patterns that match the types of the events to send, one row per tenant, type and
 * pattern. */
static const char *targets_json(rh_commit_t *const *items, int count, apr_pool_t *pool)
{
    apr_hash_t *seen = apr_hash_make(pool);
    rh_rows_t rows;
    int i, j;

    rh_rows_begin(&rows, pool);
    for (i = 0; i < count; i++) {
        const rh_event_t *event = items[i]->event;
        /* A space separates the two unambiguously, because a type contains none. */
        const char *pair = apr_pstrcat(pool, event->type, " ", event->tenant, NULL);
        apr_array_header_t *patterns;

        if (!rh_matching_sends(event) || apr_hash_get(seen, pair, APR_HASH_KEY_STRING)) {
            continue;
        }
        apr_hash_set(seen, pair, APR_HASH_KEY_STRING, pair);
        patterns = rh_matching_patterns(pool, event->type);
        for (j = 0; j < patterns->nelts; j++) {
            rh_rows_next(&rows);
            rh_rows_text(&rows, "tenant", event->tenant);
            rh_rows_text(&rows, "type", event->type);
            rh_rows_text(&rows, "pattern", APR_ARRAY_IDX(patterns, j, const char *));
        }
    }
    return rh_rows_end(&rows);
}

/** If the row names this event itself, the commit is repeated because its response was lost. */
apr_status_t rh_queue_find_first(rh_db_t *db, rh_commit_t *item, apr_pool_t *pool)
{
    apr_array_header_t *rows;
    apr_status_t status = rh_db_fetch(db,
                                      RH_QUERY(idempotency_get, .tenant = item->event->tenant,
                                               .client_id = item->event->client_id),
                                      pool, &rows);

    if (status == APR_SUCCESS && rows->nelts == 0) {
        /* Housekeeping removed the key in the meantime. */
        status = APR_EAGAIN;
    }
    if (status == APR_SUCCESS) {
        const char *id = RH_ROW(idempotency_get, rows, 0)->event_id;

        item->duplicate = strcmp(id, item->event->id) != 0;
        item->stored_id = item->duplicate ? id : item->event->id;
    }
    return status;
}

static apr_status_t commit_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    return db->dialect->queue->commit(db, baton, pool);
}

apr_status_t rh_queue_commit(rh_queue_t *self, rh_commit_t **items, int count,
                             const rh_claim_t *claim, apr_pool_t *scratch, apr_array_header_t *jobs,
                             int *waiting)
{
    rh_queue_impl_t *queue = (rh_queue_impl_t *)self;
    rh_committing_t commit = {0};
    apr_status_t status;
    int i, before = jobs->nelts;

    for (i = 0; i < count; i++) {
        items[i]->stored_id = items[i]->event->id;
        items[i]->duplicate = false;
    }
    commit.items = items;
    commit.count = count;
    commit.claim = claim;
    commit.rows = items_json(items, count, scratch);
    commit.targets = targets_json(items, count, scratch);
    commit.jobs = jobs;
    /* The lease in the database begins later, so it also ends later than this. */
    commit.lease_until = apr_time_now() + claim->lease_for;
    status = rh_store_run(queue->source, queue->source->dialect->locks_writers, commit_work,
                          &commit, scratch);
    if (status != APR_SUCCESS) {
        while (jobs->nelts > before) {
            rh_job_destroy(*(rh_job_t **)apr_array_pop(jobs));
        }
        return status;
    }
    for (i = 0; i < count; i++) {
        items[i]->status = APR_SUCCESS;
    }
    *waiting = commit.waiting;
    return APR_SUCCESS;
}
