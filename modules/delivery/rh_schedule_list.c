/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_schedule_private.h"

#include <stdlib.h>

rh_schedule_t *rh_schedule_make(apr_pool_t *pool, int slots, int capacity, int memory,
                                int max_endpoints)
{
    rh_schedule_t *schedule = apr_pcalloc(pool, sizeof(*schedule));
    int i;

    for (i = 0; i < RH_LIST_PLAIN; i++) {
        APR_RING_INIT(&schedule->lists[i], rh_endpoint_t, link);
    }
    rh_round_init(&schedule->ready);
    for (i = 0; i < RH_ENDPOINT_CLASSES; i++) {
        rh_round_init(&schedule->crowded[i]);
    }
    APR_RING_INIT(&schedule->holders, rh_endpoint_t, holder);
    APR_RING_INIT(&schedule->refused, rh_work_t, link);
    schedule->endpoints = apr_hash_make(pool);
    schedule->tenants = apr_hash_make(pool);
    schedule->jammed = apr_hash_make(pool);
    APR_RING_INIT(&schedule->jams, rh_jam_t, link);
    schedule->slots = slots;
    schedule->capacity = capacity;
    schedule->memory = memory;
    schedule->max_endpoints = max_endpoints;
    return schedule;
}

/** Remove an endpoint from the list or round that it is in, if any. */
static void detach_endpoint(rh_schedule_t *schedule, rh_endpoint_t *endpoint)
{
    if (endpoint->group) {
        rh_round_remove(endpoint);
        if (endpoint->jam) {
            rh_schedule_leave_jam(schedule, endpoint);
        }
    } else if (endpoint->list != RH_LIST_PLAIN) {
        APR_RING_REMOVE(endpoint, link);
    }
}

void rh_schedule_move(rh_schedule_t *schedule, rh_endpoint_t *endpoint, rh_list_t list)
{
    detach_endpoint(schedule, endpoint);
    APR_RING_INSERT_TAIL(&schedule->lists[list], endpoint, rh_endpoint_t, link);
    endpoint->list = list;
}

void rh_schedule_make_ready(rh_schedule_t *schedule, rh_endpoint_t *endpoint)
{
    detach_endpoint(schedule, endpoint);
    rh_round_add(&schedule->ready, endpoint);
    endpoint->list = RH_LIST_READY;
}

void rh_schedule_make_crowded(rh_schedule_t *schedule, rh_endpoint_t *endpoint, int missing)
{
    detach_endpoint(schedule, endpoint);
    rh_round_add(&schedule->crowded[missing], endpoint);
    endpoint->list = RH_LIST_CROWDED;
}

void rh_schedule_count_breaker(const rh_endpoint_t *endpoint, int by)
{
    rh_metrics_move(endpoint->metrics, RH_GAUGE_BREAKERS, by);
}

void rh_schedule_forget(rh_schedule_t *schedule, rh_endpoint_t *endpoint)
{
    rh_tenant_t *tenant = endpoint->tenant;

    rh_schedule_count_breaker(endpoint, -(int)endpoint->open);
    detach_endpoint(schedule, endpoint);
    apr_hash_set(schedule->endpoints, endpoint->id, APR_HASH_KEY_STRING, NULL);
    if (endpoint->host) {
        rh_host_release(endpoint->host);
    }
    free(endpoint->target);
    free(endpoint);
    if (rh_tenant_leave(tenant)) {
        apr_hash_set(schedule->tenants, tenant->id, APR_HASH_KEY_STRING, NULL);
        free(tenant);
    }
}

void rh_schedule_destroy(rh_schedule_t *schedule)
{
    apr_hash_index_t *entry;

    while ((entry = apr_hash_first(NULL, schedule->endpoints)) != NULL) {
        rh_schedule_forget(schedule, apr_hash_this_val(entry));
    }
}

void rh_schedule_count_waiting(rh_schedule_t *schedule, rh_endpoint_t *endpoint,
                               rh_endpoint_class_t class, int by)
{
    schedule->waiting_of.of[class] += by;
    endpoint->tenant->waiting.of[class] += by;
}

void rh_schedule_enqueue(rh_schedule_t *schedule, rh_endpoint_t *endpoint, rh_work_t *work)
{
    if (endpoint->waiting_count++ == 0) {
        APR_RING_INSERT_TAIL(&schedule->holders, endpoint, rh_endpoint_t, holder);
    }
    APR_RING_INSERT_TAIL(&endpoint->waiting, work, rh_work_t, link);
    rh_schedule_count_waiting(schedule, endpoint, rh_endpoint_class(endpoint), 1);
    schedule->waiting++;
    if (endpoint->jam) {
        endpoint->jam->jobs++;
    }
}

void rh_schedule_take_out(rh_schedule_t *schedule, rh_endpoint_t *endpoint, rh_work_t *work)
{
    APR_RING_REMOVE(work, link);
    if (--endpoint->waiting_count == 0) {
        APR_RING_REMOVE(endpoint, holder);
    }
    rh_schedule_count_waiting(schedule, endpoint, rh_endpoint_class(endpoint), -1);
    schedule->waiting--;
    if (endpoint->jam) {
        endpoint->jam->jobs--;
    }
}

rh_work_t *rh_schedule_dequeue(rh_schedule_t *schedule, rh_endpoint_t *endpoint)
{
    rh_work_t *work = APR_RING_FIRST(&endpoint->waiting);

    rh_schedule_take_out(schedule, endpoint, work);
    return work;
}

void rh_schedule_rest(rh_schedule_t *schedule, rh_endpoint_t *endpoint, apr_time_t now)
{
    if (endpoint->in_flight > 0) {
        rh_schedule_move(schedule, endpoint, RH_LIST_BUSY);
    } else {
        endpoint->idle_since = now;
        rh_schedule_move(schedule, endpoint, RH_LIST_IDLE);
    }
}

/** Find or make the tenant's record. @return NULL if memory is short */
static rh_tenant_t *find_tenant(rh_schedule_t *schedule, const char *id)
{
    rh_tenant_t *tenant = apr_hash_get(schedule->tenants, id, APR_HASH_KEY_STRING);

    if (!tenant && (tenant = rh_tenant_make(id)) != NULL) {
        apr_hash_set(schedule->tenants, tenant->id, APR_HASH_KEY_STRING, tenant);
    }
    return tenant;
}

rh_endpoint_t *rh_schedule_make_endpoint(rh_schedule_t *schedule, const rh_work_t *work,
                                         apr_time_t now)
{
    const rh_job_t *job = work->job;
    rh_tenant_t *tenant = find_tenant(schedule, job->tenant);
    rh_endpoint_t *endpoint =
        tenant ? rh_endpoint_make(job->subscription_id, job->failing_for, now) : NULL;

    if (!endpoint || !rh_tenant_join(tenant, endpoint)) {
        free(endpoint);
        if (tenant && tenant->endpoints == 0) {
            apr_hash_set(schedule->tenants, tenant->id, APR_HASH_KEY_STRING, NULL);
            free(tenant);
        }
        return NULL;
    }
    APR_RING_INIT(&endpoint->waiting, rh_work_t, link);
    endpoint->metrics = work->metrics;
    rh_schedule_count_breaker(endpoint, endpoint->open);
    apr_hash_set(schedule->endpoints, endpoint->id, APR_HASH_KEY_STRING, endpoint);
    endpoint->idle_since = now;
    rh_schedule_move(schedule, endpoint, RH_LIST_IDLE);
    return endpoint;
}
