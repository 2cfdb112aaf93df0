/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_sqlite.h
 * @brief Functions shared by the files of the SQLite dialect.
 */
#ifndef RH_SQLITE_H
#define RH_SQLITE_H

#include "rh_db_private.h"
#include "rh_query.h"
#include "rh_queue_private.h"

extern const char rh_schema_sqlite_sql[];
extern const rh_sql_t rh_sqlite_statements[RH_SQL_COUNT];
extern const rh_connector_t rh_sqlite_connector;
extern const rh_queue_steps_t rh_sqlite_queue;

#endif
