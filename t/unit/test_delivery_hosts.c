/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "schedule_help.h"

#include "rh_pool.h"

#include <pthread.h>

/** Loops that share the slots of hosts, and which loops were woken. */
typedef struct loops_t {
    apr_pool_t *pool;
    rh_hosts_t *hosts;
    rh_schedule_t *schedules[2];
    int woken[2];
    rh_work_t *works[20000];        /**< all jobs that were added … */
    rh_schedule_t *added_to[20000]; /**< … and the loop of each */
    int count;
} loops_t;

static loops_t *loops_now; /**< pool of the running test */

static void wake(void *baton, int loop)
{
    loops_t *loops = baton;

    __atomic_add_fetch(&loops->woken[loop], 1, __ATOMIC_SEQ_CST);
}

static loops_t *make_loops(int slots)
{
    loops_t *loops = apr_pcalloc(pool, sizeof(*loops));

    rh_root_pool_make(&loops->pool, RH_POOL_KEEP, false);
    rh_hosts_make(loops->pool, wake, loops, &loops->hosts);
    for (int i = 0; i < 2; i++) {
        loops->schedules[i] = rh_schedule_make(pool, slots, 4 * slots, 2 * slots, 1000);
        rh_schedule_share_hosts(loops->schedules[i], loops->hosts, i);
    }
    return loops_now = loops;
}

/** End attempts in flight as well: each job refers to its host until then. */
static void destroy_loops(loops_t *loops)
{
    for (int i = 0; i < 2; i++) {
        rh_schedule_refuse_all(loops->schedules[i]);
        refused_count(loops->schedules[i]);
    }
    for (int i = 0; i < loops->count; i++) {
        if (loops->works[i]->host) {
            finish(loops->added_to[i], loops->works[i], RH_VERDICT_ANSWERED);
        }
    }
    for (int i = 0; i < 2; i++) {
        rh_schedule_destroy(loops->schedules[i]);
    }
    apr_pool_destroy(loops->pool);
}

static rh_work_t *add_to(rh_schedule_t *schedule, const char *id, const char *url, int per_host)
{
    rh_work_t *work = make_work(id, 16);

    work->job->pool = pool;
    work->job->target_url = url;
    work->per_host = per_host;
    loops_now->added_to[loops_now->count] = schedule;
    loops_now->works[loops_now->count++] = work;
    rh_schedule_add(schedule, work, now);
    return work;
}

static void test_limit(void)
{
    loops_t *loops = make_loops(64);
    rh_work_t *works[2][64];
    int count[2];

    tenant = NULL;
    for (int i = 0; i < 2; i++) {
        for (int n = 0; n < 10; n++) {
            add_to(loops->schedules[i], name_of(i ? "a" : "b", n),
                   n % 2 ? "http://Receiver.example/x" : "http://receiver.example.:80/y?z", 8);
        }
        count[i] = start_all(loops->schedules[i], works[i]);
    }
    is_int(count[0], 6, "new targets of one host get three quarters of its slots");
    is_int(count[1], 0, "and none in another loop, for any subscription");
    add_to(loops->schedules[1], "c", "http://receiver.example:8080/x", 8);
    add_to(loops->schedules[1], "d", "https://receiver.example/x", 8);
    add_to(loops->schedules[1], "e", "http://other.example/x", 8);
    is_int(start_all(loops->schedules[1], NULL), 3, "another port, scheme or name is another host");
    is_int(loops->woken[0] + loops->woken[1], 0, "no loop was woken");
    finish(loops->schedules[0], works[0][0], RH_VERDICT_ANSWERED);
    ok(loops->woken[0] == 0 && loops->woken[1] == 1,
       "a slot that is given back wakes the other loop, which waits for one");
    is_int(start_all(loops->schedules[1], works[1]), 1, "that loop takes it");
    is_int(start_all(loops->schedules[0], NULL), 0, "once");
    finish(loops->schedules[1], works[1][0], RH_VERDICT_ANSWERED);
    is_int(loops->woken[0], 1, "then the first loop is woken");
    is_int(start_all(loops->schedules[0], NULL), 1, "it takes the next slot");
    destroy_loops(loops);
    tenant = "acme";
}

/** One tenant's hanging targets at a large receiver do not use up its slots. */
static void test_tenants(void)
{
    loops_t *loops = make_loops(512);
    rh_work_t *work;
    int held = 0;

    tenant = "hostile";
    for (int i = 0; i < 2; i++) {
        for (int n = 0; n < 100; n++) {
            add_to(loops->schedules[i], name_of(i ? "a" : "b", n), "https://large.example/hook",
                   64);
        }
        held += start_all(loops->schedules[i], NULL);
    }
    is_int(held, 42, "a tenant with two hundred targets at one host holds 42 of 64 slots");
    tenant = "other";
    work = add_to(loops->schedules[1], "other", "https://large.example/hook/other", 64);
    ok(rh_schedule_next(loops->schedules[1], now) == work,
       "another tenant's target there is attempted at once");
    destroy_loops(loops);
    tenant = "acme";
}

/** Where a host has no free slots, tenants take turns at those that are given back. */
static void test_turns(void)
{
    loops_t *loops = make_loops(64);
    rh_schedule_t *schedule = loops->schedules[0];
    rh_work_t *work;
    bool fair = true;

    tenant = "large";
    for (int n = 0; n < 20; n++) {
        add_to(schedule, name_of("l", n), "http://receiver.example/", 1);
    }
    tenant = "small";
    for (int n = 0; n < 4; n++) {
        add_to(schedule, name_of("s", n), "http://receiver.example/", 1);
    }
    tenant = "acme";
    for (int n = 0; n < 8; n++) {
        work = rh_schedule_next(schedule, now);
        fair = fair && work && strcmp(work->job->tenant, n % 2 ? "small" : "large") == 0 &&
               rh_schedule_next(schedule, now) == NULL;
        if (work) {
            finish(schedule, work, RH_VERDICT_ANSWERED);
        }
    }
    ok(fair, "tenants take turns at the only slot of a host");
    add_to(schedule, "elsewhere", "http://elsewhere.example/", 1);
    is_int(start_all(schedule, NULL), 2, "jobs that wait for it do not delay those of other hosts");
    destroy_loops(loops);
}

static void test_moved_target(void)
{
    loops_t *loops = make_loops(64);
    rh_schedule_t *schedule = loops->schedules[0];
    rh_work_t *works[8];

    add_to(schedule, "a", "http://old.example/", 1);
    is_int(start_all(schedule, works), 1, "an attempt is in flight");
    add_to(schedule, "a", "http://new.example/", 1);
    is_int(start_all(schedule, works + 1), 1, "its subscription's new target has slots of its own");
    add_to(schedule, "b", "http://old.example/", 1);
    is_int(start_all(schedule, NULL), 0, "the old target's slot is still taken");
    finish(schedule, works[0], RH_VERDICT_ANSWERED);
    is_int(start_all(schedule, NULL), 1, "it is free when that attempt ends");
    add_to(schedule, "c", "no URL", 1);
    add_to(schedule, "d", "http://new.example/", 0);
    is_int(start_all(schedule, NULL), 2,
           "jobs without a host or without a limit are not held back");
    destroy_loops(loops);
}

/** Jobs that wait for one host must leave memory for others. */
static void test_memory(void)
{
    loops_t *loops = make_loops(64);
    rh_schedule_t *schedule = loops->schedules[0];
    rh_work_t *refused;
    int waiting;

    tenant = NULL;
    for (int n = 0; n < 200; n++) {
        make_good(schedule, name_of("e", n));
    }
    for (int n = 0; n < 200; n++) {
        add_to(schedule, name_of("e", n), "http://receiver.example/", 1);
        rh_schedule_next(schedule, now);
    }
    waiting = rh_schedule_waiting(schedule);
    ok(waiting >= 60 && waiting <= 64, "half of the memory is for jobs that wait (%d)", waiting);
    refused = rh_schedule_refused(schedule);
    ok(refused && refused->settle.delay >= MSEC(50) &&
           refused->settle.pause == refused->settle.delay,
       "the others are released for a while");
    refused_count(schedule);
    add_to(schedule, "other", "http://other.example/", 1);
    is_int(start_all(schedule, NULL), 1, "another host's job finds memory");
    destroy_loops(loops);
    tenant = "acme";
}

#define HOSTS 5
#define FLYING 24

static apr_uint32_t chance(apr_uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/** Add and end jobs at random in two loops. @return whether a limit was broken, or all stood still
 */
static bool goes_wrong(apr_uint32_t seed)
{
    loops_t *loops = make_loops(FLYING / 2);
    rh_work_t *flying[FLYING], *work;
    int at_host[HOSTS] = {0}, count = 0, started = 0;
    bool wrong = false;

    tenant = NULL;
    for (int step = 0; step < 20000 && !wrong; step++) {
        int n = (int)(chance(&seed) % 40), waiting;

        if (step < 15000 && chance(&seed) % 2) {
            char url[64];

            snprintf(url, sizeof(url), "http://h%d.example/", n % HOSTS);
            add_to(loops->schedules[n % 2], name_of("e", n), apr_pstrdup(pool, url), 1 + n % HOSTS);
        } else if (count > 0) {
            int which = (int)(chance(&seed) % count);

            work = flying[which];
            flying[which] = flying[--count];
            at_host[atoi(work->job->subscription_id + 1) % HOSTS]--;
            rh_schedule_finished(loops->schedules[atoi(work->job->subscription_id + 1) % 2], work,
                                 chance(&seed) % 4 ? RH_VERDICT_ANSWERED : RH_VERDICT_FAILED,
                                 MSEC(chance(&seed) % 4000), 0, now);
        }
        now += MSEC(5);
        for (int i = 0; i < 2; i++) {
            while ((work = rh_schedule_next(loops->schedules[i], now)) != NULL) {
                int host = atoi(work->job->subscription_id + 1) % HOSTS;

                flying[count++] = work;
                started++;
                wrong = wrong || ++at_host[host] > 1 + host;
            }
            refused_count(loops->schedules[i]);
        }
        waiting =
            rh_schedule_waiting(loops->schedules[0]) + rh_schedule_waiting(loops->schedules[1]);
        wrong =
            wrong || (count == 0 && waiting > 0 && rh_schedule_wake_at(loops->schedules[0]) == 0 &&
                      rh_schedule_wake_at(loops->schedules[1]) == 0);
    }
    destroy_loops(loops);
    tenant = "acme";
    return wrong || started < 3000;
}

static void test_by_chance(void)
{
    int wrong = 0;

    for (apr_uint32_t seed = 1; seed <= 10; seed++) {
        wrong += goes_wrong(seed);
    }
    is_int(wrong, 0, "at random: no host ever exceeds its limit, and none is forgotten");
}

#define THREADS 4
#define ROUNDS 20000

/** One thread takes and gives slots of a table that it shares with others. */
typedef struct taker_t {
    rh_hosts_t *hosts;
    int number, *in_flight, *most;
} taker_t;

static void *take_and_give(void *data)
{
    taker_t *taker = data;

    for (int i = 0; i < ROUNDS; i++) {
        rh_host_t *host =
            rh_host_hold(taker->hosts, i % 3 ? "one:80" : "two:80", i % 2 ? "acme" : "globex");
        int *in_flight = &taker->in_flight[i % 3 ? 0 : 1];
        apr_uint32_t gives = rh_host_gives(host);

        if (rh_host_take(host, 2, RH_ENDPOINT_GOOD) == RH_SHARE_FREE) {
            if (__atomic_add_fetch(in_flight, 1, __ATOMIC_SEQ_CST) > 2) {
                __atomic_store_n(taker->most, 1, __ATOMIC_SEQ_CST);
            }
            __atomic_sub_fetch(in_flight, 1, __ATOMIC_SEQ_CST);
            rh_host_give(host, RH_ENDPOINT_GOOD, taker->number);
        } else if (rh_host_peek(host, 2, RH_ENDPOINT_GOOD) != RH_SHARE_FREE) {
            rh_host_wait(host, gives, taker->number % 2);
        }
        rh_host_release(host);
    }
    return NULL;
}

static void test_threads(void)
{
    loops_t *loops = make_loops(8);
    pthread_t threads[THREADS];
    taker_t takers[THREADS];
    int in_flight[2] = {0}, most = 0;

    for (int i = 0; i < THREADS; i++) {
        takers[i] = (taker_t){loops->hosts, i, in_flight, &most};
        pthread_create(&threads[i], NULL, take_and_give, &takers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    ok(most == 0 && in_flight[0] == 0 && in_flight[1] == 0,
       "threads that take and give concurrently never exceed the limit");
    destroy_loops(loops);
}

int main(void)
{
    static void (*const tests[])(void) = {test_limit,        test_tenants, test_turns,
                                          test_moved_target, test_memory,  test_by_chance,
                                          test_threads};

    return run_tests(tests, (int)(sizeof(tests) / sizeof(tests[0])));
}
