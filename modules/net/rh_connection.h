/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_connection.h
 * @brief The connections of one event loop: in use, or idle until the next request of their origin.
 *
 * An origin is the scope within which connections and TLS sessions are shared: one subscription's
 * host, port and scheme, under one virtual host's settings. It stays known while a call uses it,
 * while it has an idle connection, and while the bounded cache of TLS sessions holds its own.
 */
#ifndef RH_CONNECTION_H
#define RH_CONNECTION_H

#include "rh_client.h"
#include "rh_reactor.h"
#include "rh_tls.h"
#include "rh_url.h"

#include <apr_ring.h>

typedef struct rh_connections_t rh_connections_t;
typedef struct rh_origin_t rh_origin_t;

typedef struct rh_connection_t {
    APR_RING_ENTRY(rh_connection_t)
    link; /**< link in the ring of busy, idle (oldest first) or spare connections */
    APR_RING_ENTRY(rh_connection_t)
    same; /**< link in the origin's idle connections, newest
               first */
    rh_connections_t *home;
    rh_origin_t *origin;
    rh_watch_t *watch;
    SSL *tls;            /**< NULL: plain */
    apr_time_t made;     /**< when it was established */
    apr_time_t verified; /**< when the certificate behind the resumed session was verified */
    apr_status_t status; /**< cause of the last RH_IO_RESET */
    const struct rh_proxy_t *proxy; /**< the proxy it leads through; NULL: direct */
    bool via_address;               /**< the proxy was given `target`, an address, instead of a
                                         name */
    rh_address_t target;
    /** The address that its exchanges report: "192.0.2.1:443"; "": the proxy finds it. */
    char address[RH_EXCHANGE_ADDRESS_BYTES];
    rh_timer_t idle_timer;
    rh_tls_sink_t sink;
} rh_connection_t;

/** Make the connections of a loop in the reactor's pool; destroying that pool closes them. */
rh_connections_t *rh_connections_make(apr_pool_t *pool, rh_reactor_t *reactor,
                                      const rh_client_limits_t *limits);

/** Find or make the origin of a request; call rh_origin_leave after use.
 * @param scratch a pool for the key */
rh_origin_t *rh_origin_use(rh_connections_t *connections, apr_pool_t *scratch,
                           const rh_net_config_t *net, const char *reuse_key, const rh_url_t *url);

void rh_origin_leave(rh_origin_t *origin);

/** Take an idle connection that is still open; NULL: there is none. */
rh_connection_t *rh_connection_take(rh_origin_t *origin);

/** Make a connection from a connected socket, and take over its watch. */
rh_connection_t *rh_connection_make(rh_origin_t *origin, rh_watch_t *watch);

/** Begin TLS, resuming the origin's session if there is one. False: memory is short. */
bool rh_connection_secure(rh_connection_t *connection, const rh_net_config_t *net,
                          const rh_url_t *url);

rh_io_t rh_connection_read(rh_connection_t *connection, char *buffer, apr_size_t size,
                           apr_size_t *len);
rh_io_t rh_connection_write(rh_connection_t *connection, const char *data, apr_size_t len,
                            apr_size_t *written);

/** Explain why the last call returned RH_IO_CLOSED, _RESET or _FAILED, in `pool`. */
const char *rh_connection_reason(rh_connection_t *connection, rh_io_t io, apr_pool_t *pool);

/** Forget the session that it tried to resume, because the handshake failed. */
void rh_connection_distrust(rh_connection_t *connection);

/** Keep the connection for the next request, at most for `longest` and within the limits. */
void rh_connection_keep(rh_connection_t *connection, apr_interval_time_t longest);

void rh_connection_close(rh_connection_t *connection);

/** Close the oldest idle connection to free its descriptor. False: there is none. */
bool rh_connections_drop_oldest(rh_connections_t *connections);

#endif
