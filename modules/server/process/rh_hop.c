/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * Ends loops: events of a request that deliveries led to (rh_hops.h) have a hop count, and beyond
 * RestHooksMaxHops they are recorded but not sent.
 *
 * The key that signs the counts is stored in the database, so all hosts that share it have the same
 * one. If the database was unreachable at start, the parent made a key of its own.
 */
#include "rh_server.h"

#include "rh_hops.h"
#include "rh_matching.h"

#include <openssl/rand.h>
#include <stdlib.h>

#define KEY_NAME "resthooks_hop_key"

const unsigned char *rh_hop_key(const server_rec *server)
{
    const rh_server_config_t *config =
        ap_get_module_config(server->module_config, &resthooks_module);
    void *key = NULL;

    if (config->hop_key) {
        return config->hop_key;
    }
    apr_pool_userdata_get(&key, KEY_NAME, server->process->pool);
    return key;
}

const unsigned char *rh_hop_key_read(rh_store_t *store, apr_pool_t *pool)
{
    unsigned char *key = apr_palloc(pool, RH_HOP_KEY_BYTES);
    const char *text;

    if (rh_store_setting_get(store, "hop_key", pool, &text) != APR_SUCCESS ||
        strlen(text) != 2 * RH_HOP_KEY_BYTES ||
        strspn(text, "0123456789abcdef") != 2 * RH_HOP_KEY_BYTES) {
        return NULL;
    }
    for (int i = 0; i < RH_HOP_KEY_BYTES; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};

        key[i] = (unsigned char)strtol(digits, NULL, 16);
    }
    return key;
}

static int make_key(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
    apr_pool_t *pool = server->process->pool;
    unsigned char key[RH_HOP_KEY_BYTES];

    (void)pconf;
    (void)plog;
    (void)ptemp;
    if (!rh_any_enabled(server) || rh_hop_key(server)) {
        return OK;
    }
    if (RAND_bytes(key, sizeof(key)) != 1) {
        rh_log(&rh_server_config(server)->log, RH_LOG_ERR, APR_EGENERAL, "RH0318",
               "could not make a key for %s (random source failed); loops of deliveries are not "
               "recognised",
               RH_HOPS_FIELD);
        return OK;
    }
    /* Use a copy of the name: a restart unloads the module and may load it at another address. */
    apr_pool_userdata_set(apr_pmemdup(pool, key, sizeof(key)), KEY_NAME, NULL, pool);
    return OK;
}

/** Mark an event as recorded but not sent. Each child logs the first one per virtual host. */
static void stop_here(request_rec *r, rh_server_config_t *config, rh_event_t *event)
{
    event->reason = RH_REASON_HOPS;
    rh_metrics_count(config->metrics, RH_COUNT_EVENTS_LOOPED);
    if (__atomic_exchange_n(&config->hops_warned, 1, __ATOMIC_RELAXED) == 0) {
        rh_log(&config->log, RH_LOG_WARN, APR_SUCCESS, "RH0315",
               "event %s (%s) by %s %s results from %d deliveries, one causing the next, and "
               "RestHooksMaxHops is %d: it is recorded and not delivered; further ones are only "
               "counted",
               event->id, event->type, r->method, r->uri, event->hops, config->settings.max_hops);
    }
}

void rh_server_count_hops(request_rec *r, rh_event_t *event)
{
    rh_server_config_t *config = rh_server_config(r->server);
    const unsigned char *key = rh_hop_key(r->server);
    const char *value = apr_table_get(r->headers_in, RH_HOPS_FIELD);

    if (!value || !key) {
        return;
    }
    event->hops = rh_hops_read(key, value);
    if (event->hops > config->settings.max_hops && event->source != RH_SOURCE_OBSERVED) {
        stop_here(r, config, event);
    }
}

void rh_hop_register(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_post_config(make_key, NULL, NULL, APR_HOOK_MIDDLE);
}
