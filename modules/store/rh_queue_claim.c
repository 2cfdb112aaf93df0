/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Due deliveries, fairly by subscription. */
#include "rh_queue_private.h"
#include "rh_rows.h"

#include <apr_hash.h>

/** Subscriptions that one statement looks at: few at first, as few may do; and how many of these
 * statements a claim makes. */
#define FIRST_STEPS 32
#define MOST_STEPS 256
#define MOST_WALKS 16
/** How long what waits behind another of its key is not looked at, if nobody wakes it. */
#define PARKED_FOR apr_time_from_sec(600)
/** How long ordered subscriptions that wait for the spool are left alone. */
#define HELD_FOR apr_time_from_msec(100)
/** Subscriptions whose deliveries a claim cancels, and when it comes again for more. */
#define MOST_CANCELLED 16
#define CANCEL_AGAIN apr_time_from_msec(20)
/** Due deliveries of an ordered subscription that are looked at for one that is taken. */
#define LOOK_FOR_ONE 4

typedef struct candidate_t {
    const char *tenant, *id;
    int most;
    apr_int64_t pace; /**< milliseconds that its share takes; 0: no rate limit */
    bool ordered;
} candidate_t;

typedef struct claim_t {
    rh_queue_impl_t *queue;
    rh_claim_t *claim;
    apr_time_t lease_until;
    apr_array_header_t *candidates; /**< of candidate_t */
    apr_array_header_t *ended;      /**< rows of subscriptions that are gone */
    apr_array_header_t *jobs;
    apr_array_header_t *lost; /**< of rh_settle_t *: their event is gone */
    apr_hash_t *late;         /**< milliseconds that deliveries have been due, as text; by id */
    int room;                 /**< jobs that may still be taken */
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

/* ---- candidates ---- */

/** There is something that only has to wait: the next claim should come no later. */
static void come_again(const claim_t *claim, apr_interval_time_t wait)
{
    if (claim->claim->again == 0 || claim->claim->again > wait) {
        claim->claim->again = wait;
    }
}

/** What a subscription may get in this claim. */
static void add_candidate(claim_t *claim, const char **row)
{
    rh_queue_impl_t *queue = claim->queue;
    int rate = (int)rh_db_number(row[5]), most = (int)rh_db_number(row[2]);
    candidate_t *candidate;

    if (most > claim->room) {
        most = claim->room;
    }
    candidate = apr_array_push(claim->candidates);
    memset(candidate, 0, sizeof(*candidate));
    candidate->tenant = row[0];
    candidate->id = row[1];
    candidate->ordered = rh_db_number(row[4]) != 0;
    if (rate > 0) {
        /* A tenth of a second's worth. */
        if (most > (rate + 9) / 10) {
            most = (rate + 9) / 10;
        }
        candidate->pace = ((apr_int64_t)most * 1000 + rate - 1) / rate;
        come_again(claim, candidate->pace * 1000);
    }
    candidate->most = most;
    claim->room -= most;
    apr_cpystrn(queue->tenant, row[0], sizeof(queue->tenant));
    apr_cpystrn(queue->subscription, row[1], sizeof(queue->subscription));
}

/** Look at the subscriptions behind the place where the last walk ended. */
static apr_status_t walk(rh_db_t *db, const claim_t *claim, const char *tenant, const char *id,
                         int steps, apr_pool_t *pool, apr_array_header_t **rows)
{
    const char *now = rh_queue_now(pool, 0), *most_steps = apr_psprintf(pool, "%d", steps);
    const char *each = apr_psprintf(pool, "%d", claim->claim->per_subscription);
    const char *pgsql[] = {tenant, id, most_steps, each};
    const char *sqlite[] = {tenant, id, most_steps, now, each, now};

    return db->dialect == RH_DIALECT_PGSQL
               ? rh_db_select(db, &rh_sql_claim_candidates, 4, pgsql, pool, rows)
               : rh_db_select(db, &rh_sql_claim_candidates, 6, sqlite, pool, rows);
}

/** Judge one subscription that has something in the queue. */
static void look_at(claim_t *claim, const char **row)
{
    apr_int64_t pause = rh_db_number(row[6]);

    if (!row[3] || !*row[3] || strcmp(row[3], "gone") == 0) {
        if (claim->ended->nelts < MOST_CANCELLED) {
            APR_ARRAY_PUSH(claim->ended, const char **) = row;
        } else {
            come_again(claim, CANCEL_AGAIN);
        }
        return;
    }
    if (strcmp(row[3], "active") != 0 || rh_db_number(row[2]) == 0) {
        return;
    }
    if (pause > 0) {
        come_again(claim, pause * 1000);
    } else if (claim->claim->hold_ordered && rh_db_number(row[4]) != 0) {
        come_again(claim, HELD_FOR);
    } else {
        add_candidate(claim, row);
    }
}

/**
 * Go around the subscriptions, from behind the last one that got something, until there is enough
 * to do. Once around may take several claims: only then there is a rest.
 */
static apr_status_t find_candidates(rh_db_t *db, claim_t *claim, apr_pool_t *pool)
{
    static const char first_id[] = "00000000-0000-0000-0000-000000000000";
    rh_queue_impl_t *queue = claim->queue;
    const char *tenant = apr_pstrdup(pool, queue->tenant);
    const char *id = apr_pstrdup(pool, queue->subscription);
    int steps = FIRST_STEPS, walks, i;

    if (!queue->on_the_way) {
        apr_cpystrn(queue->start_tenant, tenant, sizeof(queue->start_tenant));
        apr_cpystrn(queue->start_subscription, id, sizeof(queue->start_subscription));
        queue->wrapped = false;
    }
    queue->on_the_way = false;
    for (walks = 0; walks < MOST_WALKS && claim->room > 0; walks++) {
        apr_array_header_t *rows;
        apr_status_t status = walk(db, claim, tenant, id, steps, pool, &rows);

        if (status != APR_SUCCESS) {
            return status;
        }
        for (i = 0; i < rows->nelts && claim->room > 0; i++) {
            const char **row = rh_row(rows, i);
            int order = strcmp(row[0], queue->start_tenant);

            if (queue->wrapped &&
                (order > 0 || (order == 0 && strcmp(row[1], queue->start_subscription) > 0))) {
                return APR_SUCCESS;
            }
            look_at(claim, row);
            tenant = row[0];
            id = row[1];
        }
        if (rows->nelts < steps && claim->room > 0) {
            if (queue->wrapped || !*queue->start_tenant) {
                return APR_SUCCESS;
            }
            queue->wrapped = true;
            tenant = "";
            id = first_id;
        }
        steps = steps * 2 < MOST_STEPS ? steps * 2 : MOST_STEPS;
    }
    if (claim->room > 0) {
        /* Very many wait with nothing due: the next claim goes on here. */
        apr_cpystrn(queue->tenant, tenant, sizeof(queue->tenant));
        apr_cpystrn(queue->subscription, id, sizeof(queue->subscription));
        queue->on_the_way = true;
        claim->claim->again = 1000;
    }
    return APR_SUCCESS;
}

/** In a transaction on SQLite: cancel what belongs to subscriptions that are gone. */
static apr_status_t cancel_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    const claim_t *claim = baton;
    apr_status_t status = APR_SUCCESS;
    int i;

    for (i = 0; i < claim->ended->nelts && status == APR_SUCCESS; i++) {
        const char **row = rh_row(claim->ended, i);
        bool more;

        status = rh_queue_cancel(db, row[0], row[1], pool, &more);
        if (status == APR_SUCCESS && more) {
            come_again(claim, CANCEL_AGAIN);
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
        const candidate_t *candidate = &APR_ARRAY_IDX(claim->candidates, i, candidate_t);

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

/** Tell jobs since when they are due. */
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
                                     const candidate_t *candidate, apr_pool_t *pool,
                                     apr_array_header_t *leased)
{
    const char *now = rh_queue_now(pool, 0);
    const char *parked = rh_queue_now(pool, PARKED_FOR);
    const char *lease = rh_store_number(pool, claim->claim->lease);
    const char *until = rh_queue_now(pool, claim->claim->lease_for);
    const char *most = apr_psprintf(pool, "%d", candidate->most);
    const char *look = apr_psprintf(pool, "%d", candidate->most * LOOK_FOR_ONE);
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
            status = lease_one_sqlite(db, claim, &APR_ARRAY_IDX(claim->candidates, i, candidate_t),
                                      pool, leased);
        }
    }
    if (status == APR_SUCCESS) {
        status = rh_queue_jobs(db, leased, claim->claim->lease, claim->lease_until, pool,
                               claim->jobs, claim->lost);
        set_due(claim, before);
    }
    return status;
}

static apr_status_t find_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    return find_candidates(db, baton, pool);
}

apr_status_t rh_queue_claim(rh_queue_t *self, rh_claim_t *what, apr_pool_t *scratch,
                            apr_array_header_t *jobs)
{
    rh_queue_impl_t *queue = (rh_queue_impl_t *)self;
    bool sqlite = queue->source->dialect == RH_DIALECT_SQLITE;
    claim_t claim = {0};
    apr_status_t status;

    what->again = 0;
    claim.queue = queue;
    claim.claim = what;
    claim.candidates = apr_array_make(scratch, 64, sizeof(candidate_t));
    claim.ended = apr_array_make(scratch, 4, sizeof(const char **));
    claim.jobs = jobs;
    claim.lost = apr_array_make(scratch, 4, sizeof(rh_settle_t *));
    claim.room = what->limit;
    /* Most looks find nothing: on SQLite they must not keep writers out. */
    status = rh_store_run(queue->source, false, find_work, &claim, scratch);
    if (status == APR_SUCCESS && claim.candidates->nelts == 0 && !queue->on_the_way) {
        /* Nobody's turn is next: one statement, from the first subscription on, does then. */
        queue->tenant[0] = '\0';
        rh_uuid_floor(0, queue->subscription);
    }
    if (status == APR_SUCCESS && claim.ended->nelts > 0) {
        status = rh_store_run(queue->source, sqlite, cancel_work, &claim, scratch);
    }
    if (status != APR_SUCCESS || claim.candidates->nelts == 0) {
        return status;
    }
    claim.lease_until = apr_time_now() + what->lease_for;
    status = rh_store_run(queue->source, sqlite, claim_work, &claim, scratch);
    if (status == APR_SUCCESS && claim.lost->nelts > 0) {
        status = rh_queue_settle(self, (rh_settle_t *const *)claim.lost->elts, claim.lost->nelts,
                                 scratch);
    }
    return status;
}
