/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_schema.h"
#include "rh_store_private.h"
#include "rh_uuid.h"

rh_store_t *rh_store_make(apr_pool_t *pool, rh_db_source_t *source)
{
    rh_store_t *store = apr_pcalloc(pool, sizeof(*store));

    store->source = source;
    return store;
}

/** @param began receives whether the work itself was begun */
static apr_status_t run_once(rh_db_source_t *source, bool writes, rh_store_work_t *work,
                             void *baton, apr_pool_t *pool, bool *began)
{
    apr_status_t status;
    rh_db_t *db;

    *began = false;
    status = source->acquire(source, pool, &db);
    if (status != APR_SUCCESS) {
        return status;
    }
    status = writes ? rh_db_begin(db, pool) : APR_SUCCESS;
    if (status == APR_SUCCESS) {
        *began = true;
        status = work(db, baton, pool);
        if (writes) {
            status = rh_db_end(db, status, pool);
        }
    }
    source->release(source, db, rh_db_session(db)->broken);
    return status;
}

apr_status_t rh_store_run(rh_db_source_t *source, bool writes, rh_store_work_t *work, void *baton,
                          apr_pool_t *pool)
{
    bool began;
    apr_status_t status = run_once(source, writes, work, baton, pool, &began);

    if (APR_STATUS_IS_EAGAIN(status) && !began && source->dialect->retries_begin) {
        status = run_once(source, writes, work, baton, pool, &began);
    }
    return status;
}

/** The arguments of rh_store_fetch and rh_store_change. */
typedef struct running_t {
    const rh_query_t *query;
    apr_array_header_t **rows;
    int *affected;
} running_t;

static apr_status_t fetch_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    running_t *running = baton;

    return rh_db_fetch(db, running->query, pool, running->rows);
}

apr_status_t rh_store_fetch(rh_db_source_t *source, const rh_query_t *query, apr_pool_t *pool,
                            apr_array_header_t **rows)
{
    running_t running = {query, rows, NULL};

    return rh_store_run(source, false, fetch_work, &running, pool);
}

static apr_status_t change_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    running_t *running = baton;

    return rh_db_change(db, running->query, pool, running->affected);
}

apr_status_t rh_store_change(rh_db_source_t *source, const rh_query_t *query, apr_pool_t *pool,
                             int *affected)
{
    running_t running = {query, NULL, affected};

    return rh_store_run(source, true, change_work, &running, pool);
}

const char *rh_store_number(apr_pool_t *pool, apr_int64_t number)
{
    return apr_psprintf(pool, "%" APR_INT64_T_FMT, number);
}

apr_int64_t rh_store_ms(apr_time_t time)
{
    return time / 1000;
}

apr_int64_t rh_store_ms_up(apr_interval_time_t duration)
{
    return (duration + 999) / 1000;
}

void rh_store_range(apr_pool_t *pool, apr_time_t from, apr_time_t to, const char *before,
                    const char **lowest, const char **end)
{
    char *text = apr_palloc(pool, 2 * (RH_UUID_LEN + 1));

    rh_uuid_floor(from > 0 ? from : 0, text);
    *lowest = text;
    *end = RH_LAST_ID;
    if (to > 0) {
        rh_uuid_floor(to, text + RH_UUID_LEN + 1);
        *end = text + RH_UUID_LEN + 1;
    }
    if (before && strcmp(before, *end) < 0) {
        *end = before;
    }
}

apr_status_t rh_store_ping(rh_store_t *store, apr_pool_t *pool, const char **problem)
{
    apr_array_header_t *rows;
    apr_status_t status = rh_store_fetch(store->source, RH_QUERY(schema_version), pool, &rows);

    *problem = NULL;
    if (status != APR_SUCCESS) {
        *problem = "the database can't be reached";
    } else if (rows->nelts != 1 ||
               rh_db_number(RH_ROW(schema_version, rows, 0)->version) != RH_SCHEMA_VERSION) {
        *problem = "the tables are of another version";
        status = APR_EGENERAL;
    } else if (strcmp(RH_ROW(schema_version, rows, 0)->read_only, "on") == 0) {
        *problem = "the database takes no changes: it is read-only, or a standby";
        status = APR_EGENERAL;
    }
    return status;
}

apr_status_t rh_store_setting_get(rh_store_t *store, const char *name, apr_pool_t *pool,
                                  const char **value)
{
    apr_array_header_t *rows;
    apr_status_t status =
        rh_store_fetch(store->source, RH_QUERY(setting_get, .name = name), pool, &rows);

    if (status == APR_SUCCESS && rows->nelts == 0) {
        status = APR_NOTFOUND;
    }
    if (status == APR_SUCCESS) {
        *value = RH_ROW(setting_get, rows, 0)->value;
    }
    return status;
}
