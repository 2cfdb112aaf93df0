/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* A dispatcher's work apart from settling and claiming: spool, housekeeping, jobs, the backlog. */
#include "rh_dispatcher_private.h"

/** Interval between checks of the spool. */
#define DRAIN_INTERVAL apr_time_from_msec(200)
/** Interval between the chunks of a job, because other statements need the database, too. */
#define CHUNK_INTERVAL apr_time_from_msec(20)

/** Store some events of the spool in the database, and have their deliveries claimed. */
static void drain(rh_dispatcher_t *dispatcher, apr_pool_t *scratch)
{
    int stored;
    apr_status_t status =
        rh_spooler_drain(dispatcher->parts->spooler, dispatcher->site->dispatch_queue,
                         dispatcher->parts->lease, scratch, &stored);
    apr_time_t now = apr_time_now();

    dispatcher->draining = status == APR_SUCCESS && stored > 0;
    dispatcher->next_drain = now;
    if (dispatcher->draining) {
        rh_dispatcher_claim_at(dispatcher, now);
    } else {
        dispatcher->next_drain += status == APR_SUCCESS ? DRAIN_INTERVAL : RH_DOWN_INTERVAL;
    }
    if (APR_STATUS_IS_EAGAIN(status)) {
        rh_outage_report(dispatcher->parts->outage, RH_OUTAGE_DISPATCHER, status);
    }
}

static void maintain(rh_dispatcher_t *dispatcher, apr_pool_t *scratch)
{
    rh_queue_t *queue = dispatcher->site->dispatch_queue;
    apr_status_t status = queue->maintain(queue, dispatcher->site->retention, scratch);
    bool failed = status != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(status);

    rh_health_note(dispatcher->site->metrics, RH_HEALTH_MAINTAIN, status);
    rh_metrics_add(dispatcher->site->metrics, RH_COUNT_ERROR_HOUSEKEEPING, status != APR_SUCCESS);
    if (failed && !dispatcher->maintenance_failed) {
        rh_log(dispatcher->site->log, RH_LOG_ERR, status, "RH0312",
               "housekeeping in the database of %s failed; it is tried again every minute",
               dispatcher->site->name);
    }
    dispatcher->maintenance_failed = failed;
    dispatcher->next_maintenance =
        apr_time_now() + rh_dispatcher_jitter(dispatcher, RH_MAINTENANCE_INTERVAL);
}

/** Count the backlog if it is asked for and no other process counts it. */
static void count_backlog(rh_dispatcher_t *dispatcher, apr_pool_t *scratch)
{
    rh_queue_t *queue = dispatcher->site->dispatch_queue;
    rh_backlog_t backlog;

    if (!rh_metrics_backlog_due(dispatcher->site->metrics, apr_time_now())) {
        return;
    }
    if (queue->backlog(queue, scratch, &backlog) == APR_SUCCESS) {
        backlog.counted_at = apr_time_now();
        rh_metrics_backlog_set(dispatcher->site->metrics, &backlog);
    }
    apr_pool_clear(scratch);
}

/** Run one chunk of the next job, and come back soon while there is one. */
static void work_job(rh_dispatcher_t *dispatcher, apr_pool_t *scratch)
{
    rh_queue_t *queue = dispatcher->site->dispatch_queue;
    apr_time_t now = apr_time_now();
    bool found = false;

    if (!queue->work_job || queue->work_job(queue, scratch, &found) != APR_SUCCESS) {
        found = false;
    }
    dispatcher->next_job = now + (found ? CHUNK_INTERVAL : RH_JOB_INTERVAL);
    if (found) {
        dispatcher->next_claim = now;
    }
}

/** Add some of what happened up into the statistics. */
static void add_up(rh_dispatcher_t *dispatcher, apr_pool_t *scratch)
{
    rh_queue_t *queue = dispatcher->site->dispatch_queue;
    bool more = false;

    if (queue->add_up) {
        apr_status_t status = queue->add_up(queue, scratch, &more);

        rh_metrics_add(dispatcher->site->metrics, RH_COUNT_ERROR_HOUSEKEEPING,
                       status != APR_SUCCESS);
        more = more && status == APR_SUCCESS;
    }
    dispatcher->next_add_up =
        apr_time_now() +
        (more ? CHUNK_INTERVAL : rh_dispatcher_jitter(dispatcher, RH_ADD_UP_INTERVAL));
}

void rh_dispatcher_do_chores(rh_dispatcher_t *dispatcher, apr_time_t now, apr_pool_t *scratch)
{
    if (dispatcher->parts->spooler && now >= dispatcher->next_drain) {
        drain(dispatcher, scratch);
        apr_pool_clear(scratch);
    }
    if (now >= dispatcher->next_maintenance) {
        maintain(dispatcher, scratch);
        apr_pool_clear(scratch);
    }
    if (now >= dispatcher->next_job || dispatcher->next_job > now + 2 * RH_JOB_INTERVAL) {
        work_job(dispatcher, scratch);
        apr_pool_clear(scratch);
    }
    if (now >= dispatcher->next_add_up || dispatcher->next_add_up > now + 2 * RH_ADD_UP_INTERVAL) {
        add_up(dispatcher, scratch);
        apr_pool_clear(scratch);
    }
    count_backlog(dispatcher, scratch);
}
