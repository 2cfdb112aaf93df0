/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_db_private.h
 * @brief Internals of the database wrapper: sessions, transactions, and the meaning of errors.
 */
#ifndef RH_DB_PRIVATE_H
#define RH_DB_PRIVATE_H

#include "rh_db.h"
#include "rh_query.h"

/** Size of an SQLSTATE, with its NUL. */
#define RH_SQLSTATE_SIZE 6

/**
 * What an error of the database means. Only REFUSED is about the statement's data (or about an
 * unforeseen condition), so only REFUSED is reported as permanent, APR_EGENERAL.
 * All others are APR_EAGAIN: the same statement can succeed later.
 */
typedef enum rh_error_t {
    RH_ERROR_REFUSED,  /**< the database refuses this statement */
    RH_ERROR_PASSING,  /**< it cannot run this now: a lock, a full disk, a time-out */
    RH_ERROR_CONFLICT, /**< two transactions conflicted; run this one again at once */
    RH_ERROR_FAULTY, /**< it cannot run any such statement until it is repaired: a table or a right
                        is missing */
    RH_ERROR_LOST,   /**< the connection, or its session on the server, is unusable */
    RH_ERROR_FORGOTTEN, /**< the session does not know the prepared statement any more */
    RH_ERROR_PARTITION  /**< a row has no partition */
} rh_error_t;

typedef struct rh_db_session_t rh_db_session_t;

/** What differs between the connections of database products. */
typedef struct rh_connector_t {
    /** True if the session is the one that `establish` has set up. Does not query the server. */
    bool (*is_established)(rh_db_t *db, const rh_db_session_t *session);
    /**
     * Set the session up, with every setting that the SQL relies on. @return APR_EAGAIN: there is
     * no usable session; session->error says why
     */
    apr_status_t (*establish)(rh_db_t *db, rh_db_session_t *session, apr_pool_t *scratch);
    /** Check a session that is set up, from time to time. May be NULL. */
    void (*keep)(rh_db_t *db, rh_db_session_t *session, apr_pool_t *scratch);
    /** Record in the session the code of the error that a driver's call just returned.
     * @param prepares true if the call was to prepare a statement */
    void (*note_code)(rh_db_t *db, rh_db_session_t *session, bool prepares);
    /** Return the meaning of the error that was noted last. */
    rh_error_t (*judge)(const rh_db_session_t *session);
    apr_status_t (*begin)(rh_db_t *db, rh_db_session_t *session, apr_pool_t *pool);
    apr_status_t (*commit)(rh_db_t *db, rh_db_session_t *session, apr_pool_t *pool);
    /** Called after a transaction, however it ended. */
    void (*ended)(rh_db_session_t *session);
    /** After RH_ERROR_FORGOTTEN: make sure that a statement is prepared again. @return false: it
     * cannot be now */
    bool (*remember)(rh_db_t *db, rh_db_session_t *session, const char *label, apr_pool_t *scratch);
    /** Run a script, as rh_db_query. */
    apr_status_t (*run_script)(rh_db_t *db, const char *sql, apr_pool_t *pool);
} rh_connector_t;

/** Functions of the client library that the driver of apr_dbd uses (rh_db_library.h). */
typedef struct rh_pgsql_library_t {
    void *connection; /**< PGconn *; NULL: the library was not found */
    int (*status)(const void *connection);
    int (*transaction)(const void *connection);
    int (*backend)(const void *connection);
    int (*socket)(const void *connection);
    int (*set_verbosity)(void *connection, int verbosity);
    void (*reset)(void *connection);
} rh_pgsql_library_t;

typedef struct rh_sqlite_library_t {
    void *connection; /**< sqlite3 *; NULL: the library was not found */
    int (*extended_errcode)(void *connection);
} rh_sqlite_library_t;

/** State that lives as long as a connection. Used by the thread that has the connection. */
struct rh_db_session_t {
    const rh_connector_t *connector;
    bool established;               /**< establish succeeded */
    const apr_array_header_t *init; /**< of const char *: SQL run first in a session, or NULL */
    bool init_ran;                  /**< it was run in the session that the connection has */
    apr_pool_t *statements;         /**< cleared when the server has forgotten what is prepared */
    unsigned serial; /**< number of statements prepared so far; makes their names unique */
    bool broken;     /**< the database cannot be reached through this connection */
    bool in_transaction;
    const char *error; /**< the last message, on one line; lives until the next */
    apr_pool_t *error_pool;
    char state[RH_SQLSTATE_SIZE]; /**< PostgreSQL: SQLSTATE of the last error, "": none */
    int code;                     /**< SQLite: extended code of the last error */
    bool preparing;               /**< the last error is one of preparing a statement */
    char told[RH_SQLSTATE_SIZE];  /**< the last code that was logged as an error */
    apr_time_t told_at;

    /* Only PostgreSQL: */
    rh_pgsql_library_t pgsql;
    apr_uint64_t socket;  /**< identity of the socket, */
    int backend;          /**< and the server's process, of the session that was set up */
    bool shared;          /**< a pooler may give every transaction another session */
    apr_time_t reset_at;  /**< when the connection was last reset because it was read-only */
    const char *begin;    /**< SQL that begins a transaction, with settings if it is shared */
    int forgotten;        /**< how often this session lost prepared statements */
    const char *encoding; /**< server_encoding */
    apr_time_t clock_at;  /**< when the server's clock was last read */

    /* Only SQLite: */
    rh_sqlite_library_t sqlite;
    int lock;            /**< descriptor whose flock all writers take, -1: none */
    apr_time_t unlocked; /**< when it was last given back */
};

/** The session of a connection, made at its first use. */
rh_db_session_t *rh_db_session(rh_db_t *db);

/** Keep the message and the code of a failed call. @param rc what the driver returned */
void rh_db_note_error(rh_db_t *db, rh_db_session_t *session, int rc, bool prepares);

/** Log the error that was noted last. @return APR_EGENERAL: `what` is refused; APR_EAGAIN: later it
 * may be taken, over another connection if session->broken is set */
apr_status_t rh_db_report(rh_db_t *db, rh_db_session_t *session, const char *what);

/** Run the session's init SQL, unless it has been run. @return APR_EAGAIN: a statement failed */
apr_status_t rh_db_run_init(rh_db_t *db, rh_db_session_t *session, apr_pool_t *scratch);

/** Drop all prepared statements: the server has forgotten them. */
void rh_db_forget_statements(rh_db_t *db, rh_db_session_t *session);

/**
 * Run a statement of the dialect's, as rh_db_fetch and rh_db_change do.
 * @param args the struct of its parameters
 * @param rows NULL: it returns none; @param affected may be NULL
 */
apr_status_t rh_db_run(rh_db_t *db, const rh_sql_t *sql, const void *args, apr_pool_t *pool,
                       apr_array_header_t **rows, int *affected);

/** Run a query that is not prepared, and copy its rows. No retry. @param rows may be NULL */
apr_status_t rh_db_query_rows(rh_db_t *db, const char *sql, apr_pool_t *pool,
                              apr_array_header_t **rows);

/** Run SQL text without rows. No retry. @return APR_EGENERAL: the error is noted */
apr_status_t rh_db_query(rh_db_t *db, const char *sql, apr_pool_t *pool);

/**
 * Begin a transaction. SQLite: for writing, after all other writers on this machine.
 * @return APR_EAGAIN: it cannot begin in time
 */
apr_status_t rh_db_begin(rh_db_t *db, apr_pool_t *pool);

/** Commit when `status` is APR_SUCCESS, else roll back. @return status, or why the commit failed */
apr_status_t rh_db_end(rh_db_t *db, apr_status_t status, apr_pool_t *pool);

/** Copy the SQLSTATE in a verbose message of libpq to `state`; "" if there is none. */
void rh_pgsql_find_state(const char *message, char state[RH_SQLSTATE_SIZE]);

/** Return the meaning of an SQLSTATE; "" stands for a message of the client library itself. */
rh_error_t rh_pgsql_judge_state(const char *state);

/** Return the meaning of an extended result code of SQLite. @param preparing a statement was
 * prepared */
rh_error_t rh_sqlite_judge_code(int code, bool preparing);

/** Return a column's text; NULL for NULL and for "". */
const char *rh_db_text(const char *column);

/** Return a column as a number; 0 for NULL. */
apr_int64_t rh_db_number(const char *column);

#endif
