/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Sessions of SQLite: their PRAGMAs, and the lock that all writers of a machine take. */
#include "rh_db_library.h"
#include "rh_sqlite.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/** How long a writer waits for other writers. */
#define LOCK_TIMEOUT apr_time_from_sec(5)
/** Interval between two tries to take the lock. A writer that has just had it leaves it to the
 * others for longer. */
#define LOCK_POLL apr_time_from_msec(1)
#define LOCK_COURTESY (LOCK_POLL + 200)

static apr_status_t close_lock(void *data)
{
    rh_db_session_t *session = data;

    close(session->lock);
    session->lock = -1;
    return APR_SUCCESS;
}

/**
 * Open the database's directory, whose flock all writers take. The driver holds one mutex for the
 * whole process while SQLite waits for a lock, so that the thread that has the lock could not give
 * it back; and without that waiting, it sleeps 100 ms at a time.
 */
static void open_lock(rh_db_t *db, rh_db_session_t *session, apr_pool_t *scratch)
{
    apr_array_header_t *rows;
    const char *file, *slash;

    if (session->lock >= 0 ||
        rh_db_query_rows(db, rh_sqlite_statements[RH_SQL_database_file].text, scratch, &rows) !=
            APR_SUCCESS ||
        rows->nelts == 0) {
        return;
    }
    file = RH_ROW(database_file, rows, 0)->file;
    if (!file || !(slash = strrchr(file, '/'))) {
        return; /* an in-memory database belongs to one connection */
    }
    file = apr_pstrmemdup(scratch, file, slash == file ? 1 : (apr_size_t)(slash - file));
    session->lock = open(file, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (session->lock >= 0) {
        apr_pool_cleanup_register(db->pool, session, close_lock, apr_pool_cleanup_null);
    }
}

static void find_library(rh_db_t *db, rh_db_session_t *session)
{
    const rh_symbol_t symbol = {"sqlite3_extended_errcode", &session->sqlite.extended_errcode};

    if (rh_db_library_find(db->driver, &symbol, 1)) {
        session->sqlite.connection = apr_dbd_native_handle(db->driver, db->handle);
    } else {
        rh_log(db->log, RH_LOG_ERR, 0, "RH0122",
               "SQLite's functions are not found in the driver of apr_dbd: every error of the "
               "database is taken for one that passes");
    }
}

static bool is_established(rh_db_t *db, const rh_db_session_t *session)
{
    (void)db;
    return session->established;
}

static apr_status_t establish(rh_db_t *db, rh_db_session_t *session, apr_pool_t *scratch)
{
    /* The first waits for other processes that repair the file after a crash; the last is short for
     * the reason above. A commit writes whole pages, the last ones of each table and index: with
     * small pages it writes two thirds of the bytes. A file keeps the page size that it was created
     * with. The WAL goes into the file after 4 MiB. */
    static const char *const pragmas[] = {
        "PRAGMA busy_timeout = 3000",       "PRAGMA page_size = 2048",
        "PRAGMA wal_autocheckpoint = 2000", "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",        "SELECT count(*) FROM sqlite_master",
        "PRAGMA busy_timeout = 50",         NULL};

    if (!session->sqlite.connection) {
        find_library(db, session);
    }
    if (rh_db_run_init(db, session, scratch) != APR_SUCCESS ||
        rh_db_query(db, "PRAGMA foreign_keys = ON", scratch) != APR_SUCCESS) {
        return APR_EAGAIN;
    }
    for (const char *const *pragma = pragmas; *pragma; pragma++) {
        if (rh_db_query_rows(db, *pragma, scratch, NULL) != APR_SUCCESS) {
            rh_log(db->log, RH_LOG_INFO, 0, "RH0113", "%s: %s", *pragma, session->error);
            return APR_EAGAIN;
        }
    }
    open_lock(db, session, scratch);
    session->established = true;
    return APR_SUCCESS;
}

static void note_code(rh_db_t *db, rh_db_session_t *session, bool prepares)
{
    (void)db;
    session->preparing = prepares;
    session->code = session->sqlite.connection
                        ? session->sqlite.extended_errcode(session->sqlite.connection)
                        : 0;
}

static rh_error_t judge(const rh_db_session_t *session)
{
    return session->sqlite.connection ? rh_sqlite_judge_code(session->code, session->preparing)
                                      : RH_ERROR_PASSING;
}

static apr_status_t take_lock(const rh_db_session_t *session)
{
    apr_time_t now = apr_time_now(), give_up = now + LOCK_TIMEOUT;
    apr_interval_time_t wait = 100;

    if (session->lock < 0) {
        return APR_SUCCESS;
    }
    if (now >= session->unlocked && now < session->unlocked + LOCK_COURTESY) {
        apr_sleep(session->unlocked + LOCK_COURTESY - now);
    }
    while (flock(session->lock, LOCK_EX | LOCK_NB) != 0) {
        if (apr_time_now() >= give_up) {
            return APR_EAGAIN;
        }
        apr_sleep(wait);
        wait = wait * 2 < LOCK_POLL ? wait * 2 : LOCK_POLL;
    }
    return APR_SUCCESS;
}

static void ended(rh_db_session_t *session)
{
    if (session->lock >= 0) {
        flock(session->lock, LOCK_UN);
        session->unlocked = apr_time_now();
    }
}

static apr_status_t begin(rh_db_t *db, rh_db_session_t *session, apr_pool_t *pool)
{
    apr_status_t status = take_lock(session);

    if (status != APR_SUCCESS) {
        rh_log(db->log, RH_LOG_INFO, status, "RH0114",
               "timed out waiting for the SQLite write lock");
        return status;
    }
    return rh_db_change(db, RH_QUERY(begin_writing), pool, NULL);
}

static apr_status_t commit(rh_db_t *db, rh_db_session_t *session, apr_pool_t *pool)
{
    (void)session;
    return rh_db_change(db, RH_QUERY(end_writing), pool, NULL);
}

/** Forget the statement, so that it is prepared again: one that was prepared before the tables
 * changed fails once. */
static bool remember(rh_db_t *db, rh_db_session_t *session, const char *label, apr_pool_t *scratch)
{
    (void)session;
    (void)scratch;
    apr_hash_set(db->prepared, label, APR_HASH_KEY_STRING, NULL);
    return true;
}

/** Run the statements one by one: the driver continues after an error in the middle, and fails on
 * white space at the end. */
static apr_status_t run_script(rh_db_t *db, const char *sql, apr_pool_t *pool)
{
    while (sql[strspn(sql, " \t\r\n")]) {
        const char *end = strstr(sql, ";\n");
        apr_size_t len = end ? (apr_size_t)(end - sql) + 1 : strlen(sql);
        apr_status_t status = rh_db_query(db, apr_pstrmemdup(pool, sql, len), pool);

        if (status != APR_SUCCESS) {
            return status;
        }
        sql += len;
    }
    return APR_SUCCESS;
}

const rh_connector_t rh_sqlite_connector = {
    .is_established = is_established,
    .establish = establish,
    .note_code = note_code,
    .judge = judge,
    .begin = begin,
    .commit = commit,
    .ended = ended,
    .remember = remember,
    .run_script = run_script,
};
