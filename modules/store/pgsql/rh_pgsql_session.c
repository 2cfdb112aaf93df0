/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * Sessions of PostgreSQL: their settings, and the effects of a pooler.
 *
 * A connection may lead to another session than the one that was set up:
 * apr_dbd_check_conn, which mod_dbd also calls by itself, silently reconnects. So the
 * socket and the server's process are compared, which costs no round trip, before the session is
 * relied on.
 *
 * Behind a pooler (PgBouncer and its like) each transaction may run in another session on the
 * server though the connection stays. It is recognised by the number of the server's process: the
 * one that the client got when it connected is made up by the pooler. There, nothing is prepared by
 * name, and the settings are part of each transaction. A SET outside of a transaction would remain
 * in a session that other programs share.
 */
#include "rh_db_library.h"
#include "rh_pgsql.h"
#include "rh_uuid.h"

#include <string.h>
#include <sys/stat.h>

/** libpq's PQERRORS_VERBOSE, CONNECTION_OK and PQTRANS_IDLE. */
#define VERBOSE 2
#define STATUS_OK 0
#define TRANSACTION_IDLE 0

/** Minimum time between two resets of a connection to a server that is read-only. */
#define RESET_INTERVAL apr_time_from_sec(5)

/** Interval between two readings of the server's clock. */
#define CLOCK_INTERVAL apr_time_from_sec(60)

/** Number of losses of prepared statements after which the session counts as shared. */
#define MAX_FORGOTTEN 1

/**
 * Settings that the SQL relies on, whatever defaults the server, the database or the role has.
 * Plans must not depend on how full the tables were when statistics were taken: a queue that was
 * empty then may hold a million rows now. A bitmap of all that is due would be made for the first
 * few. `P` is "SET " or "SET LOCAL ".
 */
#define SETTINGS(P)                                                                                \
    P "standard_conforming_strings = on; " P "client_encoding = 'UTF8'; " P "jit = off; " P        \
      "enable_seqscan = off; " P "enable_bitmapscan = off; " P                                     \
      "max_parallel_workers_per_gather = 0; " P "lock_timeout = '10s'; " P                         \
      "statement_timeout = '300s'; " P "idle_in_transaction_session_timeout = '60s'; "

/**
 * Every name in the SQL but those of pg_catalog is qualified, and pg_catalog comes first unless a
 * search_path names it in another position. The rest of the path stays for other modules that use
 * mod_dbd's connections. Only a superuser may set lc_messages.
 */
#define CHOSEN(LOCAL)                                                                              \
    "SELECT pg_catalog.set_config('search_path', 'pg_catalog, ' ||"                                \
    " pg_catalog.current_setting('search_path'), " LOCAL ")"                                       \
    " WHERE pg_catalog.current_setting('search_path') LIKE '%_pg\\_catalog%';"                     \
    "SELECT pg_catalog.set_config('lc_messages', 'C', " LOCAL ") FROM pg_catalog.pg_roles"         \
    " WHERE rolname = current_user AND rolsuper"

static const char session_settings[] =
    "SET default_transaction_isolation = 'read committed'; " SETTINGS("SET ") CHOSEN("false");
static const char direct_begin[] = "BEGIN ISOLATION LEVEL READ COMMITTED";
static const char shared_begin[] =
    "BEGIN ISOLATION LEVEL READ COMMITTED; " SETTINGS("SET LOCAL ") CHOSEN("true");

/** Find libpq's functions. This is cheap, so it may be done before each connection. */
static void find_library(rh_db_t *db, rh_db_session_t *session)
{
    rh_pgsql_library_t *library = &session->pgsql;
    const rh_symbol_t symbols[] = {
        {"PQstatus", &library->status},      {"PQtransactionStatus", &library->transaction},
        {"PQbackendPID", &library->backend}, {"PQsocket", &library->socket},
        {"PQreset", &library->reset},        {"PQsetErrorVerbosity", &library->set_verbosity}};

    library->connection = NULL;
    if (rh_db_library_find(db->driver, symbols, RH_COUNT_OF(symbols))) {
        library->connection = apr_dbd_native_handle(db->driver, db->handle);
    } else {
        rh_log(db->log, RH_LOG_ERR, 0, "RH0121",
               "libpq's functions are not found in the driver of apr_dbd: every error of the "
               "database is taken for a lost connection");
    }
}

static apr_uint64_t identify_socket(const rh_pgsql_library_t *library)
{
    struct stat info;
    int socket = library->socket(library->connection);

    return socket >= 0 && fstat(socket, &info) == 0 ? (apr_uint64_t)info.st_ino : 0;
}

static bool is_established(rh_db_t *db, const rh_db_session_t *session)
{
    const rh_pgsql_library_t *library = &session->pgsql;

    (void)db;
    return session->established &&
           (!library->connection ||
            (library->status(library->connection) == STATUS_OK &&
             library->transaction(library->connection) == TRANSACTION_IDLE &&
             library->backend(library->connection) == session->backend &&
             identify_socket(library) == session->socket));
}

/** Let ids use the server's clock if this host's differs much. */
static void follow_clock(rh_db_t *db, rh_db_session_t *session, const char *ms)
{
    apr_interval_time_t ahead = rh_uuid_follow_clock(rh_db_number(ms) * 1000);

    session->clock_at = apr_time_now();
    if (ahead != 0) {
        rh_log(db->log, RH_LOG_WARN, 0, "RH0123",
               "compared with the database, this host's clock is %" APR_INT64_T_FMT
               " s %s; ids follow the database's clock",
               (apr_int64_t)apr_time_sec(ahead > 0 ? ahead : -ahead), ahead > 0 ? "fast" : "slow");
    }
}

static void update_clock(rh_db_t *db, rh_db_session_t *session, apr_pool_t *scratch)
{
    apr_time_t now = apr_time_now();
    apr_array_header_t *rows;

    if (now >= session->clock_at && now - session->clock_at < CLOCK_INTERVAL) {
        return;
    }
    if (rh_db_query_rows(db, rh_pgsql_statements[RH_SQL_session_clock].text, scratch, &rows) ==
            APR_SUCCESS &&
        rows->nelts == 1) {
        follow_clock(db, session, RH_ROW(session_clock, rows, 0)->at);
    }
}

/** Query for the properties of a session. */
static apr_status_t ask_session(rh_db_t *db, apr_pool_t *scratch, const rh_session_get_row_t **row)
{
    const char *sql = rh_pgsql_statements[RH_SQL_session_get].text;
    apr_array_header_t *rows = NULL;

    if (rh_db_query_rows(db, sql, scratch, &rows) != APR_SUCCESS || rows->nelts != 1) {
        return APR_EAGAIN;
    }
    *row = RH_ROW(session_get, rows, 0);
    return APR_SUCCESS;
}

/**
 * Find a session that can write: reconnects once if the connection is lost, or leads to a
 * server that is read-only, as another one of `host=` may not be.
 */
static apr_status_t find_session(rh_db_t *db, rh_db_session_t *session, apr_pool_t *scratch,
                                 const rh_session_get_row_t **row)
{
    const rh_pgsql_library_t *library = &session->pgsql;
    apr_time_t now = apr_time_now();
    apr_status_t status = ask_session(db, scratch, row);

    if (status != APR_SUCCESS) {
        status = apr_dbd_check_conn(db->driver, scratch, db->handle) == APR_SUCCESS
                     ? ask_session(db, scratch, row)
                     : APR_EAGAIN;
    } else if (strcmp((*row)->read_only, "off") != 0 && library->connection &&
               (now < session->reset_at || now - session->reset_at > RESET_INTERVAL)) {
        session->reset_at = now;
        library->reset(library->connection);
        status = ask_session(db, scratch, row);
    }
    if (status == APR_SUCCESS && strcmp((*row)->read_only, "off") != 0) {
        session->error = "it takes no changes: a standby, or default_transaction_read_only";
        status = APR_EAGAIN;
    }
    return status;
}

static apr_status_t establish(rh_db_t *db, rh_db_session_t *session, apr_pool_t *scratch)
{
    rh_pgsql_library_t *library = &session->pgsql;
    const rh_session_get_row_t *row = NULL;

    session->established = false;
    if (!library->connection) {
        find_library(db, session);
    }
    if (library->connection) {
        library->set_verbosity(library->connection, VERBOSE);
        if (library->transaction(library->connection) > TRANSACTION_IDLE) {
            rh_db_query(db, "ROLLBACK", scratch);
        }
    }
    rh_db_forget_statements(db, session);
    if (find_session(db, session, scratch, &row) != APR_SUCCESS) {
        return APR_EAGAIN;
    }
    if (!session->encoding || strcmp(session->encoding, row->encoding) != 0) {
        session->encoding = apr_pstrdup(db->pool, row->encoding);
    }
    follow_clock(db, session, row->at);
    if (library->connection) {
        int backend = library->backend(library->connection);
        apr_uint64_t socket = identify_socket(library);

        if (session->socket != 0 && (backend != session->backend || socket != session->socket)) {
            session->init_ran = false;
        }
        session->backend = backend;
        session->socket = socket;
        session->shared =
            session->forgotten > MAX_FORGOTTEN || session->backend != rh_db_number(row->process);
    }
    session->begin = session->shared ? shared_begin : direct_begin;
    if (rh_db_run_init(db, session, scratch) != APR_SUCCESS) {
        return APR_EAGAIN;
    }
    if (!session->shared && rh_db_query(db, session_settings, scratch) != APR_SUCCESS) {
        return APR_EAGAIN;
    }
    session->established = true;
    session->broken = false;
    return APR_SUCCESS;
}

static void note_code(rh_db_t *db, rh_db_session_t *session, bool prepares)
{
    (void)db;
    (void)prepares;
    rh_pgsql_find_state(session->error, session->state);
}

static rh_error_t judge(const rh_db_session_t *session)
{
    const rh_pgsql_library_t *library = &session->pgsql;

    return library->connection && library->status(library->connection) == STATUS_OK
               ? rh_pgsql_judge_state(session->state)
               : RH_ERROR_LOST;
}

static apr_status_t begin(rh_db_t *db, rh_db_session_t *session, apr_pool_t *pool)
{
    return rh_db_query(db, session->begin, pool) == APR_SUCCESS
               ? APR_SUCCESS
               : rh_db_report(db, session, "BEGIN");
}

static apr_status_t commit(rh_db_t *db, rh_db_session_t *session, apr_pool_t *pool)
{
    return rh_db_query(db, "COMMIT", pool) == APR_SUCCESS ? APR_SUCCESS
                                                          : rh_db_report(db, session, "COMMIT");
}

static void ended(rh_db_session_t *session)
{
    (void)session;
}

/** Find out whether the session is another one than before, or behind a pooler. */
static bool remember(rh_db_t *db, rh_db_session_t *session, const char *label, apr_pool_t *scratch)
{
    (void)label;
    return establish(db, session, scratch) == APR_SUCCESS;
}

const rh_connector_t rh_pgsql_connector = {
    .is_established = is_established,
    .establish = establish,
    .keep = update_clock,
    .note_code = note_code,
    .judge = judge,
    .begin = begin,
    .commit = commit,
    .ended = ended,
    .remember = remember,
    .run_script = rh_db_query,
};
