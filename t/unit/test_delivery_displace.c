/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_schedule.h"

#include "tap.h"

#include <apr_general.h>

static apr_pool_t *pool;
static apr_time_t now = apr_time_from_sec(1000000);

static rh_work_t *add(rh_schedule_t *schedule, const char *id, int concurrency)
{
    rh_work_t *work = apr_pcalloc(pool, sizeof(*work));

    work->job = apr_pcalloc(pool, sizeof(*work->job));
    work->job->tenant = id;
    work->job->subscription_id = id;
    work->concurrency = concurrency;
    work->start_by = now + apr_time_from_sec(28);
    rh_schedule_add(schedule, work, now);
    return work;
}

/** Jobs for two hanging targets take twelve of 16 slots of memory; all slots of both are in use. */
static rh_schedule_t *make_crowded(void)
{
    static const char *const ids[] = {"hanging", "dripping"};
    rh_schedule_t *schedule = rh_schedule_make(pool, 16, 64, 64, 100);

    for (int i = 0; i < 2; i++) {
        for (int n = 0; n < 2 + 6; n++) {
            add(schedule, ids[i], 2);
            rh_schedule_next(schedule, now);
        }
    }
    return schedule;
}

int main(void)
{
    rh_schedule_t *schedule;
    rh_work_t *work, *refused;
    int others = 0;

    apr_initialize();
    apr_pool_create(&pool, NULL);

    schedule = make_crowded();
    is_int(rh_schedule_in_flight(schedule), 4, "two targets hang with two attempts each");
    is_int(rh_schedule_waiting(schedule), 12, "six more jobs wait for each");
    ok(rh_schedule_refused(schedule) == NULL,
       "this is the maximum that may wait for unknown targets");
    work = add(schedule, "newcomer", 2);
    refused = rh_schedule_refused(schedule);
    ok(refused && refused != work, "a job of a new target displaces one of these");
    ok(refused && refused->settle.delay > 0, "the displaced job is released for some time");
    is_int(rh_schedule_waiting(schedule), 12, "no more jobs wait than before");
    ok(rh_schedule_next(schedule, now) == work, "the new job may start");

    work = add(schedule, "hanging", 2);
    ok(rh_schedule_refused(schedule) == NULL && rh_schedule_waiting(schedule) == 12,
       "the memory that it leaves is free again");
    work = add(schedule, "dripping", 2);
    ok(rh_schedule_refused(schedule) == work, "a job that can't start displaces none");
    for (int i = 0; i < 14; i++) {
        char *id = apr_psprintf(pool, "other%d", i);

        add(schedule, id, 2);
        others += rh_schedule_next(schedule, now) != NULL;
    }
    is_int(others, 12 - 5, "new jobs start as long as there are slots for unknown targets");
    rh_schedule_refuse_all(schedule);
    is_int(rh_schedule_waiting(schedule), 0, "the counts are still right");
    rh_schedule_destroy(schedule);

    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
