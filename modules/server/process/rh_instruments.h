/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_instruments.h
 * @brief The numbers of all processes of this httpd: one piece of shared memory.
 *
 * The parent makes it before it forks. It stays over restarts, graceful or not, as long as the
 * virtual hosts and their types do: the children of an older configuration and those of the new one
 * then count in the same memory, and no counter goes back. If hosts or types change, a new piece
 * begins at 0 (resthooks_counters_start_time_seconds says when), and the older children count in
 * the old piece, which is not reported, until they end.
 *
 * Gauges belong to a process: each child takes a slot with a set of them, which the parent clears
 * when the child has ended, however it did. A child that finds no slot has none.
 */
#ifndef RH_INSTRUMENTS_H
#define RH_INSTRUMENTS_H

#include "rh_config.h"

/** One enabled virtual host. */
typedef struct rh_instruments_host_t {
    const char *name; /**< unique, such as "localhost:8080" */
    const rh_server_config_t *config;
    rh_metrics_t metrics; /**< with this process's gauges */
} rh_instruments_host_t;

typedef struct rh_instruments_t {
    apr_array_header_t *hosts; /**< of rh_instruments_host_t */
    apr_time_t since;          /**< time when the counters began at 0 */
} rh_instruments_t;

/**
 * Make the memory or find the existing one, and set every enabled server's metrics. In the parent.
 * @return false: there is none (logged); nothing is counted
 */
bool rh_instruments_make(apr_pool_t *pconf, server_rec *server);

/** Take a slot. Called in a new child before anything counts. */
void rh_instruments_enter(void);

/** Return all hosts and their numbers; NULL: nothing is counted. */
const rh_instruments_t *rh_instruments_read(void);

/** Return the number of processes that have a slot. */
int rh_instruments_processes(void);

/** Return the sum of a gauge over all processes. */
apr_int64_t rh_instruments_gauge(const rh_instruments_host_t *host, rh_gauge_t gauge);

/** Count a stored event of a type. @param source of rh_event_source_t */
void rh_instruments_event(const rh_server_config_t *config, const char *type, int source);

#endif
