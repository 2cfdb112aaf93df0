/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_schema.h"

#include "rh_store_private.h"

/** What makes the tables of the next version: at n - 1, of version n. */
static const rh_sql_name_t upgrades[RH_SCHEMA_VERSION - 1] = {RH_SQL_upgrade_2, RH_SQL_upgrade_3,
                                                              RH_SQL_upgrade_4};

typedef struct ensure_t {
    bool upgrade;
    bool made;
    int before; /**< when made: the version that there was, 0: none */
    const char *problem;
} ensure_t;

/** Run a statement without parameters that is not prepared: tables may be missing that it names.
 * @param rows may be NULL */
static apr_status_t run_plain(rh_db_t *db, rh_sql_name_t name, apr_pool_t *pool,
                              apr_array_header_t **rows)
{
    const char *text = db->dialect->statements[name].text;

    return text ? rh_db_query_rows(db, text, pool, rows) : APR_SUCCESS;
}

/** Read the version of the tables. @param version receives it; 0 if they do not exist */
static apr_status_t read_version(rh_db_t *db, apr_pool_t *pool, int *version)
{
    apr_array_header_t *rows;
    apr_status_t status = run_plain(db, RH_SQL_schema_exists, pool, &rows);

    *version = 0;
    if (status == APR_SUCCESS && rows->nelts > 0) {
        status = run_plain(db, RH_SQL_schema_version, pool, &rows);
        if (status == APR_SUCCESS && rows->nelts > 0) {
            *version = (int)rh_db_number(RH_ROW(schema_version, rows, 0)->version);
        }
    }
    return status;
}

/** Judge a version. @return APR_INCOMPLETE: the tables have to be made */
static apr_status_t judge(ensure_t *ensure, int version, apr_pool_t *pool)
{
    if (version == RH_SCHEMA_VERSION) {
        return APR_SUCCESS;
    }
    if (version > RH_SCHEMA_VERSION) {
        ensure->problem =
            apr_psprintf(pool, "the tables are of version %d, this mod_resthooks knows %d", version,
                         RH_SCHEMA_VERSION);
        return APR_EMISMATCH;
    }
    if (!ensure->upgrade) {
        ensure->problem =
            version == 0
                ? "the tables do not exist"
                : apr_psprintf(pool, "the tables are of version %d, this mod_resthooks needs %d",
                               version, RH_SCHEMA_VERSION);
        return APR_EMISMATCH;
    }
    return APR_INCOMPLETE;
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

/** Make the tables, or bring those of an earlier version up. */
static apr_status_t run_scripts(rh_db_t *db, int version, apr_pool_t *pool)
{
    apr_status_t status = APR_SUCCESS;

    if (version == 0) {
        return rh_db_script(db, db->dialect->schema, pool);
    }
    for (; version < RH_SCHEMA_VERSION && status == APR_SUCCESS; version++) {
        status = rh_db_script(db, db->dialect->statements[upgrades[version - 1]].text, pool);
    }
    if (status == APR_SUCCESS) {
        status = rh_db_script(db, replacing(db->dialect->schema, pool), pool);
    }
    return status;
}

/** In a transaction: look again behind the lock, then make them. */
static apr_status_t make_tables(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    ensure_t *ensure = baton;
    apr_status_t status = run_plain(db, RH_SQL_schema_lock, pool, NULL);
    int version;

    if (status == APR_SUCCESS) {
        status = read_version(db, pool, &version);
    }
    if (status == APR_SUCCESS) {
        status = judge(ensure, version, pool);
    }
    if (status == APR_INCOMPLETE) {
        status = run_scripts(db, version, pool);
        ensure->made = status == APR_SUCCESS;
        ensure->before = version;
    }
    return status;
}

/** Refuse a database whose encoding cannot hold every character that an event may have. */
static apr_status_t check_encoding(rh_db_t *db, ensure_t *ensure, apr_pool_t *pool)
{
    const char *encoding = rh_db_session(db)->encoding;

    if (!encoding || strcmp(encoding, "UTF8") == 0 || strcmp(encoding, "SQL_ASCII") == 0) {
        return APR_SUCCESS;
    }
    ensure->problem = apr_psprintf(
        pool, "its server_encoding is %s: use a database that was made with ENCODING 'UTF8'",
        encoding);
    return APR_EMISMATCH;
}

/** Reads; and lets the partitions reach as far as they have to, before any event comes. */
static apr_status_t check_tables(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    ensure_t *ensure = baton;
    int version;
    apr_status_t status = check_encoding(db, ensure, pool);

    if (status != APR_SUCCESS) {
        return status;
    }
    status = read_version(db, pool, &version);
    if (status == APR_SUCCESS) {
        status = judge(ensure, version, pool);
    } else {
        status = APR_EAGAIN;
    }
    if (status == APR_SUCCESS && ensure->upgrade) {
        status = run_plain(db, RH_SQL_schema_reach, pool, NULL);
    }
    if (status != APR_SUCCESS && !ensure->problem) {
        ensure->problem = apr_pstrdup(pool, rh_db_session(db)->error);
    }
    return status;
}

apr_status_t rh_schema_ensure(rh_db_source_t *source, bool upgrade, apr_pool_t *pool,
                              const char **problem)
{
    ensure_t ensure = {.upgrade = upgrade};
    apr_status_t status = rh_store_run(source, false, check_tables, &ensure, pool);

    if (status == APR_INCOMPLETE) {
        status = rh_store_run(source, true, make_tables, &ensure, pool);
        if (status != APR_SUCCESS && !ensure.problem) {
            ensure.problem = "creating the tables failed; the line before this one says why";
        }
    }
    if (ensure.made && status == APR_SUCCESS) {
        const char *what =
            ensure.before == 0
                ? "made the tables of"
                : apr_psprintf(pool, "brought the tables of version %d to", ensure.before);

        rh_log(source->log, RH_LOG_NOTICE, 0, "RH0101", "%s version %d", what, RH_SCHEMA_VERSION);
    }
    *problem = ensure.problem ? ensure.problem : "the database can't be reached";
    return status;
}
