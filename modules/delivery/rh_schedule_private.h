/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_schedule_private.h
 * @brief The lists of a schedule and their counts. The decisions are in rh_schedule.c.
 */
#ifndef RH_SCHEDULE_PRIVATE_H
#define RH_SCHEDULE_PRIVATE_H

#include "rh_round.h"
#include "rh_schedule.h"

APR_RING_HEAD(rh_endpoint_head_t, rh_endpoint_t);

/** A jam: the endpoints of one host and port that wait for a slot of it. */
typedef struct rh_jam_t {
    APR_RING_ENTRY(rh_jam_t) link;
    const void *identity; /**< identity of the host; the key in rh_schedule_t.jammed */
    rh_round_t round;     /**< never empty */
    int jobs;             /**< number of jobs that wait for these endpoints */
    bool looked;          /**< none of them may start before a slot is given back … */
    apr_uint32_t gives;   /**< … after this number of them */
} rh_jam_t;

struct rh_schedule_t {
    struct rh_endpoint_head_t lists[RH_LIST_PLAIN];
    rh_round_t ready;
    rh_round_t crowded[RH_ENDPOINT_CLASSES]; /**< rounds, by the pool that is used
                                                  up */
    APR_RING_HEAD(rh_holder_head_t, rh_endpoint_t)
    holders;            /**< endpoints with waiting jobs */
    rh_hosts_t *hosts;  /**< NULL: hosts are not limited */
    int loop;           /**< the number of this loop in that table */
    apr_hash_t *jammed; /**< identity of a host -> rh_jam_t * */
    APR_RING_HEAD(rh_jam_head_t, rh_jam_t) jams;
    struct rh_work_head_t refused;
    apr_hash_t *endpoints; /**< id -> rh_endpoint_t *; keys are the endpoints' own */
    apr_hash_t *tenants;   /**< id -> rh_tenant_t *; keys are the tenants' own */
    int slots, capacity, memory, max_endpoints;
    int in_flight, waiting;
    rh_usage_t slots_of;   /**< slots in use, by the class that took them */
    rh_usage_t waiting_of; /**< waiting jobs, by the class of the endpoint */
    apr_time_t timed_wake; /**< the earliest wake_at in RH_LIST_TIMED; 0: none */
    bool was_crowded;
};

/** Move an endpoint to the end of a plain list. */
void rh_schedule_move(rh_schedule_t *schedule, rh_endpoint_t *endpoint, rh_list_t list);
/** Move an endpoint to the end of its tenant's group in the ready round. */
void rh_schedule_make_ready(rh_schedule_t *schedule, rh_endpoint_t *endpoint);
/** Make an endpoint wait for a slot of the pool of class `missing`. */
void rh_schedule_make_crowded(rh_schedule_t *schedule, rh_endpoint_t *endpoint, int missing);
/** Make an endpoint wait for a slot of its first job's host. @return false if memory is short */
bool rh_schedule_make_jammed(rh_schedule_t *schedule, rh_endpoint_t *endpoint);
/** Remove an endpoint from its jam. */
void rh_schedule_leave_jam(rh_schedule_t *schedule, rh_endpoint_t *endpoint);
/**
 * Find an endpoint that may have a slot of its host now; the caller makes it ready.
 * @return NULL: there is none, and the next slot that any loop gives back wakes this loop
 */
rh_endpoint_t *rh_schedule_find_jammed(rh_schedule_t *schedule);
/** Find the jam of a host. @return NULL: there is none */
rh_jam_t *rh_schedule_jam(const rh_schedule_t *schedule, const rh_host_t *host);
/** Set a job's host, which it refers to until it is refused or finished. */
void rh_schedule_set_host(rh_schedule_t *schedule, rh_endpoint_t *endpoint, rh_work_t *work);

/** Move an endpoint to the list where it belongs when no job waits for it. */
void rh_schedule_rest(rh_schedule_t *schedule, rh_endpoint_t *endpoint, apr_time_t now);

/** Make an idle endpoint, and its tenant's record if needed. @return NULL if memory is short */
rh_endpoint_t *rh_schedule_make_endpoint(rh_schedule_t *schedule, const rh_work_t *work,
                                         apr_time_t now);
/** Forget an endpoint without waiting jobs or attempts in flight. */
void rh_schedule_forget(rh_schedule_t *schedule, rh_endpoint_t *endpoint);

/** Append a job to its endpoint's waiting jobs. */
void rh_schedule_enqueue(rh_schedule_t *schedule, rh_endpoint_t *endpoint, rh_work_t *work);
/** Remove a waiting job. */
void rh_schedule_take_out(rh_schedule_t *schedule, rh_endpoint_t *endpoint, rh_work_t *work);
/** Remove the first waiting job of an endpoint; there must be one. */
rh_work_t *rh_schedule_dequeue(rh_schedule_t *schedule, rh_endpoint_t *endpoint);
/** Add to the number of jobs that wait for an endpoint while its class is `class`. */
void rh_schedule_count_waiting(rh_schedule_t *schedule, rh_endpoint_t *endpoint,
                               rh_endpoint_class_t class, int by);
/** Count a breaker that opened (1) or closed (-1). */
void rh_schedule_count_breaker(const rh_endpoint_t *endpoint, int by);

#endif
