/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The settings of a session, whatever the database has for defaults. */
#include "store_databases.h"

#include "rh_query.h"
#include "rh_schema.h"

#include <stdlib.h>

static const struct {
    const char *name, *odd, *pinned;
} settings[] = {{"default_transaction_isolation", "serializable", "read committed"},
                {"standard_conforming_strings", "off", "on"},
                {"client_encoding", "LATIN1", "UTF8"},
                {"lc_messages", "'C.UTF-8'", "C"},
                {"search_path", "odd, pg_catalog", "pg_catalog, odd, pg_catalog"},
                {"jit", "on", "off"},
                {"enable_seqscan", "on", "off"},
                {"enable_bitmapscan", "on", "off"},
                {"max_parallel_workers_per_gather", "4", "0"},
                {"lock_timeout", "'1h'", "10s"},
                {"statement_timeout", "'1h'", "5min"},
                {"idle_in_transaction_session_timeout", "'1h'", "1min"}};

#define COUNT (sizeof(settings) / sizeof(settings[0]))

static rh_log_t quiet;

static rh_db_t *acquire(rh_db_source_t *source)
{
    apr_time_t until = apr_time_now() + apr_time_from_sec(30);
    rh_db_t *db = NULL;

    while (source->acquire(source, pool, &db) != APR_SUCCESS && apr_time_now() < until) {
        apr_sleep(apr_time_from_msec(20));
    }
    return db;
}

static const char *ask(rh_db_t *db, const char *sql)
{
    apr_array_header_t *rows;

    return rh_db_query_rows(db, sql, pool, &rows) == APR_SUCCESS && rows->nelts == 1
               ? APR_ARRAY_IDX(rows, 0, const char **)[0]
               : "no row";
}

static void check_settings(rh_db_t *db, const char *when)
{
    for (apr_size_t i = 0; i < COUNT; i++) {
        is(ask(db, apr_pstrcat(pool, "SHOW ", settings[i].name, NULL)), settings[i].pinned,
           apr_psprintf(pool, "%s: %s", when, settings[i].name));
    }
}

/** Set odd defaults for the database; they apply to new sessions. */
static void make_odd(rh_db_source_t *source)
{
    rh_db_t *db = acquire(source);
    const char *name = ask(db, "SELECT current_database()");

    for (apr_size_t i = 0; i < COUNT; i++) {
        const char *sql = apr_psprintf(pool, "ALTER DATABASE %s SET %s = %s", name,
                                       settings[i].name, settings[i].odd);

        ok(rh_db_script(db, sql, pool) == APR_SUCCESS, "%s", sql);
    }
    source->release(source, db, true);
}

static const unsigned short order[] = {0};
static const rh_sql_t one = {"one", "SELECT current_setting(%s)", order, 1, 1, "current_setting"};

/** Ask a new connection. */
static const char *ask_new(const char *params, const char *sql)
{
    rh_db_source_t *source;
    const char *found = "no connection";
    rh_db_t *db;

    if (rh_db_source_dedicated(pool, "sqlite3", params, &quiet, &source) == APR_SUCCESS &&
        (db = acquire(source)) != NULL) {
        found = ask(db, sql);
        source->release(source, db, true);
    }
    return found;
}

static void run_sqlite(const char *params)
{
    static const char *const tails[] = {"", "-wal", "-shm"};
    const char *old = apr_pstrcat(pool, params, ".old", NULL);
    rh_db_source_t *source;
    rh_db_t *db;

    is(ask_new(params, "PRAGMA page_size"), "2048", "SQLite: a new file has small pages");
    is(ask_new(params, "PRAGMA journal_mode"), "wal", "SQLite: a new file has a write-ahead log");
    is(ask_new(params, "PRAGMA synchronous"), "2", "SQLite: every commit is synchronous");
    is(ask_new(params, "PRAGMA wal_autocheckpoint"), "2000",
       "SQLite: the write-ahead log is checkpointed after 4 MiB");
    if (!open_sources("sqlite3", params, &source, 1) || (db = acquire(source)) == NULL) {
        return;
    }
    (void)remove(old);
    ok(rh_db_query(db, "PRAGMA page_size = 4096", pool) == APR_SUCCESS &&
           rh_db_query(db, apr_pstrcat(pool, "VACUUM INTO '", old, "'", NULL), pool) == APR_SUCCESS,
       "there is a file with larger pages");
    source->release(source, db, true);
    is(ask_new(old, "PRAGMA page_size"), "4096", "a file with larger pages keeps them");
    is(ask_new(old, "SELECT version FROM resthooks_schema_version"),
       RH_SQL_NUMBER(RH_SCHEMA_VERSION), "a file with larger pages is used");
    for (int i = 0; i < 3; i++) {
        (void)remove(apr_pstrcat(pool, old, tails[i], NULL));
    }
}

static void run(const char *driver, const char *params)
{
    rh_db_source_t *source, *other;
    apr_array_header_t *rows;
    const char *pid, *arg = "default_transaction_isolation";
    rh_db_t *db, *killer;

    if (strcmp(driver, "pgsql") != 0) {
        run_sqlite(params);
        return;
    }
    rh_db_source_dedicated(pool, driver, params, &quiet, &source);
    rh_db_source_dedicated(pool, driver, params, &quiet, &other);
    make_odd(other);
    db = acquire(source);
    check_settings(db, "a new session");
    is(ask(db, "SHOW server_encoding"), rh_db_session(db)->encoding, "its encoding is known");
    ok(!rh_db_session(db)->shared, "a direct connection is not taken for a pooler's");

    /* Reset by another user of the connection, as mod_dbd does. */
    pid = ask(db, "SELECT pg_backend_pid()");
    killer = acquire(other);
    ask(killer, apr_pstrcat(pool, "SELECT pg_terminate_backend(", pid, ", 10000)", NULL));
    ask(db, "SELECT 1");
    ok(apr_dbd_check_conn(db->driver, pool, db->handle) == APR_SUCCESS,
       "a connection that was killed is reset");
    is(ask(db, "SHOW default_transaction_isolation"), "serializable",
       "its session has no settings");
    source->release(source, db, false);
    db = acquire(source);
    check_settings(db, "acquired again");

    /* Killed between two statements. */
    pid = ask(db, "SELECT pg_backend_pid()");
    ask(killer, apr_pstrcat(pool, "SELECT pg_terminate_backend(", pid, ", 10000)", NULL));
    ok(rh_db_run(db, &one, &arg, pool, &rows, NULL) == APR_SUCCESS,
       "a statement survives the end of its session");
    is(APR_ARRAY_IDX(rows, 0, const char **)[0], "read committed", "it runs in a new one");
    check_settings(db, "a new session is opened without being asked for");

    /* Left in a transaction by another user of mod_dbd's connection. */
    ask(db, "SELECT 1");
    rh_db_query(db, "BEGIN; SELECT 1/0", pool);
    source->release(source, db, false);
    db = acquire(source);
    ok(rh_db_run(db, &one, &arg, pool, &rows, NULL) == APR_SUCCESS,
       "a transaction that was left open is ended first");
    source->release(source, db, true);
    other->release(other, killer, true);
}

int main(void)
{
    ok(true, "only PostgreSQL has sessions with settings");
    return test_databases("rh_session", run);
}
