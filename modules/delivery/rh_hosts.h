/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_hosts.h
 * @brief Attempts in flight by host and port, over all loops of a process
 * (RestHooksHostConcurrency).
 *
 * A receiver may serve the subscriptions of many tenants, each within its own limits, and be
 * overloaded by all of them together. So every attempt takes a slot of its host and port as well.
 * These are shared in the same way as a loop's slots are (rh_share.h): no class and no tenant can
 * take all of them, so one tenant's targets that hang at a large receiver do not keep others from
 * it.
 *
 * One mutex guards the table and every count in it. A loop that finds no slot is remembered at the
 * host under that mutex, and woken by the next slot that is given back:
 *
 *   1  loop one checks: no slot is free
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

/** The record of one tenant at one host and port. */
typedef struct rh_host_t rh_host_t;

/**
 * @param pool has an allocator of its own; used only under the table's mutex
 * @param wake called without the mutex, from the thread that gives a slot back, with the number
 * (0-63) of a loop that waited for one
 */
apr_status_t rh_hosts_make(apr_pool_t *pool, void (*wake)(void *baton, int loop), void *baton,
                           rh_hosts_t **hosts);

/**
 * Get the record of a tenant at a host, and refer to it.
 * @param name "host:port"
 * @return NULL if memory is short
 */
rh_host_t *rh_host_hold(rh_hosts_t *hosts, const char *name, const char *tenant);
/** Add a reference. @return the host */
rh_host_t *rh_host_share(rh_host_t *host);
/** Drop a reference. No slot may be taken through the last one any more. */
void rh_host_release(rh_host_t *host);

/** Return an address that identifies the host and port. It may only be compared. */
const void *rh_host_identity(const rh_host_t *host);

/**
 * Take one of `limit` slots. @return RH_SHARE_FREE: taken; otherwise the class whose share is used
 * up
 */
int rh_host_take(rh_host_t *host, int limit, rh_endpoint_class_t class);
/** Give back a slot that `class` took, and wake waiting loops except `loop`, the caller's. */
void rh_host_give(rh_host_t *host, rh_endpoint_class_t class, int loop);

/** Predict the result of rh_host_take without locking the mutex. */
int rh_host_peek(const rh_host_t *host, int limit, rh_endpoint_class_t class);
/** Return the number of slots given back at the host so far. */
apr_uint32_t rh_host_gives(const rh_host_t *host);
/**
 * Register `loop` to be woken when the next slot is given back.
 * @return false: one was given back since `gives` was read, so the caller must try again
 */
bool rh_host_wait(rh_host_t *host, apr_uint32_t gives, int loop);

#endif
