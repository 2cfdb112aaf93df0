/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_submission.h
 * @brief One call of rh_engine_commit, on its way from its request to a writer and back.
 *
 * Its request may leave at the time-out while the writer still works on it, so everything is a
 * copy, and the last of the two owners destroys it.
 */
#ifndef RH_SUBMISSION_H
#define RH_SUBMISSION_H

#include "rh_store.h"
#include "rh_turns.h"

#include <apr_allocator.h>
#include <semaphore.h>

typedef struct rh_submission_t rh_submission_t;
struct rh_submission_t {
    apr_pool_t *pool;
    rh_submission_t *next;
    int owners; /**< atomic */
    int count;
    apr_size_t bytes;
    apr_uint32_t tenant; /**< a hash of the first event's */
    rh_commit_t *items;
    apr_uint32_t *stripes; /**< of the events' keys: rh_turns.h */
    bool queued;           /**< guarded by the intake's mutex */
    sem_t finished; /**< posted once, by the writer, behind the items' outcomes and `status` */
    apr_status_t status;
};

/** Copy a call's events, into a pool of `allocator`, which has a mutex. Owned twice. */
apr_status_t rh_submission_make(apr_allocator_t *allocator, const rh_commit_t *items, int count,
                                apr_size_t bytes, rh_submission_t **submission);

/** One owner has no more use for it. */
void rh_submission_disown(rh_submission_t *submission);
/** No writer has seen it: destroy it for both owners. */
void rh_submission_destroy(rh_submission_t *submission);

/** Wait until the writer is done. @return false: `timeout` passed first */
bool rh_submission_wait(rh_submission_t *submission, apr_interval_time_t timeout);

/** The items' outcomes are set: let the request go on, and disown it. The writer's. */
void rh_submission_finish(rh_submission_t *submission);

#endif
