/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Lease due deliveries, and make jobs from them. */
#include "rh_queue_private.h"
#include "rh_rows.h"

typedef struct claim_t {
    const rh_claim_t *claim;
    apr_time_t lease_until;
    apr_array_header_t *candidates; /**< of rh_candidate_t */
    apr_array_header_t *jobs;
    apr_array_header_t *lost; /**< rh_settle_t * of deliveries whose event is gone */
} claim_t;

/* ---- jobs ---- */

static const char *leased_json(const apr_array_header_t *leased, apr_pool_t *pool)
{
    rh_rows_t rows;

    rh_rows_begin(&rows, pool);
    for (int i = 0; i < leased->nelts; i++) {
        const rh_leased_t *one = &APR_ARRAY_IDX(leased, i, rh_leased_t);

        rh_rows_next(&rows);
        rh_rows_text(&rows, "tenant", one->tenant);
        rh_rows_text(&rows, "id", one->id);
    }
    return rh_rows_end(&rows);
}

static rh_job_t *make_job(const rh_claim_jobs_row_t *row, apr_int64_t lease, apr_time_t lease_until)
{
    rh_job_t *job = rh_job_make();
    apr_pool_t *pool;

    if (!job) {
        return NULL;
    }
    pool = job->pool;
    job->delivery_id = apr_pstrdup(pool, row->delivery_id);
    job->tenant = job->event.tenant = apr_pstrdup(pool, row->tenant);
    job->subscription_id = apr_pstrdup(pool, row->subscription_id);
    job->event.id = apr_pstrdup(pool, row->event_id);
    job->tries = (int)rh_db_number(row->tries);
    job->tries = job->tries < 0 ? 0 : job->tries;
    job->attempt_count = (int)rh_db_number(row->attempt_count);
    job->old_secret = apr_pstrdup(pool, rh_db_text(row->old_secret));
    job->base_url = apr_pstrdup(pool, row->base_url ? row->base_url : "");
    RH_JOB_MEMBERS
    job->failing_for = rh_db_number(row->failing_for) * 1000;
    job->event.type = apr_pstrdup(pool, row->type);
    job->event.key = apr_pstrdup(pool, rh_db_text(row->key));
    job->event.traceparent = apr_pstrdup(pool, rh_db_text(row->traceparent));
    job->event.time = rh_db_number(row->time) * 1000;
    job->event.data.data = apr_pstrdup(pool, row->data);
    job->event.data.len = strlen(job->event.data.data);
    if (rh_db_text(row->previous)) {
        job->event.previous.data = apr_pstrdup(pool, row->previous);
        job->event.previous.len = strlen(job->event.previous.data);
    }
    job->event.hops = (int)rh_db_number(row->hops);
    job->lease = lease;
    job->lease_until = lease_until;
    return job;
}

/** Return the outcome of a delivery that can't be attempted because its event is past retention. */
static rh_settle_t *make_lost(const rh_claim_jobs_row_t *row, apr_int64_t lease, apr_pool_t *pool)
{
    rh_settle_t *settle = apr_pcalloc(pool, sizeof(*settle));
    char *id = apr_palloc(pool, RH_UUID_LEN + 1);

    rh_uuid_make(id);
    settle->kind = RH_SETTLE_FAILED;
    settle->delivery_id = row->delivery_id;
    settle->tenant = row->tenant;
    settle->event_id = row->event_id;
    settle->subscription_id = row->subscription_id;
    settle->lease = lease;
    settle->attempt.id = id;
    settle->attempt.number = (int)rh_db_number(row->attempt_count) + 1;
    settle->attempt.started_at = apr_time_now();
    settle->attempt.error = "not sent: the event is past its retention";
    return settle;
}

apr_status_t rh_queue_jobs(rh_db_t *db, const apr_array_header_t *leased, apr_int64_t lease,
                           apr_time_t lease_until, apr_pool_t *pool, apr_array_header_t *jobs,
                           apr_array_header_t *lost)
{
    apr_array_header_t *rows;
    apr_status_t status;

    if (leased->nelts == 0) {
        return APR_SUCCESS;
    }
    status = rh_db_fetch(db,
                         RH_QUERY(claim_jobs, .leased = leased_json(leased, pool),
                                  .lease = rh_store_number(pool, lease)),
                         pool, &rows);
    for (int i = 0; status == APR_SUCCESS && i < rows->nelts; i++) {
        const rh_claim_jobs_row_t *row = RH_ROW(claim_jobs, rows, i);
        rh_job_t *job;

        if (!row->data) {
            if (lost) {
                APR_ARRAY_PUSH(lost, rh_settle_t *) = make_lost(row, lease, pool);
            }
            continue;
        }
        job = make_job(row, lease, lease_until);
        if (job) {
            APR_ARRAY_PUSH(jobs, rh_job_t *) = job;
        }
    }
    return status;
}

/* ---- leasing ---- */

/** Set due_at on each job. @param late milliseconds that deliveries have been due, as text; by id
 */
static void set_due(const apr_array_header_t *jobs, int first, apr_hash_t *late)
{
    apr_time_t now = apr_time_now();

    for (int i = first; i < jobs->nelts; i++) {
        rh_job_t *job = APR_ARRAY_IDX(jobs, i, rh_job_t *);
        const char *ms = apr_hash_get(late, job->delivery_id, APR_HASH_KEY_STRING);

        if (rh_db_text(ms)) {
            job->due_at = now - rh_db_number(ms) * 1000;
        }
    }
}

static apr_status_t claim_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    claim_t *claim = baton;
    rh_leasing_t leasing = {claim->claim, claim->candidates,
                            apr_array_make(pool, 64, sizeof(rh_leased_t)), apr_hash_make(pool)};
    apr_status_t status = db->dialect->queue->lease(db, &leasing, pool);
    int before = claim->jobs->nelts;

    if (status == APR_SUCCESS) {
        status = rh_queue_jobs(db, leasing.leased, claim->claim->lease, claim->lease_until, pool,
                               claim->jobs, claim->lost);
        set_due(claim->jobs, before, leasing.late);
    }
    return status;
}

apr_status_t rh_queue_claim(rh_queue_t *self, rh_claim_t *what, apr_pool_t *scratch,
                            apr_array_header_t *jobs)
{
    rh_queue_impl_t *queue = (rh_queue_impl_t *)self;
    claim_t claim = {0};
    apr_status_t status;

    claim.claim = what;
    claim.candidates = apr_array_make(scratch, 64, sizeof(rh_candidate_t));
    claim.jobs = jobs;
    claim.lost = apr_array_make(scratch, 4, sizeof(rh_settle_t *));
    status = rh_queue_choose(queue, what, claim.candidates, scratch);
    if (status != APR_SUCCESS || claim.candidates->nelts == 0) {
        return status;
    }
    claim.lease_until = apr_time_now() + what->lease_for;
    status = rh_store_run(queue->source, queue->source->dialect->locks_writers, claim_work, &claim,
                          scratch);
    if (status == APR_SUCCESS && claim.lost->nelts > 0) {
        status = rh_queue_settle(self, (rh_settle_t *const *)claim.lost->elts, claim.lost->nelts,
                                 scratch);
    }
    return status;
}
