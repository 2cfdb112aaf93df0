/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Transactions, and what SQLite needs of a connection. */
#include "rh_db_private.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

/** How long a writer waits for the others. */
#define LOCK_TIMEOUT apr_time_from_sec(5)
/** Who waits for the lock looks so often; who has just had it leaves it to the others for longer.
 */
#define LOCK_POLL apr_time_from_msec(1)
#define LOCK_COURTESY (LOCK_POLL + 200)

/** PostgreSQL prepares neither of these; SQLite's driver knows of busy databases only prepared. */
static const rh_statement_t begin_statement = {"rh_begin", NULL, "BEGIN IMMEDIATE"};
static const rh_statement_t commit_statement = {"rh_commit", NULL, "COMMIT"};

static apr_status_t close_lock(void *data)
{
    rh_db_session_t *session = data;

    close(session->lock);
    session->lock = -1;
    return APR_SUCCESS;
}

/**
 * Open the database's folder, whose flock all writers take. The driver holds one mutex for the
 * whole process while SQLite waits for a lock, so that the one who has the lock could not give it
 * back; and without that waiting, it sleeps 100 ms at a time.
 */
static void open_lock(rh_db_t *db, rh_db_session_t *session, apr_pool_t *scratch)
{
    apr_array_header_t *rows;
    const char *file, *slash;

    if (session->lock >= 0 ||
        rh_db_query_rows(db, "PRAGMA database_list", scratch, &rows) != APR_SUCCESS ||
        rows->nelts == 0) {
        return;
    }
    file = APR_ARRAY_IDX(rows, 0, const char **)[2];
    if (!file || !(slash = strrchr(file, '/'))) {
        return; /* in memory: nobody else has it */
    }
    file = apr_pstrmemdup(scratch, file, slash == file ? 1 : (apr_size_t)(slash - file));
    session->lock = open(file, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (session->lock >= 0) {
        apr_pool_cleanup_register(db->pool, session, close_lock, apr_pool_cleanup_null);
    }
}

apr_status_t rh_db_prepare_session(rh_db_t *db, apr_pool_t *scratch)
{
    /* The first waits for others that repair the file after a crash; the last is short for the
     * reason told above. */
    static const char *const pragmas[] = {
        "PRAGMA busy_timeout = 3000", "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",  "SELECT count(*) FROM sqlite_master",
        "PRAGMA busy_timeout = 50",   NULL};
    rh_db_session_t *session = rh_db_session(db);
    int affected;

    if (db->dialect != RH_DIALECT_SQLITE) {
        return APR_SUCCESS;
    }
    if (apr_dbd_query(db->driver, db->handle, &affected, "PRAGMA foreign_keys = ON") != 0) {
        return APR_EGENERAL;
    }
    for (const char *const *pragma = pragmas; *pragma; pragma++) {
        if (rh_db_query_rows(db, *pragma, scratch, NULL) != APR_SUCCESS) {
            rh_log(db->log, RH_LOG_INFO, 0, "RH0113", "%s: %s", *pragma, session->error);
            return APR_EAGAIN;
        }
    }
    open_lock(db, session, scratch);
    return APR_SUCCESS;
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

static void drop_lock(rh_db_session_t *session)
{
    if (session->lock >= 0) {
        flock(session->lock, LOCK_UN);
        session->unlocked = apr_time_now();
    }
}

apr_status_t rh_db_begin(rh_db_t *db, apr_pool_t *pool)
{
    rh_db_session_t *session = rh_db_session(db);
    apr_status_t status = APR_SUCCESS;

    if (db->dialect == RH_DIALECT_SQLITE) {
        status = take_lock(session);
        if (status != APR_SUCCESS) {
            rh_log(db->log, RH_LOG_INFO, status, "RH0114",
                   "other writers keep the database for too long");
            return status;
        }
    }
    status = db->dialect == RH_DIALECT_SQLITE
                 ? rh_db_execute(db, &begin_statement, 0, NULL, pool, NULL)
                 : rh_db_script(db, "BEGIN", pool);
    if (status == APR_SUCCESS) {
        session->in_transaction = true;
    } else {
        drop_lock(session);
    }
    return status;
}

apr_status_t rh_db_end(rh_db_t *db, apr_status_t status, apr_pool_t *pool)
{
    rh_db_session_t *session = rh_db_session(db);
    int affected;

    if (session->in_transaction) {
        if (status == APR_SUCCESS) {
            status = db->dialect == RH_DIALECT_SQLITE
                         ? rh_db_execute(db, &commit_statement, 0, NULL, pool, NULL)
                         : rh_db_script(db, "COMMIT", pool);
        }
        session->in_transaction = false;
        if (status != APR_SUCCESS) {
            /* After some errors there is no transaction any more: this one's failing is fine. */
            apr_dbd_query(db->driver, db->handle, &affected, "ROLLBACK");
        }
    }
    drop_lock(session);
    return status;
}
