/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Events, with their deliveries, in one commit. */
#include "rh_matching.h"
#include "rh_queue_private.h"
#include "rh_rows.h"

#include <apr_hash.h>

typedef struct commit_t {
    rh_commit_t **items;
    int count;
    const rh_claim_t *claim;
    const char *rows;    /**< the items as JSON */
    const char *targets; /**< tenants, types and patterns as JSON */
    apr_time_t lease_until;
    apr_array_header_t *jobs;
    int waiting;
} commit_t;

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

/** The patterns that cover the types of events that are sent: one row each, per tenant and type. */
static const char *targets_json(rh_commit_t *const *items, int count, apr_pool_t *pool)
{
    apr_hash_t *seen = apr_hash_make(pool);
    rh_rows_t rows;
    int i, j;

    rh_rows_begin(&rows, pool);
    for (i = 0; i < count; i++) {
        const rh_event_t *event = items[i]->event;
        /* A type has no space. */
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

/**
 * The key of an event was seen: whose is it?
 * An answer that names this event itself is a repetition of a commit whose answer got lost.
 */
static apr_status_t find_first(rh_db_t *db, rh_commit_t *item, apr_pool_t *pool)
{
    const char *args[] = {item->event->tenant, item->event->client_id};
    apr_array_header_t *rows;
    apr_status_t status = rh_db_select(db, &rh_sql_idempotency_get, 2, args, pool, &rows);

    if (status == APR_SUCCESS && rows->nelts == 0) {
        /* Forgotten just now. */
        status = APR_EAGAIN;
    }
    if (status == APR_SUCCESS) {
        const char *id = rh_row(rows, 0)[0];

        item->duplicate = strcmp(id, item->event->id) != 0;
        item->stored_id = item->duplicate ? id : item->event->id;
    }
    return status;
}

/** A job from a row of rh_sql_commit: the rest of it is the event's, in memory. */
static rh_job_t *make_job(const char **row, const rh_event_t *event, const commit_t *commit)
{
    rh_job_t *job = rh_job_make();
    apr_pool_t *pool;

    if (!job) {
        return NULL;
    }
    pool = job->pool;
    job->tenant = apr_pstrdup(pool, event->tenant);
    job->delivery_id = apr_pstrdup(pool, row[1]);
    job->subscription_id = apr_pstrdup(pool, row[2]);
    job->event.id = apr_pstrdup(pool, event->id);
    job->event.tenant = job->tenant;
    job->event.type = apr_pstrdup(pool, event->type);
    job->event.key = apr_pstrdup(pool, event->key);
    job->event.traceparent = apr_pstrdup(pool, event->traceparent);
    job->event.time = event->time;
    job->event.source = event->source;
    job->event.hops = event->hops;
    job->event.data.data = apr_pstrmemdup(pool, event->data.data, event->data.len);
    job->event.data.len = event->data.len;
    if (event->previous.data) {
        job->event.previous.data = apr_pstrmemdup(pool, event->previous.data, event->previous.len);
        job->event.previous.len = event->previous.len;
    }
    job->target_url = apr_pstrdup(pool, row[3]);
    job->headers = apr_pstrdup(pool, row[4]);
    job->secret = apr_pstrdup(pool, row[5]);
    job->old_secret = apr_pstrdup(pool, rh_db_text(row[6]));
    job->base_url = apr_pstrdup(pool, row[7] ? row[7] : "");
    rh_format_parse(row[8], &job->format);
    job->failing_for = rh_db_number(row[9]) * 1000;
    job->lease = commit->claim->lease;
    job->lease_until = commit->lease_until;
    return job;
}

static apr_status_t commit_pgsql(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    commit_t *commit = baton;
    const rh_claim_t *claim = commit->claim;
    const char *args[] = {commit->rows, commit->targets, rh_store_number(pool, claim->limit),
                          rh_store_number(pool, rh_store_ms_up(claim->lease_for)),
                          rh_store_number(pool, claim->lease)};
    apr_array_header_t *rows;
    apr_status_t status = rh_db_select(db, &rh_sql_commit, 5, args, pool, &rows);
    int i;

    for (i = 0; status == APR_SUCCESS && i < rows->nelts; i++) {
        const char **row = rh_row(rows, i);
        int n = (int)rh_db_number(row[0]);

        if (n < 0 || n >= commit->count) {
            commit->waiting = (int)rh_db_number(row[9]);
        } else if (!rh_db_text(row[1])) {
            status = find_first(db, commit->items[n], pool);
        } else {
            rh_job_t *job = make_job(row, commit->items[n]->event, commit);

            if (job) { /* else it is claimed when its lease ends */
                APR_ARRAY_PUSH(commit->jobs, rh_job_t *) = job;
            }
        }
    }
    return status;
}

/** Is there an event with an idempotency key? */
static bool has_keys(const commit_t *commit)
{
    for (int i = 0; i < commit->count; i++) {
        if (commit->items[i]->event->client_id) {
            return true;
        }
    }
    return false;
}

/** The same in steps, in a transaction. */
static apr_status_t commit_sqlite(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    commit_t *commit = baton;
    const rh_claim_t *claim = commit->claim;
    const char *now = rh_queue_now(pool, 0), *limit = rh_store_number(pool, claim->limit);
    const char *lease = rh_store_number(pool, claim->lease);
    const char *keys[] = {now, commit->rows};
    const char *expansions[] = {commit->targets, now, commit->rows};
    const char *plain[] = {commit->rows, commit->targets};
    const char *wide[] = {commit->targets, commit->rows};
    const char *queue[] = {
        limit, rh_queue_now(pool, claim->lease_for), now, limit, lease, now, commit->rows};
    const char *leased[] = {lease, commit->rows};
    apr_array_header_t *rows, *mine;
    bool is_wide = false;
    int expanding = 0;
    apr_status_t status = APR_SUCCESS;
    int i;

    if (has_keys(commit)) {
        status = rh_db_execute(db, &rh_sql_commit_keys, 2, keys, pool, NULL);
    }
    for (i = 0; i < commit->count && status == APR_SUCCESS; i++) {
        if (commit->items[i]->event->client_id) {
            status = find_first(db, commit->items[i], pool);
        }
    }
    if (status == APR_SUCCESS) {
        status = rh_db_select(db, &rh_sql_commit_is_wide, 1, &commit->targets, pool, &rows);
        is_wide = status == APR_SUCCESS && rows->nelts > 0;
    }
    if (is_wide) {
        status = rh_db_execute(db, &rh_sql_commit_expansions, 3, expansions, pool, &expanding);
    }
    if (status == APR_SUCCESS) {
        status = rh_db_execute(db, &rh_sql_commit_events, 1, &commit->rows, pool, NULL);
    }
    if (status == APR_SUCCESS) {
        status = is_wide ? rh_db_execute(db, &rh_sql_commit_deliveries_wide, 2, wide, pool, NULL)
                         : rh_db_execute(db, &rh_sql_commit_deliveries, 2, plain, pool, NULL);
    }
    if (status == APR_SUCCESS) {
        status = rh_db_execute(db, &rh_sql_commit_queue, 7, queue, pool, NULL);
    }
    if (status == APR_SUCCESS) {
        status = rh_db_select(db, &rh_sql_commit_leased, 2, leased, pool, &rows);
    }
    if (status != APR_SUCCESS) {
        return status;
    }
    commit->waiting = expanding;
    mine = apr_array_make(pool, rows->nelts + 1, sizeof(const char **));
    for (i = 0; i < rows->nelts; i++) {
        /* Without a limit none was leased by this commit, whatever this process has. */
        if (claim->limit > 0 && rh_db_number(rh_row(rows, i)[2]) == 0) {
            APR_ARRAY_PUSH(mine, const char **) = rh_row(rows, i);
        } else {
            commit->waiting++;
        }
    }
    return rh_queue_jobs(db, mine, claim->lease, commit->lease_until, pool, commit->jobs, NULL);
}

apr_status_t rh_queue_commit(rh_queue_t *self, rh_commit_t **items, int count,
                             const rh_claim_t *claim, apr_pool_t *scratch, apr_array_header_t *jobs,
                             int *waiting)
{
    rh_queue_impl_t *queue = (rh_queue_impl_t *)self;
    bool sqlite = queue->source->dialect == RH_DIALECT_SQLITE;
    commit_t commit = {0};
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
    /* The store's lease begins later than this. */
    commit.lease_until = apr_time_now() + claim->lease_for;
    status = rh_store_run(queue->source, sqlite, sqlite ? commit_sqlite : commit_pgsql, &commit,
                          scratch);
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
