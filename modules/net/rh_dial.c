/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_dial.h"

/** RFC 8305 §8: Connection Attempt Delay */
#define STAGGER apr_time_from_msec(250)

static void try_next(rh_dial_t *dial);

void rh_dial_stop(rh_dial_t *dial)
{
    if (!dial->reactor) {
        return;
    }
    rh_resolver_forget(&dial->query);
    rh_timers_disarm(rh_reactor_timers(dial->reactor), &dial->stagger);
    for (int i = 0; i < RH_DIAL_SOCKETS; i++) {
        if (dial->sockets[i]) {
            rh_watch_close(dial->sockets[i]);
            dial->sockets[i] = NULL;
        }
    }
}

static void report_failure(rh_dial_t *dial, rh_exchange_result_t result, const char *error)
{
    rh_dial_stop(dial);
    dial->failed(dial->baton, result, error);
}

static void hand_over(rh_dial_t *dial, rh_watch_t *watch)
{
    rh_dial_stop(dial);
    dial->connected(dial->baton, watch);
}

/** Open a socket. If descriptors have run out, close idle connections first. */
static apr_status_t open_socket(rh_dial_t *dial, const rh_address_t *address, rh_socket_t **opened)
{
    apr_status_t status;

    do {
        status = rh_socket_open(rh_reactor_sockets(dial->reactor), address, dial->port, opened);
    } while ((APR_STATUS_IS_EMFILE(status) || APR_STATUS_IS_ENFILE(status)) &&
             rh_connections_drop_oldest(dial->connections));
    return status;
}

static int slot_of(const rh_dial_t *dial, const rh_watch_t *watch)
{
    for (int i = 0; i < RH_DIAL_SOCKETS; i++) {
        if (dial->sockets[i] == watch) {
            return i;
        }
    }
    return -1;
}

static void socket_ready(void *baton, rh_watch_t *watch, apr_int16_t events)
{
    rh_dial_t *dial = baton;
    apr_status_t status = APR_SUCCESS;

    /* A socket is writable without an error or an end only once it is connected. */
    if (events != APR_POLLOUT) {
        status = rh_socket_connect(rh_watch_socket(watch));
    }
    if (status == APR_EINPROGRESS) {
        return;
    }
    dial->sockets[slot_of(dial, watch)] = NULL;
    if (status == APR_SUCCESS) {
        hand_over(dial, watch);
        return;
    }
    rh_watch_close(watch);
    dial->status = status;
    try_next(dial);
}

/** Begin to connect. False: it failed at once, or is not allowed. */
static bool begin_connect(rh_dial_t *dial, const rh_address_t *address)
{
    rh_socket_t *opened;
    apr_status_t status;

    if (!dial->trusted && !rh_egress_allows(dial->policy, dial->host, address)) {
        return false;
    }
    dial->trying = address;
    status = open_socket(dial, address, &opened);
    if (status != APR_SUCCESS) {
        dial->status = status;
        return false;
    }
    status = rh_socket_connect(opened);
    if (status == APR_SUCCESS || status == APR_EINPROGRESS) {
        status = rh_watch_open(dial->reactor, opened, APR_POLLOUT, socket_ready, dial,
                               &dial->sockets[slot_of(dial, NULL)]);
    }
    if (status != APR_SUCCESS) {
        dial->status = status;
        rh_socket_close(opened);
        return false;
    }
    return true;
}

static bool any_open(const rh_dial_t *dial)
{
    for (int i = 0; i < RH_DIAL_SOCKETS; i++) {
        if (dial->sockets[i]) {
            return true;
        }
    }
    return false;
}

static void give_up(rh_dial_t *dial)
{
    char text[128];

    if (dial->status != APR_SUCCESS) {
        report_failure(dial, RH_EXCHANGE_CONNECT,
                       apr_psprintf(dial->pool, "connect to %s port %hu: %s", dial->host,
                                    dial->port, apr_strerror(dial->status, text, sizeof(text))));
        return;
    }
    /* Naming the address would show a tenant the internal network. */
    report_failure(
        dial, RH_EXCHANGE_REFUSED_ADDRESS,
        apr_psprintf(dial->pool, "refused: the address of %s is not allowed", dial->host));
}

/** Try the next address that is allowed and usable. */
static void try_next(rh_dial_t *dial)
{
    rh_timers_t *timers = rh_reactor_timers(dial->reactor);

    while (dial->next < dial->found.count) {
        if (slot_of(dial, NULL) < 0) {
            return;
        }
        if (begin_connect(dial, &dial->found.address[dial->next++])) {
            if (dial->next < dial->found.count) {
                rh_timers_arm(timers, &dial->stagger, rh_monotonic_now() + STAGGER);
            }
            return;
        }
    }
    rh_timers_disarm(timers, &dial->stagger);
    if (!any_open(dial)) {
        give_up(dial);
    }
}

static void stagger_over(void *baton)
{
    try_next(baton);
}

static void resolved(void *baton, const rh_addresses_t *addresses)
{
    rh_dial_t *dial = baton;

    if (addresses->count == 0) {
        report_failure(dial, RH_EXCHANGE_RESOLVE,
                       rh_resolver_error(dial->pool, dial->host, addresses));
        return;
    }
    dial->found = *addresses;
    dial->answered = rh_monotonic_now();
    try_next(dial);
}

void rh_dial_start(rh_dial_t *dial)
{
    dial->next = 0;
    dial->asked = rh_monotonic_now();
    dial->answered = 0;
    dial->trying = NULL;
    dial->status = APR_SUCCESS;
    dial->stagger.fire = stagger_over;
    dial->stagger.baton = dial;
    dial->query.answered = resolved;
    dial->query.baton = dial;
    if (!dial->trusted && rh_egress_denies_host(dial->policy, dial->host)) {
        report_failure(
            dial, RH_EXCHANGE_REFUSED_ADDRESS,
            apr_psprintf(dial->pool, "refused: %s is not allowed as a target", dial->host));
        return;
    }
    rh_resolver_ask(dial->resolver, dial->host, &dial->query);
}
