/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_call_private.h
 * @brief The three parts of a call: life and connecting (rh_call.c), the way through a proxy
 * (rh_call_tunnel.c), TLS handshake, request and response (rh_call_exchange.c).
 *
 * Each of these may end the call, which is gone from its ring then: nothing is done with it after.
 */
#ifndef RH_CALL_PRIVATE_H
#define RH_CALL_PRIVATE_H

#include "rh_call.h"

/* rh_call.c */

/** Connect to the proxy or the target, then go on. */
void rh_call_dial(rh_call_t *call);

void rh_call_drop_connection(rh_call_t *call);

/** TLS has ended, well or not: note how long it took. */
void rh_call_note_tls(rh_call_t *call);

/** The connection failed. If it had been idle, and the target can't have seen the request, try
 * again over a new one; else end the call. */
void rh_call_lost(rh_call_t *call, rh_exchange_result_t result, const char *error);

/* rh_call_tunnel.c */

/** Find an address for the proxy, and dial. */
void rh_call_find_target(rh_call_t *call);

/** Ask the proxy for a tunnel, then go on with TLS. */
void rh_call_open_tunnel(rh_call_t *call);

/** What the proxy is told to connect to, in the exchange's pool: host[:port]. */
const char *rh_call_target(const rh_call_t *call, bool with_port);

/** End the call because of a 407. */
void rh_call_refused_login(rh_call_t *call);

/* rh_call_exchange.c */

/** Begin TLS, then send the request. */
void rh_call_secure(rh_call_t *call);

/** The connection is ready for the request itself. */
void rh_call_send_request(rh_call_t *call);

/** Send what is left of head and body. RH_IO_OK: all is sent. */
rh_io_t rh_call_send_rest(rh_call_t *call);

/** Wait for these events on the connection. False: the call has ended. */
bool rh_call_wait(rh_call_t *call, apr_int16_t events);

#endif
