/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_submission.h
 * @brief One call of rh_engine_commit, on its way from the request to a writer and back.
 *
 * The request may give up at its time-out while the writer still works on the call. Everything is
 * therefore a copy, and the last of the two owners destroys it.
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
    apr_uint32_t tenant; /**< hash of the first event's tenant */
    rh_commit_t *items;
    apr_uint32_t *stripes; /**< lock stripes of the events' keys: rh_turns.h */
    bool queued;           /**< guarded by the intake's mutex */
    sem_t finished;        /**< posted once by the writer, after it has set the items' outcomes and
                                `status` */
    apr_status_t status;
};

/** Copy a call's events into a pool of `allocator`, which has a mutex. It has two owners. */
apr_status_t rh_submission_make(apr_allocator_t *allocator, const rh_commit_t *items, int count,
                                apr_size_t bytes, rh_submission_t **submission);

/** Disown the call; the second owner's call destroys it. */
void rh_submission_disown(rh_submission_t *submission);
/** Destroy a call that no writer has seen, for both owners. */
void rh_submission_destroy(rh_submission_t *submission);

/** Wait until the writer is done. @return false if `timeout` passed first */
bool rh_submission_wait(rh_submission_t *submission, apr_interval_time_t timeout);

/**
 * Let the request continue after the outcomes are set, and disown the call. Called by the writer.
 */
void rh_submission_finish(rh_submission_t *submission);

#endif
