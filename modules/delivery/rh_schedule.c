/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_schedule_private.h"

/** Maximum wait of a job in memory; a job that must wait longer goes back to the store. */
#define MAX_MEMORY_WAIT apr_time_from_sec(2)
/** Maximum delay of a job because of its endpoint's pause, which the store also knows. */
#define MAX_DELAY apr_time_from_sec(60)
/** If the clock was set back by more than this, the ends of leases are unknown. */
#define CLOCK_TOLERANCE apr_time_from_sec(1)
/** Maximum delay of a job because of other jobs at its host. */
#define MAX_DRAIN_TIME apr_time_from_sec(10)
/** Memory for fewer jobs than this is not divided between tenants. */
#define DIVIDED_MEMORY 32
/** Delay of a job that may not wait in memory. */
#define NO_ROOM_DELAY apr_time_from_sec(3)

/** Return the class whose share of slots is used up for an endpoint, or RH_SHARE_FREE. */
static int missing_slots(const rh_schedule_t *schedule, const rh_endpoint_t *endpoint)
{
    return rh_share_missing(&schedule->slots_of, &endpoint->tenant->in_flight, schedule->slots,
                            rh_endpoint_class(endpoint));
}

/**
 * True if jobs of the tenant's good endpoints fill its share of this loop's memory. Jobs of other
 * endpoints are bounded by their share of the slots. Jobs of good ones usually leave soon, but all
 * of them stay when their targets begin to hang.
 */
static bool memory_is_short(const rh_schedule_t *schedule, const rh_endpoint_t *endpoint)
{
    const rh_tenant_t *tenant = endpoint->tenant;
    int left = schedule->memory - schedule->in_flight - schedule->waiting;
    int own = tenant->in_flight.of[RH_ENDPOINT_GOOD] + tenant->waiting.of[RH_ENDPOINT_GOOD];

    return rh_endpoint_class(endpoint) == RH_ENDPOINT_GOOD && schedule->memory >= DIVIDED_MEMORY &&
           own > 0 && own >= RH_TENANT_SHARE * (left > 0 ? left : 0);
}

/**
 * True if the jobs that wait for slots of this job's host take as much memory as all others have
 * left.
 */
static bool host_is_full(const rh_schedule_t *schedule, const rh_work_t *work)
{
    const rh_jam_t *jam = rh_schedule_jam(schedule, work->host);

    return jam && jam->jobs >= schedule->memory - schedule->in_flight - schedule->waiting;
}

/** Return the class whose waiting jobs have reached their limit, or RH_SHARE_FREE. */
static int missing_room(const rh_schedule_t *schedule, const rh_endpoint_t *endpoint)
{
    int missing = rh_share_missing(&schedule->waiting_of, &endpoint->tenant->waiting,
                                   schedule->slots, rh_endpoint_class(endpoint));

    return missing == RH_ENDPOINT_GOOD ? RH_SHARE_FREE : missing;
}

static void return_job(rh_schedule_t *schedule, rh_work_t *work, apr_interval_time_t delay,
                       apr_interval_time_t pause)
{
    work->settle.delay = delay;
    work->settle.pause = pause;
    if (work->host) {
        rh_host_release(work->host);
        work->host = NULL;
    }
    APR_RING_INSERT_TAIL(&schedule->refused, work, rh_work_t, link);
}

static void return_waiting(rh_schedule_t *schedule, rh_endpoint_t *endpoint,
                           apr_interval_time_t delay, apr_time_t now)
{
    delay = delay < MAX_DELAY ? delay : MAX_DELAY;
    while (endpoint->waiting_count > 0) {
        return_job(schedule, rh_schedule_dequeue(schedule, endpoint), delay, 0);
    }
    rh_schedule_rest(schedule, endpoint, now);
}

static rh_endpoint_t *find_endpoint(rh_schedule_t *schedule, const rh_work_t *work, apr_time_t now)
{
    rh_endpoint_t *endpoint =
        apr_hash_get(schedule->endpoints, work->job->subscription_id, APR_HASH_KEY_STRING);

    if (!endpoint) {
        endpoint = rh_schedule_make_endpoint(schedule, work, now);
    }
    if (endpoint) {
        rh_endpoint_set_rate(endpoint, work->job->rate_limit, now);
    }
    return endpoint;
}

/** Estimate when half of the jobs that wait for a job's target or host have left. */
static apr_interval_time_t drain_time(const rh_schedule_t *schedule, const rh_work_t *work)
{
    const rh_jam_t *jam = rh_schedule_jam(schedule, work->host);
    apr_interval_time_t time = rh_endpoint_drain_time(work->endpoint, work->concurrency), all;

    if (jam) {
        all = work->endpoint->duration * jam->jobs / (2 * (apr_int64_t)work->per_host);
        all = all < MAX_DRAIN_TIME ? all : MAX_DRAIN_TIME;
        time = time > all ? time : all;
    }
    return time;
}

/**
 * Refuse a job whose endpoint is full. If it was claimed, the delay keeps similar ones unclaimed.
 */
static void refuse_for_room(rh_schedule_t *schedule, rh_work_t *work)
{
    apr_interval_time_t delay = drain_time(schedule, work);

    return_job(schedule, work, delay, work->handed ? 0 : delay);
}

/** True if jobs that wait for `other` may be refused in favour of a job of `endpoint`. */
static bool may_make_way(const rh_endpoint_t *other, const rh_endpoint_t *endpoint, int missing,
                         bool own_only)
{
    const rh_tenant_t *theirs = other->tenant, *ours = endpoint->tenant;

    if ((int)rh_endpoint_class(other) < missing || (own_only && theirs != ours)) {
        return false;
    }
    return (other->list == RH_LIST_FULL && other->waiting_count > endpoint->waiting_count) ||
           rh_share_held(&theirs->waiting, missing) > rh_share_held(&ours->waiting, missing) + 1;
}

/**
 * Make room for a job that could start, in the share that is used up: refuse the last job of an
 * endpoint that waits for its own slots and has more jobs waiting, or whose tenant has. Otherwise
 * jobs that wait for a few hanging targets would keep out those that were never tried.
 */
static bool displace_job(rh_schedule_t *schedule, const rh_endpoint_t *endpoint, int concurrency,
                         int missing, apr_time_t now)
{
    /* If this tenant has used up its share, only its own jobs can make way. */
    bool own_only = rh_share_missing(&schedule->waiting_of, NULL, schedule->slots,
                                     rh_endpoint_class(endpoint)) != missing;
    rh_endpoint_t *other;
    rh_work_t *last;

    if (endpoint->in_flight + endpoint->waiting_count >= concurrency) {
        return false;
    }
    APR_RING_FOREACH(other, &schedule->holders, rh_endpoint_t, holder)
    {
        if (may_make_way(other, endpoint, missing, own_only)) {
            break;
        }
    }
    if (other == APR_RING_SENTINEL(&schedule->holders, rh_endpoint_t, holder)) {
        return false;
    }
    last = APR_RING_LAST(&other->waiting);
    rh_schedule_take_out(schedule, other, last);
    refuse_for_room(schedule, last);
    if (other->waiting_count == 0) {
        rh_schedule_rest(schedule, other, now);
    }
    return true;
}

void rh_schedule_add(rh_schedule_t *schedule, rh_work_t *work, apr_time_t now)
{
    rh_endpoint_t *endpoint = find_endpoint(schedule, work, now);
    int missing;

    work->endpoint = endpoint;
    work->added_at = now;
    if (!endpoint) {
        return_job(schedule, work, NO_ROOM_DELAY, 0);
        return;
    }
    rh_endpoint_claimed(endpoint, now);
    rh_schedule_set_host(schedule, endpoint, work);
    if (endpoint->waiting_count >=
            rh_endpoint_room(endpoint, work->concurrency, schedule->capacity) ||
        memory_is_short(schedule, endpoint) || host_is_full(schedule, work)) {
        refuse_for_room(schedule, work);
        return;
    }
    missing = missing_room(schedule, endpoint);
    if (missing != RH_SHARE_FREE &&
        !displace_job(schedule, endpoint, work->concurrency, missing, now)) {
        apr_interval_time_t delay = NO_ROOM_DELAY - (now & 0xfffff);

        schedule->was_crowded = true;
        return_job(schedule, work, delay, delay);
        return;
    }
    rh_schedule_enqueue(schedule, endpoint, work);
    /* An endpoint in any other list already waits, for the same reason as this job will. */
    if (endpoint->list == RH_LIST_IDLE || endpoint->list == RH_LIST_BUSY) {
        rh_schedule_make_ready(schedule, endpoint);
    }
}

/** Move endpoints whose time has come to the ready ones. */
static void wake_timed(rh_schedule_t *schedule, apr_time_t now)
{
    struct rh_endpoint_head_t *timed = &schedule->lists[RH_LIST_TIMED];
    rh_endpoint_t *endpoint, *next;

    /* No endpoint waits longer than this, unless the clock was set back. */
    if (schedule->timed_wake == 0 ||
        (schedule->timed_wake > now && schedule->timed_wake <= now + MAX_MEMORY_WAIT)) {
        return;
    }
    schedule->timed_wake = 0;
    for (endpoint = APR_RING_FIRST(timed);
         endpoint != APR_RING_SENTINEL(timed, rh_endpoint_t, link); endpoint = next) {
        next = APR_RING_NEXT(endpoint, link);
        if (endpoint->wake_at <= now || endpoint->wake_at > now + MAX_MEMORY_WAIT) {
            rh_schedule_make_ready(schedule, endpoint);
        } else if (schedule->timed_wake == 0 || endpoint->wake_at < schedule->timed_wake) {
            schedule->timed_wake = endpoint->wake_at;
        }
    }
}

static void set_timer(rh_schedule_t *schedule, rh_endpoint_t *endpoint, apr_time_t until)
{
    endpoint->wake_at = until;
    if (schedule->timed_wake == 0 || until < schedule->timed_wake) {
        schedule->timed_wake = until;
    }
    rh_schedule_move(schedule, endpoint, RH_LIST_TIMED);
}

/** Take a slot in the loop and one at the job's host. @return false if one of them is not free */
static bool may_have_slot(rh_schedule_t *schedule, rh_endpoint_t *endpoint, rh_work_t *first,
                          apr_time_t now)
{
    rh_endpoint_class_t class = rh_endpoint_class(endpoint);
    int missing = missing_slots(schedule, endpoint);

    if (missing != RH_SHARE_FREE) {
        rh_schedule_make_crowded(schedule, endpoint, missing);
        return false;
    }
    if (first->host && rh_host_take(first->host, first->per_host, class) != RH_SHARE_FREE) {
        if (!rh_schedule_make_jammed(schedule, endpoint)) {
            return_waiting(schedule, endpoint, NO_ROOM_DELAY, now);
        }
        return false;
    }
    return true;
}

/**
 * Check whether the first job of a ready endpoint may start. If not, the endpoint has been moved to
 * the list where it waits, or its jobs have been refused.
 */
static bool may_start(rh_schedule_t *schedule, rh_endpoint_t *endpoint, apr_time_t now)
{
    rh_work_t *first = APR_RING_FIRST(&endpoint->waiting);
    apr_time_t until = 0;

    switch (rh_endpoint_allows(endpoint, first->concurrency, now, &until)) {
    case RH_BLOCKED_BY_FLIGHT:
        rh_schedule_move(schedule, endpoint, RH_LIST_FULL);
        return false;
    case RH_BLOCKED_BY_BREAKER:
        return_waiting(schedule, endpoint, until - now, now);
        return false;
    case RH_BLOCKED_BY_TIME:
        if (until - now > MAX_MEMORY_WAIT) {
            return_waiting(schedule, endpoint, until - now, now);
        } else {
            set_timer(schedule, endpoint, until);
        }
        return false;
    case RH_ALLOWED:
        break;
    }
    return may_have_slot(schedule, endpoint, first, now);
}

static bool is_late(const rh_work_t *work, apr_time_t now)
{
    return work->start_by < now || work->added_at > now + CLOCK_TOLERANCE;
}

static void drop_late(rh_schedule_t *schedule, rh_endpoint_t *endpoint, apr_time_t now)
{
    while (endpoint->waiting_count > 0 && is_late(APR_RING_FIRST(&endpoint->waiting), now)) {
        return_job(schedule, rh_schedule_dequeue(schedule, endpoint), 0, 0);
    }
    if (endpoint->waiting_count == 0) {
        rh_schedule_rest(schedule, endpoint, now);
    }
}

/** Make one endpoint ready that waits for the pool of `class` and may have a slot now. */
static void ready_crowded(rh_schedule_t *schedule, int class)
{
    rh_round_t *round = &schedule->crowded[class];
    rh_group_t *group;

    if (rh_share_missing(&schedule->slots_of, NULL, schedule->slots, class) != RH_SHARE_FREE) {
        return;
    }
    APR_RING_FOREACH(group, &round->groups, rh_group_t, link)
    {
        rh_endpoint_t *endpoint = APR_RING_FIRST(&group->endpoints);
        rh_tenant_t *tenant = endpoint->tenant;

        if (missing_slots(schedule, endpoint) == RH_SHARE_FREE) {
            rh_schedule_make_ready(schedule, endpoint);
            rh_round_turn(round, tenant);
            return;
        }
    }
}

/**
 * True if an endpoint is ready. An endpoint that a freed slot made ready may not have needed it;
 * then the next one that its share kept waiting gets its turn.
 */
static bool any_ready(rh_schedule_t *schedule)
{
    rh_endpoint_t *jammed;
    int class;

    for (class = RH_ENDPOINT_FAILING; class >= RH_ENDPOINT_GOOD && rh_round_empty(&schedule->ready);
         class --) {
        ready_crowded(schedule, class);
    }
    if (rh_round_empty(&schedule->ready) && (jammed = rh_schedule_find_jammed(schedule)) != NULL) {
        rh_schedule_make_ready(schedule, jammed);
    }
    return !rh_round_empty(&schedule->ready);
}

/** Start a job of a ready endpoint, which takes its slot. */
static rh_work_t *start_first(rh_schedule_t *schedule, rh_endpoint_t *endpoint, apr_time_t now)
{
    rh_work_t *work = rh_schedule_dequeue(schedule, endpoint);

    work->class = rh_endpoint_class(endpoint);
    work->probe = rh_endpoint_started(endpoint);
    rh_metrics_move(endpoint->metrics, RH_GAUGE_PROBES, work->probe);
    schedule->in_flight++;
    schedule->slots_of.of[work->class]++;
    endpoint->tenant->in_flight.of[work->class]++;
    if (endpoint->waiting_count > 0) {
        rh_schedule_make_ready(schedule, endpoint); /* at the end of its tenant's group */
    } else {
        rh_schedule_rest(schedule, endpoint, now);
    }
    rh_round_turn(&schedule->ready, endpoint->tenant);
    return work;
}

rh_work_t *rh_schedule_next(rh_schedule_t *schedule, apr_time_t now)
{
    wake_timed(schedule, now);
    while (schedule->in_flight < schedule->slots && any_ready(schedule)) {
        rh_endpoint_t *endpoint = rh_round_first(&schedule->ready);

        drop_late(schedule, endpoint, now);
        if (endpoint->waiting_count > 0 && may_start(schedule, endpoint, now)) {
            return start_first(schedule, endpoint, now);
        }
    }
    return NULL;
}

apr_interval_time_t rh_schedule_finished(rh_schedule_t *schedule, rh_work_t *work,
                                         rh_verdict_t verdict, apr_interval_time_t duration,
                                         apr_interval_time_t pause, apr_time_t now)
{
    rh_endpoint_t *endpoint = work->endpoint;
    rh_endpoint_class_t before = rh_endpoint_class(endpoint), after;
    bool was_open = endpoint->open;
    apr_interval_time_t wait;
    int class;

    schedule->in_flight--;
    schedule->slots_of.of[work->class]--;
    endpoint->tenant->in_flight.of[work->class]--;
    if (work->host) {
        rh_host_give(work->host, work->class, schedule->loop);
        rh_host_release(work->host);
        work->host = NULL;
    }
    wait = rh_endpoint_finished(endpoint, verdict, work->probe, duration, pause, now);
    rh_metrics_move(endpoint->metrics, RH_GAUGE_PROBES, -(int)work->probe);
    rh_schedule_count_breaker(endpoint, (int)endpoint->open - (int)was_open);
    after = rh_endpoint_class(endpoint);
    rh_schedule_count_waiting(schedule, endpoint, before, -endpoint->waiting_count);
    rh_schedule_count_waiting(schedule, endpoint, after, endpoint->waiting_count);
    if (endpoint->waiting_count > 0) {
        /* The reason it waited for may have changed; rh_schedule_next checks again. */
        if (endpoint->list != RH_LIST_READY) {
            rh_schedule_make_ready(schedule, endpoint);
        }
    } else if (endpoint->in_flight == 0) {
        rh_schedule_rest(schedule, endpoint, now);
    }
    for (class = work->class; class >= RH_ENDPOINT_GOOD; class --) {
        ready_crowded(schedule, class);
    }
    return wait;
}

rh_work_t *rh_schedule_refused(rh_schedule_t *schedule)
{
    rh_work_t *work;

    if (APR_RING_EMPTY(&schedule->refused, rh_work_t, link)) {
        return NULL;
    }
    work = APR_RING_FIRST(&schedule->refused);
    APR_RING_REMOVE(work, link);
    return work;
}

void rh_schedule_refuse_all(rh_schedule_t *schedule)
{
    while (!APR_RING_EMPTY(&schedule->holders, rh_endpoint_t, holder)) {
        return_waiting(schedule, APR_RING_FIRST(&schedule->holders), 0, 0);
    }
}

void rh_schedule_sweep(rh_schedule_t *schedule, apr_time_t now)
{
    struct rh_endpoint_head_t *idle = &schedule->lists[RH_LIST_IDLE];
    rh_endpoint_t *endpoint, *next;

    for (endpoint = APR_RING_FIRST(&schedule->holders);
         endpoint != APR_RING_SENTINEL(&schedule->holders, rh_endpoint_t, holder);
         endpoint = next) {
        next = APR_RING_NEXT(endpoint, holder);
        drop_late(schedule, endpoint, now);
    }
    while (!APR_RING_EMPTY(idle, rh_endpoint_t, link)) {
        endpoint = APR_RING_FIRST(idle);
        if ((int)apr_hash_count(schedule->endpoints) <= schedule->max_endpoints &&
            endpoint->idle_since + RH_ENDPOINT_IDLE > now) {
            break;
        }
        rh_schedule_forget(schedule, endpoint);
    }
}

apr_time_t rh_schedule_wake_at(const rh_schedule_t *schedule)
{
    return schedule->timed_wake;
}

int rh_schedule_in_flight(const rh_schedule_t *schedule)
{
    return schedule->in_flight;
}

int rh_schedule_waiting(const rh_schedule_t *schedule)
{
    return schedule->waiting;
}

int rh_schedule_endpoints(const rh_schedule_t *schedule)
{
    return (int)apr_hash_count(schedule->endpoints);
}

bool rh_schedule_was_crowded(rh_schedule_t *schedule)
{
    bool crowded = schedule->was_crowded;

    schedule->was_crowded = false;
    return crowded;
}
