/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The resolver's c-ares channel: its time-outs and its sockets. */
#include "rh_resolver_private.h"

/**
 * The time of a server's first try, in milliseconds; each further one has twice that of the last.
 *
 * c-ares of 1.29 or later derives it from how long the server took before, down to 250 ms, cuts up
 * to half of the further ones at random, and hears no late response to an earlier try. Two tries
 * could end after half a second, and with them names of which only IPv6 is known, late. Four tries
 * end after 2 to 4.8 s, two of older versions after 3 s: within RestHooksConnectTimeout either way.
 */
#if ARES_VERSION >= 0x011d00
#define FIRST_TRY_MS 400
#define MAX_TRY_MS 2000
#define TRIES 4
#else
#define FIRST_TRY_MS 1000
#define TRIES 2
#endif
/** Minimum interval between reads of resolv.conf, which follow a failure of all servers. */
#define REREAD_INTERVAL apr_time_from_sec(30)

void rh_resolver_rearm(rh_resolver_t *resolver)
{
    struct timeval space, *left;
    rh_timers_t *timers = rh_reactor_timers(resolver->reactor);

    left = resolver->outstanding ? ares_timeout(resolver->channel, NULL, &space) : NULL;
    if (left) {
        apr_interval_time_t wait =
            (apr_interval_time_t)left->tv_sec * APR_USEC_PER_SEC + left->tv_usec;

        rh_timers_arm(timers, &resolver->timer, rh_monotonic_now() + wait + 1000);
    } else {
        rh_timers_disarm(timers, &resolver->timer);
    }
}

static void run_channel(rh_resolver_t *resolver, ares_socket_t readable, ares_socket_t writable)
{
    resolver->busy++;
    ares_process_fd(resolver->channel, readable, writable);
    resolver->busy--;
    rh_resolver_rearm(resolver);
}

static void time_passed(void *baton)
{
    run_channel(baton, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void socket_ready(void *baton, rh_watch_t *watch, apr_int16_t events)
{
    ares_socket_t descriptor = rh_watch_descriptor(watch);
    bool in = events & (APR_POLLIN | APR_POLLERR | APR_POLLHUP), out = events & APR_POLLOUT;

    run_channel(baton, in ? descriptor : ARES_SOCKET_BAD, out ? descriptor : ARES_SOCKET_BAD);
}

/** Called by c-ares: watch a socket for these events, or stop because it is about to be closed. */
static void socket_state(void *baton, ares_socket_t descriptor, int readable, int writable)
{
    rh_resolver_t *resolver = baton;
    apr_int16_t events = (apr_int16_t)((readable ? APR_POLLIN : 0) | (writable ? APR_POLLOUT : 0));
    int i, vacant = -1;

    for (i = 0; i < RH_RESOLVER_MAX_SOCKETS; i++) {
        if (resolver->watches[i] && rh_watch_descriptor(resolver->watches[i]) == descriptor) {
            break;
        }
        vacant = resolver->watches[i] ? vacant : i;
    }
    if (i < RH_RESOLVER_MAX_SOCKETS) {
        if (!events) {
            rh_watch_close(resolver->watches[i]);
            resolver->watches[i] = NULL;
        } else {
            (void)rh_watch_events(resolver->watches[i], events);
        }
    } else if (events && vacant >= 0) {
        /* A query over a socket that cannot be watched ends by c-ares' own time-out. */
        (void)rh_watch_foreign(resolver->reactor, descriptor, events, socket_ready, resolver,
                               &resolver->watches[vacant]);
    }
}

int rh_resolver_open(rh_resolver_t *resolver)
{
    struct ares_options options;
    int which = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS |
                ARES_OPT_SOCK_STATE_CB;
    int status;

    memset(&options, 0, sizeof(options));
    options.flags = ARES_FLAG_NOSEARCH;
    options.timeout = FIRST_TRY_MS;
    options.tries = TRIES;
    options.ndomains = 0;
    options.sock_state_cb = socket_state;
    options.sock_state_cb_data = resolver;
#ifdef MAX_TRY_MS
    options.maxtimeout = MAX_TRY_MS;
    which |= ARES_OPT_MAXTIMEOUTMS;
#endif
#ifdef ARES_OPT_QUERY_CACHE
    /* The cache in this file is enough, and the bounds of its TTL are documented. */
    options.qcache_max_ttl = 0;
    which |= ARES_OPT_QUERY_CACHE;
#endif
    resolver->timer.fire = time_passed;
    resolver->timer.baton = resolver;
    status = ares_init_options(&resolver->channel, &options, which);
    resolver->opened_at = rh_monotonic_now();
    resolver->stale = false;
    return status;
}

void rh_resolver_refresh(rh_resolver_t *resolver)
{
    ares_channel old = resolver->channel;

    if (resolver->servers || !resolver->stale || resolver->busy || resolver->outstanding ||
        rh_monotonic_now() - resolver->opened_at < REREAD_INTERVAL) {
        return;
    }
    if (rh_resolver_open(resolver) == ARES_SUCCESS) {
        ares_destroy(old);
    } else {
        resolver->channel = old;
    }
}
