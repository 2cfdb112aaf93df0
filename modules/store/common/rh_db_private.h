/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_db_private.h
 * @brief The wrapper's inside: sessions, transactions.
 */
#ifndef RH_DB_PRIVATE_H
#define RH_DB_PRIVATE_H

#include "rh_db.h"

/** What lives as long as a connection, whoever opened it. Used by the connection's user alone. */
typedef struct rh_db_session_t {
    apr_pool_t *statements; /**< what is prepared; cleared when the server forgot it */
    unsigned serial;        /**< keeps names of statements apart */
    const char *settings;   /**< SQL for each session on the server; NULL: none */
    char backend[24];       /**< which session on the server it is */
    bool broken;            /**< the database can't be reached through it */
    bool in_transaction;
    int lock;            /**< SQLite: descriptor whose flock all writers take, -1: none */
    apr_time_t unlocked; /**< when it was last given back */
    const char *error;   /**< the last message, lives until the next */
    apr_pool_t *error_pool;
} rh_db_session_t;

/** The session of a connection, made at its first use. */
rh_db_session_t *rh_db_session(rh_db_t *db);

/** Run a query that is not prepared, and copy its rows. No retry. */
apr_status_t rh_db_query_rows(rh_db_t *db, const char *sql, apr_pool_t *pool,
                              apr_array_header_t **rows);

/**
 * Begin a transaction. SQLite: for writing, after all other writers on this machine.
 * @return APR_EAGAIN: it can't be had in time
 */
apr_status_t rh_db_begin(rh_db_t *db, apr_pool_t *pool);

/** Commit when `status` is APR_SUCCESS, else roll back. @return status, or why the commit failed */
apr_status_t rh_db_end(rh_db_t *db, apr_status_t status, apr_pool_t *pool);

/** A column's text, NULL for NULL and for "". */
const char *rh_db_text(const char *column);

/** A column as a number, 0 for NULL. */
apr_int64_t rh_db_number(const char *column);

#endif
