/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "killed_case.h"

#include "rh_store_open.h"

/** More points than any work has. */
#define MAX_POINTS 200

killed_case_t now;
rh_db_source_t *source;
rh_store_t *store;
rh_queue_t *queue;

static const char *database, *parameters;

void check(bool condition, const char *what)
{
    if (!condition) {
        ok(false, "%s: %s: %s", database, now.name, what);
    }
}

/* ---- what there is, as the API sees it ---- */

apr_array_header_t *list_deliveries(const char *event, const char *subscription, int state)
{
    const rh_delivery_filter_t all = {.state = -1};
    const rh_page_t page = {500, NULL};
    apr_array_header_t *ids = apr_array_make(pool, 1, sizeof(const char *)), *rows = NULL;
    apr_array_header_t *some = apr_array_make(pool, 1, sizeof(rh_delivery_t *));

    APR_ARRAY_PUSH(ids, const char *) = event;
    if ((event ? rh_store_event_deliveries(store, now.tenant, ids, 500, pool, &rows)
               : rh_store_delivery_list(store, now.tenant, &all, &page, pool, &rows, NULL)) !=
        APR_SUCCESS) {
        check(false, "deliveries can be listed");
        return some;
    }
    for (int i = 0; i < rows->nelts; i++) {
        rh_delivery_t *row = APR_ARRAY_IDX(rows, i, rh_delivery_t *);

        if ((state < 0 || (int)row->state == state) &&
            (!subscription || strcmp(row->subscription_id, subscription) == 0)) {
            APR_ARRAY_PUSH(some, rh_delivery_t *) = row;
        }
    }
    return some;
}

int count_deliveries(const char *event, const char *subscription, int state)
{
    return list_deliveries(event, subscription, state)->nelts;
}

int count_receivers(const char *event)
{
    apr_array_header_t *rows = list_deliveries(event, NULL, -1);
    apr_hash_t *seen = apr_hash_make(pool);

    for (int i = 0; i < rows->nelts; i++) {
        apr_hash_set(seen, APR_ARRAY_IDX(rows, i, rh_delivery_t *)->subscription_id,
                     APR_HASH_KEY_STRING, "");
    }
    return (int)apr_hash_count(seen);
}

int count_events(int first, int count)
{
    int found = 0;

    for (int i = first; i < first + count; i++) {
        rh_event_t *row;

        found += rh_store_event_get(store, now.tenant, now.event[i]->id, pool, &row) == APR_SUCCESS;
    }
    return found;
}

/** Check a delivery against its attempts. @return how many there are */
int check_delivery(const char *id)
{
    rh_delivery_t *row = NULL;
    apr_status_t status = rh_store_delivery_get(store, now.tenant, id, pool, &row);

    if (status != APR_SUCCESS) {
        check(false, "each delivery in a list can be read, with its event");
        return 0;
    }
    check(row->attempts->nelts == row->attempt_count, "as many attempts are logged as counted");
    for (int i = 0; i < row->attempts->nelts; i++) {
        const rh_attempt_t *attempt = APR_ARRAY_IDX(row->attempts, i, rh_attempt_t *);

        check(attempt->number == i + 1, "each number of an attempt is there once");
        check(i < row->attempts->nelts - 1 || attempt->status_code == row->last_status_code,
              "a delivery has the status of its last attempt");
        check(attempt->sent &&
                  strcmp(attempt->sent, apr_pstrcat(pool, "{\"", id, "\":1}", NULL)) == 0,
              "an attempt has what was sent, which is stored before it");
    }
    return row->attempts->nelts;
}

/** Check a subscription's counters. `events` without a delivery: how many there may be. */
static void check_counters(const rh_subscription_t *target)
{
    rh_subscription_t *row = NULL;

    if (rh_store_subscription_get(store, now.tenant, target->id, pool, &row) != APR_SUCCESS) {
        return;
    }
    check(row->stats.pending == count_deliveries(NULL, target->id, RH_DELIVERY_PENDING),
          "what is pending is in the queue");
    check(row->stats.delivered == count_deliveries(NULL, target->id, RH_DELIVERY_DELIVERED),
          "what was delivered is counted once");
    check(row->stats.failed == count_deliveries(NULL, target->id, RH_DELIVERY_FAILED),
          "what has failed is counted once");
}

/** Check that events have deliveries, deliveries their attempts, and both are counted. */
/** Check the statistics of this hour and the ones beside it. */
static void check_statistics(int attempts)
{
    const apr_interval_time_t hour = apr_time_from_sec(3600);
    rh_stats_range_t range = {.step = hour, .count = 3};
    rh_stats_bucket_t *buckets = NULL;
    apr_int64_t delivered = 0, failed = 0, begun = 0;

    range.from = (apr_time_now() / hour - 1) * hour;
    range.to = range.from + range.count * hour;
    if (rh_store_stats(store, now.tenant, NULL, &range, pool, &buckets) != APR_SUCCESS) {
        check(false, "there are statistics");
        return;
    }
    for (int i = 0; i < range.count; i++) {
        delivered += buckets[i].deliveries[RH_DELIVERY_DELIVERED];
        failed += buckets[i].deliveries[RH_DELIVERY_FAILED];
        begun += buckets[i].attempts;
    }
    check(delivered == count_deliveries(NULL, NULL, RH_DELIVERY_DELIVERED) &&
              failed == count_deliveries(NULL, NULL, RH_DELIVERY_FAILED) && begun == attempts,
          "the statistics of hours have each outcome and each attempt once");
}

int check_all(void)
{
    rh_event_filter_t filter = {.unmatched = true};
    rh_page_t page = {500, NULL};
    apr_array_header_t *deliveries = list_deliveries(NULL, NULL, -1), *events = NULL;
    int attempts = 0;

    check(rh_store_event_list(store, now.tenant, &filter, &page, pool, &events, NULL) ==
                  APR_SUCCESS &&
              events->nelts == 0,
          "no event is without its deliveries");
    for (int i = 0; i < deliveries->nelts; i++) {
        attempts += check_delivery(APR_ARRAY_IDX(deliveries, i, rh_delivery_t *)->id);
    }
    for (int i = 0; i < (int)RH_COUNT_OF(now.target) && now.target[i]; i++) {
        check_counters(now.target[i]);
    }
    check_statistics(attempts);
    return attempts;
}

const char *state_of(int target)
{
    rh_subscription_t *row = NULL;

    return rh_store_subscription_get(store, now.tenant, now.target[target]->id, pool, &row) ==
                   APR_SUCCESS
               ? rh_subscription_state_name(row->state)
               : "none";
}

/* ---- what tests do ---- */

rh_subscription_t *subscribe(const char *pattern, bool ordered)
{
    rh_subscription_t *target = new_subscription(now.tenant);

    APR_ARRAY_IDX(target->events, 0, const char *) = pattern;
    target->ordered = ordered;
    check(rh_store_subscription_create(store, target, 1000, pool) == APR_SUCCESS,
          "a subscription is stored");
    return target;
}

static apr_status_t destroy_jobs(void *jobs)
{
    rh_job_t **job;

    while ((job = apr_array_pop(jobs)) != NULL) {
        rh_job_destroy(*job);
    }
    return APR_SUCCESS;
}

/** An array of rh_job_t * that ends with the pool. */
apr_array_header_t *make_jobs(void)
{
    apr_array_header_t *jobs = apr_array_make(pool, 16, sizeof(rh_job_t *));

    apr_pool_cleanup_register(pool, jobs, destroy_jobs, apr_pool_cleanup_null);
    return jobs;
}

/** Claim all that is due, until nothing is. @param jobs receives this case's */
void claim_all(rh_queue_t *by, apr_interval_time_t lease_for, apr_array_header_t *jobs)
{
    apr_array_header_t *found = make_jobs();

    do {
        rh_claim_t claim = {
            .limit = 500, .per_subscription = 100, .lease = LEASE, .lease_for = lease_for};

        destroy_jobs(found);
        if (by->claim(by, &claim, pool, found) != APR_SUCCESS) {
            check(false, "what is due can be claimed");
        }
        for (int i = 0; i < found->nelts; i++) {
            rh_job_t **job = &APR_ARRAY_IDX(found, i, rh_job_t *);

            if (strcmp((*job)->tenant, now.tenant) == 0) {
                APR_ARRAY_PUSH(jobs, rh_job_t *) = *job;
                *job = NULL;
            }
        }
    } while (found->nelts > 0 && lease_for == LONG);
}

/** Claim until nothing is pending or the claims find no more that is to be cancelled. */
void cancel_rest(const char *subscription)
{
    apr_time_t until = apr_time_now() + apr_time_from_sec(60);
    apr_array_header_t *jobs = make_jobs();

    while (count_deliveries(NULL, subscription, RH_DELIVERY_PENDING) > 0 &&
           apr_time_now() < until) {
        /* A queue of its own walks around the subscriptions at once. */
        claim_all(rh_queue_make(pool, source), LONG, jobs);
    }
}

rh_settle_t *add_outcome(rh_settle_kind_t kind, const rh_job_t *job)
{
    rh_settle_t *settle = apr_pcalloc(pool, sizeof(*settle));

    settle->kind = kind;
    settle->tenant = job->tenant;
    settle->delivery_id = job->delivery_id;
    settle->event_id = job->event.id;
    settle->subscription_id = job->subscription_id;
    settle->type = job->event.type;
    settle->lease = job->lease;
    settle->delay = kind == RH_SETTLE_RETRY && job->attempt_count == 0 ? 0 : LONG;
    settle->reason = "it said so";
    settle->attempt.id = make_id();
    settle->attempt.number = job->attempt_count + 1;
    settle->attempt.started_at = apr_time_now();
    settle->attempt.duration = 1500;
    settle->attempt.status_code = kind == RH_SETTLE_DELIVERED ? 200 : 500;
    settle->attempt.headers = "{}";
    settle->attempt.answer = "yes";
    settle->attempt.template = apr_pstrcat(pool, "{\"", job->delivery_id, "\":\nv}", NULL);
    settle->attempt.sent = "1";
    now.outcome[now.outcomes++] = settle;
    return settle;
}

apr_status_t settle_outcomes(rh_store_t *of, rh_queue_t *by)
{
    (void)of;
    return by->settle(by, now.outcome, now.outcomes, pool);
}

/* ---- the kills ---- */

bool open_database(const char *driver, const char *params)
{
    database = driver;
    parameters = params;
    if (!open_sources(driver, params, &source, 1)) {
        return false;
    }
    store = rh_store_make(pool, source);
    queue = rh_queue_make(pool, source);
    return true;
}

/** @return the number of points */
static int kill_at(const scenario_t *scenario, kill_point_t point)
{
    static int cases;
    bool killed = true;
    int n = 0;

    while (killed && n++ < MAX_POINTS) {
        apr_pool_t *whole = pool;
        apr_status_t status;

        apr_pool_create(&pool, whole);
        memset(&now, 0, sizeof(now));
        now.tenant = apr_psprintf(pool, "tenant%d", ++cases);
        now.name =
            apr_psprintf(pool, "%s, killed %s %d", scenario->name,
                         point == KILL_AFTER_STATEMENT ? "after statement" : "after sending", n);
        scenario->prepare();
        killed = run_killed(database, parameters, source, point, n, scenario->work);
        scenario->between();
        status = scenario->work(store, queue);
        check(status == APR_SUCCESS || status == APR_NOTFOUND, "the work can be repeated");
        scenario->end();
        apr_pool_destroy(pool);
        pool = whole;
    }
    check(n < MAX_POINTS, "the work ends");
    return n - 1;
}

void kill_everywhere(const scenario_t *scenario)
{
    int points = kill_at(scenario, KILL_AFTER_STATEMENT);

    ok(points > 0, "%s: %s: a kill after any of %d statements leaves nothing half done", database,
       scenario->name, points);
    if (strcmp(database, "pgsql") == 0) {
        points = kill_at(scenario, KILL_AFTER_SENDING);
        ok(points > 0, "%s: %s: nor does one while any of %d messages is on its way", database,
           scenario->name, points);
    }
}
