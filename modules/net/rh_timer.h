/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_timer.h
 * @brief Deadlines of one event loop: an intrusive heap that allocates nothing.
 *
 * A pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986): arming costs a comparison, firing and
 * disarming O(log n) amortized. One thread only. Times are those of rh_monotonic_now.
 */
#ifndef RH_TIMER_H
#define RH_TIMER_H

#include "rh_base.h"

/** Embedded in its owner, which must disarm it before it is freed. Zero-initialised: not armed. */
typedef struct rh_timer_t {
    void (*fire)(void *baton);
    void *baton;
    apr_time_t due;
    bool armed;
    struct rh_timer_t *child;    /**< first of the timers due later */
    struct rh_timer_t *next;     /**< sibling */
    struct rh_timer_t *previous; /**< sibling, or the parent of a first child */
} rh_timer_t;

/** Zero-initialised: empty. */
typedef struct rh_timers_t {
    rh_timer_t *root;
} rh_timers_t;

/** Microseconds of a monotonic clock with an arbitrary zero. */
apr_time_t rh_monotonic_now(void);

/** Fire at `due`; an armed timer is moved. */
void rh_timers_arm(rh_timers_t *timers, rh_timer_t *timer, apr_time_t due);

/** Disarm a timer; does nothing if it is not armed. */
void rh_timers_disarm(rh_timers_t *timers, rh_timer_t *timer);

/** Return the timer that is due first; NULL: there is none. */
const rh_timer_t *rh_timers_first(const rh_timers_t *timers);

/**
 * Fire all timers that are due at `now`, earliest first, disarming each before it fires. Timers
 * armed by that must be due later than `now`.
 */
void rh_timers_fire(rh_timers_t *timers, apr_time_t now);

#endif
