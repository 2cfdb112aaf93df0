/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_client.h"

#include "rh_call.h"

typedef struct client_t {
    rh_transport_t transport; /**< first, because callers hold a pointer to this member */
    rh_calls_t calls;
} client_t;

static rh_calls_t *calls_of(rh_transport_t *transport)
{
    return &((client_t *)transport)->calls;
}

/** Call `done` of the ended exchanges. It may destroy the pool that the call lives in. */
static void report_ended(rh_calls_t *calls)
{
    while (!APR_RING_EMPTY(&calls->ended, rh_call_t, link)) {
        rh_call_t *call = APR_RING_FIRST(&calls->ended);
        rh_exchange_t *exchange = call->exchange;

        APR_RING_REMOVE(call, link);
        exchange->done(exchange, exchange->baton);
    }
}

static void client_send(rh_transport_t *self, rh_exchange_t *exchange)
{
    rh_call_start(calls_of(self), exchange);
}

static apr_status_t client_poll(rh_transport_t *self, apr_interval_time_t timeout)
{
    rh_calls_t *calls = calls_of(self);
    apr_status_t status;

    rh_reactor_expire(calls->reactor);
    if (!APR_RING_EMPTY(&calls->ended, rh_call_t, link)) {
        timeout = 0;
    }
    status = rh_reactor_wait(calls->reactor, timeout);
    rh_reactor_expire(calls->reactor);
    report_ended(calls);
    return status;
}

static void client_wakeup(rh_transport_t *self)
{
    (void)rh_reactor_wakeup(calls_of(self)->reactor);
}

static void client_cancel_all(rh_transport_t *self)
{
    rh_calls_t *calls = calls_of(self);

    while (!APR_RING_EMPTY(&calls->active, rh_call_t, link)) {
        rh_call_end(APR_RING_FIRST(&calls->active), RH_EXCHANGE_CANCELLED, "cancelled");
    }
    report_ended(calls);
}

apr_status_t rh_client_make(apr_pool_t *pool, const rh_client_limits_t *limits, const rh_log_t *log,
                            rh_transport_t **transport)
{
    client_t *client = apr_pcalloc(pool, sizeof(*client));
    rh_calls_t *calls = &client->calls;
    apr_status_t status = rh_reactor_make(pool, &calls->reactor);

    if (status != APR_SUCCESS) {
        return status;
    }
    status = rh_resolver_make(pool, calls->reactor, &calls->resolver);
    if (status != APR_SUCCESS) {
        return status;
    }
    calls->connections = rh_connections_make(pool, calls->reactor, limits);
    calls->log = log;
    calls->reuse = limits->max_idle > 0 && limits->max_idle_per_key > 0;
    APR_RING_INIT(&calls->active, rh_call_t, link);
    APR_RING_INIT(&calls->ended, rh_call_t, link);
    client->transport.send = client_send;
    client->transport.poll = client_poll;
    client->transport.wakeup = client_wakeup;
    client->transport.cancel_all = client_cancel_all;
    *transport = &client->transport;
    return APR_SUCCESS;
}

apr_status_t rh_client_global_init(apr_pool_t *pool)
{
    return rh_resolver_global_init(pool);
}
