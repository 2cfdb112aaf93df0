/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_dispatcher.h"

#include "rh_pool.h"
#include "rh_random.h"

#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>

/** Maximum of outcomes of one settle, and of jobs of one claim. */
#define SETTLE_BATCH 256
#define CLAIM_BATCH 256

/** Interval between claims while each brings something but none brings all that was asked for. */
#define BUSY_INTERVAL apr_time_from_msec(5)
/** Interval between claims while the memory for jobs is full. */
#define FULL_INTERVAL apr_time_from_msec(20)
/** Interval between claims while targets that hang crowd the loops. */
#define CROWDED_INTERVAL apr_time_from_msec(100)
/** Interval between claims that commits ask for: doubles from the one to the other while they bring
 * nothing. */
#define MIN_ASKED_INTERVAL apr_time_from_msec(2)
#define MAX_ASKED_INTERVAL apr_time_from_msec(100)
/** Interval between checks of the spool. */
#define DRAIN_INTERVAL apr_time_from_msec(200)
/** Interval between checks for a job where none was found, and between its chunks: others need the
 * database, too. */
#define JOB_INTERVAL apr_time_from_sec(10)
#define CHUNK_INTERVAL apr_time_from_msec(20)
/** Interval between tries of a database that is down, or that refused a statement. */
#define DOWN_INTERVAL apr_time_from_msec(500)
#define REFUSED_INTERVAL apr_time_from_sec(10)
/** How long ordered subscriptions wait for the spool. */
#define MAX_HOLD apr_time_from_sec(60)
#define MAINTENANCE_INTERVAL apr_time_from_sec(60)
/** What the store gets beyond the grace, when the process stops. */
#define LAST_TRIES apr_time_from_sec(1)

struct rh_dispatcher_t {
    const rh_site_parts_t *parts;
    const rh_site_t *site;
    apr_pool_t *pool; /**< the thread's */
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *cond;
    rh_work_head_t outcomes; /**< guarded by mutex, as are these: */
    int outcome_count;
    bool woken;   /**< look for due deliveries now */
    bool waiting; /**< a commit did not hand over all: claim, but not more often than pays */

    /* The thread's own. */
    apr_time_t next_claim, next_maintenance, last_claim, next_job;
    apr_interval_time_t asked_interval; /**< between claims that commits ask for */
    int per_subscription;
    bool starved; /**< the last claim wanted more than it could hold */
    apr_uint32_t random;
    bool maintenance_failed;
    bool claims_ended; /**< it has left RH_ROLE_CLAIM */
    bool draining;     /**< the spool has more */
    bool expanding;    /**< there are events whose deliveries are not all made */
    apr_time_t held;   /**< since when ordered ones wait for the spool; 0: they don't */
    apr_time_t next_drain;
};

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

static void claim_at(rh_dispatcher_t *dispatcher, apr_time_t when)
{
    if (when < dispatcher->next_claim) {
        dispatcher->next_claim = when;
    }
}

/** True if the process stops. On the first call after that this thread gives up claiming. */
static bool is_stopping(rh_dispatcher_t *dispatcher)
{
    const rh_parts_t *all = dispatcher->parts->all;

    if (!rh_shutdown_begun(all->shutdown)) {
        return false;
    }
    if (!dispatcher->claims_ended) {
        dispatcher->claims_ended = true;
        if (dispatcher->parts->index == 0) {
            /* What is in flight may take long: let another process deliver. */
            rh_duty_end(all->duty);
        }
        rh_shutdown_leave(all->shutdown, RH_ROLE_CLAIM);
    }
    return true;
}

/** Sleep until there is something to do; at most RH_MAX_SLEEP. Called with the mutex held. */
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
            dispatcher->asked_interval = MIN_ASKED_INTERVAL;
            dispatcher->next_claim = dispatcher->next_job = now;
        }
        if (dispatcher->waiting) {
            apr_time_t spaced = dispatcher->last_claim + dispatcher->asked_interval;

            dispatcher->waiting = false;
            claim_at(dispatcher, spaced > now ? spaced : now);
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

/** Adjust the time of the next claim to an outcome. */
static void plan_after(rh_dispatcher_t *dispatcher, const rh_work_t *work, apr_time_t now)
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
        plan_after(dispatcher, works[i], now);
        rh_job_destroy(works[i]->job);
    }
    rh_capacity_return(dispatcher->parts->all->capacity, count);
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
        apr_interval_time_t poll = dispatcher->parts->all->poll;

        /* Never sooner: this is what an idle process costs the database. */
        dispatcher->next_claim = now + poll + rh_random_next(&dispatcher->random) % (poll / 4 + 1);
        dispatcher->per_subscription = concurrency;
        if (dispatcher->asked_interval < MAX_ASKED_INTERVAL) {
            dispatcher->asked_interval *= 2;
        }
        return;
    }
    dispatcher->asked_interval = MIN_ASKED_INTERVAL;
    if (got >= limit) {
        dispatcher->next_claim = now;
        dispatcher->per_subscription = concurrency;
    } else {
        /* Few subscriptions have anything due, so taking more of each delays no other one. */
        dispatcher->next_claim = now + BUSY_INTERVAL;
        if (dispatcher->per_subscription < 4 * concurrency) {
            dispatcher->per_subscription *= 2;
        }
    }
    if (rh_capacity_is_crowded(dispatcher->parts->all->capacity, now)) {
        dispatcher->next_claim = now + CROWDED_INTERVAL;
    }
}

/** True if this process delivers; if not, the first dispatcher tries to become one that does. */
static bool is_deliverer(rh_dispatcher_t *dispatcher, apr_time_t now, apr_pool_t *scratch)
{
    rh_duty_t *duty = dispatcher->parts->all->duty;

    return dispatcher->parts->index == 0 ? rh_duty_seek(duty, now, scratch) : rh_duty_has(duty);
}

/**
 * True if ordered subscriptions have to wait: while any process of this host has events in its
 * spool, one that is in the database may have to come after one that isn't yet. A file that no
 * process reads holds them up for a limited time only.
 */
static bool hold_ordered(rh_dispatcher_t *dispatcher, apr_pool_t *scratch)
{
    apr_time_t now = apr_time_now();

    if (!dispatcher->parts->spooler || !rh_spooler_waits(dispatcher->parts->spooler, scratch)) {
        dispatcher->held = 0;
        return false;
    }
    if (dispatcher->held == 0 || dispatcher->held > now) {
        dispatcher->held = now;
    }
    return now - dispatcher->held < MAX_HOLD;
}

static void claim(rh_dispatcher_t *dispatcher, apr_pool_t *scratch)
{
    rh_capacity_t *capacity = dispatcher->parts->all->capacity;
    const rh_site_t *site = dispatcher->site;
    rh_queue_t *queue = site->dispatch_queue;
    apr_array_header_t *jobs;
    apr_status_t status;
    rh_claim_t what;
    int limit, least, got, i;

    least = rh_capacity_max(capacity) / 16;
    least = least < CLAIM_BATCH / 4 ? least : CLAIM_BATCH / 4;
    limit = rh_capacity_reserve(capacity, CLAIM_BATCH);
    if (limit < least || limit == 0) {
        rh_capacity_return(capacity, limit);
        dispatcher->starved = true;
        dispatcher->next_claim = apr_time_now() + FULL_INTERVAL;
        return;
    }
    what.limit = limit;
    what.per_subscription = dispatcher->per_subscription;
    what.lease = dispatcher->parts->lease;
    what.lease_for = site->timeout + RH_LEASE_MARGIN;
    what.again = 0;
    what.expanding = false;
    what.spare_leased = rh_outage_spares_leases(dispatcher->parts->outage, apr_time_now());
    what.hold_ordered = hold_ordered(dispatcher, scratch);
    jobs = apr_array_make(scratch, 64, sizeof(rh_job_t *));
    status = queue->claim(queue, &what, scratch, jobs);
    rh_health_note(site->metrics, RH_HEALTH_CLAIM, status);
    got = jobs->nelts;
    if (status != APR_SUCCESS) {
        for (i = 0; i < got; i++) {
            rh_job_destroy(APR_ARRAY_IDX(jobs, i, rh_job_t *));
        }
        rh_capacity_return(capacity, limit);
        rh_metrics_count(site->metrics, RH_COUNT_ERROR_CLAIM);
        dispatcher->last_claim = apr_time_now();
        if (APR_STATUS_IS_EAGAIN(status)) {
            rh_outage_report(dispatcher->parts->outage, RH_OUTAGE_DISPATCHER, status);
            dispatcher->held = 0;
            dispatcher->next_claim = dispatcher->last_claim + jittered(dispatcher, DOWN_INTERVAL);
        } else {
            dispatcher->next_claim =
                dispatcher->last_claim + jittered(dispatcher, REFUSED_INTERVAL);
        }
        return;
    }
    rh_outage_report(dispatcher->parts->outage, RH_OUTAGE_DISPATCHER, APR_SUCCESS);
    dispatcher->expanding = what.expanding;
    rh_metrics_count(site->metrics, RH_COUNT_CLAIMS);
    rh_metrics_add(site->metrics, RH_COUNT_CLAIMED, (apr_uint64_t)got);
    if (limit > got) {
        rh_capacity_return(capacity, limit - got);
    }
    rh_inboxes_hand_over(dispatcher->parts->all->inboxes, site, dispatcher, jobs, false);
    plan_claim(dispatcher, got, limit, apr_time_now());
    if (what.again > 0) {
        claim_at(dispatcher, dispatcher->last_claim + what.again);
    }
}

/** Bring some events of the spool into the database, and have them claimed. */
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
        claim_at(dispatcher, now);
    } else {
        dispatcher->next_drain += status == APR_SUCCESS ? DRAIN_INTERVAL : DOWN_INTERVAL;
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
    dispatcher->next_maintenance = apr_time_now() + jittered(dispatcher, MAINTENANCE_INTERVAL);
}

/** Count what waits in the database, while it is asked for and no other process does it. */
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

/** Make more deliveries of an event, and have them claimed; again at once while there is one. */
static void expand(rh_dispatcher_t *dispatcher, apr_pool_t *scratch)
{
    rh_queue_t *queue = dispatcher->site->dispatch_queue;
    bool found = false;

    dispatcher->expanding =
        queue->expand && queue->expand(queue, scratch, &found) == APR_SUCCESS && found;
    if (found) {
        claim_at(dispatcher, apr_time_now());
    }
}

/** Do a chunk of the job whose turn it is, and look again soon while there is one. */
static void work_job(rh_dispatcher_t *dispatcher, apr_pool_t *scratch)
{
    rh_queue_t *queue = dispatcher->site->dispatch_queue;
    apr_time_t now = apr_time_now();
    bool found = false;

    if (!queue->work_job || queue->work_job(queue, scratch, &found) != APR_SUCCESS) {
        found = false;
    }
    dispatcher->next_job = now + (found ? CHUNK_INTERVAL : JOB_INTERVAL);
    if (found) {
        dispatcher->next_claim = now;
    }
}

/** If the clock was set back, bring times near that would otherwise stop everything. */
static void follow_clock(rh_dispatcher_t *dispatcher, apr_time_t now)
{
    if (dispatcher->last_claim > now) {
        dispatcher->last_claim = dispatcher->next_claim = now;
    }
    if (dispatcher->next_maintenance > now + 2 * MAINTENANCE_INTERVAL) {
        dispatcher->next_maintenance = now;
    }
    if (dispatcher->next_drain > now + DOWN_INTERVAL) {
        dispatcher->next_drain = now;
    }
}

void rh_dispatcher_run(rh_dispatcher_t *dispatcher)
{
    rh_work_t *works[SETTLE_BATCH];
    apr_pool_t *scratch;
    apr_time_t now = apr_time_now();

    dispatcher->per_subscription = dispatcher->site->endpoint_concurrency;
    dispatcher->asked_interval = MIN_ASKED_INTERVAL;
    dispatcher->next_claim = now;
    rh_outage_begin(dispatcher->parts->outage, now);
    dispatcher->next_maintenance = now + rh_random_next(&dispatcher->random) % APR_USEC_PER_SEC;
    apr_pool_create(&scratch, dispatcher->pool);
    for (;;) {
        bool stopping = is_stopping(dispatcher);
        /* Looked at first: loops push their last outcomes before they count themselves out. */
        bool last =
            stopping && rh_shutdown_left(dispatcher->parts->all->shutdown, RH_ROLE_LOOP) == 0;
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
        follow_clock(dispatcher, now);
        if (!is_deliverer(dispatcher, now, scratch)) {
            dispatcher->next_claim = dispatcher->next_maintenance = now + RH_MAX_SLEEP;
            dispatcher->next_job = now + RH_MAX_SLEEP;
        }
        if (now >= dispatcher->next_claim) {
            claim(dispatcher, scratch);
            apr_pool_clear(scratch);
        }
        if (dispatcher->expanding) {
            expand(dispatcher, scratch);
            apr_pool_clear(scratch);
        }
        if (dispatcher->parts->spooler && now >= dispatcher->next_drain) {
            drain(dispatcher, scratch);
            apr_pool_clear(scratch);
        }
        if (now >= dispatcher->next_maintenance) {
            maintain(dispatcher, scratch);
            apr_pool_clear(scratch);
        }
        if (now >= dispatcher->next_job || dispatcher->next_job > now + 2 * JOB_INTERVAL) {
            work_job(dispatcher, scratch);
            apr_pool_clear(scratch);
        }
        count_backlog(dispatcher, scratch);
    }
    give_leases_back(dispatcher, scratch);
}
