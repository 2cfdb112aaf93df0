/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_round.h
 * @brief A round robin over tenants, and within each tenant over its endpoints.
 *
 * A round holds endpoints that wait for the same thing. The endpoints of one tenant form a group in
 * it. Groups take turns, so a tenant gets one turn per round, however many subscriptions it has. An
 * endpoint is in one round at most, so a tenant never needs more groups than it has endpoints: each
 * endpoint contributes one, and entering a round never allocates.
 */
#ifndef RH_ROUND_H
#define RH_ROUND_H

#include "rh_endpoint.h"
#include "rh_share.h"

/** The endpoints of one tenant in one round. */
typedef struct rh_group_t rh_group_t;
struct rh_group_t {
    APR_RING_ENTRY(rh_group_t) link;
    const rh_round_t *round;
    rh_tenant_t *tenant;
    rh_group_t *next; /**< all groups of the tenant, in use or spare */
    APR_RING_HEAD(rh_member_head_t, rh_endpoint_t) endpoints;
};

struct rh_round_t {
    APR_RING_HEAD(rh_group_head_t, rh_group_t) groups; /**< no group in it is empty */
};

/** What one loop knows of a tenant. It lives as long as the loop remembers one of its endpoints. */
struct rh_tenant_t {
    rh_usage_t in_flight; /**< slots it holds, by the class that took them */
    rh_usage_t waiting;   /**< number of jobs, by the class of the endpoint */
    int endpoints;
    rh_group_t *groups, *spare;
    char id[];
};

/** Make a tenant without endpoints, from the heap. @return NULL if memory is short */
rh_tenant_t *rh_tenant_make(const char *id);

/** Add `endpoint` to the tenant's. @return false if memory is short */
bool rh_tenant_join(rh_tenant_t *tenant, rh_endpoint_t *endpoint);

/**
 * Undo rh_tenant_join. The endpoint must not be in a round.
 * @return true if it was the last one: the caller then frees the tenant
 */
bool rh_tenant_leave(rh_tenant_t *tenant);

void rh_round_init(rh_round_t *round);
bool rh_round_empty(const rh_round_t *round);

/** Append an endpoint, which must not be in a round, to its tenant's group. */
void rh_round_add(rh_round_t *round, rh_endpoint_t *endpoint);

/** Remove an endpoint from its round. */
void rh_round_remove(rh_endpoint_t *endpoint);

/** Return the first endpoint of the tenant whose turn it is. The round must not be empty. */
rh_endpoint_t *rh_round_first(const rh_round_t *round);

/** End the turn of `tenant`, which need not be in the round: all others come before it. */
void rh_round_turn(rh_round_t *round, const rh_tenant_t *tenant);

#endif
