/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Commits and replays reach the subscriptions that rh_matching.h chooses: on SQLite, and on
 * PostgreSQL where $RH_PGSQL names a cluster. */
#include "store_databases.h"

#include "rh_matching.h"
#include "rh_store_open.h"

static const char *database;
static rh_store_t *store;
static rh_queue_t *queue;

static const struct {
    const char *pattern, *type;
    bool covers;
} cases[] = {
#include "matching_cases.inc"
};

/** Return the number of deliveries that a tenant has. */
static int count_deliveries(const char *tenant)
{
    rh_delivery_filter_t filter = {.state = -1};
    rh_page_t page = {100, NULL};
    apr_array_header_t *rows = NULL;
    apr_status_t status = rh_store_delivery_list(store, tenant, &filter, &page, pool, &rows, NULL);

    return status == APR_SUCCESS ? rows->nelts : -1;
}

/** Return the number of events that a replay of all would send to a subscription. */
static int count_replayed(const char *tenant, const char *id)
{
    apr_int64_t matching = -1;

    rh_store_replay_count(store, tenant, id, true, 0, apr_time_now() + apr_time_from_sec(3600),
                          pool, &matching);
    return (int)matching;
}

static void test_case(int i)
{
    const char *tenant = apr_psprintf(pool, "case-%d", i), *pattern = cases[i].pattern;
    const char *type = cases[i].type, *verb = cases[i].covers ? "reaches" : "does not reach";
    int count = cases[i].covers ? 1 : 0;
    rh_subscription_t *late;
    apr_int64_t queued = -1;

    subscribe_to(store, tenant, pattern);
    store_unclaimed(queue, tenant, type, NULL, 1);
    ok(count_deliveries(tenant) == count, "%s: a commit of %s %s %s", database, type, verb,
       pattern);
    late = subscribe_to(store, tenant, pattern);
    ok(count_replayed(tenant, late->id) == count, "%s: a replay matches as a commit does",
       database);
    replay_all(store, tenant, late->id, true, 0, pool, &queued);
    ok((int)queued == count, "%s: it sends as many as it counts", database);
}

/** Store an event that is sent, or not. @return how many deliveries it has */
static int deliveries_of(const char *tenant, rh_event_source_t source, const char *reason)
{
    rh_claim_t none = {.lease = 1};
    apr_array_header_t *jobs = apr_array_make(pool, 1, sizeof(rh_job_t *));
    rh_event_t *event = new_event(tenant, "a.b", NULL);
    rh_commit_t item = {.event = event}, *items[] = {&item};
    int waiting = 0;

    event->source = source;
    event->reason = reason;
    if (queue->commit(queue, items, 1, &none, pool, jobs, &waiting) != APR_SUCCESS) {
        return -1;
    }
    return count_deliveries(tenant);
}

static void test_sources(void)
{
    rh_subscription_t *paused;

    subscribe_to(store, "sources", "*");
    ok(deliveries_of("sources", RH_SOURCE_OBSERVED, NULL) == 0,
       "%s: an observed event has no delivery", database);
    ok(deliveries_of("sources", RH_SOURCE_CAPTURE, RH_REASON_HOPS) == 0,
       "%s: an event of a loop has no delivery", database);
    ok(deliveries_of("sources", RH_SOURCE_PUBLISH, "truncated") == 1,
       "%s: an event whose data was truncated has one", database);
    paused = subscribe_to(store, "paused", "*");
    paused->state = RH_SUBSCRIPTION_PAUSED;
    rh_store_subscription_update(store, paused, pool);
    ok(deliveries_of("paused", RH_SOURCE_CAPTURE, NULL) == 0,
       "%s: a subscription that is not active gets nothing", database);
}

static void run_all(const char *driver, const char *params)
{
    rh_db_source_t *source[2];

    database = driver;
    if (!open_sources(driver, params, source, 2)) {
        return;
    }
    store = rh_store_make(pool, source[0]);
    queue = rh_queue_make(pool, source[1]);
    for (int i = 0; i < (int)RH_COUNT_OF(cases); i++) {
        test_case(i);
    }
    test_sources();
}

int main(void)
{
    return test_databases("rh_matching", run_all);
}
