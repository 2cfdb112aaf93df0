/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_round.h
 * @brief Whose turn it is: tenants go round, and within a tenant its endpoints.
 *
 * A round holds endpoints that wait for the same thing. The endpoints of one tenant form a group
 * in it; groups take turns, so that a tenant gets one turn per round however many subscriptions it
 * has. An endpoint is in one round at most, so a tenant needs no more groups than it has
 * endpoints: each endpoint brings one along, and taking a place in a round never allocates.
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
    rh_group_t *next; /**< of the tenant: in use, or spare */
    APR_RING_HEAD(rh_member_head_t, rh_endpoint_t) endpoints;
};

struct rh_round_t {
    APR_RING_HEAD(rh_group_head_t, rh_group_t) groups; /**< none is empty */
};

/** What one loop knows of a tenant; lives as long as the loop remembers an endpoint of it. */
struct rh_tenant_t {
    rh_usage_t in_flight; /**< slots that it holds, by the class that took them */
    rh_usage_t waiting;   /**< jobs, by the class of the endpoint */
    int endpoints;
    rh_group_t *groups, *spare;
    char id[];
};

/** A tenant from the heap, without endpoints; NULL when memory is short. */
rh_tenant_t *rh_tenant_make(const char *id);

/** Make `endpoint` one of the tenant's. @return false when memory is short */
bool rh_tenant_join(rh_tenant_t *tenant, rh_endpoint_t *endpoint);

/** Undo rh_tenant_join; the endpoint is in no round. @return whether it was the last one: the
 * caller then frees the tenant */
bool rh_tenant_leave(rh_tenant_t *tenant);

void rh_round_init(rh_round_t *round);
bool rh_round_empty(const rh_round_t *round);

/** Put an endpoint, which is in no round, at its tenant's end of this one. */
void rh_round_add(rh_round_t *round, rh_endpoint_t *endpoint);

/** Take an endpoint out of its round. */
void rh_round_remove(rh_endpoint_t *endpoint);

/** The first endpoint of the tenant whose turn it is; the round is not empty. */
rh_endpoint_t *rh_round_first(const rh_round_t *round);

/** `tenant` has had its turn: the others' come first. It need not be in the round. */
void rh_round_turn(rh_round_t *round, const rh_tenant_t *tenant);

#endif
