/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Leases due deliveries and makes jobs of them. */
#include "rh_queue_private.h"
#include "rh_rows.h"

#include <apr_hash.h>

/** Longest time that a parked delivery is not looked at if no settle wakes it. */
#define PARKED_TIMEOUT apr_time_from_sec(600)
/** Number of an ordered subscription's due deliveries to read for each one to take. */
#define READ_PER_TAKEN 4

typedef struct claim_t {
    rh_claim_t *claim;
    apr_time_t lease_until;
    apr_array_header_t *candidates; /**< of rh_candidate_t */
    apr_array_header_t *jobs;
    apr_array_header_t *lost; /**< of rh_settle_t *: their event is gone */
    apr_hash_t *late;         /**< milliseconds that deliveries have been due, as text; by id */
} claim_t;

/* ---- jobs ---- */

static const char *pairs_json(const apr_array_header_t *pairs, apr_pool_t *pool)
{
    rh_rows_t rows;
    int i;

    rh_rows_begin(&rows, pool);
    for (i = 0; i < pairs->nelts; i++) {
        rh_rows_next(&rows);
        rh_rows_text(&rows, "tenant", rh_row(pairs, i)[0]);
        rh_rows_text(&rows, "id", rh_row(pairs, i)[1]);
    }
    return rh_rows_end(&rows);
}

/** A job from a row of rh_sql_claim_jobs. */
static rh_job_t *make_job(const char **row, apr_int64_t lease, apr_time_t lease_until)
{
    rh_job_t *job = rh_job_make();
    apr_pool_t *pool;

    if (!job) {
        return NULL;
    }
    pool = job->pool;
    job->delivery_id = apr_pstrdup(pool, row[0]);
    job->tenant = job->event.tenant = apr_pstrdup(pool, row[1]);
    job->subscription_id = apr_pstrdup(pool, row[2]);
    job->event.id = apr_pstrdup(pool, row[3]);
    job->tries = (int)rh_db_number(row[4]);
    job->tries = job->tries < 0 ? 0 : job->tries;
    job->attempt_count = (int)rh_db_number(row[5]);
    job->target_url = apr_pstrdup(pool, row[6]);
    job->headers = apr_pstrdup(pool, row[7]);
    job->secret = apr_pstrdup(pool, row[8]);
    job->old_secret = apr_pstrdup(pool, rh_db_text(row[9]));
    job->base_url = apr_pstrdup(pool, row[10] ? row[10] : "");
    rh_format_parse(row[11], &job->format);
    job->ordered = rh_db_number(row[12]) != 0;
    job->rate_limit = (int)rh_db_number(row[13]);
    job->failing_for = rh_db_number(row[14]) * 1000;
    job->event.type = apr_pstrdup(pool, row[15]);
    job->event.key = apr_pstrdup(pool, rh_db_text(row[16]));
    job->event.traceparent = apr_pstrdup(pool, rh_db_text(row[17]));
    job->event.time = rh_db_number(row[18]) * 1000;
    job->event.data.data = apr_pstrdup(pool, row[20]);
    job->event.data.len = strlen(job->event.data.data);
    if (rh_db_text(row[21])) {
        job->event.previous.data = apr_pstrdup(pool, row[21]);
        job->event.previous.len = strlen(job->event.previous.data);
    }
    job->event.hops = (int)rh_db_number(row[22]);
    job->lease = lease;
    job->lease_until = lease_until;
    return job;
}

/** The outcome of a delivery that can't be attempted: its event is past retention. */
static rh_settle_t *make_lost(const char **row, apr_int64_t lease, apr_pool_t *pool)
{
    rh_settle_t *settle = apr_pcalloc(pool, sizeof(*settle));
    char *id = apr_palloc(pool, RH_UUID_LEN + 1);

    rh_uuid_make(id);
    settle->kind = RH_SETTLE_FAILED;
    settle->delivery_id = row[0];
    settle->tenant = row[1];
    settle->subscription_id = row[2];
    settle->lease = lease;
    settle->attempt.id = id;
    settle->attempt.number = (int)rh_db_number(row[5]) + 1;
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
    int i;

    if (leased->nelts == 0) {
        return APR_SUCCESS;
    }
    {
        const char *args[] = {pairs_json(leased, pool), rh_store_number(pool, lease)};

        status = rh_db_select(db, &rh_sql_claim_jobs, 2, args, pool, &rows);
    }
    for (i = 0; status == APR_SUCCESS && i < rows->nelts; i++) {
        const char **row = rh_row(rows, i);
        rh_job_t *job;

        if (!row[20]) {
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

static const char *candidates_json(const claim_t *claim, bool ordered, apr_pool_t *pool)
{
    rh_rows_t rows;
    int i, count = 0;

    rh_rows_begin(&rows, pool);
    for (i = 0; i < claim->candidates->nelts; i++) {
        const rh_candidate_t *candidate = &APR_ARRAY_IDX(claim->candidates, i, rh_candidate_t);

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

/** Remember how late deliveries are. The columns before the last one are not looked at. */
static void note_late(const claim_t *claim, const apr_array_header_t *rows, int id, int late)
{
    int i;

    for (i = 0; i < rows->nelts; i++) {
        apr_hash_set(claim->late, rh_row(rows, i)[id], APR_HASH_KEY_STRING, rh_row(rows, i)[late]);
    }
}

/** Set due_at on each job. */
static void set_due(const claim_t *claim, int first)
{
    apr_time_t now = apr_time_now();
    int i;

    for (i = first; i < claim->jobs->nelts; i++) {
        rh_job_t *job = APR_ARRAY_IDX(claim->jobs, i, rh_job_t *);
        const char *late = apr_hash_get(claim->late, job->delivery_id, APR_HASH_KEY_STRING);

        if (rh_db_text(late)) {
            job->due_at = now - rh_db_number(late) * 1000;
        }
    }
}

static apr_status_t lease_pgsql(rh_db_t *db, claim_t *claim, apr_pool_t *pool,
                                apr_array_header_t *leased)
{
    apr_status_t status = APR_SUCCESS;
    int ordered;

    for (ordered = 0; ordered <= 1 && status == APR_SUCCESS; ordered++) {
        const char *args[] = {candidates_json(claim, ordered, pool),
                              claim->claim->spare_leased ? "1" : "0",
                              rh_store_number(pool, claim->claim->lease),
                              rh_store_number(pool, rh_store_ms_up(claim->claim->lease_for))};
        apr_array_header_t *rows;

        if (args[0]) {
            status = rh_db_select(db, ordered ? &rh_sql_claim_ordered : &rh_sql_claim, 4, args,
                                  pool, &rows);
            if (status == APR_SUCCESS) {
                note_late(claim, rows, 1, 2);
                apr_array_cat(leased, rows);
            }
        }
    }
    return status;
}

static apr_status_t lease_one_sqlite(rh_db_t *db, const claim_t *claim,
                                     const rh_candidate_t *candidate, apr_pool_t *pool,
                                     apr_array_header_t *leased)
{
    const char *now = rh_queue_now(pool, 0);
    const char *parked = rh_queue_now(pool, PARKED_TIMEOUT);
    const char *lease = rh_store_number(pool, claim->claim->lease);
    const char *until = rh_queue_now(pool, claim->claim->lease_for);
    const char *most = apr_psprintf(pool, "%d", candidate->most);
    const char *look = apr_psprintf(pool, "%d", candidate->most * READ_PER_TAKEN);
    const char *spare = claim->claim->spare_leased ? "1" : "0";
    const char *late[] = {now, candidate->tenant, candidate->id, now,
                          candidate->ordered ? look : most};
    const char *park[] = {parked, candidate->tenant, candidate->id, now, look, now};
    const char *unpark[] = {now, candidate->tenant, candidate->id, parked, now};
    const char *ordered[] = {lease, until, candidate->tenant, candidate->id, now, spare, now, most};
    const char *plain[] = {lease, until, candidate->tenant, candidate->id, now, spare, most};
    apr_status_t status = APR_SUCCESS;
    apr_array_header_t *rows;

    /* RETURNING knows only what a row is then. */
    status = rh_db_select(db, &rh_sql_claim_late, 5, late, pool, &rows);
    if (status != APR_SUCCESS) {
        return status;
    }
    note_late(claim, rows, 0, 1);
    if (candidate->pace > 0) {
        const char *pace[] = {rh_queue_now(pool, candidate->pace * 1000), candidate->tenant,
                              candidate->id};

        status = rh_db_execute(db, &rh_sql_claim_pace, 3, pace, pool, NULL);
    }
    if (status == APR_SUCCESS && candidate->ordered) {
        status = rh_db_execute(db, &rh_sql_claim_park, 6, park, pool, NULL);
    }
    if (status == APR_SUCCESS && candidate->ordered) {
        status = rh_db_execute(db, &rh_sql_claim_unpark, 5, unpark, pool, NULL);
    }
    if (status == APR_SUCCESS) {
        status = candidate->ordered
                     ? rh_db_select(db, &rh_sql_claim_one_ordered, 8, ordered, pool, &rows)
                     : rh_db_select(db, &rh_sql_claim_one, 7, plain, pool, &rows);
    }
    if (status == APR_SUCCESS) {
        apr_array_cat(leased, rows);
    }
    return status;
}

static apr_status_t claim_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    claim_t *claim = baton;
    apr_array_header_t *leased = apr_array_make(pool, 64, sizeof(const char **));
    apr_status_t status = APR_SUCCESS;
    int before = claim->jobs->nelts, i;

    claim->late = apr_hash_make(pool);
    if (db->dialect == RH_DIALECT_PGSQL) {
        status = lease_pgsql(db, claim, pool, leased);
    } else {
        for (i = 0; i < claim->candidates->nelts && status == APR_SUCCESS; i++) {
            status = lease_one_sqlite(
                db, claim, &APR_ARRAY_IDX(claim->candidates, i, rh_candidate_t), pool, leased);
        }
    }
    if (status == APR_SUCCESS) {
        status = rh_queue_jobs(db, leased, claim->claim->lease, claim->lease_until, pool,
                               claim->jobs, claim->lost);
        set_due(claim, before);
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
    status = rh_store_run(queue->source, queue->source->dialect == RH_DIALECT_SQLITE, claim_work,
                          &claim, scratch);
    if (status == APR_SUCCESS && claim.lost->nelts > 0) {
        status = rh_queue_settle(self, (rh_settle_t *const *)claim.lost->elts, claim.lost->nelts,
                                 scratch);
    }
    return status;
}
