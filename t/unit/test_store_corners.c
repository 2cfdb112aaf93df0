/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* What seldom happens to a queue: on SQLite, and on PostgreSQL where $RH_PGSQL names a cluster. */
#include "store_databases.h"

#include "rh_query.h"
#include "rh_store_open.h"
#include "rh_uuid.h"

#include <pthread.h>

#define SEC(n) apr_time_from_sec(n)
#define LEASE 4711
#define NO_ID "00000000-0000-0000-0000-000000000000"

static const char *database;
static rh_db_source_t *source[4];
static rh_store_t *store, *other_store;
static rh_queue_t *queue;

static rh_subscription_t *subscribe(const char *tenant, bool ordered, int rate_limit)
{
    rh_subscription_t *subscription = new_subscription(tenant);

    subscription->ordered = ordered;
    subscription->rate_limit = rate_limit;
    ok(rh_store_subscription_create(store, subscription, 100000, pool) == APR_SUCCESS,
       "%s: a subscription is made", database);
    return subscription;
}

#define JOB(jobs, i) APR_ARRAY_IDX(jobs, i, rh_job_t *)

/** Commit events. @param limit jobs that are handed over @return how many are */
static int commit(rh_event_t *const *events, int count, int limit)
{
    rh_commit_t *items = apr_pcalloc(pool, count * sizeof(*items));
    rh_commit_t **list = apr_palloc(pool, count * sizeof(*list));
    apr_array_header_t *jobs = apr_array_make(pool, 4, sizeof(rh_job_t *));
    rh_claim_t claim = {0};
    int waiting;

    claim.limit = limit;
    claim.lease = LEASE;
    claim.lease_for = SEC(30);
    for (int i = 0; i < count; i++) {
        items[i].event = events[i];
        list[i] = &items[i];
    }
    if (queue->commit(queue, list, count, &claim, pool, jobs, &waiting) != APR_SUCCESS) {
        return -1;
    }
    for (int i = 0; i < jobs->nelts; i++) {
        rh_job_destroy(JOB(jobs, i));
    }
    return jobs->nelts;
}

/** Store events in one commit, leaving their deliveries to a claim. */
static void store_together(const char *tenant, const char *key, int count)
{
    rh_event_t **events = apr_palloc(pool, count * sizeof(*events));

    for (int i = 0; i < count; i++) {
        events[i] = new_event(tenant, "a.b", key);
    }
    is_int(commit(events, count, 0), 0, "events are stored");
}

static apr_status_t destroy_job(void *job)
{
    rh_job_destroy(job);
    return APR_SUCCESS;
}

/** Claim. The jobs stay as long as the pool. @param again may be NULL */
static apr_array_header_t *claim_jobs(apr_interval_time_t *again)
{
    apr_array_header_t *jobs = apr_array_make(pool, 4, sizeof(rh_job_t *));
    rh_claim_t claim = {0};

    claim.limit = 100;
    claim.per_subscription = 16;
    claim.lease = LEASE;
    claim.lease_for = SEC(60);
    if (queue->claim(queue, &claim, pool, jobs) != APR_SUCCESS) {
        ok(false, "%s: a claim works", database);
    }
    for (int i = 0; i < jobs->nelts; i++) {
        apr_pool_cleanup_register(pool, JOB(jobs, i), destroy_job, apr_pool_cleanup_null);
    }
    if (again) {
        *again = claim.again;
    }
    return jobs;
}

static void settle(const rh_job_t *job, rh_settle_kind_t kind)
{
    rh_settle_t outcome = {0}, *outcomes[1] = {&outcome};

    outcome.kind = kind;
    outcome.tenant = job->tenant;
    outcome.delivery_id = job->delivery_id;
    outcome.event_id = job->event.id;
    outcome.subscription_id = job->subscription_id;
    outcome.type = job->event.type;
    outcome.lease = job->lease;
    outcome.attempt.id = make_id();
    outcome.attempt.number = job->attempt_count + 1;
    outcome.attempt.started_at = apr_time_now();
    outcome.attempt.status_code = kind == RH_SETTLE_DELIVERED ? 200 : 500;
    ok(queue->settle(queue, outcomes, 1, pool) == APR_SUCCESS, "%s: an outcome is settled",
       database);
}

/** Claim one and see that it is this event's. */
static const rh_job_t *claim_this(const rh_event_t *event, const char *name)
{
    static const rh_job_t none = {.tenant = "", .delivery_id = NO_ID, .subscription_id = NO_ID};
    apr_array_header_t *jobs = claim_jobs(NULL);

    ok(jobs->nelts == 1 && strcmp(JOB(jobs, 0)->event.id, event->id) == 0, "%s: %s (%d)", database,
       name, jobs->nelts);
    return jobs->nelts > 0 ? JOB(jobs, 0) : &none;
}

/* ---- order ---- */

/** The older one of a key is sent again while the younger is being attempted, which fails. */
static void test_resent_behind_a_failing_one(void)
{
    rh_event_t *older = new_event("resent", "a.b", "k"), *younger = new_event("resent", "a.b", "k");
    const rh_job_t *first, *second;

    subscribe("resent", true, 0);
    commit(&older, 1, 0);
    first = claim_this(older, "the older one is claimed");
    settle(first, RH_SETTLE_DELIVERED);
    commit(&younger, 1, 0);
    second = claim_this(younger, "the younger one is claimed");
    ok(rh_store_redeliver(store, "resent", first->delivery_id, pool) == APR_SUCCESS,
       "%s: the older one is sent again", database);
    is_int(claim_jobs(NULL)->nelts, 0, "the older one waits for the younger one's attempt");
    settle(second, RH_SETTLE_RETRY);
    first = claim_this(older, "after the younger one's attempt failed, the older one is claimed");
    settle(first, RH_SETTLE_DELIVERED);
    second = claim_this(younger, "after the older one is delivered, the younger one is claimed");

    ok(rh_store_redeliver(store, "resent", first->delivery_id, pool) == APR_SUCCESS,
       "%s: it is redelivered again", database);
    is_int(claim_jobs(NULL)->nelts, 0, "the older one waits again");
    ok(queue->release(queue, LEASE, pool) == APR_SUCCESS, "%s: the process gives its leases back",
       database);
    first = claim_this(older, "after the younger one is given back, the older one is claimed");
    settle(first, RH_SETTLE_DELIVERED);
    settle(claim_this(younger, "the one that was given back is claimed last"), RH_SETTLE_DELIVERED);
}

static void test_pace_of_ordered(void)
{
    apr_interval_time_t again = 0;

    subscribe("pace", true, 1);
    for (int i = 0; i < 5; i++) {
        store_together("pace", apr_itoa(pool, i), 1);
    }
    is_int(claim_jobs(&again)->nelts, 1, "a rate limit holds for ordered subscriptions");
    ok(again > 0, "%s: a claim returns when the next delivery is due", database);
    is_int(claim_jobs(NULL)->nelts, 0, "a rate limit holds for all claims");
    run_script(source[3], "DELETE FROM @queue WHERE tenant = 'pace'");
}

/* ---- many ---- */

static void test_cancelling_many(void)
{
    rh_subscription_t *one = subscribe("gone", false, 0), *row = NULL;
    apr_interval_time_t again = 0;
    int rounds = 0;

    store_together("gone", NULL, 1);
    settle(JOB(claim_jobs(NULL), 0), RH_SETTLE_GONE);
    rh_store_subscription_get(store, "gone", one->id, pool, &row);
    is(rh_subscription_state_name(row->state), "gone", "a subscription is gone");
    run_script(source[3], "UPDATE @subscription SET state = 'active' WHERE tenant = 'gone'");
    for (int i = 0; i < 10; i++) {
        store_together("gone", NULL, 500);
    }
    run_script(source[3], "UPDATE @subscription SET state = 'gone' WHERE tenant = 'gone'");
    do {
        is_int(claim_jobs(&again)->nelts, 0,
               "no delivery of a subscription that is gone is claimed");
        rh_store_subscription_get(store, "gone", one->id, pool, &row);
    } while (row->stats.pending > 0 && again > 0 && again < SEC(1) && ++rounds < 10);
    is_int(row->stats.pending, 0, "all its deliveries are cancelled by one claim");
}

/** A person sends a delivery again while its last attempt is being made. */
static void test_resent_in_flight(void)
{
    rh_event_t *event = new_event("flight", "a.b", NULL);
    const rh_job_t *job;

    subscribe("flight", false, 0);
    commit(&event, 1, 0);
    job = claim_this(event, "the last attempt is being made");
    ok(rh_store_redeliver(store, "flight", job->delivery_id, pool) == APR_SUCCESS,
       "%s: it is redelivered at the same time", database);
    is_int(claim_jobs(NULL)->nelts, 0, "a redelivery waits for the current attempt");
    settle(job, RH_SETTLE_FAILED);
    job = claim_this(event, "after the attempt failed, another one is due at once");
    ok(job->tries == 0 && job->attempt_count == 1, "%s: its schedule begins again", database);
    settle(job, RH_SETTLE_FAILED);
    is_int(claim_jobs(NULL)->nelts, 0, "a delivery that failed is not claimed");
    ok(rh_store_redeliver(store, "flight", job->delivery_id, pool) == APR_SUCCESS,
       "%s: it is redelivered again", database);
    job = claim_this(event, "the delivery is claimed");
    rh_store_redeliver(store, "flight", job->delivery_id, pool);
    settle(job, RH_SETTLE_DELIVERED);
    is_int(claim_jobs(NULL)->nelts, 0,
           "a delivery that was made in the meantime is not sent again");
}

static void test_another_target(void)
{
    rh_subscription_t *one = subscribe("moved", false, 0), *row = NULL;
    rh_event_t *event = new_event("moved", "a.b", NULL);

    run_script(source[3],
               "UPDATE @subscription_stat SET paused_until = 9000000000000, failing_since = 1"
               " WHERE tenant = 'moved'");
    commit(&event, 1, 0);
    rh_store_subscription_get(store, "moved", one->id, pool, &row);
    row->description = "changed";
    ok(rh_store_subscription_update(store, row, pool) == APR_SUCCESS &&
           claim_jobs(NULL)->nelts == 0,
       "%s: the pause that a target asked for outlasts a change", database);
    row->target_url = "https://example.org/elsewhere";
    ok(rh_store_subscription_update(store, row, pool) == APR_SUCCESS,
       "%s: it moves to another target", database);
    ok(claim_this(event, "a new target is not paused")->failing_for == 0,
       "%s: a new target is not failing", database);
    run_script(source[3], "DELETE FROM @queue WHERE tenant = 'moved'");
}

static void test_options(void)
{
    rh_subscription_t *one = subscribe("options", false, 0), *row = NULL;
    rh_event_t *event = new_event("options", "a.b", NULL);

    run_script(source[3], apr_psprintf(pool,
                                       "UPDATE @%s SET options ="
                                       " '{\"later\":[\"5s\"],\"headers\":{\"X-A\":\"b\"}}'"
                                       " WHERE tenant = 'options'",
                                       strcmp(database, "pgsql") == 0 ? "hook" : "subscription"));
    rh_store_subscription_get(store, "options", one->id, pool, &row);
    is(row->headers, "{\"X-A\":\"b\"}", "an option is read");
    row->description = "changed";
    ok(rh_store_subscription_update(store, row, pool) == APR_SUCCESS,
       "%s: a subscription with an unknown option is updated", database);
    rh_store_subscription_get(store, "options", one->id, pool, &row);
    is(row->options, "{\"later\":[\"5s\"],\"headers\":{\"X-A\":\"b\"},\"description\":\"changed\"}",
       "an option of a later version is kept");
    is_int(commit(&event, 1, 0), 0, "a delivery waits");
    is(claim_this(event, "a delivery with an option is claimed")->headers, "{\"X-A\":\"b\"}",
       "a job has the option that it needs");
    run_script(source[3], "DELETE FROM @queue WHERE tenant = 'options'");
}

static void test_known_already(void)
{
    rh_event_t *event = new_event("known", "a.b", NULL);

    subscribe("known", false, 0);
    is_int(commit(&event, 1, 5), 1, "a delivery is handed over");
    is_int(commit(&event, 1, 0), 0, "an event that the spool reads again is not handed over again");
    queue->release(queue, LEASE, pool);
    settle(claim_this(event, "the delivery is still in the queue"), RH_SETTLE_DELIVERED);
}

/* ---- replay ---- */

typedef struct replay_t {
    rh_store_t *store;
    const char *subscription;
    apr_pool_t *pool;
    pthread_barrier_t *barrier;
    apr_int64_t queued;
    apr_status_t status;
} replay_t;

static void *replay(void *data)
{
    replay_t *what = data;

    pthread_barrier_wait(what->barrier);
    what->status =
        replay_all(what->store, "twice", what->subscription, true, 0, what->pool, &what->queued);
    return NULL;
}

static void test_two_replays(void)
{
    rh_subscription_t *one = subscribe("twice", false, 0), *row = NULL;
    replay_t what[2];
    pthread_barrier_t barrier;
    pthread_t threads[2];

    run_script(source[3], "UPDATE @subscription SET state = 'paused' WHERE tenant = 'twice'");
    for (int i = 0; i < 4; i++) {
        store_together("twice", NULL, 500);
    }
    run_script(source[3], "UPDATE @subscription SET state = 'active' WHERE tenant = 'twice'");
    pthread_barrier_init(&barrier, NULL, 2);
    for (int i = 0; i < 2; i++) {
        what[i].store = i ? other_store : store;
        what[i].subscription = one->id;
        what[i].barrier = &barrier;
        apr_pool_create_unmanaged_ex(&what[i].pool, NULL, NULL);
        pthread_create(&threads[i], NULL, replay, &what[i]);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        is_int(what[i].status, APR_SUCCESS, "two people replay the same range at once");
        apr_pool_destroy(what[i].pool);
    }
    pthread_barrier_destroy(&barrier);
    is_int(what[0].queued + what[1].queued, 2000, "each event is queued once");
    rh_store_subscription_get(store, "twice", one->id, pool, &row);
    is_int(row->stats.pending, 2000, "each event is pending once");
    run_script(source[3], "DELETE FROM @queue WHERE tenant = 'twice'");
}

/* ---- plans ---- */

#define AS_PROCESSES_DO "SET enable_seqscan = off; SET enable_bitmapscan = off"

/** How the database runs a statement. */
static const char *plan_of(rh_sql_name_t name)
{
    bool pgsql = strcmp(database, "pgsql") == 0;
    const char *sql = pgsql ? "EXPLAIN " : "EXPLAIN QUERY PLAN ", *plan = "", *parameter;
    const char *text = rh_dialect_find(database)->statements[name].text;
    rh_db_t *db;

    while ((parameter = strstr(text, "%s")) != NULL) {
        const char *value = strncmp(parameter + 2, "::uuid", 6) == 0 ? "'" NO_ID "'" : "'1'";

        sql = apr_pstrcat(pool, sql, apr_pstrmemdup(pool, text, parameter - text), value, NULL);
        text = parameter + 2;
    }
    sql = apr_pstrcat(pool, sql, text, NULL);
    if (source[3]->acquire(source[3], pool, &db) == APR_SUCCESS &&
        (!pgsql || rh_db_script(db, AS_PROCESSES_DO, pool) == APR_SUCCESS)) {
        plan = read_plan(db, sql);
    }
    return plan;
}

/** While its statistics say that the queue is empty, any index looks as good as its key. */
static void test_plans_of_empty(void)
{
    const rh_sql_name_t by_key[] = {RH_SQL_claim, RH_SQL_claim_jobs, RH_SQL_settle};
    const char *plan;

    run_script(source[3], "DELETE FROM @queue");
    run_script(source[3], "ANALYZE");
    for (int i = 0; i < 3; i++) {
        plan = plan_of(by_key[i]);
        if (!ok(strstr(plan, "Index Cond: (delivery_id = ") ||
                    strstr(plan, "Index Cond: ((delivery_id = "),
                "%s looks deliveries up by their id",
                rh_dialect_find(database)->statements[by_key[i]].label)) {
            printf("# %s\n", plan);
        }
    }
    plan = plan_of(RH_SQL_claim_candidates);
    if (!ok(strstr(plan, "using queue_due on") != NULL && !strstr(plan, "queue_pkey"),
            "subscriptions are found by walking their index")) {
        printf("# %s\n", plan);
    }
    plan = plan_of(RH_SQL_claim);
    ok(strstr(plan, "using queue_due on") != NULL && !strstr(plan, "queue_due_at"),
       "due deliveries of one subscription are found by the same index");
    ok(strstr(plan_of(RH_SQL_claim_due), "using queue_due_at on") != NULL,
       "due deliveries are found by their time");
}

static void test_plans(void)
{
    const rh_sql_name_t of_one[] = {RH_SQL_claim_park, RH_SQL_claim_unpark,
                                    RH_SQL_claim_one_ordered};
    const rh_sql_name_t of_events[] = {RH_SQL_job_chunk_queue, RH_SQL_job_chunk_pending};
    const char *plan = plan_of(RH_SQL_claim_candidates);

    ok(strstr(plan, "SEARCH x USING COVERING INDEX resthooks_queue_due "
                    "((tenant,subscription_id)>(?,?))") != NULL,
       "the next subscription is found without reading the deliveries of the previous one");
    for (int i = 0; i < 3; i++) {
        plan = plan_of(of_one[i]);
        ok(strstr(plan, "SEARCH w USING INDEX resthooks_queue_order_leased") != NULL &&
               !strstr(plan, "due_at>?"),
           "%s does not read all parked deliveries",
           rh_dialect_find(database)->statements[of_one[i]].label);
    }
    for (int i = 0; i < 2; i++) {
        plan = plan_of(of_events[i]);
        ok(strstr(plan,
                  "SEARCH d USING INDEX resthooks_delivery_event (tenant=? AND event_id=?)") !=
               NULL,
           "%s reads each event's own deliveries alone",
           rh_dialect_find(database)->statements[of_events[i]].label);
    }
}

/* ---- partitions ---- */

#define DROP_PARTITIONS(WHICH)                                                                     \
    "DO $$ DECLARE name text; BEGIN FOR name IN SELECT p.name FROM @partitions p WHERE " WHICH     \
    " LOOP EXECUTE 'DROP TABLE @' || name; END LOOP; END $$"

static void test_partitions(void)
{
    rh_event_t *event;
    rh_delivery_t *row = NULL;
    const rh_job_t *job;
    char old[RH_UUID_LEN + 1];

    subscribe("parts", false, 0);
    run_script(source[3], DROP_PARTITIONS("p.until_ms > @now_ms()"));
    event = new_event("parts", "a.b", NULL);
    is_int(commit(&event, 1, 5), 1,
           "partitions that housekeeping did not make are made by a commit");
    queue->release(queue, LEASE, pool);
    settle(claim_this(event, "its delivery is claimed"), RH_SETTLE_DELIVERED);
    event = apr_pmemdup(pool, event, sizeof(*event));
    rh_uuid_floor(apr_time_now() - SEC(86400) * 60, old);
    old[RH_UUID_LEN - 1] = '7';
    event->id = old;
    run_script(source[3], DROP_PARTITIONS("p.name LIKE '%past'"));
    is_int(commit(&event, 1, 5), 1, "an event that is older than all of them is stored");
    queue->release(queue, LEASE, pool);
    job = claim_this(event, "its delivery is claimed again");
    run_script(source[3], DROP_PARTITIONS("p.name = 'delivery_past'"));
    settle(job, RH_SETTLE_DELIVERED);
    ok(rh_store_delivery_get(store, "parts", job->delivery_id, pool, &row) == APR_SUCCESS &&
           row->state == RH_DELIVERY_DELIVERED,
       "%s: a settle makes the partition of an old delivery", database);

    run_script(source[3], "ALTER TABLE @idempotency RENAME TO elsewhere");
    run_script(source[3], DROP_PARTITIONS("p.until_ms > @now_ms() + 3600000"));
    failing_log.level = RH_LOG_CRIT; /* the refused statement is logged */
    ok(queue->maintain(queue, SEC(86400), pool) != APR_SUCCESS,
       "%s: housekeeping reports its failure", database);
    failing_log.level = RH_LOG_INFO;
    run_script(source[3], "ALTER TABLE @elsewhere RENAME TO idempotency");
    run_script(source[3], "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM @partitions WHERE until_ms >"
                          " @now_ms() + 7200000) THEN RAISE 'no partitions'; END IF; END $$");
}

static void run_all(const char *driver, const char *params)
{
    database = driver;
    if (!open_sources(driver, params, source, 4)) {
        return;
    }
    store = rh_store_make(pool, source[0]);
    other_store = rh_store_make(pool, source[1]);
    queue = rh_queue_make(pool, source[2]);
    test_resent_behind_a_failing_one();
    test_pace_of_ordered();
    test_cancelling_many();
    test_known_already();
    test_another_target();
    test_options();
    test_resent_in_flight();
    test_two_replays();
    if (strcmp(driver, "pgsql") == 0) {
        test_plans_of_empty();
        test_partitions();
    } else {
        test_plans();
    }
}

int main(void)
{
    return test_databases("rh_corners", run_all);
}
