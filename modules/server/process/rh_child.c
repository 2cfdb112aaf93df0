/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * The life of one child process: its engine starts in child_init and ends with the child.
 *
 *   child_init       sources, queues, sites, one engine for all of them
 *   child_stopping   flags only: it may run twice, on any thread, and requests may still come
 *   pre_cleanup      of pchild: joins the engine's threads, before any sub-pool of pchild (such as
 *                    mod_dbd's) is destroyed
 *
 * What the engine's threads touch lives in root pools with allocators of their own: prefork's
 * pchild has none that threads may share. They are destroyed once all threads have ended, and
 * otherwise left until the process ends.
 */
#include "rh_gate.h"
#include "rh_instruments.h"
#include "rh_server.h"

#include "rh_pool.h"

#include <http_main.h>
#include <mpm_common.h>

/** Maximum interval between claims when idle. */
#define POLL_INTERVAL apr_time_from_msec(900)
/** Time for attempts in flight when httpd stops at once, as it kills children after about 9 s. */
#define SHORT_GRACE apr_time_from_sec(2)
/** Number of prefork children that deliver: there may be hundreds, each with a connection. */
#define PREFORK_DELIVERERS 4
/**
 * Maximum idle time and age of a loop's connection, and maximum age of a TLS session.
 */
#define IDLE_TIMEOUT apr_time_from_sec(30)
#define CONNECTION_LIFE apr_time_from_sec(300)
#define SESSION_LIFE apr_time_from_sec(3600)

typedef struct rh_child_t {
    rh_engine_t *engine;
    server_rec *server;        /**< the main server */
    apr_array_header_t *pools; /**< of apr_pool_t *: root pools of the sites */
    rh_client_limits_t limits;
    apr_interval_time_t timeout; /**< the longest RestHooksTimeout of all */
    int graceful;                /**< atomic */
    int loops_gone;              /**< atomic: the engine's threads have ended */
} rh_child_t;

static apr_status_t root_pool(rh_child_t *child, apr_pool_t **pool)
{
    apr_status_t status = rh_root_pool_make(pool, RH_POOL_KEEP, false);

    if (status != APR_SUCCESS) {
        return status;
    }
    APR_ARRAY_PUSH(child->pools, apr_pool_t *) = *pool;
    return APR_SUCCESS;
}

/** Make a queue over a dedicated connection, for one thread. */
static apr_status_t make_queue(rh_child_t *child, const rh_server_config_t *config,
                               rh_queue_t **queue)
{
    apr_pool_t *pool;
    rh_db_source_t *source;
    apr_status_t status = root_pool(child, &pool);

    if (status == APR_SUCCESS) {
        status = rh_db_source_dedicated(pool, config->settings.db_driver,
                                        config->settings.db_params, &config->log, &source);
    }
    if (status == APR_SUCCESS) {
        rh_db_source_set_init(source, config->settings.db_init);
        *queue = rh_queue_make(pool, rh_gate_source(pool, config->gate, source));
    }
    return status;
}

static apr_status_t make_site(rh_child_t *child, server_rec *server, rh_server_config_t *config)
{
    apr_pool_t *pool;
    rh_site_t *site;
    int threaded;
    apr_status_t status = root_pool(child, &pool);

    if (status != APR_SUCCESS) {
        return status;
    }
    site = apr_pcalloc(pool, sizeof(*site));
    site->name = rh_server_name(pool, server);
    site->log = &config->log;
    site->hop_key = rh_hop_key(server);
    site->net = &config->net;
    site->retry = config->retry_policy;
    site->timeout = config->settings.timeout;
    site->connect_timeout = config->settings.connect_timeout;
    site->endpoint_concurrency = config->settings.endpoint_concurrency;
    site->host_concurrency = config->settings.host_concurrency;
    site->retention = config->settings.retention;
    site->spool = config->settings.spool;
    site->spool_owner = config->spool_owner;
    site->metrics = config->metrics;
    site->record_sent = true;
    site->log_attempts = config->attempt_log;
    if (site->log_attempts) {
        site->log_attempts->metrics = config->metrics;
    }
    status = make_queue(child, config, &site->intake_queue);
    if (status == APR_SUCCESS) {
        status = make_queue(child, config, &site->dispatch_queue);
    }
    /*
     * The connection is opened when it is first needed. Some databases have one writer at a time,
     * and a prefork child has one request.
     */
    if (status == APR_SUCCESS && config->dialect->concurrent_writers &&
        ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded) == APR_SUCCESS &&
        threaded != AP_MPMQ_NOT_SUPPORTED) {
        status = make_queue(child, config, &site->helper_queue);
    }
    config->site = status == APR_SUCCESS ? site : NULL;
    return status;
}

/** Find the site of an earlier server that delivers in the same way. */
static rh_site_t *site_of_equal(server_rec *first, const server_rec *server,
                                const rh_server_config_t *config)
{
    for (; first != server; first = first->next) {
        const rh_server_config_t *other = rh_server_config(first);

        if (other->site && rh_server_config_same_site(other, config)) {
            return other->site;
        }
    }
    return NULL;
}

/** Make stores for requests, and the sites of all enabled servers. */
static apr_status_t make_sites(rh_child_t *child, apr_pool_t *pchild, apr_array_header_t *sites)
{
    server_rec *server;

    for (server = child->server; server; server = server->next) {
        rh_server_config_t *config = rh_server_config(server);
        rh_db_source_t *source;
        apr_status_t status;

        if (!config->settings.enabled || config->store) {
            continue; /* RestHooks is Off, or this is the main server's record, which was handled
                         already. */
        }
        source = rh_dbd_source(pchild, server);
        if (!source) {
            return APR_ENOTIMPL;
        }
        config->store = rh_store_make(pchild, rh_gate_source(pchild, config->gate, source));
        config->child = child;
        if (config->settings.timeout > child->timeout) {
            child->timeout = config->settings.timeout;
        }
        config->site = site_of_equal(child->server, server, config);
        if (!config->site) {
            status = make_site(child, server, config);
            if (status != APR_SUCCESS) {
                return status;
            }
            APR_ARRAY_PUSH(sites, rh_site_t *) = config->site;
        }
    }
    return APR_SUCCESS;
}

static apr_status_t loop_gone(void *data)
{
    rh_child_t *child = data;

    __atomic_store_n(&child->loops_gone, 1, __ATOMIC_RELEASE);
    return APR_SUCCESS;
}

/** A loop's client. The engine destroys a loop's pool only after all its threads have ended. */
static apr_status_t make_client(apr_pool_t *pool, const rh_log_t *log, void *baton,
                                rh_transport_t **transport)
{
    rh_child_t *child = baton;

    apr_pool_cleanup_register(pool, child, loop_gone, apr_pool_cleanup_null);
    return rh_client_make(pool, &child->limits, log, transport);
}

static apr_status_t start_engine(rh_child_t *child, const apr_array_header_t *sites)
{
    const rh_server_config_t *main_config = rh_server_config(child->server);
    rh_engine_config_t config;
    server_rec *server;
    apr_status_t status;
    int threaded;

    memset(&config, 0, sizeof(config));
    config.threads = main_config->settings.threads;
    config.concurrency = main_config->settings.concurrency;
    config.poll = POLL_INTERVAL;
    if (ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded) == APR_SUCCESS &&
        threaded == AP_MPMQ_NOT_SUPPORTED) {
        config.deliverers = PREFORK_DELIVERERS;
        config.slots = main_config->settings.spool;
    }
    config.make_transport = make_client;
    config.baton = child;
    config.log = &main_config->log;
    child->limits.max_idle = config.concurrency / config.threads;
    child->limits.max_idle_per_key = main_config->settings.endpoint_concurrency;
    child->limits.idle_timeout = IDLE_TIMEOUT;
    child->limits.connection_life = CONNECTION_LIFE;
    child->limits.session_life = SESSION_LIFE;
    status = rh_engine_start(&config, sites, &child->engine);
    for (server = child->server; server && status == APR_SUCCESS; server = server->next) {
        rh_server_config_t *each = rh_server_config(server);

        if (each->site) {
            __atomic_store_n(&each->engine, child->engine, __ATOMIC_RELEASE);
        }
    }
    return status;
}

/** End the engine before anything that it uses. */
static apr_status_t stop_engine(void *data)
{
    rh_child_t *child = data;
    bool graceful = __atomic_load_n(&child->graceful, __ATOMIC_ACQUIRE) != 0;
    server_rec *server;
    int i;

    for (server = child->server; server; server = server->next) {
        __atomic_store_n(&rh_server_config(server)->engine, NULL, __ATOMIC_RELEASE);
    }
    if (!child->engine) {
        return APR_SUCCESS;
    }
    rh_engine_stop(child->engine, graceful ? child->timeout : SHORT_GRACE);
    child->engine = NULL;
    for (i = child->pools->nelts - 1;
         i >= 0 && __atomic_load_n(&child->loops_gone, __ATOMIC_ACQUIRE); i--) {
        apr_pool_destroy(APR_ARRAY_IDX(child->pools, i, apr_pool_t *));
    }
    return APR_SUCCESS;
}

static void child_init(apr_pool_t *pchild, server_rec *server)
{
    rh_child_t *child;
    apr_array_header_t *sites;
    apr_status_t status;

    if (!rh_any_enabled(server)) {
        return;
    }
    rh_instruments_enter();
    child = apr_pcalloc(pchild, sizeof(*child));
    child->server = server;
    child->pools = apr_array_make(pchild, 8, sizeof(apr_pool_t *));
    rh_server_config(server)->child = child;
    sites = apr_array_make(pchild, 4, sizeof(rh_site_t *));
    status = make_sites(child, pchild, sites);
    if (status == APR_SUCCESS) {
        apr_pool_pre_cleanup_register(pchild, child, stop_engine);
        status = start_engine(child, sites);
    }
    if (status != APR_SUCCESS) {
        rh_log(&rh_server_config(server)->log, RH_LOG_ERR, status, "RH0710",
               "delivery engine failed to start in this child; requests are still served");
    }
}

static void child_stopping(apr_pool_t *pchild, int graceful)
{
    rh_child_t *child = ap_server_conf ? rh_server_config(ap_server_conf)->child : NULL;

    (void)pchild;
    if (child && child->engine) {
        __atomic_store_n(&child->graceful, graceful, __ATOMIC_RELEASE);
        rh_engine_stopping(child->engine);
    }
}

void rh_child_register(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_stopping(child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
}
