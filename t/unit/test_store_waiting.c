/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* One due delivery among very many subscriptions whose deliveries wait. */
#include "store_databases.h"

#include "rh_store_open.h"

#define WAITING 5000
#define BACKLOG 700

static const char *database;
static rh_db_source_t *source;
static rh_queue_t *queue;

static void run_sql(const char *sql)
{
    rh_db_t *db;

    ok(source->acquire(source, pool, &db) == APR_SUCCESS &&
           rh_db_script(db, sql, pool) == APR_SUCCESS,
       "%s: rows are inserted", database);
    source->release(source, db, false);
}

/** Return SQL for an id that begins with a digit and ends with the number `n`. */
static const char *id_of(char digit, const char *n)
{
    return strcmp(database, "pgsql") == 0
               ? apr_psprintf(pool,
                              "('%c0000000-0000-7000-8000-' || lpad((%s)::text, 12, '0'))::uuid",
                              digit, n)
               : apr_psprintf(pool, "printf('%c0000000-0000-7000-8000-%%012d', %s)", digit, n);
}

/**
 * Put deliveries of a tenant's one event into the queue.
 * @param each each has a subscription of its own; else all have one
 * @param due milliseconds from now
 */
static void queue_up(const char *tenant, const char *state, int count, bool each, int due)
{
    bool pgsql = strcmp(database, "pgsql") == 0;
    const char *prefix = pgsql ? "resthooks." : "resthooks_";
    const char *now =
        pgsql ? "resthooks.now_ms()" : "CAST((julianday('now') - 2440587.5) * 86400000 AS integer)";
    const char *series =
        apr_psprintf(pool,
                     pgsql ? "(SELECT generate_series(1, %d) AS n) AS s"
                           : "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s"
                             " WHERE n < %d) SELECT n FROM s)",
                     count);

    run_sql(apr_psprintf(pool,
                         "INSERT INTO %sevent (tenant, id, type, time, source, data)"
                         " SELECT '%s', %s, 'a.b', 0, 'capture', '{}'",
                         prefix, tenant, id_of('0', "1")));
    run_sql(apr_psprintf(pool,
                         "INSERT INTO %ssubscription (tenant, id, target_url, secret, base_url,"
                         " created_at, updated_at, state) SELECT '%s', %s,"
                         " 'https://example.com/in', 'whsec_x', '', 0, 0, '%s' FROM %s WHERE %s",
                         prefix, tenant, id_of('1', "n"), state, series, each ? "n > 0" : "n = 1"));
    run_sql(apr_psprintf(pool,
                         "INSERT INTO %squeue (tenant, delivery_id, subscription_id, event_id,"
                         " due_at) SELECT '%s', %s, %s, %s, %s + %d FROM %s",
                         prefix, tenant, id_of('0', "n"), id_of('1', each ? "n" : "1"),
                         id_of('0', "1"), now, due, series));
}

/** @return the number of jobs; -1: the claim failed */
static int claim(apr_interval_time_t *again)
{
    rh_claim_t what = {
        .limit = 64, .per_subscription = 16, .lease = 7, .lease_for = apr_time_from_sec(600)};
    apr_array_header_t *jobs = apr_array_make(pool, 4, sizeof(rh_job_t *));
    int count = -1;

    if (queue->claim(queue, &what, pool, jobs) == APR_SUCCESS) {
        count = jobs->nelts;
    }
    for (int i = 0; i < jobs->nelts; i++) {
        rh_job_destroy(APR_ARRAY_IDX(jobs, i, rh_job_t *));
    }
    *again = what.again;
    return count;
}

static int pending(void)
{
    rh_backlog_t backlog = {0};

    queue->backlog(queue, pool, &backlog);
    return (int)backlog.pending;
}

/** Claim until one finds a job. @return the number of that claim; 0: none of `max` did */
static int claim_until_found(int most)
{
    apr_interval_time_t again;

    for (int i = 1; i <= most; i++) {
        int count = claim(&again);

        if (count != 0) {
            return count > 0 ? i : 0;
        }
        if (again == 0) {
            printf("# claim %d found nothing, and does not want to go on\n", i);
            return 0;
        }
    }
    return 0;
}

/** Claim until a claim asks for a pause. */
static bool comes_to_rest(int most)
{
    apr_interval_time_t again;

    for (int i = 0; i < most; i++) {
        if (claim(&again) < 0) {
            return false;
        }
        if (again == 0) {
            return true;
        }
    }
    return false;
}

static void run_all(const char *driver, const char *params)
{
    apr_interval_time_t again;

    database = driver;
    if (!open_sources(driver, params, &source, 1)) {
        return;
    }
    queue = rh_queue_make(pool, source);
    is_int(claim(&again), 0, "nothing is due at first");
    queue_up("b", "active", WAITING, true, 3600000);
    ok(comes_to_rest(500), "%s: all of very many wait", database);
    is_int(claim(&again), 0, "nothing is due then");
    is_int(again, 0, "no further claim is needed");
    queue_up("c", "active", 1, true, -1000);
    is_int(claim(&again), 1, "a due delivery among very many that wait is found at once");

    /* More rows than a claim checks in order of time, none of which may be claimed. */
    queue_up("a", "paused", BACKLOG, false, -60000);
    ok(comes_to_rest(500), "%s: a backlog that may not be claimed causes no further claims",
       database);
    queue_up("d", "active", 1, true, -1000);
    ok(claim_until_found(500) > 0, "%s: a due delivery after it and among many is found", database);
    ok(comes_to_rest(500), "%s: claims pause again after that", database);

    is_int(pending(), WAITING + 2 + BACKLOG, "everything is in the queue");
    run_sql(apr_psprintf(pool, "DELETE FROM %ssubscription WHERE tenant = 'b' AND id > %s",
                         strcmp(database, "pgsql") == 0 ? "resthooks." : "resthooks_",
                         id_of('1', "4900")));
    queue = rh_queue_make(pool, source);
    ok(comes_to_rest(500), "%s: another process claims", database);
    is_int(pending(), 4900 + 2 + BACKLOG, "deliveries of deleted subscriptions are cancelled");
}

int main(void)
{
    return test_databases("rh_waiting", run_all);
}
