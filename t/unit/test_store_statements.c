/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Each statement of the .sql files, as the database itself sees it. */
#include "store_databases.h"

#include "rh_db_library.h"
#include "rh_query.h"

/* ---- PostgreSQL: the statement is run ---- */

/** Names of a result's columns, separated by spaces. */
static const char *name_columns(rh_db_t *db, apr_dbd_results_t *results)
{
    const char *names = "";

    for (int i = 0; i < apr_dbd_num_cols(db->driver, results); i++) {
        names = apr_pstrcat(pool, names, i > 0 ? " " : "", apr_dbd_get_name(db->driver, results, i),
                            NULL);
    }
    return names;
}

/** Run a statement with NULL for all arguments, which find nothing, and roll back.
 * @return the names of its columns, or the database's complaint */
static const char *run_statement(rh_db_t *db, const rh_sql_t *sql)
{
    const char **args = apr_pcalloc(pool, (apr_size_t)(sql->parameters + 1) * sizeof(*args));
    apr_dbd_prepared_t *prepared = NULL;
    apr_dbd_results_t *results = NULL;
    apr_dbd_row_t *row = NULL;
    const char *names = "";
    int rc = apr_dbd_prepare(db->driver, pool, db->handle, sql->text, sql->label, &prepared);

    if (rc == 0 && sql->columns > 0) {
        rh_db_script(db, "BEGIN", pool);
        rc = apr_dbd_pselect(db->driver, pool, db->handle, &results, prepared, 1, sql->parameters,
                             args);
        names = rc == 0 ? name_columns(db, results) : "";
        while (rc == 0 && apr_dbd_get_row(db->driver, pool, results, &row, -1) == 0) {
        }
    }
    if (rc != 0) {
        names = apr_pstrdup(pool, apr_dbd_error(db->driver, db->handle, rc));
    }
    if (sql->columns > 0) {
        rh_db_script(db, "ROLLBACK", pool);
    }
    return names;
}

/* ---- SQLite: a statement that is prepared knows its columns ---- */

static struct {
    int (*prepare)(void *connection, const char *text, int bytes, void **statement,
                   const char **tail);
    int (*count_columns)(void *statement);
    const char *(*name_column)(void *statement, int i);
    int (*count_parameters)(void *statement);
    int (*finalize)(void *statement);
    const char *(*error)(void *connection);
} sqlite;

static const rh_symbol_t sqlite_symbols[] = {
    {"sqlite3_prepare_v2", &sqlite.prepare},
    {"sqlite3_column_count", &sqlite.count_columns},
    {"sqlite3_column_name", &sqlite.name_column},
    {"sqlite3_bind_parameter_count", &sqlite.count_parameters},
    {"sqlite3_finalize", &sqlite.finalize},
    {"sqlite3_errmsg", &sqlite.error}};

/** A text as SQLite has it. */
static const char *mark_parameters(const char *text)
{
    char *marked = apr_pstrdup(pool, text), *to = marked;

    for (; *text; text++) {
        *to++ = *text == '%' && text[1] == 's' ? '?' : *text;
        text += *text == '%';
    }
    *to = '\0';
    return marked;
}

/** @return the names of a statement's columns, or the database's complaint */
static const char *describe_statement(rh_db_t *db, const rh_sql_t *sql)
{
    void *connection = apr_dbd_native_handle(db->driver, db->handle), *statement = NULL;
    const char *names = "", *tail;

    if (sqlite.prepare(connection, mark_parameters(sql->text), -1, &statement, &tail) != 0) {
        return apr_pstrdup(pool, sqlite.error(connection));
    }
    is_int(sqlite.count_parameters(statement), sql->parameters,
           "a statement has the declared number of parameters");
    for (int i = 0; i < sqlite.count_columns(statement); i++) {
        names = apr_pstrcat(pool, names, i > 0 ? " " : "", sqlite.name_column(statement, i), NULL);
    }
    sqlite.finalize(statement);
    return names;
}

/* ---- plans ---- */

#define NO_ID "00000000-0000-0000-0000-000000000000"
#define LAST_ID "ffffffff-ffff-ffff-ffff-ffffffffffff"
#define AS_PROCESSES_DO                                                                            \
    "SET enable_seqscan = off; SET enable_bitmapscan = off; "                                      \
    "SET plan_cache_mode = force_generic_plan"

/** EXPLAIN of a statement that is prepared: of the plan that it has whatever its arguments are, but
 * for a range of ids, which is all of them so that no partition is left out. */
static const char *explain_prepared(const rh_sql_t *sql)
{
    const char *values = "", *between = "(";

    for (const char *at = strstr(sql->text, "%s"); at; at = strstr(at + 2, "%s")) {
        const char *value = strncmp(at + 2, "::uuid", 6) != 0 ? "NULL"
                            : strncmp(at - 2, "< ", 2) == 0   ? "'" LAST_ID "'"
                                                              : "'" NO_ID "'";

        values = apr_pstrcat(pool, values, between, value, NULL);
        between = ", ";
    }
    return apr_pstrcat(pool, "EXPLAIN EXECUTE ", sql->label, values, *values ? ")" : "", NULL);
}

/** The lines of a statement's plan, or the database's complaint. */
static const char *plan_of(rh_db_t *db, rh_sql_name_t name)
{
    const rh_sql_t *sql = &db->dialect->statements[name];

    return read_plan(
        db, strcmp(db->dialect->driver, "sqlite3") == 0
                ? apr_pstrcat(pool, "EXPLAIN QUERY PLAN ", mark_parameters(sql->text), NULL)
                : explain_prepared(sql));
}

/** What the plan of a statement must have. */
typedef struct expectation_t {
    const char *driver;
    rh_sql_name_t name;
    const char *part;
} expectation_t;

#define QUEUE_BY_KEY "SEARCH q USING PRIMARY KEY (tenant=? AND delivery_id>? AND delivery_id<?)"

static const expectation_t expectations[] = {
    {"pgsql", RH_SQL_settle, "using queue_pkey on queue q"},
    {"pgsql", RH_SQL_settle, "using subscription_stat_pkey on subscription_stat t"},
    {"pgsql", RH_SQL_commit, "using subscription_event_pkey on subscription_event x"},
    {"pgsql", RH_SQL_commit, "using subscription_pkey on hook x"},
    {"pgsql", RH_SQL_claim_due, "using queue_due_at on queue q"},
    {"pgsql", RH_SQL_claim_candidates, "using queue_due on queue q"},
    {"pgsql", RH_SQL_claim, "using queue_due on queue x"},
    {"pgsql", RH_SQL_claim_jobs, "using queue_pkey on queue y"},
    {"pgsql", RH_SQL_expand_next, "using expansion_pkey on expansion x"},
    {"pgsql", RH_SQL_expand_end, "using subscription_event_pkey on subscription_event x"},
    {"pgsql", RH_SQL_cancel, "using queue_due on queue q"},
    {"pgsql", RH_SQL_backlog, "Index Only Scan using queue_due on queue q"},
    {"pgsql", RH_SQL_old_keys, "using idempotency_created_at_idx on idempotency i"},
    {"pgsql", RH_SQL_event_list, "Index Scan Backward using event_past_pkey on event_past"},
    {"pgsql", RH_SQL_event_list_type, "Backward using event_past_tenant_type_id_idx on event_past"},
    {"pgsql", RH_SQL_delivery_list, "Index Scan Backward using delivery_past_pkey on"},
    {"pgsql", RH_SQL_delivery_list, "Index Scan using queue_newest on queue q"},
    {"pgsql", RH_SQL_delivery_list, "using queue_pkey on queue w"},
    {"pgsql", RH_SQL_delivery_list_subscription, "Index Scan using queue_due on queue q"},
    {"pgsql", RH_SQL_delivery_list_subscription, "Index Scan using queue_newest on queue q"},
    {"pgsql", RH_SQL_delivery_list_events, "using delivery_past_tenant_event_id_idx on"},
    {"pgsql", RH_SQL_delivery_list_events, "using queue_pkey on queue q"},
    {"pgsql", RH_SQL_delivery_list_undelivered, "Index Scan using queue_newest on queue q"},
    {"pgsql", RH_SQL_delivery_stop, "Index Only Scan Backward using delivery_past_pkey on"},
    {"pgsql", RH_SQL_delivery_stop, "Index Scan using queue_newest on queue q"},
    {"pgsql", RH_SQL_delivery_stop_subscription, "Index Scan using queue_due on queue q"},
    {"pgsql", RH_SQL_delivery_stop_subscription, "Index Scan using queue_newest on queue q"},
    {"pgsql", RH_SQL_event_stop, "Index Scan Backward using event_past_pkey on event_past"},
    {"pgsql", RH_SQL_event_stop_type, "Backward using event_past_tenant_type_id_idx on event_past"},
    {"pgsql", RH_SQL_delivery_count, "queue_newest on queue q"},
    {"pgsql", RH_SQL_event_list_filtered, "using queue_pkey on queue q"},
    {"pgsql", RH_SQL_replay_missing, "using queue_pkey on queue q"},
    {"pgsql", RH_SQL_stats_states, "queue_newest on queue q"},
    {"pgsql", RH_SQL_stats_states_subscription, "queue_newest on queue q"},
    {"pgsql", RH_SQL_stats_hours, "Index Scan using stat_hour_pkey on stat_hour h"},
    {"pgsql", RH_SQL_stats_hours, "queue_newest on queue q"},
    {"pgsql", RH_SQL_stats_hours_subscriptions, "using stat_hour_pkey on stat_hour y"},
    {"pgsql", RH_SQL_stats_add_up, "Tid Scan on stat_change"},
    {"pgsql", RH_SQL_stats_recount_from, "using delivery_past_pkey on delivery_past"},
    {"pgsql", RH_SQL_old_hours, "using stat_hour_age on stat_hour o"},
    {"pgsql", RH_SQL_subscription_list, "Index Scan Backward using subscription_pkey on"},
    {"pgsql", RH_SQL_subscription_get, "using queue_due on queue q"},
    {"pgsql", RH_SQL_cancel, "using event_past_pkey on event_past"},
    {"sqlite3", RH_SQL_commit_queue, "SEARCH s USING PRIMARY KEY (tenant=? AND id=?)"},
    {"sqlite3", RH_SQL_commit_queue_wide, "SEARCH s USING PRIMARY KEY (tenant=? AND id=?)"},
    {"sqlite3", RH_SQL_claim_due, "SEARCH q USING INDEX resthooks_queue_due_at"},
    {"sqlite3", RH_SQL_claim_one, "SEARCH q USING INDEX resthooks_queue_due"},
    {"sqlite3", RH_SQL_claim_late, "SEARCH q USING COVERING INDEX resthooks_queue_due"},
    {"sqlite3", RH_SQL_claim_jobs, "SEARCH q USING PRIMARY KEY (tenant=? AND delivery_id=?)"},
    {"sqlite3", RH_SQL_expand_next, "SEARCH x USING PRIMARY KEY (tenant>?)"},
    {"sqlite3", RH_SQL_settle_known, "SEARCH d USING PRIMARY KEY (tenant=? AND id=?)"},
    {"sqlite3", RH_SQL_settle_stat, "SEARCH t USING PRIMARY KEY (tenant=? AND subscription_id=?)"},
    {"sqlite3", RH_SQL_settle_again, "SEARCH q USING PRIMARY KEY (tenant=? AND delivery_id=?)"},
    {"sqlite3", RH_SQL_settle_changed, "SEARCH d USING PRIMARY KEY (tenant=? AND id=?)"},
    {"sqlite3", RH_SQL_settle_appended, "SEARCH q USING PRIMARY KEY (tenant=? AND delivery_id=?)"},
    {"sqlite3", RH_SQL_settle_attempts, "SEARCH d USING PRIMARY KEY (tenant=? AND id=?)"},
    {"sqlite3", RH_SQL_settle_wake, "SEARCH f USING COVERING INDEX resthooks_queue_order"},
    {"sqlite3", RH_SQL_settle_remove, "SEARCH q USING PRIMARY KEY (tenant=? AND delivery_id=?)"},
    {"sqlite3", RH_SQL_cancel_queue, "SEARCH q USING COVERING INDEX resthooks_queue_due"},
    {"sqlite3", RH_SQL_backlog, "SCAN q USING COVERING INDEX resthooks_queue_due"},
    {"sqlite3", RH_SQL_old_keys, "SEARCH i USING COVERING INDEX resthooks_idempotency_age"},
    {"sqlite3", RH_SQL_old_events, "resthooks_event_age (id<?)"},
    {"sqlite3", RH_SQL_event_list, "(tenant=? AND id>? AND id<?)"},
    {"sqlite3", RH_SQL_event_list_type, "resthooks_event_type (tenant=? AND type=? AND id>?"},
    {"sqlite3", RH_SQL_delivery_list, "SEARCH l USING PRIMARY KEY (tenant=? AND id>? AND id<?)"},
    {"sqlite3", RH_SQL_delivery_list, QUEUE_BY_KEY},
    {"sqlite3", RH_SQL_delivery_list_subscription,
     "SEARCH l USING INDEX resthooks_delivery_subscription (tenant=? AND subscription_id=? AND "
     "id>?"},
    {"sqlite3", RH_SQL_delivery_list_subscription, "SEARCH q USING INDEX resthooks_queue_due"},
    {"sqlite3", RH_SQL_delivery_list_subscription, QUEUE_BY_KEY},
    {"sqlite3", RH_SQL_delivery_list_events, QUEUE_BY_KEY},
    {"sqlite3", RH_SQL_delivery_list_undelivered, QUEUE_BY_KEY},
    {"sqlite3", RH_SQL_delivery_list_undelivered, "INDEX resthooks_delivery_undelivered (tenant=?"},
    {"sqlite3", RH_SQL_delivery_stop, "SEARCH l USING PRIMARY KEY (tenant=? AND id>? AND id<?)"},
    {"sqlite3", RH_SQL_delivery_stop, QUEUE_BY_KEY},
    {"sqlite3", RH_SQL_delivery_stop_undelivered, "INDEX resthooks_delivery_undelivered (tenant=?"},
    {"sqlite3", RH_SQL_delivery_stop_subscription, "SEARCH q USING INDEX resthooks_queue_due"},
    {"sqlite3", RH_SQL_delivery_stop_subscription,
     "INDEX resthooks_delivery_subscription (tenant=? AND subscription_id=? AND id>?"},
    {"sqlite3", RH_SQL_event_stop, "(tenant=? AND id>? AND id<?)"},
    {"sqlite3", RH_SQL_event_stop_type, "resthooks_event_type (tenant=? AND type=? AND id>?"},
    {"sqlite3", RH_SQL_event_list_type_filtered,
     "resthooks_event_type (tenant=? AND type=? AND id>?"},
    {"sqlite3", RH_SQL_delivery_count, QUEUE_BY_KEY},
    {"sqlite3", RH_SQL_event_list_filtered, QUEUE_BY_KEY},
    {"sqlite3", RH_SQL_replay_missing, QUEUE_BY_KEY},
    {"sqlite3", RH_SQL_stats_states, QUEUE_BY_KEY},
    {"sqlite3", RH_SQL_stats_states_subscription, QUEUE_BY_KEY},
    {"sqlite3", RH_SQL_delivery_list_events,
     "l USING INDEX resthooks_delivery_event (tenant=? AND event_id=?"},
    {"sqlite3", RH_SQL_stats_hours,
     "SEARCH h USING PRIMARY KEY (tenant=? AND subscription_id=? AND"},
    {"sqlite3", RH_SQL_stats_hours, QUEUE_BY_KEY},
    {"sqlite3", RH_SQL_stats_hours_subscriptions,
     "SEARCH h USING PRIMARY KEY (tenant=? AND subscription_id=? AND hour>? AND hour<?)"},
    {"sqlite3", RH_SQL_old_hours, "SEARCH o USING COVERING INDEX resthooks_stat_hour_age (hour<?)"},
    {"sqlite3", RH_SQL_subscription_list, "SEARCH s USING PRIMARY KEY (tenant=? AND id<?)"},
};

/** Make the queue large, and have its statistics be those of an empty one. */
#define EMPTY_QUEUE                                                                                \
    "INSERT INTO resthooks.queue (tenant, delivery_id, subscription_id, event_id, due_at)"         \
    " SELECT 't', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), n"                      \
    " FROM generate_series(1, 3000) AS n; DELETE FROM resthooks.queue; ANALYZE resthooks.queue"

static void test_plans(rh_db_t *db, const char *when)
{
    if (strcmp(db->dialect->driver, "pgsql") == 0) {
        rh_db_script(db, AS_PROCESSES_DO, pool);
    }
    for (int i = 0; i < (int)RH_COUNT_OF(expectations); i++) {
        const expectation_t *expectation = &expectations[i];
        const char *plan;

        if (strcmp(expectation->driver, db->dialect->driver) != 0) {
            continue;
        }
        plan = plan_of(db, expectation->name);
        if (!ok(strstr(plan, expectation->part) != NULL, "%s, %s: %s is run so: %s",
                expectation->driver, when, db->dialect->statements[expectation->name].label,
                expectation->part)) {
            printf("# %s\n", plan);
        }
    }
}

/** True for a statement that the dialect has and that runs on tables of this version. */
static bool is_current(const rh_sql_t *sql)
{
    return sql->text && strncmp(sql->label, "upgrade_", 8) != 0;
}

/** A table that may have many rows, none of which a plan may read without a condition on an index.
 */
static bool is_large(const char *line)
{
    static const char *const tables[] = {
        " on hook ",     " on queue ",       " on subscription_stat ",
        " on event_",    " on delivery_",    " on attempt_",
        " on sent_temp", " on idempotency ", " on subscription_event "};

    for (int i = 0; i < (int)RH_COUNT_OF(tables); i++) {
        if (strstr(line, tables[i])) {
            return strstr(line, " Scan ") && !strstr(line, "Tid Scan");
        }
    }
    return false;
}

/**
 * Look for a scan of a large table that no condition limits.
 * @return its line; NULL: there is none
 */
static const char *find_whole_scan(const char *plan)
{
    char *state, *line, *text = apr_pstrdup(pool, plan);

    for (line = apr_strtok(text, "\n", &state); line;) {
        char *next = apr_strtok(NULL, "\n", &state);

        if (is_large(line) && !(next && strstr(next, "Index Cond:"))) {
            return line;
        }
        line = next;
    }
    return NULL;
}

/**
 * True for a statement that runs once in the life of a process or of the tables, or in the
 * background: a job's chunk finds the deliveries that it queued by a semi-join, which PostgreSQL
 * turns round while a partition has next to no rows.
 */
static bool may_read_all(int name)
{
    return name == RH_SQL_release || name == RH_SQL_fill_4 || name == RH_SQL_job_chunk_attempts ||
           name == RH_SQL_job_chunk_count || name == RH_SQL_job_chunk_pending;
}

/**
 * A plan that is made while tables are small stays in use while they grow, so no statement may
 * read all of one, small or not.
 */
static void test_look_ups(rh_db_t *db, const char *when)
{
    for (int i = 0; i < RH_SQL_COUNT; i++) {
        const rh_sql_t *sql = &db->dialect->statements[i];
        const char *plan, *line;

        if (!is_current(sql) || may_read_all(i)) {
            continue;
        }
        plan = plan_of(db, (rh_sql_name_t)i);
        line = find_whole_scan(plan);
        if (!ok(!line, "pgsql, %s: %s reads no whole table", when, sql->label)) {
            printf("# %s\n", line);
        }
    }
}

/** One row each in the tables that grow, with their statistics. */
#define ONE_ROW                                                                                    \
    "INSERT INTO resthooks.hook (tenant, id, target_url, secret, base_url, created_at, "           \
    "updated_at)"                                                                                  \
    " VALUES ('t', '" NO_ID "', 'http://a', 's', 'http://b', 1, 1);"                               \
    " INSERT INTO resthooks.subscription_stat (tenant, subscription_id) VALUES ('t', '" NO_ID      \
    "'); INSERT INTO resthooks.subscription_event VALUES ('t', '*', '" NO_ID "', 0);"              \
    " INSERT INTO resthooks.event (tenant, id, type, time, source, data) VALUES ('t', '" NO_ID     \
    "', 'a.b', 1, 'publish', '{}'); INSERT INTO resthooks.delivery (tenant, id, event_id,"         \
    " subscription_id, type, state) VALUES ('t', '" NO_ID "', '" NO_ID "', '" NO_ID                \
    "', 'a.b', 'failed'); INSERT INTO resthooks.attempt (tenant, id, delivery_id, number,"         \
    " started_at, ms, status_code) VALUES ('t', '" NO_ID "', '" NO_ID "', 1, 1, 1, 0);"            \
    " INSERT INTO resthooks.queue (tenant, delivery_id, subscription_id, event_id, due_at)"        \
    " VALUES ('t', '" NO_ID "', '" NO_ID "', '" NO_ID "', 1);"                                     \
    " INSERT INTO resthooks.sent_template VALUES ('t', '" NO_ID "', '{}', 1);"                     \
    " INSERT INTO resthooks.idempotency VALUES ('t', 'k', '" NO_ID "', 1); ANALYZE"

/** Few rows of the log are not delivered ones; they have an index. */
#define DELIVER_MANY                                                                               \
    "INSERT INTO resthooks.delivery (tenant, id, event_id, subscription_id, type, state)"          \
    " SELECT 't', ('018f0000-0000-7000-9000-' || lpad(n::text, 12, '0'))::uuid,"                   \
    " gen_random_uuid(), gen_random_uuid(), 'a.b',"                                                \
    " CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'delivered' END"                                    \
    " FROM generate_series(1, 5000) AS n; ANALYZE resthooks.delivery"

static void test_undelivered(rh_db_t *db)
{
    const rh_sql_name_t names[] = {RH_SQL_delivery_list_undelivered,
                                   RH_SQL_delivery_stop_undelivered};

    rh_db_script(db, DELIVER_MANY, pool);
    for (int i = 0; i < (int)RH_COUNT_OF(names); i++) {
        const char *plan = plan_of(db, names[i]);

        if (!ok(strstr(plan, "Backward using delivery_past_tenant_id_idx on delivery_past") != NULL,
                "pgsql, among many delivered ones: %s has its own index",
                db->dialect->statements[names[i]].label)) {
            printf("# %s\n", plan);
        }
    }
}

/* ---- */

static void run(const char *driver, const char *params)
{
    const rh_dialect_t *dialect = rh_dialect_find(driver);
    const char *(*describe)(rh_db_t * db, const rh_sql_t *sql) = run_statement;
    rh_db_source_t *source;
    rh_db_t *db;
    int found = 0;

    if (!open_sources(driver, params, &source, 1) ||
        !ok(source->acquire(source, pool, &db) == APR_SUCCESS, "%s: there is a connection",
            driver)) {
        return;
    }
    if (strcmp(driver, "sqlite3") == 0) {
        describe = describe_statement;
        ok(rh_db_library_find(db->driver, sqlite_symbols, RH_COUNT_OF(sqlite_symbols)),
           "SQLite's functions are found");
    }
    for (int i = 0; i < RH_SQL_COUNT; i++) {
        const rh_sql_t *sql = &dialect->statements[i];

        if (is_current(sql)) {
            is(describe(db, sql), sql->returns,
               apr_pstrcat(pool, driver, " takes ", sql->label, ", which has these columns", NULL));
            found++;
        }
    }
    ok(found > RH_SQL_COUNT / 3, "%s has %d of the statements", driver, found);
    test_plans(db, "new tables");
    if (strcmp(driver, "pgsql") == 0) {
        test_look_ups(db, "new tables");
        is_int(rh_db_script(db, ONE_ROW, pool), APR_SUCCESS, "each table has one row");
        test_look_ups(db, "statistics of one row");
        rh_db_script(db, EMPTY_QUEUE, pool);
        test_plans(db, "statistics of a queue that was empty");
        test_undelivered(db);
    }
    source->release(source, db, false);
}

int main(void)
{
    return test_databases("statements", run);
}
