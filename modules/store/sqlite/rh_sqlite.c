/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* SQLite. */
#include "rh_sqlite.h"

static const char *const suffixes[] = {"", "-wal", "-shm", NULL};

static const char *complete_params(apr_pool_t *pool, const char *params)
{
    return apr_pstrdup(pool, params);
}

static const char *identify(apr_pool_t *pool, const char *params)
{
    return apr_pstrcat(pool, "sqlite3 file=", params, NULL);
}

const rh_dialect_t rh_sqlite = {
    .driver = "sqlite3",
    .product = "SQLite",
    .params_example = "/path/of/file",
    .params_noun = "a file",
    .file_suffixes = suffixes,
    .locks_writers = true,
    .schema = rh_schema_sqlite_sql,
    .statements = rh_sqlite_statements,
    .connector = &rh_sqlite_connector,
    .queue = &rh_sqlite_queue,
    .complete_params = complete_params,
    .identify = identify,
};
