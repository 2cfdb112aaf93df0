/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_wire.h
 * @brief A non-blocking socket as OpenSSL sees it, with a bound on what one call of OpenSSL reads.
 *
 * OpenSSL reads on by itself while what comes is none of its caller's: HelloRequests during the
 * handshake, tickets and key updates behind it. A peer that sends such messages faster than they
 * are read would never let it return, and the loop would serve nobody else and see no time-out.
 * Here the socket runs dry when a call has read its share; the loop then comes back to it.
 */
#ifndef RH_WIRE_H
#define RH_WIRE_H

#include "rh_base.h"

#include <openssl/bio.h>

/** @return NULL if there is no memory; freed by BIO_meth_free, after all that were opened by it */
BIO_METHOD *rh_wire_method(void);

/** The descriptor stays the caller's. @return NULL if there is no memory */
BIO *rh_wire_open(const BIO_METHOD *method, int descriptor);

/** A call of OpenSSL begins: it may read its share. */
void rh_wire_begin(BIO *wire);

/** True if the call has read its share, so that it may have left something. */
bool rh_wire_spent(BIO *wire);

#endif
