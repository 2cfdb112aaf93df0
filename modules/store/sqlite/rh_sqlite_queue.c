/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The queue in several statements per transaction, which locks out all other writers. */
#include "rh_sqlite.h"
#include "rh_rows.h"

/** Maximum time for which a parked delivery is not checked again if no settle wakes it. */
#define PARKED_TIMEOUT apr_time_from_sec(600)
/** Number of due deliveries of an ordered subscription to read per delivery to claim. */
#define READ_PER_TAKEN 4

static apr_status_t cancel(rh_db_t *db, const char *tenant, const char *subscription_id,
                           const char *limit, apr_pool_t *pool, int *cancelled)
{
    const rh_query_t *const steps[] = {RH_QUERY(cancel_count, .tenant = tenant,
                                                .subscription_id = subscription_id, .limit = limit),
                                       RH_QUERY(cancel_delivery, .tenant = tenant,
                                                .subscription_id = subscription_id,
                                                .limit = limit)};
    apr_status_t status = rh_db_change_all(db, steps, (int)RH_COUNT_OF(steps), pool);

    return status == APR_SUCCESS
               ? rh_db_change(db,
                              RH_QUERY(cancel_queue, .tenant = tenant,
                                       .subscription_id = subscription_id, .limit = limit),
                              pool, cancelled)
               : status;
}

/** Run a statement whose rows are ids. @param ids receives them as JSON; NULL: none */
static apr_status_t fetch_ids(rh_db_t *db, const rh_query_t *query, apr_pool_t *pool,
                              const char **ids)
{
    apr_array_header_t *rows, *strings;
    apr_status_t status = rh_db_fetch(db, query, pool, &rows);

    *ids = NULL;
    if (status == APR_SUCCESS && rows->nelts > 0) {
        strings = apr_array_make(pool, rows->nelts, sizeof(const char *));
        for (int i = 0; i < rows->nelts; i++) {
            APR_ARRAY_PUSH(strings, const char *) = RH_ROW(commit_events, rows, i)->id;
        }
        *ids = rh_rows_strings(pool, strings);
    }
    return status;
}

static apr_status_t settle(rh_db_t *db, const char *outcomes, apr_pool_t *pool)
{
    const char *before;
    apr_array_header_t *ended;
    apr_status_t status =
        fetch_ids(db, RH_QUERY(settle_known, .outcomes = outcomes), pool, &before);
    const char *known = before ? before : "[]";
    const rh_query_t *const steps[] = {
        RH_QUERY(settle_stat, .outcomes = outcomes, .known = known),
        RH_QUERY(settle_count, .outcomes = outcomes, .known = known),
        RH_QUERY(settle_again, .outcomes = outcomes, .known = known),
        RH_QUERY(settle_changed, .outcomes = outcomes, .known = known),
        RH_QUERY(settle_appended, .outcomes = outcomes, .known = known),
        RH_QUERY(settle_attempts, .outcomes = outcomes, .known = known),
        RH_QUERY(settle_wake, .outcomes = outcomes, .known = known),
        RH_QUERY(settle_remove, .outcomes = outcomes, .known = known)};

    if (status == APR_SUCCESS) {
        status = rh_db_change_all(db, steps, (int)RH_COUNT_OF(steps), pool);
    }
    if (status == APR_SUCCESS) {
        status = rh_db_fetch(
            db, RH_QUERY(settle_subscription, .outcomes = outcomes, .known = known), pool, &ended);
    }
    return status == APR_SUCCESS ? rh_queue_cancel_gone(db, ended, pool) : status;
}

static apr_status_t remove_logs(rh_db_source_t *source, apr_interval_time_t retention,
                                apr_pool_t *scratch)
{
    char kept[RH_UUID_LEN + 1];
    const rh_query_t *const steps[] = {
        RH_QUERY(old_attempts, .kept = kept, .limit = RH_QUEUE_CHUNK),
        RH_QUERY(old_deliveries, .kept = kept, .limit = RH_QUEUE_CHUNK),
        RH_QUERY(old_events, .kept = kept, .limit = RH_QUEUE_CHUNK),
        RH_QUERY(old_templates, .limit = RH_QUEUE_CHUNK,
                 .retention = rh_store_number(scratch, rh_store_ms(retention)))};
    apr_status_t first = APR_SUCCESS;

    rh_uuid_floor(apr_time_now() - retention, kept);
    for (int i = 0; i < (int)RH_COUNT_OF(steps); i++) {
        if (!rh_queue_goes_on(&first, rh_queue_remove_old(source, steps[i], scratch))) {
            return APR_EAGAIN;
        }
    }
    return first;
}

/* ---- commit ---- */

/** Insert idempotency keys, and find the first events of those that existed. */
static apr_status_t take_keys(rh_db_t *db, const rh_committing_t *commit, const char *now,
                              apr_pool_t *pool)
{
    apr_status_t status = APR_SUCCESS;
    bool found = false;

    for (int i = 0; i < commit->count && !found; i++) {
        found = commit->items[i]->event->client_id != NULL;
    }
    if (found) {
        status =
            rh_db_change(db, RH_QUERY(commit_keys, .now = now, .items = commit->rows), pool, NULL);
    }
    for (int i = 0; i < commit->count && status == APR_SUCCESS; i++) {
        if (commit->items[i]->event->client_id) {
            status = rh_queue_find_first(db, commit->items[i], pool);
        }
    }
    return status;
}

/** Find out whether an event is wide; if so, leave all but its first deliveries to expansions. */
static apr_status_t begin_expansions(rh_db_t *db, rh_committing_t *commit, const char *stored,
                                     const char *now, apr_pool_t *pool, bool *wide)
{
    apr_array_header_t *rows;
    apr_status_t status =
        rh_db_fetch(db, RH_QUERY(commit_is_wide, .targets = commit->targets), pool, &rows);

    *wide = status == APR_SUCCESS && rows->nelts > 0;
    return *wide ? rh_db_change(db,
                                RH_QUERY(commit_expansions, .targets = commit->targets, .now = now,
                                         .items = commit->rows, .stored = stored),
                                pool, &commit->waiting)
                 : status;
}

/** Make the deliveries of stored events. @param rows receives rows of commit_queue */
static apr_status_t queue_deliveries(rh_db_t *db, const rh_committing_t *commit, const char *stored,
                                     const char *now, bool wide, apr_pool_t *pool,
                                     apr_array_header_t **rows)
{
    const rh_claim_t *claim = commit->claim;
    const char *limit = rh_store_number(pool, claim->limit);
    const char *lease = rh_store_number(pool, claim->lease);
    const char *until = rh_queue_now(pool, claim->lease_for);

    return wide ? rh_db_fetch(db,
                              RH_QUERY(commit_queue_wide, .targets = commit->targets,
                                       .items = commit->rows, .stored = stored, .now = now,
                                       .limit = limit, .lease = lease, .leased_until = until),
                              pool, rows)
                : rh_db_fetch(db,
                              RH_QUERY(commit_queue, .targets = commit->targets,
                                       .items = commit->rows, .stored = stored, .now = now,
                                       .limit = limit, .lease = lease, .leased_until = until),
                              pool, rows);
}

/** Make jobs of what this commit has leased, and count what it has not. @param rows of commit_queue
 */
static apr_status_t hand_over(rh_db_t *db, rh_committing_t *commit, const apr_array_header_t *rows,
                              apr_pool_t *pool)
{
    const rh_claim_t *claim = commit->claim;
    apr_array_header_t *leased = apr_array_make(pool, rows->nelts + 1, sizeof(rh_leased_t));

    for (int i = 0; i < rows->nelts; i++) {
        const rh_commit_queue_row_t *row = RH_ROW(commit_queue, rows, i);

        /* If the limit is 0, no delivery was leased, whatever the lease is. */
        if (claim->limit > 0 && rh_db_number(row->waits) == 0) {
            rh_leased_t *one = apr_array_push(leased);

            one->tenant = row->tenant;
            one->id = row->delivery_id;
        } else {
            commit->waiting++;
        }
    }
    return rh_queue_jobs(db, leased, claim->lease, commit->lease_until, pool, commit->jobs, NULL);
}

static apr_status_t commit(rh_db_t *db, rh_committing_t *commit, apr_pool_t *pool)
{
    const char *now = rh_queue_now(pool, 0), *stored = NULL;
    apr_array_header_t *rows;
    apr_status_t status = take_keys(db, commit, now, pool);
    bool wide;

    commit->waiting = 0;
    if (status == APR_SUCCESS) {
        status = fetch_ids(db, RH_QUERY(commit_events, .items = commit->rows), pool, &stored);
    }
    if (status != APR_SUCCESS || !stored) {
        return status;
    }
    status = begin_expansions(db, commit, stored, now, pool, &wide);
    if (status == APR_SUCCESS) {
        status = queue_deliveries(db, commit, stored, now, wide, pool, &rows);
    }
    return status == APR_SUCCESS ? hand_over(db, commit, rows, pool) : status;
}

/* ---- claim ---- */

/** Record how long deliveries have been due, before some of them are leased. */
static apr_status_t note_late(rh_db_t *db, const rh_leasing_t *leasing,
                              const rh_candidate_t *candidate, const char *now, int limit,
                              apr_pool_t *pool)
{
    apr_array_header_t *rows;
    apr_status_t status = rh_db_fetch(db,
                                      RH_QUERY(claim_late, .tenant = candidate->tenant,
                                               .subscription_id = candidate->id, .now = now,
                                               .limit = apr_psprintf(pool, "%d", limit)),
                                      pool, &rows);

    for (int i = 0; status == APR_SUCCESS && i < rows->nelts; i++) {
        const rh_claim_late_row_t *row = RH_ROW(claim_late, rows, i);

        apr_hash_set(leasing->late, row->delivery_id, APR_HASH_KEY_STRING, row->late);
    }
    return status;
}

/** Park deliveries that wait for others of their key, so that they are not read again at once. */
static apr_status_t park_blocked(rh_db_t *db, const rh_candidate_t *candidate, const char *now,
                                 int limit, apr_pool_t *pool)
{
    const char *until = rh_queue_now(pool, PARKED_TIMEOUT);
    apr_status_t status = rh_db_change(
        db,
        RH_QUERY(claim_park, .tenant = candidate->tenant, .subscription_id = candidate->id,
                 .now = now, .parked_until = until, .looked_at = apr_psprintf(pool, "%d", limit)),
        pool, NULL);

    if (status == APR_SUCCESS) {
        status = rh_db_change(db,
                              RH_QUERY(claim_unpark, .tenant = candidate->tenant,
                                       .subscription_id = candidate->id, .now = now,
                                       .parked_until = until),
                              pool, NULL);
    }
    return status;
}

static apr_status_t lease_candidate(rh_db_t *db, const rh_leasing_t *leasing,
                                    const rh_candidate_t *candidate, const char *now,
                                    apr_pool_t *pool, apr_array_header_t **rows)
{
    const rh_claim_t *claim = leasing->claim;
    const char *lease = rh_store_number(pool, claim->lease);
    const char *until = rh_queue_now(pool, claim->lease_for);
    const char *limit = apr_psprintf(pool, "%d", candidate->most);
    const char *spare = claim->spare_leased ? "1" : "0";

    return candidate->ordered ? rh_db_fetch(db,
                                            RH_QUERY(claim_one_ordered, .tenant = candidate->tenant,
                                                     .subscription_id = candidate->id,
                                                     .lease = lease, .leased_until = until,
                                                     .now = now, .spare = spare, .limit = limit),
                                            pool, rows)
                              : rh_db_fetch(db,
                                            RH_QUERY(claim_one, .tenant = candidate->tenant,
                                                     .subscription_id = candidate->id,
                                                     .lease = lease, .leased_until = until,
                                                     .now = now, .spare = spare, .limit = limit),
                                            pool, rows);
}

static apr_status_t lease_one(rh_db_t *db, rh_leasing_t *leasing, const rh_candidate_t *candidate,
                              apr_pool_t *pool)
{
    const char *now = rh_queue_now(pool, 0);
    int look = candidate->most * (candidate->ordered ? READ_PER_TAKEN : 1);
    apr_array_header_t *rows;
    apr_status_t status = note_late(db, leasing, candidate, now, look, pool);

    if (status == APR_SUCCESS && candidate->pace > 0) {
        status = rh_db_change(db,
                              RH_QUERY(claim_pace, .tenant = candidate->tenant,
                                       .subscription_id = candidate->id,
                                       .until = rh_queue_now(pool, candidate->pace * 1000)),
                              pool, NULL);
    }
    if (status == APR_SUCCESS && candidate->ordered) {
        status = park_blocked(db, candidate, now, look, pool);
    }
    if (status == APR_SUCCESS) {
        status = lease_candidate(db, leasing, candidate, now, pool, &rows);
    }
    for (int i = 0; status == APR_SUCCESS && i < rows->nelts; i++) {
        const rh_claim_one_row_t *row = RH_ROW(claim_one, rows, i);
        rh_leased_t *leased = apr_array_push(leasing->leased);

        leased->tenant = row->tenant;
        leased->id = row->delivery_id;
    }
    return status;
}

static apr_status_t lease(rh_db_t *db, rh_leasing_t *leasing, apr_pool_t *pool)
{
    apr_status_t status = APR_SUCCESS;

    for (int i = 0; i < leasing->candidates->nelts && status == APR_SUCCESS; i++) {
        status =
            lease_one(db, leasing, &APR_ARRAY_IDX(leasing->candidates, i, rh_candidate_t), pool);
    }
    return status;
}

const rh_queue_steps_t rh_sqlite_queue = {
    .cancel = cancel,
    .settle = settle,
    .commit = commit,
    .lease = lease,
    .remove_logs = remove_logs,
};
