/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_db.h
 * @brief A safe wrapper over apr_dbd: connections, statements prepared once per connection,
 * retries.
 *
 * apr_dbd_transaction_start is never called: on PostgreSQL it dereferences NULL when BEGIN fails on
 * a dead connection. BEGIN and COMMIT are sent as queries, or everything is one statement.
 */
#ifndef RH_DB_H
#define RH_DB_H

#include "rh_base.h"
#include "rh_dialect.h"

#include <apr_dbd.h>
#include <apr_hash.h>

/** One connection. */
typedef struct rh_db_t {
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
    apr_pool_t *pool;     /**< lives as long as the connection: statements are prepared in it */
    apr_hash_t *prepared; /**< label -> apr_dbd_prepared_t * */
    const rh_dialect_t *dialect;
    const rh_log_t *log;
    void *owner; /**< for the source that the connection is from */
} rh_db_t;

/**
 * Where connections come from: mod_dbd's pool for requests, dedicated ones for threads. What is
 * acquired has its session set up: see rh_db_prepare_session.
 */
typedef struct rh_db_source_t rh_db_source_t;
struct rh_db_source_t {
    /** Acquire a connection, valid as long as `pool`. @return APR_EAGAIN if none is available */
    apr_status_t (*acquire)(rh_db_source_t *self, apr_pool_t *pool, rh_db_t **db);
    /** Give it back. `broken`: it must be reopened or reset before its next use. */
    void (*release)(rh_db_source_t *self, rh_db_t *db, bool broken);
    const rh_dialect_t *dialect;
    const rh_log_t *log;
};

/**
 * A source of one dedicated connection, opened lazily by apr_dbd directly and reopened when
 * broken (not more often than 5 times a second). For one thread. On PostgreSQL, connect_timeout=5,
 * keepalives and tcp_user_timeout come before `params`, which can override them.
 * @param driver of a dialect; @param pool its own allocator where threads share a process
 */
apr_status_t rh_db_source_dedicated(apr_pool_t *pool, const char *driver, const char *params,
                                    const rh_log_t *log, rh_db_source_t **source);

/**
 * Run these statements first in each session of a dedicated source. One that fails leaves no usable
 * session. @param init of const char *, lives as long as the source; NULL: none
 */
void rh_db_source_set_init(rh_db_source_t *source, const apr_array_header_t *init);

/**
 * Make sure that the session of a connection has every setting that the SQL relies on. Costs
 * nothing (PostgreSQL: one system call) if it is still the session that was set up.
 * @return APR_EAGAIN: the database cannot be used through this connection now
 */
apr_status_t rh_db_prepare_session(rh_db_t *db, apr_pool_t *scratch);

/**
 * Run these statements first in each further session of a connection. `ran`: they have been run in
 * the session that it has now. To be called before rh_db_prepare_session.
 */
void rh_db_set_init(rh_db_t *db, const apr_array_header_t *init, bool ran);

struct rh_query_t;

/**
 * Run a statement that returns rows (rh_query.h), prepared once per connection (behind a pooler:
 * not by name). After an error that a new session, or a second run, may help against, it is run
 * again: it must therefore be idempotent. Where the dialect has nothing to do for it, there are no
 * rows.
 * @return APR_EAGAIN: the database is out of reach, or cannot run the statement now, or until it is
 * repaired; APR_EGENERAL: it refuses the data, or for a reason that is not known
 * @param rows receives an array to read with RH_ROW, copied to `pool`; NULL is SQL's NULL
 */
apr_status_t rh_db_fetch(rh_db_t *db, const struct rh_query_t *query, apr_pool_t *pool,
                         apr_array_header_t **rows);

/** Run a statement without rows. @param affected receives how many were changed; may be NULL */
apr_status_t rh_db_change(rh_db_t *db, const struct rh_query_t *query, apr_pool_t *pool,
                          int *affected);

/** Run statements without rows, one after the other, up to the first that fails. */
apr_status_t rh_db_change_all(rh_db_t *db, const struct rh_query_t *const queries[], int count,
                              apr_pool_t *pool);

/** Run SQL text with no parameters, several statements allowed; for schema and BEGIN/COMMIT. */
apr_status_t rh_db_script(rh_db_t *db, const char *sql, apr_pool_t *pool);

#endif
