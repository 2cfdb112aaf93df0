/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_intake_private.h
 * @brief State shared by the queue of calls (rh_intake.c) and its writers (rh_writer.c).
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
    apr_pool_t *pool; /**< used only by the writer's thread */
    int committing;   /**< 1 while it is counted in `writing`; guarded by the intake's mutex */
};

struct rh_intake_t {
    const rh_site_parts_t *parts;
    const rh_site_t *site;
    rh_dispatcher_t *dispatcher;
    rh_writer_t writers[2];
    int writer_count;
    apr_allocator_t *allocator; /**< allocator of the calls' pools; has a mutex */
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *cond;
    rh_submission_t *first, *last; /**< the queue; guarded by mutex, like the members up to
                                        `turns` */
    int queued_events;
    apr_size_t queued_bytes;
    int committing;    /**< number of writers that are committing */
    rh_turns_t *turns; /**< the keys that they are committing */
    bool closed;
};

/**
 * Take calls from the queue until a commit is full. Waits for the first call.
 * @return their number of events; 0: no more will come
 */
int rh_intake_take(rh_writer_t *writer, rh_submission_t **first);

/** Release the keys of these calls, committed or not, so that another writer may commit them. */
void rh_intake_leave(rh_intake_t *intake, const rh_submission_t *first);

#endif
