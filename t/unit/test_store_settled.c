/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* What the queue and the logs have of a delivery, from its commit to its end. On SQLite, and on
 * PostgreSQL where $RH_PGSQL names a cluster. */
#include "settled_case.h"

#include <string.h>

/* ---- from commit to end ---- */

/** An event's prefix is its deliveries', which are in the queue alone. */
static void only_queued(const char *event, int count)
{
    const char *both = "SELECT count(*) FROM @queue WHERE event_id = '%s'"
                       " AND substr(CAST(delivery_id AS text), 1, 18) ="
                       " substr(CAST(event_id AS text), 1, 18)"
                       " AND substr(CAST(delivery_id AS text), 20, 1) IN ('8', '9', 'a', 'b')";

    is_int(select_number(source[0], both, event), count, "an event's deliveries are in the queue");
    is_int(select_number(source[0], "SELECT count(*) FROM @delivery WHERE event_id = '%s'", event),
           0, "an event's pending deliveries are not in the log");
}

static void test_beginning(void)
{
    rh_claim_t claim = {.limit = 1, .lease = LEASE, .lease_for = LONG};
    apr_array_header_t *jobs = apr_array_make(pool, 1, sizeof(rh_job_t *));
    rh_subscription_t *one = subscribe_to(store, "begin", "*");
    rh_event_t *event = new_event("begin", "a.b", NULL);
    rh_commit_t item = {.event = event}, *items[] = {&item};
    const char *delivery;
    int waiting = -1;

    subscribe_to(store, "begin", "a.*");
    ok(queue->commit(queue, items, 1, &claim, pool, jobs, &waiting) == APR_SUCCESS &&
           jobs->nelts == 1 && waiting == 1,
       "%s: an event is committed", database);
    only_queued(event->id, 2);
    rh_job_destroy(APR_ARRAY_IDX(jobs, 0, rh_job_t *));
    event = new_event("begin", "a.b", NULL);
    ok(rh_store_test(store, event, one->id, pool, &delivery) == APR_SUCCESS, "%s: a test",
       database);
    only_queued(event->id, 1);
    ok(strncmp(delivery, event->id, 18) == 0, "%s: whose delivery is known", database);
    if (strcmp(database, "pgsql") == 0) {
        const char *sql = "SELECT count(*) FROM @publish('begin', 'a.b', '{}') AS p(id)";

        is_int(select_number(source[0], sql, ""), 1, "the function in SQL publishes");
        is_int(select_number(source[0],
                             "SELECT count(*) FROM @queue q JOIN @event e ON e.id = q.event_id"
                             " AND left(e.id::text, 18) = left(q.delivery_id::text, 18)"
                             " WHERE e.source = '%s'",
                             "sql"),
               2, "its deliveries have the first digits of the event's id");
        is_int(
            select_number(source[0], "SELECT count(*) FROM @delivery WHERE tenant = '%s'", "begin"),
            0, "its deliveries are not in the log");
    }
    run_script(source[0], "DELETE FROM @queue");
}

static void test_ends(void)
{
    rh_subscription_t *one = subscribe_to(store, "ends", "*");
    const rh_job_t *job = send_one("ends");

    has_rows(job->delivery_id, "leased", 1, 0, 0);
    settle_one(make_outcome(job, RH_SETTLE_DELIVERED, 200));
    has_rows(job->delivery_id, "delivered at once", 0, 1, 0);
    is_int(count_inline(job->delivery_id), 1, "its row contains its attempt");
    shows(job, RH_DELIVERY_DELIVERED, 1, 200);
    counts(one, 1, 0);

    job = send_one("ends");
    settle_one(make_outcome(job, RH_SETTLE_RETRY, 503));
    has_rows(job->delivery_id, "to be tried again", 1, 0, 1);
    is_int(select_number(source[0], "SELECT last_status_code FROM @queue WHERE delivery_id = '%s'",
                         job->delivery_id),
           503, "the queue has its last status code");
    shows(job, RH_DELIVERY_PENDING, 1, 503);
    job = claim_one(LEASE);
    settle_one(make_outcome(job, RH_SETTLE_RELEASE, 0));
    shows(job, RH_DELIVERY_PENDING, 1, 503);
    job = claim_one(LEASE);
    settle_one(make_outcome(job, RH_SETTLE_DELIVERED, 201));
    has_rows(job->delivery_id, "delivered at last", 0, 1, 2);
    is_int(count_inline(job->delivery_id), 0, "each attempt has a row of its own");
    shows(job, RH_DELIVERY_DELIVERED, 2, 201);
    counts(one, 2, 0);

    job = send_one("ends");
    settle_one(make_outcome(job, RH_SETTLE_FAILED, 404));
    has_rows(job->delivery_id, "failed", 0, 1, 1);
    shows(job, RH_DELIVERY_FAILED, 1, 404);
    counts(one, 2, 1);
    ok(rh_store_redeliver(store, "ends", job->delivery_id, pool) == APR_SUCCESS, "%s: sent again",
       database);
    has_rows(job->delivery_id, "sent again", 1, 1, 1);
    job = claim_one(LEASE);
    settle_one(make_outcome(job, RH_SETTLE_DELIVERED, 200));
    has_rows(job->delivery_id, "delivered then", 0, 1, 2);
    shows(job, RH_DELIVERY_DELIVERED, 2, 200);
    counts(one, 3, 1);
}

/** A person sends a delivery again that is in the queue alone, during its attempt. */
static void test_resent_in_flight(void)
{
    const rh_job_t *job;

    subscribe_to(store, "flight", "*");
    job = send_one("flight");
    ok(rh_store_redeliver(store, "flight", job->delivery_id, pool) == APR_SUCCESS,
       "%s: sent again during the attempt", database);
    settle_one(make_outcome(job, RH_SETTLE_FAILED, 500));
    has_rows(job->delivery_id, "due once more", 1, 0, 1);
    job = claim_one(LEASE);
    rh_store_redeliver(store, "flight", job->delivery_id, pool);
    settle_one(make_outcome(job, RH_SETTLE_DELIVERED, 200));
    has_rows(job->delivery_id, "a delivery that was made in the meantime is not sent again", 0, 1,
             2);
    job = send_one("flight");
    rh_store_redeliver(store, "flight", job->delivery_id, pool);
    settle_one(make_outcome(job, RH_SETTLE_DELIVERED, 200));
    has_rows(job->delivery_id, "a delivery that succeeds during a redelivery is not sent again", 0,
             1, 0);
}

/** The event goes with the retention while its delivery waits. */
static void test_past_retention(void)
{
    rh_subscription_t *one = subscribe_to(store, "past", "*");
    rh_claim_t what = {.limit = 1, .per_subscription = 1, .lease = LEASE, .lease_for = LONG};
    apr_array_header_t *jobs = apr_array_make(pool, 1, sizeof(rh_job_t *));

    store_unclaimed(queue, "past", "a.b", NULL, 1);
    run_script(source[0], "DELETE FROM @event WHERE tenant = 'past'");
    ok(queue->claim(queue, &what, pool, jobs) == APR_SUCCESS && jobs->nelts == 0,
       "%s: a delivery whose event is past retention is not sent", database);
    counts(one, 0, 1);
    is_int(select_number(source[0], "SELECT count(*) FROM @queue WHERE tenant = '%s'", "past"), 0,
           "it has left the queue");
    is_int(select_number(source[0], "SELECT count(*) FROM @delivery WHERE tenant = '%s'", "past"),
           0, "a delivery whose event is past retention is not logged");
}

/* ---- cancelled ---- */

static void test_cancelled(void)
{
    rh_subscription_t *one = subscribe_to(store, "cancel", "*");
    const rh_job_t *again = send_one("cancel"), *tried, *leased;

    settle_one(make_outcome(again, RH_SETTLE_FAILED, 404));
    rh_store_redeliver(store, "cancel", again->delivery_id, pool);
    again = claim_one(LEASE);
    settle_one(make_outcome(again, RH_SETTLE_RETRY, 500));
    run_script(source[0], "UPDATE @queue SET due_at = 4000000000000");
    tried = send_one("cancel");
    settle_one(make_outcome(tried, RH_SETTLE_RETRY, 503));
    run_script(source[0], "UPDATE @queue SET due_at = 4000000000000");
    leased = send_one("cancel");
    store_unclaimed(queue, "cancel", "a.b", NULL, 1);
    ok(rh_store_subscription_delete(store, "cancel", one->id, 0, pool) == APR_SUCCESS,
       "%s: a subscription is deleted", database);
    is_int(select_number(source[0], "SELECT count(*) FROM @queue WHERE tenant = '%s'", "cancel"), 0,
           "nothing of it is in the queue");
    is_int(select_number(source[0],
                         "SELECT count(*) FROM @delivery WHERE state = 'cancelled'"
                         " AND tenant = '%s' AND type = 'a.b'",
                         "cancel"),
           4, "all deliveries are logged as cancelled");
    has_rows(again->delivery_id, "sent again before", 0, 1, 2);
    shows(again, RH_DELIVERY_CANCELLED, 2, 500);
    has_rows(tried->delivery_id, "tried before", 0, 1, 1);
    shows(tried, RH_DELIVERY_CANCELLED, 1, 503);
    shows(leased, RH_DELIVERY_CANCELLED, 0, 0);

    settle_one(make_outcome(leased, RH_SETTLE_DELIVERED, 200));
    has_rows(leased->delivery_id, "cancelled in the meantime", 0, 1, 1);
    shows(leased, RH_DELIVERY_DELIVERED, 1, 200);
}

/** The subscription is gone, but its deliveries are not cancelled yet. */
static void test_orphan(void)
{
    const rh_job_t *job;
    rh_settle_t *outcome;

    subscribe_to(store, "orphan", "*");
    job = send_one("orphan");
    outcome = make_outcome(job, RH_SETTLE_DELIVERED, 200);
    run_script(source[0], "DELETE FROM @subscription WHERE tenant = 'orphan'");
    settle_one(outcome);
    settle_one(outcome);
    has_rows(job->delivery_id, "delivered for nobody", 0, 1, 0);
    shows(job, RH_DELIVERY_DELIVERED, 1, 200);
}

static void run(const char *driver, const char *params)
{
    if (!open_case(driver, params)) {
        return;
    }
    test_beginning();
    test_ends();
    test_resent_in_flight();
    test_past_retention();
    test_cancelled();
    test_orphan();
}

int main(void)
{
    return test_databases("rh_settled", run);
}
