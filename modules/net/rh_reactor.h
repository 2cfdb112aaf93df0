/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_reactor.h
 * @brief The events of one loop: sockets in a pollset, and timers.
 *
 * Used by one thread, except for the wakeup. Watches that are closed while events are delivered are
 * kept until all have been, because an event may already have been fetched for a closed watch. It
 * is dropped: it must not reach the next user of the descriptor or of the memory.
 */
#ifndef RH_REACTOR_H
#define RH_REACTOR_H

#include "rh_socket.h"
#include "rh_timer.h"

#include <apr_poll.h>
#include <apr_portable.h>

typedef struct rh_reactor_t rh_reactor_t;
typedef struct rh_watch_t rh_watch_t;

/**
 * Called with APR_POLLIN, APR_POLLOUT, APR_POLLERR, APR_POLLHUP. May close the watch.
 */
typedef void rh_ready_t(void *baton, rh_watch_t *watch, apr_int16_t events);

/** Make a reactor in the loop's pool. Destroying the pool closes every watched socket. */
apr_status_t rh_reactor_make(apr_pool_t *pool, rh_reactor_t **reactor);

rh_timers_t *rh_reactor_timers(rh_reactor_t *reactor);

/** Return the loop's set of sockets, in which its sockets are made. */
rh_sockets_t *rh_reactor_sockets(rh_reactor_t *reactor);

/** Fire the timers that are due. */
void rh_reactor_expire(rh_reactor_t *reactor);

/**
 * Wait at most `timeout` microseconds (negative: without limit) and not past the next timer, then
 * hand out the events. APR_SUCCESS even if there were none.
 */
apr_status_t rh_reactor_wait(rh_reactor_t *reactor, apr_interval_time_t timeout);

/** Make the current or the next wait return at once. May be called from any thread. */
apr_status_t rh_reactor_wakeup(rh_reactor_t *reactor);

/**
 * Watch a socket, level-triggered. The watch owns it; after an error the caller still does.
 */
apr_status_t rh_watch_open(rh_reactor_t *reactor, rh_socket_t *socket, apr_int16_t events,
                           rh_ready_t *ready, void *baton, rh_watch_t **watch);

/** Watch a non-blocking descriptor of a library (c-ares), which still owns it. */
apr_status_t rh_watch_foreign(rh_reactor_t *reactor, apr_os_sock_t descriptor, apr_int16_t events,
                              rh_ready_t *ready, void *baton, rh_watch_t **watch);

/** Wait for other events. */
apr_status_t rh_watch_events(rh_watch_t *watch, apr_int16_t events);

/** Change the function that is called. */
void rh_watch_handler(rh_watch_t *watch, rh_ready_t *ready, void *baton);

/** Return the socket; NULL: the descriptor is foreign. */
rh_socket_t *rh_watch_socket(const rh_watch_t *watch);

/** Return the foreign descriptor. */
apr_os_sock_t rh_watch_descriptor(const rh_watch_t *watch);

/** Stop watching, and close the socket if it is owned. */
void rh_watch_close(rh_watch_t *watch);

#endif
