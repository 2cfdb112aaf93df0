/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Deliveries that are in the queue alone are sent again, replayed and counted as those with a row
 * in the log are: on SQLite, and on PostgreSQL where $RH_PGSQL names a cluster. */
#include "store_shapes.h"

#include "rh_store_open.h"
#include "rh_uuid.h"

#include <string.h>

#define LEASE 4711

static const char *database;
static rh_db_source_t *source[3];
static rh_store_t *store;
static rh_queue_t *queue;

/** A tenant with two subscriptions and its rows. */
typedef struct tenant_t {
    const char *name, *two[2];
    shaped_t *rows;
} tenant_t;

static tenant_t make_tenant(const char *name)
{
    tenant_t tenant = {.name = name};

    for (int i = 0; i < 2; i++) {
        tenant.two[i] = subscribe_to(store, name, "*")->id;
    }
    tenant.rows = store_shapes(source[1], name, tenant.two);
    return tenant;
}

static rh_delivery_t *get(const tenant_t *tenant, const char *id)
{
    rh_delivery_t *delivery = NULL;

    if (rh_store_delivery_get(store, tenant->name, id, pool, &delivery) != APR_SUCCESS) {
        ok(false, "%s: %s is found", database, id);
        delivery = apr_pcalloc(pool, sizeof(*delivery));
        delivery->attempts = apr_array_make(pool, 1, sizeof(rh_attempt_t *));
    }
    return delivery;
}

/** Claim all that is due, and note the jobs' ids and numbers of attempts. */
static const char *claim(void)
{
    rh_claim_t what = {
        .limit = 100, .per_subscription = 100, .lease = LEASE, .lease_for = apr_time_from_sec(60)};
    apr_array_header_t *jobs = apr_array_make(pool, 4, sizeof(rh_job_t *));
    const char *ids = "";

    ok(queue->claim(queue, &what, pool, jobs) == APR_SUCCESS, "%s: a claim", database);
    for (int i = 0; i < jobs->nelts; i++) {
        rh_job_t *job = APR_ARRAY_IDX(jobs, i, rh_job_t *);

        ids = apr_psprintf(pool, "%s%s:%d:%d ", ids, job->delivery_id, job->attempt_count,
                           job->tries);
        rh_job_destroy(job);
    }
    return ids;
}

static void test_redeliver(void)
{
    tenant_t tenant = make_tenant("redeliver");

    is(claim(), "", "nothing is due yet");
    for (int shape = 0; shape < SHAPE_NONE; shape++) {
        const shaped_t *row = &tenant.rows[shape];
        rh_delivery_t *now;

        ok(rh_store_redeliver(store, "nobody", row->id, pool) == APR_NOTFOUND,
           "%s: another tenant can't send shape %d again", database, shape);
        ok(rh_store_redeliver(store, tenant.name, row->id, pool) == APR_SUCCESS,
           "%s: its tenant can send shape %d again", database, shape);
        now = get(&tenant, row->id);
        is(rh_delivery_state_name(now->state), "pending", "it is pending");
        is(now->waiting_for, "turn", "a redelivered delivery is due");
        is_int(now->attempts->nelts, row->attempts, "a redelivered delivery keeps its attempts");
        is_int(now->last_status_code, row->status,
               "a redelivered delivery keeps its last status code");
        is(claim(), apr_psprintf(pool, "%s:%d:0 ", row->id, row->attempts),
           "a claim finds it, with a new schedule");
        ok(rh_store_redeliver(store, tenant.name, row->id, pool) == APR_SUCCESS,
           "%s: it can be asked for during the attempt", database);
        is(get(&tenant, row->id)->waiting_for, "attempt",
           "the attempt continues after the request to redeliver");
    }
}

/** What was delivered at once is sent again, and fails: each attempt has its own outcome. */
static void test_attempts_of_both(void)
{
    tenant_t tenant = make_tenant("both");
    const shaped_t *row = &tenant.rows[SHAPE_DELIVERED];
    rh_settle_t outcome = {.kind = RH_SETTLE_FAILED,
                           .tenant = tenant.name,
                           .delivery_id = row->id,
                           .subscription_id = row->subscription_id,
                           .lease = LEASE};
    rh_settle_t *outcomes[] = {&outcome};
    rh_delivery_t *now;

    rh_store_redeliver(store, tenant.name, row->id, pool);
    claim();
    outcome.attempt.id = make_id();
    outcome.attempt.number = 2;
    outcome.attempt.started_at = apr_time_now();
    outcome.attempt.status_code = 500;
    ok(queue->settle(queue, outcomes, 1, pool) == APR_SUCCESS, "%s: an attempt fails", database);
    now = get(&tenant, row->id);
    is(rh_delivery_state_name(now->state), "failed", "a delivery that was sent again has failed");
    is_int(now->attempts->nelts, 2, "it has two attempts");
    for (int i = 0; i < now->attempts->nelts; i++) {
        const rh_attempt_t *attempt = APR_ARRAY_IDX(now->attempts, i, rh_attempt_t *);

        is_int(attempt->number, i + 1, "its attempts are in order");
        is_int(attempt->status_code, i ? 500 : 200, "each attempt has its own status code");
    }
}

static int count_deliveries(const tenant_t *tenant, const char *subscription, int state)
{
    rh_delivery_filter_t filter = {.subscription_id = subscription, .state = state};
    apr_int64_t count = -1;

    rh_store_delivery_count(store, tenant->name, &filter, pool, &count);
    return (int)count;
}

static void test_replay(void)
{
    tenant_t tenant = make_tenant("replay");
    const char *one = tenant.two[0];
    int pending = 3 * SHAPE_ROUNDS / 2;
    apr_int64_t matching = -1, queued = -1;
    rh_event_filter_t filter = {.from = 0};
    rh_page_t page = {100, NULL};
    apr_array_header_t *events;
    rh_subscription_t *row = NULL;

    rh_store_subscription_get(store, tenant.name, one, pool, &row);
    is_int(row->stats.pending, pending, "a subscription's pending deliveries are counted");
    ok(rh_store_replay_count(store, tenant.name, one, false, 0, apr_time_now(), pool, &matching) ==
           APR_SUCCESS,
       "%s: a replay of failed deliveries is counted", database);
    is_int(matching, SHAPE_ROUNDS / 2, "the count includes all failed deliveries");
    rh_store_replay_count(store, tenant.name, one, true, 0, apr_time_now(), pool, &matching);
    is_int(matching, SHAPE_EVENTS - pending,
           "the count of a full replay includes all but pending deliveries");
    replay_all(store, tenant.name, one, true, 0, pool, &queued);
    is_int(queued, matching, "a replay queues as many deliveries as were counted");
    replay_all(store, tenant.name, one, true, 0, pool, &queued);
    is_int(queued, 0, "a second replay queues nothing");
    is_int(count_deliveries(&tenant, one, RH_DELIVERY_PENDING), SHAPE_EVENTS,
           "each event has one delivery, which is pending");
    is_int(count_deliveries(&tenant, one, -1), SHAPE_EVENTS, "no event has a second delivery");
    rh_store_event_list(store, tenant.name, &filter, &page, pool, &events, NULL);
    for (int i = 0; i < events->nelts; i++) {
        apr_array_header_t *ids = apr_array_make(pool, 1, sizeof(const char *)), *found;
        int mine = 0;

        APR_ARRAY_PUSH(ids, const char *) = APR_ARRAY_IDX(events, i, rh_event_t *)->id;
        rh_store_event_deliveries(store, tenant.name, ids, 100, pool, &found);
        for (int n = 0; n < found->nelts; n++) {
            const rh_delivery_t *found_one = APR_ARRAY_IDX(found, n, rh_delivery_t *);

            mine += found_one->state == RH_DELIVERY_PENDING &&
                    strcmp(found_one->subscription_id, one) == 0;
        }
        is_int(mine, 1, "an event shows its pending delivery once");
    }
}

static void test_bulk(void)
{
    tenant_t tenant = make_tenant("bulk");
    rh_delivery_filter_t filter = {.state = RH_DELIVERY_PENDING, .type = "a.b"};
    rh_store_job_t job = {.tenant = tenant.name,
                          .kind = RH_JOB_REDELIVER,
                          .filter = "{}",
                          .created_by = "test"},
                   *done = NULL;
    rh_page_t page = {100, NULL};
    apr_array_header_t *found;
    bool running = true;
    int expected = 0;

    for (int i = 0; i < SHAPE_EVENTS; i++) {
        expected +=
            tenant.rows[i].shape < SHAPE_DELIVERED && strcmp(tenant.rows[i].type, "a.b") == 0;
    }
    ok(rh_store_job_create(store, &job, &filter, false, pool) == APR_SUCCESS,
       "%s: a job sends pending deliveries again", database);
    while (running &&
           rh_store_job_work(store, tenant.name, job.id, pool, &running) == APR_SUCCESS) {
    }
    rh_store_job_get(store, tenant.name, job.id, pool, &done);
    is(done->state, "done", "a job ends");
    is_int(done->done, expected, "a job redelivers all matching deliveries");
    rh_store_delivery_list(store, tenant.name, &filter, &page, pool, &found, NULL);
    for (int i = 0; i < found->nelts; i++) {
        is(APR_ARRAY_IDX(found, i, rh_delivery_t *)->waiting_for, "turn", "each is due");
    }
}

static void run(const char *driver, const char *params)
{
    database = driver;
    if (!open_sources(driver, params, source, 3)) {
        return;
    }
    store = rh_store_make(pool, source[0]);
    queue = rh_queue_make(pool, source[2]);
    test_redeliver();
    test_attempts_of_both();
    run_script(source[1], "DELETE FROM @queue");
    test_replay();
    test_bulk();
}

int main(void)
{
    return test_databases("rh_pending", run);
}
