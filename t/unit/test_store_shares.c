/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Claims share their jobs out to tenants: on SQLite, and on PostgreSQL where $RH_PGSQL names a
 * cluster. */
#include "store_databases.h"

#include "rh_store_open.h"
#include "rh_uuid.h"

/** Number of subscriptions of the tenant with many, and of events that each of them gets. */
#define NOISY_SUBSCRIPTIONS 60
#define NOISY_EVENTS 12

static const char *database;
static rh_store_t *store;
static rh_queue_t *queue;

/** Claim, and count the jobs. @param of receives the number of the tenant's; @param seen receives
 * the subscriptions with jobs; both may be NULL */
static int claim_jobs(int limit, const char *tenant, int *of, apr_hash_t *seen)
{
    rh_claim_t what = {
        .limit = limit, .per_subscription = 16, .lease = 4711, .lease_for = apr_time_from_sec(600)};
    apr_array_header_t *jobs = apr_array_make(pool, 4, sizeof(rh_job_t *));

    if (queue->claim(queue, &what, pool, jobs) != APR_SUCCESS) {
        ok(false, "%s: a claim works", database);
    }
    for (int i = 0; i < jobs->nelts; i++) {
        rh_job_t *job = APR_ARRAY_IDX(jobs, i, rh_job_t *);

        if (of && strcmp(job->tenant, tenant) == 0) {
            ++*of;
        }
        if (seen) {
            apr_hash_set(seen, apr_pstrdup(pool, job->subscription_id), APR_HASH_KEY_STRING, "");
        }
        rh_job_destroy(job);
    }
    return jobs->nelts;
}

/** Claim until the tenant gets a job. @return the number of the claim; 0: in none of `max` */
static int claims_until(const char *tenant, int limit, int max)
{
    for (int n = 1; n <= max; n++) {
        int of = 0;

        claim_jobs(limit, tenant, &of, NULL);
        if (of > 0) {
            return n;
        }
    }
    return 0;
}

static void run_all(const char *driver, const char *params)
{
    apr_hash_t *seen = apr_hash_make(pool);
    rh_db_source_t *source[2];
    int total = 0, got, of = 0, first;

    database = driver;
    if (!open_sources(driver, params, source, 2)) {
        return;
    }
    store = rh_store_make(pool, source[0]);
    queue = rh_queue_make(pool, source[1]);
    for (int i = 0; i < NOISY_SUBSCRIPTIONS; i++) {
        subscribe_to(store, "noisy", "*");
    }
    for (int i = 0; i < 2; i++) {
        subscribe_to(store, "also", "*");
        subscribe_to(store, "small", "*");
    }
    store_unclaimed(queue, "noisy", "thing.made", NULL, NOISY_EVENTS);
    store_unclaimed(queue, "small", "thing.made", NULL, 4);
    first = claims_until("small", 4, 4);
    ok(first > 0,
       "%s: a claim of four soon has one of a tenant with %d older deliveries before it (%d)",
       database, NOISY_SUBSCRIPTIONS * NOISY_EVENTS, first);
    store_unclaimed(queue, "also", "thing.made", NULL, 2);
    first = claims_until("also", 1, 8);
    ok(first > 0, "%s: claims of a single delivery reach another tenant as well (%d)", database,
       first);
    store_unclaimed(queue, "small", "thing.made", NULL, 2);
    /* Usually the first claim shares; one that takes too long continues in the next. */
    for (got = 0; got < 4 && of < 4; got++) {
        claim_jobs(16, "small", &of, NULL);
    }
    ok(of >= 4, "%s: tenants get equal shares, however many deliveries they have: %d of %d",
       database, of, 16 * got);
    for (int n = 0; n < 2 * NOISY_SUBSCRIPTIONS * NOISY_EVENTS / 64; n++) {
        total += got = claim_jobs(64, NULL, NULL, seen);
        if (n == NOISY_SUBSCRIPTIONS / 8) {
            ok(apr_hash_count(seen) >= NOISY_SUBSCRIPTIONS,
               "%s: every subscription of a tenant gets its turn", database);
        }
    }
    ok(total > NOISY_SUBSCRIPTIONS * NOISY_EVENTS / 2 && got == 0 &&
           claim_jobs(64, NULL, NULL, NULL) == 0,
       "%s: in the end everything is claimed", database);
}

int main(void)
{
    return test_databases("rh_shares", run_all);
}
