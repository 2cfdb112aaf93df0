/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_intake.h
 * @brief How events of one site are stored: requests hand them in, writers commit many at once.
 *
 * A site has one writer, or two where it has a queue for a second one. An event's key is never in
 * two commits at a time (rh_turns.h).
 */
#ifndef RH_INTAKE_H
#define RH_INTAKE_H

#include "rh_dispatcher.h"

typedef struct rh_intake_t rh_intake_t;
typedef struct rh_writer_t rh_writer_t;

/**
 * Make one in `pool`, which has a mutex. On an error *intake is NULL, or for rh_intake_destroy.
 * @param dispatcher the site's, woken when a commit does not hand over all deliveries
 */
apr_status_t rh_intake_make(apr_pool_t *pool, const rh_site_parts_t *parts,
                            rh_dispatcher_t *dispatcher, rh_intake_t **intake);

int rh_intake_writer_count(const rh_intake_t *intake);
rh_writer_t *rh_intake_writer(rh_intake_t *intake, int number);

/** Commit events, as rh_engine_commit. From any thread. */
apr_status_t rh_intake_commit(rh_intake_t *intake, rh_commit_t *items, int count,
                              apr_interval_time_t timeout, apr_pool_t *pool);

/** How many events wait for a writer. */
int rh_intake_queued(rh_intake_t *intake);

/** Take no more calls: writers end when what is queued is committed. */
void rh_intake_close(rh_intake_t *intake);

/** Run a writer until its intake is closed, and leave RH_ROLE_WRITE. The thread's task. */
void rh_writer_run(rh_writer_t *writer);

/** No thread uses it any more; NULL is fine. */
void rh_intake_destroy(rh_intake_t *intake);

#endif
