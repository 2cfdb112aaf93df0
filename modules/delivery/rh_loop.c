/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_loop.h"

#include "rh_attempt.h"
#include "rh_hops.h"
#include "rh_payload.h"
#include "rh_pool.h"
#include "rh_random.h"

/** Interval between sweeps of the schedule. */
#define SWEEP_INTERVAL apr_time_from_sec(1)
/** How long claims hold back after a job found no slot. */
#define CROWDED_FOR apr_time_from_sec(1)
/** Maximum number of idle endpoints that a loop remembers. */
#define ENDPOINTS_KEPT 16384

struct rh_loop_t {
    rh_loop_config_t config;
    apr_pool_t *pool; /**< used only by the loop's thread once that runs */
    rh_transport_t *transport;
    rh_inbox_t *inbox;
    rh_schedule_t *schedule;
    rh_work_head_t *finished; /**< by site: works for the next flush to its dispatcher */
    rh_log_lines_t **lines;   /**< by site: log lines for the next flush; NULL: the site has no
                                   log */
    apr_uint32_t random;
    rh_hops_last_t hops; /**< the X-Hook-Hops field of the last attempt */
};

apr_status_t rh_loop_make(const rh_loop_config_t *config, rh_loop_t **result)
{
    const rh_parts_t *parts = config->parts;
    apr_pool_t *pool;
    rh_loop_t *loop;
    apr_status_t status = rh_root_pool_make(&pool, RH_POOL_KEEP, false);
    int i;

    *result = NULL;
    if (status != APR_SUCCESS) {
        return status;
    }
    *result = loop = apr_pcalloc(pool, sizeof(*loop));
    loop->config = *config;
    loop->pool = pool;
    loop->random = rh_random_seed();
    loop->finished = apr_pcalloc(pool, config->dispatcher_count * sizeof(*loop->finished));
    loop->lines = apr_pcalloc(pool, config->dispatcher_count * sizeof(*loop->lines));
    for (i = 0; i < config->dispatcher_count; i++) {
        APR_RING_INIT(&loop->finished[i], rh_work_t, link);
        if (rh_dispatcher_site(config->dispatchers[i])->log_attempts) {
            loop->lines[i] = apr_pcalloc(pool, sizeof(**loop->lines));
        }
    }
    loop->schedule = rh_schedule_make(pool, config->slots, rh_capacity_max(parts->capacity),
                                      config->memory, ENDPOINTS_KEPT);
    rh_schedule_share_hosts(loop->schedule, config->hosts, config->number);
    status = config->make_transport(pool, config->log, config->baton, &loop->transport);
    if (status == APR_SUCCESS) {
        loop->inbox = rh_inboxes_open(parts->inboxes, config->number, loop->transport);
    }
    return status;
}

void rh_loop_destroy(rh_loop_t *loop)
{
    if (loop) {
        rh_schedule_destroy(loop->schedule);
        apr_pool_destroy(loop->pool);
    }
}

/** Set a finished work aside for the dispatcher of its site. */
static void settle_later(rh_loop_t *loop, rh_work_t *work)
{
    rh_settle_t *settle = &work->settle;

    settle->tenant = work->job->tenant;
    settle->delivery_id = work->job->delivery_id;
    settle->event_id = work->job->event.id;
    settle->subscription_id = work->job->subscription_id;
    settle->type = work->job->event.type;
    settle->lease = work->job->lease;
    rh_metrics_move(work->metrics, RH_GAUGE_UNSETTLED, 1);
    APR_RING_INSERT_TAIL(&loop->finished[rh_dispatcher_index(work->owner)], work, rh_work_t, link);
}

/** Return a work that was never started to its dispatcher. */
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
        rh_capacity_crowd(loop->config.parts->capacity, apr_time_now() + CROWDED_FOR);
    }
    for (i = 0; i < loop->config.dispatcher_count; i++) {
        rh_dispatcher_t *dispatcher = loop->config.dispatchers[i];
        int count = 0;

        if (loop->lines[i]) {
            rh_attempt_log_flush(rh_dispatcher_site(dispatcher)->log_attempts, loop->lines[i]);
        }
        APR_RING_FOREACH(work, &loop->finished[i], rh_work_t, link)
        {
            count++;
        }
        if (count > 0) {
            rh_dispatcher_push(dispatcher, &loop->finished[i], count);
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

/** Return "status 500", or the reason why no response came. */
static const char *describe_response(apr_pool_t *pool, const rh_exchange_t *exchange)
{
    return exchange->error ? exchange->error
                           : apr_psprintf(pool, "status %d", exchange->status_code);
}

/** Log the outcome of an attempt. */
static void log_outcome(const rh_work_t *work)
{
    const rh_settle_t *settle = &work->settle;
    const rh_exchange_t *exchange = &work->exchange;
    const rh_log_t *log = rh_dispatcher_site(work->owner)->log;
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
               describe_response(job->pool, exchange));
        break;
    case RH_SETTLE_RETRY:
        rh_log(log, RH_LOG_INFO, APR_SUCCESS, "RH0304",
               "delivery %s to subscription %s: attempt %d: %s; next in %d s", job->delivery_id,
               job->subscription_id, settle->attempt.number, describe_response(job->pool, exchange),
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

/** Write an attempt's line to RestHooksLog. */
static void log_attempt(rh_loop_t *loop, const rh_work_t *work)
{
    const rh_site_t *site = rh_dispatcher_site(work->owner);
    rh_log_lines_t *lines = loop->lines[rh_dispatcher_index(work->owner)];
    const rh_settle_t *settle = &work->settle;
    rh_log_entry_t entry;

    if (!lines) {
        return;
    }
    entry.host = site->name;
    entry.job = work->job;
    entry.attempt = &settle->attempt;
    entry.outcome = settle->kind;
    entry.sent = work->exchange.sent_first_byte_at ? work->exchange.body.len : 0;
    entry.answered = work->exchange.answer.len;
    rh_attempt_log_add(site->log_attempts, lines, &entry);
}

/** Count an attempt and its outcome. */
static void count_attempt(const rh_work_t *work)
{
#define KIND_COUNTER(id, name, counter) counter,
    static const rh_count_t counters[] = {RH_SETTLE_KINDS(KIND_COUNTER)};
    const rh_exchange_t *exchange = &work->exchange;

    rh_metrics_count(work->metrics, rh_attempt_result(exchange));
    rh_metrics_observe(work->metrics, RH_HISTOGRAM_ATTEMPT, exchange->duration);
    if (counters[work->settle.kind] != RH_COUNT_COUNT) {
        rh_metrics_count(work->metrics, counters[work->settle.kind]);
    }
}

/** Handle an exchange that ended or could not begin. */
static void finish_attempt(rh_loop_t *loop, rh_work_t *work)
{
    const rh_site_t *site = rh_dispatcher_site(work->owner);
    rh_settle_t *settle = &work->settle;
    apr_time_t now = apr_time_now();
    apr_interval_time_t pause;

    if (work->endpoint->delivered_at >= work->added_at) {
        work->job->failing_for =
            0; /* The store did not know of this pause when it handed out the job. */
    }
    rh_retry_judge(&site->retry, work->job, &work->exchange, now, rh_random_next(&loop->random),
                   work->job->pool, settle);
    pause = rh_schedule_finished(loop->schedule, work, verdict_of(&work->exchange),
                                 work->exchange.duration, settle->pause, now);
    if (settle->kind == RH_SETTLE_RETRY || settle->kind == RH_SETTLE_FAILED) {
        settle->pause = pause;
    }
    if (settle->kind == RH_SETTLE_DELIVERED) {
        work->endpoint->delivered_at = now;
    }
    rh_metrics_move(work->metrics, RH_GAUGE_IN_FLIGHT, -1);
    if (settle->kind != RH_SETTLE_RELEASE) {
        rh_attempt_fill(&settle->attempt, work->job, &work->exchange, work->job->pool);
        if (site->record_sent) {
            rh_attempt_describe(&settle->attempt, work->job, &work->exchange, work->job->pool);
        }
        count_attempt(work);
        log_attempt(loop, work);
    }
    log_outcome(work);
    settle_later(loop, work);
}

static void exchange_done(rh_exchange_t *exchange, void *baton)
{
    rh_work_t *work = baton;

    (void)exchange;
    finish_attempt(work->loop, work);
}

/** Tell the target how many deliveries led to this one. */
static void add_hops(rh_loop_t *loop, const rh_site_t *site, const rh_job_t *job,
                     apr_table_t *headers)
{
    const char *value = NULL;

    if (site->hop_key) {
        value = rh_hops_make(job->pool, &loop->hops, site->hop_key, job->event.hops + 1);
    }

    if (value) {
        apr_table_setn(headers, RH_HOPS_FIELD, value);
    }
}

static void start_attempt(rh_loop_t *loop, rh_work_t *work)
{
    rh_exchange_t *exchange = &work->exchange;
    rh_job_t *job = work->job;
    const rh_site_t *site = rh_dispatcher_site(work->owner);
    apr_time_t now = apr_time_now();
    apr_status_t status;

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
        finish_attempt(loop, work);
        return;
    }
    add_hops(loop, site, job, exchange->headers);
    loop->transport->send(loop->transport, exchange);
}

static void take_inbox(rh_loop_t *loop, bool stopping)
{
    struct rh_work_head_t works;
    apr_time_t now = apr_time_now();

    APR_RING_INIT(&works, rh_work_t, link);
    rh_inbox_take(loop->inbox, &works);
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

/** True if no thread can give this loop any more work, and it has none left. */
static bool is_over(rh_loop_t *loop)
{
    const rh_shutdown_t *shutdown = loop->config.parts->shutdown;

    if (rh_shutdown_deadline(shutdown) == 0 || rh_shutdown_left(shutdown, RH_ROLE_WRITE) > 0 ||
        rh_shutdown_left(shutdown, RH_ROLE_CLAIM) > 0) {
        return false;
    }
    /* Read this after the roles: writers and dispatchers push before they leave theirs. */
    return rh_inbox_is_empty(loop->inbox) && rh_schedule_in_flight(loop->schedule) == 0 &&
           rh_schedule_waiting(loop->schedule) == 0;
}

static apr_interval_time_t time_to_sleep(rh_loop_t *loop, apr_time_t next_sweep)
{
    apr_time_t now = apr_time_now(), until = next_sweep,
               wake_at = rh_schedule_wake_at(loop->schedule),
               deadline = rh_shutdown_deadline(loop->config.parts->shutdown);

    if (wake_at != 0 && wake_at < until) {
        until = wake_at;
    }
    if (deadline != 0 && deadline < until) {
        until = deadline;
    }
    if (until <= now) {
        return 0;
    }
    /* Also sweep if the clock was set back. */
    return until - now < RH_MAX_SLEEP ? until - now : RH_MAX_SLEEP;
}

void rh_loop_run(rh_loop_t *loop)
{
    rh_shutdown_t *shutdown = loop->config.parts->shutdown;
    apr_time_t next_sweep = apr_time_now() + SWEEP_INTERVAL;
    bool poll_failed = false;
    apr_status_t status;

    for (;;) {
        bool stopping = rh_shutdown_begun(shutdown);
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
            start_attempt(loop, work);
        }
        if (rh_shutdown_overdue(shutdown, 0) && rh_schedule_in_flight(loop->schedule) > 0) {
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
                rh_log(loop->config.log, RH_LOG_ERR, status, "RH0307",
                       "poll failed in a delivery loop; retrying");
            }
            poll_failed = true;
            apr_sleep(apr_time_from_msec(50));
        }
        flush(loop);
    }
    rh_shutdown_leave(shutdown, RH_ROLE_LOOP);
}
