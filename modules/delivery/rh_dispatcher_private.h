/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_dispatcher_private.h
 * @brief The parts of a dispatcher's work: its thread settles outcomes (rh_dispatcher.c), claims
 * (rh_dispatcher_claim.c), and does everything that may wait (rh_dispatcher_chores.c).
 */
#ifndef RH_DISPATCHER_PRIVATE_H
#define RH_DISPATCHER_PRIVATE_H

#include "rh_dispatcher.h"

#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>

/** Interval between the claims that commits ask for: doubles from here as long as they return
 * nothing. */
#define RH_MIN_ASKED_INTERVAL apr_time_from_msec(2)
/** Interval between retries while the database is down. */
#define RH_DOWN_INTERVAL apr_time_from_msec(500)
#define RH_MAINTENANCE_INTERVAL apr_time_from_sec(60)
/** Interval between checks for a job after none was found. */
#define RH_JOB_INTERVAL apr_time_from_sec(10)
/** Interval between the additions to the statistics. */
#define RH_ADD_UP_INTERVAL apr_time_from_sec(10)

struct rh_dispatcher_t {
    const rh_site_parts_t *parts;
    const rh_site_t *site;
    apr_pool_t *pool; /**< used only by the dispatcher's thread */
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *cond;
    rh_work_head_t outcomes; /**< guarded by mutex, like the next three members */
    int outcome_count;
    bool woken;   /**< claim due deliveries now */
    bool waiting; /**< a commit did not hand over all: claim, but not more often than pays */

    /* Only the dispatcher's thread uses the following. */
    apr_time_t next_claim, next_maintenance, last_claim, next_job, next_add_up;
    apr_interval_time_t asked_interval; /**< interval between the claims that commits ask for */
    int per_subscription;
    bool starved; /**< the last claim could have returned more than fits into memory */
    apr_uint32_t random;
    bool maintenance_failed;
    bool claims_ended; /**< it has left RH_ROLE_CLAIM */
    bool draining;     /**< the spool holds more events */
    bool expanding;    /**< some events do not have all their deliveries yet */
    apr_time_t held;   /**< when ordered subscriptions began to wait for the spool; 0: they do
                            not */
    apr_time_t next_drain;
};

/** Move the next claim forward to a time. */
void rh_dispatcher_claim_at(rh_dispatcher_t *dispatcher, apr_time_t when);

/** `wait` ± 20 %. */
apr_interval_time_t rh_dispatcher_jitter(rh_dispatcher_t *dispatcher, apr_interval_time_t wait);

/** Claim due deliveries, give them to the loops, and choose the time of the next claim. */
void rh_dispatcher_claim(rh_dispatcher_t *dispatcher, apr_pool_t *scratch);

/**
 * Make more deliveries of a wide event and have them claimed; come back at once while one is left.
 */
void rh_dispatcher_expand(rh_dispatcher_t *dispatcher, apr_pool_t *scratch);

/** Do the chores that are due at `now`: spool, housekeeping, jobs, the backlog. Clears `scratch`.
 */
void rh_dispatcher_do_chores(rh_dispatcher_t *dispatcher, apr_time_t now, apr_pool_t *scratch);

#endif
