/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_dialect.h
 * @brief What is different about each database product: one table of functions and statements per
 * folder of modules/store. Nothing outside of these folders asks which one it is.
 */
#ifndef RH_DIALECT_H
#define RH_DIALECT_H

#include "rh_base.h"

typedef struct rh_dialect_t {
    const char *driver;  /**< of apr_dbd, which is the value of DBDriver */
    const char *product; /**< what people call it */
    /** Parameters of a connection as the user may write them, for messages; a noun for them. */
    const char *params_example, *params_noun;
    /** NULL: a server has the database. If not, the parameters are the path of a file, and this
     * tells its names and those of the files beside it: what follows the path, the last is NULL. */
    const char *const *file_suffixes;
    bool concurrent_writers; /**< several connections can write at a time */
    bool retries_begin;      /**< a session may be found lost when a transaction begins: it is begun
                                  again at once, in another one */
    bool aborts;             /**< an error within a transaction ends it */
    bool locks_writers; /**< each change is made in a transaction, which keeps all other writers
                             out; if not, a single statement is a transaction of its own */
    bool forgets;       /**< a session may lose its prepared statements while it lives */
    const char *schema; /**< what makes the tables, as conf/schema-*.sql has it */
    const struct rh_sql_t *statements; /**< RH_SQL_COUNT of them, by name */
    const struct rh_connector_t *connector;
    const struct rh_queue_steps_t *queue;
    /** Add what every connection needs to the parameters of the administrator's, in `pool`. */
    const char *(*complete_params)(apr_pool_t *pool, const char *params);
    /** See rh_db_identity. */
    const char *(*identify)(apr_pool_t *pool, const char *params);
} rh_dialect_t;

extern const rh_dialect_t rh_pgsql, rh_sqlite;

/** Every dialect; the last one is NULL. */
extern const rh_dialect_t *const rh_dialects[];

/** The dialect of a driver. @return NULL: there is none */
const rh_dialect_t *rh_dialect_find(const char *driver);

/** The drivers of all dialects, with `between` between them: "pgsql or sqlite3". In `pool`. */
const char *rh_dialect_drivers(apr_pool_t *pool, const char *between);

#endif
