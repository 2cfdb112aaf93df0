/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_engine_private.h"

#include "rh_hops.h"
#include "rh_payload.h"

/** Between two sweeps of the schedule. */
#define SWEEP_INTERVAL apr_time_from_sec(1)
/** How long claims hold back after a job found no room. */
#define CROWDED_FOR apr_time_from_sec(1)

void rh_loop_push(rh_loop_t *loop, rh_work_head_t *works)
{
    bool was_empty;

    apr_thread_mutex_lock(loop->mutex);
    was_empty = APR_RING_EMPTY(&loop->inbox, rh_work_t, link);
    APR_RING_CONCAT(&loop->inbox, works, rh_work_t, link);
    apr_thread_mutex_unlock(loop->mutex);
    /* The loop empties the inbox after every poll: only the first job must end one. */
    if (was_empty) {
        loop->transport->wakeup(loop->transport);
    }
}

/** Set aside for the dispatcher of the work's site. */
static void settle_later(rh_loop_t *loop, rh_work_t *work)
{
    rh_dispatcher_t *dispatcher = work->site;
    rh_settle_t *settle = &work->settle;

    settle->tenant = work->job->tenant;
    settle->delivery_id = work->job->delivery_id;
    settle->subscription_id = work->job->subscription_id;
    settle->lease = work->job->lease;
    rh_metrics_move(work->metrics, RH_GAUGE_UNSETTLED, 1);
    APR_RING_INSERT_TAIL(&loop->finished[dispatcher->index], work, rh_work_t, link);
}

/** One that was never started. */
static void give_back(rh_loop_t *loop, rh_work_t *work)
{
    rh_metrics_move(work->metrics, RH_GAUGE_QUEUED, -1);
    work->settle.kind = RH_SETTLE_RELEASE;
    settle_later(loop, work);
}

static void flush(rh_loop_t *loop)
{
    rh_work_t *work;
    int i;

    while ((work = rh_schedule_refused(loop->schedule)) != NULL) {
        give_back(loop, work);
    }
    if (rh_schedule_was_crowded(loop->schedule)) {
        rh_atomic_set(loop->engine->crowded_until, apr_time_now() + CROWDED_FOR);
    }
    for (i = 0; i < loop->engine->site_count; i++) {
        const rh_site_t *site = loop->engine->dispatchers[i].site;
        int count = 0;

        if (loop->lines[i]) {
            rh_attempt_log_flush(site->log_attempts, loop->lines[i]);
        }

        APR_RING_FOREACH(work, &loop->finished[i], rh_work_t, link)
        {
            count++;
        }
        if (count > 0) {
            rh_dispatcher_push(&loop->engine->dispatchers[i], &loop->finished[i], count);
        }
    }
}

static rh_verdict_t verdict_of(const rh_exchange_t *exchange)
{
    if (exchange->result == RH_EXCHANGE_CANCELLED) {
        return RH_VERDICT_NONE;
    }
    if (exchange->result != RH_EXCHANGE_OK || exchange->status_code >= 500 ||
        exchange->status_code == 429) {
        return RH_VERDICT_FAILED;
    }
    return RH_VERDICT_ANSWERED;
}

/** "status 500", or why there was no answer. */
static const char *what_came(apr_pool_t *pool, const rh_exchange_t *exchange)
{
    return exchange->error ? exchange->error
                           : apr_psprintf(pool, "status %d", exchange->status_code);
}

static void tell(const rh_work_t *work)
{
    const rh_settle_t *settle = &work->settle;
    const rh_exchange_t *exchange = &work->exchange;
    const rh_dispatcher_t *dispatcher = work->site;
    const rh_log_t *log = dispatcher->site->log;
    const rh_job_t *job = work->job;

    switch (settle->kind) {
    case RH_SETTLE_GONE:
        rh_log(log, RH_LOG_NOTICE, APR_SUCCESS, "RH0301",
               "subscription %s of tenant %s is gone: %s; its pending deliveries are cancelled",
               job->subscription_id, job->tenant, settle->reason);
        break;
    case RH_SETTLE_DISABLED:
        rh_log(log, RH_LOG_NOTICE, APR_SUCCESS, "RH0302",
               "subscription %s of tenant %s is disabled: %s", job->subscription_id, job->tenant,
               settle->reason);
        break;
    case RH_SETTLE_FAILED:
        rh_log(log, RH_LOG_INFO, APR_SUCCESS, "RH0303",
               "delivery %s to subscription %s failed: attempt %d: %s; no more attempts",
               job->delivery_id, job->subscription_id, settle->attempt.number,
               what_came(job->pool, exchange));
        break;
    case RH_SETTLE_RETRY:
        rh_log(log, RH_LOG_INFO, APR_SUCCESS, "RH0304",
               "delivery %s to subscription %s: attempt %d: %s; next in %d s", job->delivery_id,
               job->subscription_id, settle->attempt.number, what_came(job->pool, exchange),
               (int)apr_time_sec(settle->delay + APR_USEC_PER_SEC / 2));
        break;
    case RH_SETTLE_DELIVERED:
    case RH_SETTLE_RELEASE:
        rh_log(log, RH_LOG_DEBUG, APR_SUCCESS, "RH0305", "delivery %s to subscription %s: %s",
               job->delivery_id, job->subscription_id,
               settle->kind == RH_SETTLE_DELIVERED ? "delivered" : "given back");
        break;
    }
}

/** A line for an attempt that was made. */
static void log_attempt(rh_loop_t *loop, const rh_work_t *work)
{
    const rh_dispatcher_t *dispatcher = work->site;
    const rh_settle_t *settle = &work->settle;
    rh_log_entry_t entry;

    if (!loop->lines[dispatcher->index]) {
        return;
    }
    entry.host = dispatcher->site->name;
    entry.job = work->job;
    entry.attempt = &settle->attempt;
    entry.outcome = settle->kind;
    entry.sent = work->exchange.sent_first_byte_at ? work->exchange.body.len : 0;
    entry.answered = work->exchange.answer.len;
    rh_attempt_log_add(dispatcher->site->log_attempts, loop->lines[dispatcher->index], &entry);
}

/** Count an attempt that was made, and what came of it. */
static void count_attempt(const rh_work_t *work)
{
    static const rh_count_t kinds[] = {[RH_SETTLE_DELIVERED] = RH_COUNT_DELIVERED,
                                       [RH_SETTLE_FAILED] = RH_COUNT_FAILED,
                                       [RH_SETTLE_GONE] = RH_COUNT_GONE,
                                       [RH_SETTLE_DISABLED] = RH_COUNT_DISABLED};
    const rh_exchange_t *exchange = &work->exchange;

    rh_metrics_count(work->metrics, rh_attempt_result(exchange));
    rh_metrics_observe(work->metrics, RH_HISTOGRAM_ATTEMPT, exchange->duration);
    if (work->settle.kind != RH_SETTLE_RETRY) {
        rh_metrics_count(work->metrics, kinds[work->settle.kind]);
    }
}

/** An exchange ended, or could not begin. */
static void conclude(rh_loop_t *loop, rh_work_t *work)
{
    rh_dispatcher_t *dispatcher = work->site;
    rh_engine_t *engine = loop->engine;
    rh_settle_t *settle = &work->settle;
    apr_time_t now = apr_time_now();
    apr_interval_time_t pause;

    if (work->endpoint->delivered_at >= work->added_at) {
        work->job->failing_for = 0; /* The store did not know that when it gave the job. */
    }
    rh_retry_judge(&dispatcher->site->retry, work->job, &work->exchange, now,
                   rh_random_next(&loop->random), work->job->pool, settle);
    pause = rh_schedule_finished(loop->schedule, work, verdict_of(&work->exchange),
                                 work->exchange.duration, settle->pause, now);
    if (settle->kind == RH_SETTLE_RETRY || settle->kind == RH_SETTLE_FAILED) {
        settle->pause = pause;
    }
    if (settle->kind == RH_SETTLE_DELIVERED) {
        work->endpoint->delivered_at = now;
    }
    __atomic_sub_fetch(&engine->counters.in_flight, 1, __ATOMIC_RELAXED);
    rh_metrics_move(work->metrics, RH_GAUGE_IN_FLIGHT, -1);
    if (settle->kind != RH_SETTLE_RELEASE) {
        rh_attempt_fill(&settle->attempt, work->job, &work->exchange, work->job->pool);
        if (dispatcher->site->record_sent) {
            settle->attempt.sent = rh_attempt_sent(work->job->pool, work->job, &work->exchange);
        }
        count_attempt(work);
        log_attempt(loop, work);
        __atomic_add_fetch(&engine->counters.attempts, 1, __ATOMIC_RELAXED);
        if (settle->kind == RH_SETTLE_DELIVERED) {
            __atomic_add_fetch(&engine->counters.delivered, 1, __ATOMIC_RELAXED);
        } else if (settle->kind != RH_SETTLE_RETRY) {
            __atomic_add_fetch(&engine->counters.failed, 1, __ATOMIC_RELAXED);
        }
    }
    tell(work);
    settle_later(loop, work);
}

static void exchange_done(rh_exchange_t *exchange, void *baton)
{
    rh_work_t *work = baton;

    (void)exchange;
    conclude(work->loop, work);
}

/** Say to the target how many deliveries led to this one. */
static void add_hops(const rh_site_t *site, const rh_job_t *job, apr_table_t *headers)
{
    const char *value =
        site->hop_key ? rh_hops_make(job->pool, site->hop_key, job->event.hops + 1) : NULL;

    if (value) {
        apr_table_setn(headers, RH_HOPS_FIELD, value);
    }
}

static void start(rh_loop_t *loop, rh_work_t *work)
{
    rh_exchange_t *exchange = &work->exchange;
    rh_job_t *job = work->job;
    const rh_site_t *site = ((rh_dispatcher_t *)work->site)->site;
    apr_time_t now = apr_time_now();
    apr_status_t status;

    __atomic_add_fetch(&loop->engine->counters.in_flight, 1, __ATOMIC_RELAXED);
    rh_metrics_move(site->metrics, RH_GAUGE_QUEUED, -1);
    rh_metrics_move(site->metrics, RH_GAUGE_IN_FLIGHT, 1);
    if (job->due_at != 0) {
        rh_metrics_observe(site->metrics, RH_HISTOGRAM_QUEUE_AGE, now - job->due_at);
    }
    work->loop = loop;
    memset(exchange, 0, sizeof(*exchange));
    exchange->pool = job->pool;
    exchange->url = job->target_url;
    exchange->timeout = site->timeout;
    exchange->connect_timeout = site->connect_timeout;
    exchange->net = site->net;
    exchange->reuse_key = job->subscription_id;
    exchange->done = exchange_done;
    exchange->baton = work;
    exchange->body = rh_format_body(job->pool, job->format, &job->event, job->base_url);
    status =
        rh_payload_headers(job->pool, job, apr_time_sec(now), exchange->body, &exchange->headers);
    if (status != APR_SUCCESS) {
        rh_log(site->log, RH_LOG_ERR, status, "RH0306",
               "delivery %s to subscription %s can't be signed: its secret or headers are damaged",
               job->delivery_id, job->subscription_id);
        exchange->result = RH_EXCHANGE_SEND;
        exchange->error = "the delivery could not be signed";
        exchange->started_at = now;
        conclude(loop, work);
        return;
    }
    add_hops(site, job, exchange->headers);
    loop->transport->send(loop->transport, exchange);
}

static void take_inbox(rh_loop_t *loop, bool stopping)
{
    struct rh_work_head_t works;
    apr_time_t now = apr_time_now();

    APR_RING_INIT(&works, rh_work_t, link);
    apr_thread_mutex_lock(loop->mutex);
    APR_RING_CONCAT(&works, &loop->inbox, rh_work_t, link);
    apr_thread_mutex_unlock(loop->mutex);
    while (!APR_RING_EMPTY(&works, rh_work_t, link)) {
        rh_work_t *work = APR_RING_FIRST(&works);

        APR_RING_REMOVE(work, link);
        if (stopping) {
            give_back(loop, work);
        } else {
            rh_schedule_add(loop->schedule, work, now);
        }
    }
}

/** Whether nobody can give this loop anything any more and it has nothing left. */
static bool is_over(rh_loop_t *loop)
{
    rh_engine_t *engine = loop->engine;
    bool empty;

    if (rh_atomic_get(engine->deadline) == 0 || rh_atomic_get(engine->writers_left) > 0 ||
        rh_atomic_get(engine->claimers_left) > 0) {
        return false;
    }
    /* Looked at last: who pushes does so before it counts itself out. */
    apr_thread_mutex_lock(loop->mutex);
    empty = APR_RING_EMPTY(&loop->inbox, rh_work_t, link);
    apr_thread_mutex_unlock(loop->mutex);
    return empty && rh_schedule_in_flight(loop->schedule) == 0 &&
           rh_schedule_waiting(loop->schedule) == 0;
}

static apr_interval_time_t time_to_sleep(rh_loop_t *loop, apr_time_t next_sweep)
{
    apr_time_t now = apr_time_now(), until = next_sweep,
               wake_at = rh_schedule_wake_at(loop->schedule),
               deadline = rh_atomic_get(loop->engine->deadline);

    if (wake_at != 0 && wake_at < until) {
        until = wake_at;
    }
    if (deadline != 0 && deadline < until) {
        until = deadline;
    }
    if (until <= now) {
        return 0;
    }
    /* Also when the clock was set back. */
    return until - now < RH_LONGEST_SLEEP ? until - now : RH_LONGEST_SLEEP;
}

void rh_loop_run(rh_loop_t *loop)
{
    rh_engine_t *engine = loop->engine;
    apr_time_t next_sweep = apr_time_now() + SWEEP_INTERVAL;
    bool poll_failed = false;
    apr_status_t status;

    for (;;) {
        bool stopping = rh_atomic_get(engine->stopping) != 0;
        apr_time_t now;
        rh_work_t *work;

        take_inbox(loop, stopping);
        now = apr_time_now();
        if (stopping) {
            rh_schedule_refuse_all(loop->schedule);
        }
        if (now >= next_sweep || next_sweep > now + SWEEP_INTERVAL) {
            rh_schedule_sweep(loop->schedule, now);
            next_sweep = now + SWEEP_INTERVAL;
        }
        while ((work = rh_schedule_next(loop->schedule, now)) != NULL) {
            start(loop, work);
        }
        if (rh_engine_overdue(engine, 0) && rh_schedule_in_flight(loop->schedule) > 0) {
            loop->transport->cancel_all(loop->transport);
        }
        flush(loop);
        if (is_over(loop)) {
            break;
        }
        status = loop->transport->poll(loop->transport, time_to_sleep(loop, next_sweep));
        if (status != APR_SUCCESS && !APR_STATUS_IS_TIMEUP(status) &&
            !APR_STATUS_IS_EINTR(status)) {
            if (!poll_failed) {
                rh_log(engine->config.log, RH_LOG_ERR, status, "RH0307",
                       "the event loop can't wait for its sockets; trying on");
            }
            poll_failed = true;
            apr_sleep(apr_time_from_msec(50));
        }
        flush(loop);
    }
}
