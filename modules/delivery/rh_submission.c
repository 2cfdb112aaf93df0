/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_submission.h"

#include "rh_atomic.h"
#include "rh_text.h"

#include <time.h>

void rh_submission_destroy(rh_submission_t *submission)
{
    sem_destroy(&submission->finished);
    apr_pool_destroy(submission->pool);
}

void rh_submission_disown(rh_submission_t *submission)
{
    if (rh_atomic_add(submission->owners, -1) == 0) {
        rh_submission_destroy(submission);
    }
}

apr_status_t rh_submission_make(apr_allocator_t *allocator, const rh_commit_t *items, int count,
                                apr_size_t bytes, rh_submission_t **result)
{
    rh_submission_t *submission;
    apr_status_t status;
    apr_pool_t *pool;
    int i;

    /*
     * With an allocator of its own, each call would get its memory from the system and return it.
     */
    status = apr_pool_create_unmanaged_ex(&pool, NULL, allocator);
    if (status != APR_SUCCESS) {
        return status;
    }
    submission = apr_pcalloc(pool, sizeof(*submission));
    submission->pool = pool;
    submission->owners = 2;
    submission->count = count;
    submission->bytes = bytes;
    submission->tenant = count > 0 ? rh_text_hash(items[0].event->tenant, NULL) : 0;
    sem_init(&submission->finished, 0, 0);
    submission->items = apr_pcalloc(pool, count * sizeof(*submission->items));
    submission->stripes = apr_palloc(pool, (apr_size_t)count * sizeof(*submission->stripes));
    for (i = 0; i < count; i++) {
        submission->items[i].event = rh_event_copy(pool, items[i].event);
        submission->stripes[i] = rh_turns_stripe(items[i].event);
        submission->items[i].status = APR_EGENERAL;
    }
    *result = submission;
    return APR_SUCCESS;
}

bool rh_submission_wait(rh_submission_t *submission, apr_interval_time_t timeout)
{
    apr_time_t now = apr_time_now(), until = now + timeout;
    bool finished = sem_trywait(&submission->finished) == 0;

    while (!finished && now < until) {
        struct timespec end = {.tv_sec = (time_t)apr_time_sec(until),
                               .tv_nsec = (long)apr_time_usec(until) * 1000};

        finished = sem_timedwait(&submission->finished, &end) == 0;
        now = apr_time_now();
    }
    return finished;
}

void rh_submission_finish(rh_submission_t *submission)
{
    apr_status_t status = submission->count > 0 ? APR_EAGAIN : APR_SUCCESS;
    int i;

    for (i = 0; i < submission->count; i++) {
        rh_commit_t *item = &submission->items[i];

        if (!APR_STATUS_IS_EAGAIN(item->status)) {
            status = APR_SUCCESS;
        }
        if (item->stored_id && item->stored_id != item->event->id) {
            item->stored_id = apr_pstrdup(submission->pool, item->stored_id);
        }
    }
    submission->status = status;
    sem_post(&submission->finished);
    rh_submission_disown(submission);
}
