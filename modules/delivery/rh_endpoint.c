/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_endpoint.h"

#include <stdlib.h>

/** An endpoint whose attempts take longer may not use the last slots. */
#define SOON_LIMIT apr_time_from_sec(2)
/** Number of consecutive failures after which even an endpoint that fails fast may not use them. */
#define DOUBTFUL_FAILURES 3
/** Assumed duration of an attempt until one has ended. */
#define ASSUMED_DURATION apr_time_from_msec(200)
/** Time after which the store knows a pause that this process reported. */
#define STORED_BY_NOW apr_time_from_sec(30)
/** Maximum time that jobs should wait in memory; much shorter than a lease. */
#define MAX_WAIT_IN_MEMORY apr_time_from_sec(10)

rh_endpoint_t *rh_endpoint_make(const char *id, apr_interval_time_t failing_for, apr_time_t now)
{
    apr_size_t len = strlen(id);
    rh_endpoint_t *endpoint = calloc(1, sizeof(*endpoint) + len + 1);

    if (!endpoint) {
        return NULL;
    }
    memcpy(endpoint->id, id, len + 1);
    APR_RING_ELEM_INIT(endpoint, link);
    endpoint->list = RH_LIST_PLAIN;
    APR_RING_ELEM_INIT(endpoint, holder);
    endpoint->tokens_at = now;
    endpoint->duration = ASSUMED_DURATION;
    if (failing_for > 0) {
        endpoint->failures = DOUBTFUL_FAILURES;
    }
    if (failing_for >= RH_BREAKER_REMEMBERED) {
        endpoint->failures = RH_BREAKER_FAILURES;
        endpoint->open = true;
        endpoint->probes_failed = 3;
    }
    return endpoint;
}

rh_endpoint_class_t rh_endpoint_class(const rh_endpoint_t *endpoint)
{
    bool soon = endpoint->tried && endpoint->duration < SOON_LIMIT;

    if (endpoint->failures >= DOUBTFUL_FAILURES || (endpoint->failures > 0 && !soon)) {
        return RH_ENDPOINT_FAILING;
    }
    if (!endpoint->tried && endpoint->failures == 0) {
        return RH_ENDPOINT_NEW;
    }
    return soon && endpoint->failures == 0 ? RH_ENDPOINT_GOOD : RH_ENDPOINT_DOUBTFUL;
}

static void refill_tokens(rh_endpoint_t *endpoint, apr_time_t now)
{
    double max = endpoint->rate;

    if (now > endpoint->tokens_at) {
        endpoint->tokens +=
            (double)(now - endpoint->tokens_at) * endpoint->rate / (double)APR_USEC_PER_SEC;
    }
    endpoint->tokens_at = now;
    if (endpoint->tokens > max) {
        endpoint->tokens = max;
    }
}

void rh_endpoint_set_rate(rh_endpoint_t *endpoint, int rate, apr_time_t now)
{
    if (rate < 0) {
        rate = 0;
    }
    if (endpoint->rate == rate) {
        return;
    }
    if (endpoint->rate == 0) {
        endpoint->tokens = rate;
        endpoint->tokens_at = now;
    }
    endpoint->rate = rate;
    if (endpoint->tokens > rate) {
        endpoint->tokens = rate;
    }
}

/** If the clock was set back, move up times that are further away than they can be. */
static void follow_clock(rh_endpoint_t *endpoint, apr_time_t now)
{
    if (endpoint->probe_at > now + RH_BREAKER_MAX_WAIT) {
        endpoint->probe_at = now + RH_BREAKER_MAX_WAIT;
    }
    if (endpoint->paused_at > now) {
        endpoint->paused_until -= endpoint->paused_at - now;
        endpoint->paused_at = now;
    }
    if (endpoint->tokens_at > now) {
        endpoint->tokens_at = now;
    }
}

void rh_endpoint_claimed(rh_endpoint_t *endpoint, apr_time_t now)
{
    follow_clock(endpoint, now);
    if (endpoint->paused_until > now + SOON_LIMIT && endpoint->paused_at < now - STORED_BY_NOW) {
        endpoint->paused_until = now;
    }
}

rh_allowance_t rh_endpoint_allows(rh_endpoint_t *endpoint, int concurrency, apr_time_t now,
                                  apr_time_t *until)
{
    follow_clock(endpoint, now);
    if (endpoint->in_flight >= (endpoint->open ? 1 : concurrency)) {
        return RH_BLOCKED_BY_FLIGHT;
    }
    if (endpoint->open && now < endpoint->probe_at) {
        *until = endpoint->probe_at;
        return RH_BLOCKED_BY_BREAKER;
    }
    if (now < endpoint->paused_until) {
        *until = endpoint->paused_until;
        return RH_BLOCKED_BY_TIME;
    }
    if (endpoint->rate > 0) {
        refill_tokens(endpoint, now);
        if (endpoint->tokens < 1.0) {
            *until =
                now + 1 +
                (apr_time_t)((1.0 - endpoint->tokens) * (double)APR_USEC_PER_SEC / endpoint->rate);
            return RH_BLOCKED_BY_TIME;
        }
    }
    return RH_ALLOWED;
}

bool rh_endpoint_started(rh_endpoint_t *endpoint)
{
    endpoint->in_flight++;
    if (endpoint->rate > 0) {
        endpoint->tokens -= 1.0;
    }
    return endpoint->open;
}

/** Count a failure. It opens the breaker, or keeps it open for longer if the probe failed. */
static apr_interval_time_t count_failure(rh_endpoint_t *endpoint, bool probe, apr_time_t now)
{
    apr_interval_time_t wait;

    if (endpoint->failures < RH_BREAKER_FAILURES) {
        endpoint->failures++;
    }
    if (endpoint->failures < RH_BREAKER_FAILURES) {
        return 0;
    }
    if (endpoint->open && !probe) {
        /* The attempt began before the breaker opened, so it adds nothing new. */
        return endpoint->probe_at > now ? endpoint->probe_at - now : 0;
    }
    wait = RH_BREAKER_MAX_WAIT;
    if (endpoint->probes_failed < 6) {
        wait = apr_time_from_sec(1 << endpoint->probes_failed);
        endpoint->probes_failed++;
    }
    if (wait > RH_BREAKER_MAX_WAIT) {
        wait = RH_BREAKER_MAX_WAIT;
    }
    endpoint->open = true;
    endpoint->probe_at = now + wait;
    return wait;
}

apr_interval_time_t rh_endpoint_finished(rh_endpoint_t *endpoint, rh_verdict_t verdict, bool probe,
                                         apr_interval_time_t duration, apr_interval_time_t pause,
                                         apr_time_t now)
{
    apr_interval_time_t wait = 0;

    endpoint->in_flight--;
    if (verdict == RH_VERDICT_NONE) {
        return 0;
    }
    endpoint->duration =
        endpoint->tried ? (endpoint->duration * 7 + duration) / 8 : (duration > 0 ? duration : 1);
    endpoint->tried = true;
    if (verdict == RH_VERDICT_FAILED) {
        wait = count_failure(endpoint, probe, now);
    } else {
        endpoint->failures = 0;
        endpoint->open = false;
        endpoint->probes_failed = 0;
    }
    if (pause > 0 && endpoint->paused_until < now + pause) {
        endpoint->paused_until = now + pause;
        endpoint->paused_at = now;
    }
    return pause > wait ? pause : wait;
}

int rh_endpoint_room(const rh_endpoint_t *endpoint, int concurrency, int capacity)
{
    apr_int64_t room = 4 * (apr_int64_t)concurrency;

    if (rh_endpoint_class(endpoint) == RH_ENDPOINT_GOOD) {
        apr_interval_time_t each = endpoint->duration > 0 ? endpoint->duration : 1;
        apr_int64_t soon = concurrency * (MAX_WAIT_IN_MEMORY / each);

        if (soon > capacity / 2) {
            soon = capacity / 2;
        }
        if (room < soon) {
            room = soon;
        }
    }
    if (endpoint->rate > 0 && room > endpoint->rate * apr_time_sec(MAX_WAIT_IN_MEMORY)) {
        room = endpoint->rate * apr_time_sec(MAX_WAIT_IN_MEMORY);
    }
    return room < 1 ? 1 : (int)room;
}

apr_interval_time_t rh_endpoint_drain_time(const rh_endpoint_t *endpoint, int concurrency)
{
    apr_interval_time_t half = endpoint->duration * endpoint->waiting_count / (2 * concurrency);

    if (endpoint->rate > 0) {
        apr_interval_time_t by_rate =
            apr_time_from_sec(1) * endpoint->waiting_count / (2 * endpoint->rate);

        if (half < by_rate) {
            half = by_rate;
        }
    }
    if (half < apr_time_from_msec(50)) {
        return apr_time_from_msec(50);
    }
    return half > MAX_WAIT_IN_MEMORY ? MAX_WAIT_IN_MEMORY : half;
}
