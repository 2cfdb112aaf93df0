/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_dispatcher.h
 * @brief The thread of one site that settles outcomes, claims due deliveries, drains the spool, and
 * does the housekeeping.
 */
#ifndef RH_DISPATCHER_H
#define RH_DISPATCHER_H

#include "rh_parts.h"

typedef struct rh_dispatcher_t rh_dispatcher_t;

/**
 * Make a dispatcher in `pool`, which has a mutex.
 * @param parts outlives it
 * @param dispatcher NULL after an error, or still to be passed to rh_dispatcher_destroy
 */
apr_status_t rh_dispatcher_make(apr_pool_t *pool, const rh_site_parts_t *parts,
                                rh_dispatcher_t **dispatcher);

const rh_site_t *rh_dispatcher_site(const rh_dispatcher_t *dispatcher);
int rh_dispatcher_index(const rh_dispatcher_t *dispatcher);

/** Take over finished works of this site and empty the list. Called by the loops. */
void rh_dispatcher_push(rh_dispatcher_t *dispatcher, rh_work_head_t *works, int count);

/** Make it claim. @param now_due true: at once; false: a commit did not hand over all deliveries */
void rh_dispatcher_wake(rh_dispatcher_t *dispatcher, bool now_due);
/** Wake it to check whether the engine stops. */
void rh_dispatcher_signal(rh_dispatcher_t *dispatcher);

/**
 * Run until the engine ends: the thread's task. Leaves RH_ROLE_CLAIM when the engine begins to
 * stop.
 */
void rh_dispatcher_run(rh_dispatcher_t *dispatcher);

/** Free it after its thread has ended. NULL is allowed. */
void rh_dispatcher_destroy(rh_dispatcher_t *dispatcher);

#endif
