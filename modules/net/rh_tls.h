/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_tls.h
 * @brief TLS of outgoing connections over a non-blocking socket, by OpenSSL.
 *
 * TLS 1.2 or later; the certificate and its name or address are always verified. Every call
 * clears the thread's error queue first, as httpd's own modules may have left something there, and
 * reads no more than its share (rh_wire.h), whatever the other side sends.
 */
#ifndef RH_TLS_H
#define RH_TLS_H

#include "rh_client.h"

#include <openssl/ssl.h>

/** Result of a call on a connection. */
typedef enum {
    RH_IO_OK,
    RH_IO_WANT_READ,  /**< call again once the socket is readable */
    RH_IO_WANT_WRITE, /**< call again once the socket is writable */
    RH_IO_CLOSED,     /**< closed by the other side, in order */
    RH_IO_RESET,      /**< the connection broke: rh_tls_status says how */
    RH_IO_FAILED      /**< TLS failed: rh_tls_reason says why */
} rh_io_t;

/** Receives a resumable session, and the reference to it. */
typedef void rh_tls_session_fn(void *baton, SSL_SESSION *session);

/** Set as the SSL's app data (SSL_set_app_data) by callers that want to receive sessions. */
typedef struct rh_tls_sink_t {
    rh_tls_session_fn *keep;
    void *baton;
} rh_tls_sink_t;

/**
 * Make the client's side of a connection.
 * @param host what the certificate must be for: a name, or an address without brackets
 * @param session one to resume, or NULL; stays the caller's
 * @return NULL if memory is short
 */
SSL *rh_tls_open(const rh_net_config_t *net, apr_socket_t *socket, const char *host,
                 bool is_address, SSL_SESSION *session);

rh_io_t rh_tls_handshake(SSL *tls);
rh_io_t rh_tls_read(SSL *tls, char *buffer, apr_size_t size, apr_size_t *len);
rh_io_t rh_tls_write(SSL *tls, const char *data, apr_size_t len, apr_size_t *written);

/** True if an idle connection has received only a few TLS messages of its own (tickets). */
bool rh_tls_is_idle(SSL *tls);

/** Explain why the last call failed: "TLS: certificate has expired", in `pool`. */
const char *rh_tls_reason(SSL *tls, apr_pool_t *pool);

/** Return how the socket failed in the last call; APR_SUCCESS: it did not. */
apr_status_t rh_tls_status(SSL *tls);

/** Send a close_notify if that costs nothing, and free the connection. The socket stays open. */
void rh_tls_close(SSL *tls);

#endif
