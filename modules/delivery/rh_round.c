/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_round.h"

#include <stdlib.h>

rh_tenant_t *rh_tenant_make(const char *id)
{
    apr_size_t len = strlen(id);
    rh_tenant_t *tenant = calloc(1, sizeof(*tenant) + len + 1);

    if (tenant) {
        memcpy(tenant->id, id, len + 1);
    }
    return tenant;
}

bool rh_tenant_join(rh_tenant_t *tenant, rh_endpoint_t *endpoint)
{
    rh_group_t *group = calloc(1, sizeof(*group));

    if (!group) {
        return false;
    }
    APR_RING_ELEM_INIT(group, link);
    APR_RING_INIT(&group->endpoints, rh_endpoint_t, link);
    group->tenant = tenant;
    group->next = tenant->spare;
    tenant->spare = group;
    tenant->endpoints++;
    endpoint->tenant = tenant;
    return true;
}

bool rh_tenant_leave(rh_tenant_t *tenant)
{
    rh_group_t *group = tenant->spare;

    tenant->spare = group->next;
    free(group);
    return --tenant->endpoints == 0;
}

void rh_round_init(rh_round_t *round)
{
    APR_RING_INIT(&round->groups, rh_group_t, link);
}

bool rh_round_empty(const rh_round_t *round)
{
    return APR_RING_EMPTY(&round->groups, rh_group_t, link);
}

void rh_round_add(rh_round_t *round, rh_endpoint_t *endpoint)
{
    rh_tenant_t *tenant = endpoint->tenant;
    rh_group_t *group = tenant->groups;

    while (group && group->round != round) {
        group = group->next;
    }
    if (!group) {
        group = tenant->spare;
        tenant->spare = group->next;
        group->next = tenant->groups;
        tenant->groups = group;
        group->round = round;
        APR_RING_INSERT_TAIL(&round->groups, group, rh_group_t, link);
    }
    endpoint->group = group;
    APR_RING_INSERT_TAIL(&group->endpoints, endpoint, rh_endpoint_t, link);
}

void rh_round_remove(rh_endpoint_t *endpoint)
{
    rh_tenant_t *tenant = endpoint->tenant;
    rh_group_t *group = endpoint->group, **place = &tenant->groups;

    APR_RING_REMOVE(endpoint, link);
    endpoint->group = NULL;
    if (!APR_RING_EMPTY(&group->endpoints, rh_endpoint_t, link)) {
        return;
    }
    APR_RING_REMOVE(group, link);
    while (*place != group) {
        place = &(*place)->next;
    }
    *place = group->next;
    group->round = NULL;
    group->next = tenant->spare;
    tenant->spare = group;
}

rh_endpoint_t *rh_round_first(const rh_round_t *round)
{
    return APR_RING_FIRST(&APR_RING_FIRST(&round->groups)->endpoints);
}

void rh_round_turn(rh_round_t *round, const rh_tenant_t *tenant)
{
    rh_group_t *first = APR_RING_FIRST(&round->groups);

    if (!rh_round_empty(round) && first->tenant == tenant) {
        APR_RING_REMOVE(first, link);
        APR_RING_INSERT_TAIL(&round->groups, first, rh_group_t, link);
    }
}
