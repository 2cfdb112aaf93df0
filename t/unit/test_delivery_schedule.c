/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_schedule.h"

#include "tap.h"

#include <apr_general.h>
#include <stdlib.h>

#define MSEC(number) apr_time_from_msec(number)
#define SECONDS(number) apr_time_from_sec(number)
#define SLOW SECONDS(5) /**< a duration that costs an endpoint its trust */

static apr_pool_t *pool; /**< of the running test */
static apr_time_t now = SECONDS(1000000);

/** A job for a subscription that waits no longer than other jobs do. */
static rh_work_t *make_work(const char *id, int concurrency)
{
    rh_work_t *work = apr_pcalloc(pool, sizeof(*work));

    work->job = apr_pcalloc(pool, sizeof(*work->job));
    work->job->subscription_id = apr_pstrdup(pool, id);
    work->concurrency = concurrency;
    work->start_by = now + SECONDS(28);
    return work;
}

static rh_work_t *add(rh_schedule_t *schedule, const char *id, int concurrency)
{
    rh_work_t *work = make_work(id, concurrency);

    rh_schedule_add(schedule, work, now);
    return work;
}

static rh_work_t *add_failing(rh_schedule_t *schedule, const char *id, int concurrency)
{
    rh_work_t *work = make_work(id, concurrency);

    work->job->failing_for = SECONDS(1);
    rh_schedule_add(schedule, work, now);
    return work;
}

static rh_work_t *add_limited(rh_schedule_t *schedule, const char *id, int rate)
{
    rh_work_t *work = make_work(id, 100);

    work->job->rate_limit = rate;
    rh_schedule_add(schedule, work, now);
    return work;
}

static apr_interval_time_t finish(rh_schedule_t *schedule, rh_work_t *work, rh_verdict_t verdict)
{
    return rh_schedule_finished(schedule, work, verdict, MSEC(20), 0, now);
}

/** Make an endpoint one that answers, and soon. */
static void make_good(rh_schedule_t *schedule, const char *id)
{
    add(schedule, id, 4);
    finish(schedule, rh_schedule_next(schedule, now), RH_VERDICT_ANSWERED);
}

/** Start what may start now. @param works receives them, NULL: they are not wanted */
static int start_all(rh_schedule_t *schedule, rh_work_t **works)
{
    rh_work_t *work;
    int count = 0;

    while ((work = rh_schedule_next(schedule, now)) != NULL) {
        if (works) {
            works[count] = work;
        }
        count++;
    }
    return count;
}

static int refused_count(rh_schedule_t *schedule)
{
    int count = 0;

    while (rh_schedule_refused(schedule)) {
        count++;
    }
    return count;
}

static const char *name_of(const char *prefix, int number)
{
    return apr_psprintf(pool, "%s%d", prefix, number);
}

static void test_concurrency(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 32, 64, 100);
    rh_work_t *works[8], *first[5];

    ok(rh_schedule_next(schedule, now) == NULL, "nothing to do at first");
    for (int i = 0; i < 5; i++) {
        first[i] = add(schedule, "a", 3);
    }
    is_int(start_all(schedule, works), 3, "an endpoint gets as many attempts as it may have");
    ok(works[0] == first[0] && works[1] == first[1] && works[2] == first[2], "the oldest first");
    ok(rh_schedule_in_flight(schedule) == 3 && rh_schedule_waiting(schedule) == 2,
       "they are counted");
    is_int(rh_schedule_wake_at(schedule), 0, "what waits, waits for no time");
    finish(schedule, works[1], RH_VERDICT_ANSWERED);
    ok(rh_schedule_next(schedule, now) == first[3], "the next begins when one ends");
    ok(rh_schedule_next(schedule, now) == NULL, "one, not more");
    add(schedule, "b", 3);
    is_int(start_all(schedule, NULL), 1, "another endpoint is not concerned");
    is_int(refused_count(schedule), 0, "nothing was refused");
    rh_schedule_destroy(schedule);
}

static void test_slots(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 3, 64, 100);
    rh_work_t *works[8];

    for (int i = 0; i < 5; i++) {
        make_good(schedule, name_of("good", i));
    }
    for (int i = 0; i < 5; i++) {
        add(schedule, name_of("good", i), 4);
    }
    is_int(start_all(schedule, works), 3, "no more attempts than slots");
    finish(schedule, works[0], RH_VERDICT_ANSWERED);
    is_int(start_all(schedule, works), 1, "a free slot is taken");
    rh_schedule_destroy(schedule);

    schedule = rh_schedule_make(pool, 1, 2, 100);
    add_failing(schedule, "failing", 4);
    is_int(start_all(schedule, works), 1, "even the only slot serves a failing endpoint");
    finish(schedule, works[0], RH_VERDICT_FAILED);
    add(schedule, "unknown", 4);
    is_int(start_all(schedule, works), 1, "and an unknown one");
    rh_schedule_destroy(schedule);
}

static void test_pause(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 16, 64, 100);
    rh_work_t *works[8], *refused;

    add(schedule, "a", 1);
    add(schedule, "a", 1);
    start_all(schedule, works);
    is_int(rh_schedule_finished(schedule, works[0], RH_VERDICT_FAILED, MSEC(20), SECONDS(60), now),
           SECONDS(60), "a pause that the target asked for is told");
    ok(rh_schedule_next(schedule, now) == NULL, "nothing is sent");
    refused = rh_schedule_refused(schedule);
    ok(refused && refused->settle.delay == SECONDS(60) && refused->settle.pause == 0,
       "what waits goes back to the store until then");
    now += SECONDS(59);
    add(schedule, "a", 1);
    ok(rh_schedule_next(schedule, now) == NULL && !rh_schedule_refused(schedule),
       "a second before its end it is worth waiting here");
    is_int(rh_schedule_wake_at(schedule), now + SECONDS(1), "until its end");
    add(schedule, "b", 1);
    ok(rh_schedule_next(schedule, now) != NULL, "other endpoints go on");
    now += SECONDS(1);
    is_int(start_all(schedule, works), 1, "then it goes on");
    is_int(rh_schedule_finished(schedule, works[0], RH_VERDICT_FAILED, MSEC(20), SECONDS(5), now),
           SECONDS(5), "another pause");
    add(schedule, "a", 1);
    now += SECONDS(6);
    is_int(start_all(schedule, works), 1, "that is over");
    rh_schedule_finished(schedule, works[0], RH_VERDICT_FAILED, MSEC(20), SECONDS(30), now);
    add(schedule, "a", 1);
    start_all(schedule, NULL);
    is_int(refused_count(schedule), 1, "and one more holds");
    rh_schedule_destroy(schedule);
}

/** Fail an endpoint's attempts one after the other. @return how long the last makes it wait */
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
    rh_schedule_t *schedule = rh_schedule_make(pool, 16, 64, 100);
    rh_work_t *works[8], *refused;

    is_int(fail_times(schedule, "a", 9), 0, "nine failures in a row are borne");
    is_int(fail_times(schedule, "a", 1), SECONDS(1), "the tenth opens the breaker");
    add(schedule, "a", 4);
    add(schedule, "a", 4);
    ok(rh_schedule_next(schedule, now) == NULL, "nothing is sent");
    refused = rh_schedule_refused(schedule);
    ok(refused && refused->settle.delay == SECONDS(1), "what waits goes back until the probe");
    is_int(refused_count(schedule), 1, "all of it");
    for (int i = 0; i < 8; i++) {
        apr_interval_time_t before = i == 0 ? SECONDS(1) : SECONDS(expected[i - 1]);

        now += before - 1;
        add(schedule, "a", 4);
        if (start_all(schedule, NULL) != 0 || refused_count(schedule) != 1) {
            ok(false, "no probe before its time");
        }
        now++;
        add(schedule, "a", 4);
        add(schedule, "a", 4);
        ok(start_all(schedule, works) == 1 && works[0]->probe && refused_count(schedule) == 0,
           "one probe alone is sent after %d s", (int)apr_time_sec(before));
        is_int(finish(schedule, works[0], RH_VERDICT_FAILED), SECONDS(expected[i]),
               "it fails: a longer wait, a minute at most");
        ok(start_all(schedule, NULL) == 0 && refused_count(schedule) == 1,
           "what waited for it goes back");
    }
    now += SECONDS(60);
    add(schedule, "a", 4);
    add(schedule, "a", 4);
    start_all(schedule, works);
    finish(schedule, works[0], RH_VERDICT_NONE);
    is_int(start_all(schedule, works), 1, "a cancelled probe tells nothing: another");
    add(schedule, "a", 4);
    add(schedule, "a", 4);
    is_int(finish(schedule, works[0], RH_VERDICT_ANSWERED), 0, "an answer closes the breaker");
    is_int(start_all(schedule, works), 2, "all goes on");
    finish(schedule, works[0], RH_VERDICT_FAILED);
    finish(schedule, works[1], RH_VERDICT_FAILED);
    is_int(fail_times(schedule, "a", 7), 0, "failures are counted anew");
    is_int(fail_times(schedule, "a", 1), SECONDS(1), "and waits begin anew");
    rh_schedule_destroy(schedule);
}

static void test_breaker_and_stragglers(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 32, 64, 100);
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
           "one that began before it opened does not prolong the wait");
    now += SECONDS(1);
    add(schedule, "a", 12);
    ok(rh_schedule_next(schedule, now) == NULL && refused_count(schedule) == 0,
       "no probe while an earlier attempt is in flight");
    is_int(finish(schedule, works[11], RH_VERDICT_FAILED), 0, "that ends");
    is_int(start_all(schedule, works), 1, "now the probe");
    rh_schedule_destroy(schedule);
}

static void test_breaker_remembered(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 32, 64, 100);
    rh_work_t *works[16];

    for (int i = 0; i < 4; i++) {
        rh_work_t *work = make_work("a", 4);

        work->job->failing_for = SECONDS(3600);
        rh_schedule_add(schedule, work, now);
    }
    is_int(start_all(schedule, works), 1,
           "a subscription that has long failed meets a new process with one probe");
    is_int(finish(schedule, works[0], RH_VERDICT_FAILED), SECONDS(8), "and soon longer waits");
    rh_schedule_destroy(schedule);
}

static void test_rate(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 200, 400, 100);
    rh_work_t *works[256];
    apr_time_t begin = now;
    int count, sent;

    for (int i = 0; i < 40; i++) {
        add_limited(schedule, "a", 5);
    }
    sent = count = start_all(schedule, works);
    is_int(count, 5, "a second's worth may go at once");
    ok(rh_schedule_wake_at(schedule) > now && rh_schedule_wake_at(schedule) <= now + MSEC(201),
       "the next when there is a token again");
    for (int steps = 0; steps < 1000 && now < begin + SECONDS(6); steps++) {
        now = rh_schedule_wake_at(schedule);
        for (int i = 0; i < count; i++) {
            finish(schedule, works[i], RH_VERDICT_ANSWERED);
        }
        sent += count = start_all(schedule, works);
    }
    ok(sent >= 34 && sent <= 36, "after six seconds 35 went (%d)", sent);
    ok(refused_count(schedule) == 0, "and none was refused");
    rh_schedule_destroy(schedule);

    schedule = rh_schedule_make(pool, 200, 400, 100);
    add_limited(schedule, "a", 5);
    finish(schedule, rh_schedule_next(schedule, now), RH_VERDICT_ANSWERED);
    now += SECONDS(300);
    for (int i = 0; i < 40; i++) {
        add_limited(schedule, "a", 5);
    }
    is_int(start_all(schedule, NULL), 5, "idle time is not saved up");
    now -= SECONDS(100);
    is_int(start_all(schedule, NULL), 0, "a clock that is set back gives nothing");
    now += SECONDS(101);
    add_limited(schedule, "a", 20);
    count = start_all(schedule, NULL);
    ok(count >= 5 && count <= 21, "a higher limit counts from now on (%d)", count);
    add_limited(schedule, "a", 0);
    now = rh_schedule_wake_at(schedule);
    ok(start_all(schedule, NULL) > 0 && rh_schedule_waiting(schedule) == 0,
       "a limit that was lifted holds nothing back for long");
    rh_schedule_destroy(schedule);

    schedule = rh_schedule_make(pool, 200, 400, 100);
    for (int i = 0; i < 30; i++) {
        add_limited(schedule, "a", 1);
    }
    is_int(refused_count(schedule), 20, "what ten seconds can't send is not kept");
    rh_schedule_destroy(schedule);
}

static void test_shares(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 16, 64, 1000);
    rh_work_t *failing[16], *unknown[16], *good[32], *work;
    int count;

    for (int i = 0; i < 8; i++) {
        make_good(schedule, name_of("good", i));
    }
    for (int i = 0; i < 50; i++) {
        add_failing(schedule, name_of("failing", i), 4);
    }
    is_int(rh_schedule_waiting(schedule), 8, "failing endpoints' jobs wait in half the slots");
    work = rh_schedule_refused(schedule);
    ok(work->settle.delay >= SECONDS(1) && work->settle.delay <= SECONDS(3) &&
           work->settle.pause == work->settle.delay,
       "the others go back for some seconds, and so do their subscriptions");
    is_int(1 + refused_count(schedule), 42, "all of them");
    ok(rh_schedule_was_crowded(schedule) && !rh_schedule_was_crowded(schedule),
       "that it is crowded is told, once");
    is_int(start_all(schedule, failing), 8, "failing endpoints take half of the slots");
    for (int i = 50; i < 60; i++) {
        add_failing(schedule, name_of("failing", i), 4);
    }
    is_int(start_all(schedule, NULL), 0, "and not one more");
    for (int i = 0; i < 20; i++) {
        add(schedule, name_of("unknown", i), 4);
    }
    is_int(start_all(schedule, unknown), 4, "with the unknown ones three quarters");
    for (int i = 20; i < 24; i++) {
        add(schedule, name_of("unknown", i), 4);
    }
    is_int(start_all(schedule, NULL), 0, "and not one more");
    for (int i = 0; i < 8; i++) {
        add(schedule, name_of("good", i), 4);
    }
    is_int(start_all(schedule, good), 4, "the rest is for those that answer");
    for (int i = 0; i < 4; i++) {
        finish(schedule, good[i], RH_VERDICT_ANSWERED);
    }
    count = start_all(schedule, good);
    ok(count == 4 && strncmp(good[0]->job->subscription_id, "good", 4) == 0,
       "they go on as theirs end");
    rh_schedule_finished(schedule, failing[0], RH_VERDICT_FAILED, SLOW, 0, now);
    count = start_all(schedule, failing);
    ok(count == 1 && strncmp(failing[0]->job->subscription_id, "failing", 7) == 0,
       "a failing one is followed by a failing one");
    rh_schedule_finished(schedule, unknown[0], RH_VERDICT_FAILED, SLOW, 0, now);
    count = start_all(schedule, unknown);
    ok(count == 1 && strncmp(unknown[0]->job->subscription_id, "unknown", 7) == 0,
       "an unknown one by an unknown one");
    rh_schedule_destroy(schedule);

    schedule = rh_schedule_make(pool, 16, 64, 1000);
    for (int i = 0; i < 8; i++) {
        make_good(schedule, name_of("good", i));
    }
    for (int i = 0; i < 32; i++) {
        add(schedule, name_of("good", i % 8), 4);
    }
    is_int(start_all(schedule, NULL), 16, "alone they may have all");
    rh_schedule_destroy(schedule);
}

/** A freed slot must not be lost on an endpoint that has no use for it. */
static void test_freed_slot(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 4, 64, 1000);
    rh_work_t *works[4], *late, *next;

    add_failing(schedule, "a", 4);
    add_failing(schedule, "b", 4);
    is_int(start_all(schedule, works), 2, "two failing endpoints take their half");
    late = make_work("c", 4);
    late->job->failing_for = SECONDS(1);
    late->start_by = now + SECONDS(1);
    rh_schedule_add(schedule, late, now);
    next = add_failing(schedule, "d", 4);
    is_int(start_all(schedule, NULL), 0, "two more wait");
    now += SECONDS(2);
    finish(schedule, works[0], RH_VERDICT_FAILED);
    ok(rh_schedule_next(schedule, now) == next,
       "a slot whose turn-taker is late serves the one behind it");
    ok(rh_schedule_refused(schedule) == late, "and the late one goes back");
    rh_schedule_destroy(schedule);
}

static void test_classes(void)
{
    rh_endpoint_t *endpoint = rh_endpoint_make("a", 0, now);

    is_int(rh_endpoint_class(endpoint), RH_ENDPOINT_UNKNOWN, "a new endpoint is unknown");
    rh_endpoint_started(endpoint);
    rh_endpoint_finished(endpoint, RH_VERDICT_NONE, false, MSEC(1), 0, now);
    is_int(rh_endpoint_class(endpoint), RH_ENDPOINT_UNKNOWN, "a cancelled attempt tells nothing");
    rh_endpoint_started(endpoint);
    rh_endpoint_finished(endpoint, RH_VERDICT_ANSWERED, false, SLOW, 0, now);
    is_int(rh_endpoint_class(endpoint), RH_ENDPOINT_UNKNOWN, "one that answers late is no better");
    for (int i = 0; i < 20; i++) {
        rh_endpoint_started(endpoint);
        rh_endpoint_finished(endpoint, RH_VERDICT_ANSWERED, false, MSEC(10), 0, now);
    }
    is_int(rh_endpoint_class(endpoint), RH_ENDPOINT_GOOD, "answers that come soon make it good");
    rh_endpoint_started(endpoint);
    rh_endpoint_finished(endpoint, RH_VERDICT_FAILED, false, MSEC(10), 0, now);
    is_int(rh_endpoint_class(endpoint), RH_ENDPOINT_UNKNOWN, "a quick failure makes it doubtful");
    for (int i = 0; i < 2; i++) {
        rh_endpoint_started(endpoint);
        rh_endpoint_finished(endpoint, RH_VERDICT_FAILED, false, MSEC(10), 0, now);
    }
    is_int(rh_endpoint_class(endpoint), RH_ENDPOINT_FAILING, "three make it failing");
    free(endpoint);

    endpoint = rh_endpoint_make("a", 0, now);
    rh_endpoint_started(endpoint);
    rh_endpoint_finished(endpoint, RH_VERDICT_FAILED, false, SLOW, 0, now);
    is_int(rh_endpoint_class(endpoint), RH_ENDPOINT_FAILING, "so does one that hangs");
    free(endpoint);
}

static void test_turns(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 1, 400, 100);
    rh_work_t *work;
    bool fair = true;

    for (int i = 0; i < 5; i++) {
        make_good(schedule, name_of("e", i));
    }
    for (int i = 0; i < 60; i++) {
        add(schedule, "e0", 4);
    }
    for (int i = 0; i < 20; i++) {
        for (int e = 1; e < 5; e++) {
            add(schedule, name_of("e", e), 4);
        }
    }
    is_int(refused_count(schedule), 0, "140 jobs of five endpoints are taken");
    for (int i = 0; i < 100; i++) {
        work = rh_schedule_next(schedule, now);
        fair = fair && work && atoi(work->job->subscription_id + 1) == i % 5;
        finish(schedule, work, RH_VERDICT_ANSWERED);
    }
    ok(fair, "endpoints take turns, however much waits for one of them");
    for (int i = 0; i < 3; i++) {
        work = rh_schedule_next(schedule, now);
        finish(schedule, work, RH_VERDICT_ANSWERED);
    }
    add(schedule, "e3", 4);
    work = rh_schedule_next(schedule, now);
    finish(schedule, work, RH_VERDICT_ANSWERED);
    work = rh_schedule_next(schedule, now);
    is(work->job->subscription_id, "e3", "who comes after a flood waits for one turn");
    rh_schedule_destroy(schedule);
}

static void test_room(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 64, 128, 100);
    rh_work_t *work, *handed;
    rh_endpoint_t *endpoint;

    for (int i = 0; i < 20; i++) {
        add(schedule, "a", 2);
    }
    is_int(rh_schedule_waiting(schedule), 8, "of an unknown endpoint four rounds wait");
    work = rh_schedule_refused(schedule);
    ok(work->settle.delay >= MSEC(50) && work->settle.delay <= SECONDS(10) &&
           work->settle.pause == work->settle.delay,
       "the others are back when some of them went, and none is claimed before");
    is_int(1 + refused_count(schedule), 12, "all of the others");
    handed = make_work("a", 2);
    handed->handed = true;
    rh_schedule_add(schedule, handed, now);
    work = rh_schedule_refused(schedule);
    ok(work == handed && work->settle.delay > 0 && work->settle.pause == 0,
       "one that a commit handed over pauses nothing");
    ok(!rh_schedule_was_crowded(schedule), "an endpoint that is full is no crowd");
    rh_schedule_destroy(schedule);

    schedule = rh_schedule_make(pool, 64, 128, 100);
    make_good(schedule, "a");
    for (int i = 0; i < 200; i++) {
        add(schedule, "a", 2);
    }
    is_int(rh_schedule_waiting(schedule), 64, "a quick one may have half of the memory");
    rh_schedule_destroy(schedule);

    endpoint = rh_endpoint_make("a", 0, now);
    endpoint->tried = true;
    endpoint->duration = 0;
    ok(rh_endpoint_room(endpoint, 4, 1000) == 500, "a duration of nothing divides nothing");
    rh_endpoint_set_rate(endpoint, 1, now);
    is_int(rh_endpoint_room(endpoint, 4, 1000), 10, "a rate limits the room");
    rh_endpoint_set_rate(endpoint, -5, now);
    is_int(rh_endpoint_room(endpoint, 4, 1000), 500, "a damaged one is none");
    is_int(rh_endpoint_drain_time(endpoint, 4), MSEC(50), "at least 50 ms until there is room");
    endpoint->duration = SECONDS(30);
    endpoint->waiting_count = 100;
    is_int(rh_endpoint_drain_time(endpoint, 4), SECONDS(10), "at most 10 s");
    endpoint->waiting_count = 0;
    free(endpoint);
}

static void test_late(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 16, 64, 100);
    rh_work_t *works[4];

    add(schedule, "a", 1);
    add(schedule, "a", 1);
    add(schedule, "a", 1);
    is_int(start_all(schedule, works), 1, "one runs, two wait");
    now += SECONDS(28);
    rh_schedule_sweep(schedule, now);
    is_int(refused_count(schedule), 0, "at the last moment they may still start");
    now++;
    rh_schedule_sweep(schedule, now);
    works[1] = rh_schedule_refused(schedule);
    ok(works[1] && works[1]->settle.delay == 0 && works[1]->settle.pause == 0,
       "what is too late for its lease goes back, due now");
    is_int(refused_count(schedule), 1, "all of it");
    finish(schedule, works[0], RH_VERDICT_ANSWERED);
    add(schedule, "a", 1);
    now += SECONDS(29);
    ok(rh_schedule_next(schedule, now) == NULL && refused_count(schedule) == 1,
       "it never starts, swept or not");
    rh_schedule_destroy(schedule);
}

static void test_forgetting(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 16, 64, 3);
    rh_work_t *held;

    add(schedule, "held", 4);
    held = rh_schedule_next(schedule, now);
    make_good(schedule, "a");
    rh_schedule_sweep(schedule, now + RH_ENDPOINT_IDLE - 1);
    is_int(rh_schedule_endpoints(schedule), 2, "endpoints are remembered for a while");
    now += RH_ENDPOINT_IDLE;
    rh_schedule_sweep(schedule, now);
    is_int(rh_schedule_endpoints(schedule), 1, "idle ones are forgotten, busy ones not");
    finish(schedule, held, RH_VERDICT_ANSWERED);
    now += SECONDS(1);
    make_good(schedule, "b");
    make_good(schedule, "c");
    make_good(schedule, "d");
    make_good(schedule, "held");
    is_int(rh_schedule_endpoints(schedule), 4, "there may be too many for a moment");
    rh_schedule_sweep(schedule, now);
    is_int(rh_schedule_endpoints(schedule), 3, "then only as many as wanted are remembered");
    for (int i = 0; i < 8; i++) {
        add(schedule, "held", 4);
    }
    is_int(rh_schedule_waiting(schedule), 8, "the latest is one of them");
    rh_schedule_destroy(schedule);
}

static void test_refuse_all(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 8, 64, 100);
    rh_work_t *work;
    int waiting, refused = 0, due = 0;

    for (int i = 0; i < 8; i++) {
        add_failing(schedule, name_of("failing", i), 1);
        add(schedule, name_of("unknown", i), 1);
        add_limited(schedule, "limited", 1);
    }
    refused_count(schedule);
    start_all(schedule, NULL);
    for (int i = 0; i < 4; i++) {
        add(schedule, "unknown0", 1);
    }
    waiting = rh_schedule_waiting(schedule);
    ok(waiting > 0 && rh_schedule_in_flight(schedule) > 0, "some wait for this and that");
    refused_count(schedule);
    rh_schedule_refuse_all(schedule);
    while ((work = rh_schedule_refused(schedule)) != NULL) {
        refused++;
        due += work->settle.delay == 0 && work->settle.pause == 0;
    }
    ok(refused == waiting && due == waiting && rh_schedule_waiting(schedule) == 0,
       "at the end all of them go back, due now");
    ok(rh_schedule_next(schedule, now) == NULL, "and nothing starts");
    rh_schedule_destroy(schedule);
}

#define RUN_ENDPOINTS 40
#define RUN_SLOTS 12

/** What a run of chance found. */
typedef struct run_t {
    int added, started, refused, finished;
    int most_in_flight, most_of_one;
    bool stalled;
} run_t;

static apr_uint32_t chance(apr_uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/** Jobs come and attempts end by chance, with all that can happen to them. */
static run_t run_by_chance(apr_uint32_t seed)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, RUN_SLOTS, 2 * RUN_SLOTS, 30);
    rh_work_t *flying[RUN_SLOTS + 1], *work;
    int of_one[RUN_ENDPOINTS] = {0}, count = 0;
    run_t run = {0};

    for (int step = 0; step < 20000 || count > 0 || rh_schedule_waiting(schedule) > 0; step++) {
        apr_uint32_t dice = chance(&seed) % 100;

        if (step > 100000) {
            run.stalled = true;
            break;
        }
        if (step < 20000 && dice < 45) {
            int n = (int)(chance(&seed) % RUN_ENDPOINTS);

            work = make_work(name_of("e", n), 1 + n % 5);
            work->job->rate_limit = n % 7 == 0 ? 3 : 0;
            work->job->failing_for = n % 3 == 0 ? SECONDS(1) : n % 11 == 0 ? SECONDS(600) : 0;
            work->start_by = now + MSEC(chance(&seed) % 30000);
            work->handed = n % 2;
            rh_schedule_add(schedule, work, now);
            run.added++;
        } else if (dice < 90 && count > 0) {
            int which = (int)(chance(&seed) % count), n;
            rh_verdict_t verdict = chance(&seed) % 20 == 0 ? RH_VERDICT_NONE : RH_VERDICT_ANSWERED;

            work = flying[which];
            n = atoi(work->job->subscription_id + 1);
            if (n % 3 == 0 && chance(&seed) % 10) {
                verdict = RH_VERDICT_FAILED;
            }
            of_one[n]--;
            flying[which] = flying[--count];
            rh_schedule_finished(schedule, work, verdict,
                                 MSEC(n % 4 == 0 ? 3000 : chance(&seed) % 100),
                                 chance(&seed) % 50 == 0 ? MSEC(chance(&seed) % 4000) : 0, now);
            run.finished++;
        }
        now += MSEC(chance(&seed) % 30);
        if (chance(&seed) % 40 == 0) {
            rh_schedule_sweep(schedule, now);
        }
        while ((work = rh_schedule_next(schedule, now)) != NULL) {
            int n = atoi(work->job->subscription_id + 1);

            flying[count++] = work;
            run.started++;
            if (++of_one[n] - (1 + n % 5) > run.most_of_one) {
                run.most_of_one = of_one[n] - (1 + n % 5);
            }
        }
        run.most_in_flight = count > run.most_in_flight ? count : run.most_in_flight;
        run.refused += refused_count(schedule);
        if (count != rh_schedule_in_flight(schedule) ||
            run.added != run.started + run.refused + rh_schedule_waiting(schedule)) {
            run.stalled = true;
            break;
        }
        /* Nothing in flight will wake what waits, so a time must. */
        if (count == 0 && rh_schedule_waiting(schedule) > 0 &&
            rh_schedule_wake_at(schedule) <= now) {
            run.stalled = true;
            break;
        }
    }
    rh_schedule_destroy(schedule);
    return run;
}

static void test_by_chance(void)
{
    for (apr_uint32_t seed = 1; seed <= 10; seed++) {
        run_t run = run_by_chance(seed);

        ok(!run.stalled && run.finished == run.started && run.most_in_flight <= RUN_SLOTS &&
               run.most_of_one <= 0 && run.started > 1000 && run.refused > 100,
           "by chance %u: each of %d jobs was started (%d) or refused (%d), once", seed, run.added,
           run.started, run.refused);
    }
}

int main(void)
{
    static void (*const tests[])(void) = {test_concurrency,
                                          test_slots,
                                          test_pause,
                                          test_breaker,
                                          test_breaker_and_stragglers,
                                          test_breaker_remembered,
                                          test_rate,
                                          test_shares,
                                          test_freed_slot,
                                          test_classes,
                                          test_turns,
                                          test_room,
                                          test_late,
                                          test_forgetting,
                                          test_refuse_all,
                                          test_by_chance};

    apr_initialize();
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        apr_pool_create(&pool, NULL);
        tests[i]();
        apr_pool_destroy(pool);
    }
    apr_terminate();
    return done_testing();
}
