/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_schema_private.h"

/** Number of tries of an upgrade whose tables are locked, and the pause after each try. */
#define MAX_TRIES 5
#define TRY_SPACING apr_time_from_sec(1)

typedef struct ensure_t {
    bool upgrade;
    bool made;
    int before; /**< version before the tables were created or upgraded, 0: none */
    const char *problem;
} ensure_t;

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

/** Create the tables in a transaction, after another check once the lock is held. */
static apr_status_t make_tables(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    ensure_t *ensure = baton;
    apr_status_t status = rh_schema_query(db, RH_SQL_schema_lock, pool, NULL);
    int version;

    if (status == APR_SUCCESS) {
        status = rh_schema_read_version(db, pool, &version);
    }
    if (status == APR_SUCCESS) {
        status = judge(ensure, version, pool);
    }
    if (status == APR_INCOMPLETE) {
        status = version > 0 ? rh_schema_lock(db, pool) : APR_SUCCESS;
        if (status == APR_SUCCESS) {
            status = rh_schema_run_scripts(db, version, pool);
        }
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

/** Read the version, and create the partitions that are needed before the first event. */
static apr_status_t check_tables(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    ensure_t *ensure = baton;
    int version;
    apr_status_t status = check_encoding(db, ensure, pool);

    if (status != APR_SUCCESS) {
        return status;
    }
    status = rh_schema_read_version(db, pool, &version);
    if (status == APR_SUCCESS) {
        status = judge(ensure, version, pool);
        ensure->before = version;
    } else {
        status = APR_EAGAIN;
    }
    if (status == APR_SUCCESS && ensure->upgrade) {
        status = rh_schema_query(db, RH_SQL_schema_reach, pool, NULL);
    }
    if (status != APR_SUCCESS && status != APR_INCOMPLETE && !ensure->problem) {
        ensure->problem = apr_pstrdup(pool, rh_db_session(db)->error);
    }
    return status;
}

/** Name the session that blocks an upgrade. */
static void note_holder(rh_db_source_t *source, ensure_t *ensure, apr_pool_t *pool)
{
    apr_array_header_t *rows;

    ensure->problem = "the tables are in use: nothing was changed, try again later";
    if (rh_store_fetch(source, RH_QUERY(lock_holder), pool, &rows) == APR_SUCCESS &&
        rows->nelts > 0) {
        const rh_lock_holder_row_t *row = RH_ROW(lock_holder, rows, 0);

        ensure->problem = apr_psprintf(
            pool,
            "the tables are locked by process %s of the database (%s), whose transaction began"
            " %s s ago: nothing was changed, try again when it has ended",
            row->process, rh_db_text(row->program) ? row->program : "no name", row->seconds);
    }
}

/** Make or upgrade the tables, several times while they are locked. */
static apr_status_t make_patiently(rh_db_source_t *source, ensure_t *ensure, apr_pool_t *pool)
{
    int before = ensure->before;
    apr_status_t status = APR_EAGAIN;

    if (before > 0) {
        rh_schema_prepare(source, pool);
    }
    for (int tries = 0; APR_STATUS_IS_EAGAIN(status) && tries < MAX_TRIES; tries++) {
        ensure->problem = NULL;
        status = rh_store_run(source, true, make_tables, ensure, pool);
        if (APR_STATUS_IS_EAGAIN(status) && before > 0) {
            note_holder(source, ensure, pool);
            apr_sleep(TRY_SPACING);
        }
    }
    if (status == APR_SUCCESS && ensure->made && before > 0) {
        rh_schema_fill(source, pool);
    }
    return status;
}

apr_status_t rh_schema_ensure(rh_db_source_t *source, bool upgrade, apr_pool_t *pool,
                              const char **problem)
{
    ensure_t ensure = {.upgrade = upgrade};
    apr_status_t status = rh_store_run(source, false, check_tables, &ensure, pool);

    if (status == APR_INCOMPLETE) {
        status = make_patiently(source, &ensure, pool);
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
