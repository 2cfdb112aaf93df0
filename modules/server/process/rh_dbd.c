/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* mod_dbd's pooled connections as a source, for requests. */
#include "rh_server.h"

#include <http_main.h>
#include <mod_dbd.h>

/** Under this name a connection's pool keeps what this module prepared. */
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
    apr_pool_t *pool;
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
    use->pool = pool;
    fill(&use->db, record, self->dialect, self->log);
    use->db.owner = use;
    *db = &use->db;
    return APR_SUCCESS;
}

static void release(rh_db_source_t *self, rh_db_t *db, bool broken)
{
    dbd_source_t *source = (dbd_source_t *)self;
    dbd_use_t *use = db->owner;

    if (broken) {
        /* Resets it, so that the next user gets one that works; mod_dbd drops it otherwise. */
        apr_status_t status =
            apr_dbd_check_conn(use->record->driver, use->pool, use->record->handle);

        apr_hash_clear(db->prepared);
        if (status != APR_SUCCESS && status != APR_ENOTIMPL) {
            rh_log(self->log, RH_LOG_DEBUG, status, "RH0730",
                   "a connection to the database is broken and goes back to mod_dbd so");
        }
    }
    source->close(source->server, use->record);
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

/** An enabled server that works on mod_dbd's database; NULL: that one is other modules' alone. */
static const rh_server_config_t *user_of(const dbd_cfg_t *dbd)
{
    server_rec *server;

    for (server = ap_server_conf; server && dbd->name && dbd->params; server = server->next) {
        const rh_server_config_t *config = rh_server_config(server);

        if (config->settings.enabled && !strcmp(config->settings.db_driver, dbd->name) &&
            !strcmp(config->settings.db_params, dbd->params)) {
            return config;
        }
    }
    return NULL;
}

/** mod_dbd opened a connection: an SQLite one needs its settings. */
static apr_status_t prepare_connection(apr_pool_t *pool, dbd_cfg_t *dbd, ap_dbd_t *record)
{
    const rh_server_config_t *config = user_of(dbd);
    rh_db_t db;
    apr_status_t status;

    if (!config || config->dialect != RH_DIALECT_SQLITE) {
        return APR_SUCCESS;
    }
    memset(&db, 0, sizeof(db));
    fill(&db, record, config->dialect, &config->log);
    status = rh_db_prepare_session(&db, pool);
    if (status != APR_SUCCESS) {
        rh_log(&config->log, RH_LOG_ERR, status, "RH0731",
               "%s: the settings of a new connection can't be made", config->settings.db_params);
    }
    return status;
}

void rh_dbd_register(apr_pool_t *pool)
{
    (void)pool;
    APR_OPTIONAL_HOOK(dbd, post_connect, prepare_connection, NULL, NULL, APR_HOOK_MIDDLE);
}
