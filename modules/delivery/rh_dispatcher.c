/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* A dispatcher's thread: it sleeps, settles, and has the rest of its work done. */
#include "rh_dispatcher_private.h"

#include "rh_pool.h"
#include "rh_random.h"

/** Maximum number of outcomes in one settle. */
#define SETTLE_BATCH 256
/** Time that the store gets after the grace period, when the process stops. */
#define LAST_TRIES apr_time_from_sec(1)

apr_status_t rh_dispatcher_make(apr_pool_t *pool, const rh_site_parts_t *parts,
                                rh_dispatcher_t **result)
{
    rh_dispatcher_t *dispatcher = apr_pcalloc(pool, sizeof(*dispatcher));
    apr_status_t status;

    *result = dispatcher;
    dispatcher->parts = parts;
    dispatcher->site = parts->site;
    dispatcher->random = rh_random_seed();
    APR_RING_INIT(&dispatcher->outcomes, rh_work_t, link);
    status = rh_root_pool_make(&dispatcher->pool, RH_POOL_KEEP, false);
    if (status == APR_SUCCESS) {
        status = apr_thread_mutex_create(&dispatcher->mutex, APR_THREAD_MUTEX_DEFAULT, pool);
    }
    return status == APR_SUCCESS ? apr_thread_cond_create(&dispatcher->cond, pool) : status;
}

void rh_dispatcher_destroy(rh_dispatcher_t *dispatcher)
{
    if (dispatcher && dispatcher->pool) {
        apr_pool_destroy(dispatcher->pool);
    }
}

const rh_site_t *rh_dispatcher_site(const rh_dispatcher_t *dispatcher)
{
    return dispatcher->site;
}

int rh_dispatcher_index(const rh_dispatcher_t *dispatcher)
{
    return dispatcher->parts->index;
}

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

void rh_dispatcher_signal(rh_dispatcher_t *dispatcher)
{
    apr_thread_cond_signal(dispatcher->cond);
}

/** True if the process stops. The first call after that ends this thread's claims. */
static bool is_stopping(rh_dispatcher_t *dispatcher)
{
    const rh_parts_t *all = dispatcher->parts->all;

    if (!rh_shutdown_begun(all->shutdown)) {
        return false;
    }
    if (!dispatcher->claims_ended) {
        dispatcher->claims_ended = true;
        if (dispatcher->parts->index == 0) {
            /* Attempts in flight may take long, so let another process deliver. */
            rh_duty_end(all->duty);
        }
        rh_shutdown_leave(all->shutdown, RH_ROLE_CLAIM);
    }
    return true;
}

/** Sleep until there is work, at most RH_MAX_SLEEP. Called with the mutex held. */
static void sleep_until_needed(rh_dispatcher_t *dispatcher, bool stopping)
{
    apr_time_t now = apr_time_now(), until = now + RH_MAX_SLEEP;

    if (dispatcher->outcome_count > 0 || (dispatcher->expanding && !stopping)) {
        return;
    }
    if (stopping) {
        if (rh_shutdown_left(dispatcher->parts->all->shutdown, RH_ROLE_LOOP) == 0) {
            return;
        }
    } else {
        if (dispatcher->woken) {
            dispatcher->woken = false;
            dispatcher->asked_interval = RH_MIN_ASKED_INTERVAL;
            dispatcher->next_claim = dispatcher->next_job = now;
        }
        if (dispatcher->waiting) {
            apr_time_t spaced = dispatcher->last_claim + dispatcher->asked_interval;

            dispatcher->waiting = false;
            rh_dispatcher_claim_at(dispatcher, spaced > now ? spaced : now);
        }
        if (dispatcher->next_claim < until) {
            until = dispatcher->next_claim;
        }
        if (dispatcher->next_maintenance < until) {
            until = dispatcher->next_maintenance;
        }
        if (dispatcher->next_job < until) {
            until = dispatcher->next_job;
        }
        if (dispatcher->next_add_up < until) {
            until = dispatcher->next_add_up;
        }
        if (dispatcher->parts->spooler &&
            (dispatcher->draining || rh_spooler_pending(dispatcher->parts->spooler)) &&
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
    while (count < SETTLE_BATCH && dispatcher->outcome_count > 0) {
        rh_work_t *work = APR_RING_FIRST(&dispatcher->outcomes);

        APR_RING_REMOVE(work, link);
        dispatcher->outcome_count--;
        works[count++] = work;
    }
    apr_thread_mutex_unlock(dispatcher->mutex);
    return count;
}

/**
 * Store outcomes, retrying during an outage.
 * @return APR_SUCCESS; APR_EGENERAL: the store refuses them; APR_EAGAIN: given up because the
 * process ends
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
            rh_outage_report(dispatcher->parts->outage, RH_OUTAGE_DISPATCHER, APR_SUCCESS);
            return APR_SUCCESS;
        }
        rh_metrics_count(dispatcher->site->metrics, RH_COUNT_ERROR_SETTLE);
        if (!APR_STATUS_IS_EAGAIN(status)) {
            return APR_EGENERAL;
        }
        rh_outage_report(dispatcher->parts->outage, RH_OUTAGE_DISPATCHER, status);
        is_stopping(dispatcher);
        if (rh_shutdown_overdue(dispatcher->parts->all->shutdown, LAST_TRIES)) {
            return APR_EAGAIN;
        }
        apr_sleep(wait);
        if (wait < apr_time_from_msec(300)) {
            wait *= 2;
        }
        apr_pool_clear(scratch);
    }
}

/**
 * The store refused a batch: settle each outcome by itself, and a refused one without its details.
 */
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
            outcomes[i]->attempt.template = NULL;
            outcomes[i]->attempt.sent = NULL;
            outcomes[i]->attempt.error = "the response could not be stored";
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

/** Move the next claim forward if this outcome is due before it. */
static void plan_claim_after(rh_dispatcher_t *dispatcher, const rh_work_t *work, apr_time_t now)
{
    const rh_settle_t *settle = &work->settle;
    apr_interval_time_t wait = settle->delay > settle->pause ? settle->delay : settle->pause;

    if (settle->kind == RH_SETTLE_RETRY || settle->kind == RH_SETTLE_RELEASE) {
        /* One millisecond more, because the store rounds to milliseconds. */
        rh_dispatcher_claim_at(dispatcher, now + wait + 1000);
    } else if (work->job->ordered || dispatcher->starved) {
        rh_dispatcher_claim_at(dispatcher, now);
    }
}

static void settle_works(rh_dispatcher_t *dispatcher, rh_work_t **works, int count,
                         apr_pool_t *scratch)
{
    rh_settle_t *outcomes[SETTLE_BATCH];
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
        plan_claim_after(dispatcher, works[i], now);
        rh_job_destroy(works[i]->job);
    }
    rh_capacity_return(dispatcher->parts->all->capacity, count);
}

/**
 * True if this process delivers. If not, the first dispatcher tries to take a free delivery slot.
 */
static bool is_deliverer(rh_dispatcher_t *dispatcher, apr_time_t now, apr_pool_t *scratch)
{
    rh_duty_t *duty = dispatcher->parts->all->duty;

    return dispatcher->parts->index == 0 ? rh_duty_seek(duty, now, scratch) : rh_duty_has(duty);
}

/** Give back the leases of this process and site whose jobs were handed out but never settled. */
static void give_leases_back(rh_dispatcher_t *dispatcher, apr_pool_t *scratch)
{
    rh_queue_t *queue = dispatcher->site->dispatch_queue;
    apr_status_t status;

    while ((status = queue->release(queue, dispatcher->parts->lease, scratch)) != APR_SUCCESS) {
        apr_pool_clear(scratch);
        if (!APR_STATUS_IS_EAGAIN(status) ||
            rh_shutdown_overdue(dispatcher->parts->all->shutdown, LAST_TRIES)) {
            rh_log(dispatcher->site->log, RH_LOG_INFO, status, "RH0313",
                   "leases of %s could not be given back; they end by themselves",
                   dispatcher->site->name);
            return;
        }
        apr_sleep(apr_time_from_msec(100));
    }
}

/** If the clock was set back, move up deadlines that would otherwise be far in the future. */
static void follow_clock(rh_dispatcher_t *dispatcher, apr_time_t now)
{
    if (dispatcher->last_claim > now) {
        dispatcher->last_claim = dispatcher->next_claim = now;
    }
    if (dispatcher->next_maintenance > now + 2 * RH_MAINTENANCE_INTERVAL) {
        dispatcher->next_maintenance = now;
    }
    if (dispatcher->next_drain > now + RH_DOWN_INTERVAL) {
        dispatcher->next_drain = now;
    }
}

void rh_dispatcher_run(rh_dispatcher_t *dispatcher)
{
    rh_work_t *works[SETTLE_BATCH];
    apr_pool_t *scratch;
    apr_time_t now = apr_time_now();

    dispatcher->per_subscription = dispatcher->site->endpoint_concurrency;
    dispatcher->asked_interval = RH_MIN_ASKED_INTERVAL;
    dispatcher->next_claim = now;
    rh_outage_begin(dispatcher->parts->outage, now);
    dispatcher->next_maintenance = now + rh_random_next(&dispatcher->random) % APR_USEC_PER_SEC;
    apr_pool_create(&scratch, dispatcher->pool);
    for (;;) {
        bool stopping = is_stopping(dispatcher);
        /* Read this first: loops push their last outcomes before they leave their role. */
        bool last =
            stopping && rh_shutdown_left(dispatcher->parts->all->shutdown, RH_ROLE_LOOP) == 0;
        int count = take_outcomes(dispatcher, stopping, works);

        if (count > 0) {
            settle_works(dispatcher, works, count, scratch);
            apr_pool_clear(scratch);
        } else if (last) {
            break;
        }
        if (is_stopping(dispatcher)) {
            continue;
        }
        now = apr_time_now();
        follow_clock(dispatcher, now);
        if (!is_deliverer(dispatcher, now, scratch)) {
            dispatcher->next_claim = dispatcher->next_maintenance = now + RH_MAX_SLEEP;
            dispatcher->next_job = dispatcher->next_add_up = now + RH_MAX_SLEEP;
        }
        if (now >= dispatcher->next_claim) {
            rh_dispatcher_claim(dispatcher, scratch);
            apr_pool_clear(scratch);
        }
        if (dispatcher->expanding) {
            rh_dispatcher_expand(dispatcher, scratch);
            apr_pool_clear(scratch);
        }
        rh_dispatcher_do_chores(dispatcher, now, scratch);
    }
    give_leases_back(dispatcher, scratch);
}
