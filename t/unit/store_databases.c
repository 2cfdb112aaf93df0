/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "store_databases.h"

#include "rh_uuid.h"

/** How long a test waits for a database that is busy with others. */
#define BUSY_TIMEOUT apr_time_from_sec(300)

int test_databases(const char *name, void (*run)(const char *driver, const char *params))
{
    char folder[] = "/tmp/rh-store-XXXXXX", path[100];
    const char *const tails[] = {"/test.db", "/test.db-wal", "/test.db-shm", ""};
    const char *cluster = getenv("RH_PGSQL");
    static rh_log_t quiet;

    apr_initialize();
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    run("sqlite3", apr_pstrcat(pool, folder, "/test.db", NULL));
    apr_pool_clear(pool);
    if (cluster && *cluster) {
        const char *one = apr_psprintf(pool, "%s_%d", name, (int)getpid());
        rh_db_source_t *source;
        rh_db_t *db;

        if (rh_db_source_dedicated(pool, "pgsql",
                                   apr_pstrcat(pool, cluster, " dbname=postgres", NULL), &quiet,
                                   &source) == APR_SUCCESS &&
            source->acquire(source, pool, &db) == APR_SUCCESS) {
            rh_db_script(db, apr_pstrcat(pool, "CREATE DATABASE ", one, NULL), pool);
            run("pgsql", apr_pstrcat(pool, cluster, " dbname=", one, NULL));
        } else {
            ok(false, "the cluster of $RH_PGSQL can be reached");
        }
    }
    apr_pool_destroy(pool);
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s%s", folder, tails[i]);
        (void)remove(path);
    }
    return done_testing();
}

static void fail_on_warnings(void *baton, rh_log_level_t level, apr_status_t status,
                             const char *tag, const char *message)
{
    char text[100];

    (void)baton;
    if (level <= RH_LOG_WARN) {
        ok(false, "%s: %s: %s", tag, message,
           status ? apr_strerror(status, text, sizeof(text)) : "");
    }
}

rh_log_t failing_log = {fail_on_warnings, NULL, RH_LOG_INFO};

bool open_sources(const char *driver, const char *params, rh_db_source_t *sources[], int count)
{
    apr_status_t status = APR_SUCCESS;
    const char *problem = "";

    for (int i = 0; i < count && status == APR_SUCCESS; i++) {
        status = rh_db_source_dedicated(pool, driver, params, &failing_log, &sources[i]);
    }
    if (status == APR_SUCCESS) {
        status = rh_schema_ensure(sources[0], true, pool, &problem);
    }
    return ok(status == APR_SUCCESS, "%s: the tables are created%s%s", driver, *problem ? ": " : "",
              problem);
}

/** Put the tables' prefix in place of each `@`. */
static const char *name_tables(const rh_db_source_t *source, const char *text)
{
    const char *prefix = strcmp(source->dialect->driver, "pgsql") ? "resthooks_" : "resthooks.";
    const char *sql = "";

    while (*text) {
        apr_size_t len = strcspn(text, "@");

        sql =
            apr_pstrcat(pool, sql, apr_pstrmemdup(pool, text, len), text[len] ? prefix : "", NULL);
        text += len + (text[len] == '@');
    }
    return sql;
}

void run_script(rh_db_source_t *source, const char *text)
{
    const char *sql = name_tables(source, text);
    bool done = false;
    rh_db_t *db;

    if (source->acquire(source, pool, &db) == APR_SUCCESS) {
        done = rh_db_script(db, sql, pool) == APR_SUCCESS;
        source->release(source, db, false);
    }
    if (!done) {
        ok(false, "%s: %s", source->dialect->driver, sql);
    }
}

apr_int64_t select_number(rh_db_source_t *source, const char *text, const char *value)
{
    const char *sql = apr_psprintf(pool, name_tables(source, text), value);
    apr_array_header_t *rows;
    apr_int64_t number = -1;
    rh_db_t *db;

    if (source->acquire(source, pool, &db) == APR_SUCCESS) {
        if (rh_db_query_rows(db, sql, pool, &rows) == APR_SUCCESS && rows->nelts == 1) {
            number = rh_db_number(APR_ARRAY_IDX(rows, 0, const char **)[0]);
        } else {
            printf("# %s: %s\n", sql, rh_db_session(db)->error);
        }
        source->release(source, db, false);
    }
    return number;
}

const char *read_plan(rh_db_t *db, const char *sql)
{
    int column = strcmp(db->dialect->driver, "sqlite3") == 0 ? 3 : 0;
    const char *plan = "";
    apr_array_header_t *rows;

    if (rh_db_query_rows(db, sql, pool, &rows) != APR_SUCCESS) {
        return rh_db_session(db)->error;
    }
    for (int i = 0; i < rows->nelts; i++) {
        plan = apr_pstrcat(pool, plan, APR_ARRAY_IDX(rows, i, const char **)[column], "\n", NULL);
    }
    return plan;
}

const char *make_id(void)
{
    char *id = apr_palloc(pool, RH_UUID_LEN + 1);

    rh_uuid_make(id);
    return id;
}

rh_subscription_t *new_subscription(const char *tenant)
{
    rh_subscription_t *subscription = apr_pcalloc(pool, sizeof(*subscription));

    subscription->tenant = tenant;
    subscription->id = make_id();
    subscription->target_url = "https://example.com/in";
    subscription->events = apr_array_make(pool, 1, sizeof(const char *));
    APR_ARRAY_PUSH(subscription->events, const char *) = "*";
    subscription->description = "";
    subscription->headers = "{}";
    subscription->secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";
    subscription->base_url = "https://api.example.com/hooks";
    return subscription;
}

rh_subscription_t *subscribe_to(rh_store_t *store, const char *tenant, const char *pattern)
{
    rh_subscription_t *subscription = new_subscription(tenant);

    APR_ARRAY_IDX(subscription->events, 0, const char *) = pattern;
    if (rh_store_subscription_create(store, subscription, 100000, pool) != APR_SUCCESS) {
        ok(false, "a subscription of %s to %s is stored", tenant, pattern);
    }
    return subscription;
}

rh_event_t *new_event(const char *tenant, const char *type, const char *key)
{
    rh_event_t *event = apr_pcalloc(pool, sizeof(*event));

    event->id = make_id();
    event->tenant = tenant;
    event->type = type;
    event->key = key;
    event->time = apr_time_now();
    event->data.data = "{}";
    event->data.len = 2;
    event->source = RH_SOURCE_CAPTURE;
    return event;
}

void store_unclaimed(rh_queue_t *queue, const char *tenant, const char *type, const char *key,
                     int count)
{
    rh_claim_t none = {.lease = 1};
    apr_array_header_t *jobs = apr_array_make(pool, 1, sizeof(rh_job_t *));
    int waiting = 0;

    for (int i = 0; i < count; i++) {
        rh_commit_t item = {.event = new_event(tenant, type, key)}, *items[] = {&item};

        if (queue->commit(queue, items, 1, &none, pool, jobs, &waiting) != APR_SUCCESS) {
            ok(false, "an event of %s is stored", tenant);
        }
    }
}

apr_status_t replay_all(rh_store_t *store, const char *tenant, const char *subscription, bool any,
                        apr_time_t from, apr_pool_t *in, apr_int64_t *queued)
{
    rh_delivery_filter_t filter = {.from = from, .state = -1};
    rh_store_job_t job = {.tenant = tenant,
                          .kind = RH_JOB_REPLAY,
                          .subscription_id = subscription,
                          .filter = "{}",
                          .created_by = "test"};
    rh_store_job_t *now = NULL;
    apr_time_t until = apr_time_now() + BUSY_TIMEOUT;
    bool busy;
    apr_status_t status;

    /* A database that is busy ends a step early; the job goes on where it was. */
    do {
        status = rh_store_job_create(store, &job, &filter, any, in);
    } while (APR_STATUS_IS_EAGAIN(status) && apr_time_now() < until);
    if (status != APR_SUCCESS) {
        *queued = -1;
        return status;
    }
    do {
        bool running = false;

        status = rh_store_job_work(store, tenant, job.id, in, &running);
        if (status == APR_SUCCESS && !running) {
            status = rh_store_job_get(store, tenant, job.id, in, &now);
        }
        busy = APR_STATUS_IS_EAGAIN(status) && apr_time_now() < until;
    } while (busy || (status == APR_SUCCESS && (!now || strcmp(now->state, "running") == 0)));
    *queued = now ? now->done : -1;
    return status == APR_SUCCESS && strcmp(now->state, "failed") == 0 ? APR_EEXIST : status;
}
