/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_engine_private.h"

#include <semaphore.h>
#include <time.h>

/** How long a commit is tried again when the database has only just gone: it may be a restart. */
#define SHORT_OUTAGE apr_time_from_sec(1)
/** A second writer helps when so many events wait for the first. */
#define HELPED_FROM 128
/** How long a call waits for a writer that only has to append to the spool. */
#define SPOOL_WAIT apr_time_from_msec(500)

/**
 * One call of rh_engine_commit. Its request may leave at the time-out while the writer still works
 * on it, so everything is a copy, and the last of the two owners destroys it.
 */
struct rh_submission_t {
    apr_pool_t *pool;
    rh_submission_t *next;
    int owners; /**< atomic */
    int count;
    apr_size_t bytes;
    rh_commit_t *items;
    apr_uint32_t *places; /**< of the events' keys: rh_turns.h */
    bool queued;          /**< guarded by the intake's mutex */
    sem_t finished; /**< posted once, by the writer, behind the items' outcomes and `status` */
    apr_status_t status;
};

static void destroy(rh_submission_t *submission)
{
    sem_destroy(&submission->finished);
    apr_pool_destroy(submission->pool);
}

static void disown(rh_submission_t *submission)
{
    if (rh_atomic_add(submission->owners, -1) == 0) {
        destroy(submission);
    }
}

static const rh_event_t *copy_event(apr_pool_t *pool, const rh_event_t *from)
{
    rh_event_t *event = apr_pmemdup(pool, from, sizeof(*from));

    event->id = apr_pstrdup(pool, from->id);
    event->tenant = apr_pstrdup(pool, from->tenant);
    event->type = apr_pstrdup(pool, from->type);
    event->key = apr_pstrdup(pool, from->key);
    event->client_id = apr_pstrdup(pool, from->client_id);
    event->traceparent = apr_pstrdup(pool, from->traceparent);
    event->data.data = apr_pstrmemdup(pool, from->data.data, from->data.len);
    return event;
}

static apr_size_t size_of(const rh_commit_t *items, int count)
{
    apr_size_t bytes = 0;
    int i;

    for (i = 0; i < count; i++) {
        bytes += items[i].event->data.len + 512;
    }
    return bytes;
}

static apr_status_t make_submission(rh_intake_t *intake, const rh_commit_t *items, int count,
                                    apr_size_t bytes, rh_submission_t **result)
{
    rh_submission_t *submission;
    apr_status_t status;
    apr_pool_t *pool;
    int i;

    /* An allocator of its own would ask the system for its memory and give it back each time. */
    status = apr_pool_create_unmanaged_ex(&pool, NULL, intake->allocator);
    if (status != APR_SUCCESS) {
        return status;
    }
    submission = apr_pcalloc(pool, sizeof(*submission));
    submission->pool = pool;
    submission->owners = 2;
    submission->count = count;
    submission->bytes = bytes;
    sem_init(&submission->finished, 0, 0);
    submission->items = apr_pcalloc(pool, count * sizeof(*submission->items));
    submission->places = apr_palloc(pool, (apr_size_t)count * sizeof(*submission->places));
    for (i = 0; i < count; i++) {
        submission->items[i].event = copy_event(pool, items[i].event);
        submission->places[i] = rh_turns_place(items[i].event);
        submission->items[i].status = APR_EGENERAL;
    }
    *result = submission;
    return APR_SUCCESS;
}

/** Whether the queue has room for a call. A large one has when it is alone. Mutex held. */
static bool has_room(const rh_intake_t *intake, int count, apr_size_t bytes)
{
    return intake->first == NULL || (intake->queued_events + count <= RH_INTAKE_EVENTS &&
                                     intake->queued_bytes + bytes <= RH_INTAKE_BYTES);
}

static void account(rh_intake_t *intake, const rh_submission_t *submission, int sign)
{
    rh_metrics_move(intake->site->metrics, RH_GAUGE_INTAKE, sign * submission->count);
    intake->queued_events += sign * submission->count;
    if (sign > 0) {
        intake->queued_bytes += submission->bytes;
    } else {
        intake->queued_bytes -= submission->bytes;
    }
}

/** Whether a writer that waits has something to do. One commits what comes while it is at it in
 * one go; another helps only where that is more than a commit takes. Mutex held. */
static bool wants_writer(const rh_intake_t *intake)
{
    return intake->first && intake->committing < intake->writer_count &&
           (intake->committing == 0 || intake->queued_events >= HELPED_FROM || intake->closed) &&
           rh_turns_free(intake->turns, intake->first->places, intake->first->count);
}

static bool enqueue(rh_intake_t *intake, rh_submission_t *submission)
{
    bool taken, wakes = false;

    apr_thread_mutex_lock(intake->mutex);
    taken = !intake->closed && has_room(intake, submission->count, submission->bytes);
    if (taken) {
        account(intake, submission, 1);
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
    /* Who is woken wants the mutex: not before it is free. */
    if (wakes) {
        apr_thread_cond_signal(intake->cond);
    }
    return taken;
}

/** Take a call out of the queue again, if the writer has not begun with it. */
static bool withdraw(rh_intake_t *intake, rh_submission_t *submission)
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
        account(intake, submission, -1);
        submission->queued = false;
        withdrawn = true;
    }
    apr_thread_mutex_unlock(intake->mutex);
    return withdrawn;
}

/** Wait until the writer is done. @return false: `timeout` passed first */
static bool wait_for(rh_submission_t *submission, apr_interval_time_t timeout)
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

/** The database can't have these now: the caller's own thread puts them into the spool. */
static apr_status_t spool_calls(rh_intake_t *intake, rh_commit_t *items, int count,
                                apr_status_t otherwise, apr_pool_t *pool)
{
    rh_spooler_t *spooler = intake->dispatcher->spooler;
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
    rh_spooler_t *spooler = intake->dispatcher->spooler;
    apr_size_t bytes = size_of(items, count);
    rh_submission_t *submission = NULL;
    apr_status_t status;
    bool room;
    int i;

    /* Before anything is copied; looked at again when it is queued. */
    apr_thread_mutex_lock(intake->mutex);
    room = !intake->closed && has_room(intake, count, bytes);
    apr_thread_mutex_unlock(intake->mutex);
    if (!room) {
        return spool_calls(intake, items, count, APR_EAGAIN, pool);
    }
    if (spooler && rh_spooler_pending(spooler) && timeout > SPOOL_WAIT) {
        timeout = SPOOL_WAIT;
    }
    status = make_submission(intake, items, count, bytes, &submission);
    if (status != APR_SUCCESS) {
        return status;
    }
    if (!enqueue(intake, submission)) {
        destroy(submission);
        return spool_calls(intake, items, count, APR_EAGAIN, pool);
    }
    if (!wait_for(submission, timeout)) {
        if (withdraw(intake, submission)) {
            destroy(submission);
            return spool_calls(intake, items, count, APR_EAGAIN, pool);
        }
        if (!wait_for(submission, 0)) {
            /* Should the writer store them yet, the spool's are known by their ids. */
            disown(submission);
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
    disown(submission);
    return status;
}

void rh_intake_close(rh_intake_t *intake)
{
    apr_thread_mutex_lock(intake->mutex);
    intake->closed = true;
    apr_thread_cond_broadcast(intake->cond);
    apr_thread_mutex_unlock(intake->mutex);
}

/* ---- the writer ---- */

/** One commit being made. */
typedef struct batch_t {
    rh_intake_t *intake;
    rh_queue_t *queue;
    apr_pool_t *scratch;
    rh_claim_t claim;
    apr_array_header_t *jobs;
    int waiting;
} batch_t;

static void set_status(rh_commit_t **items, int count, apr_status_t status)
{
    int i;

    for (i = 0; i < count; i++) {
        items[i]->status = status;
    }
}

/** One call of the store; over a short outage several. */
static apr_status_t try_commit(batch_t *batch, rh_commit_t **items, int count)
{
    rh_intake_t *intake = batch->intake;
    rh_engine_t *engine = intake->engine;
    rh_queue_t *queue = batch->queue;
    bool was_down = rh_atomic_get(engine->down[intake->dispatcher->index]) & RH_DOWN_WRITER;
    apr_time_t give_up = apr_time_now() + SHORT_OUTAGE;
    apr_interval_time_t wait = apr_time_from_msec(20);
    int reserved = batch->claim.limit, before = batch->jobs->nelts;
    apr_status_t status;

    for (;;) {
        const rh_metrics_t *metrics = intake->site->metrics;
        apr_time_t began = apr_time_now();
        int waiting = 0;

        batch->claim.limit = reserved - before;
        status = queue->commit(queue, items, count, &batch->claim, batch->scratch, batch->jobs,
                               &waiting);
        batch->claim.limit = reserved;
        rh_health_note(metrics, RH_HEALTH_COMMIT, status);
        if (status == APR_SUCCESS) {
            rh_metrics_observe(metrics, RH_HISTOGRAM_COMMIT, apr_time_now() - began);
            rh_metrics_observe(metrics, RH_HISTOGRAM_EVENTS, count);
            batch->waiting += waiting;
            rh_engine_store_is(intake->dispatcher, RH_DOWN_WRITER, APR_SUCCESS);
            return APR_SUCCESS;
        }
        rh_metrics_count(metrics, RH_COUNT_ERROR_COMMIT);
        while (batch->jobs->nelts > before) {
            rh_job_destroy(*(rh_job_t **)apr_array_pop(batch->jobs));
        }
        if (!APR_STATUS_IS_EAGAIN(status)) {
            return APR_EGENERAL;
        }
        if (was_down || apr_time_now() + wait > give_up) {
            rh_engine_store_is(intake->dispatcher, RH_DOWN_WRITER, status);
            return APR_EAGAIN;
        }
        apr_sleep(wait);
        wait *= 2;
    }
}

/**
 * Commit items. When the store refuses them, halves are tried, so that what it can't take fails
 * alone; the depth is the logarithm of a batch's size.
 */
static void commit_items(batch_t *batch, rh_commit_t **items, int count)
{
    apr_status_t status = try_commit(batch, items, count);

    if (status == APR_SUCCESS) {
        return;
    }
    if (status == APR_EGENERAL && count > 1) {
        commit_items(batch, items, count / 2);
        commit_items(batch, items + count / 2, count - count / 2);
        return;
    }
    set_status(items, count, status);
}

/** Whether an item goes to the spool after its commit failed. A publisher hears that its event is
 * refused; the client of a captured request has its 2xx, so the event must not be dropped. */
static bool belongs_in_spool(const rh_commit_t *item)
{
    return APR_STATUS_IS_EAGAIN(item->status) ||
           (item->status != APR_SUCCESS && item->event->source != RH_SOURCE_PUBLISH);
}

/** Append what could not be committed to the spool, if there is one.
 * @param left receives what is stored nowhere, for `count` items @return how many these are */
static int spool_items(rh_intake_t *intake, rh_commit_t **items, int count, rh_commit_t **left)
{
    int i, n = 0;

    for (i = 0; i < count; i++) {
        if (belongs_in_spool(items[i])) {
            left[n++] = items[i];
        }
    }
    if (n > 0 && intake->dispatcher->spooler &&
        rh_spooler_append(intake->dispatcher->spooler, left, n) == APR_SUCCESS) {
        n = 0;
    }
    return n;
}

/**
 * Store items: in the database, or in the spool while that can't be reached or has some already.
 * Where nothing more goes into the spool, the database may be back: those before them are there
 * soon, and ordered subscriptions wait for them.
 */
static void store_items(batch_t *batch, rh_commit_t **items, int count)
{
    rh_intake_t *intake = batch->intake;
    rh_spooler_t *spooler = intake->dispatcher->spooler;
    rh_commit_t **left = apr_palloc(batch->scratch, (apr_size_t)count * sizeof(*left));
    bool waits = spooler && rh_spooler_pending(spooler);
    int n;

    if (waits) {
        set_status(items, count, APR_EAGAIN);
    } else {
        commit_items(batch, items, count);
    }
    n = spool_items(intake, items, count, left);
    if (n > 0 && waits) {
        commit_items(batch, left, n);
    }
}

/** Let a request go on. Its call may be gone afterwards. */
static void finish(rh_submission_t *submission, apr_uint32_t *stored)
{
    apr_status_t status = submission->count > 0 ? APR_EAGAIN : APR_SUCCESS;
    int i;

    for (i = 0; i < submission->count; i++) {
        rh_commit_t *item = &submission->items[i];

        if (!APR_STATUS_IS_EAGAIN(item->status)) {
            status = APR_SUCCESS;
        }
        if (item->status == APR_SUCCESS && !item->duplicate) {
            (*stored)++;
        }
        if (item->stored_id && item->stored_id != item->event->id) {
            item->stored_id = apr_pstrdup(submission->pool, item->stored_id);
        }
    }
    submission->status = status;
    sem_post(&submission->finished);
    disown(submission);
}

/** Others may commit the keys of these calls. */
static void leave(rh_intake_t *intake, const rh_submission_t *first)
{
    const rh_submission_t *submission;
    bool wakes;

    apr_thread_mutex_lock(intake->mutex);
    for (submission = first; submission; submission = submission->next) {
        rh_turns_give(intake->turns, submission->places, submission->count);
    }
    /* This writer comes back for what is next. */
    wakes = intake->closed || intake->queued_events >= HELPED_FROM;
    apr_thread_mutex_unlock(intake->mutex);
    if (wakes) {
        apr_thread_cond_signal(intake->cond);
    }
}

static void commit_calls(rh_writer_t *writer, rh_submission_t *first, int count,
                         apr_pool_t *scratch)
{
    rh_intake_t *intake = writer->intake;
    rh_engine_t *engine = intake->engine;
    rh_commit_t **items = apr_palloc(scratch, count * sizeof(*items));
    rh_submission_t *submission, *next;
    apr_uint32_t stored = 0;
    batch_t batch = {0};
    int i, n = 0;

    for (submission = first; submission; submission = submission->next) {
        for (i = 0; i < submission->count; i++) {
            items[n++] = &submission->items[i];
        }
    }
    batch.intake = intake;
    batch.queue = writer->queue;
    batch.scratch = scratch;
    batch.jobs = apr_array_make(scratch, count, sizeof(rh_job_t *));
    batch.claim.per_subscription = RH_HANDOVER_BATCH;
    batch.claim.lease = intake->dispatcher->lease;
    batch.claim.lease_for = intake->site->timeout + RH_LEASE_MARGIN;
    if (!rh_atomic_get(engine->stopping) && rh_atomic_get(engine->delivers)) {
        batch.claim.limit = rh_engine_reserve(engine, RH_HANDOVER_BATCH);
    }
    store_items(&batch, items, n);
    leave(intake, first);
    for (submission = first; submission; submission = next) {
        next = submission->next;
        finish(submission, &stored);
    }
    if (batch.claim.limit > batch.jobs->nelts) {
        rh_engine_jobs_gone(engine, batch.claim.limit - batch.jobs->nelts);
    }
    rh_engine_hand_over(intake->dispatcher, batch.jobs, true);
    if (batch.waiting > 0) {
        rh_dispatcher_wake(intake->dispatcher, false);
    }
    __atomic_add_fetch(&engine->counters.commits, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&engine->counters.committed_events, stored, __ATOMIC_RELAXED);
}

/** Take calls from the queue until a commit is full: at least one. Waits for the first.
 * @return their number of events, 0: none will come any more */
static int take_calls(rh_writer_t *writer, rh_submission_t **first)
{
    rh_intake_t *intake = writer->intake;
    rh_submission_t *submission, *last = NULL;
    apr_size_t bytes = 0;
    bool wakes;
    int count = 0;

    apr_thread_mutex_lock(intake->mutex);
    intake->committing -= writer->committing;
    writer->committing = 0;
    while (!wants_writer(intake) && (intake->first || !intake->closed)) {
        apr_thread_cond_timedwait(intake->cond, intake->mutex, RH_LONGEST_SLEEP);
    }
    *first = intake->first;
    for (submission = intake->first; submission; submission = submission->next) {
        if (last && (count + submission->count > RH_COMMIT_BATCH ||
                     bytes + submission->bytes > RH_COMMIT_BYTES ||
                     !rh_turns_free(intake->turns, submission->places, submission->count))) {
            break;
        }
        account(intake, submission, -1);
        submission->queued = false;
        count += submission->count;
        bytes += submission->bytes;
        last = submission;
    }
    intake->first = submission;
    if (!submission) {
        intake->last = NULL;
    }
    if (last) {
        last->next = NULL;
        intake->committing += writer->committing = 1;
        for (submission = *first; submission; submission = submission->next) {
            rh_turns_take(intake->turns, submission->places, submission->count);
        }
    }
    wakes = wants_writer(intake);
    apr_thread_mutex_unlock(intake->mutex);
    if (wakes) {
        apr_thread_cond_signal(intake->cond);
    }
    return count;
}

void rh_intake_run(rh_writer_t *writer)
{
    rh_submission_t *first;
    apr_pool_t *scratch;
    int count;

    apr_pool_create(&scratch, writer->pool);
    while ((count = take_calls(writer, &first)) > 0) {
        commit_calls(writer, first, count, scratch);
        apr_pool_clear(scratch);
    }
}
