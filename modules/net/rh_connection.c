/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_connection.h"

#include <apr_hash.h>
#include <openssl/sha.h>
#include <sys/socket.h>

/** Maximum number of origins that are remembered only for their TLS session. */
#define MAX_SESSIONS 512

APR_RING_HEAD(rh_connection_head_t, rh_connection_t);

struct rh_origin_t {
    APR_RING_ENTRY(rh_origin_t)
    link; /**< link in the ring of unused (oldest first) or spare
               origins */
    rh_connections_t *home;
    unsigned char key[SHA256_DIGEST_LENGTH];
    int users; /**< number of calls and connections that use it */
    int idle_count;
    struct rh_connection_head_t idle;
    SSL_SESSION *session;
    apr_time_t verified; /**< when the certificate behind the session was verified */
};

APR_RING_HEAD(rh_origin_head_t, rh_origin_t);

struct rh_connections_t {
    apr_pool_t *pool;
    rh_reactor_t *reactor;
    rh_client_limits_t limits;
    apr_hash_t *origins; /**< by key */
    struct rh_origin_head_t unused, spare_origins;
    struct rh_connection_head_t busy, idle, spare;
    int unused_count, idle_count;
    apr_sockaddr_t sender; /**< filled by apr_socket_recvfrom, never read */
};

/* ---- origins ---- */

rh_origin_t *rh_origin_use(rh_connections_t *connections, apr_pool_t *scratch,
                           const rh_net_config_t *net, const char *reuse_key, const rh_url_t *url)
{
    /* A digest makes all keys the same size, so the memory of origins can be reused in place. */
    const char *text =
        apr_psprintf(scratch, "%pp\n%s\n%s://%s", (const void *)net, reuse_key ? reuse_key : "",
                     url->https ? "https" : "http", url->authority);
    unsigned char key[SHA256_DIGEST_LENGTH];
    rh_origin_t *origin;

    SHA256((const unsigned char *)text, strlen(text), key);
    origin = apr_hash_get(connections->origins, key, sizeof(key));
    if (origin) {
        if (origin->users == 0) {
            APR_RING_REMOVE(origin, link);
            connections->unused_count--;
        }
        origin->users++;
        return origin;
    }
    if (APR_RING_EMPTY(&connections->spare_origins, rh_origin_t, link)) {
        origin = apr_pcalloc(connections->pool, sizeof(*origin));
        origin->home = connections;
        APR_RING_INIT(&origin->idle, rh_connection_t, same);
    } else {
        origin = APR_RING_FIRST(&connections->spare_origins);
        APR_RING_REMOVE(origin, link);
    }
    memcpy(origin->key, key, sizeof(key));
    origin->users = 1;
    apr_hash_set(connections->origins, origin->key, sizeof(origin->key), origin);
    return origin;
}

static void set_session(rh_origin_t *origin, SSL_SESSION *session)
{
    if (origin->session) {
        SSL_SESSION_free(origin->session);
    }
    origin->session = session;
}

static void forget_origin(rh_origin_t *origin)
{
    set_session(origin, NULL);
    apr_hash_set(origin->home->origins, origin->key, sizeof(origin->key), NULL);
    APR_RING_INSERT_HEAD(&origin->home->spare_origins, origin, rh_origin_t, link);
}

void rh_origin_leave(rh_origin_t *origin)
{
    rh_connections_t *connections = origin->home;

    if (--origin->users > 0) {
        return;
    }
    if (!origin->session) {
        forget_origin(origin);
        return;
    }
    APR_RING_INSERT_TAIL(&connections->unused, origin, rh_origin_t, link);
    if (++connections->unused_count > MAX_SESSIONS) {
        origin = APR_RING_FIRST(&connections->unused);
        APR_RING_REMOVE(origin, link);
        connections->unused_count--;
        forget_origin(origin);
    }
}

static void keep_session(void *baton, SSL_SESSION *session)
{
    rh_connection_t *connection = baton;

    set_session(connection->origin, session);
    /* A session resumed from another one rests on the certificate of the first. */
    connection->origin->verified =
        SSL_session_reused(connection->tls) ? connection->verified : rh_monotonic_now();
}

void rh_connection_distrust(rh_connection_t *connection)
{
    set_session(connection->origin, NULL);
}

/**
 * Take the session to resume, which the caller frees. A TLS 1.3 session is used once (RFC 8446
 * §C.4).
 */
static SSL_SESSION *take_session(rh_origin_t *origin)
{
    SSL_SESSION *session = origin->session;

    if (!session) {
        return NULL;
    }
    if (rh_monotonic_now() - origin->verified > origin->home->limits.session_life) {
        set_session(origin, NULL);
        return NULL;
    }
    if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION) {
        origin->session = NULL;
    } else {
        SSL_SESSION_up_ref(session);
    }
    return session;
}

/* ---- connections ---- */

static apr_socket_t *socket_of(const rh_connection_t *connection)
{
    return rh_watch_socket(connection->watch)->apr;
}

rh_connection_t *rh_connection_make(rh_origin_t *origin, rh_watch_t *watch)
{
    rh_connections_t *connections = origin->home;
    rh_connection_t *connection;

    if (APR_RING_EMPTY(&connections->spare, rh_connection_t, link)) {
        connection = apr_palloc(connections->pool, sizeof(*connection));
    } else {
        connection = APR_RING_FIRST(&connections->spare);
        APR_RING_REMOVE(connection, link);
    }
    memset(connection, 0, sizeof(*connection));
    APR_RING_INSERT_TAIL(&connections->busy, connection, rh_connection_t, link);
    connection->home = connections;
    connection->origin = origin;
    origin->users++;
    connection->watch = watch;
    connection->made = rh_monotonic_now();
    return connection;
}

bool rh_connection_secure(rh_connection_t *connection, const rh_net_config_t *net,
                          const rh_url_t *url)
{
    SSL_SESSION *session = take_session(connection->origin);

    connection->verified = connection->origin->verified;
    connection->tls = rh_tls_open(net, socket_of(connection), url->host,
                                  url->ipv4_literal || url->ipv6_literal, session);
    if (session) {
        SSL_SESSION_free(session);
    }
    if (!connection->tls) {
        return false;
    }
    connection->sink.keep = keep_session;
    connection->sink.baton = connection;
    SSL_set_app_data(connection->tls, &connection->sink);
    return true;
}

/** Map the error of a call on a plain socket to a result. */
static rh_io_t judge_failure(rh_connection_t *connection, apr_status_t status, rh_io_t would_block)
{
    if (APR_STATUS_IS_EAGAIN(status)) {
        return would_block;
    }
    if (APR_STATUS_IS_EOF(status)) {
        return RH_IO_CLOSED;
    }
    connection->status = status;
    return RH_IO_RESET;
}

rh_io_t rh_connection_read(rh_connection_t *connection, char *buffer, apr_size_t size,
                           apr_size_t *len)
{
    apr_status_t status;

    *len = 0;
    if (connection->tls) {
        rh_io_t io = rh_tls_read(connection->tls, buffer, size, len);

        connection->status = rh_tls_status(connection->tls);
        return io;
    }
    status = apr_socket_recv(socket_of(connection), buffer, &size);
    if (status != APR_SUCCESS) {
        return judge_failure(connection, status, RH_IO_WANT_READ);
    }
    *len = size;
    return RH_IO_OK;
}

rh_io_t rh_connection_write(rh_connection_t *connection, const char *data, apr_size_t len,
                            apr_size_t *written)
{
    apr_status_t status;

    *written = 0;
    if (connection->tls) {
        rh_io_t io = rh_tls_write(connection->tls, data, len, written);

        connection->status = rh_tls_status(connection->tls);
        return io;
    }
    status = apr_socket_send(socket_of(connection), data, &len);
    if (status != APR_SUCCESS) {
        return judge_failure(connection, status, RH_IO_WANT_WRITE);
    }
    *written = len;
    return RH_IO_OK;
}

const char *rh_connection_reason(rh_connection_t *connection, rh_io_t io, apr_pool_t *pool)
{
    char text[128];

    if (io == RH_IO_FAILED) {
        return rh_tls_reason(connection->tls, pool);
    }
    if (io == RH_IO_RESET) {
        return apr_pstrdup(pool, apr_strerror(connection->status, text, sizeof(text)));
    }
    return "the connection was closed";
}

void rh_connection_close(rh_connection_t *connection)
{
    rh_connections_t *connections = connection->home;
    rh_origin_t *origin = connection->origin;

    if (connection->idle_timer.armed) {
        rh_timers_disarm(rh_reactor_timers(connections->reactor), &connection->idle_timer);
        APR_RING_REMOVE(connection, same);
        origin->idle_count--;
        connections->idle_count--;
    }
    if (connection->tls) {
        rh_tls_close(connection->tls);
        connection->tls = NULL;
    }
    rh_watch_close(connection->watch);
    connection->watch = NULL;
    APR_RING_REMOVE(connection, link);
    APR_RING_INSERT_HEAD(&connections->spare, connection, rh_connection_t, link);
    rh_origin_leave(origin);
}

/* ---- idle connections ---- */

/** True while neither the end nor an unexpected response has arrived. */
static bool is_quiet(rh_connection_t *connection)
{
    char byte;
    apr_size_t len = sizeof(byte);
    apr_sockaddr_t *sender = &connection->home->sender;

    if (connection->tls) {
        return rh_tls_is_idle(connection->tls);
    }
    return APR_STATUS_IS_EAGAIN(
        apr_socket_recvfrom(sender, socket_of(connection), MSG_PEEK, &byte, &len));
}

static void idle_ready(void *baton, rh_watch_t *watch, apr_int16_t events)
{
    rh_connection_t *connection = baton;

    (void)watch;
    if ((events & (APR_POLLERR | APR_POLLHUP)) || !is_quiet(connection)) {
        rh_connection_close(connection);
    }
}

static void idle_too_long(void *baton)
{
    rh_connection_t *connection = baton;
    rh_connections_t *connections = connection->home;

    /*
     * The fired timer is already disarmed. rh_connection_close would take that to mean that the
     * connection is in use.
     */
    APR_RING_REMOVE(connection, same);
    connection->origin->idle_count--;
    connections->idle_count--;
    rh_connection_close(connection);
}

bool rh_connections_drop_oldest(rh_connections_t *connections)
{
    if (APR_RING_EMPTY(&connections->idle, rh_connection_t, link)) {
        return false;
    }
    rh_connection_close(APR_RING_FIRST(&connections->idle));
    return true;
}

void rh_connection_keep(rh_connection_t *connection, apr_interval_time_t longest)
{
    rh_connections_t *connections = connection->home;
    rh_origin_t *origin = connection->origin;
    const rh_client_limits_t *limits = &connections->limits;

    if (longest > limits->idle_timeout) {
        longest = limits->idle_timeout;
    }
    if (limits->connection_life > 0 &&
        rh_monotonic_now() - connection->made > limits->connection_life) {
        longest = 0;
    }
    if (longest <= 0 || limits->max_idle <= 0 || origin->idle_count >= limits->max_idle_per_key ||
        rh_watch_events(connection->watch, APR_POLLIN) != APR_SUCCESS) {
        rh_connection_close(connection);
        return;
    }
    while (connections->idle_count >= limits->max_idle) {
        (void)rh_connections_drop_oldest(connections);
    }
    rh_watch_handler(connection->watch, idle_ready, connection);
    APR_RING_REMOVE(connection, link);
    APR_RING_INSERT_TAIL(&connections->idle, connection, rh_connection_t, link);
    APR_RING_INSERT_HEAD(&origin->idle, connection, rh_connection_t, same);
    origin->idle_count++;
    connections->idle_count++;
    connection->idle_timer.fire = idle_too_long;
    connection->idle_timer.baton = connection;
    rh_timers_arm(rh_reactor_timers(connections->reactor), &connection->idle_timer,
                  rh_monotonic_now() + longest);
}

rh_connection_t *rh_connection_take(rh_origin_t *origin)
{
    rh_connections_t *connections = origin->home;

    while (!APR_RING_EMPTY(&origin->idle, rh_connection_t, same)) {
        rh_connection_t *connection = APR_RING_FIRST(&origin->idle);

        if (!is_quiet(connection)) {
            rh_connection_close(connection);
            continue;
        }
        rh_timers_disarm(rh_reactor_timers(connections->reactor), &connection->idle_timer);
        APR_RING_REMOVE(connection, same);
        APR_RING_REMOVE(connection, link);
        APR_RING_INSERT_TAIL(&connections->busy, connection, rh_connection_t, link);
        origin->idle_count--;
        connections->idle_count--;
        return connection;
    }
    return NULL;
}

/* ---- life ---- */

static apr_status_t connections_cleanup(void *data)
{
    rh_connections_t *connections = data;

    while (rh_connections_drop_oldest(connections)) {
    }
    while (!APR_RING_EMPTY(&connections->busy, rh_connection_t, link)) {
        rh_connection_close(APR_RING_FIRST(&connections->busy));
    }
    /* Calls that still use origins will not give them back any more. */
    for (apr_hash_index_t *at = apr_hash_first(NULL, connections->origins); at;
         at = apr_hash_next(at)) {
        set_session(apr_hash_this_val(at), NULL);
    }
    return APR_SUCCESS;
}

rh_connections_t *rh_connections_make(apr_pool_t *pool, rh_reactor_t *reactor,
                                      const rh_client_limits_t *limits)
{
    rh_connections_t *connections = apr_pcalloc(pool, sizeof(*connections));

    connections->pool = pool;
    connections->reactor = reactor;
    connections->limits = *limits;
    connections->origins = apr_hash_make(pool);
    APR_RING_INIT(&connections->unused, rh_origin_t, link);
    APR_RING_INIT(&connections->spare_origins, rh_origin_t, link);
    APR_RING_INIT(&connections->busy, rh_connection_t, link);
    APR_RING_INIT(&connections->idle, rh_connection_t, link);
    APR_RING_INIT(&connections->spare, rh_connection_t, link);
    /* First, because the sockets live in the pools below. */
    apr_pool_pre_cleanup_register(pool, connections, connections_cleanup);
    return connections;
}
