/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_call_private.h"

/* ---- which address the proxy gets ---- */

const char *rh_call_target(const rh_call_t *call, bool with_port)
{
    const rh_url_t *url = &call->url;
    bool port = with_port || url->port != (url->https ? 443 : 80);
    const rh_connection_t *connection = call->connection;
    char text[RH_ADDRESS_TEXT_BYTES];
    const char *host =
        connection->via_address ? rh_address_write(&connection->target, text) : url->host;

    return port ? apr_psprintf(call->exchange->pool, "%s:%hu", host, url->port)
                : apr_pstrdup(call->exchange->pool, host);
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
    rh_call_dial(call);
}

void rh_call_find_target(rh_call_t *call)
{
    const rh_url_t *url = &call->url;

    call->phase = RH_PHASE_RESOLVE;
    call->next_target = 0;
    call->targets = NULL;
    if (rh_egress_denies_host(call->exchange->net->policy, url->host)) {
        refuse_address(call);
    } else if (call->proxy->resolves && !url->ipv4_literal && !url->ipv6_literal) {
        rh_call_dial(call);
    } else {
        call->judge.answered = targets_found;
        call->judge.baton = call;
        rh_resolver_ask(call->calls->resolver, url->host, &call->judge);
    }
}

/* ---- the tunnel ---- */

void rh_call_refused_login(rh_call_t *call)
{
    call->phase = RH_PHASE_TUNNEL;
    rh_call_end(call, RH_EXCHANGE_CONNECT,
                call->proxy->login
                    ? "the egress proxy refused the login (407): check the file of auth="
                    : "the egress proxy asks for a login (407): auth= gives it one");
}

/** The proxy could not reach the address: try the next one. False: none is left. */
static bool try_next_target(rh_call_t *call, int status_code)
{
    if (status_code < 502 || status_code > 504 || !call->targets ||
        call->next_target + 1 >= call->targets->count) {
        return false;
    }
    call->next_target++;
    rh_call_drop_connection(call);
    rh_call_dial(call);
    return true;
}

static void tunnel_answered(rh_call_t *call, bool clean)
{
    int status_code = call->answer.status_code;

    if (status_code == 407) {
        rh_call_refused_login(call);
    } else if (status_code < 200 || status_code > 299) {
        if (!try_next_target(call, status_code)) {
            rh_call_end(call, RH_EXCHANGE_CONNECT,
                        apr_psprintf(call->exchange->pool,
                                     "the egress proxy responded with %d to CONNECT", status_code));
        }
    } else if (!clean) {
        rh_call_end(call, RH_EXCHANGE_PROTOCOL, "the egress proxy sent more than its answer");
    } else {
        rh_call_secure(call);
    }
}

static void tunnel_ready(void *baton, rh_watch_t *watch, apr_int16_t events)
{
    rh_call_t *call = baton;
    char *buffer = call->calls->buffer;
    apr_size_t len, used = 0;
    rh_io_t io = rh_call_send_rest(call);

    (void)watch;
    (void)events;
    if (io == RH_IO_OK) {
        io = rh_connection_read(call->connection, buffer, RH_READ_SIZE, &len);
    }
    if (io == RH_IO_WANT_READ || io == RH_IO_WANT_WRITE) {
        (void)rh_call_wait(call, io == RH_IO_WANT_READ ? APR_POLLIN : APR_POLLOUT);
        return;
    }
    if (io != RH_IO_OK) {
        rh_call_end(call, RH_EXCHANGE_CONNECT,
                    apr_pstrcat(call->exchange->pool, "egress proxy: ",
                                rh_connection_reason(call->connection, io, call->exchange->pool),
                                NULL));
        return;
    }
    (void)rh_http1_feed(&call->answer, buffer, len, &used);
    if (call->answer.error) {
        rh_call_end(call, RH_EXCHANGE_CONNECT,
                    apr_pstrcat(call->exchange->pool, "the egress proxy's answer is not valid: ",
                                call->answer.error, NULL));
    } else if (call->answer.header_done) {
        tunnel_answered(call, used == len);
    } else {
        (void)rh_call_wait(call, APR_POLLIN);
    }
}

void rh_call_open_tunnel(rh_call_t *call)
{
    call->phase = RH_PHASE_TUNNEL;
    call->head =
        rh_http1_connect(call->exchange->pool, rh_call_target(call, true), call->proxy->login);
    call->body.len = 0;
    rh_http1_begin(&call->answer, call->exchange->pool, true);
    rh_watch_handler(call->connection->watch, tunnel_ready, call);
    tunnel_ready(call, call->connection->watch, APR_POLLOUT);
}
