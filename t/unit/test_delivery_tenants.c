/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_share.h"

#include "schedule_help.h"

/** Take as many slots as one more tenant may have. @return the number */
static int take_all(rh_usage_t *all, int slots, rh_endpoint_class_t class)
{
    rh_usage_t own = {{0}};
    int count = 0;

    while (rh_share_missing(all, &own, slots, class) == RH_SHARE_FREE) {
        all->of[class]++;
        own.of[class]++;
        count++;
    }
    return count;
}

static void test_shares_of_tenants(void)
{
    rh_usage_t all = {{0}};

    is_int(take_all(&all, 64, RH_ENDPOINT_GOOD), 56, "a tenant alone may hold seven eighths");
    is_int(take_all(&all, 64, RH_ENDPOINT_GOOD), 7,
           "the next tenant may hold seven eighths of the rest");
    is_int(take_all(&all, 64, RH_ENDPOINT_GOOD), 1, "the last slot is for one more");
    is_int(take_all(&all, 64, RH_ENDPOINT_GOOD), 0, "then all slots are taken");

    memset(&all, 0, sizeof(all));
    is_int(take_all(&all, 32, RH_ENDPOINT_FAILING), 14,
           "this applies to half of the slots for failing targets");
    is_int(take_all(&all, 32, RH_ENDPOINT_DOUBTFUL), 6, "to five eighths for these and slow ones");
    is_int(take_all(&all, 32, RH_ENDPOINT_NEW), 4, "to three quarters for these and new ones");
    is_int(take_all(&all, 32, RH_ENDPOINT_GOOD), 7, "the rest is for targets that respond");

    for (int slots = 1; slots < 8; slots++) {
        memset(&all, 0, sizeof(all));
        ok(take_all(&all, slots, RH_ENDPOINT_GOOD) == slots,
           "of %d slots a tenant may have all: there is nothing to share", slots);
    }
    memset(&all, 0, sizeof(all));
    is_int(take_all(&all, 1, RH_ENDPOINT_FAILING), 1, "a single slot also serves a failing target");
}

static void test_turns(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 1, 400, 400, 100);
    bool fair = true, each = true;
    int of[20] = {0};

    tenant = "large";
    for (int i = 0; i < 20; i++) {
        make_good(schedule, name_of("many", i));
    }
    tenant = "small";
    make_good(schedule, "one");
    tenant = "large";
    for (int i = 0; i < 100; i++) {
        add(schedule, name_of("many", i % 20), 4);
    }
    tenant = "small";
    for (int i = 0; i < 40; i++) {
        add(schedule, "one", 4);
    }
    is_int(refused_count(schedule), 0, "a hundred jobs of one tenant and forty of another wait");
    for (int i = 0; i < 80; i++) {
        rh_work_t *work = rh_schedule_next(schedule, now);

        fair = fair && strcmp(work->job->tenant, i % 2 ? "small" : "large") == 0;
        if (i % 2 == 0) {
            of[atoi(work->job->subscription_id + 4)]++;
        }
        finish(schedule, work, RH_VERDICT_ANSWERED);
    }
    ok(fair, "tenants take turns, however many subscriptions one has");
    for (int i = 0; i < 20; i++) {
        each = each && of[i] == 2;
    }
    ok(each, "within a tenant its subscriptions take turns");
    is_int(start_all(schedule, NULL), 1, "when a tenant has no jobs left, the others' continue");
    rh_schedule_refuse_all(schedule);
    refused_count(schedule);
    rh_schedule_destroy(schedule);
    tenant = "acme";
}

/** Give a tenant jobs for as many targets as it likes, all of which hang. */
static int push(rh_schedule_t *schedule, const char *name, int targets, rh_work_t **works)
{
    tenant = name;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < targets; i++) {
            add(schedule, name_of(name, i), 16);
        }
    }
    tenant = "acme";
    return start_all(schedule, works);
}

static bool starts_at_once(rh_schedule_t *schedule, const char *id)
{
    rh_work_t *work;

    tenant = id;
    work = add(schedule, id, 16);
    tenant = "acme";
    return rh_schedule_next(schedule, now) == work;
}

static void test_hostile_tenant(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 32, 128, 64, 1000);
    rh_work_t *works[64];
    int count = push(schedule, "hostile", 100, works);

    is_int(count, 21, "a tenant whose hundred new targets hang holds 21 of 32 slots");
    ok(starts_at_once(schedule, "newcomer"), "another tenant's new target is attempted at once");
    ok(starts_at_once(schedule, "another"), "so is one of a third tenant");
    refused_count(schedule);
    now += SECONDS(12);
    for (int i = 0; i < count; i++) {
        rh_schedule_finished(schedule, works[i], RH_VERDICT_ANSWERED, SECONDS(12), 0, now);
    }
    count = push(schedule, "hostile", 100, works);
    ok(count >= 17 && count <= 21, "when its targets are known to be slow it holds no more (%d)",
       count);
    ok(starts_at_once(schedule, "newcomer2"), "a new target is still attempted at once");
    rh_schedule_refuse_all(schedule);
    refused_count(schedule);
    rh_schedule_destroy(schedule);
}

static void test_many_hostile_tenants(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 32, 128, 64, 1000);
    rh_work_t *works[64];
    int count = 0;

    for (int i = 0; i < 8; i++) {
        count += push(schedule, name_of("hostile", i), 20, works + count);
    }
    refused_count(schedule);
    now += SECONDS(12);
    for (int i = 0; i < count; i++) {
        rh_schedule_finished(schedule, works[i], RH_VERDICT_ANSWERED, SECONDS(12), 0, now);
    }
    start_all(schedule, NULL);
    for (int i = 0; i < 8; i++) {
        push(schedule, name_of("hostile", i), 20, NULL);
    }
    refused_count(schedule);
    ok(rh_schedule_in_flight(schedule) <= 24, "eight tenants with slow targets leave slots free");
    rh_schedule_destroy(schedule);

    schedule = rh_schedule_make(pool, 32, 128, 64, 1000);
    for (int i = 0; i < 8; i++) {
        push(schedule, name_of("hostile", i), 20, NULL);
    }
    refused_count(schedule);
    tenant = "newcomer";
    add(schedule, "newcomer", 16);
    tenant = "acme";
    ok(refused_count(schedule) <= 1 && rh_schedule_waiting(schedule) > 0,
       "when the memory for waiting jobs is used up, a job of the tenant with most is released");
    rh_schedule_refuse_all(schedule);
    refused_count(schedule);
    rh_schedule_destroy(schedule);
}

/** Targets that responded well may use all of the memory, but not those of one tenant. */
static void test_memory(void)
{
    rh_schedule_t *schedule = rh_schedule_make(pool, 32, 128, 64, 1000);
    int taken = 0;

    tenant = "hostile";
    for (int i = 0; i < 40; i++) {
        make_good(schedule, name_of("well", i));
    }
    for (int i = 0; i < 100; i++) {
        rh_work_t *work = add(schedule, name_of("well", i % 40), 16);

        taken += rh_schedule_refused(schedule) != work;
    }
    is_int(taken, 56, "one tenant's jobs get seven eighths of the memory");
    tenant = "other";
    add(schedule, "other", 16);
    ok(rh_schedule_refused(schedule) == NULL, "another tenant's job finds memory");
    tenant = "acme";
    rh_schedule_refuse_all(schedule);
    refused_count(schedule);
    rh_schedule_destroy(schedule);
}

int main(void)
{
    static void (*const tests[])(void) = {test_shares_of_tenants, test_turns, test_hostile_tenant,
                                          test_many_hostile_tenants, test_memory};

    return run_tests(tests, (int)(sizeof(tests) / sizeof(tests[0])));
}
