/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_shutdown.h
 * @brief Stops an engine: each step waits for the one before.
 *
 *   1  stopping: dispatchers claim no more; commits hand over nothing; loops give back what waits
 *   2  writers refuse new calls, commit what is queued, end
 *   3  loops finish what is in flight, cancel it at the deadline, end
 *   4  dispatchers settle what is left, end; each has its site's leases given back
 *
 * Threads are counted before they start, by what they may still do, and leave that count when they
 * will not do it again. A thread that waits for a count to reach zero reads the count first and
 * then the queue that the counted threads fill. They filled it before they left, so a queue that is
 * empty after the count was zero stays empty. All functions may be called from any thread.
 */
#ifndef RH_SHUTDOWN_H
#define RH_SHUTDOWN_H

#include "rh_base.h"

/** What threads may still do; they leave the role when they will not do it any more. */
typedef enum {
    RH_ROLE_WRITE, /**< commit, and hand over jobs to loops */
    RH_ROLE_CLAIM, /**< claim, and hand over jobs to loops */
    RH_ROLE_LOOP,  /**< make attempts, and give their outcomes to dispatchers */
    RH_ROLE_COUNT
} rh_role_t;

typedef struct rh_shutdown_t rh_shutdown_t;

/**
 * @param pool has a mutex; the result lives in it
 * @param wake wakes every loop and dispatcher, because a state that they may wait for has changed
 */
apr_status_t rh_shutdown_make(apr_pool_t *pool, void (*wake)(void *baton), void *baton,
                              rh_shutdown_t **shutdown);

/** Announce `count` threads that are about to start and have `role`. */
void rh_shutdown_expect(rh_shutdown_t *shutdown, rh_role_t role, int count);
/** Give up a role. The last thread to do so wakes all. */
void rh_shutdown_leave(rh_shutdown_t *shutdown, rh_role_t role);
/** Return the number of threads that have the role. */
int rh_shutdown_left(const rh_shutdown_t *shutdown, rh_role_t role);

/** Note that a thread's task ended or did not start. It uses nothing of the engine after this. */
void rh_shutdown_thread_ended(rh_shutdown_t *shutdown);
/** Wait until all threads have ended, or until `until`. @return how many have not */
int rh_shutdown_wait(rh_shutdown_t *shutdown, apr_time_t until);

/** Begin to stop: set a flag and wake all. May be called from any thread, and repeatedly. */
void rh_shutdown_begin(rh_shutdown_t *shutdown);
bool rh_shutdown_begun(const rh_shutdown_t *shutdown);

/** Set when attempts in flight are cancelled. */
void rh_shutdown_set_deadline(rh_shutdown_t *shutdown, apr_time_t deadline);
/** Return the deadline; 0: none was set. */
apr_time_t rh_shutdown_deadline(const rh_shutdown_t *shutdown);
/** True if the deadline was set and passed at least `extra` ago. */
bool rh_shutdown_overdue(const rh_shutdown_t *shutdown, apr_interval_time_t extra);

/** Count threads of the caller that are inside the engine. */
void rh_shutdown_enter(rh_shutdown_t *shutdown);
void rh_shutdown_exit(rh_shutdown_t *shutdown);
int rh_shutdown_callers(const rh_shutdown_t *shutdown);

#endif
