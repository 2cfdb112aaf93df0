/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_schedule_private.h
 * @brief The lists of a schedule, and what is counted in them; rh_schedule.c decides over them.
 */
#ifndef RH_SCHEDULE_PRIVATE_H
#define RH_SCHEDULE_PRIVATE_H

#include "rh_round.h"
#include "rh_schedule.h"

APR_RING_HEAD(rh_endpoint_head_t, rh_endpoint_t);

struct rh_schedule_t {
    struct rh_endpoint_head_t lists[RH_LIST_PLAIN];
    rh_round_t ready;
    rh_round_t crowded[RH_ENDPOINT_CLASSES];                /**< by the pool that is used up */
    APR_RING_HEAD(rh_holder_head_t, rh_endpoint_t) holders; /**< endpoints for which jobs wait */
    struct rh_work_head_t refused;
    apr_hash_t *endpoints; /**< id -> rh_endpoint_t *; keys are the endpoints' own */
    apr_hash_t *tenants;   /**< id -> rh_tenant_t *; keys are the tenants' own */
    int slots, capacity, memory, max_endpoints;
    int in_flight, waiting;
    rh_usage_t slots_of;   /**< in flight, by the class that took them */
    rh_usage_t waiting_of; /**< by the class of the endpoint */
    apr_time_t timed_wake; /**< the earliest wake_at of the timed; 0: none */
    bool was_crowded;
};

/** Move an endpoint to the end of a plain list. */
void rh_schedule_move(rh_schedule_t *schedule, rh_endpoint_t *endpoint, rh_list_t list);
/** Move an endpoint to its tenant's end of those that may start. */
void rh_schedule_make_ready(rh_schedule_t *schedule, rh_endpoint_t *endpoint);
/** Have an endpoint wait for a slot of the pool of class `missing`. */
void rh_schedule_make_crowded(rh_schedule_t *schedule, rh_endpoint_t *endpoint, int missing);
/** Put an endpoint into the list where it belongs when nothing waits for it. */
void rh_schedule_rest(rh_schedule_t *schedule, rh_endpoint_t *endpoint, apr_time_t now);

/** Make an idle endpoint, and its tenant's record if there is none. NULL: memory is short. */
rh_endpoint_t *rh_schedule_make_endpoint(rh_schedule_t *schedule, const rh_work_t *work,
                                         apr_time_t now);
/** Forget an endpoint for which nothing waits and nothing is in flight. */
void rh_schedule_forget(rh_schedule_t *schedule, rh_endpoint_t *endpoint);

/** Have a job wait, as its endpoint's last. */
void rh_schedule_enqueue(rh_schedule_t *schedule, rh_endpoint_t *endpoint, rh_work_t *work);
/** Take a job out that waits. */
void rh_schedule_take_out(rh_schedule_t *schedule, rh_endpoint_t *endpoint, rh_work_t *work);
/** Take the first job out that waits for an endpoint; there is one. */
rh_work_t *rh_schedule_dequeue(rh_schedule_t *schedule, rh_endpoint_t *endpoint);
/** Count jobs that wait for an endpoint as long as its class is `class`. */
void rh_schedule_count_waiting(rh_schedule_t *schedule, rh_endpoint_t *endpoint,
                               rh_endpoint_class_t class, int by);
/** Count a breaker that opened (1) or closed (-1). */
void rh_schedule_count_breaker(const rh_endpoint_t *endpoint, int by);

#endif
