/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_capacity.h
 * @brief How many jobs one engine holds in memory. All functions may be called from any thread.
 */
#ifndef RH_CAPACITY_H
#define RH_CAPACITY_H

#include "rh_base.h"

typedef struct rh_capacity_t rh_capacity_t;

/** @param jobs maximum of jobs in memory; lives in `pool` */
rh_capacity_t *rh_capacity_make(apr_pool_t *pool, int jobs);

int rh_capacity_max(const rh_capacity_t *capacity);

/** Reserve memory for up to `wanted` jobs. @return for how many; to be returned in the end */
int rh_capacity_reserve(rh_capacity_t *capacity, int wanted);
void rh_capacity_return(rh_capacity_t *capacity, int count);

/** Jobs found no slots until `until`: claims hold back, as targets that hang crowd the loops. */
void rh_capacity_crowd(rh_capacity_t *capacity, apr_time_t until);
bool rh_capacity_is_crowded(const rh_capacity_t *capacity, apr_time_t now);

#endif
