/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_dial.h
 * @brief From a host to a connected socket: resolve, consult the egress policy, connect.
 *
 * Addresses are tried one after the other, the next one 250 ms after the last or as soon as one
 * fails; the first to connect wins (RFC 8305 §5). The policy judges each address directly before
 * the connection is made, so no response of a name server leads to an address that the policy
 * denies.
 */
#ifndef RH_DIAL_H
#define RH_DIAL_H

#include "rh_connection.h"
#include "rh_resolver.h"
#include "rh_transport.h"

/** Maximum number of sockets of one dial that connect at the same time. */
#define RH_DIAL_SOCKETS 4

/** Embedded in its owner; zero-initialised means idle. */
typedef struct rh_dial_t {
    rh_reactor_t *reactor;
    rh_resolver_t *resolver;
    rh_connections_t *connections; /**< idle connections that are closed when descriptors run out */
    apr_pool_t *pool;              /**< host name for error texts */
    const char *host;
    unsigned short port;
    const rh_egress_policy_t *policy;
    bool trusted; /**< the administrator named the host, so the policy is not consulted */

    /**
     * Exactly one of these is called, possibly from within rh_dial_start. The callback owns the
     * watch, of a connected socket.
     */
    void (*connected)(void *baton, rh_watch_t *watch);
    void (*failed)(void *baton, rh_exchange_result_t result, const char *error);
    void *baton;

    /* Private to the dial. */
    rh_query_t query;
    rh_addresses_t found;
    int next;
    apr_time_t asked;           /**< when the name was looked up, on the monotonic clock */
    apr_time_t answered;        /**< when its addresses were known; 0: not yet */
    const rh_address_t *trying; /**< the address that was tried last; NULL: none */
    apr_status_t status;        /**< error of the last address that could not be connected to */
    rh_timer_t stagger;
    rh_watch_t *sockets[RH_DIAL_SOCKETS];
} rh_dial_t;

void rh_dial_start(rh_dial_t *dial);

/** Give up without calling back. Does nothing if the dial has ended or never began. */
void rh_dial_stop(rh_dial_t *dial);

#endif
