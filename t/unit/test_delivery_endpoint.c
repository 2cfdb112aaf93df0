/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "schedule_help.h"

static void test_pause(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 16, 64, 64, 100);
    rh_work_t *works[8], *refused;

    add(schedule, "a", 1);
    add(schedule, "a", 1);
    start_all(schedule, works);
    is_int(rh_schedule_finished(schedule, works[0], RH_VERDICT_FAILED, MSEC(20), SECONDS(60), now),
           SECONDS(60), "a pause that the target asked for is reported");
    ok(rh_schedule_next(schedule, now) == NULL, "nothing is sent");
    refused = rh_schedule_refused(schedule);
    ok(refused && refused->settle.delay == SECONDS(60) && refused->settle.pause == 0,
       "waiting jobs are released until the pause ends");
    now += SECONDS(59);
    add(schedule, "a", 1);
    ok(rh_schedule_next(schedule, now) == NULL && !rh_schedule_refused(schedule),
       "a second before its end jobs wait here");
    is_int(rh_schedule_wake_at(schedule), now + SECONDS(1), "they wait until its end");
    add(schedule, "b", 1);
    ok(rh_schedule_next(schedule, now) != NULL, "other endpoints continue");
    now += SECONDS(1);
    is_int(start_all(schedule, works), 1, "after the pause it continues");
    is_int(rh_schedule_finished(schedule, works[0], RH_VERDICT_FAILED, MSEC(20), SECONDS(5), now),
           SECONDS(5), "another pause");
    add(schedule, "a", 1);
    now += SECONDS(6);
    is_int(start_all(schedule, works), 1, "the pause is over");
    rh_schedule_finished(schedule, works[0], RH_VERDICT_FAILED, MSEC(20), SECONDS(30), now);
    add(schedule, "a", 1);
    start_all(schedule, NULL);
    is_int(refused_count(schedule), 1, "another pause holds it again");
    rh_schedule_destroy(schedule);
}

/** Fail an endpoint's attempts one after the other. @return how long it waits after the last */
static apr_interval_time_t fail_times(rh_schedule_t *schedule, const char *id, int times)
{
    apr_interval_time_t wait = 0;

    for (int i = 0; i < times; i++) {
        rh_work_t *work;

        add(schedule, id, 4);
        work = rh_schedule_next(schedule, now);
        if (!work) {
            return -1;
        }
        wait = finish(schedule, work, RH_VERDICT_FAILED);
    }
    return wait;
}

static void test_breaker(void)
{
    static const int expected[] = {2, 4, 8, 16, 32, 60, 60, 60};
    rh_schedule_t *schedule = rh_schedule_make(pool, 16, 64, 64, 100);
    rh_work_t *works[8], *refused;

    is_int(fail_times(schedule, "a", 9), 0, "nine failures in a row do not open the breaker");
    is_int(fail_times(schedule, "a", 1), SECONDS(1), "the tenth does");
    add(schedule, "a", 4);
    add(schedule, "a", 4);
    ok(rh_schedule_next(schedule, now) == NULL, "nothing is sent");
    refused = rh_schedule_refused(schedule);
    ok(refused && refused->settle.delay == SECONDS(1), "waiting jobs are released until the probe");
    is_int(refused_count(schedule), 1, "all of them are");
    for (int i = 0; i < 8; i++) {
        apr_interval_time_t before = i == 0 ? SECONDS(1) : SECONDS(expected[i - 1]);

        now += before - 1;
        add(schedule, "a", 4);
        if (start_all(schedule, NULL) != 0 || refused_count(schedule) != 1) {
            ok(false, "there is no probe before its time");
        }
        now++;
        add(schedule, "a", 4);
        add(schedule, "a", 4);
        ok(start_all(schedule, works) == 1 && works[0]->probe && refused_count(schedule) == 0,
           "after %d s only one probe is sent", (int)apr_time_sec(before));
        is_int(finish(schedule, works[0], RH_VERDICT_FAILED), SECONDS(expected[i]),
               "it fails: the next wait is longer, at most a minute");
        ok(start_all(schedule, NULL) == 0 && refused_count(schedule) == 1,
           "jobs that waited for it are released");
    }
    now += SECONDS(60);
    add(schedule, "a", 4);
    add(schedule, "a", 4);
    start_all(schedule, works);
    finish(schedule, works[0], RH_VERDICT_NONE);
    is_int(start_all(schedule, works), 1, "a cancelled probe decides nothing; another follows");
    add(schedule, "a", 4);
    add(schedule, "a", 4);
    is_int(finish(schedule, works[0], RH_VERDICT_ANSWERED), 0, "a response closes the breaker");
    is_int(start_all(schedule, works), 2, "all jobs continue");
    finish(schedule, works[0], RH_VERDICT_FAILED);
    finish(schedule, works[1], RH_VERDICT_FAILED);
    is_int(fail_times(schedule, "a", 7), 0, "failures are counted from zero again");
    is_int(fail_times(schedule, "a", 1), SECONDS(1), "waits start from the minimum again");
    rh_schedule_destroy(schedule);
}

static void test_breaker_and_stragglers(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 32, 64, 64, 100);
    rh_work_t *works[16];

    for (int i = 0; i < 12; i++) {
        add(schedule, "a", 12);
    }
    is_int(start_all(schedule, works), 12, "twelve attempts at once");
    for (int i = 0; i < 10; i++) {
        finish(schedule, works[i], RH_VERDICT_FAILED);
    }
    now += MSEC(400);
    is_int(finish(schedule, works[10], RH_VERDICT_FAILED), MSEC(600),
           "a failure that began before the breaker opened does not prolong the wait");
    now += SECONDS(1);
    add(schedule, "a", 12);
    ok(rh_schedule_next(schedule, now) == NULL && refused_count(schedule) == 0,
       "there is no probe while an earlier attempt is in flight");
    is_int(finish(schedule, works[11], RH_VERDICT_FAILED), 0, "that ends");
    is_int(start_all(schedule, works), 1, "now the probe is sent");
    rh_schedule_destroy(schedule);
}

/** The owner revives a subscription whose target had asked for a pause until tomorrow. */
static void test_revived(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 16, 64, 64, 100);
    rh_work_t *works[8], *refused;

    add(schedule, "a", 4);
    start_all(schedule, works);
    rh_schedule_finished(schedule, works[0], RH_VERDICT_FAILED, MSEC(20), SECONDS(86400), now);
    now += SECONDS(5);
    add(schedule, "a", 4);
    is_int(start_all(schedule, NULL), 0,
           "a long pause holds jobs that the store gave before it knew of it");
    refused = rh_schedule_refused(schedule);
    ok(refused && refused->settle.delay == SECONDS(60),
       "they are released for a minute: the store knows how long the pause is");
    now += SECONDS(60);
    add(schedule, "a", 4);
    is_int(start_all(schedule, works), 1,
           "a job that the store gives later shows that the pause was ended");
    finish(schedule, works[0], RH_VERDICT_ANSWERED);
    rh_schedule_destroy(schedule);
}

static void test_clock_set_back(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 16, 64, 64, 100);
    rh_work_t *works[16];

    add_limited(schedule, "limited", 1);
    add_limited(schedule, "limited", 1);
    is_int(start_all(schedule, works), 1, "a job waits for its endpoint's rate");
    finish(schedule, works[0], RH_VERDICT_ANSWERED);
    fail_times(schedule, "open", 10);
    add(schedule, "paused", 1);
    start_all(schedule, works);
    rh_schedule_finished(schedule, works[0], RH_VERDICT_FAILED, MSEC(20), SECONDS(20), now);
    now -= SECONDS(3600);
    is_int(start_all(schedule, works), 0, "the clock is set back, so ends of leases are unknown");
    is_int(refused_count(schedule), 1, "waiting jobs are released");
    add_limited(schedule, "limited", 1);
    is_int(start_all(schedule, works), 0, "the rate limit starts again");
    now += SECONDS(1) + 1;
    is_int(start_all(schedule, works), 1, "it is kept");
    add(schedule, "open", 4);
    add(schedule, "paused", 4);
    is_int(start_all(schedule, works), 0, "a paused endpoint stays paused");
    is_int(refused_count(schedule), 2, "its jobs wait in the store");
    now += SECONDS(20);
    add(schedule, "paused", 4);
    is_int(start_all(schedule, works), 1, "the pause is not an hour longer than asked for");
    now += SECONDS(60);
    add(schedule, "open", 4);
    is_int(start_all(schedule, works + 1), 1, "the breaker's probe comes in time, too");
    rh_schedule_destroy(schedule);
}

static void test_breaker_remembered(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 32, 64, 64, 100);
    rh_work_t *works[16];

    for (int i = 0; i < 4; i++) {
        rh_work_t *work = make_work("a", 4);

        work->job->failing_for = SECONDS(3600);
        rh_schedule_add(schedule, work, now);
    }
    is_int(start_all(schedule, works), 1,
           "in a new process a subscription that has long failed gets one probe");
    is_int(finish(schedule, works[0], RH_VERDICT_FAILED), SECONDS(8), "soon its waits are longer");
    rh_schedule_destroy(schedule);
}

static void test_rate(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 200, 400, 400, 100);
    rh_work_t *works[256];
    apr_time_t begin = now;
    int count, sent;

    for (int i = 0; i < 40; i++) {
        add_limited(schedule, "a", 5);
    }
    sent = count = start_all(schedule, works);
    is_int(count, 5, "a second's number may be sent at once");
    ok(rh_schedule_wake_at(schedule) > now && rh_schedule_wake_at(schedule) <= now + MSEC(201),
       "the next is sent when there is a token again");
    for (int steps = 0; steps < 1000 && now < begin + SECONDS(6); steps++) {
        now = rh_schedule_wake_at(schedule);
        for (int i = 0; i < count; i++) {
            finish(schedule, works[i], RH_VERDICT_ANSWERED);
        }
        sent += count = start_all(schedule, works);
    }
    ok(sent >= 34 && sent <= 36, "after six seconds 35 were sent (%d)", sent);
    ok(refused_count(schedule) == 0, "none was refused");
    rh_schedule_destroy(schedule);

    schedule = rh_schedule_make(pool, 200, 400, 400, 100);
    add_limited(schedule, "a", 5);
    finish(schedule, rh_schedule_next(schedule, now), RH_VERDICT_ANSWERED);
    now += SECONDS(300);
    for (int i = 0; i < 40; i++) {
        add_limited(schedule, "a", 5);
    }
    is_int(start_all(schedule, NULL), 5, "idle time is not saved up");
    now -= SECONDS(100);
    is_int(start_all(schedule, NULL), 0, "a clock that is set back adds no tokens");
    is_int(refused_count(schedule), 35, "waiting jobs are released");
    for (int i = 0; i < 40; i++) {
        add_limited(schedule, "a", 5);
    }
    now += SECONDS(1);
    add_limited(schedule, "a", 20);
    count = start_all(schedule, NULL);
    ok(count >= 5 && count <= 21, "a higher limit applies from now on (%d)", count);
    add_limited(schedule, "a", 0);
    now = rh_schedule_wake_at(schedule);
    ok(start_all(schedule, NULL) > 0 && rh_schedule_waiting(schedule) == 0,
       "a limit that was lifted delays nothing for long");
    rh_schedule_destroy(schedule);

    schedule = rh_schedule_make(pool, 200, 400, 400, 100);
    for (int i = 0; i < 30; i++) {
        add_limited(schedule, "a", 1);
    }
    is_int(refused_count(schedule), 20, "jobs that ten seconds can't send are not kept");
    rh_schedule_destroy(schedule);
}

static void test_classes(void)
{
    rh_endpoint_t *endpoint = rh_endpoint_make("a", 0, now);

    is_int(rh_endpoint_class(endpoint), RH_ENDPOINT_NEW, "an endpoint starts as unknown");
    rh_endpoint_started(endpoint);
    rh_endpoint_finished(endpoint, RH_VERDICT_NONE, false, MSEC(1), 0, now);
    is_int(rh_endpoint_class(endpoint), RH_ENDPOINT_NEW,
           "a cancelled attempt does not change its class");
    rh_endpoint_started(endpoint);
    rh_endpoint_finished(endpoint, RH_VERDICT_ANSWERED, false, SLOW, 0, now);
    is_int(rh_endpoint_class(endpoint), RH_ENDPOINT_DOUBTFUL, "nor does a slow response");
    for (int i = 0; i < 20; i++) {
        rh_endpoint_started(endpoint);
        rh_endpoint_finished(endpoint, RH_VERDICT_ANSWERED, false, MSEC(10), 0, now);
    }
    is_int(rh_endpoint_class(endpoint), RH_ENDPOINT_GOOD, "fast responses make it good");
    rh_endpoint_started(endpoint);
    rh_endpoint_finished(endpoint, RH_VERDICT_FAILED, false, MSEC(10), 0, now);
    is_int(rh_endpoint_class(endpoint), RH_ENDPOINT_DOUBTFUL,
           "a fast failure makes it unknown again");
    for (int i = 0; i < 2; i++) {
        rh_endpoint_started(endpoint);
        rh_endpoint_finished(endpoint, RH_VERDICT_FAILED, false, MSEC(10), 0, now);
    }
    is_int(rh_endpoint_class(endpoint), RH_ENDPOINT_FAILING, "three make it failing");
    free(endpoint);

    endpoint = rh_endpoint_make("a", 0, now);
    rh_endpoint_started(endpoint);
    rh_endpoint_finished(endpoint, RH_VERDICT_FAILED, false, SLOW, 0, now);
    is_int(rh_endpoint_class(endpoint), RH_ENDPOINT_FAILING, "so does an attempt that hangs");
    free(endpoint);
}

static void test_room(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 64, 128, 128, 100);
    rh_work_t *work, *handed;
    rh_endpoint_t *endpoint;

    for (int i = 0; i < 20; i++) {
        add(schedule, "a", 2);
    }
    is_int(rh_schedule_waiting(schedule), 8, "for an unknown endpoint four rounds may wait");
    work = rh_schedule_refused(schedule);
    ok(work->settle.delay >= MSEC(50) && work->settle.delay <= SECONDS(10) &&
           work->settle.pause == work->settle.delay,
       "the others are claimed only after some of them have ended");
    is_int(1 + refused_count(schedule), 12, "all of the others are");
    handed = make_work("a", 2);
    handed->handed = true;
    rh_schedule_add(schedule, handed, now);
    work = rh_schedule_refused(schedule);
    ok(work == handed && work->settle.delay > 0 && work->settle.pause == 0,
       "a job that a commit handed over pauses nothing");
    ok(!rh_schedule_was_crowded(schedule), "an endpoint with a full queue is not crowded");
    rh_schedule_destroy(schedule);

    schedule = rh_schedule_make(pool, 64, 128, 128, 100);
    make_good(schedule, "a");
    for (int i = 0; i < 200; i++) {
        add(schedule, "a", 2);
    }
    is_int(rh_schedule_waiting(schedule), 64, "a fast endpoint may use half of the memory");
    rh_schedule_destroy(schedule);

    endpoint = rh_endpoint_make("a", 0, now);
    endpoint->tried = true;
    endpoint->duration = 0;
    ok(rh_endpoint_room(endpoint, 4, 1000) == 500, "a duration of zero is safe");
    rh_endpoint_set_rate(endpoint, 1, now);
    is_int(rh_endpoint_room(endpoint, 4, 1000), 10, "a rate limits the number");
    rh_endpoint_set_rate(endpoint, -5, now);
    is_int(rh_endpoint_room(endpoint, 4, 1000), 500, "an invalid rate counts as none");
    is_int(rh_endpoint_drain_time(endpoint, 4), MSEC(50), "the wait for memory is at least 50 ms");
    endpoint->duration = SECONDS(30);
    endpoint->waiting_count = 100;
    is_int(rh_endpoint_drain_time(endpoint, 4), SECONDS(10), "at most 10 s");
    endpoint->waiting_count = 0;
    free(endpoint);
}

int main(void)
{
    static void (*const tests[])(void) = {test_pause,
                                          test_breaker,
                                          test_breaker_and_stragglers,
                                          test_breaker_remembered,
                                          test_rate,
                                          test_classes,
                                          test_room,
                                          test_revived,
                                          test_clock_set_back};

    return run_tests(tests, (int)(sizeof(tests) / sizeof(tests[0])));
}
