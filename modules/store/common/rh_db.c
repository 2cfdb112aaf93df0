/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_db_private.h"
#include "rh_query.h"

#include <stdlib.h>
#include <string.h>

/** Maximum number of runs of a statement: reconnecting, or preparing it again, may help. */
#define MAX_RUNS 4
/** The same error is logged again after this time; until then it is logged as info. */
#define REPEAT_INTERVAL apr_time_from_sec(10)
/** Key of the record in the connection's pool. */
#define SESSION_KEY "rh_db_session"

rh_db_session_t *rh_db_session(rh_db_t *db)
{
    rh_db_session_t *session;
    void *found = NULL;

    apr_pool_userdata_get(&found, SESSION_KEY, db->pool);
    if (found) {
        return found;
    }
    session = apr_pcalloc(db->pool, sizeof(*session));
    session->connector = db->dialect->connector;
    session->lock = -1;
    session->error = "no message";
    apr_pool_create(&session->error_pool, db->pool);
    /* A driver may finalize statements when it closes, after subpools have gone. */
    session->statements = db->pool;
    if (db->dialect->forgets) {
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

void rh_db_note_error(rh_db_t *db, rh_db_session_t *session, int rc, bool prepares)
{
    const char *message = apr_dbd_error(db->driver, db->handle, rc);
    char *line;

    apr_pool_clear(session->error_pool);
    line = apr_pstrdup(session->error_pool, message && *message ? message : "no message");
    session->error = line;
    session->connector->note_code(db, session, prepares);
    /* The lines after the first may show the data of a row. */
    line[strcspn(line, "\r\n")] = '\0';
}

/** Copy all rows: the driver's strings go with its result. @param room minimum number of columns of
 * a row */
static apr_array_header_t *copy_rows(rh_db_t *db, apr_dbd_results_t *results, int room,
                                     apr_pool_t *scratch, apr_pool_t *pool)
{
    apr_array_header_t *rows = apr_array_make(pool, 8, sizeof(const char **));
    int columns = apr_dbd_num_cols(db->driver, results);
    apr_dbd_row_t *row = NULL;

    while (apr_dbd_get_row(db->driver, scratch, results, &row, -1) == 0) {
        const char **copy =
            apr_pcalloc(pool, (apr_size_t)(columns > room ? columns : room) * sizeof(*copy));

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
        apr_array_header_t *copied = copy_rows(db, results, 1, scratch, pool);

        if (rows) {
            *rows = copied;
        }
    } else {
        rh_db_note_error(db, rh_db_session(db), rc, false);
    }
    apr_pool_destroy(scratch);
    return rc == 0 ? APR_SUCCESS : APR_EGENERAL;
}

apr_status_t rh_db_query(rh_db_t *db, const char *sql, apr_pool_t *pool)
{
    int affected, rc = apr_dbd_query(db->driver, db->handle, &affected, sql);

    (void)pool;
    if (rc != 0) {
        rh_db_note_error(db, rh_db_session(db), rc, false);
    }
    return rc == 0 ? APR_SUCCESS : APR_EGENERAL;
}

/**
 * A statement's text for PostgreSQL without PREPARE, in which the driver declares each parameter as
 * varchar: the text must say so, because the server cannot infer the type of `%s IS NULL`.
 */
static const char *declare_types(apr_pool_t *pool, const char *sql)
{
    const char *typed = "";

    for (const char *at = strstr(sql, "%s"); at; at = strstr(sql, "%s")) {
        typed = apr_pstrcat(pool, typed, apr_pstrmemdup(pool, sql, (apr_size_t)(at - sql)),
                            "%s::varchar", NULL);
        sql = at + 2;
    }
    return apr_pstrcat(pool, typed, sql, NULL);
}

/** Return a statement as it is prepared on this connection, preparing it if needed. @return the
 * driver's code */
static int get_prepared(rh_db_t *db, rh_db_session_t *session, const char *label, const char *sql,
                        apr_dbd_prepared_t **prepared)
{
    const char *name = NULL;
    int rc;

    *prepared = apr_hash_get(db->prepared, label, APR_HASH_KEY_STRING);
    if (*prepared) {
        return 0;
    }
    if (session->shared) {
        sql = declare_types(session->statements, sql);
    } else {
        /* A name is never used twice, so that one that the server still knows does not collide. */
        name = apr_psprintf(session->statements, "%s_%u", label, ++session->serial);
    }
    rc = apr_dbd_prepare(db->driver, session->statements, db->handle, sql, name, prepared);
    if (rc == 0) {
        apr_hash_set(db->prepared, label, APR_HASH_KEY_STRING, *prepared);
    }
    return rc;
}

/** A statement with its arguments, and the receivers of its results. */
typedef struct call_t {
    const char *label, *sql;
    int count;
    const char **args;
    int columns;               /**< minimum number of columns of a row */
    apr_array_header_t **rows; /**< NULL: it returns none */
    int affected;
} call_t;

/** Run a statement once. An error is noted. @return the driver's code */
static int run_statement(rh_db_t *db, rh_db_session_t *session, call_t *call, apr_pool_t *pool)
{
    apr_dbd_prepared_t *prepared;
    apr_dbd_results_t *results = NULL;
    apr_pool_t *scratch;
    int rc = get_prepared(db, session, call->label, call->sql, &prepared);

    if (rc != 0) {
        rh_db_note_error(db, session, rc, true);
        return rc;
    }
    apr_pool_create(&scratch, pool);
    if (call->rows) {
        rc = apr_dbd_pselect(db->driver, scratch, db->handle, &results, prepared, 1, call->count,
                             call->args);
        if (rc == 0) {
            *call->rows = copy_rows(db, results, call->columns, scratch, pool);
        }
    } else {
        rc = apr_dbd_pquery(db->driver, scratch, db->handle, &call->affected, prepared, call->count,
                            call->args);
    }
    if (rc != 0) {
        rh_db_note_error(db, session, rc, false);
    }
    apr_pool_destroy(scratch);
    return rc;
}

/**
 * Run a statement once, in a transaction of its own where the session's settings hold no longer
 * than that. @return true on success
 */
static bool run_once(rh_db_t *db, rh_db_session_t *session, call_t *call, apr_pool_t *pool)
{
    int affected;

    if (!session->shared || session->in_transaction) {
        return run_statement(db, session, call, pool) == 0;
    }
    if (rh_db_query(db, session->begin, pool) != APR_SUCCESS) {
        return false;
    }
    if (run_statement(db, session, call, pool) == 0) {
        return rh_db_query(db, "COMMIT", pool) == APR_SUCCESS;
    }
    apr_dbd_query(db->driver, db->handle, &affected, "ROLLBACK");
    return false;
}

/** Log an error for the administrator, but only the first of many equal ones. */
static void log_refusal(rh_db_t *db, rh_db_session_t *session, const char *what)
{
    const char *code =
        *session->state ? session->state : apr_itoa(session->error_pool, session->code);
    apr_time_t now = apr_time_now();
    bool told = strcmp(session->told, code) == 0 && now >= session->told_at &&
                now < session->told_at + REPEAT_INTERVAL;

    rh_log(db->log, told ? RH_LOG_INFO : RH_LOG_ERR, 0, "RH0110", "the database refused %s: %s",
           what, session->error);
    if (!told) {
        apr_cpystrn(session->told, code, sizeof(session->told));
        session->told_at = now;
    }
}

apr_status_t rh_db_report(rh_db_t *db, rh_db_session_t *session, const char *what)
{
    switch (session->connector->judge(session)) {
    case RH_ERROR_REFUSED:
    case RH_ERROR_PARTITION:
        log_refusal(db, session, what);
        return APR_EGENERAL;
    case RH_ERROR_FAULTY:
        log_refusal(db, session, what);
        return APR_EAGAIN;
    case RH_ERROR_PASSING:
    case RH_ERROR_CONFLICT:
        rh_log(db->log, RH_LOG_INFO, 0, "RH0111", "%s has to be tried again later: %s", what,
               session->error);
        return APR_EAGAIN;
    case RH_ERROR_LOST:
    case RH_ERROR_FORGOTTEN:
        break;
    }
    session->broken = true;
    session->established = false;
    session->in_transaction = false;
    rh_log(db->log, RH_LOG_INFO, 0, "RH0112", "the connection was lost at %s: %s", what,
           session->error);
    return APR_EAGAIN;
}

/**
 * Create the partitions that a row needs, because housekeeping has not run for long, or the row is
 * older than all of them. Only the statement failed, so it can be run again.
 */
static bool make_partitions(rh_db_t *db, rh_db_session_t *session, const char *what,
                            apr_pool_t *pool)
{
    const rh_sql_t *sql = &db->dialect->statements[RH_SQL_partitions_mend];
    apr_array_header_t *rows;
    const char *none = NULL;
    call_t call = {sql->label, sql->text, 0, &none, sql->columns, &rows, 0};

    rh_log(db->log, RH_LOG_NOTICE, 0, "RH0117", "partitions are missing for %s: making them", what);
    return run_once(db, session, &call, pool);
}

/** True if a statement should be run again at once. What that requires has been done then. */
static bool recover(rh_db_t *db, rh_db_session_t *session, const call_t *call, int runs,
                    apr_pool_t *pool)
{
    rh_error_t error = session->connector->judge(session);

    if (session->in_transaction && db->dialect->aborts) {
        return false; /* it is lost or aborted: the caller begins another one */
    }
    switch (error) {
    case RH_ERROR_PARTITION:
        return runs == 1 && make_partitions(db, session, call->label, pool);
    case RH_ERROR_CONFLICT:
        return true;
    case RH_ERROR_FORGOTTEN:
        session->forgotten++;
        return session->connector->remember(db, session, call->label, pool);
    case RH_ERROR_LOST:
        return apr_dbd_check_conn(db->driver, pool, db->handle) == APR_SUCCESS &&
               session->connector->establish(db, session, pool) == APR_SUCCESS;
    default:
        return false;
    }
}

static apr_status_t run_call(rh_db_t *db, call_t *call, apr_pool_t *pool)
{
    rh_db_session_t *session = rh_db_session(db);

    for (int runs = 1;; runs++) {
        if (run_once(db, session, call, pool)) {
            return APR_SUCCESS;
        }
        if (runs >= MAX_RUNS || !recover(db, session, call, runs, pool)) {
            return rh_db_report(db, session, call->label);
        }
    }
}

apr_status_t rh_db_run(rh_db_t *db, const rh_sql_t *sql, const void *args, apr_pool_t *pool,
                       apr_array_header_t **rows, int *affected)
{
    call_t call = {sql->label, sql->text, sql->parameters, NULL, sql->columns, rows, 0};
    apr_status_t status;

    call.args = apr_palloc(pool, (apr_size_t)(sql->parameters + 1) * sizeof(*call.args));
    for (int i = 0; i < sql->parameters; i++) {
        call.args[i] = *(const char *const *)((const char *)args + sql->order[i]);
    }
    status = run_call(db, &call, pool);
    if (status == APR_SUCCESS && affected) {
        *affected = call.affected;
    }
    return status;
}

apr_status_t rh_db_fetch(rh_db_t *db, const rh_query_t *query, apr_pool_t *pool,
                         apr_array_header_t **rows)
{
    const rh_sql_t *sql = &db->dialect->statements[query->name];

    if (!sql->text) {
        *rows = apr_array_make(pool, 1, sizeof(const char **));
        return APR_SUCCESS;
    }
    return rh_db_run(db, sql, query->args, pool, rows, NULL);
}

apr_status_t rh_db_change(rh_db_t *db, const rh_query_t *query, apr_pool_t *pool, int *affected)
{
    const rh_sql_t *sql = &db->dialect->statements[query->name];

    if (!sql->text) {
        if (affected) {
            *affected = 0;
        }
        return APR_SUCCESS;
    }
    return rh_db_run(db, sql, query->args, pool, NULL, affected);
}

apr_status_t rh_db_change_all(rh_db_t *db, const rh_query_t *const queries[], int count,
                              apr_pool_t *pool)
{
    apr_status_t status = APR_SUCCESS;

    for (int i = 0; i < count && status == APR_SUCCESS; i++) {
        status = rh_db_change(db, queries[i], pool, NULL);
    }
    return status;
}

apr_status_t rh_db_script(rh_db_t *db, const char *sql, apr_pool_t *pool)
{
    rh_db_session_t *session = rh_db_session(db);

    return session->connector->run_script(db, sql, pool) == APR_SUCCESS
               ? APR_SUCCESS
               : rh_db_report(db, session, "a script");
}
