/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_capacity.h
 * @brief The limit on how many jobs one engine holds in memory.
 *
 * All functions may be called from any thread.
 */
#ifndef RH_CAPACITY_H
#define RH_CAPACITY_H

#include "rh_base.h"

typedef struct rh_capacity_t rh_capacity_t;

/** @param jobs maximum number of jobs in memory; the result lives in `pool` */
rh_capacity_t *rh_capacity_make(apr_pool_t *pool, int jobs);

int rh_capacity_max(const rh_capacity_t *capacity);

/** Reserve memory for up to `wanted` jobs. @return the number reserved; return each one later */
int rh_capacity_reserve(rh_capacity_t *capacity, int wanted);
void rh_capacity_return(rh_capacity_t *capacity, int count);

/**
 * Note that jobs found no slots. Claims hold back until `until`, as hanging targets fill the loops.
 */
void rh_capacity_crowd(rh_capacity_t *capacity, apr_time_t until);
bool rh_capacity_is_crowded(const rh_capacity_t *capacity, apr_time_t now);

#endif
