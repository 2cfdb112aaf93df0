/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_hosts.h
 * @brief Attempts in flight by host and port, over all loops of a process
 * (RestHooksHostConcurrency).
 *
 * A receiver may serve the subscriptions of many tenants, each within its own limits, and be
 * overrun by all of them together. So every attempt takes a slot of its host and port as well.
 * These are shared in the same way as a loop's slots are (rh_share.h): no class and no tenant can
 * take all of them, so one tenant's targets that hang at a large receiver do not keep others from
 * it.
 *
 * One mutex guards the table and every count in it. A loop that finds no slot is remembered at the
 * host under that mutex, and woken by the next slot that is given back:
 *
 *   1  loop one looks: no slot is free
 *   2  loop two gives one back; no loop waits, so none is woken
 *   3  loop one waits, for ever
 *
 * can't happen, because rh_host_wait (step 3) fails if anything was given back after rh_host_gives
 * was read before step 1.
 *
 * A record lives as long as an endpoint or a job refers to it, so there are never more of them than
 * loops remember endpoints and the engine holds jobs.
 */
#ifndef RH_HOSTS_H
#define RH_HOSTS_H

#include "rh_share.h"

typedef struct rh_hosts_t rh_hosts_t;

/** A tenant at one host and port. */
typedef struct rh_host_t rh_host_t;

/**
 * @param pool used under the table's mutex alone: it has an allocator of its own
 * @param wake called with the number of a loop (0-63) that waited for a slot, from the thread that
 * gives one back, without the mutex
 */
apr_status_t rh_hosts_make(apr_pool_t *pool, void (*wake)(void *baton, int loop), void *baton,
                           rh_hosts_t **hosts);

/**
 * Refer to a tenant at a host.
 * @param name "host:port"
 * @return NULL when memory is short
 */
rh_host_t *rh_host_hold(rh_hosts_t *hosts, const char *name, const char *tenant);
/** Refer to it once more. @return it */
rh_host_t *rh_host_share(rh_host_t *host);
/** A reference is not used any more; no slot is taken through the last one. */
void rh_host_release(rh_host_t *host);

/** Return an address that identifies the host and port; only to be compared. */
const void *rh_host_identity(const rh_host_t *host);

/** Take a slot, of `limit`. @return RH_SHARE_FREE: taken; or the class whose share is used up */
int rh_host_take(rh_host_t *host, int limit, rh_endpoint_class_t class);
/** Give back a slot that `class` took, and wake loops that wait; `loop`, the caller's, is not. */
void rh_host_give(rh_host_t *host, rh_endpoint_class_t class, int loop);

/** What rh_host_take would return, as far as can be seen without the mutex. */
int rh_host_peek(const rh_host_t *host, int limit, rh_endpoint_class_t class);
/** How many slots were ever given back at the host. */
apr_uint32_t rh_host_gives(const rh_host_t *host);
/** Have `loop` woken by the next slot that is given back. @return false: that happened already,
 * as rh_host_gives isn't `gives` any more */
bool rh_host_wait(rh_host_t *host, apr_uint32_t gives, int loop);

#endif
