/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_reactor.h
 * @brief What one event loop waits for: descriptors in a pollset, and timers.
 *
 * One thread, but for the wakeup. A watch owns the descriptor it watches. Those that are closed
 * while events are handed out are kept until all have been: an event that was already fetched for
 * a closed watch is dropped, never given to whoever got its descriptor or memory next.
 */
#ifndef RH_REACTOR_H
#define RH_REACTOR_H

#include "rh_timer.h"

#include <apr_poll.h>

typedef struct rh_reactor_t rh_reactor_t;
typedef struct rh_watch_t rh_watch_t;

/** Something happened: APR_POLLIN, APR_POLLOUT, APR_POLLERR, APR_POLLHUP. May close the watch. */
typedef void rh_ready_t(void *baton, rh_watch_t *watch, apr_int16_t events);

/** `pool` is the loop's; its destruction closes every descriptor that is still watched. */
apr_status_t rh_reactor_make(apr_pool_t *pool, rh_reactor_t **reactor);

rh_timers_t *rh_reactor_timers(rh_reactor_t *reactor);

/** Fire the timers that are due. */
void rh_reactor_expire(rh_reactor_t *reactor);

/**
 * Wait at most `timeout` microseconds (less than 0: without limit), and no longer than to the
 * next timer, and hand out what happened. APR_SUCCESS also when nothing did.
 */
apr_status_t rh_reactor_wait(rh_reactor_t *reactor, apr_interval_time_t timeout);

/** Make a running or the next wait return at once. From any thread. */
apr_status_t rh_reactor_wakeup(rh_reactor_t *reactor);

/**
 * Watch a non-blocking descriptor, which now belongs to the watch if `owned`; on failure it stays
 * the caller's. Level-triggered.
 */
apr_status_t rh_watch_open(rh_reactor_t *reactor, int descriptor, bool owned, apr_int16_t events,
                           rh_ready_t *ready, void *baton, rh_watch_t **watch);

/** Wait for other events. */
apr_status_t rh_watch_events(rh_watch_t *watch, apr_int16_t events);

/** Tell another of what happens. */
void rh_watch_handler(rh_watch_t *watch, rh_ready_t *ready, void *baton);

int rh_watch_descriptor(const rh_watch_t *watch);

/** Stop watching, and close the descriptor if it is owned. */
void rh_watch_close(rh_watch_t *watch);

#endif
