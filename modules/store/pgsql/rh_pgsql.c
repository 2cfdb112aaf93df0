/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* PostgreSQL. */
#include "rh_pgsql.h"

const rh_dialect_t rh_pgsql = {
    .driver = "pgsql",
    .product = "PostgreSQL",
    .params_example = "conninfo",
    .params_noun = "a conninfo",
    .concurrent_writers = true,
    .retries_begin = true,
    .aborts = true,
    .forgets = true,
    .schema = rh_schema_pgsql_sql,
    .statements = rh_pgsql_statements,
    .connector = &rh_pgsql_connector,
    .queue = &rh_pgsql_queue,
    .complete_params = rh_pgsql_complete_params,
    .identify = rh_pgsql_identify,
};
