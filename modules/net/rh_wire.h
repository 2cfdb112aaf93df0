/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_wire.h
 * @brief An apr_socket_t as OpenSSL sees it, with a bound on what one call of OpenSSL reads.
 *
 * OpenSSL keeps reading as long as it receives messages that carry no application data:
 * HelloRequests during the handshake, tickets and key updates after it. A peer that sends such
 * messages faster than they are read would never let the call return, and the loop would serve no
 * other connection and see no time-out. So this BIO reports "no data" once a call has read its
 * share; the loop comes back to the socket in its next round.
 */
#ifndef RH_WIRE_H
#define RH_WIRE_H

#include "rh_base.h"

#include <apr_network_io.h>
#include <openssl/bio.h>

/**
 * @return NULL if memory is short; free it with BIO_meth_free, after every BIO that was made with
 * it
 */
BIO_METHOD *rh_wire_method(void);

/** The socket still belongs to the caller. @return NULL if memory is short */
BIO *rh_wire_open(const BIO_METHOD *method, apr_socket_t *socket);

/** Allow the next call of OpenSSL its share of reads. */
void rh_wire_begin(BIO *wire);

/** True if the call has used up its share, so that the socket may hold more. */
bool rh_wire_spent(BIO *wire);

/** Return how the socket failed during the call; APR_SUCCESS: it did not. */
apr_status_t rh_wire_status(BIO *wire);

#endif
