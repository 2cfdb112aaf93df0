/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_intake.h
 * @brief Stores the events of one site: requests hand them in, writers commit many at once.
 *
 * A site has one writer, or two if it has a queue for the second. Events of one key are never in
 * two commits at the same time (rh_turns.h).
 */
#ifndef RH_INTAKE_H
#define RH_INTAKE_H

#include "rh_dispatcher.h"

typedef struct rh_intake_t rh_intake_t;
typedef struct rh_writer_t rh_writer_t;

/**
 * Make an intake in `pool`, which has a mutex.
 * @param dispatcher of the site; woken when a commit does not hand over all deliveries
 * @param intake NULL after an error, or still to be passed to rh_intake_destroy
 */
apr_status_t rh_intake_make(apr_pool_t *pool, const rh_site_parts_t *parts,
                            rh_dispatcher_t *dispatcher, rh_intake_t **intake);

int rh_intake_writer_count(const rh_intake_t *intake);
rh_writer_t *rh_intake_writer(rh_intake_t *intake, int number);

/** Commit events like rh_engine_commit. May be called from any thread. */
apr_status_t rh_intake_commit(rh_intake_t *intake, rh_commit_t *items, int count,
                              apr_interval_time_t timeout, apr_pool_t *pool);

/** Return the number of events that wait for a writer. */
int rh_intake_queued(rh_intake_t *intake);

/** Accept no more calls. Writers end once everything queued is committed. */
void rh_intake_close(rh_intake_t *intake);

/** Run a writer until the intake is closed, then leave RH_ROLE_WRITE: the thread's task. */
void rh_writer_run(rh_writer_t *writer);

/** Free it after its writers have ended. NULL is allowed. */
void rh_intake_destroy(rh_intake_t *intake);

#endif
