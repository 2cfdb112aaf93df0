/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_intake_private.h"

#include "rh_pool.h"

/** Upper bounds of one commit; a call is never split across commits. */
#define COMMIT_BATCH 256
#define COMMIT_BYTES (4 * 1024 * 1024)
/** Number of tenants that can share a commit; tenants whose hashes collide count as one. */
#define TENANTS 64
/** Upper bounds of the queue for the writers of one site. */
#define INTAKE_EVENTS 8192
#define INTAKE_BYTES (64 * 1024 * 1024)
/** Bytes that the allocator of calls keeps for reuse. */
#define ALLOCATOR_KEEP (4 * 1024 * 1024)
/** A second writer helps while this many events wait for the first. */
#define SECOND_WRITER_EVENTS 128
/** How long a call waits for a writer that only has to append to the spool. */
#define SPOOL_WAIT apr_time_from_msec(500)

/** Make an allocator for short-lived pools of many threads; its mutex lives in `pool`. */
static apr_status_t make_allocator(apr_pool_t *pool, apr_allocator_t **allocator)
{
    apr_thread_mutex_t *mutex;
    apr_status_t status = apr_allocator_create(allocator);

    if (status != APR_SUCCESS) {
        *allocator = NULL;
        return status;
    }
    status = apr_thread_mutex_create(&mutex, APR_THREAD_MUTEX_DEFAULT, pool);
    if (status == APR_SUCCESS) {
        apr_allocator_mutex_set(*allocator, mutex);
        apr_allocator_max_free_set(*allocator, ALLOCATOR_KEEP);
    }
    return status;
}

static apr_status_t make_writers(rh_intake_t *intake)
{
    apr_status_t status = APR_SUCCESS;
    int i;

    intake->writer_count = intake->site->helper_queue ? 2 : 1;
    for (i = 0; i < intake->writer_count && status == APR_SUCCESS; i++) {
        rh_writer_t *writer = &intake->writers[i];

        writer->intake = intake;
        writer->queue = i == 0 ? intake->site->intake_queue : intake->site->helper_queue;
        status = rh_root_pool_make(&writer->pool, RH_POOL_KEEP, false);
    }
    return status;
}

apr_status_t rh_intake_make(apr_pool_t *pool, const rh_site_parts_t *parts,
                            rh_dispatcher_t *dispatcher, rh_intake_t **result)
{
    rh_intake_t *intake = apr_pcalloc(pool, sizeof(*intake));
    apr_status_t status;

    *result = intake;
    intake->parts = parts;
    intake->site = parts->site;
    intake->dispatcher = dispatcher;
    intake->turns = rh_turns_make(pool);
    if ((status = make_writers(intake)) != APR_SUCCESS ||
        (status = make_allocator(pool, &intake->allocator)) != APR_SUCCESS ||
        (status = apr_thread_mutex_create(&intake->mutex, APR_THREAD_MUTEX_DEFAULT, pool)) !=
            APR_SUCCESS) {
        return status;
    }
    return apr_thread_cond_create(&intake->cond, pool);
}

void rh_intake_destroy(rh_intake_t *intake)
{
    int i;

    for (i = 0; intake && i < intake->writer_count; i++) {
        if (intake->writers[i].pool) {
            apr_pool_destroy(intake->writers[i].pool);
        }
    }
    if (intake && intake->allocator) {
        apr_allocator_destroy(intake->allocator);
    }
}

int rh_intake_writer_count(const rh_intake_t *intake)
{
    return intake->writer_count;
}

rh_writer_t *rh_intake_writer(rh_intake_t *intake, int number)
{
    return &intake->writers[number];
}

static apr_size_t bytes_of(const rh_commit_t *items, int count)
{
    apr_size_t bytes = 0;
    int i;

    for (i = 0; i < count; i++) {
        bytes += items[i].event->data.len + 512;
    }
    return bytes;
}

/** True if the queue has room for a call. An empty queue takes a call of any size. Mutex held. */
static bool has_room(const rh_intake_t *intake, int count, apr_size_t bytes)
{
    return intake->first == NULL || (intake->queued_events + count <= INTAKE_EVENTS &&
                                     intake->queued_bytes + bytes <= INTAKE_BYTES);
}

static void count_queued(rh_intake_t *intake, const rh_submission_t *submission, int sign)
{
    rh_metrics_move(intake->site->metrics, RH_GAUGE_INTAKE, sign * submission->count);
    intake->queued_events += sign * submission->count;
    if (sign > 0) {
        intake->queued_bytes += submission->bytes;
    } else {
        intake->queued_bytes -= submission->bytes;
    }
}

/**
 * True if an idle writer has something to do. One writer commits at once what arrived during its
 * last commit; a second one helps only if that is more than one commit. Mutex held.
 */
static bool wants_writer(const rh_intake_t *intake)
{
    return intake->first && intake->committing < intake->writer_count &&
           (intake->committing == 0 || intake->queued_events >= SECOND_WRITER_EVENTS ||
            intake->closed) &&
           rh_turns_free(intake->turns, intake->first->stripes, intake->first->count);
}

static bool enqueue_call(rh_intake_t *intake, rh_submission_t *submission)
{
    bool taken, wakes = false;

    apr_thread_mutex_lock(intake->mutex);
    taken = !intake->closed && has_room(intake, submission->count, submission->bytes);
    if (taken) {
        count_queued(intake, submission, 1);
        submission->queued = true;
        if (intake->first) {
            intake->last->next = submission;
        } else {
            intake->first = submission;
        }
        intake->last = submission;
        wakes = wants_writer(intake);
    }
    apr_thread_mutex_unlock(intake->mutex);
    /* Signal after unlocking, so that the woken writer does not block on the mutex. */
    if (wakes) {
        apr_thread_cond_signal(intake->cond);
    }
    return taken;
}

/** Remove a call from the queue unless a writer has already started on it. */
static bool withdraw_call(rh_intake_t *intake, rh_submission_t *submission)
{
    rh_submission_t **link = &intake->first, *before = NULL;
    bool withdrawn = false;

    apr_thread_mutex_lock(intake->mutex);
    if (submission->queued) {
        while (*link != submission) {
            before = *link;
            link = &before->next;
        }
        *link = submission->next;
        if (intake->last == submission) {
            intake->last = before;
        }
        count_queued(intake, submission, -1);
        submission->queued = false;
        withdrawn = true;
    }
    apr_thread_mutex_unlock(intake->mutex);
    return withdrawn;
}

/** The database cannot take these events now: append them to the spool in the caller's thread. */
static apr_status_t spool_calls(rh_intake_t *intake, rh_commit_t *items, int count,
                                apr_status_t otherwise, apr_pool_t *pool)
{
    rh_spooler_t *spooler = intake->parts->spooler;
    rh_commit_t **list = apr_palloc(pool, (apr_size_t)count * sizeof(*list));
    int i;

    for (i = 0; i < count; i++) {
        list[i] = &items[i];
    }
    return spooler && rh_spooler_append(spooler, list, count) == APR_SUCCESS ? APR_SUCCESS
                                                                             : otherwise;
}

apr_status_t rh_intake_commit(rh_intake_t *intake, rh_commit_t *items, int count,
                              apr_interval_time_t timeout, apr_pool_t *pool)
{
    rh_spooler_t *spooler = intake->parts->spooler;
    apr_size_t bytes = bytes_of(items, count);
    rh_submission_t *submission = NULL;
    apr_status_t status;
    bool room;
    int i;

    /* Check before copying anything; it is checked again when the call is queued. */
    apr_thread_mutex_lock(intake->mutex);
    room = !intake->closed && has_room(intake, count, bytes);
    apr_thread_mutex_unlock(intake->mutex);
    if (!room) {
        return spool_calls(intake, items, count, APR_EAGAIN, pool);
    }
    if (spooler && rh_spooler_pending(spooler) && timeout > SPOOL_WAIT) {
        timeout = SPOOL_WAIT;
    }
    status = rh_submission_make(intake->allocator, items, count, bytes, &submission);
    if (status != APR_SUCCESS) {
        return status;
    }
    if (!enqueue_call(intake, submission)) {
        rh_submission_destroy(submission);
        return spool_calls(intake, items, count, APR_EAGAIN, pool);
    }
    if (!rh_submission_wait(submission, timeout)) {
        if (withdraw_call(intake, submission)) {
            rh_submission_destroy(submission);
            return spool_calls(intake, items, count, APR_EAGAIN, pool);
        }
        if (!rh_submission_wait(submission, 0)) {
            /*
             * If the writer stores them after all, the spool's copies are recognised by their ids.
             */
            rh_submission_disown(submission);
            return spool_calls(intake, items, count, APR_TIMEUP, pool);
        }
    }
    status = submission->status;
    for (i = 0; i < count; i++) {
        const rh_commit_t *from = &submission->items[i];

        items[i].status = from->status;
        items[i].duplicate = from->duplicate;
        items[i].stored_id = items[i].event->id;
        if (from->stored_id && strcmp(from->stored_id, items[i].event->id) != 0) {
            items[i].stored_id = apr_pstrdup(pool, from->stored_id);
        }
    }
    rh_submission_disown(submission);
    return status;
}

int rh_intake_queued(rh_intake_t *intake)
{
    int queued;

    apr_thread_mutex_lock(intake->mutex);
    queued = intake->queued_events;
    apr_thread_mutex_unlock(intake->mutex);
    return queued;
}

void rh_intake_close(rh_intake_t *intake)
{
    apr_thread_mutex_lock(intake->mutex);
    intake->closed = true;
    apr_thread_cond_broadcast(intake->cond);
    apr_thread_mutex_unlock(intake->mutex);
}

void rh_intake_leave(rh_intake_t *intake, const rh_submission_t *first)
{
    const rh_submission_t *submission;
    bool wakes;

    apr_thread_mutex_lock(intake->mutex);
    for (submission = first; submission; submission = submission->next) {
        rh_turns_give(intake->turns, submission->stripes, submission->count);
    }
    /* This writer comes back for the remaining calls. */
    wakes = intake->closed || intake->queued_events >= SECOND_WRITER_EVENTS;
    apr_thread_mutex_unlock(intake->mutex);
    if (wakes) {
        apr_thread_cond_signal(intake->cond);
    }
}

/** The calls of one commit. */
typedef struct selection_t {
    rh_submission_t *first, *last;
    int count;
    apr_size_t bytes;
    int used[TENANTS]; /**< number of events, by tenant */
} selection_t;

/** True if a call fits into a commit. The first call always does, whatever its size. */
static bool may_join(const rh_intake_t *intake, const selection_t *selection,
                     const rh_submission_t *submission, int quota)
{
    int used = selection->used[submission->tenant % TENANTS];

    return (!selection->first || (selection->count + submission->count <= COMMIT_BATCH &&
                                  selection->bytes + submission->bytes <= COMMIT_BYTES)) &&
           (used == 0 || used + submission->count <= quota) &&
           rh_turns_free(intake->turns, submission->stripes, submission->count);
}

/**
 * Move a call from the queue to the commit. @param before the preceding call, NULL: it is the first
 */
static void select_call(rh_intake_t *intake, selection_t *selection, rh_submission_t *submission,
                        rh_submission_t *before)
{
    if (before) {
        before->next = submission->next;
    } else {
        intake->first = submission->next;
    }
    if (intake->last == submission) {
        intake->last = before;
    }
    if (selection->last) {
        selection->last->next = submission;
    } else {
        selection->first = submission;
    }
    selection->last = submission;
    submission->next = NULL;
    count_queued(intake, submission, -1);
    submission->queued = false;
    selection->count += submission->count;
    selection->bytes += submission->bytes;
    selection->used[submission->tenant % TENANTS] += submission->count;
}

/**
 * Take calls in order, at most `quota` events of each tenant, or one call. The keys of a skipped
 * call count as being committed for the calls after it, so no event of the same key overtakes it.
 */
static void select_calls(rh_intake_t *intake, selection_t *selection, int quota)
{
    rh_submission_t *submission = intake->first, *before = NULL, *next, *passed;

    while (submission && selection->count < COMMIT_BATCH) {
        next = submission->next;
        if (may_join(intake, selection, submission, quota)) {
            select_call(intake, selection, submission, before);
        } else {
            rh_turns_take(intake->turns, submission->stripes, submission->count);
            before = submission;
        }
        submission = next;
    }
    for (passed = intake->first; passed != submission; passed = passed->next) {
        rh_turns_give(intake->turns, passed->stripes, passed->count);
    }
}

/** Return a tenant's equal share of a commit while more events wait than fit. Mutex held. */
static int tenant_quota(const rh_intake_t *intake)
{
    bool seen[TENANTS] = {false};
    const rh_submission_t *submission;
    int tenants = 0;

    for (submission = intake->first; submission; submission = submission->next) {
        tenants += !seen[submission->tenant % TENANTS];
        seen[submission->tenant % TENANTS] = true;
    }
    return tenants > 0 ? COMMIT_BATCH / tenants : COMMIT_BATCH;
}

int rh_intake_take(rh_writer_t *writer, rh_submission_t **first)
{
    rh_intake_t *intake = writer->intake;
    selection_t selection = {0};
    const rh_submission_t *submission;
    bool wakes;

    apr_thread_mutex_lock(intake->mutex);
    intake->committing -= writer->committing;
    writer->committing = 0;
    while (!wants_writer(intake) && (intake->first || !intake->closed)) {
        apr_thread_cond_timedwait(intake->cond, intake->mutex, RH_MAX_SLEEP);
    }
    if (intake->queued_events > COMMIT_BATCH) {
        select_calls(intake, &selection, tenant_quota(intake));
    }
    select_calls(intake, &selection, COMMIT_BATCH);
    *first = selection.first;
    if (selection.first) {
        intake->committing += writer->committing = 1;
    }
    for (submission = selection.first; submission; submission = submission->next) {
        rh_turns_take(intake->turns, submission->stripes, submission->count);
    }
    wakes = wants_writer(intake);
    apr_thread_mutex_unlock(intake->mutex);
    if (wakes) {
        apr_thread_cond_signal(intake->cond);
    }
    return selection.count;
}
