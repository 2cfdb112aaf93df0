/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_resolver_private.h
 * @brief The two parts of a resolver: names (rh_resolver.c) and the channel through which c-ares
 * asks for them (rh_resolver_channel.c).
 */
#ifndef RH_RESOLVER_PRIVATE_H
#define RH_RESOLVER_PRIVATE_H

#include "rh_resolver.h"

#include <apr_hash.h>
#include <ares.h>

/** Maximum number of c-ares' sockets: two per server. */
#define RH_RESOLVER_MAX_SOCKETS 64

typedef struct entry_t {
    APR_RING_ENTRY(entry_t)
    link; /**< link in the ring of known (least recently used first) or
               spare entries */
    rh_resolver_t *resolver;
    char host[256];
    bool pending;    /**< queries are waiting */
    int outstanding; /**< number of open c-ares queries: the entry must stay */
    rh_timer_t both;
    apr_time_t expires;
    rh_addresses_t addresses;
    APR_RING_HEAD(rh_query_head_t, rh_query_t)
    queries; /**< waiting for the result */
} entry_t;

APR_RING_HEAD(entry_head_t, entry_t);

struct rh_resolver_t {
    apr_pool_t *pool;
    rh_reactor_t *reactor;
    ares_channel channel;
    const char *servers; /**< NULL: those of resolv.conf */
    apr_time_t opened_at;
    bool stale; /**< no server responded: resolv.conf may have changed */
    bool closing;
    int busy; /**< calls of c-ares in progress: its channel must stay */
    rh_timer_t timer;
    rh_watch_t *watches[RH_RESOLVER_MAX_SOCKETS];
    apr_hash_t *names;
    struct entry_head_t known, spare;
    int known_count, outstanding;
};

/** Open the channel, which reads resolv.conf. @return a status of c-ares */
int rh_resolver_open(rh_resolver_t *resolver);

/** Read resolv.conf again if that may help and no query is open. */
void rh_resolver_refresh(rh_resolver_t *resolver);

/** Set the timer to c-ares' next time-out. Call it after each query. */
void rh_resolver_rearm(rh_resolver_t *resolver);

#endif
