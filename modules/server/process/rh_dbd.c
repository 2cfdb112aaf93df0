/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * The connections of mod_dbd's pool as a source, for requests.
 *
 * apr_reslist makes a connection while it holds the pool's lock, and a database that hangs at
 * connect keeps it there for connect_timeout: requests that need the same lock would then wait one
 * after the other. So only one request per database asks mod_dbd at a time; the others wait for it,
 * at most MAX_WAIT, and none asks directly after a failure.
 */
#include "rh_server.h"

#include <apr_env.h>
#include <apr_thread_cond.h>
#include <http_main.h>
#include <mod_dbd.h>

/** Key in a connection's pool for the statements that this module has prepared on it. */
#define PREPARED_KEY "resthooks_prepared"

typedef APR_OPTIONAL_FN_TYPE(ap_dbd_open) dbd_open_t;
typedef APR_OPTIONAL_FN_TYPE(ap_dbd_close) dbd_close_t;

/** How long a request waits until it may ask mod_dbd for a connection. */
#define MAX_WAIT apr_time_from_sec(5)
/** Time after a failure in which requests fail at once. */
#define RETRY_INTERVAL apr_time_from_msec(500)
/** A failure that came faster was due to a dead connection: the next one may work. */
#define QUICK_FAILURE apr_time_from_msec(200)

/** Serialises the requests of this child that ask mod_dbd for connections to one database. */
typedef struct turn_t {
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *cond;
    bool taken;           /**< a request is asking mod_dbd; guarded by mutex, like the rest */
    apr_time_t failed_at; /**< time of the last failure; 0: the last attempt succeeded */
} turn_t;

typedef struct dbd_source_t {
    rh_db_source_t base;
    turn_t *turn;
    const apr_array_header_t *init; /**< DBDInitSQL; NULL: none */
    server_rec *server;
    dbd_open_t *open;
    dbd_close_t *close;
} dbd_source_t;

/** One use of a connection, in the pool that limits its life. */
typedef struct dbd_use_t {
    rh_db_t db;
    ap_dbd_t *record;
} dbd_use_t;

/**
 * Holds only statements of this module. When a connection is reset, its prepared statements are all
 * dropped, and mod_dbd's own hash also has those of other modules.
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

static void fill_db(rh_db_t *db, const ap_dbd_t *record, const rh_dialect_t *dialect,
                    const rh_log_t *log)
{
    db->driver = record->driver;
    db->handle = record->handle;
    db->pool = record->pool;
    db->prepared = prepared_of(record);
    db->dialect = dialect;
    db->log = log;
}

/** mod_dbd resets a broken connection when it opens it again, or discards it. */
static void release_dbd(rh_db_source_t *self, rh_db_t *db, bool broken)
{
    dbd_source_t *source = (dbd_source_t *)self;
    dbd_use_t *use = db->owner;

    (void)broken;
    source->close(source->server, use->record);
}

/** True if asking mod_dbd has just failed. Called with the mutex held. */
static bool failed_just_now(const turn_t *turn, apr_time_t now)
{
    return turn->failed_at != 0 && now >= turn->failed_at && now - turn->failed_at < RETRY_INTERVAL;
}

/** @return APR_EAGAIN: the database does not seem to answer */
static apr_status_t take_turn(turn_t *turn)
{
    apr_time_t now = apr_time_now(), give_up = now + MAX_WAIT;
    apr_status_t status = APR_EAGAIN;

    apr_thread_mutex_lock(turn->mutex);
    while (turn->taken && now < give_up && !failed_just_now(turn, now)) {
        apr_thread_cond_timedwait(turn->cond, turn->mutex, give_up - now);
        now = apr_time_now();
    }
    if (!turn->taken && !failed_just_now(turn, now)) {
        turn->taken = true;
        status = APR_SUCCESS;
    }
    apr_thread_mutex_unlock(turn->mutex);
    return status;
}

static void give_turn(turn_t *turn, bool failed)
{
    apr_thread_mutex_lock(turn->mutex);
    turn->taken = false;
    turn->failed_at = failed ? apr_time_now() : 0;
    if (failed) {
        apr_thread_cond_broadcast(turn->cond);
    } else {
        apr_thread_cond_signal(turn->cond);
    }
    apr_thread_mutex_unlock(turn->mutex);
}

/** Acquire a connection from mod_dbd. @return NULL: none is available */
static ap_dbd_t *open_record(dbd_source_t *source, apr_pool_t *pool)
{
    ap_dbd_t *record;
    apr_time_t began;

    if (take_turn(source->turn) != APR_SUCCESS) {
        return NULL;
    }
    began = apr_time_now();
    record = source->open(pool, source->server);
    if (!record && apr_time_now() - began < QUICK_FAILURE) {
        /* A dead connection was discarded, so the next one is new. */
        record = source->open(pool, source->server);
    }
    give_turn(source->turn, !record);
    return record;
}

static apr_status_t acquire(rh_db_source_t *self, apr_pool_t *pool, rh_db_t **db)
{
    dbd_source_t *source = (dbd_source_t *)self;
    ap_dbd_t *record = open_record(source, pool);
    dbd_use_t *use;

    if (!record) {
        return APR_EAGAIN;
    }
    use = apr_pcalloc(pool, sizeof(*use));
    use->record = record;
    fill_db(&use->db, record, self->dialect, self->log);
    use->db.owner = use;
    rh_db_set_init(&use->db, source->init, true);
    if (rh_db_prepare_session(&use->db, pool) != APR_SUCCESS) {
        rh_log(self->log, RH_LOG_INFO, APR_SUCCESS, "RH0731",
               "a session of the database cannot be set up on mod_dbd's connection");
        source->close(source->server, record);
        return APR_EAGAIN;
    }
    *db = &use->db;
    return APR_SUCCESS;
}

/**
 * Find the access record of a database; the first server that uses it makes it. `pool` is pchild.
 */
static turn_t *turn_of(apr_pool_t *pool, const rh_server_config_t *config)
{
    const char *key = apr_pstrcat(pool, "resthooks_turn ", config->settings.db_driver, " ",
                                  config->settings.db_params, NULL);
    void *found = NULL;
    turn_t *turn;

    apr_pool_userdata_get(&found, key, pool);
    if (found) {
        return found;
    }
    turn = apr_pcalloc(pool, sizeof(*turn));
    if (apr_thread_mutex_create(&turn->mutex, APR_THREAD_MUTEX_DEFAULT, pool) != APR_SUCCESS ||
        apr_thread_cond_create(&turn->cond, pool) != APR_SUCCESS) {
        return NULL;
    }
    apr_pool_userdata_setn(turn, key, NULL, pool);
    return turn;
}

rh_db_source_t *rh_dbd_source(apr_pool_t *pool, server_rec *server)
{
    const rh_server_config_t *config = rh_server_config(server);
    dbd_source_t *source = apr_pcalloc(pool, sizeof(*source));

    source->base.acquire = acquire;
    source->base.release = release_dbd;
    source->base.dialect = config->dialect;
    source->base.log = &config->log;
    source->server = server;
    source->turn = turn_of(pool, config);
    source->init = config->settings.db_init;
    source->open = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open);
    source->close = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_close);
    return source->open && source->close && source->turn ? &source->base : NULL;
}

void rh_dbd_bound_connects(apr_pool_t *scratch)
{
    static const char name[] = "PGCONNECT_TIMEOUT";
    char *value;

    if (apr_env_get(&value, name, scratch) != APR_SUCCESS) {
        apr_env_set(name, "5", scratch);
    }
}
