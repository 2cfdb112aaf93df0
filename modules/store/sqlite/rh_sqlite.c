/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* SQLite. */
#include "rh_sqlite.h"

const rh_dialect_t rh_sqlite = {
    .driver = "sqlite3",
    .statements = rh_sqlite_statements,
    .connector = &rh_sqlite_connector,
};
