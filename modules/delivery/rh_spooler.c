/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_spooler.h"

#include "rh_spool.h"

#include <apr_hash.h>
#include <apr_thread_mutex.h>
#include <stdlib.h>

/** Upper bounds of one commit: events and bytes. */
#define DRAIN_BATCH 256
#define DRAIN_BYTES (4 * 1024 * 1024)
/** Interval between searches for files of processes that have ended. */
#define ADOPT_INTERVAL apr_time_from_sec(5)

struct rh_spooler_t {
    rh_spool_t *spool;         /**< guarded by mutex */
    apr_thread_mutex_t *mutex; /**< never held during a commit */
    const rh_log_t *log;
    const rh_metrics_t *metrics;
    int pending;       /**< atomic: new events go into the spool */
    bool failed;       /**< guarded by mutex: a failed append was logged */
    apr_time_t adopt;  /**< drainer only: when to look for files again */
    bool adopting;     /**< drainer only: there may be more of these */
    bool unreadable;   /**< drainer only: a failed read was logged */
    apr_int64_t total; /**< drainer only: events stored in the database since the spool was empty */
};

apr_status_t rh_spooler_make(apr_pool_t *pool, const char *folder, const rh_spool_owner_t *owner,
                             const rh_log_t *log, const rh_metrics_t *metrics,
                             rh_spooler_t **result)
{
    rh_spooler_t *spooler = apr_pcalloc(pool, sizeof(*spooler));
    apr_status_t status = apr_thread_mutex_create(&spooler->mutex, APR_THREAD_MUTEX_DEFAULT, pool);

    apr_pool_t *scratch;

    spooler->spool = rh_spool_make(pool, folder, owner, log);
    spooler->log = log;
    spooler->metrics = metrics;
    /* Events in files of ended processes come before any that this one receives. */
    apr_pool_create(&scratch, pool);
    spooler->pending = rh_spool_waits(spooler->spool, scratch);
    apr_pool_destroy(scratch);
    *result = spooler;
    return status;
}

bool rh_spooler_pending(rh_spooler_t *spooler)
{
    return __atomic_load_n(&spooler->pending, __ATOMIC_SEQ_CST) != 0;
}

bool rh_spooler_waits(const rh_spooler_t *spooler, apr_pool_t *scratch)
{
    return rh_spool_waits(spooler->spool, scratch);
}

/** Log a failed append once. The callers log which events are lost. */
static void log_append_failure(rh_spooler_t *spooler, apr_status_t status)
{
    if (!spooler->failed) {
        rh_log(
            spooler->log, RH_LOG_EMERG, status, "RH0330",
            "RestHooksSpool: nothing can be stored in the spool; without the database, events are "
            "lost");
    }
    spooler->failed = true;
}

apr_status_t rh_spooler_append(rh_spooler_t *spooler, rh_commit_t **items, int count)
{
    const rh_event_t **events = malloc((apr_size_t)count * sizeof(*events));
    apr_status_t status = events ? APR_SUCCESS : APR_ENOMEM;
    int i;

    for (i = 0; events && i < count; i++) {
        events[i] = items[i]->event;
    }
    apr_thread_mutex_lock(spooler->mutex);
    if (status == APR_SUCCESS) {
        status = rh_spool_append(spooler->spool, events, count);
    }
    rh_health_note(spooler->metrics, RH_HEALTH_SPOOL, status);
    if (status == APR_SUCCESS) {
        spooler->failed = false;
        __atomic_store_n(&spooler->pending, 1, __ATOMIC_SEQ_CST);
        rh_metrics_add(spooler->metrics, RH_COUNT_EVENTS_SPOOLED, (apr_uint64_t)count);
    } else {
        log_append_failure(spooler, status);
    }
    apr_thread_mutex_unlock(spooler->mutex);
    free(events);
    for (i = 0; i < count && status == APR_SUCCESS; i++) {
        items[i]->status = APR_SUCCESS;
        items[i]->stored_id = items[i]->event->id;
        items[i]->duplicate = false;
    }
    return status;
}

/**
 * Keep an event that the database refuses in a file for a person to inspect.
 * @return APR_SUCCESS, or why that failed: then the event stays in the spool
 */
static apr_status_t keep_refused(rh_spooler_t *spooler, const rh_commit_t *item)
{
    const rh_event_t *event = item->event;
    apr_status_t status;

    apr_thread_mutex_lock(spooler->mutex);
    status = rh_spool_refuse(spooler->spool, event);
    apr_thread_mutex_unlock(spooler->mutex);
    if (status != APR_SUCCESS) {
        rh_log(spooler->log, RH_LOG_ERR, status, "RH0334",
               "event %s of the spool is refused by the database and cannot be set aside; it stays "
               "in the spool",
               event->id);
        return status;
    }
    rh_metrics_count(spooler->metrics, RH_COUNT_EVENTS_REFUSED);
    rh_log(spooler->log, RH_LOG_CRIT, APR_SUCCESS, "RH0331",
           "event %s of the spool is refused by the database and kept in a .refused file beside it "
           "(resthooksctl spool): type %s, tenant %s, key %s",
           event->id, event->type, event->tenant, event->key ? event->key : "(none)");
    return APR_SUCCESS;
}

/**
 * Commit without handing over jobs: deliveries are claimed when due. If the database refuses
 * something, halves are tried, so that only the refused event is set aside.
 */
static apr_status_t commit_spooled(rh_spooler_t *spooler, rh_queue_t *queue, rh_commit_t **items,
                                   int count, const rh_claim_t *claim, apr_pool_t *scratch)
{
    apr_array_header_t *jobs = apr_array_make(scratch, 1, sizeof(rh_job_t *));
    int waiting, half = count / 2, i;
    apr_time_t began = apr_time_now();
    apr_status_t status = queue->commit(queue, items, count, claim, scratch, jobs, &waiting);

    rh_health_note(spooler->metrics, RH_HEALTH_COMMIT, status);
    if (status == APR_SUCCESS) {
        rh_metrics_observe(spooler->metrics, RH_HISTOGRAM_COMMIT, apr_time_now() - began);
        rh_metrics_observe(spooler->metrics, RH_HISTOGRAM_EVENTS, count);
    } else {
        rh_metrics_count(spooler->metrics, RH_COUNT_ERROR_COMMIT);
    }
    if (APR_STATUS_IS_EAGAIN(status)) {
        return status;
    }
    if (status == APR_SUCCESS) {
        for (i = 0; i < count && status == APR_SUCCESS; i++) {
            if (items[i]->status != APR_SUCCESS) {
                status = keep_refused(spooler, items[i]);
            }
        }
        return status;
    }
    if (count > 1) {
        status = commit_spooled(spooler, queue, items, half, claim, scratch);
        return status == APR_SUCCESS
                   ? commit_spooled(spooler, queue, items + half, count - half, claim, scratch)
                   : status;
    }
    return keep_refused(spooler, items[0]);
}

/** Read the next events, those of ended processes first. */
static apr_status_t read_events(rh_spooler_t *spooler, apr_pool_t *scratch,
                                apr_array_header_t **events)
{
    apr_time_t now = apr_time_now();
    apr_status_t status;

    if (now >= spooler->adopt || spooler->adopt > now + ADOPT_INTERVAL) {
        spooler->adopt = now + ADOPT_INTERVAL;
        spooler->adopting = true;
    }
    if (!spooler->adopting && !rh_spooler_pending(spooler)) {
        *events = apr_array_make(scratch, 1, sizeof(rh_event_t *));
        return APR_SUCCESS;
    }
    apr_thread_mutex_lock(spooler->mutex);
    status =
        rh_spool_read(spooler->spool, spooler->adopting, DRAIN_BATCH, DRAIN_BYTES, scratch, events);
    apr_thread_mutex_unlock(spooler->mutex);
    if (status != APR_SUCCESS && !spooler->unreadable) {
        rh_log(spooler->log, RH_LOG_ERR, status, "RH0332",
               "RestHooksSpool: reading the spool failed; retrying");
    }
    spooler->unreadable = status != APR_SUCCESS;
    if (status != APR_SUCCESS || (*events)->nelts == 0) {
        spooler->adopting = false;
    }
    return status;
}

/** Record whether new events must be appended after others in the spool. */
static void note_pending(rh_spooler_t *spooler)
{
    apr_thread_mutex_lock(spooler->mutex);
    __atomic_store_n(&spooler->pending, spooler->adopting || rh_spool_pending(spooler->spool),
                     __ATOMIC_SEQ_CST);
    apr_thread_mutex_unlock(spooler->mutex);
}

/**
 * Fill items and `list` with the events, each id once. An id can be there twice: a request whose
 * commit takes too long puts its events into the spool, and so does the writer if that commit
 * fails. The store would make deliveries for both in one commit.
 * @return the number of items
 */
static int list_events(const apr_array_header_t *events, rh_commit_t *items, rh_commit_t **list,
                       apr_pool_t *scratch)
{
    apr_hash_t *seen = apr_hash_make(scratch);
    int count = 0;

    for (int i = 0; i < events->nelts; i++) {
        const rh_event_t *event = APR_ARRAY_IDX(events, i, rh_event_t *);

        if (!apr_hash_get(seen, event->id, APR_HASH_KEY_STRING)) {
            apr_hash_set(seen, event->id, APR_HASH_KEY_STRING, event);
            items[count].event = event;
            list[count] = &items[count];
            count++;
        }
    }
    return count;
}

apr_status_t rh_spooler_drain(rh_spooler_t *spooler, rh_queue_t *queue, apr_int64_t lease,
                              apr_pool_t *scratch, int *stored)
{
    apr_array_header_t *events;
    rh_claim_t claim = {0};
    rh_commit_t *items, **list;
    apr_status_t status = read_events(spooler, scratch, &events);
    int count;

    *stored = 0;
    if (status != APR_SUCCESS || events->nelts == 0) {
        note_pending(spooler);
        if (status == APR_SUCCESS && spooler->total > 0) {
            rh_log(spooler->log, RH_LOG_NOTICE, 0, "RH0333",
                   "%" APR_INT64_T_FMT " events of the spool are in the database", spooler->total);
            spooler->total = 0;
        }
        return APR_SUCCESS;
    }
    items = apr_pcalloc(scratch, (apr_size_t)events->nelts * sizeof(*items));
    list = apr_palloc(scratch, (apr_size_t)events->nelts * sizeof(*list));
    count = list_events(events, items, list, scratch);
    claim.lease = lease;
    status = commit_spooled(spooler, queue, list, count, &claim, scratch);
    if (status != APR_SUCCESS) {
        return status;
    }
    apr_thread_mutex_lock(spooler->mutex);
    status = rh_spool_forget(spooler->spool);
    apr_thread_mutex_unlock(spooler->mutex);
    note_pending(spooler);
    *stored = count;
    spooler->total += count;
    return status;
}
