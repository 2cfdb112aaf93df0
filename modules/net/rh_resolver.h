/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_resolver.h
 * @brief Names to addresses without blocking: c-ares, driven by a reactor, and a bounded cache.
 *
 * The hosts file and DNS, both families at once; where that takes more than a second, IPv4 alone is
 * asked for beside it, and serves until both have answered (RFC 8305 §3). Targets are absolute
 * names: search domains of resolv.conf are not tried. `localhost` and what is below it are
 * loopback, never asked for (RFC 6761 §6.3). Responses are cached for their TTL, limited to 1 s ...
 * 5 min; the absence of a name for 5 s, and the failure of all servers for 2 s. One thread only,
 * the reactor's.
 */
#ifndef RH_RESOLVER_H
#define RH_RESOLVER_H

#include "rh_reactor.h"

#include <apr_ring.h>

/** Maximum number of addresses of one name that are used. */
#define RH_MAX_ADDRESSES 16

/** The result for one name. */
typedef struct rh_addresses_t {
    int count;                              /**< 0: `error` says why */
    rh_address_t address[RH_MAX_ADDRESSES]; /**< alternating families, IPv6 first (RFC 8305 §4) */
    const char *error;                      /**< static: "the name does not exist" */
} rh_addresses_t;

typedef struct rh_resolver_t rh_resolver_t;

/** A query, embedded in its owner: it must stay until it is answered or forgotten. */
typedef struct rh_query_t {
    APR_RING_ENTRY(rh_query_t) link;
    /** Called once. The addresses, whose ports are 0, are valid only during the call. */
    void (*answered)(void *baton, const rh_addresses_t *addresses);
    void *baton;
    bool asked; /**< not answered yet */
} rh_query_t;

/** Make a resolver in the reactor's pool. Destroying the pool ends it without calling back. */
apr_status_t rh_resolver_make(apr_pool_t *pool, rh_reactor_t *reactor, rh_resolver_t **resolver);

/** Look up a name, or a literal address without brackets. May call back before it returns. */
void rh_resolver_ask(rh_resolver_t *resolver, const char *host, rh_query_t *query);

/** Cancel a query. Does nothing if it was answered. */
void rh_resolver_forget(rh_query_t *query);

/** Explain why a host has no address, as an error text in `pool`. */
const char *rh_resolver_error(apr_pool_t *pool, const char *host, const rh_addresses_t *addresses);

/** For tests: use these servers instead of those of resolv.conf: "127.0.0.1:5353,…". */
apr_status_t rh_resolver_set_servers(rh_resolver_t *resolver, const char *servers);

/** Initialise c-ares; once per process, before threads. Idempotent; undone with the pool. */
apr_status_t rh_resolver_global_init(apr_pool_t *pool);

#endif
