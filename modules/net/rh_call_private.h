/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_call_private.h
 * @brief The parts of a call, each of which calls only those below it: life and connecting
 * (rh_call.c), the tunnel through a proxy (rh_call_tunnel.c), TLS handshake, request and response
 * (rh_call_exchange.c), the end (rh_call_end.c). To connect again they call rh_call_t.reconnect.
 *
 * Each of these functions may end the call, so its caller must not use the call afterwards.
 */
#ifndef RH_CALL_PRIVATE_H
#define RH_CALL_PRIVATE_H

#include "rh_call.h"

/* rh_call_tunnel.c */

/** Ask the proxy for a tunnel, then continue with TLS. */
void rh_call_open_tunnel(rh_call_t *call);

/* rh_call_exchange.c */

/** Return the target that the proxy gets, in the exchange's pool: host[:port]. */
const char *rh_call_target(const rh_call_t *call, bool with_port);

/** Begin TLS, then send the request. */
void rh_call_secure(rh_call_t *call);

/** The connection is ready: begin to send the request. */
void rh_call_send_request(rh_call_t *call);

/** Send the rest of head and body. RH_IO_OK: all of it is sent. */
rh_io_t rh_call_send_rest(rh_call_t *call);

/** Wait for events on the connection. False: the call has ended. */
bool rh_call_wait(rh_call_t *call, apr_int16_t events);

/* rh_call_end.c */

void rh_call_drop_connection(rh_call_t *call);

/** The dial has ended, successfully or not: record how long its parts took, and its address. */
void rh_call_note_dial(rh_call_t *call);

/** TLS has ended, successfully or not: record how long it took. */
void rh_call_note_tls(rh_call_t *call);

/**
 * Handle a failed connection. If it had been idle, and the target cannot have seen the request, try
 * again on a new one; otherwise end the call.
 */
void rh_call_lost(rh_call_t *call, rh_exchange_result_t result, const char *error);

/** End the call because of a 407. */
void rh_call_refused_login(rh_call_t *call);

#endif
