/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* PostgreSQL. */
#include "rh_pgsql.h"

const rh_dialect_t rh_pgsql = {
    .driver = "pgsql",
    .statements = rh_pgsql_statements,
    .connector = &rh_pgsql_connector,
};
