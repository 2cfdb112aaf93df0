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
    const char *driver;                /**< of apr_dbd, which is the value of DBDriver */
    const struct rh_sql_t *statements; /**< RH_SQL_COUNT of them, by name */
    const struct rh_connector_t *connector;
} rh_dialect_t;

extern const rh_dialect_t rh_pgsql, rh_sqlite;

/** The dialect of a driver. @return NULL: there is none */
const rh_dialect_t *rh_dialect_find(const char *driver);

#define RH_DIALECT_PGSQL (&rh_pgsql)
#define RH_DIALECT_SQLITE (&rh_sqlite)

#endif
