/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_call.h"

#include <limits.h>

/** For an exchange that names no time-out: nothing waits for ever. */
#define DEFAULT_TIMEOUT apr_time_from_sec(15)
/** Ahead of the server's own end of an idle connection, which would cross with a request. */
#define IDLE_MARGIN apr_time_from_msec(500)
/** An idle connection that was closed shows it within so long, resent segments included. */
#define STALE apr_time_from_sec(2)
/** Head and body up to this size leave together. */
#define TOGETHER 16384
/** Reads of one answer until others have their turn. */
#define TURNS 16

static void open_connection(rh_call_t *call);
static void send_request(rh_call_t *call);
static void secure(rh_call_t *call);

/* ---- the end ---- */

static void drop_connection(rh_call_t *call)
{
    if (call->connection) {
        rh_connection_close(call->connection);
        call->connection = NULL;
    }
}

static void fill(rh_call_t *call, rh_exchange_result_t result, const char *error)
{
    rh_exchange_t *exchange = call->exchange;
    const rh_http1_t *answer = &call->answer;

    exchange->result = result;
    exchange->duration = rh_monotonic_now() - call->began;
    if (result == RH_EXCHANGE_OK) {
        exchange->error = NULL;
        exchange->status_code = answer->status_code;
        exchange->answer_headers = answer->headers;
        exchange->answer.data = answer->body;
        exchange->answer.len = answer->body_len;
        return;
    }
    exchange->status_code = 0;
    exchange->answer_headers = NULL;
    exchange->answer.data = NULL;
    exchange->answer.len = 0;
    exchange->error = error;
    if (answer->header_done && call->phase == RH_PHASE_EXCHANGE) {
        exchange->error =
            apr_psprintf(exchange->pool, "%s (its status was %d)", error, answer->status_code);
    }
}

void rh_call_end(rh_call_t *call, rh_exchange_result_t result, const char *error)
{
    rh_calls_t *calls = call->calls;
    rh_timers_t *timers = rh_reactor_timers(calls->reactor);

    rh_timers_disarm(timers, &call->whole);
    rh_timers_disarm(timers, &call->connecting);
    rh_resolver_forget(&call->judge);
    rh_dial_stop(&call->dial);
    if (call->connection && call->phase == RH_PHASE_TLS) {
        rh_connection_distrust(call->connection);
    }
    drop_connection(call);
    if (call->origin) {
        rh_origin_leave(call->origin);
        call->origin = NULL;
    }
    fill(call, result, error);
    APR_RING_REMOVE(call, link);
    APR_RING_INSERT_TAIL(&calls->ended, call, rh_call_t, link);
}

/** The answer is whole; its connection may serve again. */
static void succeed(rh_call_t *call, bool clean)
{
    const rh_http1_t *answer = &call->answer;
    rh_connection_t *connection = call->connection;

    if (clean && answer->reusable && call->head.len + call->body.len == 0) {
        apr_interval_time_t longest = answer->idle_seconds >= 0 && answer->idle_seconds < 86400
                                          ? apr_time_from_sec(answer->idle_seconds) - IDLE_MARGIN
                                          : apr_time_from_sec(86400);

        call->connection = NULL;
        rh_connection_keep(connection, longest);
    }
    rh_call_end(call, RH_EXCHANGE_OK, NULL);
}

/** The connection failed. If it was an idle one that nobody had yet missed: again. */
static void lose(rh_call_t *call, rh_exchange_result_t result, const char *error)
{
    if (!call->reused || call->heard || call->retried || rh_monotonic_now() - call->asked > STALE) {
        rh_call_end(call, result, error);
        return;
    }
    rh_log(call->calls->log, RH_LOG_DEBUG, APR_SUCCESS, "RH0201",
           "an idle connection to %s was closed: %s; trying a new one", call->url.authority, error);
    drop_connection(call);
    call->retried = true;
    open_connection(call);
}

static void lose_by(rh_call_t *call, rh_io_t io, rh_exchange_result_t result)
{
    const char *reason = rh_connection_reason(call->connection, io, call->exchange->pool);

    lose(call, io == RH_IO_FAILED ? RH_EXCHANGE_TLS : result, reason);
}

static const char *phase_text(const rh_call_t *call)
{
    switch (call->phase) {
    case RH_PHASE_RESOLVE:
        return "looking up the name";
    case RH_PHASE_CONNECT:
        return call->via_proxy ? "connecting to the egress proxy" : "connecting";
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

/* ---- request and answer ---- */

/** Wait for an answer, and for room where something is left to send. False: the call has ended. */
static bool wait_for(rh_call_t *call, apr_int16_t events)
{
    if (rh_watch_events(call->connection->watch, events) == APR_SUCCESS) {
        return true;
    }
    rh_call_end(call, RH_EXCHANGE_CONNECT, "the event loop can't watch the connection");
    return false;
}

/** Send what is left. RH_IO_OK: all is sent. */
static rh_io_t send_some(rh_call_t *call)
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

/** An answer that can't be read on. */
static void spoil(rh_call_t *call, rh_io_t io)
{
    rh_http1_result_t result = rh_http1_end(&call->answer);

    if (io == RH_IO_CLOSED && result == RH_HTTP1_DONE) {
        succeed(call, false);
    } else if (io == RH_IO_CLOSED) {
        lose(call, RH_EXCHANGE_RESET, call->answer.error);
    } else {
        lose_by(call, io, RH_EXCHANGE_RESET);
    }
}

/**
 * Read what is there, in so many turns that others have theirs too: by TLS a turn may bring a
 * single byte. RH_IO_WANT_*: wait for more; anything else: the call has gone on or ended.
 */
static rh_io_t read_some(rh_call_t *call, int turns)
{
    rh_calls_t *calls = call->calls;

    while (turns-- > 0) {
        apr_size_t len, used;
        rh_io_t io =
            rh_connection_read(call->connection, calls->buffer, sizeof(calls->buffer), &len);

        if (io == RH_IO_WANT_READ || io == RH_IO_WANT_WRITE) {
            return io;
        }
        if (io != RH_IO_OK) {
            spoil(call, io);
            return RH_IO_OK;
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
    /* The buffer takes a whole record of TLS, so that what is left is in the socket. */
    return RH_IO_WANT_READ;
}

/**
 * Send and read as far as it goes. The answer is read while the request is still being sent: a
 * target that refuses a large one early says so and closes.
 */
static void exchange_ready(void *baton, rh_watch_t *watch, apr_int16_t events)
{
    rh_call_t *call = baton;
    rh_io_t sent = send_some(call), got;

    (void)watch;
    if (sent == RH_IO_OK && !(events & ~APR_POLLOUT)) {
        /* Nothing can have come yet. */
        (void)wait_for(call, APR_POLLIN);
        return;
    }
    if (sent != RH_IO_OK && sent != RH_IO_WANT_READ && sent != RH_IO_WANT_WRITE) {
        const char *reason = rh_connection_reason(call->connection, sent, call->exchange->pool);

        /* No more than what came before the end. */
        got = read_some(call, INT_MAX);
        if (got != RH_IO_OK) {
            lose(call, sent == RH_IO_FAILED ? RH_EXCHANGE_TLS : RH_EXCHANGE_SEND, reason);
        }
        return;
    }
    got = read_some(call, TURNS);
    if (got != RH_IO_OK) {
        bool out = sent == RH_IO_WANT_WRITE || got == RH_IO_WANT_WRITE;

        (void)wait_for(call, out ? APR_POLLIN | APR_POLLOUT : APR_POLLIN);
    }
}

/** Lay out the request. False: a field of it can't be sent. */
static bool make_request(rh_call_t *call)
{
    rh_exchange_t *exchange = call->exchange;
    bool absolute = call->via_proxy && !call->url.https;
    rh_bytes_t head =
        rh_http1_request(exchange->pool, exchange->method ? exchange->method : "POST", &call->url,
                         absolute, !call->calls->reuse, exchange->headers, exchange->body.len);

    if (!head.data) {
        return false;
    }
    call->head = head;
    call->body = exchange->body;
    if (head.len + call->body.len <= TOGETHER) {
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

/** The connection is ready for the request itself. */
static void send_request(rh_call_t *call)
{
    rh_timers_disarm(rh_reactor_timers(call->calls->reactor), &call->connecting);
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
        send_request(call);
        break;
    case RH_IO_WANT_READ:
        (void)wait_for(call, APR_POLLIN);
        break;
    case RH_IO_WANT_WRITE:
        (void)wait_for(call, APR_POLLOUT);
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

static void secure(rh_call_t *call)
{
    call->phase = RH_PHASE_TLS;
    if (!rh_connection_secure(call->connection, call->exchange->net, &call->url)) {
        rh_call_end(call, RH_EXCHANGE_TLS, "TLS: it can't be set up");
        return;
    }
    rh_watch_handler(call->connection->watch, handshake_ready, call);
    handshake_ready(call, call->connection->watch, 0);
}

/* ---- the way there ---- */

static void tunnel_answered(rh_call_t *call, bool clean)
{
    int status_code = call->answer.status_code;

    if (status_code < 200 || status_code > 299) {
        rh_call_end(call, RH_EXCHANGE_CONNECT,
                    apr_psprintf(call->exchange->pool, "the egress proxy answered %d to CONNECT",
                                 status_code));
    } else if (!clean) {
        rh_call_end(call, RH_EXCHANGE_PROTOCOL, "the egress proxy sent more than its answer");
    } else {
        secure(call);
    }
}

static void tunnel_ready(void *baton, rh_watch_t *watch, apr_int16_t events)
{
    rh_call_t *call = baton;
    char *buffer = call->calls->buffer;
    apr_size_t len, used = 0;
    rh_io_t io = send_some(call);

    (void)watch;
    (void)events;
    if (io == RH_IO_OK) {
        io = rh_connection_read(call->connection, buffer, RH_READ_SIZE, &len);
    }
    if (io == RH_IO_WANT_READ || io == RH_IO_WANT_WRITE) {
        (void)wait_for(call, io == RH_IO_WANT_READ ? APR_POLLIN : APR_POLLOUT);
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
        (void)wait_for(call, APR_POLLIN);
    }
}

static void open_tunnel(rh_call_t *call)
{
    call->phase = RH_PHASE_TUNNEL;
    call->head = rh_http1_connect(call->exchange->pool, &call->url);
    call->body.len = 0;
    rh_http1_begin(&call->answer, call->exchange->pool, true);
    rh_watch_handler(call->connection->watch, tunnel_ready, call);
    tunnel_ready(call, call->connection->watch, APR_POLLOUT);
}

static void connected(void *baton, rh_watch_t *watch)
{
    rh_call_t *call = baton;

    call->connection = rh_connection_make(call->origin, watch);
    if (!call->url.https) {
        send_request(call);
    } else if (call->via_proxy) {
        open_tunnel(call);
    } else {
        secure(call);
    }
}

static void not_connected(void *baton, rh_exchange_result_t result, const char *error)
{
    rh_call_t *call = baton;

    rh_call_end(call, result,
                call->via_proxy ? apr_pstrcat(call->exchange->pool, "egress proxy: ", error, NULL)
                                : error);
}

static void dial(rh_call_t *call)
{
    rh_dial_t *it = &call->dial;

    call->phase = RH_PHASE_CONNECT;
    memset(it, 0, sizeof(*it));
    it->reactor = call->calls->reactor;
    it->resolver = call->calls->resolver;
    it->connections = call->calls->connections;
    it->pool = call->exchange->pool;
    it->host = call->via_proxy ? call->proxy.host : call->url.host;
    it->port = call->via_proxy ? call->proxy.port : call->url.port;
    it->policy = call->exchange->net->policy;
    it->trusted = call->via_proxy;
    it->connected = connected;
    it->failed = not_connected;
    it->baton = call;
    rh_dial_start(it);
}

/** The target's addresses as seen from here, before a proxy finds them for itself. */
static void judged(void *baton, const rh_addresses_t *addresses)
{
    rh_call_t *call = baton;
    const rh_egress_policy_t *policy = call->exchange->net->policy;
    bool allowed = !rh_egress_denies_host(policy, call->url.host);

    for (int i = 0; allowed && i < addresses->count; i++) {
        allowed = rh_egress_allows(policy, call->url.host, &addresses->address[i]);
    }
    if (!allowed) {
        rh_call_end(call, RH_EXCHANGE_REFUSED_ADDRESS,
                    apr_psprintf(call->exchange->pool, "refused: the address of %s is not allowed",
                                 call->url.host));
        return;
    }
    dial(call);
}

static void open_connection(rh_call_t *call)
{
    rh_exchange_t *exchange = call->exchange;

    call->connection = call->retried ? NULL : rh_connection_take(call->origin);
    call->reused = call->connection != NULL;
    if (call->reused) {
        send_request(call);
        return;
    }
    if (exchange->connect_timeout > 0) {
        rh_timers_arm(rh_reactor_timers(call->calls->reactor), &call->connecting,
                      rh_monotonic_now() + exchange->connect_timeout);
    }
    if (!call->via_proxy) {
        dial(call);
        return;
    }
    call->phase = RH_PHASE_RESOLVE;
    call->judge.answered = judged;
    call->judge.baton = call;
    rh_resolver_ask(call->calls->resolver, call->url.host, &call->judge);
}

/** Read the URLs. @return NULL, or why it can't be */
static const char *read_urls(rh_call_t *call)
{
    rh_exchange_t *exchange = call->exchange;
    const char *proxy = exchange->net->egress_proxy, *reason = NULL;

    if (rh_url_parse(exchange->pool, exchange->url, strlen(exchange->url), &call->url, &reason) !=
        APR_SUCCESS) {
        return apr_pstrcat(exchange->pool, "URL: ", reason, NULL);
    }
    call->via_proxy = proxy != NULL;
    if (proxy &&
        rh_url_parse(exchange->pool, proxy, strlen(proxy), &call->proxy, &reason) != APR_SUCCESS) {
        return apr_pstrcat(exchange->pool, "the egress proxy's URL: ", reason, NULL);
    }
    return NULL;
}

void rh_call_start(rh_calls_t *calls, rh_exchange_t *exchange)
{
    rh_call_t *call = apr_pcalloc(exchange->pool, sizeof(*call));
    const char *error;

    call->calls = calls;
    call->exchange = exchange;
    call->began = rh_monotonic_now();
    exchange->started_at = apr_time_now();
    exchange->sent_first_byte_at = 0;
    if (exchange->timeout <= 0) {
        exchange->timeout = DEFAULT_TIMEOUT;
    }
    APR_RING_INSERT_TAIL(&calls->active, call, rh_call_t, link);
    call->whole.fire = whole_over;
    call->whole.baton = call;
    call->connecting.fire = connecting_over;
    call->connecting.baton = call;
    error = read_urls(call);
    if (error) {
        rh_call_end(call, RH_EXCHANGE_BAD_URL, error);
        return;
    }
    rh_timers_arm(rh_reactor_timers(calls->reactor), &call->whole, call->began + exchange->timeout);
    call->origin = rh_origin_use(calls->connections, exchange->pool, exchange->net,
                                 exchange->reuse_key, &call->url);
    open_connection(call);
}
