/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_outage.h
 * @brief Whether the database of one site can be reached, as its writers and its dispatcher see it.
 *
 * An outage is logged once, by the first that meets it, and its end once, by the last. All
 * functions may be called from any thread.
 */
#ifndef RH_OUTAGE_H
#define RH_OUTAGE_H

#include "rh_metrics.h"

/** Who meets it; flags. */
#define RH_OUTAGE_WRITER 1
#define RH_OUTAGE_DISPATCHER 2

typedef struct rh_outage_t rh_outage_t;

/** @param name of the site, for the log; @param metrics may be NULL. Lives in `pool`. */
rh_outage_t *rh_outage_make(apr_pool_t *pool, const char *name, const rh_log_t *log,
                            const rh_metrics_t *metrics);

/** The database did (APR_SUCCESS) or did not answer `who`. */
void rh_outage_report(rh_outage_t *outage, int who, apr_status_t status);
/** True if it did not answer `who` the last time. */
bool rh_outage_is_down(const rh_outage_t *outage, int who);

/**
 * True for some time after an outage, and after rh_outage_begin: leases that ended are then left
 * alone, as the process that had them may still have to settle what came of them.
 */
bool rh_outage_spares_leases(rh_outage_t *outage, apr_time_t now);
/** A process starts, which may be after an outage. */
void rh_outage_begin(rh_outage_t *outage, apr_time_t now);

#endif
