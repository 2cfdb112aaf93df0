/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* A dispatcher's claims, and when it makes them. */
#include "rh_dispatcher_private.h"

#include "rh_random.h"

/** Maximum number of jobs in one claim. */
#define CLAIM_BATCH 256
/** Interval between claims that each return something, but less than was asked for. */
#define BUSY_INTERVAL apr_time_from_msec(5)
/** Interval between claims while the memory for jobs is full. */
#define FULL_INTERVAL apr_time_from_msec(20)
/** Interval between claims while hanging targets occupy the loops' slots. */
#define CROWDED_INTERVAL apr_time_from_msec(100)
#define MAX_ASKED_INTERVAL apr_time_from_msec(100)
/** Interval between retries while the database refuses claims. */
#define REFUSED_INTERVAL apr_time_from_sec(10)
/** How long ordered subscriptions wait for the spool to be drained. */
#define MAX_HOLD apr_time_from_sec(60)

void rh_dispatcher_claim_at(rh_dispatcher_t *dispatcher, apr_time_t when)
{
    if (when < dispatcher->next_claim) {
        dispatcher->next_claim = when;
    }
}

apr_interval_time_t rh_dispatcher_jitter(rh_dispatcher_t *dispatcher, apr_interval_time_t wait)
{
    return rh_retry_jitter(wait, rh_random_next(&dispatcher->random));
}

/** Choose the time of the next claim after one that returned `got` of `limit` jobs. */
static void plan_claim(rh_dispatcher_t *dispatcher, int got, int limit, apr_time_t now)
{
    int concurrency = dispatcher->site->endpoint_concurrency;

    dispatcher->starved = got >= limit;
    dispatcher->last_claim = now;
    if (got == 0) {
        apr_interval_time_t poll = dispatcher->parts->all->poll;

        /* Do not claim any sooner: this interval is what an idle process costs the database. */
        dispatcher->next_claim = now + poll + rh_random_next(&dispatcher->random) % (poll / 4 + 1);
        dispatcher->per_subscription = concurrency;
        if (dispatcher->asked_interval < MAX_ASKED_INTERVAL) {
            dispatcher->asked_interval *= 2;
        }
        return;
    }
    dispatcher->asked_interval = RH_MIN_ASKED_INTERVAL;
    if (got >= limit) {
        dispatcher->next_claim = now;
        dispatcher->per_subscription = concurrency;
    } else {
        /*
         * Few subscriptions have due deliveries, so claiming more of each delays no other
         * subscription.
         */
        dispatcher->next_claim = now + BUSY_INTERVAL;
        if (dispatcher->per_subscription < 4 * concurrency) {
            dispatcher->per_subscription *= 2;
        }
    }
    if (rh_capacity_is_crowded(dispatcher->parts->all->capacity, now)) {
        dispatcher->next_claim = now + CROWDED_INTERVAL;
    }
}

/**
 * True if ordered subscriptions have to wait. While any process of this host has events in its
 * spool, an event in the database may be younger than one that is not stored yet. A spool file that
 * no process reads holds them up only for a limited time.
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

/**
 * How many jobs a claim asks for: at most half of what memory holds, so that a commit beside it has
 * room to hand over its own deliveries.
 */
static int batch_size(const rh_capacity_t *capacity)
{
    int half = rh_capacity_max(capacity) / 2;

    return half < CLAIM_BATCH ? half : CLAIM_BATCH;
}

void rh_dispatcher_claim(rh_dispatcher_t *dispatcher, apr_pool_t *scratch)
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
    limit = rh_capacity_reserve(capacity, batch_size(capacity));
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
            dispatcher->next_claim =
                dispatcher->last_claim + rh_dispatcher_jitter(dispatcher, RH_DOWN_INTERVAL);
        } else {
            dispatcher->next_claim =
                dispatcher->last_claim + rh_dispatcher_jitter(dispatcher, REFUSED_INTERVAL);
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
        rh_dispatcher_claim_at(dispatcher, dispatcher->last_claim + what.again);
    }
}

void rh_dispatcher_expand(rh_dispatcher_t *dispatcher, apr_pool_t *scratch)
{
    rh_queue_t *queue = dispatcher->site->dispatch_queue;
    bool found = false;

    dispatcher->expanding =
        queue->expand && queue->expand(queue, scratch, &found) == APR_SUCCESS && found;
    if (found) {
        rh_dispatcher_claim_at(dispatcher, apr_time_now());
    }
}
