/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The parts of an upgrade of the tables. */
#include "rh_schema_private.h"

const rh_sql_name_t rh_schema_upgrades[RH_SCHEMA_VERSION - 1] = {RH_SQL_upgrade_2, RH_SQL_upgrade_3,
                                                                 RH_SQL_upgrade_4};

apr_status_t rh_schema_query(rh_db_t *db, rh_sql_name_t name, apr_pool_t *pool,
                             apr_array_header_t **rows)
{
    const char *text = db->dialect->statements[name].text;

    return text ? rh_db_query_rows(db, text, pool, rows) : APR_SUCCESS;
}

apr_status_t rh_schema_read_version(rh_db_t *db, apr_pool_t *pool, int *version)
{
    apr_array_header_t *rows;
    apr_status_t status = rh_schema_query(db, RH_SQL_schema_exists, pool, &rows);

    *version = 0;
    if (status == APR_SUCCESS && rows->nelts > 0) {
        status = rh_schema_query(db, RH_SQL_schema_version, pool, &rows);
        if (status == APR_SUCCESS && rows->nelts > 0) {
            *version = (int)rh_db_number(RH_ROW(schema_version, rows, 0)->version);
        }
    }
    return status;
}

/** Extract the statements of the whole schema that can be run again, to do so on an upgrade: those
 * that create or replace functions and views, and revoke rights. */
static const char *replacing(const char *schema, apr_pool_t *pool)
{
    static const char begin[] = "CREATE OR REPLACE ", revoke[] = "REVOKE ";
    apr_array_header_t *statements = apr_array_make(pool, 16, sizeof(const char *));
    const char *line, *next, *start = NULL, *at;
    bool quoted = false;

    for (line = schema; *line; line = next) {
        next = strchr(line, '\n');
        next = next ? next + 1 : line + strlen(line);
        if (!start && (strncmp(line, begin, sizeof(begin) - 1) == 0 ||
                       strncmp(line, revoke, sizeof(revoke) - 1) == 0)) {
            start = line;
        }
        for (at = strstr(line, "$$"); start && at && at < next; at = strstr(at + 2, "$$")) {
            quoted = !quoted;
        }
        if (start && !quoted && next - line > 1 && next[-2] == ';') {
            APR_ARRAY_PUSH(statements, const char *) =
                apr_pstrmemdup(pool, start, (apr_size_t)(next - start));
            start = NULL;
        }
    }
    return apr_array_pstrcat(pool, statements, '\0');
}

apr_status_t rh_schema_run_scripts(rh_db_t *db, int version, apr_pool_t *pool)
{
    apr_status_t status = APR_SUCCESS;

    if (version == 0) {
        return rh_db_script(db, db->dialect->schema, pool);
    }
    for (; version < RH_SCHEMA_VERSION && status == APR_SUCCESS; version++) {
        status =
            rh_db_script(db, db->dialect->statements[rh_schema_upgrades[version - 1]].text, pool);
    }
    if (status == APR_SUCCESS) {
        status = rh_db_script(db, replacing(db->dialect->schema, pool), pool);
    }
    return status;
}

/** Run a script, unless the dialect has none of that name. */
static apr_status_t run_script(rh_db_t *db, rh_sql_name_t name, apr_pool_t *pool)
{
    const char *text = db->dialect->statements[name].text;

    return text ? rh_db_script(db, text, pool) : APR_SUCCESS;
}

apr_status_t rh_schema_list_before(rh_db_t *db, apr_pool_t *pool, apr_array_header_t **statements)
{
    return rh_db_fetch(db, RH_QUERY(upgrade_4_before), pool, statements);
}

/** Copy the options of subscriptions, a chunk at a time. */
static apr_status_t copy_options(rh_db_t *db, apr_pool_t *pool)
{
    apr_status_t status;
    int changed;

    do {
        status = rh_db_change(db, RH_QUERY(upgrade_4_options), pool, &changed);
    } while (status == APR_SUCCESS && changed > 0);
    return status;
}

static apr_status_t prepare_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    apr_array_header_t *rows;
    apr_status_t status = rh_schema_list_before(db, pool, &rows);

    (void)baton;
    for (int i = 0; status == APR_SUCCESS && i < rows->nelts; i++) {
        status = rh_db_script(db, RH_ROW(upgrade_4_before, rows, i)->statement, pool);
    }
    return status == APR_SUCCESS ? copy_options(db, pool) : status;
}

void rh_schema_prepare(rh_db_source_t *source, apr_pool_t *pool)
{
    rh_store_run(source, false, prepare_work, NULL, pool);
}

apr_status_t rh_schema_lock(rh_db_t *db, apr_pool_t *pool)
{
    static const rh_sql_name_t steps[] = {RH_SQL_upgrade_patience, RH_SQL_upgrade_lock,
                                          RH_SQL_upgrade_locked};
    apr_status_t status = APR_SUCCESS;

    for (int i = 0; i < (int)RH_COUNT_OF(steps) && status == APR_SUCCESS; i++) {
        status = run_script(db, steps[i], pool);
    }
    return status;
}

/** Complete one chunk. @param after where it begins; receives where it ends, NULL: there is none */
static apr_status_t fill_chunk(rh_db_source_t *source, const char **after, apr_pool_t *pool)
{
    apr_array_header_t *rows;
    const char *last = NULL;
    apr_status_t status =
        rh_store_fetch(source, RH_QUERY(fill_4_end, .after = *after), pool, &rows);

    if (status == APR_SUCCESS && rows->nelts > 0) {
        last = rh_db_text(RH_ROW(fill_4_end, rows, 0)->last);
    }
    if (last) {
        status =
            rh_store_change(source, RH_QUERY(fill_4, .after = *after, .last = last), pool, NULL);
    }
    *after = last;
    return status;
}

void rh_schema_fill(rh_db_source_t *source, apr_pool_t *pool)
{
    const char *after = RH_NO_ID;
    apr_status_t status = APR_SUCCESS;

    while (after && status == APR_SUCCESS) {
        status = fill_chunk(source, &after, pool);
    }
}
