/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* What waits, and since when: on SQLite, and on PostgreSQL where $RH_PGSQL names a cluster. */
#include "store_databases.h"

#include "rh_store_open.h"
#include "rh_uuid.h"

static const char *database;
static rh_store_t *store;
static rh_queue_t *queue;

#define SEC(n) apr_time_from_sec(n)

static apr_array_header_t *claim(int limit)
{
    rh_claim_t what = {.limit = limit, .per_subscription = 16, .lease = 4711, .lease_for = SEC(30)};
    apr_array_header_t *jobs = apr_array_make(pool, 4, sizeof(rh_job_t *));

    ok(queue->claim(queue, &what, pool, jobs) == APR_SUCCESS, "%s: a claim works", database);
    return jobs;
}

/** @param old whether something has been due for a second or more */
static void check(int pending, int due, bool old, const char *name)
{
    rh_backlog_t backlog;
    apr_status_t status = queue->backlog(queue, pool, &backlog);

    ok(status == APR_SUCCESS && backlog.pending == pending && backlog.due == due &&
           (backlog.oldest >= SEC(1)) == old && backlog.oldest < SEC(60),
       "%s: %s: %d pending, %d due", database, name, pending, due);
    if (backlog.pending != pending || backlog.due != due || (backlog.oldest >= SEC(1)) != old) {
        printf("# got %d pending, %d due, the oldest for %d ms\n", (int)backlog.pending,
               (int)backlog.due, (int)apr_time_as_msec(backlog.oldest));
    }
}

/** True if each job was due at least that long ago, and not much longer. */
static bool all_late(const apr_array_header_t *jobs, apr_interval_time_t at_least)
{
    for (int i = 0; i < jobs->nelts; i++) {
        apr_interval_time_t late = apr_time_now() - APR_ARRAY_IDX(jobs, i, rh_job_t *)->due_at;

        if (late < at_least - 2000 || late > at_least + SEC(50)) {
            printf("# late by %d ms\n", (int)apr_time_as_msec(late));
            return false;
        }
    }
    return jobs->nelts > 0;
}

/** Make a delivery of the subscription fail, its target asking for an hour's pause. */
static void ask_for_pause(const char *type)
{
    apr_array_header_t *jobs;
    rh_settle_t settle = {.kind = RH_SETTLE_RETRY, .pause = SEC(3600)}, *outcomes[] = {&settle};

    store_unclaimed(queue, "acme", type, NULL, 1);
    jobs = claim(1);
    if (!ok(jobs->nelts == 1, "%s: there is one to attempt", database)) {
        return;
    }
    settle.tenant = "acme";
    settle.delivery_id = APR_ARRAY_IDX(jobs, 0, rh_job_t *)->delivery_id;
    settle.subscription_id = APR_ARRAY_IDX(jobs, 0, rh_job_t *)->subscription_id;
    settle.lease = 4711;
    settle.attempt.id = make_id();
    settle.attempt.number = 1;
    settle.attempt.started_at = apr_time_now();
    settle.attempt.status_code = 503;
    queue->settle(queue, outcomes, 1, pool);
    rh_job_destroy(APR_ARRAY_IDX(jobs, 0, rh_job_t *));
}

/** @param pending what others have */
static void test_pause(int pending)
{
    rh_subscription_t *moved = subscribe_to(store, "acme", "moved.*");

    moved->revision = 1;
    ask_for_pause("moved.made");
    check(pending + 1, 0, false, "a delivery whose target asked for a pause is not due");
    moved->description = "the same target";
    rh_store_subscription_update(store, moved, pool);
    check(pending + 1, 0, false, "a change that keeps the target keeps the pause");
    moved->target_url = "https://example.com/moved";
    rh_store_subscription_update(store, moved, pool);
    check(pending + 1, 1, false, "a change of the target ends the pause");
}

static void run_all(const char *driver, const char *params)
{
    rh_db_source_t *source[2];
    rh_subscription_t *paused, *ordered = new_subscription("acme");
    apr_array_header_t *jobs;

    database = driver;
    ordered->ordered = true;
    APR_ARRAY_IDX(ordered->events, 0, const char *) = "ordered.*";
    if (!open_sources(driver, params, source, 2)) {
        return;
    }
    store = rh_store_make(pool, source[0]);
    queue = rh_queue_make(pool, source[1]);
    check(0, 0, false, "an empty queue has no backlog");
    subscribe_to(store, "acme", "plain.*");
    rh_store_subscription_create(store, ordered, 100000, pool);
    paused = subscribe_to(store, "acme", "paused.*");
    store_unclaimed(queue, "acme", "plain.made", NULL, 3);
    store_unclaimed(queue, "acme", "ordered.made", "k", 2);
    store_unclaimed(queue, "acme", "paused.made", NULL, 4);
    apr_sleep(SEC(1) + 50000);
    check(9, 9, true, "all stored deliveries are due");
    paused->state = RH_SUBSCRIPTION_PAUSED;
    rh_store_subscription_update(store, paused, pool);
    check(9, 5, true, "deliveries of a paused subscription are not due");
    jobs = claim(10);
    ok(jobs->nelts == 4 && all_late(jobs, SEC(1)), "%s: jobs have the time for which they waited",
       database);
    for (int i = 0; i < jobs->nelts; i++) {
        rh_job_destroy(APR_ARRAY_IDX(jobs, i, rh_job_t *));
    }
    check(9, 0, false, "jobs in progress are pending, and so are those that wait for them");
    rh_store_subscription_delete(store, "acme", paused->id, 0, pool);
    check(5, 0, false, "what is cancelled is not");
    test_pause(5);
}

int main(void)
{
    return test_databases("rh_backlog", run_all);
}
