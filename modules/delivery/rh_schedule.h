/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_schedule.h
 * @brief Chooses the next job of one event loop. It reads no clock, and does no input or output.
 *
 * Tenants take turns, and within a tenant its endpoints (rh_round.h). So that targets which hang
 * can't take every slot, nor one tenant with many of them, slots are shared by class and tenant
 * (rh_share.h). Jobs that can't start soon are refused and go back to the store, which bounds what
 * waits here:
 *
 *   of one endpoint                 rh_endpoint_room()
 *   of a class but the good one,
 *   and of a tenant in it           as many as it may have slots (rh_share.h)
 *   of one host that has no slots   half of the memory that other jobs leave
 *   of one tenant                   RH_TENANT_SHARE times the memory that it leaves free
 *   all                             the engine's limit of jobs in memory
 *
 * Where such a share is used up, a job that could start takes the place of one that waits for its
 * own endpoint's slots.
 */
#ifndef RH_SCHEDULE_H
#define RH_SCHEDULE_H

#include "rh_endpoint.h"
#include "rh_hosts.h"
#include "rh_metrics.h"
#include "rh_store.h"
#include "rh_transport.h"

struct rh_dispatcher_t;
struct rh_loop_t;

/** A job on its way through the engine. It lives in the job's pool. */
typedef struct rh_work_t rh_work_t;
struct rh_work_t {
    APR_RING_ENTRY(rh_work_t) link;
    rh_job_t *job;
    bool handed;         /**< it came straight from a commit, not from a claim */
    int concurrency;     /**< setting of its site: maximum number of attempts in flight to its
                              endpoint */
    int per_host;        /**< likewise, to its host and port; 0: no limit */
    rh_host_t *host;     /**< used by the schedule; NULL: its host is not limited */
    apr_time_t start_by; /**< an attempt that starts later could outlive the lease */
    apr_time_t added_at; /**< used by the schedule */
    rh_endpoint_t *endpoint;
    rh_endpoint_class_t class; /**< the class whose slot it took */
    bool probe;
    rh_exchange_t exchange;
    rh_settle_t settle;
    const rh_metrics_t *metrics;   /**< metrics of its site; may be NULL */
    struct rh_dispatcher_t *owner; /**< the dispatcher that settles it */
    struct rh_loop_t *loop;        /**< the loop that runs it */
};

APR_RING_HEAD(rh_work_head_t, rh_work_t);
typedef struct rh_work_head_t rh_work_head_t;

typedef struct rh_schedule_t rh_schedule_t;

/**
 * @param slots maximum number of attempts in flight
 * @param capacity maximum number of jobs that the engine holds in memory
 * @param memory this loop's share of them
 * @param max_endpoints maximum number of idle endpoints that are remembered
 */
rh_schedule_t *rh_schedule_make(apr_pool_t *pool, int slots, int capacity, int memory,
                                int max_endpoints);

/** Share the slots of hosts with the other loops. This loop has the number `loop`. */
void rh_schedule_share_hosts(rh_schedule_t *schedule, rh_hosts_t *hosts, int loop);

/** Forget every endpoint. The schedule must not hold a job any more. */
void rh_schedule_destroy(rh_schedule_t *schedule);

/** Take a job, or refuse it: see rh_schedule_refused. */
void rh_schedule_add(rh_schedule_t *schedule, rh_work_t *work, apr_time_t now);

/** Return the next job to start, which then counts as in flight; NULL: none may start now. */
rh_work_t *rh_schedule_next(rh_schedule_t *schedule, apr_time_t now);

/**
 * Note that the attempt of a job from rh_schedule_next has ended.
 * @param pause what the target asked for
 * @return how long the subscription should wait in the store, 0: not at all
 */
apr_interval_time_t rh_schedule_finished(rh_schedule_t *schedule, rh_work_t *work,
                                         rh_verdict_t verdict, apr_interval_time_t duration,
                                         apr_interval_time_t pause, apr_time_t now);

/**
 * Return a job that must go back to the store, with settle.delay and settle.pause set. NULL: none.
 */
rh_work_t *rh_schedule_refused(rh_schedule_t *schedule);

/** Refuse all waiting jobs without delay, because the process stops. */
void rh_schedule_refuse_all(rh_schedule_t *schedule);

/**
 * Refuse jobs that waited too long for their lease; forget idle endpoints. Call it every second.
 */
void rh_schedule_sweep(rh_schedule_t *schedule, apr_time_t now);

/** Return when rh_schedule_next may have a new job if nothing else happens; 0: never. */
apr_time_t rh_schedule_wake_at(const rh_schedule_t *schedule);

int rh_schedule_in_flight(const rh_schedule_t *schedule);
int rh_schedule_waiting(const rh_schedule_t *schedule);
/** For tests: return the number of endpoints that are remembered. */
int rh_schedule_endpoints(const rh_schedule_t *schedule);

/** True if a job was refused for lack of room since the last call. */
bool rh_schedule_was_crowded(rh_schedule_t *schedule);

#endif
