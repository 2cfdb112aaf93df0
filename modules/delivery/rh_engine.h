/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_engine.h
 * @brief One child's deliveries: claim, attempt, settle.
 *
 * Threads, all of one APR thread pool and all made by rh_engine_start:
 *
 *   loop × RestHooksThreads   an event loop each, with a transport of its own; owns the endpoints
 *                             (per-subscription state) whose ids hash to it, so they need no lock
 *   dispatcher × site         settles what the loops finished, then claims what is due
 *   writer × site             commits what requests hand in (rh_intake.h), hands jobs to the loops
 *
 * A site is a virtual host: its database, its policies. Queues between threads are bounded.
 */
#ifndef RH_ENGINE_H
#define RH_ENGINE_H

#include "rh_site.h"
#include "rh_transport.h"

typedef struct rh_engine_t rh_engine_t;

/** Settings of the process. */
typedef struct rh_engine_config_t {
    int threads;              /**< RestHooksThreads */
    int concurrency;          /**< RestHooksConcurrency: maximum number of attempts in flight,
                                   over all threads */
    apr_interval_time_t poll; /**< maximum interval between claims when idle */
    int deliverers;    /**< number of children of this host that deliver, 0: all; the others store
                          events, and take over when a delivering one ends */
    const char *slots; /**< directory of the lock files by which they agree; NULL: all deliver */
    /** Makes a loop's transport, in a pool of the loop's own. Tests supply a scripted one. */
    apr_status_t (*make_transport)(apr_pool_t *pool, const rh_log_t *log, void *baton,
                                   rh_transport_t **transport);
    void *baton;
    const rh_log_t *log;
} rh_engine_config_t;

/**
 * Start the threads, in pools with allocators of the engine's own.
 * @param sites array of rh_site_t *, not empty; they outlive the engine
 */
apr_status_t rh_engine_start(const rh_engine_config_t *config, const apr_array_header_t *sites,
                             rh_engine_t **engine);

/**
 * Commit events and wait until they are stored, or `timeout` has passed. Called from request
 * threads. Concurrent calls of one site share a commit. Each item's status and stored_id are set.
 * @return APR_SUCCESS: see the items; APR_TIMEUP, APR_EAGAIN: the database can't be reached or
 * the queue is full: nothing of this call is stored, or (TIMEUP) it may still be stored
 */
apr_status_t rh_engine_commit(rh_engine_t *engine, const rh_site_t *site, rh_commit_t *items,
                              int count, apr_interval_time_t timeout, apr_pool_t *pool);

/** Make the dispatcher of a site claim due deliveries now (after redeliver, replay, test). */
void rh_engine_wake(rh_engine_t *engine, const rh_site_t *site);

/**
 * Begin to stop: no new claims. Only sets flags and wakes, so any thread may call it, repeatedly.
 */
void rh_engine_stopping(rh_engine_t *engine);

/**
 * Stop and join: attempts in flight get until `grace` to finish, the rest are cancelled; all leases
 * of this process are released; outcomes are settled; threads are joined.
 */
void rh_engine_stop(rh_engine_t *engine, apr_interval_time_t grace);

#endif
