/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_pgsql.h
 * @brief Functions shared by the files of the PostgreSQL dialect.
 */
#ifndef RH_PGSQL_H
#define RH_PGSQL_H

#include "rh_db_private.h"
#include "rh_query.h"
#include "rh_queue_private.h"

extern const char rh_schema_pgsql_sql[];
extern const rh_sql_t rh_pgsql_statements[RH_SQL_COUNT];
extern const rh_connector_t rh_pgsql_connector;
extern const rh_queue_steps_t rh_pgsql_queue;

/** Put the parameters that every connection has before the administrator's, which can override
 * them: the last of a keyword counts. */
const char *rh_pgsql_complete_params(apr_pool_t *pool, const char *params);

/** Describe the database only by host, port, name and service. */
const char *rh_pgsql_identify(apr_pool_t *pool, const char *params);

#endif
