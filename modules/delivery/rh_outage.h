/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_outage.h
 * @brief Tracks whether the database of one site can be reached, as seen by its writers and its
 * dispatcher.
 *
 * The first thread that meets an outage logs it, and the last one to recover logs its end. All
 * functions may be called from any thread.
 */
#ifndef RH_OUTAGE_H
#define RH_OUTAGE_H

#include "rh_metrics.h"

/** The threads that can meet an outage; flags. */
#define RH_OUTAGE_WRITER 1
#define RH_OUTAGE_DISPATCHER 2

typedef struct rh_outage_t rh_outage_t;

/** @param name of the site, for the log; @param metrics may be NULL. The result lives in `pool`. */
rh_outage_t *rh_outage_make(apr_pool_t *pool, const char *name, const rh_log_t *log,
                            const rh_metrics_t *metrics);

/** Note whether the database answered `who` (APR_SUCCESS) or not. */
void rh_outage_report(rh_outage_t *outage, int who, apr_status_t status);
/** True if the database did not answer `who` the last time. */
bool rh_outage_is_down(const rh_outage_t *outage, int who);

/**
 * True for some time after an outage, and after rh_outage_begin. Expired leases are then left
 * alone, because the process that held them may still have outcomes to settle.
 */
bool rh_outage_spares_leases(rh_outage_t *outage, apr_time_t now);
/** Note that the process starts, possibly after an outage. */
void rh_outage_begin(rh_outage_t *outage, apr_time_t now);

#endif
