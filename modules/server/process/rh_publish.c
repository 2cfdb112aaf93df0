/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Commits events of a request, for all callers: API, capture, other modules. */
#include "rh_instruments.h"
#include "rh_server.h"

#include "mod_resthooks.h"

#include "rh_event_type.h"
#include "rh_uuid.h"

#include <ap_mpm.h>

#include <pthread.h>
#include <signal.h>

/** Return the engine of this request's virtual host in this child; NULL: it is not running. */
static rh_engine_t *engine_of(request_rec *r)
{
    return __atomic_load_n(&rh_server_config(r->server)->engine, __ATOMIC_ACQUIRE);
}

/**
 * prefork ends a child from a signal handler in the thread that serves requests. The handler waits
 * for the engine's threads, so it must not run while this thread holds one of the engine's locks.
 * @return whether `before` must be restored
 */
static bool hold_signals(sigset_t *before)
{
    sigset_t ending;
    int threaded = 0;

    if (ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded) == APR_SUCCESS && threaded) {
        return false;
    }
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGHUP);
    return pthread_sigmask(SIG_BLOCK, &ending, before) == 0;
}

static void restore_signals(bool held, const sigset_t *before)
{
    if (held) {
        pthread_sigmask(SIG_SETMASK, before, NULL);
    }
}

apr_status_t rh_server_commit(request_rec *r, rh_commit_t *items, int count)
{
    const rh_server_config_t *config = rh_server_config(r->server);
    rh_engine_t *engine;
    apr_status_t status = APR_EAGAIN;
    sigset_t before;
    bool held;
    int i;

    rh_server_check_schemas(r, items, count);
    held = hold_signals(&before);
    engine = engine_of(r);
    if (engine) {
        status = rh_engine_commit(engine, config->site, items, count, RH_COMMIT_TIMEOUT, r->pool);
    }
    restore_signals(held, &before);
    for (i = 0; i < count && status == APR_SUCCESS; i++) {
        if (items[i].status == APR_SUCCESS && !items[i].duplicate) {
            rh_instruments_event(config, items[i].event->type, items[i].event->source);
            rh_metrics_add(config->metrics, RH_COUNT_EVENTS_UNFIT,
                           rh_server_breaks_schema(items[i].event));
        }
    }
    return status;
}

void rh_server_wake(request_rec *r)
{
    rh_engine_t *engine;
    sigset_t before;
    bool held = hold_signals(&before);

    engine = engine_of(r);
    if (engine) {
        rh_engine_wake(engine, rh_server_config(r->server)->site);
    }
    restore_signals(held, &before);
}

static apr_status_t resthooks_publish(request_rec *r, const char *tenant, const char *type,
                                      const char *data, apr_size_t len, const char *key,
                                      const char *client_id, const char **id)
{
    const rh_server_config_t *config = rh_server_config(r->server);
    rh_event_t *event;
    rh_commit_t item;
    apr_status_t status;
    char *text;

    if (!config->settings.enabled) {
        return APR_ENOTIMPL;
    }
    if (!tenant || !rh_name_valid(tenant, strlen(tenant)) || !type ||
        !rh_event_type_valid(type, strlen(type)) || (key && !rh_name_valid(key, strlen(key))) ||
        (client_id && !rh_name_valid(client_id, strlen(client_id))) || !data ||
        len > (apr_size_t)config->settings.max_data ||
        rh_json_check(data, len, NULL) != APR_SUCCESS) {
        return APR_EINVAL;
    }
    text = apr_palloc(r->pool, RH_UUID_LEN + 1);
    rh_uuid_make(text);
    event = apr_pcalloc(r->pool, sizeof(*event));
    event->id = text;
    event->tenant = tenant;
    event->type = type;
    event->key = key ? key : rh_event_key(r->pool, data, len);
    event->client_id = client_id;
    event->traceparent = rh_request_traceparent(r);
    event->time = apr_time_now();
    event->data.data = data;
    event->data.len = len;
    event->source = RH_SOURCE_PUBLISH;
    rh_server_count_hops(r, event);
    memset(&item, 0, sizeof(item));
    item.event = event;
    status = rh_server_commit(r, &item, 1);
    if (status == APR_SUCCESS) {
        status = item.status;
    }
    if (status != APR_SUCCESS) {
        return APR_STATUS_IS_TIMEUP(status) ? APR_EAGAIN : status;
    }
    if (id) {
        *id = item.stored_id ? item.stored_id : event->id;
    }
    return APR_SUCCESS;
}

void rh_publish_register(apr_pool_t *pool)
{
    (void)pool;
    APR_REGISTER_OPTIONAL_FN(resthooks_publish);
}
