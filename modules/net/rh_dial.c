/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_dial.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

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

static void fail(rh_dial_t *dial, rh_exchange_result_t result, const char *error)
{
    rh_dial_stop(dial);
    dial->failed(dial->baton, result, error);
}

static void win(rh_dial_t *dial, rh_watch_t *watch)
{
    rh_dial_stop(dial);
    dial->connected(dial->baton, watch);
}

static int open_socket(rh_dial_t *dial, int family)
{
    int descriptor;

    do {
        descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    } while (descriptor < 0 && (errno == EMFILE || errno == ENFILE) &&
             rh_connections_drop_oldest(dial->connections));
    return descriptor;
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
    int slot = slot_of(dial, watch), error = 0;
    socklen_t size = sizeof(error);

    (void)events;
    if (getsockopt(rh_watch_descriptor(watch), SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
    }
    dial->sockets[slot] = NULL;
    if (error == 0) {
        win(dial, watch);
        return;
    }
    rh_watch_close(watch);
    dial->error_number = error;
    try_next(dial);
}

/** Begin to connect. False: it failed at once, or is not allowed. */
static bool begin(rh_dial_t *dial, rh_address_t *address)
{
    int slot = slot_of(dial, NULL), descriptor, on = 1;
    apr_status_t status;

    if (!dial->trusted && !rh_egress_allows(dial->policy, dial->host, &address->any)) {
        return false;
    }
    rh_address_set_port(address, dial->port);
    descriptor = open_socket(dial, address->any.sa_family);
    if (descriptor < 0) {
        dial->error_number = errno;
        return false;
    }
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(descriptor, &address->any, rh_address_size(address)) != 0 && errno != EINPROGRESS) {
        dial->error_number = errno;
        close(descriptor);
        return false;
    }
    status = rh_watch_open(dial->reactor, descriptor, true, APR_POLLOUT, socket_ready, dial,
                           &dial->sockets[slot]);
    if (status != APR_SUCCESS) {
        dial->error_number = APR_TO_OS_ERROR(status);
        close(descriptor);
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

    if (dial->error_number) {
        fail(dial, RH_EXCHANGE_CONNECT,
             apr_psprintf(dial->pool, "connect to %s port %hu: %s", dial->host, dial->port,
                          apr_strerror(APR_FROM_OS_ERROR(dial->error_number), text, sizeof(text))));
        return;
    }
    /* Which address that is would tell a tenant about the network within. */
    fail(dial, RH_EXCHANGE_REFUSED_ADDRESS,
         apr_psprintf(dial->pool, "refused: the address of %s is not allowed", dial->host));
}

/** Go on with the next address that can be tried. */
static void try_next(rh_dial_t *dial)
{
    rh_timers_t *timers = rh_reactor_timers(dial->reactor);

    while (dial->next < dial->found.count) {
        if (slot_of(dial, NULL) < 0) {
            return;
        }
        if (begin(dial, &dial->found.address[dial->next++])) {
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
        fail(dial, RH_EXCHANGE_RESOLVE,
             apr_psprintf(dial->pool, "DNS: %s: %s", dial->host, addresses->error));
        return;
    }
    dial->found = *addresses;
    try_next(dial);
}

void rh_dial_start(rh_dial_t *dial)
{
    dial->next = 0;
    dial->error_number = 0;
    dial->stagger.fire = stagger_over;
    dial->stagger.baton = dial;
    dial->query.answered = resolved;
    dial->query.baton = dial;
    if (!dial->trusted && rh_egress_denies_host(dial->policy, dial->host)) {
        fail(dial, RH_EXCHANGE_REFUSED_ADDRESS,
             apr_psprintf(dial->pool, "refused: %s is not allowed as a target", dial->host));
        return;
    }
    rh_resolver_ask(dial->resolver, dial->host, &dial->query);
}
