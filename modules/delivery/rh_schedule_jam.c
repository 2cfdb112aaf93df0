/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_schedule_private.h"

#include "rh_url.h"

#include <stdlib.h>

void rh_schedule_share_hosts(rh_schedule_t *schedule, rh_hosts_t *hosts, int loop)
{
    schedule->hosts = hosts;
    schedule->loop = loop;
}

/** Return "host:port" of a URL, in `pool`; NULL: it is not a URL. */
static const char *host_name(apr_pool_t *pool, const char *text)
{
    const char *reason;
    rh_url_t url;
    apr_size_t len;

    if (rh_url_parse(pool, text, strlen(text), &url, &reason) != APR_SUCCESS) {
        return NULL;
    }
    len = strlen(url.host);
    /* The resolver treats both forms of a name alike. */
    if (len > 1 && url.host[len - 1] == '.') {
        len--;
    }
    return apr_psprintf(pool, "%.*s:%d", (int)len, url.host, (int)url.port);
}

void rh_schedule_set_host(rh_schedule_t *schedule, rh_endpoint_t *endpoint, rh_work_t *work)
{
    const rh_job_t *job = work->job;

    work->host = NULL;
    if (!schedule->hosts || work->per_host <= 0) {
        return;
    }
    if (!endpoint->target || strcmp(endpoint->target, job->target_url) != 0) {
        const char *name = host_name(job->pool, job->target_url);

        if (endpoint->host) {
            rh_host_release(endpoint->host);
        }
        free(endpoint->target);
        endpoint->host = name ? rh_host_hold(schedule->hosts, name, job->tenant) : NULL;
        endpoint->target = strdup(job->target_url);
    }
    if (endpoint->host) {
        work->host = rh_host_share(endpoint->host);
    }
}

rh_jam_t *rh_schedule_jam(const rh_schedule_t *schedule, const rh_host_t *host)
{
    const void *identity = host ? rh_host_identity(host) : NULL;

    return host ? apr_hash_get(schedule->jammed, &identity, sizeof(identity)) : NULL;
}

static rh_jam_t *make_jam(rh_schedule_t *schedule, const rh_host_t *host)
{
    rh_jam_t *jam = calloc(1, sizeof(*jam));

    if (jam) {
        APR_RING_ELEM_INIT(jam, link);
        rh_round_init(&jam->round);
        jam->identity = rh_host_identity(host);
        APR_RING_INSERT_TAIL(&schedule->jams, jam, rh_jam_t, link);
        apr_hash_set(schedule->jammed, &jam->identity, sizeof(jam->identity), jam);
    }
    return jam;
}

bool rh_schedule_make_jammed(rh_schedule_t *schedule, rh_endpoint_t *endpoint)
{
    const rh_host_t *host = APR_RING_FIRST(&endpoint->waiting)->host;
    rh_jam_t *jam = rh_schedule_jam(schedule, host);

    if (!jam) {
        jam = make_jam(schedule, host);
    }
    if (!jam) {
        return false;
    }
    rh_round_remove(endpoint);
    rh_round_add(&jam->round, endpoint);
    endpoint->list = RH_LIST_JAMMED;
    endpoint->jam = jam;
    jam->jobs += endpoint->waiting_count;
    jam->looked = false;
    return true;
}

void rh_schedule_leave_jam(rh_schedule_t *schedule, rh_endpoint_t *endpoint)
{
    rh_jam_t *jam = endpoint->jam;

    endpoint->jam = NULL;
    jam->jobs -= endpoint->waiting_count;
    if (rh_round_empty(&jam->round)) {
        APR_RING_REMOVE(jam, link);
        apr_hash_set(schedule->jammed, &jam->identity, sizeof(jam->identity), NULL);
        free(jam);
    }
}

/** Return the first endpoint of the tenant whose turn it is that may have a slot of the host. */
static rh_endpoint_t *find_free(const rh_jam_t *jam)
{
    rh_group_t *group;

    APR_RING_FOREACH(group, &jam->round.groups, rh_group_t, link)
    {
        rh_endpoint_t *endpoint = APR_RING_FIRST(&group->endpoints);
        const rh_work_t *first = APR_RING_FIRST(&endpoint->waiting);

        if (rh_host_peek(first->host, first->per_host, rh_endpoint_class(endpoint)) ==
            RH_SHARE_FREE) {
            return endpoint;
        }
    }
    return NULL;
}

/** Check a jam, unless nothing has changed since the last check. */
static rh_endpoint_t *check_jam(rh_schedule_t *schedule, rh_jam_t *jam)
{
    const rh_endpoint_t *any = rh_round_first(&jam->round);
    rh_host_t *host = APR_RING_FIRST(&any->waiting)->host;
    rh_endpoint_t *endpoint = NULL;

    while (!endpoint) {
        apr_uint32_t gives = rh_host_gives(host);

        if (jam->looked && jam->gives == gives) {
            return NULL;
        }
        endpoint = find_free(jam);
        jam->gives = gives;
        jam->looked = !endpoint && rh_host_wait(host, gives, schedule->loop);
    }
    return endpoint;
}

rh_endpoint_t *rh_schedule_find_jammed(rh_schedule_t *schedule)
{
    rh_jam_t *jam;

    APR_RING_FOREACH(jam, &schedule->jams, rh_jam_t, link)
    {
        rh_endpoint_t *endpoint = check_jam(schedule, jam);

        if (endpoint) {
            /* Do it now, because the jam may be freed when the endpoint leaves it. */
            rh_round_turn(&jam->round, endpoint->tenant);
            return endpoint;
        }
    }
    return NULL;
}
