/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_inbox.h
 * @brief The way of jobs to the loops: an inbox per loop, filled by writers and dispatchers.
 *
 * A job belongs to one thread at a time. The inbox's mutex passes it on, so neither the job nor its
 * pool needs a lock. A subscription's jobs go to one loop, by the hash of its id. What is in the
 * inboxes is bounded by rh_capacity.h.
 */
#ifndef RH_INBOX_H
#define RH_INBOX_H

#include "rh_schedule.h"
#include "rh_site.h"

/** Loops of one engine at most. */
#define RH_MAX_LOOPS 64

typedef struct rh_inbox_t rh_inbox_t;
typedef struct rh_inboxes_t rh_inboxes_t;

/** @param count of loops, 1 to RH_MAX_LOOPS; lives in `pool` */
apr_status_t rh_inboxes_make(apr_pool_t *pool, int count, rh_inboxes_t **inboxes);

/** A loop's inbox. @param transport wakes the loop */
rh_inbox_t *rh_inboxes_open(rh_inboxes_t *inboxes, int loop, rh_transport_t *transport);

/**
 * Give jobs to the loops: all of an array of rh_job_t *, which is emptied.
 * @param owner settles them; @param handed they come straight from a commit
 */
void rh_inboxes_hand_over(rh_inboxes_t *inboxes, const rh_site_t *site,
                          struct rh_dispatcher_t *owner, apr_array_header_t *jobs, bool handed);

/** Wake one loop, or all. */
void rh_inboxes_wake(rh_inboxes_t *inboxes, int loop);
void rh_inboxes_wake_all(rh_inboxes_t *inboxes);

/** Take what there is. The loop's own thread. @param works an empty list */
void rh_inbox_take(rh_inbox_t *inbox, rh_work_head_t *works);
bool rh_inbox_is_empty(rh_inbox_t *inbox);

#endif
