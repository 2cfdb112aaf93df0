/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * A process that ends with SIGKILL between two statements of a commit, an expansion or a settle, or
 * while one is on its way, leaves nothing half done; and what it did can be done again, as another
 * process would. On SQLite, and on PostgreSQL where $RH_PGSQL names a cluster.
 */
#include "killed_case.h"

#include "rh_queue_private.h"

/** Subscriptions of the tenant "wide": of the commit, of a chunk, and of a second one. */
#define WIDE (RH_COMMIT_FANOUT + RH_EXPAND_CHUNK + 10)

/* ---- commit ---- */

static apr_status_t commit_events(rh_queue_t *by, int count, rh_commit_t *item)
{
    rh_claim_t claim = {.limit = 1, .lease = LEASE, .lease_for = LONG};
    apr_array_header_t *jobs = make_jobs();
    rh_commit_t *items[4];
    int waiting = 0;

    for (int i = 0; i < count; i++) {
        item[i].event = now.event[i];
        items[i] = &item[i];
    }
    return by->commit(by, items, count, &claim, pool, jobs, &waiting);
}

/** Two subscriptions, one of them ordered; an idempotency key that was seen before. */
static void prepare_commit(void)
{
    rh_commit_t item[4] = {{0}};

    now.target[0] = subscribe("*", false);
    now.target[1] = subscribe("thing.*", true);
    now.event[0] = new_event(now.tenant, "thing.made", "k");
    now.event[0]->client_id = "seen";
    check(commit_events(queue, 1, item) == APR_SUCCESS, "a first event is stored");
    now.first = now.event[0]->id;
    for (int i = 0; i < 3; i++) {
        now.event[i] = new_event(now.tenant, "thing.made", "k");
    }
    now.event[1]->client_id = "new";
    now.event[2]->client_id = "seen";
}

static apr_status_t commit_three(rh_store_t *of, rh_queue_t *by)
{
    rh_commit_t item[4] = {{0}};

    (void)of;
    return commit_events(by, 3, item);
}

static void check_commit_between(void)
{
    int found = count_events(0, 2), attempts = check_all();

    check(found == 0 || found == 2, "a commit stores all events or none");
    check(count_deliveries(NULL, NULL, RH_DELIVERY_PENDING) == 2 + 2 * found,
          "a commit stores all deliveries of its events");
    check(count_events(2, 1) == 0 && attempts == 0, "a commit stores no duplicate and no attempt");
}

static void check_commit_end(void)
{
    rh_commit_t item[4] = {{0}};

    check(commit_events(queue, 3, item) == APR_SUCCESS, "it may be repeated again and again");
    check(item[2].duplicate && strcmp(item[2].stored_id, now.first) == 0 && !item[1].duplicate &&
              strcmp(item[1].stored_id, now.event[1]->id) == 0,
          "keys lead to the first event that had them");
    check_commit_between();
    check(count_events(0, 2) == 2, "all events are stored in the end");
    for (int i = 0; i < 2; i++) {
        check(count_deliveries(now.event[i]->id, NULL, -1) == 2 &&
                  count_receivers(now.event[i]->id) == 2,
              "each subscription gets each event once");
    }
}

/* ---- an event that many subscriptions want ---- */

static void make_wide(void)
{
    now.name = now.tenant = "wide";
    for (int i = 0; i < WIDE; i++) {
        subscribe(i % 2 ? "*" : "thing.*", false);
    }
}

static void prepare_wide(void)
{
    now.tenant = "wide";
    now.event[0] = new_event("wide", "thing.made", NULL);
}

static apr_status_t commit_wide(rh_store_t *of, rh_queue_t *by)
{
    rh_commit_t item[4] = {{0}};

    (void)of;
    return commit_events(by, 1, item);
}

static apr_status_t expand_once(rh_store_t *of, rh_queue_t *by)
{
    bool found;

    (void)of;
    return by->expand(by, pool, &found);
}

static void check_wide_between(void)
{
    int found = count_events(0, 1), deliveries = count_deliveries(now.event[0]->id, NULL, -1);

    check(found == 0
              ? deliveries == 0
              : deliveries == RH_COMMIT_FANOUT || deliveries == RH_COMMIT_FANOUT + RH_EXPAND_CHUNK,
          "whole chunks of an event's deliveries are made");
}

static void check_wide_end(void)
{
    bool found = true;

    while (found && queue->expand(queue, pool, &found) == APR_SUCCESS) {
    }
    check(count_deliveries(now.event[0]->id, NULL, RH_DELIVERY_PENDING) == WIDE &&
              count_receivers(now.event[0]->id) == WIDE,
          "each subscription has one delivery in the end");
}

static void prepare_expand(void)
{
    rh_commit_t item[4] = {{0}};

    prepare_wide();
    check(commit_events(queue, 1, item) == APR_SUCCESS, "the event is stored");
}

/* ---- settle ---- */

/** A subscription for each possible outcome, with leased deliveries. */
static void prepare_settle(void)
{
    static const rh_settle_kind_t plain[] = {RH_SETTLE_DELIVERED, RH_SETTLE_DELIVERED,
                                             RH_SETTLE_RETRY, RH_SETTLE_FAILED, RH_SETTLE_RELEASE};
    static const char *const types[] = {"plain.a", "gone.a", "off.a", "order.a"};
    static const int counts[] = {5, 3, 2, 2};
    apr_array_header_t *jobs = make_jobs();
    const rh_job_t *attempted = NULL;
    int seen[4] = {0};

    for (int i = 0; i < 4; i++) {
        now.target[i] = subscribe(types[i], i == 3);
        store_unclaimed(queue, now.tenant, types[i], "k", i == 0 ? 1 : counts[i]);
    }
    /* One has an attempt already. */
    claim_all(queue, LONG, jobs);
    for (int i = 0; i < jobs->nelts; i++) {
        const rh_job_t *job = APR_ARRAY_IDX(jobs, i, rh_job_t *);

        if (strcmp(job->subscription_id, now.target[0]->id) == 0) {
            add_outcome(RH_SETTLE_RETRY, job);
            attempted = job;
        }
    }
    check(settle_outcomes(store, queue) == APR_SUCCESS, "a first attempt is settled");
    now.outcomes = 0;
    store_unclaimed(queue, now.tenant, types[0], NULL, counts[0] - 1);
    claim_all(queue, LONG, jobs);
    check(jobs->nelts == 12, "all are claimed, of the ordered subscription the first one");
    for (int i = 0; i < jobs->nelts; i++) {
        const rh_job_t *job = APR_ARRAY_IDX(jobs, i, rh_job_t *);
        int of = 0;

        if (job == attempted) {
            continue;
        }
        while (of < 3 && strcmp(job->subscription_id, now.target[of]->id) != 0) {
            of++;
        }
        if (of == 0) {
            add_outcome(plain[seen[0]], job);
        } else if (seen[of] == 0) {
            add_outcome(of == 1   ? RH_SETTLE_GONE
                        : of == 2 ? RH_SETTLE_DISABLED
                                  : RH_SETTLE_DELIVERED,
                        job);
        }
        seen[of]++;
    }
}

static void check_settle_between(void)
{
    int attempts = check_all();
    bool settled = attempts > 1;

    check(attempts == (settled ? 8 : 1), "a settle logs all attempts or none");
    check(count_deliveries(NULL, NULL, RH_DELIVERY_DELIVERED) == (settled ? 3 : 0) &&
              count_deliveries(NULL, NULL, RH_DELIVERY_FAILED) == (settled ? 3 : 0),
          "a settle changes the states of all its deliveries or of none");
    check(strcmp(state_of(1), settled ? "gone" : "active") == 0 &&
              strcmp(state_of(2), settled ? "disabled" : "active") == 0,
          "a settle changes the states of all its subscriptions or of none");
    check(count_deliveries(NULL, NULL, -1) == 12, "no delivery gets lost");
}

static void check_settle_end(void)
{
    apr_array_header_t *jobs = make_jobs();
    int next = 0;

    check(settle_outcomes(store, queue) == APR_SUCCESS, "it may be repeated again and again");
    claim_all(queue, LONG, jobs);
    for (int i = 0; i < jobs->nelts; i++) {
        next += strcmp(APR_ARRAY_IDX(jobs, i, rh_job_t *)->subscription_id, now.target[3]->id) == 0;
    }
    check(next == 1, "the next one of a key is due");
    cancel_rest(now.target[1]->id);
    check_settle_between();
    check(count_deliveries(NULL, now.target[0]->id, RH_DELIVERY_DELIVERED) == 2 &&
              count_deliveries(NULL, now.target[0]->id, RH_DELIVERY_PENDING) == 2 &&
              count_deliveries(NULL, now.target[2]->id, RH_DELIVERY_PENDING) == 1,
          "a delivery that is to be sent again is pending");
    check(count_deliveries(NULL, now.target[1]->id, RH_DELIVERY_CANCELLED) == 2,
          "deliveries to a target that is gone are cancelled");
}

static const scenario_t scenarios[] = {
    {"commit", prepare_commit, commit_three, check_commit_between, check_commit_end},
    {"commit of a wide event", prepare_wide, commit_wide, check_wide_between, check_wide_end},
    {"expand", prepare_expand, expand_once, check_wide_between, check_wide_end},
    {"settle", prepare_settle, settle_outcomes, check_settle_between, check_settle_end},
};

static void run_all(const char *driver, const char *params)
{
    if (!open_database(driver, params)) {
        return;
    }
    make_wide();
    for (int i = 0; i < (int)RH_COUNT_OF(scenarios); i++) {
        kill_everywhere(&scenarios[i]);
    }
}

int main(void)
{
    return test_databases("rh_killed", run_all);
}
