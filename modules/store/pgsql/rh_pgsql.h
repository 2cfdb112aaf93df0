/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_pgsql.h
 * @brief What the files of the PostgreSQL dialect have for each other.
 */
#ifndef RH_PGSQL_H
#define RH_PGSQL_H

#include "rh_db_private.h"
#include "rh_query.h"

extern const rh_sql_t rh_pgsql_statements[RH_SQL_COUNT];
extern const rh_connector_t rh_pgsql_connector;

#endif
