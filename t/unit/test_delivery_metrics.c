/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The metrics of an engine match what happened. */
#include "engine_targets.h"

#include "rh_spooler.h"

#define SOON apr_time_from_sec(15)

static rh_metrics_host_t host;
static apr_int64_t gauges[RH_GAUGE_COUNT];
static const rh_metrics_t metrics = {.host = &host, .gauges = gauges};

static world_t *make_counted(int subscriptions)
{
    world_t *world = make_world(subscriptions);

    memset(&host, 0, sizeof(host));
    memset(gauges, 0, sizeof(gauges));
    world->site.metrics = &metrics;
    return world;
}

static long long count_of(rh_count_t counter)
{
    return (long long)rh_metrics_read(&metrics, counter);
}

static long long values_of(rh_histogram_t histogram, long long *sum)
{
    rh_buckets_t buckets;
    long long count = (long long)rh_metrics_read_histogram(&metrics, histogram, &buckets);

    *sum = (long long)buckets.sum;
    return count;
}

static apr_int64_t gauge_of(rh_gauge_t gauge)
{
    return __atomic_load_n(&gauges[gauge], __ATOMIC_RELAXED);
}

/** Wait until a gauge is `value`. */
static bool gauge_becomes(rh_gauge_t gauge, apr_int64_t value)
{
    apr_time_t until = apr_time_now() + MAX_WAIT;

    while (gauge_of(gauge) != value && apr_time_now() < until) {
        usleep(2000);
    }
    return gauge_of(gauge) == value;
}

static bool all_zero(void)
{
    for (int i = 0; i < RH_GAUGE_COUNT; i++) {
        if (gauges[i] != 0) {
            printf("# gauge %d is %lld\n", i, (long long)gauges[i]);
            return false;
        }
    }
    return true;
}

static void test_outcomes(void)
{
    world_t *world = make_counted(3);
    long long sum, attempts;

    world->subscriptions[1].code = 500;
    world->subscriptions[2].fail_first = 2;
    /* There is memory for all of them, so none is released. */
    world->config.concurrency = 256;
    world->site.endpoint_concurrency = 32;
    start_engine(world);
    is_int(commit_events(world, "sub-0", 20, SOON), APR_SUCCESS, "twenty deliveries succeed");
    is_int(commit_events(world, "sub-1", 2, SOON), APR_SUCCESS, "two fail in the end");
    is_int(commit_events(world, "sub-2", 1, SOON), APR_SUCCESS,
           "one succeeds at its third attempt");
    ok(wait_delivered(world, 21), "it came so");
    for (int i = 0; i < 30000 && count_up(world).failed < 2; i++) {
        usleep(4000);
    }
    rh_engine_stop(world->engine, SOON);
    attempts = count_up(world).attempts;
    is_int(attempts, 20 + 2 * 4 + 3, "there are as many requests");
    is_int(count_of(RH_COUNT_DELIVERED), 21, "delivered ones are counted");
    is_int(count_of(RH_COUNT_FAILED), 2, "failed ones are counted");
    is_int(count_of(RH_COUNT_ATTEMPT_2XX), 21, "attempts by status: 2xx");
    is_int(count_of(RH_COUNT_ATTEMPT_5XX), attempts - 21, "5xx");
    is_int(values_of(RH_HISTOGRAM_ATTEMPT, &sum), attempts, "their durations are counted");
    is_int(values_of(RH_HISTOGRAM_EVENTS, &sum), get(world, &world->commits), "commits");
    is_int(sum, 23, "it has as many events");
    is_int(values_of(RH_HISTOGRAM_OUTCOMES, &sum), get(world, &world->settles), "settles");
    is_int(sum, attempts, "it has as many outcomes");
    is_int(values_of(RH_HISTOGRAM_QUEUE_AGE, &sum), 23,
           "the age is counted where it is known, here after commits");
    is_int(count_of(RH_COUNT_CLAIMED), get(world, &world->claimed),
           "claimed deliveries are counted");
    ok(all_zero(), "in the end nothing is in progress");
    end_world(world);
}

static void test_flight(void)
{
    world_t *world = make_counted(1);

    world->subscriptions[0].hangs = true;
    world->site.timeout = apr_time_from_sec(60);
    world->config.concurrency = 8;
    world->config.threads = 1;
    start_engine(world);
    is_int(commit_events(world, NULL, 6, SOON), APR_SUCCESS,
           "six deliveries go to a hanging target");
    ok(gauge_becomes(RH_GAUGE_IN_FLIGHT, 4), "four are in flight, the maximum");
    ok(gauge_becomes(RH_GAUGE_QUEUED, 2), "two wait in memory");
    rh_engine_stop(world->engine, MSEC(10));
    ok(all_zero(), "the process ends: nothing is in progress");
    is_int(count_of(RH_COUNT_ATTEMPT_2XX) + count_of(RH_COUNT_ATTEMPT_RESET), 0,
           "a cancelled attempt is not counted");
    end_world(world);
}

static void test_breaker(void)
{
    world_t *world = make_counted(1);

    world->subscriptions[0].code = 0;
    start_engine(world);
    store_events(world, NULL, 30);
    rh_engine_wake(world->engine, &world->site);
    ok(gauge_becomes(RH_GAUGE_BREAKERS, 1), "a target that refuses connections opens a breaker");
    ok(count_of(RH_COUNT_ATTEMPT_CONNECT) >= 10, "it does so after ten attempts");
    pthread_mutex_lock(&world->mutex);
    world->subscriptions[0].code = 200;
    pthread_mutex_unlock(&world->mutex);
    ok(gauge_becomes(RH_GAUGE_BREAKERS, 0), "a response closes it");
    ok(wait_delivered(world, 30), "the waiting deliveries are made");
    rh_engine_stop(world->engine, SOON);
    ok(all_zero(), "all gauges are back to zero");
    end_world(world);
}

static void test_outage(void)
{
    world_t *world = make_counted(1);

    start_engine(world);
    pthread_mutex_lock(&world->mutex);
    world->down = DOWN_ALL;
    pthread_mutex_unlock(&world->mutex);
    ok(gauge_becomes(RH_GAUGE_DOWN, 1), "a store that does not respond is noticed");
    ok(commit_events(world, NULL, 1, SOON) != APR_SUCCESS, "nothing can be stored");
    ok(count_of(RH_COUNT_ERROR_COMMIT) > 0 && count_of(RH_COUNT_ERROR_CLAIM) > 0,
       "errors are counted by operation");
    pthread_mutex_lock(&world->mutex);
    world->down = 0;
    pthread_mutex_unlock(&world->mutex);
    is_int(commit_events(world, NULL, 1, SOON), APR_SUCCESS, "the store responds again");
    ok(gauge_becomes(RH_GAUGE_DOWN, 0), "this is noticed too");
    rh_engine_stop(world->engine, SOON);
    ok(all_zero(), "all gauges are back to zero");
    end_world(world);
}

static void test_backlog(void)
{
    world_t *world = make_counted(1);
    rh_backlog_t backlog;
    apr_time_t until = apr_time_now() + MAX_WAIT;
    bool known = false;

    world->subscriptions[0].paused_until = apr_time_now() + apr_time_from_sec(3600);
    store_events(world, NULL, 7);
    start_engine(world);
    while (!(known = rh_metrics_backlog_read(&metrics, apr_time_now(), &backlog)) &&
           apr_time_now() < until) {
        usleep(20000);
    }
    ok(known && backlog.pending == 7, "a reader of the backlog gets it soon");
    rh_engine_stop(world->engine, SOON);
    end_world(world);
}

int main(void)
{
    apr_initialize();
    atexit(apr_terminate);
    test_outcomes();
    test_flight();
    test_breaker();
    test_outage();
    test_backlog();
    return done_testing();
}
