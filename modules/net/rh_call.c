/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_call_private.h"

/** Time-out of an exchange that names none, so that nothing waits for ever. */
#define DEFAULT_TIMEOUT apr_time_from_sec(15)

/* ---- time-outs ---- */

static const char *phase_text(const rh_call_t *call)
{
    switch (call->phase) {
    case RH_PHASE_RESOLVE:
        return "looking up the name";
    case RH_PHASE_CONNECT:
        return call->proxy ? "connecting to the egress proxy" : "connecting";
    case RH_PHASE_TUNNEL:
        return "waiting for the egress proxy";
    case RH_PHASE_TLS:
        return "TLS handshake";
    default:
        return call->head.len + call->body.len ? "sending the request"
               : call->heard                   ? "reading the answer"
                                               : "waiting for an answer";
    }
}

static void time_out(rh_call_t *call, apr_interval_time_t limit)
{
    rh_phase_t phase =
        call->phase == RH_PHASE_CONNECT && call->dial.query.asked ? RH_PHASE_RESOLVE : call->phase;

    call->phase = phase;
    rh_call_end(call, RH_EXCHANGE_TIMEOUT,
                apr_psprintf(call->exchange->pool, "time-out after %.1f s: %s",
                             (double)limit / APR_USEC_PER_SEC, phase_text(call)));
}

static void whole_over(void *baton)
{
    rh_call_t *call = baton;

    time_out(call, call->exchange->timeout);
}

static void connecting_over(void *baton)
{
    rh_call_t *call = baton;

    time_out(call, call->exchange->connect_timeout);
}

/* ---- the way there ---- */

/** Note what a new connection goes to. Written once for all of its exchanges. */
static void name_connection(rh_call_t *call)
{
    rh_connection_t *connection = call->connection;
    rh_address_t address;

    if (call->proxy && call->targets) {
        connection->via_address = true;
        connection->target = call->targets->address[call->next_target];
        (void)rh_address_write_port(&connection->target, call->url.port, connection->address);
    } else if (!call->proxy &&
               rh_address_of_os(&rh_watch_socket(connection->watch)->peer.sa, &address)) {
        (void)rh_address_write_port(&address, call->url.port, connection->address);
    }
}

/** Note for the exchange what its connection goes to. */
static void note_connection(rh_call_t *call)
{
    memcpy(call->exchange->address, call->connection->address, sizeof(call->exchange->address));
}

static void connected(void *baton, rh_watch_t *watch)
{
    rh_call_t *call = baton;

    call->connection = rh_connection_make(call->origin, watch);
    call->connection->proxy = call->proxy;
    name_connection(call);
    rh_call_note_dial(call);
    note_connection(call);
    if (!call->url.https) {
        rh_call_send_request(call);
    } else if (call->proxy) {
        rh_call_open_tunnel(call);
    } else {
        rh_call_secure(call);
    }
}

static void not_connected(void *baton, rh_exchange_result_t result, const char *error)
{
    rh_call_t *call = baton;

    rh_call_end(call, result,
                call->proxy ? apr_pstrcat(call->exchange->pool, "egress proxy: ", error, NULL)
                            : error);
}

static void dial_host(rh_call_t *call)
{
    rh_dial_t *dial = &call->dial;
    const rh_url_t *url = call->proxy ? &call->proxy->url : &call->url;

    call->phase = RH_PHASE_CONNECT;
    memset(dial, 0, sizeof(*dial));
    dial->reactor = call->calls->reactor;
    dial->resolver = call->calls->resolver;
    dial->connections = call->calls->connections;
    dial->pool = call->exchange->pool;
    dial->host = url->host;
    dial->port = url->port;
    dial->policy = call->exchange->net->policy;
    dial->trusted = call->proxy != NULL;
    dial->connected = connected;
    dial->failed = not_connected;
    dial->baton = call;
    rh_dial_start(dial);
}

static void refuse_address(rh_call_t *call)
{
    rh_call_end(call, RH_EXCHANGE_REFUSED_ADDRESS,
                apr_psprintf(call->exchange->pool, "refused: the address of %s is not allowed",
                             call->url.host));
}

static void targets_found(void *baton, const rh_addresses_t *found)
{
    rh_call_t *call = baton;
    const rh_egress_policy_t *policy = call->exchange->net->policy;

    if (found->count == 0) {
        rh_call_end(call, RH_EXCHANGE_RESOLVE,
                    rh_resolver_error(call->exchange->pool, call->url.host, found));
        return;
    }
    call->targets = apr_palloc(call->exchange->pool, sizeof(*call->targets));
    rh_proxy_choose(call->proxy, policy, call->url.host, found, call->targets);
    if (call->targets->count == 0) {
        refuse_address(call);
        return;
    }
    if (call->targets->direct) {
        call->proxy = NULL;
    }
    dial_host(call);
}

/** Find an address for the proxy, then dial. */
static void find_target(rh_call_t *call)
{
    const rh_url_t *url = &call->url;

    call->phase = RH_PHASE_RESOLVE;
    call->next_target = 0;
    call->targets = NULL;
    if (rh_egress_denies_host(call->exchange->net->policy, url->host)) {
        refuse_address(call);
    } else if (call->proxy->resolves && !url->ipv4_literal && !url->ipv6_literal) {
        dial_host(call);
    } else {
        call->judge.answered = targets_found;
        call->judge.baton = call;
        rh_resolver_ask(call->calls->resolver, url->host, &call->judge);
    }
}

static void open_connection(rh_call_t *call)
{
    rh_exchange_t *exchange = call->exchange;
    const rh_proxy_t *proxy = exchange->net->proxy;

    call->connection = call->retried ? NULL : rh_connection_take(call->origin);
    call->reused = call->connection != NULL;
    if (call->reused) {
        call->proxy = call->connection->proxy;
        note_connection(call);
        rh_call_send_request(call);
        return;
    }
    if (exchange->connect_timeout > 0) {
        rh_timers_arm(rh_reactor_timers(call->calls->reactor), &call->connecting,
                      rh_monotonic_now() + exchange->connect_timeout);
    }
    call->proxy = proxy && !rh_egress_names(proxy->except, call->url.host, NULL) ? proxy : NULL;
    if (call->proxy) {
        find_target(call);
    } else {
        dial_host(call);
    }
}

/** Connect again: after a refused tunnel to the next address, otherwise from the beginning. */
static void reconnect(rh_call_t *call)
{
    rh_call_drop_connection(call);
    if (call->phase == RH_PHASE_TUNNEL) {
        call->next_target++;
        dial_host(call);
    } else {
        call->retried = true;
        open_connection(call);
    }
}

void rh_call_start(rh_calls_t *calls, rh_exchange_t *exchange)
{
    rh_call_t *call = apr_pcalloc(exchange->pool, sizeof(*call));
    const char *error = NULL;

    call->calls = calls;
    call->exchange = exchange;
    call->reconnect = reconnect;
    call->began = rh_monotonic_now();
    exchange->started_at = apr_time_now();
    exchange->sent_first_byte_at = 0;
    exchange->address[0] = '\0';
    exchange->times = (rh_exchange_times_t){-1, -1, -1, -1};
    if (exchange->timeout <= 0) {
        exchange->timeout = DEFAULT_TIMEOUT;
    }
    APR_RING_INSERT_TAIL(&calls->active, call, rh_call_t, link);
    call->whole.fire = whole_over;
    call->whole.baton = call;
    call->connecting.fire = connecting_over;
    call->connecting.baton = call;
    if (rh_url_parse(exchange->pool, exchange->url, strlen(exchange->url), &call->url, &error) !=
        APR_SUCCESS) {
        rh_call_end(call, RH_EXCHANGE_BAD_URL, apr_pstrcat(exchange->pool, "URL: ", error, NULL));
        return;
    }
    rh_timers_arm(rh_reactor_timers(calls->reactor), &call->whole, call->began + exchange->timeout);
    call->origin = rh_origin_use(calls->connections, exchange->pool, exchange->net,
                                 exchange->reuse_key, &call->url);
    open_connection(call);
}
