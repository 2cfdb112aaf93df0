/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file schedule_help.h
 * @brief Jobs for a schedule under test, and a clock that tests advance.
 */
#ifndef RH_SCHEDULE_HELP_H
#define RH_SCHEDULE_HELP_H

#include "rh_schedule.h"
#include "tap.h"
#include "shared_pool.h"

#include <apr_general.h>
#include <stdlib.h>

#define MSEC(number) apr_time_from_msec(number)
#define SECONDS(number) apr_time_from_sec(number)
#define SLOW SECONDS(5) /**< duration after which an endpoint counts as slow */

extern apr_time_t now;

extern const char
    *tenant; /**< tenant of jobs made from now on; NULL: each subscription has its own */

/** Make a job for a subscription. */
rh_work_t *make_work(const char *id, int concurrency);

rh_work_t *add(rh_schedule_t *schedule, const char *id, int concurrency);

rh_work_t *add_failing(rh_schedule_t *schedule, const char *id, int concurrency);

rh_work_t *add_limited(rh_schedule_t *schedule, const char *id, int rate);

apr_interval_time_t finish(rh_schedule_t *schedule, rh_work_t *work, rh_verdict_t verdict);

/** Let an endpoint become one that responds soon. */
void make_good(rh_schedule_t *schedule, const char *id);

/** Start all jobs that may start now. @param works receives them; NULL: not wanted */
int start_all(rh_schedule_t *schedule, rh_work_t **works);

int refused_count(rh_schedule_t *schedule);

const char *name_of(const char *prefix, int number);

int run_tests(void (*const tests[])(void), int count);

#endif
