/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* A commit or a settle that is repeated, or done by two hosts, counts once. On SQLite, and on
 * PostgreSQL where $RH_PGSQL names a cluster. */
#include "settled_case.h"

#include <pthread.h>
#include <string.h>

/* ---- repeated ---- */

static void test_stored_again(void)
{
    rh_claim_t claim = {.limit = 5, .lease = LEASE, .lease_for = LONG};
    apr_array_header_t *jobs = apr_array_make(pool, 1, sizeof(rh_job_t *));
    rh_commit_t item = {.event = new_event("spool", "a.b", NULL)}, new = {0};
    rh_commit_t *items[] = {&item, &new};
    int waiting = -1;

    subscribe_to(store, "spool", "*");
    queue->commit(queue, items, 1, &claim, pool, jobs, &waiting);
    is_int(jobs->nelts, 1, "an event's delivery is handed over");
    settle_one(make_outcome(APR_ARRAY_IDX(jobs, 0, rh_job_t *), RH_SETTLE_DELIVERED, 200));
    rh_job_destroy(*(rh_job_t **)apr_array_pop(jobs));
    for (int i = 0; i < 2; i++) {
        ok(queue->commit(queue, items, 1, &claim, pool, jobs, &waiting) == APR_SUCCESS &&
               jobs->nelts == 0 && waiting == 0,
           "%s: an event that is stored again after its deliveries ended makes none", database);
        is_int(select_number(source[0], "SELECT count(*) FROM @queue WHERE tenant = '%s'", "spool"),
               0, "an event that is stored again puts nothing into the queue");
        run_script(source[0], "DELETE FROM @delivery WHERE tenant = 'spool'");
    }
    new.event = new_event("spool", "a.b", NULL);
    ok(queue->commit(queue, items, 2, &claim, pool, jobs, &waiting) == APR_SUCCESS &&
           jobs->nelts == 1 && waiting == 0 &&
           strcmp(APR_ARRAY_IDX(jobs, 0, rh_job_t *)->event.id, new.event->id) == 0,
       "%s: a new event of the same commit has its own", database);
    rh_job_destroy(APR_ARRAY_IDX(jobs, 0, rh_job_t *));
    run_script(source[0], "DELETE FROM @queue");
}

static void test_settled_twice(void)
{
    static const rh_settle_kind_t kinds[] = {RH_SETTLE_DELIVERED, RH_SETTLE_FAILED};
    rh_subscription_t *one = subscribe_to(store, "twice", "*");
    rh_settle_t *outcome;
    const rh_job_t *job;

    for (int i = 0; i < 2; i++) {
        job = send_one("twice");
        outcome = make_outcome(job, kinds[i], 200 + i);
        settle_one(outcome);
        settle_one(outcome);
        has_rows(job->delivery_id, "settled twice", 0, 1, i);
        counts(one, 1, i);
    }
    job = send_one("twice");
    outcome = make_outcome(job, RH_SETTLE_RETRY, 500);
    settle_one(outcome);
    settle_one(outcome);
    has_rows(job->delivery_id, "tried and settled twice", 1, 0, 1);
    shows(job, RH_DELIVERY_PENDING, 1, 500);
    job = claim_one(LEASE);
    settle_one(outcome);
    has_rows(job->delivery_id, "an older outcome changes nothing", 1, 0, 1);
    outcome = make_outcome(job, RH_SETTLE_DELIVERED, 200);
    settle_one(outcome);
    rh_store_redeliver(store, "twice", job->delivery_id, pool);
    settle_one(outcome);
    counts(one, 2, 1);
    shows(job, read_delivery(job)->state, 2, 200);
    run_script(source[0], "DELETE FROM @queue");
}

/** A delivery with an attempt in its row is sent again before its settle is repeated. */
static void test_repeated_after_resent(void)
{
    rh_subscription_t *one = subscribe_to(store, "resent", "*");
    const rh_job_t *job = send_one("resent");
    rh_settle_t *outcome = make_outcome(job, RH_SETTLE_DELIVERED, 200);
    int queued, pending;

    settle_one(outcome);
    rh_store_redeliver(store, "resent", job->delivery_id, pool);
    settle_one(outcome);
    counts(one, 1, 0);
    queued = select_number(source[0], "SELECT count(*) FROM @queue WHERE tenant = '%s'", "resent");
    pending = select_number(source[0],
                            "SELECT count(*) FROM @delivery WHERE state = 'pending'"
                            " AND tenant = '%s'",
                            "resent");
    ok(queued == 1 && pending == 1, "%s: a delivery that was sent again stays pending", database);
    is_int(read_delivery(job)->attempts->nelts, 1, "a delivery has its attempt once");
    run_script(source[0], "DELETE FROM @queue");
}

/** Two hosts make the first attempt: the one has lost its lease. */
static void test_two_hosts(void)
{
    rh_subscription_t *one = subscribe_to(store, "hosts", "*");
    const rh_job_t *mine = send_one("hosts"), *theirs;
    rh_settle_t *outcomes[2];

    queue->release(queue, LEASE, pool);
    theirs = claim_one(OTHER_LEASE);
    ok(mine->attempt_count == theirs->attempt_count && theirs->lease == OTHER_LEASE,
       "%s: two hosts make the same attempt", database);
    outcomes[0] = make_outcome(theirs, RH_SETTLE_DELIVERED, 200);
    outcomes[1] = make_outcome(mine, RH_SETTLE_DELIVERED, 201);
    for (int i = 0; i < 4; i++) {
        settle_one(outcomes[i % 2]);
    }
    has_rows(mine->delivery_id, "delivered by both", 0, 1, 1);
    is_int(count_inline(mine->delivery_id), 1, "the first one's attempt is in the row");
    counts(one, 2, 0);
    is_int(read_delivery(mine)->attempts->nelts, 2, "both attempts are shown");

    mine = send_one("hosts");
    queue->release(queue, LEASE, pool);
    theirs = claim_one(OTHER_LEASE);
    settle_one(make_outcome(mine, RH_SETTLE_FAILED, 500));
    has_rows(mine->delivery_id, "a failure without the lease ends nothing", 1, 0, 1);
    settle_one(make_outcome(theirs, RH_SETTLE_DELIVERED, 200));
    has_rows(mine->delivery_id, "delivered by the other", 0, 1, 1);
    shows(mine, RH_DELIVERY_DELIVERED, 2, 200);
    counts(one, 3, 1);

    mine = send_one("hosts");
    queue->release(queue, LEASE, pool);
    theirs = claim_one(OTHER_LEASE);
    outcomes[0] = make_outcome(mine, RH_SETTLE_DELIVERED, 200);
    outcomes[1] = make_outcome(theirs, RH_SETTLE_DELIVERED, 200);
    ok(queue->settle(queue, outcomes, 2, pool) == APR_SUCCESS, "%s: both in one settle", database);
    ok(queue->settle(queue, outcomes, 2, pool) == APR_SUCCESS, "%s: twice", database);
    has_rows(mine->delivery_id, "delivered by both at once", 0, 1, 1);
    is_int(count_inline(mine->delivery_id), 1, "one of the attempts is in the row");
    counts(one, 5, 1);
}

/** A row of the log that is there before the first attempt, as after a replay or from version 3. */
static void test_logged_before(void)
{
    rh_subscription_t *one = subscribe_to(store, "before", "*");
    const rh_job_t *job = send_one("before");
    rh_settle_t *outcome = make_outcome(job, RH_SETTLE_DELIVERED, 200);

    run_script(source[0],
               apr_psprintf(pool,
                            "INSERT INTO @delivery (tenant, id, event_id, subscription_id, type)"
                            " VALUES ('before', '%s', '%s', '%s', 'a.b')",
                            job->delivery_id, job->event.id, job->subscription_id));
    settle_one(outcome);
    settle_one(outcome);
    has_rows(job->delivery_id, "logged before", 0, 1, 1);
    shows(job, RH_DELIVERY_DELIVERED, 1, 200);
    counts(one, 1, 0);
    job = send_one("before");
    run_script(source[0],
               apr_psprintf(pool,
                            "INSERT INTO @delivery (tenant, id, event_id, subscription_id, type)"
                            " VALUES ('before', '%s', '%s', '%s', 'a.b')",
                            job->delivery_id, job->event.id, job->subscription_id));
    settle_one(make_outcome(job, RH_SETTLE_FAILED, 500));
    has_rows(job->delivery_id, "logged before, and failed", 0, 1, 1);
    shows(job, RH_DELIVERY_FAILED, 1, 500);
    counts(one, 1, 1);
}

/* ---- repeated while the first one is still running on the server ---- */

typedef struct settling_t {
    rh_queue_t *queue;
    rh_settle_t *outcome;
    apr_pool_t *pool;
    apr_status_t status;
} settling_t;

static void *settle_beside(void *baton)
{
    settling_t *settling = baton;

    settling->status =
        settling->queue->settle(settling->queue, &settling->outcome, 1, settling->pool);
    return NULL;
}

/** Settle two outcomes at once, over two connections that both wait for a row that is locked. */
static void settle_two(const char *lock, rh_settle_t *first, rh_settle_t *second)
{
    settling_t settling[2] = {{.queue = queue, .outcome = first},
                              {.queue = other, .outcome = second}};
    apr_time_t until = apr_time_now() + apr_time_from_sec(60);
    const char *waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                          " AND datname = current_database()%s";
    pthread_t threads[2];
    rh_db_t *db;

    if (source[3]->acquire(source[3], pool, &db) != APR_SUCCESS) {
        ok(false, "%s: a connection", database);
        return;
    }
    ok(rh_db_script(db, "BEGIN", pool) == APR_SUCCESS &&
           rh_db_script(db, lock, pool) == APR_SUCCESS,
       "%s: a row is locked: %s", database, lock);
    for (int i = 0; i < 2; i++) {
        apr_pool_create_unmanaged_ex(&settling[i].pool, NULL, NULL);
        pthread_create(&threads[i], NULL, settle_beside, &settling[i]);
    }
    while (select_number(source[0], waiting, "") < 2 && apr_time_now() < until) {
        apr_sleep(10000);
    }
    ok(apr_time_now() < until, "%s: two settles wait for it", database);
    rh_db_script(db, "COMMIT", pool);
    source[3]->release(source[3], db, false);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        is_int(settling[i].status, APR_SUCCESS, "each is settled");
        apr_pool_destroy(settling[i].pool);
    }
}

#define LOCK_STAT "SELECT 1 FROM resthooks.subscription_stat WHERE tenant = 'beside' FOR UPDATE"
#define LOCK_QUEUE "SELECT 1 FROM resthooks.queue WHERE tenant = 'beside' FOR UPDATE"

static void test_beside(void)
{
    rh_subscription_t *one = subscribe_to(store, "beside", "*");
    const rh_job_t *job, *theirs;
    rh_settle_t *outcome;
    static const char *const locks[] = {LOCK_STAT, LOCK_QUEUE};

    for (int i = 0; i < 2; i++) {
        job = send_one("beside");
        outcome = make_outcome(job, RH_SETTLE_DELIVERED, 200);
        settle_two(locks[i], outcome, outcome);
        has_rows(job->delivery_id, "settled twice at once", 0, 1, 0);
        counts(one, i + 1, 0);
    }
    job = send_one("beside");
    outcome = make_outcome(job, RH_SETTLE_FAILED, 500);
    settle_two(LOCK_STAT, outcome, outcome);
    has_rows(job->delivery_id, "failed, settled twice at once", 0, 1, 1);
    counts(one, 2, 1);
    job = send_one("beside");
    queue->release(queue, LEASE, pool);
    theirs = claim_one(OTHER_LEASE);
    settle_two(LOCK_STAT, make_outcome(job, RH_SETTLE_DELIVERED, 200),
               make_outcome(theirs, RH_SETTLE_DELIVERED, 200));
    has_rows(job->delivery_id, "delivered by two hosts at once", 0, 1, 1);
    counts(one, 4, 1);
    job = send_one("beside");
    outcome = make_outcome(job, RH_SETTLE_DELIVERED, 200);
    run_script(source[0], "DELETE FROM @subscription WHERE tenant = 'beside'");
    settle_two(LOCK_QUEUE, outcome, outcome);
    has_rows(job->delivery_id, "delivered by two hosts after the subscription was removed", 0, 1,
             0);
}

static void run(const char *driver, const char *params)
{
    if (!open_case(driver, params)) {
        return;
    }
    test_stored_again();
    test_settled_twice();
    test_repeated_after_resent();
    test_two_hosts();
    test_logged_before();
    if (strcmp(database, "pgsql") == 0) {
        test_beside();
    }
}

int main(void)
{
    return test_databases("rh_repeated", run);
}
