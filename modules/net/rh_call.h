/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_call.h
 * @brief One exchange in progress: a connection, the request, the response.
 *
 *   (proxy: find an address for it) → dial → (CONNECT) → (TLS) → send and read → ended
 *
 * or send and read at once on an idle connection of the origin. If that one turns out to be closed
 * before a byte of a response came, everything is repeated once over a new connection, but only if
 * the close is noticed soon, as when a target has ended an idle connection. A target that closes
 * later may have acted on the request.
 *
 * A proxy is given the address that was judged here (rh_proxy.h).
 */
#ifndef RH_CALL_H
#define RH_CALL_H

#include "rh_connection.h"
#include "rh_dial.h"
#include "rh_http1.h"
#include "rh_proxy.h"
#include "rh_transport.h"

/** Maximum number of bytes of one read. */
#define RH_READ_SIZE 32768

typedef struct rh_call_t rh_call_t;

APR_RING_HEAD(rh_call_head_t, rh_call_t);

/** State shared by the calls of one loop. */
typedef struct rh_calls_t {
    rh_reactor_t *reactor;
    rh_resolver_t *resolver;
    rh_connections_t *connections;
    const rh_log_t *log;
    bool reuse;                   /**< connections are kept */
    struct rh_call_head_t active; /**< calls in progress */
    struct rh_call_head_t ended;  /**< ended calls whose `done` has not been called yet */
    char buffer[RH_READ_SIZE];
} rh_calls_t;

/** The state of a call, for the text of a time-out. */
typedef enum {
    RH_PHASE_RESOLVE,
    RH_PHASE_CONNECT,
    RH_PHASE_TUNNEL,
    RH_PHASE_TLS,
    RH_PHASE_EXCHANGE
} rh_phase_t;

/** Lives in the exchange's pool, on the ring of the active or of the ended calls. */
struct rh_call_t {
    APR_RING_ENTRY(rh_call_t) link;
    rh_calls_t *calls;
    rh_exchange_t *exchange;
    apr_time_t began; /**< start of the time-out, on the monotonic clock */
    rh_url_t url;
    const rh_proxy_t *proxy; /**< NULL: the connection is direct */
    rh_phase_t phase;
    rh_origin_t *origin;
    rh_query_t judge;
    /** Opens another connection, for the parts below rh_call.c; the call may have ended then. */
    void (*reconnect)(rh_call_t *call);
    rh_proxy_targets_t *targets; /**< target that the proxy gets; NULL: the name */
    int next_target;
    rh_dial_t dial;
    rh_connection_t *connection;
    bool reused;        /**< the connection was idle before this call */
    bool retried;       /**< the target closed an idle connection during this call */
    bool heard;         /**< at least one byte of the response has arrived */
    apr_time_t secured; /**< when TLS began on this connection; 0: no TLS */
    apr_time_t asked;   /**< when the request was first sent on this connection */
    rh_timer_t whole, connecting;
    rh_bytes_t head, body; /**< unsent rest of the request or of CONNECT */
    rh_http1_t answer;
};

/** Begin a call. It may be on the ring of ended calls before this returns. */
void rh_call_start(rh_calls_t *calls, rh_exchange_t *exchange);

/** End an active call. @param error static or in the exchange's pool */
void rh_call_end(rh_call_t *call, rh_exchange_result_t result, const char *error);

#endif
