/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Statistics of hours: whatever happens, they are what a count of the log says. */
#include "store_databases.h"

#include "rh_schema.h"
#include "rh_store_open.h"
#include "rh_uuid.h"

#include <apr_thread_proc.h>

#define HOUR RH_STATS_HOUR
#define HOURS 6
#define TENANTS 2
#define SUBSCRIPTIONS 3
#define STEPS 250
#define BATCH 6
/** Rows of a log that an upgrade finds: more than it counts at once. */
#define OLD_ROWS 12000
#define JOB(jobs, i) APR_ARRAY_IDX(jobs, i, rh_job_t *)

static const char *database, *prefix, *conninfo;
static rh_store_t *store;
static rh_db_source_t *source;
static rh_queue_t *queue;
static apr_time_t first_hour;
static const char *const tenants[TENANTS] = {"ann", "bob"};
static rh_subscription_t *subscriptions[TENANTS][SUBSCRIPTIONS];
static rh_log_t quiet;

/* ---- SQL ---- */

static apr_int64_t number_of(const char *sql)
{
    return select_number(source, sql, "");
}

/** @param tail what follows the name of a table */
static const char *sql_of(const char *head, const char *table, const char *tail)
{
    return apr_pstrcat(pool, head, " ", prefix, table, " ", tail, NULL);
}

/** A condition: the id in `column` is of an hour. */
static const char *within(const char *column, apr_time_t hour)
{
    char low[RH_UUID_LEN + 1], high[RH_UUID_LEN + 1];

    rh_uuid_floor(hour, low);
    rh_uuid_floor(hour + HOUR, high);
    return apr_psprintf(pool, "CAST(%s AS text) >= '%s' AND CAST(%s AS text) < '%s'", column, low,
                        column, high);
}

/** The deliveries of a state, counted. @param whose a condition */
static apr_int64_t count_state(const char *state, const char *whose, apr_time_t hour)
{
    return number_of(apr_pstrcat(pool, sql_of("SELECT count(*) FROM", "delivery", "AS d WHERE "),
                                 whose, " AND state = '", state, "' AND ", within("id", hour),
                                 sql_of(" AND NOT EXISTS (SELECT 1 FROM", "queue",
                                        "AS q WHERE q.tenant = d.tenant AND q.delivery_id = d.id)"),
                                 NULL));
}

static apr_int64_t count_attempts(const char *whose, apr_time_t hour)
{
    const char *mine = apr_pstrcat(
        pool, "delivery_id IN (", sql_of("SELECT id FROM", "delivery", "WHERE "), whose,
        sql_of(" UNION ALL SELECT delivery_id FROM", "queue", "WHERE "), whose, ")", NULL);

    return number_of(apr_pstrcat(pool, sql_of("SELECT count(*) FROM", "attempt", "WHERE "), mine,
                                 " AND ", within("id", hour), NULL)) +
           number_of(apr_pstrcat(pool, sql_of("SELECT count(*) FROM", "delivery", "WHERE "), whose,
                                 " AND ", within("attempt_id", hour), NULL));
}

/* ---- what happens ---- */

static const char *id_at(apr_time_t time)
{
    char *id = apr_pstrdup(pool, make_id());
    char at[RH_UUID_LEN + 1];

    rh_uuid_floor(time, at);
    memcpy(id, at, 13);
    return id;
}

/** A time within the hours. */
static apr_time_t some_time(void)
{
    return first_hour + rand() % HOURS * HOUR + rand() % 3600 * APR_USEC_PER_SEC;
}

static apr_array_header_t *commit_some(rh_queue_t *by, const char *tenant, int limit,
                                       apr_int64_t lease)
{
    rh_event_t *event = new_event(tenant, "a.b", NULL);
    rh_commit_t item = {.event = event}, *items[] = {&item};
    rh_claim_t claim = {
        .limit = limit, .per_subscription = 16, .lease = lease, .lease_for = apr_time_from_sec(60)};
    apr_array_header_t *jobs = apr_array_make(pool, 4, sizeof(rh_job_t *));
    int waiting;

    event->id = id_at(some_time());
    if (by->commit(by, items, 1, &claim, pool, jobs, &waiting) != APR_SUCCESS) {
        ok(false, "%s: an event is committed", database);
    }
    return jobs;
}

/** @param lease_for below 0: others can claim the same ones at once */
static apr_array_header_t *claim_some(apr_interval_time_t lease_for)
{
    rh_claim_t claim = {
        .limit = 8, .per_subscription = 16, .lease = 1 + rand() % 3, .lease_for = lease_for};
    apr_array_header_t *jobs = apr_array_make(pool, 4, sizeof(rh_job_t *));

    if (queue->claim(queue, &claim, pool, jobs) != APR_SUCCESS) {
        ok(false, "%s: a claim works", database);
    }
    return jobs;
}

static rh_settle_t *outcome_of(const rh_job_t *job, rh_settle_kind_t kind)
{
    rh_settle_t *settle = apr_pcalloc(pool, sizeof(*settle));
    apr_time_t ended;

    do {
        ended = some_time();
    } while (ended < rh_uuid_time(job->delivery_id) - rh_uuid_time(job->delivery_id) % HOUR);
    settle->kind = kind;
    settle->tenant = apr_pstrdup(pool, job->tenant);
    settle->delivery_id = apr_pstrdup(pool, job->delivery_id);
    settle->subscription_id = apr_pstrdup(pool, job->subscription_id);
    settle->event_id = apr_pstrdup(pool, job->event.id);
    settle->type = apr_pstrdup(pool, job->event.type);
    settle->lease = job->lease;
    settle->attempt.id = id_at(ended);
    settle->attempt.number = job->attempt_count + 1;
    settle->attempt.started_at = rh_uuid_time(settle->attempt.id);
    settle->attempt.duration =
        (apr_interval_time_t)(rand() % 4 == 0 ? rand() % 30000 : rand() % 200) * 1000;
    settle->attempt.status_code = kind == RH_SETTLE_DELIVERED ? 200 : 500;
    settle->reason = "the test said so";
    return settle;
}

static void settle(rh_queue_t *by, rh_settle_t *const *outcomes, int count)
{
    apr_status_t status;

    do {
        status = by->settle(by, outcomes, count, pool);
    } while (APR_STATUS_IS_EAGAIN(status));
    if (status != APR_SUCCESS) {
        ok(false, "%s: outcomes are settled", database);
    }
}

/** Settle jobs in batches with all kinds of outcomes; some of them twice, and some are kept for
 * later, when they may have ended in another way. */
static void settle_some(apr_array_header_t *jobs, apr_array_header_t *late)
{
    static const rh_settle_kind_t kinds[] = {RH_SETTLE_DELIVERED, RH_SETTLE_DELIVERED,
                                             RH_SETTLE_DELIVERED, RH_SETTLE_RETRY,
                                             RH_SETTLE_FAILED,    RH_SETTLE_RELEASE};
    rh_settle_t *outcomes[BATCH];
    int count = 0;

    for (int i = 0; i < jobs->nelts; i++) {
        rh_settle_t *outcome = outcome_of(JOB(jobs, i), kinds[rand() % RH_COUNT_OF(kinds)]);

        if (rand() % 5 == 0) {
            APR_ARRAY_PUSH(late, rh_settle_t *) = outcome_of(JOB(jobs, i), RH_SETTLE_DELIVERED);
        }
        outcomes[count++] = outcome;
        rh_job_destroy(JOB(jobs, i));
        if (count == BATCH || i == jobs->nelts - 1) {
            settle(queue, outcomes, count);
            if (rand() % 4 == 0) {
                settle(queue, outcomes, count); /* as after a lost connection */
            }
            count = 0;
        }
    }
}

static void redeliver_some(void)
{
    const char *tenant = tenants[rand() % TENANTS];
    rh_delivery_filter_t filter = {.state = -1};
    rh_page_t page = {50, NULL};
    apr_array_header_t *rows = NULL;
    const char *stopped;
    rh_delivery_t *one;

    rh_store_delivery_list(store, tenant, &filter, &page, pool, &rows, &stopped);
    if (rows && rows->nelts > 0) {
        one = APR_ARRAY_IDX(rows, rand() % rows->nelts, rh_delivery_t *);
        rh_store_redeliver(store, tenant, one->id, pool);
    }
}

static void add_up_all(void)
{
    bool more = true;

    while (more && queue->add_up(queue, pool, &more) == APR_SUCCESS) {
    }
}

/** A subscription ends during attempts, which deliver what was cancelled by then; and another takes
 * its place. */
static void replace_subscription(apr_array_header_t *late)
{
    int t = rand() % TENANTS, s = rand() % SUBSCRIPTIONS;
    rh_subscription_t *old = subscriptions[t][s];
    apr_array_header_t *jobs = commit_some(queue, old->tenant, 10, 1);
    apr_int64_t queued;

    rh_store_subscription_delete(store, old->tenant, old->id, 0, pool);
    settle_some(jobs, late);
    subscriptions[t][s] = subscribe_to(store, tenants[t], "*");
    s = rand() % SUBSCRIPTIONS;
    replay_all(store, tenants[t], subscriptions[t][s]->id, rand() % 2 == 0, 0, pool, &queued);
}

static void make_history(void)
{
    apr_array_header_t *late = apr_array_make(pool, 8, sizeof(rh_settle_t *));

    for (int i = 0; i < STEPS; i++) {
        int what = rand() % 40;

        if (what < 14) {
            settle_some(commit_some(queue, tenants[rand() % TENANTS], rand() % 3, 1), late);
        } else if (what < 26) {
            settle_some(claim_some(apr_time_from_sec(rand() % 3 == 0 ? -1 : 60)), late);
        } else if (what < 32) {
            redeliver_some();
        } else if (what < 35 && late->nelts > 0) {
            rh_settle_t **outcome = apr_array_pop(late);

            settle(queue, outcome, 1);
        } else if (what < 38) {
            bool more;

            queue->add_up(queue, pool, &more);
        } else if (what == 38) {
            replace_subscription(late);
        }
    }
}

/* ---- comparison ---- */

static bool numbers_are(const char *what, const rh_stats_bucket_t *got,
                        const rh_stats_bucket_t *due)
{
    bool same = memcmp(got->deliveries, due->deliveries, sizeof(got->deliveries)) == 0 &&
                got->attempts == due->attempts && got->p50 == due->p50 && got->p90 == due->p90 &&
                got->p99 == due->p99;

    if (!same) {
        for (int i = 0; i < RH_DELIVERY_STATE_COUNT; i++) {
            printf("# %s: %s %d, not %d\n", what, rh_delivery_state_name((rh_delivery_state_t)i),
                   (int)got->deliveries[i], (int)due->deliveries[i]);
        }
        printf("# attempts %d, not %d; %d %d %d ms, not %d %d %d\n", (int)got->attempts,
               (int)due->attempts, got->p50, got->p90, got->p99, due->p50, due->p90, due->p99);
    }
    return same;
}

/** The numbers of hours equal what SQL counts, and what the logs say where hours are not counted.
 */
static void compare_one(const char *tenant, const char *id, const char *when)
{
    rh_stats_range_t range = {first_hour, first_hour + HOURS * HOUR, HOUR, HOURS};
    rh_stats_bucket_t *hours = NULL, *logged = NULL;
    const char *whose =
        id ? apr_psprintf(pool, "tenant = '%s' AND subscription_id = '%s'", tenant, id)
           : apr_psprintf(pool, "tenant = '%s'", tenant);
    int wrong = 0;

    rh_store_stats(store, tenant, id, &range, pool, &hours);
    run_script(source, sql_of("INSERT INTO", "setting", "VALUES ('stats_recount', '1 1 ')"));
    rh_store_stats(store, tenant, id, &range, pool, &logged);
    run_script(source, sql_of("DELETE FROM", "setting", "WHERE name = 'stats_recount'"));
    for (int n = 0; hours && logged && n < HOURS; n++) {
        apr_time_t hour = first_hour + n * HOUR;
        rh_stats_bucket_t due = logged[n];

        due.deliveries[RH_DELIVERY_DELIVERED] = count_state("delivered", whose, hour);
        due.deliveries[RH_DELIVERY_FAILED] = count_state("failed", whose, hour);
        due.deliveries[RH_DELIVERY_CANCELLED] = count_state("cancelled", whose, hour);
        due.attempts = count_attempts(whose, hour);
        wrong += !numbers_are("hours", &hours[n], &due);
        wrong += !numbers_are("log", &logged[n], &due);
    }
    ok(hours && logged && wrong == 0, "%s: %s, the numbers of %s are the log's %s", database,
       tenant, id ? "one" : "all", when);
}

static void compare_subscriptions(const char *tenant, const char *when)
{
    rh_stats_range_t range = {first_hour, first_hour + HOURS * HOUR, HOUR, HOURS};
    apr_array_header_t *rows = NULL;
    int wrong = 0;

    rh_store_stats_subscriptions(store, tenant, &range, pool, &rows);
    for (int i = 0; rows && i < rows->nelts; i++) {
        const rh_stats_subscription_t *row = APR_ARRAY_IDX(rows, i, rh_stats_subscription_t *);
        rh_stats_bucket_t *hours = NULL;

        rh_store_stats(store, tenant, row->id, &range, pool, &hours);
        for (int n = 0; hours && n < HOURS; n++) {
            wrong += row->delivered[n] != hours[n].deliveries[RH_DELIVERY_DELIVERED] ||
                     row->failed[n] != hours[n].deliveries[RH_DELIVERY_FAILED];
        }
    }
    ok(rows && wrong == 0, "%s: %s, so are those of subscriptions side by side %s", database,
       tenant, when);
    is_int(rows ? rows->nelts : 0,
           number_of(apr_pstrcat(
               pool, "SELECT count(*) FROM (",
               sql_of("SELECT subscription_id FROM", "delivery", "WHERE tenant = '"), tenant,
               sql_of("' UNION SELECT subscription_id FROM", "queue", "WHERE tenant = '"), tenant,
               "') AS s", NULL)),
           "the statistics have all subscriptions with deliveries");
}

static void compare_all(const char *when)
{
    for (int t = 0; t < TENANTS; t++) {
        compare_one(tenants[t], NULL, when);
        for (int s = 0; s < SUBSCRIPTIONS; s++) {
            compare_one(tenants[t], subscriptions[t][s]->id, when);
        }
        compare_subscriptions(tenants[t], when);
    }
}

static void test_history(void)
{
    const char *changes = sql_of("SELECT count(*) FROM", "stat_change", "");

    for (int t = 0; t < TENANTS; t++) {
        for (int s = 0; s < SUBSCRIPTIONS; s++) {
            subscriptions[t][s] = subscribe_to(store, tenants[t], "*");
        }
    }
    make_history();
    for (int i = 0; i < 5; i++) {
        settle_some(commit_some(queue, "ann", 3, 1), apr_array_make(pool, 1, sizeof(void *)));
    }
    ok(number_of(changes) > 0, "%s: some changes are not added up yet", database);
    compare_all("before all is added up");
    add_up_all();
    is_int(number_of(changes), 0, "no change is left to add up");
    compare_all("after that");
}

/* ---- two processes at once ---- */

/** A process: its connection, and the outcomes that it settles. */
typedef struct process_t {
    apr_pool_t *pool;
    rh_queue_t *queue;
    apr_array_header_t *outcomes;
    int failures;
} process_t;

static void *APR_THREAD_FUNC run_process(apr_thread_t *thread, void *baton)
{
    process_t *process = baton;
    rh_settle_t **outcomes = (rh_settle_t **)(void *)process->outcomes->elts;

    (void)thread;
    for (int i = 0; i < process->outcomes->nelts; i += BATCH) {
        int left = process->outcomes->nelts - i;
        apr_status_t status;

        do {
            status = process->queue->settle(process->queue, outcomes + i,
                                            left < BATCH ? left : BATCH, process->pool);
        } while (APR_STATUS_IS_EAGAIN(status));
        process->failures += status != APR_SUCCESS;
    }
    return NULL;
}

/** Two processes settle the same deliveries: one has lost its leases to the other. */
static void test_processes(void)
{
    process_t processes[2];
    apr_thread_t *threads[2];
    apr_status_t unused;
    apr_array_header_t *jobs;

    for (int p = 0; p < 2; p++) {
        rh_db_source_t *own;

        apr_pool_create(&processes[p].pool, pool);
        rh_db_source_dedicated(processes[p].pool, database, conninfo, &quiet, &own);
        processes[p].queue = rh_queue_make(processes[p].pool, own);
        processes[p].outcomes = apr_array_make(pool, 64, sizeof(rh_settle_t *));
        processes[p].failures = 0;
    }
    for (int i = 0; i < 60; i++) {
        jobs = commit_some(queue, tenants[rand() % TENANTS], 10, 1);
        for (int j = 0; j < jobs->nelts; j++) {
            APR_ARRAY_PUSH(processes[0].outcomes, rh_settle_t *) =
                outcome_of(JOB(jobs, j), rand() % 2 ? RH_SETTLE_FAILED : RH_SETTLE_DELIVERED);
            APR_ARRAY_PUSH(processes[1].outcomes, rh_settle_t *) =
                outcome_of(JOB(jobs, j), RH_SETTLE_DELIVERED);
            rh_job_destroy(JOB(jobs, j));
        }
    }
    for (int p = 0; p < 2; p++) {
        apr_thread_create(&threads[p], NULL, run_process, &processes[p], pool);
    }
    for (int i = 0; i < 20; i++) {
        bool more;

        queue->add_up(queue, pool, &more);
    }
    for (int p = 0; p < 2; p++) {
        apr_thread_join(&unused, threads[p]);
        is_int(processes[p].failures, 0, "a process settles while others do");
    }
    compare_all("after two processes at once");
}

/* ---- an upgrade ---- */

/** Fill the log as a version did that had no statistics, and have them counted. */
static void fill_old_log(void)
{
    bool pgsql = strcmp(database, "pgsql") == 0;
    const char *series =
        pgsql ? "generate_series(1, %d) AS n"
              : "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < %d)"
                " SELECT n FROM s) AS s";
    const char *id = pgsql ? "(left(resthooks.uuid_floor(%s + n * 1000)::text, 14)"
                             " || '7000-8000-' || lpad(n::text, 12, '0'))::uuid"
                           : "printf('%%08x-%%04x-7000-8000-%%012d', (%s + n * 1000) >> 16,"
                             " (%s + n * 1000) & 65535, n)";
    const char *from = apr_psprintf(pool, "%" APR_INT64_T_FMT, (first_hour / 1000));
    const char *made, *rows = apr_psprintf(pool, series, OLD_ROWS);
    const char *subscription = subscriptions[0][0]->id;

    made = apr_psprintf(pool, id, from, from);
    run_script(
        source,
        apr_pstrcat(pool,
                    sql_of("INSERT INTO", "delivery",
                           "(tenant, id, event_id, subscription_id, type, state) SELECT 'ann', "),
                    made, ", ", made, ", '", subscription,
                    "', 'a.b', CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'delivered' END FROM ", rows,
                    NULL));
    run_script(source,
               apr_pstrcat(pool,
                           sql_of("INSERT INTO", "attempt",
                                  "(tenant, id, delivery_id, number, started_at, ms, status_code)"
                                  " SELECT 'ann', "),
                           made, ", ", made, ", 1, 0, n % 700, 200 FROM ", rows, NULL));
    settle_some(commit_some(queue, "ann", 3, 1), apr_array_make(pool, 1, sizeof(rh_settle_t *)));
    run_script(source, sql_of("DELETE FROM", "stat_hour", ""));
    run_script(source, apr_psprintf(pool,
                                    "INSERT INTO %ssetting (name, value) VALUES ('stats_recount',"
                                    " '%" APR_INT64_T_FMT " %" APR_INT64_T_FMT " ')",
                                    prefix, (first_hour + HOURS * HOUR) / 1000,
                                    (first_hour + HOURS * HOUR) / 1000));
}

static void test_recount(void)
{
    rh_settle_t *outcome;
    apr_array_header_t *jobs;
    bool more = true;
    int chunks = 0;

    fill_old_log();
    while (more && queue->add_up(queue, pool, &more) == APR_SUCCESS) {
        if (chunks++ == 2) { /* what happens at the same time */
            jobs = commit_some(queue, "ann", 3, 1);
            for (int i = 0; i < jobs->nelts; i++) {
                outcome = outcome_of(JOB(jobs, i), RH_SETTLE_DELIVERED);
                settle(queue, &outcome, 1);
                rh_job_destroy(JOB(jobs, i));
            }
            redeliver_some();
        }
    }
    ok(chunks > 4, "%s: the existing log is counted in %d chunks", database, chunks);
    is_int(number_of(sql_of("SELECT count(*) FROM", "setting", "WHERE name = 'stats_recount'")), 0,
           "counting the log ends");
    compare_all("after an upgrade");
}

/* ---- durations, retention ---- */

static void test_percentiles(void)
{
    rh_stats_range_t range = {first_hour - HOUR, first_hour, HOUR, 1};
    rh_stats_bucket_t *hour = NULL;
    rh_settle_t *outcome;
    apr_array_header_t *jobs;

    subscribe_to(store, "percent", "*");
    for (int n = 1; n <= 100; n++) {
        jobs = commit_some(queue, "percent", 1, 1);
        outcome = outcome_of(JOB(jobs, 0), RH_SETTLE_DELIVERED);
        outcome->attempt.id = id_at(first_hour - HOUR + n);
        outcome->attempt.duration = (apr_interval_time_t)n * 15 * 1000;
        settle(queue, &outcome, 1);
        rh_job_destroy(JOB(jobs, 0));
        if (n == 50) {
            add_up_all();
        }
    }
    rh_store_stats(store, "percent", NULL, &range, pool, &hour);
    is_int(hour ? hour->attempts : 0, 100, "attempts are counted in the hour in which they end");
    is_int(hour ? hour->p50 : 0, 750, "p50 is the 50th of 100 durations");
    is_int(hour ? hour->p90 : 0, 1300, "p90 is the 90th, 1350 ms, of two digits");
    is_int(hour ? hour->p99 : 0, 1400, "p99 is the 99th, 1485 ms, of two digits");
}

static void test_retention(void)
{
    static const int ages[] = {46, 47, 51, 52}; /* hours */
    const char *old = "WHERE tenant = 'old'";
    apr_time_t now = apr_time_now() - apr_time_now() % HOUR;

    for (int i = 0; i < (int)RH_COUNT_OF(ages); i++) {
        run_script(source,
                   apr_psprintf(pool,
                                "INSERT INTO %sstat_hour (tenant, subscription_id, hour) VALUES"
                                " ('old', '%s', %" APR_INT64_T_FMT ")",
                                prefix, subscriptions[0][0]->id, (now - ages[i] * HOUR) / 1000));
    }
    queue->maintain(queue, 48 * HOUR, pool);
    is_int(number_of(sql_of("SELECT count(*) FROM", "stat_hour", old)), 2,
           "hours that ended before retention are removed");
    is_int(number_of(sql_of("SELECT min(hour) FROM", "stat_hour", old)), (now - 47 * HOUR) / 1000,
           "hours within retention are kept");
}

static void run_all(const char *driver, const char *params)
{
    const char *problem;

    database = driver;
    conninfo = params;
    prefix = strcmp(driver, "pgsql") == 0 ? "resthooks." : "resthooks_";
    first_hour = apr_time_now();
    first_hour -= first_hour % HOUR + (HOURS - 1) * HOUR;
    srand(7);
    rh_db_source_dedicated(pool, driver, params, &quiet, &source);
    if (!ok(rh_schema_ensure(source, true, pool, &problem) == APR_SUCCESS, "%s: tables", driver)) {
        return;
    }
    store = rh_store_make(pool, source);
    queue = rh_queue_make(pool, source);
    test_history();
    test_processes();
    test_recount();
    test_percentiles();
    test_retention();
}

int main(void)
{
    return test_databases("rh_stats", run_all);
}
