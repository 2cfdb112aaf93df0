/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_schedule.h"

#include <stdlib.h>

/** Jobs wait here for a time that is no further away; longer waits are for the store. */
#define SHORT_WAIT apr_time_from_sec(2)
/** The longest that a job stays away for its endpoint's sake, whose pause the store knows, too. */
#define LONGEST_DELAY apr_time_from_sec(60)
/** A clock that was set back by more makes the ends of leases unknown. */
#define CLOCK_TOLERANCE apr_time_from_sec(1)
/** How long a job without room stays away. */
#define NO_ROOM_DELAY apr_time_from_sec(3)

APR_RING_HEAD(rh_endpoint_head_t, rh_endpoint_t);

struct rh_schedule_t {
    struct rh_endpoint_head_t lists[RH_LIST_COUNT];
    struct rh_work_head_t refused;
    apr_hash_t *endpoints; /**< id -> rh_endpoint_t *; keys are the endpoints' own */
    int slots, capacity, max_endpoints;
    int in_flight, waiting;
    int slots_of[RH_ENDPOINT_FAILING + 1];   /**< in flight, by the class that took them */
    int waiting_of[RH_ENDPOINT_FAILING + 1]; /**< by the class of the endpoint */
    apr_time_t timed_wake;                   /**< the earliest wake_at of the timed; 0: none */
    bool crowded;
};

rh_schedule_t *rh_schedule_make(apr_pool_t *pool, int slots, int capacity, int max_endpoints)
{
    rh_schedule_t *schedule = apr_pcalloc(pool, sizeof(*schedule));
    int i;

    for (i = 0; i < RH_LIST_COUNT; i++) {
        APR_RING_INIT(&schedule->lists[i], rh_endpoint_t, link);
    }
    APR_RING_INIT(&schedule->refused, rh_work_t, link);
    schedule->endpoints = apr_hash_make(pool);
    schedule->slots = slots;
    schedule->capacity = capacity;
    schedule->max_endpoints = max_endpoints;
    return schedule;
}

static void move(rh_schedule_t *schedule, rh_endpoint_t *endpoint, rh_list_t list)
{
    if (endpoint->list != RH_LIST_COUNT) {
        APR_RING_REMOVE(endpoint, link);
    }
    APR_RING_INSERT_TAIL(&schedule->lists[list], endpoint, rh_endpoint_t, link);
    endpoint->list = list;
}

/** Count a breaker that opened (1) or closed (-1). */
static void count_breaker(const rh_endpoint_t *endpoint, int by)
{
    rh_metrics_move(endpoint->metrics, RH_GAUGE_BREAKERS, by);
}

static void forget(rh_schedule_t *schedule, rh_endpoint_t *endpoint)
{
    count_breaker(endpoint, -(int)endpoint->open);
    APR_RING_REMOVE(endpoint, link);
    apr_hash_set(schedule->endpoints, endpoint->id, APR_HASH_KEY_STRING, NULL);
    free(endpoint);
}

void rh_schedule_destroy(rh_schedule_t *schedule)
{
    int i;

    for (i = 0; i < RH_LIST_COUNT; i++) {
        while (!APR_RING_EMPTY(&schedule->lists[i], rh_endpoint_t, link)) {
            forget(schedule, APR_RING_FIRST(&schedule->lists[i]));
        }
    }
}

/** How many of `all` the classes from `class` on may have together. */
static int share(int all, rh_endpoint_class_t class)
{
    int part = all;

    if (class == RH_ENDPOINT_FAILING) {
        part = all / 2;
    } else if (class == RH_ENDPOINT_UNKNOWN) {
        part = all - all / 4;
    }
    return part > 0 ? part : 1;
}

/** Of a count by class, those of `class` and worse. */
static int this_and_worse(const int *counts, rh_endpoint_class_t class)
{
    int i, sum = 0;

    for (i = class; i <= RH_ENDPOINT_FAILING; i++) {
        sum += counts[i];
    }
    return sum;
}

/** The class that has no more of its share, or RH_ENDPOINT_GOOD when there is enough. */
static rh_endpoint_class_t short_of(const int *counts, int all, rh_endpoint_class_t class)
{
    int i;

    for (i = class; i > RH_ENDPOINT_GOOD; i--) {
        if (this_and_worse(counts, i) >= share(all, i)) {
            return i;
        }
    }
    return RH_ENDPOINT_GOOD;
}

static void refuse(rh_schedule_t *schedule, rh_work_t *work, apr_interval_time_t delay,
                   apr_interval_time_t pause)
{
    work->settle.delay = delay;
    work->settle.pause = pause;
    APR_RING_INSERT_TAIL(&schedule->refused, work, rh_work_t, link);
}

static void enqueue(rh_schedule_t *schedule, rh_endpoint_t *endpoint, rh_work_t *work)
{
    APR_RING_INSERT_TAIL(&endpoint->waiting, work, rh_work_t, link);
    endpoint->waiting_count++;
    schedule->waiting_of[rh_endpoint_class(endpoint)]++;
    schedule->waiting++;
}

static rh_work_t *dequeue(rh_schedule_t *schedule, rh_endpoint_t *endpoint)
{
    rh_work_t *work = APR_RING_FIRST(&endpoint->waiting);

    APR_RING_REMOVE(work, link);
    endpoint->waiting_count--;
    schedule->waiting_of[rh_endpoint_class(endpoint)]--;
    schedule->waiting--;
    return work;
}

/** Put an endpoint that can't go on into the list where it belongs when nothing waits. */
static void rest(rh_schedule_t *schedule, rh_endpoint_t *endpoint, apr_time_t now)
{
    if (endpoint->in_flight > 0) {
        move(schedule, endpoint, RH_LIST_BUSY);
    } else {
        endpoint->idle_since = now;
        move(schedule, endpoint, RH_LIST_IDLE);
    }
}

static void refuse_waiting(rh_schedule_t *schedule, rh_endpoint_t *endpoint,
                           apr_interval_time_t delay, apr_time_t now)
{
    delay = delay < LONGEST_DELAY ? delay : LONGEST_DELAY;
    while (endpoint->waiting_count > 0) {
        refuse(schedule, dequeue(schedule, endpoint), delay, 0);
    }
    rest(schedule, endpoint, now);
}

static rh_endpoint_t *find(rh_schedule_t *schedule, const rh_work_t *work, apr_time_t now)
{
    const rh_job_t *job = work->job;
    rh_endpoint_t *endpoint =
        apr_hash_get(schedule->endpoints, job->subscription_id, APR_HASH_KEY_STRING);

    if (!endpoint) {
        endpoint = rh_endpoint_make(job->subscription_id, job->failing_for, now);
        if (!endpoint) {
            return NULL;
        }
        APR_RING_INIT(&endpoint->waiting, rh_work_t, link);
        endpoint->metrics = work->metrics;
        count_breaker(endpoint, endpoint->open);
        apr_hash_set(schedule->endpoints, endpoint->id, APR_HASH_KEY_STRING, endpoint);
        endpoint->idle_since = now;
        move(schedule, endpoint, RH_LIST_IDLE);
    }
    rh_endpoint_set_rate(endpoint, job->rate_limit, now);
    return endpoint;
}

/** A job that finds its endpoint full. One that was claimed keeps its kind from being claimed. */
static void refuse_for_room(rh_schedule_t *schedule, rh_work_t *work)
{
    apr_interval_time_t delay = rh_endpoint_drain_time(work->endpoint, work->concurrency);

    refuse(schedule, work, delay, work->handed ? 0 : delay);
}

/**
 * Make room for a job that could start: the last one goes back of those that wait for a slot of
 * an endpoint of their own, of which more wait, in the share that is used up. Without this, what
 * waits for a few targets that hang would keep those out that were never tried.
 */
static bool displace(rh_schedule_t *schedule, const rh_endpoint_t *endpoint, int concurrency,
                     rh_endpoint_class_t missing, apr_time_t now)
{
    struct rh_endpoint_head_t *full = &schedule->lists[RH_LIST_FULL];
    rh_endpoint_t *other;
    rh_work_t *last;

    if (endpoint->in_flight + endpoint->waiting_count >= concurrency) {
        return false;
    }
    APR_RING_FOREACH(other, full, rh_endpoint_t, link)
    {
        if (rh_endpoint_class(other) >= missing && other->waiting_count > endpoint->waiting_count) {
            break;
        }
    }
    if (other == APR_RING_SENTINEL(full, rh_endpoint_t, link)) {
        return false;
    }
    last = APR_RING_LAST(&other->waiting);
    APR_RING_REMOVE(last, link);
    other->waiting_count--;
    schedule->waiting_of[rh_endpoint_class(other)]--;
    schedule->waiting--;
    refuse_for_room(schedule, last);
    if (other->waiting_count == 0) {
        rest(schedule, other, now);
    }
    return true;
}

void rh_schedule_add(rh_schedule_t *schedule, rh_work_t *work, apr_time_t now)
{
    rh_endpoint_t *endpoint = find(schedule, work, now);
    rh_endpoint_class_t class, missing;

    work->endpoint = endpoint;
    work->added_at = now;
    if (!endpoint) {
        refuse(schedule, work, NO_ROOM_DELAY, 0);
        return;
    }
    rh_endpoint_claimed(endpoint, now);
    class = rh_endpoint_class(endpoint);
    if (endpoint->waiting_count >=
        rh_endpoint_room(endpoint, work->concurrency, schedule->capacity)) {
        refuse_for_room(schedule, work);
        return;
    }
    missing = short_of(schedule->waiting_of, schedule->slots, class);
    if (missing != RH_ENDPOINT_GOOD &&
        !displace(schedule, endpoint, work->concurrency, missing, now)) {
        apr_interval_time_t delay = NO_ROOM_DELAY - (now & 0xfffff);

        schedule->crowded = true;
        refuse(schedule, work, delay, delay);
        return;
    }
    enqueue(schedule, endpoint, work);
    /* In any other list it waits already, and for the same reason as this job will. */
    if (endpoint->list == RH_LIST_IDLE || endpoint->list == RH_LIST_BUSY) {
        move(schedule, endpoint, RH_LIST_READY);
    }
}

/** Endpoints whose time has come are ready again. */
static void wake_timed(rh_schedule_t *schedule, apr_time_t now)
{
    struct rh_endpoint_head_t *timed = &schedule->lists[RH_LIST_TIMED];
    rh_endpoint_t *endpoint, *next;

    /* None waits for longer, unless the clock was set back. */
    if (schedule->timed_wake == 0 ||
        (schedule->timed_wake > now && schedule->timed_wake <= now + SHORT_WAIT)) {
        return;
    }
    schedule->timed_wake = 0;
    for (endpoint = APR_RING_FIRST(timed);
         endpoint != APR_RING_SENTINEL(timed, rh_endpoint_t, link); endpoint = next) {
        next = APR_RING_NEXT(endpoint, link);
        if (endpoint->wake_at <= now || endpoint->wake_at > now + SHORT_WAIT) {
            move(schedule, endpoint, RH_LIST_READY);
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
    move(schedule, endpoint, RH_LIST_TIMED);
}

/**
 * Whether the first job of a ready endpoint may start. If not, the endpoint was moved to where
 * it waits, or its jobs were refused.
 */
static bool may_start(rh_schedule_t *schedule, rh_endpoint_t *endpoint, apr_time_t now)
{
    rh_work_t *first = APR_RING_FIRST(&endpoint->waiting);
    rh_endpoint_class_t missing;
    apr_time_t until = 0;

    switch (rh_endpoint_allows(endpoint, first->concurrency, now, &until)) {
    case RH_BLOCKED_BY_FLIGHT:
        move(schedule, endpoint, RH_LIST_FULL);
        return false;
    case RH_BLOCKED_BY_BREAKER:
        refuse_waiting(schedule, endpoint, until - now, now);
        return false;
    case RH_BLOCKED_BY_TIME:
        if (until - now > SHORT_WAIT) {
            refuse_waiting(schedule, endpoint, until - now, now);
        } else {
            set_timer(schedule, endpoint, until);
        }
        return false;
    case RH_ALLOWED:
        break;
    }
    missing = short_of(schedule->slots_of, schedule->slots, rh_endpoint_class(endpoint));
    if (missing != RH_ENDPOINT_GOOD) {
        move(schedule, endpoint,
             missing == RH_ENDPOINT_FAILING ? RH_LIST_CROWDED_FAILING : RH_LIST_CROWDED_UNKNOWN);
        return false;
    }
    return true;
}

static bool is_late(const rh_work_t *work, apr_time_t now)
{
    return work->start_by < now || work->added_at > now + CLOCK_TOLERANCE;
}

static void drop_late(rh_schedule_t *schedule, rh_endpoint_t *endpoint, apr_time_t now)
{
    while (endpoint->waiting_count > 0 && is_late(APR_RING_FIRST(&endpoint->waiting), now)) {
        refuse(schedule, dequeue(schedule, endpoint), 0, 0);
    }
    if (endpoint->waiting_count == 0) {
        rest(schedule, endpoint, now);
    }
}

static void ready_first(rh_schedule_t *schedule, rh_list_t list)
{
    if (!APR_RING_EMPTY(&schedule->lists[list], rh_endpoint_t, link)) {
        move(schedule, APR_RING_FIRST(&schedule->lists[list]), RH_LIST_READY);
    }
}

/**
 * Whether an endpoint is ready. One that a freed slot made so may have had no use for it: then it
 * is the turn of the next that its share kept waiting.
 */
static bool any_ready(rh_schedule_t *schedule)
{
    struct rh_endpoint_head_t *ready = &schedule->lists[RH_LIST_READY];

    if (APR_RING_EMPTY(ready, rh_endpoint_t, link) &&
        short_of(schedule->slots_of, schedule->slots, RH_ENDPOINT_FAILING) == RH_ENDPOINT_GOOD) {
        ready_first(schedule, RH_LIST_CROWDED_FAILING);
    }
    if (APR_RING_EMPTY(ready, rh_endpoint_t, link) &&
        short_of(schedule->slots_of, schedule->slots, RH_ENDPOINT_UNKNOWN) == RH_ENDPOINT_GOOD) {
        ready_first(schedule, RH_LIST_CROWDED_UNKNOWN);
    }
    return !APR_RING_EMPTY(ready, rh_endpoint_t, link);
}

rh_work_t *rh_schedule_next(rh_schedule_t *schedule, apr_time_t now)
{
    struct rh_endpoint_head_t *ready = &schedule->lists[RH_LIST_READY];

    wake_timed(schedule, now);
    while (schedule->in_flight < schedule->slots && any_ready(schedule)) {
        rh_endpoint_t *endpoint = APR_RING_FIRST(ready);
        rh_work_t *work;

        drop_late(schedule, endpoint, now);
        if (endpoint->waiting_count == 0 || !may_start(schedule, endpoint, now)) {
            continue;
        }
        work = dequeue(schedule, endpoint);
        work->class = rh_endpoint_class(endpoint);
        work->probe = rh_endpoint_started(endpoint);
        rh_metrics_move(endpoint->metrics, RH_GAUGE_PROBES, work->probe);
        schedule->in_flight++;
        schedule->slots_of[work->class]++;
        if (endpoint->waiting_count > 0) {
            move(schedule, endpoint, RH_LIST_READY); /* to its end: the others' turn */
        } else {
            rest(schedule, endpoint, now);
        }
        return work;
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

    schedule->in_flight--;
    schedule->slots_of[work->class]--;
    wait = rh_endpoint_finished(endpoint, verdict, work->probe, duration, pause, now);
    rh_metrics_move(endpoint->metrics, RH_GAUGE_PROBES, -(int)work->probe);
    count_breaker(endpoint, (int)endpoint->open - (int)was_open);
    after = rh_endpoint_class(endpoint);
    schedule->waiting_of[before] -= endpoint->waiting_count;
    schedule->waiting_of[after] += endpoint->waiting_count;
    if (endpoint->waiting_count > 0) {
        /* Whatever it waited for may have changed; rh_schedule_next looks again. */
        if (endpoint->list != RH_LIST_READY) {
            move(schedule, endpoint, RH_LIST_READY);
        }
    } else if (endpoint->in_flight == 0) {
        rest(schedule, endpoint, now);
    }
    if (work->class == RH_ENDPOINT_FAILING) {
        ready_first(schedule, RH_LIST_CROWDED_FAILING);
    }
    if (work->class >= RH_ENDPOINT_UNKNOWN) {
        ready_first(schedule, RH_LIST_CROWDED_UNKNOWN);
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
    int list;

    for (list = RH_LIST_READY; list < RH_LIST_COUNT; list++) {
        while (!APR_RING_EMPTY(&schedule->lists[list], rh_endpoint_t, link)) {
            refuse_waiting(schedule, APR_RING_FIRST(&schedule->lists[list]), 0, 0);
        }
    }
}

void rh_schedule_sweep(rh_schedule_t *schedule, apr_time_t now)
{
    struct rh_endpoint_head_t *idle = &schedule->lists[RH_LIST_IDLE];
    rh_endpoint_t *endpoint, *next;
    int list;

    for (list = RH_LIST_READY; list < RH_LIST_COUNT; list++) {
        struct rh_endpoint_head_t *head = &schedule->lists[list];

        for (endpoint = APR_RING_FIRST(head);
             endpoint != APR_RING_SENTINEL(head, rh_endpoint_t, link); endpoint = next) {
            next = APR_RING_NEXT(endpoint, link);
            drop_late(schedule, endpoint, now);
        }
    }
    while (!APR_RING_EMPTY(idle, rh_endpoint_t, link)) {
        endpoint = APR_RING_FIRST(idle);
        if ((int)apr_hash_count(schedule->endpoints) <= schedule->max_endpoints &&
            endpoint->idle_since + RH_ENDPOINT_IDLE > now) {
            break;
        }
        forget(schedule, endpoint);
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
    bool crowded = schedule->crowded;

    schedule->crowded = false;
    return crowded;
}
