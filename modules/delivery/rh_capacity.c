/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_capacity.h"

#include "rh_atomic.h"

struct rh_capacity_t {
    int max;
    int jobs;                 /**< jobs in memory or reserved for a claim or commit; atomic */
    apr_time_t crowded_until; /**< end of the time in which claims hold back; atomic */
};

rh_capacity_t *rh_capacity_make(apr_pool_t *pool, int jobs)
{
    rh_capacity_t *capacity = apr_pcalloc(pool, sizeof(*capacity));

    capacity->max = jobs;
    return capacity;
}

int rh_capacity_max(const rh_capacity_t *capacity)
{
    return capacity->max;
}

int rh_capacity_reserve(rh_capacity_t *capacity, int wanted)
{
    int jobs = rh_atomic_get(capacity->jobs), got;

    do {
        got = capacity->max - jobs < wanted ? capacity->max - jobs : wanted;
        if (got <= 0) {
            return 0;
        }
    } while (!__atomic_compare_exchange_n(&capacity->jobs, &jobs, jobs + got, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return got;
}

void rh_capacity_return(rh_capacity_t *capacity, int count)
{
    rh_atomic_add(capacity->jobs, -count);
}

void rh_capacity_crowd(rh_capacity_t *capacity, apr_time_t until)
{
    rh_atomic_set(capacity->crowded_until, until);
}

bool rh_capacity_is_crowded(const rh_capacity_t *capacity, apr_time_t now)
{
    return rh_atomic_get(capacity->crowded_until) > now;
}
