/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "schedule_help.h"

apr_time_t now = SECONDS(1000000);

const char *tenant = "acme";

rh_work_t *make_work(const char *id, int concurrency)
{
    rh_work_t *work = apr_pcalloc(pool, sizeof(*work));

    work->job = apr_pcalloc(pool, sizeof(*work->job));
    work->job->tenant = tenant ? tenant : id;
    work->job->subscription_id = apr_pstrdup(pool, id);
    work->concurrency = concurrency;
    work->start_by = now + SECONDS(28);
    return work;
}

rh_work_t *add(rh_schedule_t *schedule, const char *id, int concurrency)
{
    rh_work_t *work = make_work(id, concurrency);

    rh_schedule_add(schedule, work, now);
    return work;
}

rh_work_t *add_failing(rh_schedule_t *schedule, const char *id, int concurrency)
{
    rh_work_t *work = make_work(id, concurrency);

    work->job->failing_for = SECONDS(1);
    rh_schedule_add(schedule, work, now);
    return work;
}

rh_work_t *add_limited(rh_schedule_t *schedule, const char *id, int rate)
{
    rh_work_t *work = make_work(id, 100);

    work->job->rate_limit = rate;
    rh_schedule_add(schedule, work, now);
    return work;
}

apr_interval_time_t finish(rh_schedule_t *schedule, rh_work_t *work, rh_verdict_t verdict)
{
    return rh_schedule_finished(schedule, work, verdict, MSEC(20), 0, now);
}

void make_good(rh_schedule_t *schedule, const char *id)
{
    add(schedule, id, 4);
    finish(schedule, rh_schedule_next(schedule, now), RH_VERDICT_ANSWERED);
}

int start_all(rh_schedule_t *schedule, rh_work_t **works)
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

int refused_count(rh_schedule_t *schedule)
{
    int count = 0;

    while (rh_schedule_refused(schedule)) {
        count++;
    }
    return count;
}

const char *name_of(const char *prefix, int number)
{
    return apr_psprintf(pool, "%s%d", prefix, number);
}

int run_tests(void (*const tests[])(void), int count)
{
    apr_initialize();
    for (int i = 0; i < count; i++) {
        apr_pool_create(&pool, NULL);
        tests[i]();
        apr_pool_destroy(pool);
    }
    apr_terminate();
    return done_testing();
}
