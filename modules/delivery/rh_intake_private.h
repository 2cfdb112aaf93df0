/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_intake_private.h
 * @brief What the queue of calls (rh_intake.c) and its writers (rh_writer.c) share.
 */
#ifndef RH_INTAKE_PRIVATE_H
#define RH_INTAKE_PRIVATE_H

#include "rh_intake.h"
#include "rh_submission.h"

#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>

struct rh_writer_t {
    rh_intake_t *intake;
    rh_queue_t *queue;
    apr_pool_t *pool; /**< the thread's */
    int committing;   /**< 1: counted there; guarded by the intake's mutex */
};

struct rh_intake_t {
    const rh_site_parts_t *parts;
    const rh_site_t *site;
    rh_dispatcher_t *dispatcher;
    rh_writer_t writers[2];
    int writer_count;
    apr_allocator_t *allocator; /**< of the calls' pools; with a mutex */
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *cond;
    rh_submission_t *first, *last; /**< the queue, guarded by mutex, as are these: */
    int queued_events;
    apr_size_t queued_bytes;
    int committing;    /**< writers that are committing */
    rh_turns_t *turns; /**< the keys that they commit */
    bool closed;
};

/** Take calls from the queue until a commit is full: at least one. Waits for the first.
 * @return their number of events, 0: there will be no more */
int rh_intake_take(rh_writer_t *writer, rh_submission_t **first);

/** The keys of these calls are committed, or not: another writer may commit them. */
void rh_intake_leave(rh_intake_t *intake, const rh_submission_t *first);

#endif
