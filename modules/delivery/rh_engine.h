/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_engine.h
 * @brief One child's deliveries: claim, attempt, settle.
 *
 * Threads, all of one APR thread pool and all made by rh_engine_start:
 *
 *   loop × RestHooksThreads   an event loop each, with a transport of its own; owns the endpoints
 *                             (per-subscription state) whose id hashes to it, so they need no lock
 *   dispatcher × site         settles what the loops finished, then claims what is due
 *   writer × site             commits what requests hand in (rh_intake.h), hands jobs to the loops
 *
 * A site is a virtual host: its database, its policies. Queues between threads are bounded.
 */
#ifndef RH_ENGINE_H
#define RH_ENGINE_H

#include "rh_attempt_log.h"
#include "rh_client.h"
#include "rh_metrics.h"
#include "rh_retry.h"
#include "rh_store.h"
#include "rh_transport.h"

typedef struct rh_engine_t rh_engine_t;

/** What the engine needs of one virtual host. Everything outlives the engine. */
typedef struct rh_site_t {
    const char *name; /**< for the log */
    const rh_log_t *log;
    rh_queue_t *intake_queue;   /**< used by the writer thread alone */
    rh_queue_t *helper_queue;   /**< by a second writer, where much comes in; NULL: there is none */
    rh_queue_t *dispatch_queue; /**< used by the dispatcher thread alone */
    const unsigned char *hop_key; /**< RH_HOP_KEY_BYTES of rh_hops.h; NULL: hops are not sent */
    const rh_net_config_t *net;
    rh_retry_policy_t retry;
    apr_interval_time_t timeout;                /**< RestHooksTimeout */
    apr_interval_time_t connect_timeout;        /**< RestHooksConnectTimeout */
    int endpoint_concurrency;                   /**< RestHooksEndpointConcurrency */
    int host_concurrency;                       /**< RestHooksHostConcurrency; 0: without limit */
    apr_interval_time_t retention;              /**< RestHooksRetention */
    const char *spool;                          /**< RestHooksSpool, NULL: there is none */
    const struct rh_spool_owner_t *spool_owner; /**< whose files; NULL without a spool */
    const rh_metrics_t *metrics;                /**< NULL: nothing is counted */
    bool record_sent;               /**< the store keeps what was sent (rh_attempt_t.sent) */
    rh_attempt_log_t *log_attempts; /**< RestHooksLog, NULL: there is none */
} rh_site_t;

/** Settings of the process. */
typedef struct rh_engine_config_t {
    int threads;              /**< RestHooksThreads */
    int concurrency;          /**< RestHooksConcurrency: attempts in flight, all threads together */
    apr_interval_time_t poll; /**< longest wait between claims when idle */
    int deliverers;           /**< children of this host that deliver, 0: all; the others store
                                   events, and stand in for those that end */
    const char *slots;        /**< folder of the files that tell who does; NULL: all do */
    /** Makes a loop's transport, in a pool of the loop's own. Tests script it. */
    apr_status_t (*make_transport)(apr_pool_t *pool, const rh_log_t *log, void *baton,
                                   rh_transport_t **transport);
    void *baton;
    const rh_log_t *log;
} rh_engine_config_t;

/**
 * Start the threads. `pool` belongs to the caller's thread; the engine makes pools with
 * allocators of its own for its threads.
 * @param sites array of rh_site_t *, not empty
 */
apr_status_t rh_engine_start(apr_pool_t *pool, const rh_engine_config_t *config,
                             const apr_array_header_t *sites, rh_engine_t **engine);

/**
 * Commit events and wait until they are stored, or `timeout` has passed. Called from request
 * threads. Concurrent calls of one site share a commit. Each item's status and stored_id are set.
 * @return APR_SUCCESS: look at the items; APR_TIMEUP, APR_EAGAIN: the database can't be reached or
 * the queue is full: nothing of this call is stored, or (TIMEUP) it may yet be
 */
apr_status_t rh_engine_commit(rh_engine_t *engine, const rh_site_t *site, rh_commit_t *items,
                              int count, apr_interval_time_t timeout, apr_pool_t *pool);

/** Make the dispatcher of a site look for due deliveries now (after redeliver, replay, test). */
void rh_engine_wake(rh_engine_t *engine, const rh_site_t *site);

/** Counters of the process, for server-status and tests. Read without locks: approximate. */
typedef struct rh_engine_stats_t {
    apr_uint32_t in_flight, queued, commits, committed_events, attempts, delivered, failed;
} rh_engine_stats_t;
void rh_engine_stats(const rh_engine_t *engine, rh_engine_stats_t *stats);

/** Begin to stop: no new claims; sets flags and wakes only, so it is safe from any thread, twice.
 */
void rh_engine_stopping(rh_engine_t *engine);

/**
 * Stop and join: attempts in flight get until `grace` to finish, the rest are cancelled; their
 * leases and all others of this process are given back; outcomes are settled; threads are joined.
 */
void rh_engine_stop(rh_engine_t *engine, apr_interval_time_t grace);

#endif
