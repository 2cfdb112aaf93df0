/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_call_private.h"

#include <limits.h>

/**
 * Give up idle connections this long before the server would, so that its close does not cross with
 * a request.
 */
#define IDLE_MARGIN apr_time_from_msec(500)
/** Maximum time that Keep-Alive may promise. */
#define IDLE_MAX_SECONDS 86400
/** A head and body of up to this size are sent together. */
#define TOGETHER_MAX_BYTES 16384
/** Reads of one response per event, before other connections get their turn. */
#define READS_PER_EVENT 16

/* ---- request and response ---- */

bool rh_call_wait(rh_call_t *call, apr_int16_t events)
{
    if (rh_watch_events(call->connection->watch, events) == APR_SUCCESS) {
        return true;
    }
    rh_call_end(call, RH_EXCHANGE_CONNECT, "the event loop can't watch the connection");
    return false;
}

rh_io_t rh_call_send_rest(rh_call_t *call)
{
    while (call->head.len + call->body.len) {
        rh_bytes_t *part = call->head.len ? &call->head : &call->body;
        apr_size_t sent;
        rh_io_t io = rh_connection_write(call->connection, part->data, part->len, &sent);

        if (io != RH_IO_OK) {
            return io;
        }
        if (call->phase == RH_PHASE_EXCHANGE && !call->exchange->sent_first_byte_at) {
            call->exchange->sent_first_byte_at = apr_time_now();
        }
        part->data += sent;
        part->len -= sent;
    }
    return RH_IO_OK;
}

/** The response is complete; the connection may be used again. */
static void succeed(rh_call_t *call, bool clean)
{
    const rh_http1_t *answer = &call->answer;
    rh_connection_t *connection = call->connection;

    if (call->proxy && !call->url.https && answer->status_code == 407) {
        rh_call_refused_login(call);
        return;
    }
    if (clean && answer->reusable && call->head.len + call->body.len == 0) {
        apr_int64_t seconds = answer->idle_seconds >= 0 && answer->idle_seconds < IDLE_MAX_SECONDS
                                  ? answer->idle_seconds
                                  : IDLE_MAX_SECONDS;

        call->connection = NULL;
        rh_connection_keep(connection, apr_time_from_sec(seconds) - IDLE_MARGIN);
    }
    rh_call_end(call, RH_EXCHANGE_OK, NULL);
}

static const char *reason_of(rh_call_t *call, rh_io_t io)
{
    return rh_connection_reason(call->connection, io, call->exchange->pool);
}

/** The connection was closed. If the response extends to the close, it is complete. */
static void end_reading(rh_call_t *call, rh_io_t io)
{
    rh_http1_result_t result = rh_http1_end(&call->answer);

    if (io != RH_IO_CLOSED) {
        rh_call_lost(call, io == RH_IO_FAILED ? RH_EXCHANGE_TLS : RH_EXCHANGE_RESET,
                     reason_of(call, io));
    } else if (result == RH_HTTP1_DONE) {
        succeed(call, false);
    } else {
        rh_call_lost(call, RH_EXCHANGE_RESET, call->answer.error);
    }
}

/**
 * Read what has arrived, at most `reads` times, so that other connections get their turn: a read
 * from TLS may return a single byte.
 * @return RH_IO_WANT_*: wait for more; any other value: the call has moved on or ended
 */
static rh_io_t read_response(rh_call_t *call, int reads)
{
    rh_calls_t *calls = call->calls;

    while (reads-- > 0) {
        apr_size_t len, used;
        rh_io_t io =
            rh_connection_read(call->connection, calls->buffer, sizeof(calls->buffer), &len);

        if (io == RH_IO_WANT_READ || io == RH_IO_WANT_WRITE) {
            return io;
        }
        if (io != RH_IO_OK) {
            end_reading(call, io);
            return RH_IO_OK;
        }
        if (!call->heard) {
            call->exchange->times.first_byte = rh_monotonic_now() - call->asked;
        }
        call->heard = true;
        switch (rh_http1_feed(&call->answer, calls->buffer, len, &used)) {
        case RH_HTTP1_MORE:
            break;
        case RH_HTTP1_DONE:
            succeed(call, used == len);
            return RH_IO_OK;
        default:
            rh_call_end(call, RH_EXCHANGE_PROTOCOL,
                        apr_pstrcat(call->exchange->pool,
                                    "not a valid answer: ", call->answer.error, NULL));
            return RH_IO_OK;
        }
    }
    /* The buffer holds a whole TLS record, so that unread data stays in the socket. */
    return RH_IO_WANT_READ;
}

/**
 * Send and read as far as possible. The response is read while the request is still being sent,
 * because a target that refuses a large request early responds and closes.
 */
static void exchange_ready(void *baton, rh_watch_t *watch, apr_int16_t events)
{
    rh_call_t *call = baton;
    rh_io_t sent = rh_call_send_rest(call), got;

    (void)watch;
    if (sent == RH_IO_OK && !(events & ~APR_POLLOUT)) {
        /* No response can have arrived yet. */
        (void)rh_call_wait(call, APR_POLLIN);
        return;
    }
    if (sent != RH_IO_OK && sent != RH_IO_WANT_READ && sent != RH_IO_WANT_WRITE) {
        const char *reason = reason_of(call, sent);

        /* Read only what arrived before the end. */
        got = read_response(call, INT_MAX);
        if (got != RH_IO_OK) {
            rh_call_lost(call, sent == RH_IO_FAILED ? RH_EXCHANGE_TLS : RH_EXCHANGE_SEND, reason);
        }
        return;
    }
    got = read_response(call, READS_PER_EVENT);
    if (got != RH_IO_OK) {
        bool out = sent == RH_IO_WANT_WRITE || got == RH_IO_WANT_WRITE;

        (void)rh_call_wait(call, out ? APR_POLLIN | APR_POLLOUT : APR_POLLIN);
    }
}

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

/** Make the text of the request. False: one of its fields cannot be sent. */
static bool make_request(rh_call_t *call)
{
    rh_exchange_t *exchange = call->exchange;
    bool absolute = call->proxy && !call->url.https;
    rh_http1_head_t parts = {
        .method = exchange->method ? exchange->method : "POST",
        .url = &call->url,
        .via = absolute ? rh_call_target(call, false) : NULL,
        .proxy_login = absolute ? call->proxy->login : NULL,
        .close = !call->calls->reuse,
        .headers = exchange->headers,
        .body_len = exchange->body.len,
    };
    rh_bytes_t head = rh_http1_request(exchange->pool, &parts);

    if (!head.data) {
        return false;
    }
    call->head = head;
    call->body = exchange->body;
    if (head.len + call->body.len <= TOGETHER_MAX_BYTES) {
        char *both = apr_palloc(exchange->pool, head.len + call->body.len);

        memcpy(both, head.data, head.len);
        if (call->body.len) {
            memcpy(both + head.len, call->body.data, call->body.len);
        }
        call->head.data = both;
        call->head.len += call->body.len;
        call->body.len = 0;
    }
    return true;
}

void rh_call_send_request(rh_call_t *call)
{
    rh_timers_disarm(rh_reactor_timers(call->calls->reactor), &call->connecting);
    rh_call_note_tls(call);
    call->phase = RH_PHASE_EXCHANGE;
    call->heard = false;
    call->asked = rh_monotonic_now();
    if (!make_request(call)) {
        rh_call_end(call, RH_EXCHANGE_SEND, "a header field of the request is malformed");
        return;
    }
    rh_http1_begin(&call->answer, call->exchange->pool, false);
    if (call->exchange->most_answer) {
        rh_http1_keep(&call->answer, call->exchange->most_answer);
    }
    rh_watch_handler(call->connection->watch, exchange_ready, call);
    exchange_ready(call, call->connection->watch, APR_POLLOUT);
}

/* ---- TLS ---- */

static void handshake_ready(void *baton, rh_watch_t *watch, apr_int16_t events)
{
    rh_call_t *call = baton;
    rh_io_t io = rh_tls_handshake(call->connection->tls);
    const char *reason;

    (void)watch;
    (void)events;
    switch (io) {
    case RH_IO_OK:
        rh_call_send_request(call);
        break;
    case RH_IO_WANT_READ:
        (void)rh_call_wait(call, APR_POLLIN);
        break;
    case RH_IO_WANT_WRITE:
        (void)rh_call_wait(call, APR_POLLOUT);
        break;
    case RH_IO_FAILED:
        rh_call_end(call, RH_EXCHANGE_TLS,
                    rh_tls_reason(call->connection->tls, call->exchange->pool));
        break;
    default:
        reason = "TLS: the connection was closed during the handshake";
        rh_call_end(call, RH_EXCHANGE_TLS, reason);
    }
}

void rh_call_secure(rh_call_t *call)
{
    call->phase = RH_PHASE_TLS;
    call->secured = rh_monotonic_now();
    if (!rh_connection_secure(call->connection, call->exchange->net, &call->url)) {
        rh_call_end(call, RH_EXCHANGE_TLS, "TLS: it can't be set up");
        return;
    }
    rh_watch_handler(call->connection->watch, handshake_ready, call);
    handshake_ready(call, call->connection->watch, 0);
}
