/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The connections of mod_dbd's pool as a source, for requests. */
#include "rh_server.h"

#include <http_main.h>
#include <mod_dbd.h>

/** Key in a connection's pool for the statements that this module has prepared. */
#define PREPARED_KEY "resthooks_prepared"

typedef APR_OPTIONAL_FN_TYPE(ap_dbd_open) dbd_open_t;
typedef APR_OPTIONAL_FN_TYPE(ap_dbd_close) dbd_close_t;

typedef struct dbd_source_t {
    rh_db_source_t base;
    server_rec *server;
    dbd_open_t *open;
    dbd_close_t *close;
} dbd_source_t;

/** One use of a connection, in the pool that bounds it. */
typedef struct dbd_use_t {
    rh_db_t db;
    ap_dbd_t *record;
} dbd_use_t;

/**
 * Statements of this module only: a reset connection makes rh_db forget all of them, and the hash
 * of mod_dbd holds those of other modules too.
 */
static apr_hash_t *prepared_of(const ap_dbd_t *record)
{
    void *prepared = NULL;

    apr_pool_userdata_get(&prepared, PREPARED_KEY, record->pool);
    if (!prepared) {
        prepared = apr_hash_make(record->pool);
        apr_pool_userdata_setn(prepared, PREPARED_KEY, NULL, record->pool);
    }
    return prepared;
}

static void fill(rh_db_t *db, const ap_dbd_t *record, rh_dialect_t dialect, const rh_log_t *log)
{
    db->driver = record->driver;
    db->handle = record->handle;
    db->pool = record->pool;
    db->prepared = prepared_of(record);
    db->dialect = dialect;
    db->log = log;
}

/** A broken connection is reset by mod_dbd when it is opened next, or thrown away. */
static void release(rh_db_source_t *self, rh_db_t *db, bool broken)
{
    dbd_source_t *source = (dbd_source_t *)self;
    dbd_use_t *use = db->owner;

    (void)broken;
    source->close(source->server, use->record);
}

static apr_status_t acquire(rh_db_source_t *self, apr_pool_t *pool, rh_db_t **db)
{
    dbd_source_t *source = (dbd_source_t *)self;
    ap_dbd_t *record = source->open(pool, source->server);
    dbd_use_t *use;

    if (!record) {
        /* A connection that turned out dead was thrown away: the next one is fresh. */
        record = source->open(pool, source->server);
    }
    if (!record) {
        return APR_EAGAIN;
    }
    use = apr_pcalloc(pool, sizeof(*use));
    use->record = record;
    fill(&use->db, record, self->dialect, self->log);
    use->db.owner = use;
    if (rh_db_prepare_session(&use->db, pool) != APR_SUCCESS) {
        rh_log(self->log, RH_LOG_INFO, APR_SUCCESS, "RH0731",
               "a session of the database cannot be set up on mod_dbd's connection");
        source->close(source->server, record);
        return APR_EAGAIN;
    }
    *db = &use->db;
    return APR_SUCCESS;
}

rh_db_source_t *rh_dbd_source(apr_pool_t *pool, server_rec *server)
{
    const rh_server_config_t *config = rh_server_config(server);
    dbd_source_t *source = apr_pcalloc(pool, sizeof(*source));

    source->base.acquire = acquire;
    source->base.release = release;
    source->base.dialect = config->dialect;
    source->base.log = &config->log;
    source->server = server;
    source->open = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open);
    source->close = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_close);
    return source->open && source->close ? &source->base : NULL;
}
