/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_loop.h
 * @brief An event loop: takes jobs from its inbox, makes attempts, and passes the outcomes to the
 * dispatchers.
 *
 * One thread runs it and owns its transport, its schedule and the schedule's endpoints.
 */
#ifndef RH_LOOP_H
#define RH_LOOP_H

#include "rh_dispatcher.h"
#include "rh_hosts.h"

typedef struct rh_loop_t rh_loop_t;

/** What a loop needs. Everything outlives it. */
typedef struct rh_loop_config_t {
    const rh_parts_t *parts;
    int number;
    int slots;  /**< maximum number of attempts in flight */
    int memory; /**< its share of the engine's jobs */
    rh_hosts_t *hosts;
    rh_dispatcher_t *const *dispatchers; /**< indexed by site */
    int dispatcher_count;
    const rh_log_t *log;
    apr_status_t (*make_transport)(apr_pool_t *pool, const rh_log_t *log, void *baton,
                                   rh_transport_t **transport);
    void *baton;
} rh_loop_config_t;

/**
 * Make a loop in a root pool of its own. After an error, *loop is NULL or still to be destroyed.
 */
apr_status_t rh_loop_make(const rh_loop_config_t *config, rh_loop_t **loop);

/** Run until the engine ends, then leave RH_ROLE_LOOP: the thread's task. */
void rh_loop_run(rh_loop_t *loop);

/** Free it after its thread has ended. NULL is allowed. */
void rh_loop_destroy(rh_loop_t *loop);

#endif
