/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_dialect.h
 * @brief What differs between database products: a table of functions and statements per directory
 * of modules/store. Code outside of these directories does not ask which one it is.
 */
#ifndef RH_DIALECT_H
#define RH_DIALECT_H

#include "rh_base.h"

typedef struct rh_dialect_t {
    const char *driver;  /**< name of apr_dbd's driver, which is the value of DBDriver */
    const char *product; /**< name of the product, for messages */
    /** An example of a connection's parameters, and what to call them in messages. */
    const char *params_example, *params_noun;
    /** NULL: a server has the database. Otherwise the parameters are the path of a file, and these
     * are the suffixes of its name and of the files beside it; the last is NULL. */
    const char *const *file_suffixes;
    bool concurrent_writers; /**< true if several connections can write at the same time */
    bool retries_begin;      /**< a session may be found lost when a transaction begins, which then
                                begins again at once in another session */
    bool aborts;             /**< true if an error within a transaction ends it */
    bool locks_writers; /**< each change is made in a transaction, which keeps all other writers
                             out; if not, a single statement is a transaction of its own */
    bool forgets;       /**< a session may lose its prepared statements while it lives */
    const char *schema; /**< SQL that creates the tables, as in conf/schema-*.sql */
    const struct rh_sql_t *statements; /**< RH_SQL_COUNT statements, indexed by RH_SQL_* */
    const struct rh_connector_t *connector;
    const struct rh_queue_steps_t *queue;
    /** Add what every connection needs to the administrator's parameters, in `pool`. */
    const char *(*complete_params)(apr_pool_t *pool, const char *params);
    /** See rh_db_identity. */
    const char *(*identify)(apr_pool_t *pool, const char *params);
} rh_dialect_t;

extern const rh_dialect_t rh_pgsql, rh_sqlite;

/** Every dialect; the last one is NULL. */
extern const rh_dialect_t *const rh_dialects[];

/** Find the dialect of a driver. @return NULL: there is none */
const rh_dialect_t *rh_dialect_find(const char *driver);

/** Return the drivers of all dialects, joined by `between`: "pgsql or sqlite3". In `pool`. */
const char *rh_dialect_drivers(apr_pool_t *pool, const char *between);

#endif
