/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_inbox.h"

#include <apr_thread_mutex.h>

/** Minimum time between the latest end of an attempt and the end of its lease. */
#define LEASE_SPARE apr_time_from_sec(10)

struct rh_inbox_t {
    apr_thread_mutex_t *mutex;
    rh_work_head_t works; /**< guarded by mutex */
    rh_transport_t *transport;
};

struct rh_inboxes_t {
    int count;
    rh_inbox_t inbox[RH_MAX_LOOPS];
};

apr_status_t rh_inboxes_make(apr_pool_t *pool, int count, rh_inboxes_t **result)
{
    rh_inboxes_t *inboxes = apr_pcalloc(pool, sizeof(*inboxes));
    apr_status_t status = APR_SUCCESS;

    inboxes->count = count;
    for (int i = 0; i < count && status == APR_SUCCESS; i++) {
        APR_RING_INIT(&inboxes->inbox[i].works, rh_work_t, link);
        status = apr_thread_mutex_create(&inboxes->inbox[i].mutex, APR_THREAD_MUTEX_DEFAULT, pool);
    }
    *result = inboxes;
    return status;
}

rh_inbox_t *rh_inboxes_open(rh_inboxes_t *inboxes, int loop, rh_transport_t *transport)
{
    inboxes->inbox[loop].transport = transport;
    return &inboxes->inbox[loop];
}

static void push_works(rh_inbox_t *inbox, rh_work_head_t *works)
{
    bool was_empty;

    apr_thread_mutex_lock(inbox->mutex);
    was_empty = APR_RING_EMPTY(&inbox->works, rh_work_t, link);
    APR_RING_CONCAT(&inbox->works, works, rh_work_t, link);
    apr_thread_mutex_unlock(inbox->mutex);
    /* The loop empties its inbox after every poll, so only the first job has to wake it. */
    if (was_empty) {
        inbox->transport->wakeup(inbox->transport);
    }
}

static rh_work_t *make_work(rh_job_t *job, const rh_site_t *site, struct rh_dispatcher_t *owner,
                            bool handed, apr_time_t now)
{
    rh_work_t *work = apr_pcalloc(job->pool, sizeof(*work));

    APR_RING_ELEM_INIT(work, link);
    work->job = job;
    work->handed = handed;
    work->metrics = site->metrics;
    if (handed && job->due_at == 0) {
        job->due_at = now;
    }
    work->concurrency = site->endpoint_concurrency > 0 ? site->endpoint_concurrency : 1;
    work->per_host = site->host_concurrency;
    work->start_by = job->lease_until - site->timeout - LEASE_SPARE;
    work->owner = owner;
    return work;
}

void rh_inboxes_hand_over(rh_inboxes_t *inboxes, const rh_site_t *site,
                          struct rh_dispatcher_t *owner, apr_array_header_t *jobs, bool handed)
{
    rh_work_head_t heads[RH_MAX_LOOPS];
    apr_time_t now = apr_time_now();
    int i;

    for (i = 0; i < inboxes->count; i++) {
        APR_RING_INIT(&heads[i], rh_work_t, link);
    }
    rh_metrics_move(site->metrics, RH_GAUGE_QUEUED, jobs->nelts);
    for (i = 0; i < jobs->nelts; i++) {
        rh_job_t *job = APR_ARRAY_IDX(jobs, i, rh_job_t *);
        rh_work_t *work = make_work(job, site, owner, handed, now);
        apr_ssize_t len = APR_HASH_KEY_STRING;
        unsigned int hash = apr_hashfunc_default(job->subscription_id, &len);

        APR_RING_INSERT_TAIL(&heads[hash % inboxes->count], work, rh_work_t, link);
    }
    apr_array_clear(jobs);
    for (i = 0; i < inboxes->count; i++) {
        if (!APR_RING_EMPTY(&heads[i], rh_work_t, link)) {
            push_works(&inboxes->inbox[i], &heads[i]);
        }
    }
}

void rh_inboxes_wake(rh_inboxes_t *inboxes, int loop)
{
    rh_transport_t *transport = inboxes->inbox[loop].transport;

    transport->wakeup(transport);
}

void rh_inboxes_wake_all(rh_inboxes_t *inboxes)
{
    for (int i = 0; i < inboxes->count; i++) {
        rh_inboxes_wake(inboxes, i);
    }
}

void rh_inbox_take(rh_inbox_t *inbox, rh_work_head_t *works)
{
    apr_thread_mutex_lock(inbox->mutex);
    APR_RING_CONCAT(works, &inbox->works, rh_work_t, link);
    apr_thread_mutex_unlock(inbox->mutex);
}

bool rh_inbox_is_empty(rh_inbox_t *inbox)
{
    bool empty;

    apr_thread_mutex_lock(inbox->mutex);
    empty = APR_RING_EMPTY(&inbox->works, rh_work_t, link);
    apr_thread_mutex_unlock(inbox->mutex);
    return empty;
}
