/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file ctl_listen.h
 * @brief A receiver of webhooks on loopback: one thread, some connections at once, each for one
 * request. A slow client delays no other one and is cut off.
 */
#ifndef CTL_LISTEN_H
#define CTL_LISTEN_H

#include "ctl.h"

/** Connections at once; more wait in the kernel. */
#define LISTENER_CONNECTIONS 64
/** Time-out of one connection: the whole request has arrived and the response has been sent. */
#define LISTENER_TIMEOUT apr_time_from_sec(30)

typedef struct listener_t listener_t;

/** What a whole request is answered with. */
typedef struct listener_answer_t {
    int status;
    apr_interval_time_t delay;
} listener_answer_t;

/**
 * Called for each POST that is whole, from listener_run.
 * @param pool of the connection: cleared once it is answered
 */
typedef listener_answer_t listener_handler_t(void *baton, const ctl_message_t *message,
                                             rh_bytes_t raw, apr_pool_t *pool);

/**
 * Listen on 127.0.0.1, in `pool`.
 * @param port 0: a free one; receives which it is
 * @return APR_SUCCESS, or why not
 */
apr_status_t listener_make(apr_pool_t *pool, int *port, listener_handler_t *handler, void *baton,
                           listener_t **listener);

/**
 * Receive until `count` POSTs are answered (0: without end), `deadline` (0: none) or a signal.
 * @return how many were answered
 */
int listener_run(listener_t *listener, int count, apr_time_t deadline);

/** End listener_run soon. From a signal's handler too. */
void listener_stop(listener_t *listener);

#endif
