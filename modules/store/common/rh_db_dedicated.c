/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* A source of one connection that belongs to one thread. */
#include "rh_db_private.h"

/** Minimum interval between two tries to connect. */
#define RETRY_SPACING apr_time_from_msec(200)

typedef struct dedicated_t {
    rh_db_source_t base;
    apr_pool_t *pool;
    apr_pool_t *connection; /**< NULL: not open */
    const apr_dbd_driver_t *driver;
    const char *params;
    const apr_array_header_t *init;
    rh_db_t db;
    apr_time_t last_try;
    bool down; /**< an error was logged */
} dedicated_t;

static apr_status_t close_connection(void *data)
{
    rh_db_t *db = data;

    apr_dbd_close(db->driver, db->handle);
    return APR_SUCCESS;
}

static apr_status_t failed_to_open(dedicated_t *source, const char *error)
{
    char *line = apr_pstrdup(source->connection, error && *error ? error : "it cannot be opened");

    for (char *at = line; *at; at++) {
        if (*at == '\n') {
            *at = at[1] ? ' ' : '\0';
        }
    }
    rh_log(source->base.log, source->down ? RH_LOG_DEBUG : RH_LOG_ERR, 0, "RH0115",
           "no connection to the database, trying again until there is one: %s", line);
    source->down = true;
    apr_pool_destroy(source->connection);
    source->connection = NULL;
    return APR_EAGAIN;
}

static apr_status_t open_connection(dedicated_t *source, apr_pool_t *scratch)
{
    rh_db_t *db = &source->db;
    const char *error = NULL;

    apr_pool_create(&source->connection, source->pool);
    memset(db, 0, sizeof(*db));
    if (apr_dbd_open_ex(source->driver, source->connection, source->params, &db->handle, &error) !=
        APR_SUCCESS) {
        return failed_to_open(source, error);
    }
    db->driver = source->driver;
    db->pool = source->connection;
    db->prepared = apr_hash_make(source->connection);
    db->dialect = source->base.dialect;
    db->log = source->base.log;
    db->owner = source;
    apr_pool_cleanup_register(source->connection, db, close_connection, apr_pool_cleanup_null);
    rh_db_set_init(db, source->init, false);
    if (rh_db_prepare_session(db, scratch) != APR_SUCCESS) {
        return failed_to_open(source, rh_db_session(db)->error);
    }
    if (source->down) {
        source->down = false;
        rh_log(source->base.log, RH_LOG_NOTICE, 0, "RH0116", "the database is back");
    }
    return APR_SUCCESS;
}

static apr_status_t acquire(rh_db_source_t *self, apr_pool_t *pool, rh_db_t **db)
{
    dedicated_t *source = (dedicated_t *)self;

    if (!source->connection) {
        apr_time_t now = apr_time_now();
        apr_status_t status;

        if (now >= source->last_try && now - source->last_try < RETRY_SPACING) {
            return APR_EAGAIN;
        }
        source->last_try = now;
        status = open_connection(source, pool);
        if (status != APR_SUCCESS) {
            return status;
        }
    }
    if (rh_db_prepare_session(&source->db, pool) != APR_SUCCESS) {
        return failed_to_open(source, rh_db_session(&source->db)->error);
    }
    *db = &source->db;
    return APR_SUCCESS;
}

static void release_dedicated(rh_db_source_t *self, rh_db_t *db, bool broken)
{
    dedicated_t *source = (dedicated_t *)self;

    (void)db;
    if (broken && source->connection) {
        apr_pool_destroy(source->connection);
        source->connection = NULL;
    }
}

apr_status_t rh_db_source_dedicated(apr_pool_t *pool, const char *driver, const char *params,
                                    const rh_log_t *log, rh_db_source_t **result)
{
    dedicated_t *source = apr_pcalloc(pool, sizeof(*source));
    const rh_dialect_t *dialect = rh_dialect_find(driver);
    apr_status_t status;

    if (!dialect) {
        return APR_ENOTIMPL;
    }
    if ((status = apr_dbd_init(pool)) != APR_SUCCESS ||
        (status = apr_dbd_get_driver(pool, driver, &source->driver)) != APR_SUCCESS) {
        return status;
    }
    source->base.acquire = acquire;
    source->base.release = release_dedicated;
    source->base.dialect = dialect;
    source->base.log = log;
    source->pool = pool;
    source->params = dialect->complete_params(pool, params);
    *result = &source->base;
    return APR_SUCCESS;
}

void rh_db_source_set_init(rh_db_source_t *source, const apr_array_header_t *init)
{
    ((dedicated_t *)source)->init = init;
}
