/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_inbox.h
 * @brief Passes jobs to the loops: one inbox per loop, filled by writers and dispatchers.
 *
 * A job belongs to one thread at a time. The inbox's mutex passes it on, so neither the job nor its
 * pool needs a lock. All jobs of a subscription go to one loop, chosen by a hash of its id. The
 * number of jobs in the inboxes is bounded by rh_capacity.h.
 */
#ifndef RH_INBOX_H
#define RH_INBOX_H

#include "rh_schedule.h"
#include "rh_site.h"

/** Maximum number of loops in one engine. */
#define RH_MAX_LOOPS 64

typedef struct rh_inbox_t rh_inbox_t;
typedef struct rh_inboxes_t rh_inboxes_t;

/** @param count number of loops, 1 to RH_MAX_LOOPS; the result lives in `pool` */
apr_status_t rh_inboxes_make(apr_pool_t *pool, int count, rh_inboxes_t **inboxes);

/** Set up a loop's inbox. @param transport is used to wake the loop */
rh_inbox_t *rh_inboxes_open(rh_inboxes_t *inboxes, int loop, rh_transport_t *transport);

/**
 * Give all jobs of an array of rh_job_t * to the loops, and empty the array.
 * @param owner settles them
 * @param handed true if they come straight from a commit
 */
void rh_inboxes_hand_over(rh_inboxes_t *inboxes, const rh_site_t *site,
                          struct rh_dispatcher_t *owner, apr_array_header_t *jobs, bool handed);

/** Wake one loop, or all. */
void rh_inboxes_wake(rh_inboxes_t *inboxes, int loop);
void rh_inboxes_wake_all(rh_inboxes_t *inboxes);

/**
 * Take all jobs from the loop's inbox. Called by the loop's own thread. @param works an empty list
 */
void rh_inbox_take(rh_inbox_t *inbox, rh_work_head_t *works);
bool rh_inbox_is_empty(rh_inbox_t *inbox);

#endif
