/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_engine_private.h"

/** Between claims while each brings something but none brings all that was asked for. */
#define BUSY_SPACING apr_time_from_msec(5)
/** Between claims for want of room in memory. */
#define FULL_SPACING apr_time_from_msec(20)
/** Between claims while targets that hang crowd the loops. */
#define CROWDED_SPACING apr_time_from_msec(100)
/** Between claims that commits ask for: doubles from the one to the other while they bring none. */
#define LEAST_SPACING apr_time_from_msec(2)
#define MOST_SPACING apr_time_from_msec(100)
/** Between looks for something in the spool. */
#define DRAIN_SPACING apr_time_from_msec(200)
/** Between tries of a database that is down, or that refused a statement. */
#define DOWN_SPACING apr_time_from_msec(500)
#define REFUSED_SPACING apr_time_from_sec(10)
/** Ordered subscriptions wait for the spool so long at most. */
#define LONGEST_HOLD apr_time_from_sec(60)
#define MAINTENANCE_INTERVAL apr_time_from_sec(60)
/** What the store gets beyond the grace, when the process stops. */
#define LAST_TRIES apr_time_from_sec(1)
/** Between tries for a slot. */
#define SLOT_SPACING apr_time_from_sec(2)

void rh_dispatcher_push(rh_dispatcher_t *dispatcher, rh_work_head_t *works, int count)
{
    apr_thread_mutex_lock(dispatcher->mutex);
    APR_RING_CONCAT(&dispatcher->outcomes, works, rh_work_t, link);
    if (dispatcher->outcome_count == 0) {
        apr_thread_cond_signal(dispatcher->cond);
    }
    dispatcher->outcome_count += count;
    apr_thread_mutex_unlock(dispatcher->mutex);
}

void rh_dispatcher_wake(rh_dispatcher_t *dispatcher, bool now_due)
{
    apr_thread_mutex_lock(dispatcher->mutex);
    if (now_due) {
        dispatcher->woken = true;
    } else {
        dispatcher->waiting = true;
    }
    apr_thread_cond_signal(dispatcher->cond);
    apr_thread_mutex_unlock(dispatcher->mutex);
}

static void claim_at(rh_dispatcher_t *dispatcher, apr_time_t when)
{
    if (when < dispatcher->next_claim) {
        dispatcher->next_claim = when;
    }
}

/** When the process stops: say once that this thread will claim no more. */
static bool is_stopping(rh_dispatcher_t *dispatcher)
{
    rh_engine_t *engine = dispatcher->engine;

    if (!rh_atomic_get(engine->stopping)) {
        return false;
    }
    if (!dispatcher->claims_ended) {
        dispatcher->claims_ended = true;
        if (dispatcher->index == 0) {
            /* What is in flight may take long: another one delivers meanwhile. */
            rh_slot_give_back(&engine->slot);
        }
        if (rh_atomic_add(engine->claimers_left, -1) == 0) {
            rh_engine_wake_loops(engine);
        }
    }
    return true;
}

/** Sleep until there is something to do; at most RH_LONGEST_SLEEP. Called with the mutex held. */
static void sleep_until_needed(rh_dispatcher_t *dispatcher, bool stopping)
{
    rh_engine_t *engine = dispatcher->engine;
    apr_time_t now = apr_time_now(), until = now + RH_LONGEST_SLEEP;

    if (dispatcher->outcome_count > 0) {
        return;
    }
    if (stopping) {
        if (rh_atomic_get(engine->loops_left) == 0) {
            return;
        }
    } else {
        if (dispatcher->woken) {
            dispatcher->woken = false;
            dispatcher->empty_spacing = LEAST_SPACING;
            dispatcher->next_claim = now;
        }
        if (dispatcher->waiting) {
            apr_time_t spaced = dispatcher->last_claim + dispatcher->empty_spacing;

            dispatcher->waiting = false;
            claim_at(dispatcher, spaced > now ? spaced : now);
        }
        if (dispatcher->next_claim < until) {
            until = dispatcher->next_claim;
        }
        if (dispatcher->next_maintenance < until) {
            until = dispatcher->next_maintenance;
        }
        if (dispatcher->spooler &&
            (dispatcher->draining || rh_spooler_pending(dispatcher->spooler)) &&
            dispatcher->next_drain < until) {
            until = dispatcher->next_drain;
        }
    }
    if (until > now) {
        apr_thread_cond_timedwait(dispatcher->cond, dispatcher->mutex, until - now);
    }
}

/** Take up to a batch of outcomes, after a sleep if there are none. @return how many */
static int take_outcomes(rh_dispatcher_t *dispatcher, bool stopping, rh_work_t **works)
{
    int count = 0;

    apr_thread_mutex_lock(dispatcher->mutex);
    sleep_until_needed(dispatcher, stopping);
    while (count < RH_SETTLE_BATCH && dispatcher->outcome_count > 0) {
        rh_work_t *work = APR_RING_FIRST(&dispatcher->outcomes);

        APR_RING_REMOVE(work, link);
        dispatcher->outcome_count--;
        works[count++] = work;
    }
    apr_thread_mutex_unlock(dispatcher->mutex);
    return count;
}

/**
 * Record outcomes, over an outage if need be.
 * @return APR_SUCCESS; APR_EGENERAL: the store refuses them; APR_EAGAIN: given up, the process ends
 */
static apr_status_t settle_until_stored(rh_dispatcher_t *dispatcher, rh_settle_t *const *outcomes,
                                        int count, apr_pool_t *scratch)
{
    rh_queue_t *queue = dispatcher->site->dispatch_queue;
    apr_interval_time_t wait = apr_time_from_msec(20);

    for (;;) {
        apr_status_t status = queue->settle(queue, outcomes, count, scratch);

        rh_health_note(dispatcher->site->metrics, RH_HEALTH_SETTLE, status);
        if (status == APR_SUCCESS) {
            rh_metrics_observe(dispatcher->site->metrics, RH_HISTOGRAM_OUTCOMES, count);
            rh_engine_store_is(dispatcher, RH_DOWN_DISPATCHER, APR_SUCCESS);
            return APR_SUCCESS;
        }
        rh_metrics_count(dispatcher->site->metrics, RH_COUNT_ERROR_SETTLE);
        if (!APR_STATUS_IS_EAGAIN(status)) {
            return APR_EGENERAL;
        }
        rh_engine_store_is(dispatcher, RH_DOWN_DISPATCHER, status);
        is_stopping(dispatcher);
        if (rh_engine_overdue(dispatcher->engine, LAST_TRIES)) {
            return APR_EAGAIN;
        }
        apr_sleep(wait);
        if (wait < apr_time_from_msec(300)) {
            wait *= 2;
        }
        apr_pool_clear(scratch);
    }
}

/** The store refused a batch: find the outcome that it can't take, and store it with less. */
static void settle_one_by_one(rh_dispatcher_t *dispatcher, rh_settle_t *const *outcomes, int count,
                              apr_pool_t *scratch)
{
    int i;

    for (i = 0; i < count; i++) {
        apr_status_t status = settle_until_stored(dispatcher, &outcomes[i], 1, scratch);

        apr_pool_clear(scratch);
        if (status == APR_EGENERAL) {
            outcomes[i]->attempt.headers = NULL;
            outcomes[i]->attempt.answer = NULL;
            outcomes[i]->attempt.sent = NULL;
            outcomes[i]->attempt.error = "the answer could not be stored";
            status = settle_until_stored(dispatcher, &outcomes[i], 1, scratch);
        }
        if (status == APR_EGENERAL) {
            rh_log(dispatcher->site->log, RH_LOG_ERR, status, "RH0311",
                   "the outcome of delivery %s to subscription %s could not be stored; it is "
                   "attempted again when its lease ends",
                   outcomes[i]->delivery_id, outcomes[i]->subscription_id);
        }
    }
}

/** What an outcome means for the time of the next claim. */
static void expect(rh_dispatcher_t *dispatcher, const rh_work_t *work, apr_time_t now)
{
    const rh_settle_t *settle = &work->settle;
    apr_interval_time_t wait = settle->delay > settle->pause ? settle->delay : settle->pause;

    if (settle->kind == RH_SETTLE_RETRY || settle->kind == RH_SETTLE_RELEASE) {
        /* A millisecond more: the store counts in these. */
        claim_at(dispatcher, now + wait + 1000);
    } else if (work->job->ordered || dispatcher->starved) {
        claim_at(dispatcher, now);
    }
}

static void settle(rh_dispatcher_t *dispatcher, rh_work_t **works, int count, apr_pool_t *scratch)
{
    rh_settle_t *outcomes[RH_SETTLE_BATCH];
    apr_time_t now;
    int i;

    for (i = 0; i < count; i++) {
        outcomes[i] = &works[i]->settle;
    }
    if (settle_until_stored(dispatcher, outcomes, count, scratch) == APR_EGENERAL) {
        settle_one_by_one(dispatcher, outcomes, count, scratch);
    }
    rh_metrics_move(dispatcher->site->metrics, RH_GAUGE_UNSETTLED, -count);
    now = apr_time_now();
    for (i = 0; i < count; i++) {
        expect(dispatcher, works[i], now);
        rh_job_destroy(works[i]->job);
    }
    rh_engine_jobs_gone(dispatcher->engine, count);
}

static apr_interval_time_t jittered(rh_dispatcher_t *dispatcher, apr_interval_time_t wait)
{
    return rh_retry_jitter(wait, rh_random_next(&dispatcher->random));
}

/** Decide when to claim again after one that brought `got` of `limit`. */
static void plan_claim(rh_dispatcher_t *dispatcher, int got, int limit, apr_time_t now)
{
    int concurrency = dispatcher->site->endpoint_concurrency;

    dispatcher->starved = got >= limit;
    dispatcher->last_claim = now;
    if (got == 0) {
        apr_interval_time_t poll = dispatcher->engine->config.poll;

        /* Never sooner: this is what an idle process costs the database. */
        dispatcher->next_claim = now + poll + rh_random_next(&dispatcher->random) % (poll / 4 + 1);
        dispatcher->per_subscription = concurrency;
        if (dispatcher->empty_spacing < MOST_SPACING) {
            dispatcher->empty_spacing *= 2;
        }
        return;
    }
    dispatcher->empty_spacing = LEAST_SPACING;
    if (got >= limit) {
        dispatcher->next_claim = now;
        dispatcher->per_subscription = concurrency;
    } else {
        /* Few subscriptions have anything due: more of each delays nobody else. */
        dispatcher->next_claim = now + BUSY_SPACING;
        if (dispatcher->per_subscription < 4 * concurrency) {
            dispatcher->per_subscription *= 2;
        }
    }
    if (rh_atomic_get(dispatcher->engine->crowded_until) > now) {
        dispatcher->next_claim = now + CROWDED_SPACING;
    }
}

/** Whether this child delivers; if not, it tries now and then to become one that does. */
static bool is_deliverer(rh_dispatcher_t *dispatcher, apr_time_t now, apr_pool_t *scratch)
{
    rh_engine_t *engine = dispatcher->engine;
    const rh_engine_config_t *config = &engine->config;

    if (!rh_atomic_get(engine->delivers) && dispatcher->index == 0 &&
        (now >= dispatcher->next_slot || dispatcher->next_slot > now + SLOT_SPACING)) {
        apr_status_t status =
            rh_slot_take(config->slots, config->deliverers, scratch, &engine->slot);

        dispatcher->next_slot = now + SLOT_SPACING;
        if (status != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(status)) {
            rh_log(config->log, RH_LOG_ERR, status, "RH0314",
                   "RestHooksSpool: who delivers can't be told in %s, so this process does",
                   config->slots);
            status = APR_SUCCESS;
        }
        if (status == APR_SUCCESS) {
            rh_atomic_set(engine->delivers, 1);
        }
    }
    return rh_atomic_get(engine->delivers) != 0;
}

/**
 * Whether ordered subscriptions have to wait: while any process of this host has something in its
 * spool, an event that is in the database may have to come after one that isn't yet. A file that
 * nobody brings in holds them up for a limited time.
 */
static bool hold_ordered(rh_dispatcher_t *dispatcher, apr_pool_t *scratch)
{
    apr_time_t now = apr_time_now();

    if (!dispatcher->spooler || !rh_spooler_waits(dispatcher->spooler, scratch)) {
        dispatcher->held = 0;
        return false;
    }
    if (dispatcher->held == 0 || dispatcher->held > now) {
        dispatcher->held = now;
    }
    return now - dispatcher->held < LONGEST_HOLD;
}

static void claim(rh_dispatcher_t *dispatcher, apr_pool_t *scratch)
{
    rh_engine_t *engine = dispatcher->engine;
    const rh_site_t *site = dispatcher->site;
    rh_queue_t *queue = site->dispatch_queue;
    apr_array_header_t *jobs;
    apr_status_t status;
    rh_claim_t what;
    int limit, least, got, i;

    least = engine->capacity / 16 < RH_CLAIM_BATCH / 4 ? engine->capacity / 16 : RH_CLAIM_BATCH / 4;
    limit = rh_engine_reserve(engine, RH_CLAIM_BATCH);
    if (limit < least || limit == 0) {
        rh_engine_jobs_gone(engine, limit);
        dispatcher->starved = true;
        dispatcher->next_claim = apr_time_now() + FULL_SPACING;
        return;
    }
    what.limit = limit;
    what.per_subscription = dispatcher->per_subscription;
    what.lease = dispatcher->lease;
    what.lease_for = site->timeout + RH_LEASE_MARGIN;
    what.again = 0;
    what.spare_leased = apr_time_now() < rh_atomic_get(dispatcher->spare_until);
    what.hold_ordered = hold_ordered(dispatcher, scratch);
    jobs = apr_array_make(scratch, 64, sizeof(rh_job_t *));
    status = queue->claim(queue, &what, scratch, jobs);
    rh_health_note(site->metrics, RH_HEALTH_CLAIM, status);
    got = jobs->nelts;
    if (status != APR_SUCCESS) {
        for (i = 0; i < got; i++) {
            rh_job_destroy(APR_ARRAY_IDX(jobs, i, rh_job_t *));
        }
        rh_engine_jobs_gone(engine, limit);
        rh_metrics_count(site->metrics, RH_COUNT_ERROR_CLAIM);
        dispatcher->last_claim = apr_time_now();
        if (APR_STATUS_IS_EAGAIN(status)) {
            rh_engine_store_is(dispatcher, RH_DOWN_DISPATCHER, status);
            dispatcher->held = 0;
            dispatcher->next_claim = dispatcher->last_claim + jittered(dispatcher, DOWN_SPACING);
        } else {
            dispatcher->next_claim = dispatcher->last_claim + jittered(dispatcher, REFUSED_SPACING);
        }
        return;
    }
    rh_engine_store_is(dispatcher, RH_DOWN_DISPATCHER, APR_SUCCESS);
    rh_metrics_count(site->metrics, RH_COUNT_CLAIMS);
    rh_metrics_add(site->metrics, RH_COUNT_CLAIMED, (apr_uint64_t)got);
    if (limit > got) {
        rh_engine_jobs_gone(engine, limit - got);
    }
    rh_engine_hand_over(dispatcher, jobs, false);
    plan_claim(dispatcher, got, limit, apr_time_now());
    if (what.again > 0) {
        claim_at(dispatcher, dispatcher->last_claim + what.again);
    }
}

/** Bring some events of the spool into the database, and have them claimed. */
static void drain(rh_dispatcher_t *dispatcher, apr_pool_t *scratch)
{
    int stored;
    apr_status_t status = rh_spooler_drain(dispatcher->spooler, dispatcher->site->dispatch_queue,
                                           dispatcher->lease, scratch, &stored);
    apr_time_t now = apr_time_now();

    dispatcher->draining = status == APR_SUCCESS && stored > 0;
    dispatcher->next_drain = now;
    if (dispatcher->draining) {
        claim_at(dispatcher, now);
    } else {
        dispatcher->next_drain += status == APR_SUCCESS ? DRAIN_SPACING : DOWN_SPACING;
    }
    if (APR_STATUS_IS_EAGAIN(status)) {
        rh_engine_store_is(dispatcher, RH_DOWN_DISPATCHER, status);
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
    dispatcher->next_maintenance = apr_time_now() + jittered(dispatcher, MAINTENANCE_INTERVAL);
}

/** Count what waits in the database, while somebody wants to know and no other process does it. */
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

/** Give the leases of this process and site back: what was handed out and never came home. */
static void give_leases_back(rh_dispatcher_t *dispatcher, apr_pool_t *scratch)
{
    rh_queue_t *queue = dispatcher->site->dispatch_queue;
    apr_status_t status;

    while ((status = queue->release(queue, dispatcher->lease, scratch)) != APR_SUCCESS) {
        apr_pool_clear(scratch);
        if (!APR_STATUS_IS_EAGAIN(status) || rh_engine_overdue(dispatcher->engine, LAST_TRIES)) {
            rh_log(dispatcher->site->log, RH_LOG_INFO, status, "RH0313",
                   "leases of %s could not be given back; they end by themselves",
                   dispatcher->site->name);
            return;
        }
        apr_sleep(apr_time_from_msec(100));
    }
}

/** When the clock was set back, times that are too far away would stop everything. */
static void mind_the_clock(rh_dispatcher_t *dispatcher, apr_time_t now)
{
    if (dispatcher->last_claim > now) {
        dispatcher->last_claim = dispatcher->next_claim = now;
    }
    if (dispatcher->next_maintenance > now + 2 * MAINTENANCE_INTERVAL) {
        dispatcher->next_maintenance = now;
    }
    if (rh_atomic_get(dispatcher->spare_until) > now + RH_SPARE_LEASES) {
        rh_atomic_set(dispatcher->spare_until, now);
    }
    if (dispatcher->next_drain > now + DOWN_SPACING) {
        dispatcher->next_drain = now;
    }
}

void rh_dispatcher_run(rh_dispatcher_t *dispatcher)
{
    rh_engine_t *engine = dispatcher->engine;
    rh_work_t *works[RH_SETTLE_BATCH];
    apr_pool_t *scratch;
    apr_time_t now = apr_time_now();

    dispatcher->per_subscription = dispatcher->site->endpoint_concurrency;
    dispatcher->empty_spacing = LEAST_SPACING;
    dispatcher->next_claim = now;
    rh_atomic_set(dispatcher->spare_until, now + RH_SPARE_LEASES);
    dispatcher->next_maintenance = now + rh_random_next(&dispatcher->random) % APR_USEC_PER_SEC;
    apr_pool_create(&scratch, dispatcher->pool);
    for (;;) {
        bool stopping = is_stopping(dispatcher);
        /* Looked at first: loops push their last outcomes before they count themselves out. */
        bool last = stopping && rh_atomic_get(engine->loops_left) == 0;
        int count = take_outcomes(dispatcher, stopping, works);

        if (count > 0) {
            settle(dispatcher, works, count, scratch);
            apr_pool_clear(scratch);
        } else if (last) {
            break;
        }
        if (is_stopping(dispatcher)) {
            continue;
        }
        now = apr_time_now();
        mind_the_clock(dispatcher, now);
        if (!is_deliverer(dispatcher, now, scratch)) {
            dispatcher->next_claim = dispatcher->next_maintenance = now + RH_LONGEST_SLEEP;
        }
        if (now >= dispatcher->next_claim) {
            claim(dispatcher, scratch);
            apr_pool_clear(scratch);
        }
        if (dispatcher->spooler && now >= dispatcher->next_drain) {
            drain(dispatcher, scratch);
            apr_pool_clear(scratch);
        }
        if (now >= dispatcher->next_maintenance) {
            maintain(dispatcher, scratch);
            apr_pool_clear(scratch);
        }
        count_backlog(dispatcher, scratch);
    }
    give_leases_back(dispatcher, scratch);
}
