/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Claims go round tenants first: on SQLite, and on PostgreSQL where $RH_PGSQL names a cluster. */
#include "store_databases.h"

#include "rh_delivery.h"
#include "rh_store_open.h"
#include "rh_uuid.h"

#define SUBSCRIPTIONS 60
#define EVENTS 20
#define LIMIT 128

static const char *database;
static rh_store_t *store;
static rh_queue_t *queue;

/** Claim once, and settle nothing. @param of counts the jobs of tenants "greedy", "modest", "zeal"
 */
static int claim(int of[3])
{
    rh_claim_t what = {
        .limit = LIMIT, .per_subscription = 16, .lease_for = apr_time_from_sec(300), .lease = 7};
    apr_array_header_t *jobs = apr_array_make(pool, LIMIT, sizeof(rh_job_t *));
    int count;

    of[0] = of[1] = of[2] = 0;
    ok(queue->claim(queue, &what, pool, jobs) == APR_SUCCESS, "%s: a claim", database);
    count = jobs->nelts;
    for (int i = 0; i < count; i++) {
        rh_job_t *job = APR_ARRAY_IDX(jobs, i, rh_job_t *);

        of[*job->tenant == 'g' ? 0 : *job->tenant == 'm' ? 1 : 2]++;
        rh_job_destroy(job);
    }
    return count;
}

static void test_two_tenants(void)
{
    int of[3], total = 0, claims = 0, greedy = 0, others = 0, got;

    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        subscribe_to(store, "greedy", "*");
    }
    subscribe_to(store, "modest", "*");
    subscribe_to(store, "zeal", "*");
    for (int i = 0; i < EVENTS; i++) {
        store_unclaimed(queue, "greedy", "a.b", NULL, 1);
    }
    /* A moment later: they are not among those that have been due for the longest time. */
    apr_sleep(apr_time_from_msec(20));
    store_unclaimed(queue, "modest", "a.b", NULL, 1);
    store_unclaimed(queue, "zeal", "a.b", NULL, 1);
    /* Usually the first claim has them; one that takes too long continues in the next. */
    do {
        got = claim(of);
        greedy += of[0];
        others += of[1] + of[2];
        total += got;
        claims++;
    } while (others < 2 && got > 0 && claims < 4);
    is_int(others, 2, "however many deliveries one tenant has, the first claims have the others'");
    ok(greedy > 0, "%s: the first claims have deliveries of that tenant, too", database);
    got = claim(of);
    while (got > 0 && claims < 100) {
        total += got;
        claims++;
        got = claim(of);
    }
    is_int(total, SUBSCRIPTIONS * EVENTS + 2, "in the end every delivery is claimed, once");
    ok(claims <= 3 * total / LIMIT, "%s: the claims are well filled (%d)", database, claims);
}

static void run(const char *driver, const char *params)
{
    rh_db_source_t *source[2];

    database = driver;
    if (!open_sources(driver, params, source, 2)) {
        return;
    }
    store = rh_store_make(pool, source[1]);
    queue = rh_queue_make(pool, source[0]);
    test_two_tenants();
}

int main(void)
{
    return test_databases("rh_tenants", run);
}
