/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "settled_case.h"

#include "rh_store_open.h"
#include "rh_store_private.h"

#include <string.h>

const char *database;
rh_db_source_t *source[SOURCES];
rh_store_t *store;
rh_queue_t *queue, *other;

bool open_case(const char *driver, const char *params)
{
    database = driver;
    if (!open_sources(driver, params, source, SOURCES)) {
        return false;
    }
    store = rh_store_make(pool, source[0]);
    queue = rh_queue_make(pool, source[1]);
    other = rh_queue_make(pool, source[2]);
    return true;
}

/* ---- what there is ---- */

/** Fail with the name of the case unless the tables have this of a delivery. */
void has_rows(const char *id, const char *what, int queued, int logged, int apart)
{
    int in_queue =
        select_number(source[0], "SELECT count(*) FROM @queue WHERE delivery_id = '%s'", id);
    int in_log = select_number(source[0], "SELECT count(*) FROM @delivery WHERE id = '%s'", id);
    int attempts =
        select_number(source[0], "SELECT count(*) FROM @attempt WHERE delivery_id = '%s'", id);

    ok(in_queue == queued && in_log == logged && attempts == apart,
       "%s: %s: %d in the queue (%d), %d in the log (%d), %d attempts of their own (%d)", database,
       what, queued, in_queue, logged, in_log, apart, attempts);
}

/** Whether the log has an attempt in the delivery's own row. */
int count_inline(const char *id)
{
    return select_number(source[0],
                         "SELECT count(*) FROM @delivery WHERE id = '%s' AND attempt_id IS NOT NULL"
                         " AND started_at > 0 AND ms = 12 AND format = 'array' AND sent = '{}'",
                         id);
}

rh_delivery_t *read_delivery(const rh_job_t *job)
{
    rh_delivery_t *delivery = NULL;

    if (rh_store_delivery_get(store, job->tenant, job->delivery_id, pool, &delivery) !=
        APR_SUCCESS) {
        ok(false, "%s: the delivery is found", database);
        delivery = apr_pcalloc(pool, sizeof(*delivery));
        delivery->attempts = apr_array_make(pool, 1, sizeof(rh_attempt_t *));
    }
    return delivery;
}

void shows(const rh_job_t *job, rh_delivery_state_t state, int attempts, int status_code)
{
    const rh_delivery_t *row = read_delivery(job);

    ok(row->state == state && row->attempts->nelts == attempts &&
           row->last_status_code == status_code,
       "%s: it is shown as %s, with %d attempts and %d: %s, %d, %d", database,
       rh_delivery_state_name(state), attempts, status_code, rh_delivery_state_name(row->state),
       row->attempts->nelts, row->last_status_code);
}

/** The counters of a subscription. */
void counts(const rh_subscription_t *subscription, int delivered, int failed)
{
    rh_subscription_t *row = NULL;

    rh_store_subscription_get(store, subscription->tenant, subscription->id, pool, &row);
    ok(row && row->stats.delivered == delivered && row->stats.failed == failed,
       "%s: %d delivered and %d failed are counted (%d, %d)", database, delivered, failed,
       row ? (int)row->stats.delivered : -1, row ? (int)row->stats.failed : -1);
}

/* ---- what is done ---- */

static apr_status_t destroy_job(void *job)
{
    rh_job_destroy(job);
    return APR_SUCCESS;
}

/** Claim one delivery; its job stays as long as the pool. */
const rh_job_t *claim_one(apr_int64_t lease)
{
    static const rh_job_t none = {.tenant = "", .delivery_id = "", .subscription_id = ""};
    rh_claim_t what = {.limit = 1, .per_subscription = 1, .lease = lease, .lease_for = LONG};
    apr_array_header_t *jobs = apr_array_make(pool, 1, sizeof(rh_job_t *));
    rh_job_t *job;

    if (queue->claim(queue, &what, pool, jobs) != APR_SUCCESS || jobs->nelts != 1) {
        ok(false, "%s: one delivery is claimed", database);
        return &none;
    }
    job = APR_ARRAY_IDX(jobs, 0, rh_job_t *);
    apr_pool_cleanup_register(pool, job, destroy_job, apr_pool_cleanup_null);
    return job;
}

const rh_job_t *send_one(const char *tenant)
{
    store_unclaimed(queue, tenant, "a.b", NULL, 1);
    return claim_one(LEASE);
}

rh_settle_t *make_outcome(const rh_job_t *job, rh_settle_kind_t kind, int status_code)
{
    rh_settle_t *settle = apr_pcalloc(pool, sizeof(*settle));

    settle->kind = kind;
    settle->tenant = job->tenant;
    settle->delivery_id = job->delivery_id;
    settle->event_id = job->event.id;
    settle->subscription_id = job->subscription_id;
    settle->type = job->event.type;
    settle->lease = job->lease;
    settle->attempt.id = make_id();
    settle->attempt.number = job->attempt_count + 1;
    settle->attempt.started_at = apr_time_now();
    settle->attempt.duration = 12000;
    settle->attempt.status_code = status_code;
    settle->attempt.answer = "yes";
    settle->attempt.sent = "{}";
    return settle;
}

void settle_one(rh_settle_t *outcome)
{
    ok(queue->settle(queue, &outcome, 1, pool) == APR_SUCCESS, "%s: an outcome is settled",
       database);
}
