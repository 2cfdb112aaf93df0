/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_db_private.h"
#include "rh_sql.h"

#include <stdlib.h>

#define SESSION_KEY "rh_db_session"
/** Runs of a statement at most: one, one after an error, two after lost sessions. */
#define MOST_RUNS 4

/** Refusals that pass. Without a match nothing is lost: the caller learns that it was refused. */
static const char *const passing[] = {"deadlock detected",
                                      "could not serialize",
                                      "canceling statement",
                                      "read-only transaction",
                                      "No space left",
                                      "out of memory",
                                      "out of shared memory",
                                      "too many clients",
                                      "the database system is",
                                      "terminating",
                                      "remaining connection",
                                      "database is locked",
                                      "database is busy",
                                      "disk I/O error",
                                      "database or disk is full",
                                      "unable to open",
                                      "attempt to write a readonly"};

rh_db_session_t *rh_db_session(rh_db_t *db)
{
    rh_db_session_t *session;
    void *found = NULL;

    apr_pool_userdata_get(&found, SESSION_KEY, db->pool);
    if (found) {
        return found;
    }
    session = apr_pcalloc(db->pool, sizeof(*session));
    session->lock = -1;
    apr_pool_create(&session->error_pool, db->pool);
    /* The SQLite driver finalizes statements when it closes, after subpools have gone. */
    session->statements = db->pool;
    if (db->dialect == RH_DIALECT_PGSQL) {
        apr_pool_create(&session->statements, db->pool);
    }
    apr_pool_userdata_setn(session, SESSION_KEY, NULL, db->pool);
    return session;
}

const char *rh_db_text(const char *column)
{
    return column && *column ? column : NULL;
}

apr_int64_t rh_db_number(const char *column)
{
    return column ? apr_atoi64(column) : 0;
}

/** Keep the connection's last message, on one line. */
static void note_error(rh_db_t *db, rh_db_session_t *session, int rc)
{
    const char *message = apr_dbd_error(db->driver, db->handle, rc);
    char *line;

    apr_pool_clear(session->error_pool);
    line = apr_pstrdup(session->error_pool, message && *message ? message : "no message");
    session->error = line;
    for (; *line; line++) {
        if (*line == '\n' || *line == '\r') {
            *line = line[1] ? ' ' : '\0';
        }
    }
}

/** Copy all rows: the driver's strings go with its result. */
static apr_array_header_t *copy_rows(rh_db_t *db, apr_dbd_results_t *results, apr_pool_t *scratch,
                                     apr_pool_t *pool)
{
    apr_array_header_t *rows = apr_array_make(pool, 8, sizeof(const char **));
    int columns = apr_dbd_num_cols(db->driver, results);
    apr_dbd_row_t *row = NULL;

    while (apr_dbd_get_row(db->driver, scratch, results, &row, -1) == 0) {
        const char **copy = apr_pcalloc(pool, (columns + 1) * sizeof(*copy));

        for (int i = 0; i < columns; i++) {
            const char *value = NULL;

            if (apr_dbd_datum_get(db->driver, row, i, APR_DBD_TYPE_STRING, &value) == APR_SUCCESS &&
                value) {
                copy[i] = apr_pstrdup(pool, value);
            }
        }
        APR_ARRAY_PUSH(rows, const char **) = copy;
    }
    return rows;
}

apr_status_t rh_db_query_rows(rh_db_t *db, const char *sql, apr_pool_t *pool,
                              apr_array_header_t **rows)
{
    apr_dbd_results_t *results = NULL;
    apr_pool_t *scratch;
    int rc;

    apr_pool_create(&scratch, pool);
    rc = apr_dbd_select(db->driver, scratch, db->handle, &results, sql, 1);
    if (rc == 0) {
        apr_array_header_t *copied = copy_rows(db, results, scratch, pool);

        if (rows) {
            *rows = copied;
        }
    } else {
        note_error(db, rh_db_session(db), rc);
    }
    apr_pool_destroy(scratch);
    return rc == 0 ? APR_SUCCESS : APR_EGENERAL;
}

/** The prepared form of a statement on this connection. @return the driver's code */
static int get_prepared(rh_db_t *db, rh_db_session_t *session, const rh_statement_t *statement,
                        apr_dbd_prepared_t **prepared)
{
    const char *name;
    int rc;

    *prepared = apr_hash_get(db->prepared, statement->label, APR_HASH_KEY_STRING);
    if (*prepared) {
        return 0;
    }
    /* A name is never used twice, so that one the server still knows is not in the way. */
    name = apr_psprintf(session->statements, "%s_%u", statement->label, ++session->serial);
    rc = apr_dbd_prepare(db->driver, session->statements, db->handle,
                         db->dialect == RH_DIALECT_PGSQL ? statement->pgsql : statement->sqlite,
                         name, prepared);
    if (rc == 0) {
        apr_hash_set(db->prepared, statement->label, APR_HASH_KEY_STRING, *prepared);
    }
    return rc;
}

static int run_once(rh_db_t *db, rh_db_session_t *session, const rh_statement_t *statement,
                    int count, const char **args, apr_pool_t *pool, apr_array_header_t **rows,
                    int *affected)
{
    apr_dbd_prepared_t *prepared;
    apr_dbd_results_t *results = NULL;
    apr_pool_t *scratch;
    int rc = get_prepared(db, session, statement, &prepared);

    if (rc != 0) {
        note_error(db, session, rc);
        return rc;
    }
    apr_pool_create(&scratch, pool);
    if (rows) {
        rc = apr_dbd_pselect(db->driver, scratch, db->handle, &results, prepared, 1, count, args);
        if (rc == 0) {
            *rows = copy_rows(db, results, scratch, pool);
        }
    } else {
        rc = apr_dbd_pquery(db->driver, scratch, db->handle, affected, prepared, count, args);
    }
    if (rc != 0) {
        note_error(db, session, rc);
    }
    apr_pool_destroy(scratch);
    return rc;
}

/**
 * See whether the connection, perhaps after a reset by the driver, leads to a database that takes
 * changes. A new session on the server knows none of our statements and settings.
 * @param renewed receives whether it is a new one
 */
static bool is_alive(rh_db_t *db, rh_db_session_t *session, apr_pool_t *pool, bool *renewed)
{
    static const char sql[] =
        "SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_setting('transaction_read_only')";
    apr_array_header_t *rows = NULL;
    const char **row;

    *renewed = false;
    if (rh_db_query_rows(db, sql, pool, &rows) != APR_SUCCESS) {
        if (apr_dbd_check_conn(db->driver, pool, db->handle) != APR_SUCCESS ||
            rh_db_query_rows(db, sql, pool, &rows) != APR_SUCCESS) {
            return false;
        }
    }
    row = APR_ARRAY_IDX(rows, 0, const char **);
    if (strcmp(row[0], session->backend) != 0) {
        int affected;

        *renewed = true;
        apr_hash_clear(db->prepared);
        apr_pool_clear(session->statements);
        apr_cpystrn(session->backend, row[0], sizeof(session->backend));
        if (session->settings &&
            apr_dbd_query(db->driver, db->handle, &affected, session->settings) != 0) {
            return false;
        }
    }
    return strcmp(row[1], "off") == 0;
}

/**
 * Whether SQLite refused a statement because the tables were changed since it was prepared. The
 * driver prepares in the old way, where that is an error without a message.
 */
static bool is_outdated(const rh_db_session_t *session)
{
    return strcmp(session->error, "not an error") == 0 ||
           strstr(session->error, "schema has changed") != NULL;
}

/**
 * A row found no partition, because housekeeping was not done for long, or it is older than all of
 * them: have them made. The statement alone failed, so it can be run again.
 */
static bool mend_partitions(rh_db_t *db, rh_db_session_t *session, const char *what,
                            apr_pool_t *pool)
{
    apr_array_header_t *rows;
    const char *none = NULL;

    if (!strstr(session->error, "no partition of relation")) {
        return false;
    }
    rh_log(db->log, RH_LOG_NOTICE, 0, "RH0117", "partitions are missing for %s: making them", what);
    return run_once(db, session, &rh_sql_partitions_mend, 0, &none, pool, &rows, NULL) == 0;
}

/** What a refusal means, and its line in the log. */
static apr_status_t refused(rh_db_t *db, rh_db_session_t *session, const char *what)
{
    for (apr_size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
        if (strstr(session->error, passing[i])) {
            rh_log(db->log, RH_LOG_INFO, 0, "RH0111", "%s has to be tried again later: %s", what,
                   session->error);
            return APR_EAGAIN;
        }
    }
    rh_log(db->log, RH_LOG_ERR, 0, "RH0110", "the database refused %s: %s", what, session->error);
    return APR_EGENERAL;
}

static apr_status_t unreachable(rh_db_t *db, rh_db_session_t *session, const char *what)
{
    session->broken = true;
    session->in_transaction = false;
    rh_log(db->log, RH_LOG_INFO, 0, "RH0112", "the connection was lost at %s: %s", what,
           session->error);
    return APR_EAGAIN;
}

static apr_status_t run(rh_db_t *db, const rh_statement_t *statement, int count,
                        const char *const *args, apr_pool_t *pool, apr_array_header_t **rows,
                        int *affected)
{
    rh_db_session_t *session = rh_db_session(db);
    const char **values = apr_pcalloc(pool, (count + 1) * sizeof(*values));
    int runs = 0, changed = 0;
    bool renewed;

    for (int i = 0; i < count; i++) {
        values[i] = args[i];
    }
    if (db->dialect == RH_DIALECT_PGSQL && !*session->backend &&
        !is_alive(db, session, pool, &renewed)) {
        return unreachable(db, session, statement->label);
    }
    for (;;) {
        if (run_once(db, session, statement, count, values, pool, rows, &changed) == 0) {
            if (affected) {
                *affected = changed;
            }
            return APR_SUCCESS;
        }
        if (db->dialect == RH_DIALECT_SQLITE) {
            if (runs++ == 0 && is_outdated(session)) {
                apr_hash_set(db->prepared, statement->label, APR_HASH_KEY_STRING, NULL);
                continue;
            }
            return refused(db, session, statement->label);
        }
        if (session->in_transaction) {
            /* What came before is lost, or the transaction is aborted: the caller begins anew. */
            return apr_dbd_check_conn(db->driver, pool, db->handle) == APR_SUCCESS
                       ? refused(db, session, statement->label)
                       : unreachable(db, session, statement->label);
        }
        if (runs == 0 && mend_partitions(db, session, statement->label, pool)) {
            runs++;
            continue;
        }
        if (!is_alive(db, session, pool, &renewed)) {
            return unreachable(db, session, statement->label);
        }
        if (++runs >= MOST_RUNS || (runs > 1 && !renewed)) {
            return refused(db, session, statement->label);
        }
    }
}

apr_status_t rh_db_select(rh_db_t *db, const rh_statement_t *statement, int count,
                          const char *const *args, apr_pool_t *pool, apr_array_header_t **rows)
{
    return run(db, statement, count, args, pool, rows, NULL);
}

apr_status_t rh_db_execute(rh_db_t *db, const rh_statement_t *statement, int count,
                           const char *const *args, apr_pool_t *pool, int *affected)
{
    return run(db, statement, count, args, pool, NULL, affected);
}

/** One call of the driver's query. */
static apr_status_t query(rh_db_t *db, rh_db_session_t *session, const char *sql, apr_pool_t *pool)
{
    int affected, rc = apr_dbd_query(db->driver, db->handle, &affected, sql);

    if (rc == 0) {
        return APR_SUCCESS;
    }
    note_error(db, session, rc);
    if (db->dialect == RH_DIALECT_PGSQL &&
        apr_dbd_check_conn(db->driver, pool, db->handle) != APR_SUCCESS) {
        return unreachable(db, session, "a script");
    }
    return refused(db, session, "a script");
}

apr_status_t rh_db_script(rh_db_t *db, const char *sql, apr_pool_t *pool)
{
    rh_db_session_t *session = rh_db_session(db);
    apr_status_t status = APR_SUCCESS;

    if (db->dialect == RH_DIALECT_PGSQL) {
        return query(db, session, sql, pool);
    }
    /* The SQLite driver goes on after an error in the middle, and stumbles over space at the end.
     */
    while (status == APR_SUCCESS && sql[strspn(sql, " \t\r\n")]) {
        const char *end = strstr(sql, ";\n");
        apr_size_t len = end ? (apr_size_t)(end - sql) + 1 : strlen(sql);

        status = query(db, session, apr_pstrmemdup(pool, sql, len), pool);
        sql += len;
    }
    return status;
}
