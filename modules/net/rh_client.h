/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_client.h
 * @brief The HTTP/1.1 client as a transport: resolve, check address, connect, TLS, send, read.
 *
 * RFC 9112 (HTTP/1.1), RFC 8305 (Happy Eyeballs), RFC 8446/5246 through OpenSSL.
 */
#ifndef RH_CLIENT_H
#define RH_CLIENT_H

#include "rh_egress.h"
#include "rh_transport.h"

/** Outbound settings of a virtual host. Built at configuration time, then read-only and shared. */
typedef struct rh_net_config_t {
    const rh_egress_policy_t *policy;
    const char *egress_proxy; /**< "http://host:port"; NULL: none, and the next three are ignored */
    const apr_array_header_t *egress_except; /**< of const char *, rules as in rh_egress_add:
                                                  targets that are connected to directly */
    const char *egress_auth;                 /**< "user:password" for the proxy; NULL: no login */
    bool egress_resolve_proxy;               /**< the proxy resolves names, and judges addresses */
    const char *tls_ca_file;                 /**< CA certificates, a PEM file; NULL: the system's */
    const char *tls_certificate;             /**< PEM files, NULL: none */
    const char *tls_key;
    void *tls;                      /**< SSL_CTX *, made by rh_net_config_init */
    const struct rh_proxy_t *proxy; /**< made from egress_proxy by rh_net_config_init */
} rh_net_config_t;

/**
 * Load CA, certificate and key into an SSL_CTX (TLS 1.2 or later, VERIFY_PEER, no
 * renegotiation, session cache for clients), and read the settings of the proxy; freed with `pool`.
 * @param error receives a line that names the file or the setting at fault
 */
apr_status_t rh_net_config_init(rh_net_config_t *net, apr_pool_t *pool, const char **error);

/** Limits of one client (one event loop). */
typedef struct rh_client_limits_t {
    int max_idle; /**< maximum number of idle connections of all keys */
    int max_idle_per_key;
    apr_interval_time_t idle_timeout; /**< how long an idle connection may stay open */
    /**
     * How long a connection is reused; limited so that new addresses of a name are noticed. 0: no
     * limit.
     */
    apr_interval_time_t connection_life;
    /** How long TLS sessions are resumed after the certificate was verified. */
    apr_interval_time_t session_life;
} rh_client_limits_t;

/**
 * Make a client in `pool`, which needs an allocator of its own and is used by the loop's thread
 * only. Destroying the pool closes all connections.
 */
apr_status_t rh_client_make(apr_pool_t *pool, const rh_client_limits_t *limits, const rh_log_t *log,
                            rh_transport_t **transport);

/** Initialise c-ares; once per process, before threads. Idempotent. */
apr_status_t rh_client_global_init(apr_pool_t *pool);

#endif
