/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_reactor.h"

#include <apr_ring.h>

/** Number of events fetched at once. With epoll and kqueue it does not limit what is watched. */
#define EVENTS 1024

struct rh_watch_t {
    APR_RING_ENTRY(rh_watch_t) link;
    rh_reactor_t *reactor;
    apr_pollfd_t pollfd;
    rh_socket_t *socket;   /**< owned; NULL: the watch is for a foreign descriptor */
    apr_socket_t *foreign; /**< wraps a foreign descriptor; reused together with the watch */
    apr_os_sock_t descriptor;
    rh_ready_t *ready; /**< NULL: closed */
    void *baton;
};

APR_RING_HEAD(rh_watch_head_t, rh_watch_t);

struct rh_reactor_t {
    apr_pool_t *pool;
    apr_pollset_t *pollset;
    rh_timers_t timers;
    rh_sockets_t *sockets;
    struct rh_watch_head_t open, closed, spare; /**< together the maximum that was open at the
                                                     same time */
    bool handing_out;
};

static apr_status_t reactor_cleanup(void *data)
{
    rh_reactor_t *reactor = data;

    while (!APR_RING_EMPTY(&reactor->open, rh_watch_t, link)) {
        rh_watch_close(APR_RING_FIRST(&reactor->open));
    }
    return APR_SUCCESS;
}

apr_status_t rh_reactor_make(apr_pool_t *pool, rh_reactor_t **reactor)
{
    rh_reactor_t *made = apr_pcalloc(pool, sizeof(*made));
    apr_status_t status;

    made->pool = pool;
    made->sockets = rh_sockets_make(pool);
    APR_RING_INIT(&made->open, rh_watch_t, link);
    APR_RING_INIT(&made->closed, rh_watch_t, link);
    APR_RING_INIT(&made->spare, rh_watch_t, link);
    status =
        apr_pollset_create(&made->pollset, EVENTS, pool, APR_POLLSET_WAKEABLE | APR_POLLSET_NOCOPY);
    if (status == APR_SUCCESS) {
        /* First, because the sockets live in the pools below. */
        apr_pool_pre_cleanup_register(pool, made, reactor_cleanup);
        *reactor = made;
    }
    return status;
}

rh_timers_t *rh_reactor_timers(rh_reactor_t *reactor)
{
    return &reactor->timers;
}

rh_sockets_t *rh_reactor_sockets(rh_reactor_t *reactor)
{
    return reactor->sockets;
}

void rh_reactor_expire(rh_reactor_t *reactor)
{
    if (reactor->timers.root) {
        rh_timers_fire(&reactor->timers, rh_monotonic_now());
    }
}

apr_status_t rh_reactor_wait(rh_reactor_t *reactor, apr_interval_time_t timeout)
{
    const rh_timer_t *timer = rh_timers_first(&reactor->timers);
    const apr_pollfd_t *events = NULL;
    apr_int32_t count = 0;
    apr_status_t status;

    if (timer && timeout != 0) {
        apr_interval_time_t left = timer->due - rh_monotonic_now();

        left = left < 0 ? 0 : left;
        timeout = timeout < 0 || left < timeout ? left : timeout;
    }
    if (timeout > 0) {
        /* The kernel counts milliseconds; rounding down would make the last one a busy loop. */
        timeout = (timeout + 999) / 1000 * 1000;
    }
    status = apr_pollset_poll(reactor->pollset, timeout, &count, &events);
    if (APR_STATUS_IS_TIMEUP(status) || APR_STATUS_IS_EINTR(status)) {
        return APR_SUCCESS;
    }
    if (status != APR_SUCCESS) {
        return status;
    }
    reactor->handing_out = true;
    for (apr_int32_t i = 0; i < count; i++) {
        rh_watch_t *watch = events[i].client_data;

        if (watch->ready) {
            watch->ready(watch->baton, watch, events[i].rtnevents);
        }
    }
    reactor->handing_out = false;
    APR_RING_CONCAT(&reactor->spare, &reactor->closed, rh_watch_t, link);
    return APR_SUCCESS;
}

apr_status_t rh_reactor_wakeup(rh_reactor_t *reactor)
{
    return apr_pollset_wakeup(reactor->pollset);
}

static rh_watch_t *spare_watch(rh_reactor_t *reactor)
{
    rh_watch_t *watch;

    if (APR_RING_EMPTY(&reactor->spare, rh_watch_t, link)) {
        watch = apr_pcalloc(reactor->pool, sizeof(*watch));
        watch->reactor = reactor;
        APR_RING_ELEM_INIT(watch, link);
        return watch;
    }
    watch = APR_RING_FIRST(&reactor->spare);
    APR_RING_REMOVE(watch, link);
    return watch;
}

static apr_status_t start_watch(rh_watch_t *watch, apr_socket_t *socket, apr_int16_t events,
                                rh_ready_t *ready, void *baton)
{
    rh_reactor_t *reactor = watch->reactor;
    apr_status_t status;

    watch->pollfd.p = reactor->pool;
    watch->pollfd.desc_type = APR_POLL_SOCKET;
    watch->pollfd.desc.s = socket;
    watch->pollfd.reqevents = events;
    watch->pollfd.client_data = watch;
    status = apr_pollset_add(reactor->pollset, &watch->pollfd);
    if (status != APR_SUCCESS) {
        APR_RING_INSERT_HEAD(&reactor->spare, watch, rh_watch_t, link);
        return status;
    }
    watch->ready = ready;
    watch->baton = baton;
    APR_RING_INSERT_TAIL(&reactor->open, watch, rh_watch_t, link);
    return APR_SUCCESS;
}

apr_status_t rh_watch_open(rh_reactor_t *reactor, rh_socket_t *socket, apr_int16_t events,
                           rh_ready_t *ready, void *baton, rh_watch_t **watch)
{
    rh_watch_t *made = spare_watch(reactor);
    apr_status_t status = start_watch(made, socket->apr, events, ready, baton);

    if (status == APR_SUCCESS) {
        made->socket = socket;
        *watch = made;
    }
    return status;
}

apr_status_t rh_watch_foreign(rh_reactor_t *reactor, apr_os_sock_t descriptor, apr_int16_t events,
                              rh_ready_t *ready, void *baton, rh_watch_t **watch)
{
    rh_watch_t *made = spare_watch(reactor);
    apr_status_t status = apr_os_sock_put(&made->foreign, &descriptor, reactor->pool);

    if (status != APR_SUCCESS) {
        APR_RING_INSERT_HEAD(&reactor->spare, made, rh_watch_t, link);
        return status;
    }
    made->descriptor = descriptor;
    status = start_watch(made, made->foreign, events, ready, baton);
    if (status == APR_SUCCESS) {
        *watch = made;
    }
    return status;
}

apr_status_t rh_watch_events(rh_watch_t *watch, apr_int16_t events)
{
    apr_status_t status;

    if (watch->pollfd.reqevents == events) {
        return APR_SUCCESS;
    }
    status = apr_pollset_remove(watch->reactor->pollset, &watch->pollfd);
    if (status != APR_SUCCESS) {
        return status;
    }
    watch->pollfd.reqevents = events;
    return apr_pollset_add(watch->reactor->pollset, &watch->pollfd);
}

void rh_watch_handler(rh_watch_t *watch, rh_ready_t *ready, void *baton)
{
    watch->ready = ready;
    watch->baton = baton;
}

rh_socket_t *rh_watch_socket(const rh_watch_t *watch)
{
    return watch->socket;
}

apr_os_sock_t rh_watch_descriptor(const rh_watch_t *watch)
{
    return watch->descriptor;
}

void rh_watch_close(rh_watch_t *watch)
{
    rh_reactor_t *reactor = watch->reactor;

    /* This fails if an earlier rh_watch_events could not add it: it has been removed already. */
    (void)apr_pollset_remove(reactor->pollset, &watch->pollfd);
    if (watch->socket) {
        rh_socket_close(watch->socket);
        watch->socket = NULL;
    }
    watch->ready = NULL;
    APR_RING_REMOVE(watch, link);
    if (reactor->handing_out) {
        APR_RING_INSERT_TAIL(&reactor->closed, watch, rh_watch_t, link);
    } else {
        APR_RING_INSERT_HEAD(&reactor->spare, watch, rh_watch_t, link);
    }
}
