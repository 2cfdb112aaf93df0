/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "schedule_help.h"

static void test_concurrency(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 32, 64, 64, 100);
    rh_work_t *works[8], *first[5];

    ok(rh_schedule_next(schedule, now) == NULL, "there is nothing to start at first");
    for (int i = 0; i < 5; i++) {
        first[i] = add(schedule, "a", 3);
    }
    is_int(start_all(schedule, works), 3, "an endpoint gets as many attempts as its maximum");
    ok(works[0] == first[0] && works[1] == first[1] && works[2] == first[2],
       "the oldest job starts first");
    ok(rh_schedule_in_flight(schedule) == 3 && rh_schedule_waiting(schedule) == 2,
       "they are counted");
    is_int(rh_schedule_wake_at(schedule), 0, "a waiting job has no time to wait for");
    finish(schedule, works[1], RH_VERDICT_ANSWERED);
    ok(rh_schedule_next(schedule, now) == first[3], "the next job starts when one ends");
    ok(rh_schedule_next(schedule, now) == NULL, "only one does");
    add(schedule, "b", 3);
    is_int(start_all(schedule, NULL), 1, "another endpoint is not affected");
    is_int(refused_count(schedule), 0, "no job was refused");
    rh_schedule_destroy(schedule);
}

static void test_slots(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 3, 64, 64, 100);
    rh_work_t *works[8];

    for (int i = 0; i < 5; i++) {
        make_good(schedule, name_of("good", i));
    }
    for (int i = 0; i < 5; i++) {
        add(schedule, name_of("good", i), 4);
    }
    is_int(start_all(schedule, works), 3, "there are no more attempts than slots");
    finish(schedule, works[0], RH_VERDICT_ANSWERED);
    is_int(start_all(schedule, works), 1, "a free slot is taken");
    rh_schedule_destroy(schedule);

    schedule = rh_schedule_make(pool, 1, 2, 2, 100);
    add_failing(schedule, "failing", 4);
    is_int(start_all(schedule, works), 1, "even the only slot serves a failing endpoint");
    finish(schedule, works[0], RH_VERDICT_FAILED);
    add(schedule, "unknown", 4);
    is_int(start_all(schedule, works), 1, "and an unknown one");
    rh_schedule_destroy(schedule);
}

static void test_shares(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 16, 64, 64, 1000);
    rh_work_t *failing[16], *unknown[16], *good[32], *work;
    int count;

    tenant = NULL;
    for (int i = 0; i < 8; i++) {
        make_good(schedule, name_of("good", i));
    }
    for (int i = 0; i < 50; i++) {
        add_failing(schedule, name_of("failing", i), 4);
    }
    is_int(rh_schedule_waiting(schedule), 8, "failing endpoints' jobs wait in half of the memory");
    work = rh_schedule_refused(schedule);
    ok(work->settle.delay >= SECONDS(1) && work->settle.delay <= SECONDS(3) &&
           work->settle.pause == work->settle.delay,
       "the others are released for some seconds, and their subscriptions are paused");
    is_int(1 + refused_count(schedule), 42, "all of the others are");
    ok(rh_schedule_was_crowded(schedule) && !rh_schedule_was_crowded(schedule),
       "the crowd is reported once");
    is_int(start_all(schedule, failing), 8, "failing endpoints take half of the slots");
    for (int i = 50; i < 60; i++) {
        add_failing(schedule, name_of("failing", i), 4);
    }
    is_int(start_all(schedule, NULL), 0, "they take no more");
    for (int i = 0; i < 20; i++) {
        add(schedule, name_of("unknown", i), 4);
    }
    is_int(start_all(schedule, unknown), 4, "with unknown ones they take three quarters");
    for (int i = 20; i < 24; i++) {
        add(schedule, name_of("unknown", i), 4);
    }
    is_int(start_all(schedule, NULL), 0, "they take no more");
    for (int i = 0; i < 8; i++) {
        add(schedule, name_of("good", i), 4);
    }
    is_int(start_all(schedule, good), 4, "the rest is for endpoints that respond");
    for (int i = 0; i < 4; i++) {
        finish(schedule, good[i], RH_VERDICT_ANSWERED);
    }
    count = start_all(schedule, good);
    ok(count == 4 && strncmp(good[0]->job->subscription_id, "good", 4) == 0,
       "jobs start as the endpoint's own end");
    rh_schedule_finished(schedule, failing[0], RH_VERDICT_FAILED, SLOW, 0, now);
    count = start_all(schedule, failing);
    ok(count == 1 && strncmp(failing[0]->job->subscription_id, "failing", 7) == 0,
       "a failing endpoint's slot goes to a failing one");
    rh_schedule_finished(schedule, unknown[0], RH_VERDICT_FAILED, SLOW, 0, now);
    count = start_all(schedule, unknown);
    ok(count == 1 && strncmp(unknown[0]->job->subscription_id, "unknown", 7) == 0,
       "an unknown endpoint's slot goes to an unknown one");
    rh_schedule_destroy(schedule);

    schedule = rh_schedule_make(pool, 16, 64, 64, 1000);
    for (int i = 0; i < 8; i++) {
        make_good(schedule, name_of("good", i));
    }
    for (int i = 0; i < 32; i++) {
        add(schedule, name_of("good", i % 8), 4);
    }
    is_int(start_all(schedule, NULL), 16, "without others they may take all slots");
    rh_schedule_destroy(schedule);
    tenant = "acme";
}

/** A freed slot must not be lost to an endpoint that cannot use it. */
static void test_freed_slot(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 4, 64, 64, 1000);
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
       "if the endpoint whose turn it is has only late jobs, the next one gets the slot");
    ok(rh_schedule_refused(schedule) == late, "the late job is released");
    rh_schedule_destroy(schedule);
}

static void test_turns(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 1, 400, 400, 100);
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
    is_int(refused_count(schedule), 0, "140 jobs of five endpoints are accepted");
    for (int i = 0; i < 100; i++) {
        work = rh_schedule_next(schedule, now);
        fair = fair && work && atoi(work->job->subscription_id + 1) == i % 5;
        finish(schedule, work, RH_VERDICT_ANSWERED);
    }
    ok(fair, "endpoints take turns, however many jobs wait for one of them");
    for (int i = 0; i < 3; i++) {
        work = rh_schedule_next(schedule, now);
        finish(schedule, work, RH_VERDICT_ANSWERED);
    }
    add(schedule, "e3", 4);
    work = rh_schedule_next(schedule, now);
    finish(schedule, work, RH_VERDICT_ANSWERED);
    work = rh_schedule_next(schedule, now);
    is(work->job->subscription_id, "e3", "an endpoint that comes after a flood waits for one turn");
    rh_schedule_destroy(schedule);
}

static void test_late(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 16, 64, 64, 100);
    rh_work_t *works[4];

    add(schedule, "a", 1);
    add(schedule, "a", 1);
    add(schedule, "a", 1);
    is_int(start_all(schedule, works), 1, "one runs, two wait");
    now += SECONDS(28);
    rh_schedule_sweep(schedule, now);
    is_int(refused_count(schedule), 0, "shortly before their lease ends they may still start");
    now++;
    rh_schedule_sweep(schedule, now);
    works[1] = rh_schedule_refused(schedule);
    ok(works[1] && works[1]->settle.delay == 0 && works[1]->settle.pause == 0,
       "a job that is too late for its lease is released, due now");
    is_int(refused_count(schedule), 1, "all such jobs are");
    finish(schedule, works[0], RH_VERDICT_ANSWERED);
    add(schedule, "a", 1);
    now += SECONDS(29);
    ok(rh_schedule_next(schedule, now) == NULL && refused_count(schedule) == 1,
       "it never starts, whether it was swept or not");
    rh_schedule_destroy(schedule);
}

static void test_forgetting(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 16, 64, 64, 3);
    rh_work_t *held;

    add(schedule, "held", 4);
    held = rh_schedule_next(schedule, now);
    make_good(schedule, "a");
    rh_schedule_sweep(schedule, now + RH_ENDPOINT_IDLE - 1);
    is_int(rh_schedule_endpoints(schedule), 2, "endpoints are kept for a while");
    now += RH_ENDPOINT_IDLE;
    rh_schedule_sweep(schedule, now);
    is_int(rh_schedule_endpoints(schedule), 1, "idle ones are removed, busy ones are not");
    finish(schedule, held, RH_VERDICT_ANSWERED);
    now += SECONDS(1);
    make_good(schedule, "b");
    make_good(schedule, "c");
    make_good(schedule, "d");
    make_good(schedule, "held");
    is_int(rh_schedule_endpoints(schedule), 4, "there may be too many for a moment");
    rh_schedule_sweep(schedule, now);
    is_int(rh_schedule_endpoints(schedule), 3, "then only the maximum is kept");
    for (int i = 0; i < 8; i++) {
        add(schedule, "held", 4);
    }
    is_int(rh_schedule_waiting(schedule), 8, "the latest is one of them");
    rh_schedule_destroy(schedule);
}

static void test_refuse_all(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 8, 64, 64, 100);
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
    ok(waiting > 0 && rh_schedule_in_flight(schedule) > 0, "some jobs wait for different reasons");
    refused_count(schedule);
    rh_schedule_refuse_all(schedule);
    while ((work = rh_schedule_refused(schedule)) != NULL) {
        refused++;
        due += work->settle.delay == 0 && work->settle.pause == 0;
    }
    ok(refused == waiting && due == waiting && rh_schedule_waiting(schedule) == 0,
       "at the end all of them are released, due now");
    ok(rh_schedule_next(schedule, now) == NULL, "none starts");
    rh_schedule_destroy(schedule);
}

#define RUN_ENDPOINTS 40
#define RUN_SLOTS 12

/** The results of a random run. */
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

/** Add jobs and end attempts at random, with everything that can happen to them. */
static run_t run_by_chance(apr_uint32_t seed)
{
    static const char *const tenants[] = {"acme", "globex", "acme", "initech"};
    rh_schedule_t *schedule = rh_schedule_make(pool, RUN_SLOTS, 2 * RUN_SLOTS, 2 * RUN_SLOTS, 30);
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

            tenant = tenants[n % 4];
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
        /* No attempt in flight will wake the waiting jobs, so a time must. */
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
           "at random %u: each of %d jobs was started (%d) or refused (%d), once", seed, run.added,
           run.started, run.refused);
    }
    tenant = "acme";
}

int main(void)
{
    static void (*const tests[])(void) = {test_concurrency, test_slots,      test_shares,
                                          test_freed_slot,  test_turns,      test_late,
                                          test_forgetting,  test_refuse_all, test_by_chance};

    return run_tests(tests, (int)(sizeof(tests) / sizeof(tests[0])));
}
