/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_intake_private.h"

/** Maximum number of jobs that one commit hands over. */
#define HANDOVER_BATCH 512
/**
 * How long a commit is retried when the database has just become unreachable: it may be restarting.
 */
#define SHORT_OUTAGE apr_time_from_sec(1)

/** State of one commit. */
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

/** Call the store once; during a short outage, several times. */
static apr_status_t try_commit(batch_t *batch, rh_commit_t **items, int count)
{
    rh_intake_t *intake = batch->intake;
    rh_queue_t *queue = batch->queue;
    bool was_down = rh_outage_is_down(intake->parts->outage, RH_OUTAGE_WRITER);
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
            rh_outage_report(intake->parts->outage, RH_OUTAGE_WRITER, APR_SUCCESS);
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
            rh_outage_report(intake->parts->outage, RH_OUTAGE_WRITER, status);
            return APR_EAGAIN;
        }
        apr_sleep(wait);
        wait *= 2;
    }
}

/**
 * Commit items. When the store refuses them, it tries halves, so that only an event that it can't
 * store fails; the depth is the logarithm of a batch's size.
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

/**
 * True if an item goes to the spool after its commit failed. A publisher is told that its event was
 * refused. The client of a captured request already has its 2xx, so that event must not be dropped.
 */
static bool belongs_in_spool(const rh_commit_t *item)
{
    return APR_STATUS_IS_EAGAIN(item->status) ||
           (item->status != APR_SUCCESS && item->event->source != RH_SOURCE_PUBLISH);
}

/**
 * Append what could not be committed to the spool, if there is one.
 * @param left receives the items that are stored nowhere, up to `count`
 * @return their number
 */
static int spool_items(rh_intake_t *intake, rh_commit_t **items, int count, rh_commit_t **left)
{
    int i, n = 0;

    for (i = 0; i < count; i++) {
        if (belongs_in_spool(items[i])) {
            left[n++] = items[i];
        }
    }
    if (n > 0 && intake->parts->spooler &&
        rh_spooler_append(intake->parts->spooler, left, n) == APR_SUCCESS) {
        n = 0;
    }
    return n;
}

/**
 * Store items in the database, or in the spool while the database is unreachable or earlier events
 * are in the spool. If nothing more fits into the spool, try the database anyway: it may be back,
 * the earlier events follow soon, and ordered subscriptions wait for them.
 */
static void store_items(batch_t *batch, rh_commit_t **items, int count)
{
    rh_intake_t *intake = batch->intake;
    rh_spooler_t *spooler = intake->parts->spooler;
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

static void commit_calls(rh_writer_t *writer, rh_submission_t *first, int count,
                         apr_pool_t *scratch)
{
    rh_intake_t *intake = writer->intake;
    const rh_parts_t *all = intake->parts->all;
    rh_commit_t **items = apr_palloc(scratch, count * sizeof(*items));
    rh_submission_t *submission, *next;
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
    batch.claim.per_subscription = HANDOVER_BATCH;
    batch.claim.lease = intake->parts->lease;
    batch.claim.lease_for = intake->site->timeout + RH_LEASE_MARGIN;
    if (!rh_shutdown_begun(all->shutdown) && rh_duty_has(all->duty)) {
        batch.claim.limit = rh_capacity_reserve(all->capacity, HANDOVER_BATCH);
    }
    store_items(&batch, items, n);
    rh_intake_leave(intake, first);
    for (submission = first; submission; submission = next) {
        next = submission->next;
        rh_submission_finish(submission);
    }
    if (batch.claim.limit > batch.jobs->nelts) {
        rh_capacity_return(all->capacity, batch.claim.limit - batch.jobs->nelts);
    }
    rh_inboxes_hand_over(all->inboxes, intake->site, intake->dispatcher, batch.jobs, true);
    if (batch.waiting > 0) {
        rh_dispatcher_wake(intake->dispatcher, false);
    }
}

void rh_writer_run(rh_writer_t *writer)
{
    rh_submission_t *first;
    apr_pool_t *scratch;
    int count;

    apr_pool_create(&scratch, writer->pool);
    while ((count = rh_intake_take(writer, &first)) > 0) {
        commit_calls(writer, first, count, scratch);
        apr_pool_clear(scratch);
    }
    rh_shutdown_leave(writer->intake->parts->all->shutdown, RH_ROLE_WRITE);
}
