/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_call_private.h"

/** The proxy could not reach the address: try the next one. False: none is left. */
static bool try_next_target(rh_call_t *call, int status_code)
{
    if (status_code < 502 || status_code > 504 || !call->targets ||
        call->next_target + 1 >= call->targets->count) {
        return false;
    }
    call->reconnect(call);
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
