/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_dispatcher.h
 * @brief The thread of one site that settles outcomes, claims what is due, brings in the spool, and
 * keeps house.
 */
#ifndef RH_DISPATCHER_H
#define RH_DISPATCHER_H

#include "rh_parts.h"

typedef struct rh_dispatcher_t rh_dispatcher_t;

/** Make one in `pool`, which has a mutex. @param parts outlives it. On an error *dispatcher is
 * NULL, or for rh_dispatcher_destroy. */
apr_status_t rh_dispatcher_make(apr_pool_t *pool, const rh_site_parts_t *parts,
                                rh_dispatcher_t **dispatcher);

const rh_site_t *rh_dispatcher_site(const rh_dispatcher_t *dispatcher);
int rh_dispatcher_index(const rh_dispatcher_t *dispatcher);

/** Take finished works of this site; empties the list. From the loops. */
void rh_dispatcher_push(rh_dispatcher_t *dispatcher, rh_work_head_t *works, int count);

/** Have it claim. @param now_due true to look at once; false if a commit did not hand over all */
void rh_dispatcher_wake(rh_dispatcher_t *dispatcher, bool now_due);
/** Have it look at how the engine ends. */
void rh_dispatcher_signal(rh_dispatcher_t *dispatcher);

/** Run it until the engine ends; it leaves RH_ROLE_CLAIM when that begins. The thread's task. */
void rh_dispatcher_run(rh_dispatcher_t *dispatcher);

/** No thread uses it any more; NULL is fine. */
void rh_dispatcher_destroy(rh_dispatcher_t *dispatcher);

#endif
