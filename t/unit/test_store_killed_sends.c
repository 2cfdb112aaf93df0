/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * Likewise, what claims, sends again and cancels deliveries (test_store_killed.c).
 */
#include "killed_case.h"

/* ---- cancel ---- */

static void prepare_cancel(void)
{
    apr_array_header_t *jobs = make_jobs();

    now.target[0] = subscribe("*", false);
    store_unclaimed(queue, now.tenant, "thing.made", NULL, 2);
    claim_all(queue, LONG, jobs);
    store_unclaimed(queue, now.tenant, "thing.made", NULL, 3);
}

static apr_status_t unsubscribe(rh_store_t *of, rh_queue_t *by)
{
    (void)by;
    return rh_store_subscription_delete(of, now.tenant, now.target[0]->id, 0, pool);
}

static void check_cancel_between(void)
{
    int pending = count_deliveries(NULL, NULL, RH_DELIVERY_PENDING);

    check_all();
    check(pending + count_deliveries(NULL, NULL, RH_DELIVERY_CANCELLED) == 5,
          "each delivery is pending or cancelled");
    check(strcmp(state_of(0), "none") == 0 || pending == 5,
          "no delivery is cancelled before the subscription is removed");
}

static void check_cancel_end(void)
{
    check(strcmp(state_of(0), "none") == 0, "the subscription is gone");
    cancel_rest(now.target[0]->id);
    check_cancel_between();
    check(count_deliveries(NULL, NULL, RH_DELIVERY_CANCELLED) == 5,
          "all deliveries of a removed subscription are cancelled");
}

/* ---- claim, and sending again ---- */

static void prepare_claim(void)
{
    claim_all(queue, LONG, make_jobs());
    now.target[0] = subscribe("*", false);
    store_unclaimed(queue, now.tenant, "thing.made", NULL, 3);
}

/** With a lease that has ended when anybody looks. */
static apr_status_t claim_shortly(rh_store_t *of, rh_queue_t *by)
{
    (void)of;
    claim_all(by, 1000, make_jobs());
    return APR_SUCCESS;
}

static void check_claim(void)
{
    check_all();
    check(count_deliveries(NULL, NULL, RH_DELIVERY_PENDING) == 3,
          "a claimed delivery stays pending");
}

static void check_claim_end(void)
{
    apr_time_t until = apr_time_now() + apr_time_from_sec(60);
    apr_array_header_t *jobs = make_jobs();

    while (jobs->nelts < 3 && apr_time_now() < until) {
        claim_all(queue, LONG, jobs);
    }
    check(jobs->nelts == 3, "another process claims deliveries after their leases have ended");
    check_claim();
}

static void prepare_again(void)
{
    apr_array_header_t *jobs = make_jobs();

    now.target[0] = subscribe("*", false);
    store_unclaimed(queue, now.tenant, "thing.made", NULL, 3);
    claim_all(queue, LONG, jobs);
    for (int i = 0; i < jobs->nelts; i++) {
        add_outcome(i == 0 ? RH_SETTLE_FAILED : RH_SETTLE_DELIVERED,
                    APR_ARRAY_IDX(jobs, i, rh_job_t *));
        now.delivery = APR_ARRAY_IDX(jobs, i, rh_job_t *)->delivery_id;
    }
    check(settle_outcomes(store, queue) == APR_SUCCESS, "attempts are settled");
}

static apr_status_t redeliver(rh_store_t *of, rh_queue_t *by)
{
    (void)by;
    return rh_store_redeliver(of, now.tenant, now.delivery, pool);
}

static void check_again(void)
{
    apr_array_header_t *rows = list_deliveries(NULL, NULL, -1);

    check(rows->nelts == 3, "a redelivery does not make another delivery");
    for (int i = 0; i < rows->nelts; i++) {
        check(check_delivery(APR_ARRAY_IDX(rows, i, rh_delivery_t *)->id) == 1,
              "a redelivered delivery keeps its attempt");
    }
}

static void check_again_end(void)
{
    check_again();
    check(count_deliveries(NULL, NULL, RH_DELIVERY_PENDING) == 1, "it is pending once");
}

/** A replay of deliveries that ended, and of events that came during a pause. */
static void prepare_job(void)
{
    rh_delivery_filter_t filter = {.state = -1};
    rh_store_job_t job = {
        .tenant = now.tenant, .kind = RH_JOB_REPLAY, .filter = "{}", .created_by = "test"};
    rh_subscription_t *row = NULL;

    prepare_again();
    for (int turn = 0; turn < 2; turn++) {
        if (rh_store_subscription_get(store, now.tenant, now.target[0]->id, pool, &row) !=
            APR_SUCCESS) {
            check(false, "the subscription can be read");
            return;
        }
        row->state = turn == 0 ? RH_SUBSCRIPTION_PAUSED : RH_SUBSCRIPTION_ACTIVE;
        check(rh_store_subscription_update(store, row, pool) == APR_SUCCESS,
              "it can be paused and go on");
        if (turn == 0) {
            store_unclaimed(queue, now.tenant, "thing.made", NULL, 2);
        }
    }
    job.subscription_id = row->id;
    check(rh_store_job_create(store, &job, &filter, true, pool) == APR_SUCCESS, "a job is made");
    now.job = job.id;
}

static apr_status_t work_chunk(rh_store_t *of, rh_queue_t *by)
{
    bool running;

    (void)by;
    return rh_store_job_work(of, now.tenant, now.job, pool, &running);
}

static void check_job(void)
{
    rh_store_job_t *job = NULL;
    int deliveries = count_deliveries(NULL, NULL, -1);

    check(deliveries == 3 || deliveries == 5, "a chunk makes all deliveries, or none");
    check(rh_store_job_get(store, now.tenant, now.job, pool, &job) == APR_SUCCESS &&
              job->done == count_deliveries(NULL, NULL, RH_DELIVERY_PENDING),
          "a job has queued what it says");
}

static void check_job_end(void)
{
    bool running = true;

    while (running &&
           rh_store_job_work(store, now.tenant, now.job, pool, &running) == APR_SUCCESS) {
    }
    check_job();
    check(count_deliveries(NULL, NULL, RH_DELIVERY_PENDING) == 5, "each event is sent once again");
}

static void prepare_test(void)
{
    now.target[0] = subscribe("*", false);
    now.event[0] = new_event(now.tenant, "thing.made", NULL);
}

static apr_status_t send_test(rh_store_t *of, rh_queue_t *by)
{
    rh_event_t *row;

    (void)by;
    /* A person would send another one. */
    return rh_store_event_get(of, now.tenant, now.event[0]->id, pool, &row) == APR_SUCCESS
               ? APR_SUCCESS
               : rh_store_test(of, now.event[0], now.target[0]->id, pool, &now.delivery);
}

static void check_test(void)
{
    check_all();
    check(count_deliveries(now.event[0]->id, NULL, -1) == count_events(0, 1),
          "a test has its delivery");
}

static void check_test_end(void)
{
    check_test();
    check(count_events(0, 1) == 1, "a test event is stored in the end");
}

static const scenario_t scenarios[] = {
    {"cancel", prepare_cancel, unsubscribe, check_cancel_between, check_cancel_end},
    {"claim", prepare_claim, claim_shortly, check_claim, check_claim_end},
    {"redeliver", prepare_again, redeliver, check_again, check_again_end},
    {"job", prepare_job, work_chunk, check_job, check_job_end},
    {"test delivery", prepare_test, send_test, check_test, check_test_end},
};

static void run_all(const char *driver, const char *params)
{
    if (!open_database(driver, params)) {
        return;
    }
    for (int i = 0; i < (int)RH_COUNT_OF(scenarios); i++) {
        kill_everywhere(&scenarios[i]);
    }
}

int main(void)
{
    return test_databases("rh_killed_sends", run_all);
}
