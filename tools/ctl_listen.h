/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file ctl_listen.h
 * @brief A receiver of webhooks on loopback, for `listen`.
 *
 * It uses one thread and serves some connections at the same time, each for one request. A slow
 * client does not delay others and is cut off.
 */
#ifndef CTL_LISTEN_H
#define CTL_LISTEN_H

#include "ctl.h"

/** Maximum number of connections at the same time; more wait in the kernel. */
#define LISTENER_CONNECTIONS 64
/** Time-out of one connection, from accepting it until the response has been sent. */
#define LISTENER_TIMEOUT apr_time_from_sec(30)

typedef struct listener_t listener_t;

/** The response to a complete request. */
typedef struct listener_answer_t {
    int status;
    apr_interval_time_t delay;
} listener_answer_t;

/**
 * Called by listener_run for each complete POST.
 * @param pool of the connection; cleared after the response
 */
typedef listener_answer_t listener_handler_t(void *baton, const ctl_message_t *message,
                                             rh_bytes_t raw, apr_pool_t *pool);

/**
 * Listen on 127.0.0.1, in `pool`.
 * @param port 0: choose a free one; receives the port
 * @return APR_SUCCESS, or the error
 */
apr_status_t listener_make(apr_pool_t *pool, int *port, listener_handler_t *handler, void *baton,
                           listener_t **listener);

/**
 * Receive until `count` POSTs have been answered (0: no limit), until `deadline` (0: none), or
 * until a signal.
 * @return the number of answered POSTs
 */
int listener_run(listener_t *listener, int count, apr_time_t deadline);

/** Make listener_run end soon. May be called from a signal handler. */
void listener_stop(listener_t *listener);

#endif
