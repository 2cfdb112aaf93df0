/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* An event that many subscriptions want: its commit makes some of the deliveries, expansions make
 * the others, each once. On SQLite, and on PostgreSQL where $RH_PGSQL names a cluster. */
#include "store_databases.h"

#include "rh_store_open.h"
#include "rh_queue_private.h"

#include <pthread.h>

/** Subscriptions of the tenant "wide": of the commit, of two whole chunks, and of a third. */
#define WIDE (RH_COMMIT_FANOUT + 2 * RH_EXPAND_CHUNK + 10)

static const char *database;
static rh_db_source_t *source[3];
static rh_store_t *store;
static rh_queue_t *queue[2];

static rh_subscription_t *subscribe_in_order(const char *tenant, const char *pattern)
{
    rh_subscription_t *subscription = new_subscription(tenant);

    APR_ARRAY_IDX(subscription->events, 0, const char *) = pattern;
    subscription->ordered = true;
    if (rh_store_subscription_create(store, subscription, 100000, pool) != APR_SUCCESS) {
        ok(false, "%s: an ordered subscription is stored", database);
    }
    return subscription;
}

/** Commit an event. @return how many of its deliveries were handed over, -1: it failed */
static int commit(const rh_event_t *event, int limit, int *waiting)
{
    rh_claim_t claim = {.limit = limit, .lease = 4711, .lease_for = apr_time_from_sec(600)};
    apr_array_header_t *jobs = apr_array_make(pool, 1, sizeof(rh_job_t *));
    rh_commit_t item = {.event = event}, *items[] = {&item};
    apr_status_t status = queue[0]->commit(queue[0], items, 1, &claim, pool, jobs, waiting);

    for (int i = 0; i < jobs->nelts; i++) {
        rh_job_destroy(APR_ARRAY_IDX(jobs, i, rh_job_t *));
    }
    return status == APR_SUCCESS ? jobs->nelts : -1;
}

static int number_of(const char *sql, const char *event)
{
    return (int)select_number(source[0], sql, event);
}

/** None has ended: all are in the queue. */
static int deliveries_of(const rh_event_t *event)
{
    return number_of("SELECT count(*) FROM @queue WHERE event_id = '%s'", event->id);
}

static int receivers_of(const rh_event_t *event)
{
    return number_of("SELECT count(DISTINCT subscription_id) FROM @queue WHERE event_id = '%s'",
                     event->id);
}

static int open_expansions(void)
{
    return number_of("SELECT count(*) FROM @expansion", "");
}

static bool expand(int of)
{
    bool found = false;

    return queue[of]->expand(queue[of], pool, &found) == APR_SUCCESS && found;
}

static void expand_all(void)
{
    while (expand(0)) {
    }
}

/** Claim once. @return the deliveries of a subscription; @param events receives their events, in
 * order, separated by spaces */
static int claim_of(const rh_subscription_t *subscription, const char **events, bool *expanding)
{
    rh_claim_t what = {
        .limit = 4096, .per_subscription = 16, .lease = 4712, .lease_for = apr_time_from_sec(600)};
    apr_array_header_t *jobs = apr_array_make(pool, 4, sizeof(rh_job_t *));
    int count = 0;

    *events = "";
    if (queue[0]->claim(queue[0], &what, pool, jobs) != APR_SUCCESS) {
        ok(false, "%s: a claim works", database);
    }
    for (int i = 0; i < jobs->nelts; i++) {
        rh_job_t *job = APR_ARRAY_IDX(jobs, i, rh_job_t *);

        if (strcmp(job->subscription_id, subscription->id) == 0) {
            *events = apr_pstrcat(pool, *events, job->event.id, " ", NULL);
            count++;
        }
        rh_job_destroy(job);
    }
    *expanding = what.expanding;
    return count;
}

static void *expand_beside(void *baton)
{
    rh_queue_t *mine = baton;
    apr_pool_t *own;
    bool found;
    int misses = 0;

    apr_pool_create_unmanaged(&own);
    /* The one may find the row taken by the other. */
    while (misses < 50) {
        if (mine->expand(mine, own, &found) != APR_SUCCESS || !found) {
            misses++;
            apr_sleep(2000);
        }
        apr_pool_clear(own);
    }
    apr_pool_destroy(own);
    return NULL;
}

static void test_counts(void)
{
    const rh_event_t *event = new_event("wide", "thing.made", NULL);
    rh_event_t *other = new_event("wide", "thing.made", NULL);
    pthread_t threads[2];
    int waiting = 0, jobs = commit(event, 512, &waiting);

    ok(jobs == RH_COMMIT_FANOUT && waiting == 1 && deliveries_of(event) == RH_COMMIT_FANOUT,
       "%s: a commit hands over %d deliveries (%d), and says that there are others (%d)", database,
       RH_COMMIT_FANOUT, jobs, waiting);
    ok(expand(0) && deliveries_of(event) == RH_COMMIT_FANOUT + RH_EXPAND_CHUNK,
       "%s: a chunk makes more", database);
    commit(event, 0, &waiting);
    ok(open_expansions() == 1 && deliveries_of(event) == RH_COMMIT_FANOUT + RH_EXPAND_CHUNK,
       "%s: an event that is committed again during that is not expanded again", database);
    ok(expand(1) && open_expansions() == 1, "%s: another process goes on", database);
    ok(expand(1) && open_expansions() == 0 && !expand(1), "%s: the expansion continues to its end",
       database);
    ok(deliveries_of(event) == WIDE && receivers_of(event) == WIDE,
       "%s: every subscription has one delivery, and it is queued", database);
    commit(event, 0, &waiting);
    ok(open_expansions() == 0 && deliveries_of(event) == WIDE,
       "%s: an event that has been expanded is not expanded again", database);
    commit(other, 0, &waiting);
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, expand_beside, queue[i]);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    ok(deliveries_of(other) == WIDE && receivers_of(other) == WIDE,
       "%s: two processes at once make one delivery for each as well", database);
    other = new_event("wide", "thing.made", NULL);
    other->source = RH_SOURCE_OBSERVED;
    commit(other, 512, &waiting);
    ok(waiting == 0 && open_expansions() == 0, "%s: what is only observed is not expanded",
       database);
}

/** A subscription whose state changes is judged by what it was when the event was committed. */
static void test_changes(const rh_subscription_t *last)
{
    const rh_event_t *event = new_event("wide", "thing.made", NULL), *next;
    rh_subscription_t *changed = NULL, *late;
    int waiting;

    commit(event, 0, &waiting);
    late = subscribe_to(store, "wide", "*");
    rh_store_subscription_get(store, "wide", last->id, pool, &changed);
    changed->state = RH_SUBSCRIPTION_PAUSED;
    ok(rh_store_subscription_update(store, changed, pool) == APR_SUCCESS, "%s: it is paused",
       database);
    expand_all();
    ok(deliveries_of(event) == WIDE && receivers_of(event) == WIDE,
       "%s: one that is paused after the commit has its delivery, one that is made after it none",
       database);
    apr_sleep(5000);
    next = new_event("wide", "thing.made", NULL);
    commit(next, 0, &waiting);
    expand_all();
    /* It has the one made after the first event, and not the one that was paused before. */
    ok(deliveries_of(next) == WIDE, "%s: one that is paused before the commit has none", database);
    changed->state = RH_SUBSCRIPTION_ACTIVE;
    rh_store_subscription_update(store, changed, pool);
    rh_store_subscription_delete(store, "wide", late->id, 0, pool);
}

static void test_replay(const rh_subscription_t *last)
{
    const rh_event_t *event = new_event("wide", "thing.made", NULL);
    apr_int64_t queued = -1;
    int waiting;

    commit(event, 0, &waiting);
    ok(replay_all(store, "wide", last->id, true, event->time, pool, &queued) == APR_SUCCESS &&
           queued == 0,
       "%s: a replay leaves alone what an expansion will make", database);
    expand_all();
    ok(deliveries_of(event) == WIDE && receivers_of(event) == WIDE,
       "%s: the expansion makes each delivery once", database);
}

/** The later event's delivery is there before the earlier one's. */
static void test_order(void)
{
    rh_subscription_t *ordered;
    rh_event_t *first, *second;
    const char *events;
    int waiting, got;
    bool expanding;

    for (int i = 0; i <= RH_COMMIT_FANOUT; i++) {
        subscribe_to(store, "keys", "thing.made");
    }
    ordered = subscribe_in_order("keys", "thing.*");
    first = new_event("keys", "thing.made", NULL);
    second = new_event("keys", "thing.changed", NULL);
    first->key = second->key = "k";
    commit(first, 0, &waiting);
    commit(second, 0, &waiting);
    ok(deliveries_of(second) == 1 && receivers_of(first) == RH_COMMIT_FANOUT,
       "%s: a later event of a key has its delivery before an earlier one", database);
    got = claim_of(ordered, &events, &expanding);
    ok(got == 0 && expanding && deliveries_of(second) == 1,
       "%s: it is not claimed, and the claim asks for an expansion", database);
    expand_all();
    got = claim_of(ordered, &events, &expanding);
    ok(got == 1 && strncmp(events, first->id, strlen(first->id)) == 0 && !expanding,
       "%s: after that, the earlier one is claimed alone", database);
}

static void test_turns(void)
{
    const rh_event_t *many[4], *one;
    int waiting;

    for (int i = 0; i < 2 * RH_COMMIT_FANOUT; i++) {
        subscribe_to(store, "also", "*");
    }
    for (int i = 0; i < 4; i++) {
        many[i] = new_event("wide", "thing.made", NULL);
        commit(many[i], 0, &waiting);
    }
    one = new_event("also", "thing.made", NULL);
    commit(one, 0, &waiting);
    expand(0);
    expand(0);
    ok(deliveries_of(one) == 2 * RH_COMMIT_FANOUT &&
           deliveries_of(many[0]) == RH_COMMIT_FANOUT + RH_EXPAND_CHUNK,
       "%s: tenants take turns, however many events of one are to be expanded", database);
    expand_all();
    ok(receivers_of(many[3]) == WIDE && open_expansions() == 0,
       "%s: all events are expanded in the end", database);
}

static void test_sql(void)
{
    int before = number_of("SELECT count(*) FROM @queue", ""), waiting;

    ok(number_of("SELECT length(@publish('wide', 'thing.made', '{}'))", "") == 36 &&
           open_expansions() == 1,
       "%s: the function in SQL leaves an event to expand, too", database);
    waiting = number_of("SELECT count(*) FROM @queue", "") - before;
    expand_all();
    ok(waiting == RH_COMMIT_FANOUT && number_of("SELECT count(*) FROM @queue", "") - before == WIDE,
       "%s: the function in SQL makes as many deliveries", database);
}

static void run_all(const char *driver, const char *params)
{
    const rh_subscription_t *last = NULL;

    database = driver;
    if (!open_sources(driver, params, source, 3)) {
        return;
    }
    store = rh_store_make(pool, source[0]);
    queue[0] = rh_queue_make(pool, source[1]);
    queue[1] = rh_queue_make(pool, source[2]);
    for (int i = 0; i < WIDE; i++) {
        last = subscribe_to(store, "wide", i % 3 == 0 ? "thing.*" : "*");
    }
    test_order();
    test_counts();
    test_changes(last);
    test_replay(last);
    test_turns();
    if (strcmp(database, "pgsql") == 0) {
        test_sql();
    }
}

int main(void)
{
    return test_databases("rh_fanout", run_all);
}
