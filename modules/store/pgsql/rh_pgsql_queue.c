/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The queue in single statements: one round trip and one snapshot each. */
#include "rh_pgsql.h"
#include "rh_rows.h"

static apr_status_t cancel(rh_db_t *db, const char *tenant, const char *subscription_id,
                           const char *limit, apr_pool_t *pool, int *cancelled)
{
    apr_array_header_t *rows;
    apr_status_t status = rh_db_fetch(
        db, RH_QUERY(cancel, .tenant = tenant, .subscription_id = subscription_id, .limit = limit),
        pool, &rows);

    if (status == APR_SUCCESS && rows->nelts == 1) {
        *cancelled = (int)rh_db_number(RH_ROW(cancel, rows, 0)->cancelled);
    }
    return status;
}

static apr_status_t settle(rh_db_t *db, const char *outcomes, apr_pool_t *pool)
{
    apr_array_header_t *ended;
    apr_status_t status = rh_db_fetch(db, RH_QUERY(settle, .outcomes = outcomes), pool, &ended);

    /* The outcomes are stored, so an error from here on does not fail the settle. */
    if (status == APR_SUCCESS && rh_queue_cancel_gone(db, ended, pool) != APR_SUCCESS) {
        rh_log(db->log, RH_LOG_INFO, 0, "RH0120",
               "deliveries of a subscription that is gone are cancelled later");
    }
    return status;
}

/** Create partitions first: inserts depend on them, and clean-up can wait. */
static apr_status_t remove_logs(rh_db_source_t *source, apr_interval_time_t retention,
                                apr_pool_t *scratch)
{
    const char *ms = rh_store_number(scratch, rh_store_ms(retention));
    apr_array_header_t *rows;
    apr_status_t first = APR_SUCCESS;

    if (!rh_queue_goes_on(&first, rh_store_fetch(source, RH_QUERY(partitions_make, .retention = ms),
                                                 scratch, &rows)) ||
        !rh_queue_goes_on(&first, rh_store_fetch(source, RH_QUERY(partitions_drop, .retention = ms),
                                                 scratch, &rows)) ||
        !rh_queue_goes_on(&first, rh_queue_remove_old(source,
                                                      RH_QUERY(old_templates, .retention = ms,
                                                               .limit = RH_QUEUE_CHUNK),
                                                      scratch))) {
        return APR_EAGAIN;
    }
    return first;
}

/* ---- commit ---- */

/** Make a job from a row and the event, which is in memory. */
static rh_job_t *make_job(const rh_commit_row_t *row, const rh_event_t *event,
                          const rh_committing_t *commit)
{
    rh_job_t *job = rh_job_make();
    apr_pool_t *pool;

    if (!job) {
        return NULL;
    }
    pool = job->pool;
    job->event = *rh_event_copy(pool, event);
    job->tenant = job->event.tenant;
    job->delivery_id = apr_pstrdup(pool, row->delivery_id);
    job->subscription_id = apr_pstrdup(pool, row->subscription_id);
    job->old_secret = apr_pstrdup(pool, rh_db_text(row->old_secret));
    job->base_url = apr_pstrdup(pool, row->base_url ? row->base_url : "");
    RH_JOB_MEMBERS
    job->failing_for = rh_db_number(row->failing_for) * 1000;
    job->lease = commit->claim->lease;
    job->lease_until = commit->lease_until;
    return job;
}

static apr_status_t commit(rh_db_t *db, rh_committing_t *commit, apr_pool_t *pool)
{
    const rh_claim_t *claim = commit->claim;
    apr_array_header_t *rows;
    apr_status_t status =
        rh_db_fetch(db,
                    RH_QUERY(commit, .items = commit->rows, .targets = commit->targets,
                             .limit = rh_store_number(pool, claim->limit),
                             .lease_for = rh_store_number(pool, rh_store_ms_up(claim->lease_for)),
                             .lease = rh_store_number(pool, claim->lease)),
                    pool, &rows);

    for (int i = 0; status == APR_SUCCESS && i < rows->nelts; i++) {
        const rh_commit_row_t *row = RH_ROW(commit, rows, i);
        int n = (int)rh_db_number(row->n);

        if (n < 0 || n >= commit->count) {
            commit->waiting = (int)rh_db_number(row->waiting);
        } else if (!rh_db_text(row->delivery_id)) {
            status = rh_queue_find_first(db, commit->items[n], pool);
        } else {
            rh_job_t *job = make_job(row, commit->items[n]->event, commit);

            if (job) { /* if that fails, the delivery is claimed when its lease ends */
                APR_ARRAY_PUSH(commit->jobs, rh_job_t *) = job;
            }
        }
    }
    return status;
}

/* ---- claim ---- */

static const char *candidates_json(const rh_leasing_t *leasing, bool ordered, apr_pool_t *pool)
{
    rh_rows_t rows;
    int count = 0;

    rh_rows_begin(&rows, pool);
    for (int i = 0; i < leasing->candidates->nelts; i++) {
        const rh_candidate_t *candidate = &APR_ARRAY_IDX(leasing->candidates, i, rh_candidate_t);

        if (candidate->ordered == ordered) {
            rh_rows_next(&rows);
            rh_rows_text(&rows, "tenant", candidate->tenant);
            rh_rows_text(&rows, "id", candidate->id);
            rh_rows_number(&rows, "most", candidate->most);
            rh_rows_number(&rows, "pace", candidate->pace);
            count++;
        }
    }
    return count > 0 ? rh_rows_end(&rows) : NULL;
}

static void add_leased(const rh_leasing_t *leasing, const apr_array_header_t *rows)
{
    for (int i = 0; i < rows->nelts; i++) {
        const rh_claim_row_t *row = RH_ROW(claim, rows, i);
        rh_leased_t *leased = apr_array_push(leasing->leased);

        leased->tenant = row->tenant;
        leased->id = row->delivery_id;
        apr_hash_set(leasing->late, row->delivery_id, APR_HASH_KEY_STRING, row->late);
    }
}

static apr_status_t lease(rh_db_t *db, rh_leasing_t *leasing, apr_pool_t *pool)
{
    const rh_claim_t *claim = leasing->claim;
    const char *spare = claim->spare_leased ? "1" : "0";
    const char *token = rh_store_number(pool, claim->lease);
    const char *lease_for = rh_store_number(pool, rh_store_ms_up(claim->lease_for));
    const char *plain = candidates_json(leasing, false, pool);
    const char *ordered = candidates_json(leasing, true, pool);
    apr_array_header_t *rows;
    apr_status_t status = APR_SUCCESS;

    if (plain) {
        status = rh_db_fetch(db,
                             RH_QUERY(claim, .candidates = plain, .spare = spare, .lease = token,
                                      .lease_for = lease_for),
                             pool, &rows);
        if (status == APR_SUCCESS) {
            add_leased(leasing, rows);
        }
    }
    if (status == APR_SUCCESS && ordered) {
        status = rh_db_fetch(db,
                             RH_QUERY(claim_ordered, .candidates = ordered, .spare = spare,
                                      .lease = token, .lease_for = lease_for),
                             pool, &rows);
        if (status == APR_SUCCESS) {
            add_leased(leasing, rows);
        }
    }
    return status;
}

const rh_queue_steps_t rh_pgsql_queue = {
    .cancel = cancel,
    .settle = settle,
    .commit = commit,
    .lease = lease,
    .remove_logs = remove_logs,
};
