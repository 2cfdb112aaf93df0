/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The sockets of the receiver. */
#include "ctl_listen.h"

#include <apr_lib.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

typedef enum { FREE, READING, WAITING, WRITING } state_t;

typedef struct connection_t {
    state_t state;
    int descriptor;
    apr_time_t until; /**< when to act next: READING and WRITING are cut off, WAITING is answered */
    apr_pool_t *pool;
    char *data; /**< from malloc; grows with the request */
    apr_size_t len, size;
    apr_size_t needed;  /**< length of the whole request, known after its head was read; 0:
                             unknown */
    bool counted;       /**< it was a POST and the handler was called */
    const char *answer; /**< unsent rest of the response */
    apr_size_t left;
} connection_t;

struct listener_t {
    apr_pool_t *pool;
    int descriptor;
    listener_handler_t *handler;
    void *baton;
    volatile sig_atomic_t stopped;
    int answered;
    connection_t connection[LISTENER_CONNECTIONS];
};

static void close_connection(connection_t *connection)
{
    if (connection->state != FREE) {
        close(connection->descriptor);
        free(connection->data);
        apr_pool_destroy(connection->pool);
        memset(connection, 0, sizeof(*connection));
    }
}

static apr_status_t close_listener(void *data)
{
    listener_t *listener = data;

    for (int i = 0; i < LISTENER_CONNECTIONS; i++) {
        close_connection(&listener->connection[i]);
    }
    close(listener->descriptor);
    return APR_SUCCESS;
}

/* ---- responses ---- */

static void answer(connection_t *connection, int status, apr_interval_time_t delay)
{
    const char *body = apr_psprintf(connection->pool, "%d from resthooksctl\n", status);
    bool bodiless = status == 204 || status == 304;

    connection->answer = apr_psprintf(
        connection->pool, "HTTP/1.1 %d %s\r\n%sConnection: close\r\n%s\r\n%s", status,
        status < 300 ? "OK" : "Refused", status == 405 ? "Allow: POST\r\n" : "",
        bodiless
            ? ""
            : apr_psprintf(connection->pool,
                           "Content-Type: text/plain\r\nContent-Length: %" APR_SIZE_T_FMT "\r\n",
                           strlen(body)),
        bodiless ? "" : body);
    connection->left = strlen(connection->answer);
    connection->state = WAITING;
    connection->until = apr_time_now() + delay;
}

/** Handle a request that is complete or never will be. */
static void judge(listener_t *listener, connection_t *connection, const ctl_message_t *message)
{
    rh_bytes_t raw = {connection->data, connection->needed};
    listener_answer_t chosen;

    if (!message->method || strcmp(message->method, "POST") != 0) {
        answer(connection, 405, 0);
        return;
    }
    chosen = listener->handler(listener->baton, message, raw, connection->pool);
    connection->counted = true;
    answer(connection, chosen.status, chosen.delay);
}

/* ---- requests ---- */

/** Check the head once it has arrived. False: a response is already being sent. */
static bool read_head(connection_t *connection, ctl_message_t *message)
{
    apr_size_t head = ctl_head_length(connection->data, connection->len);
    const char *expect;

    if (!head) {
        if (connection->len > CTL_MAX_HEAD) {
            answer(connection, 431, 0);
        }
        return false;
    }
    if (ctl_message_read(connection->pool, connection->data, connection->len, message)) {
        answer(connection, 400, 0);
        return false;
    }
    if (message->content_length < 0 && message->method && strcmp(message->method, "POST") == 0) {
        answer(connection, 411, 0);
        return false;
    }
    if (message->content_length > CTL_MAX_BODY) {
        answer(connection, 413, 0);
        return false;
    }
    expect = apr_table_get(message->headers, "Expect");
    if (!connection->needed && expect && strcasecmp(expect, "100-continue") == 0) {
        (void)!write(connection->descriptor, CONTINUE, strlen(CONTINUE));
    }
    connection->needed =
        head + (message->content_length > 0 ? (apr_size_t)message->content_length : 0);
    return true;
}

static bool grow(connection_t *connection)
{
    apr_size_t size = connection->size ? connection->size * 2 : 8192;
    char *larger;

    if (connection->len < connection->size) {
        return true;
    }
    larger = realloc(connection->data, size);
    if (larger) {
        connection->data = larger;
        connection->size = size;
    }
    return larger != NULL;
}

static void read_ready(listener_t *listener, connection_t *connection)
{
    ctl_message_t message;
    ssize_t got;

    if (!grow(connection)) {
        close_connection(connection);
        return;
    }
    got = read(connection->descriptor, connection->data + connection->len,
               connection->size - connection->len);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        close_connection(connection);
        return;
    }
    connection->len += (apr_size_t)got;
    if (connection->needed && connection->len < connection->needed) {
        return;
    }
    if (read_head(connection, &message) && connection->len >= connection->needed) {
        judge(listener, connection, &message);
    }
}

static void write_ready(listener_t *listener, connection_t *connection)
{
    ssize_t sent = write(connection->descriptor, connection->answer, connection->left);

    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (sent > 0) {
        connection->answer += sent;
        connection->left -= (apr_size_t)sent;
    }
    if (sent < 0 || connection->left == 0) {
        shutdown(connection->descriptor, SHUT_WR);
        listener->answered += connection->counted;
        close_connection(connection);
    }
}

static void accept_ready(listener_t *listener)
{
    int descriptor = accept(listener->descriptor, NULL, NULL), i = 0;

    while (i < LISTENER_CONNECTIONS && listener->connection[i].state != FREE) {
        i++;
    }
    if (descriptor < 0) {
        return;
    }
    if (i == LISTENER_CONNECTIONS ||
        fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK) != 0) {
        close(descriptor);
        return;
    }
    listener->connection[i].state = READING;
    listener->connection[i].descriptor = descriptor;
    listener->connection[i].until = apr_time_now() + LISTENER_TIMEOUT;
    apr_pool_create(&listener->connection[i].pool, listener->pool);
}

/* ---- the loop ---- */

/** Handle expired deadlines. @return the next one; 0: none */
static apr_time_t look_at_clock(listener_t *listener, apr_time_t now)
{
    apr_time_t next = 0;

    for (int i = 0; i < LISTENER_CONNECTIONS; i++) {
        connection_t *connection = &listener->connection[i];

        if (connection->state == WAITING && now >= connection->until) {
            connection->state = WRITING;
            connection->until = now + LISTENER_TIMEOUT;
        } else if (connection->state != FREE && now >= connection->until) {
            close_connection(connection);
        }
        if (connection->state != FREE && (!next || connection->until < next)) {
            next = connection->until;
        }
    }
    return next;
}

/**
 * Fill in the descriptors to poll. The listener's comes last, while there is room for a connection.
 */
static int fill_polled(const listener_t *listener, struct pollfd *polled, int *owner)
{
    int count = 0, taken = 0;

    for (int i = 0; i < LISTENER_CONNECTIONS; i++) {
        const connection_t *connection = &listener->connection[i];

        taken += connection->state != FREE;
        if (connection->state == READING || connection->state == WRITING) {
            polled[count].fd = connection->descriptor;
            polled[count].events = connection->state == READING ? POLLIN : POLLOUT;
            owner[count++] = i;
        }
    }
    if (taken < LISTENER_CONNECTIONS) {
        polled[count].fd = listener->descriptor;
        polled[count].events = POLLIN;
        owner[count++] = -1;
    }
    return count;
}

int listener_run(listener_t *listener, int count, apr_time_t deadline)
{
    struct pollfd polled[LISTENER_CONNECTIONS + 1];
    int owner[LISTENER_CONNECTIONS + 1];

    while (!listener->stopped && (count == 0 || listener->answered < count)) {
        apr_time_t now = apr_time_now(), next = look_at_clock(listener, now);
        /* A signal may arrive just before poll, which then notices it at most a second later. */
        apr_interval_time_t wait = apr_time_from_sec(1);
        int number = fill_polled(listener, polled, owner);

        if (deadline && now >= deadline) {
            break;
        }
        wait = next && next - now < wait ? next - now : wait;
        wait = deadline && deadline - now < wait ? deadline - now : wait;
        if (poll(polled, (nfds_t)number, (int)((wait + 999) / 1000)) <= 0) {
            continue;
        }
        for (int i = 0; i < number; i++) {
            if (!polled[i].revents) {
                continue;
            }
            if (owner[i] < 0) {
                accept_ready(listener);
            } else if (listener->connection[owner[i]].state == READING) {
                read_ready(listener, &listener->connection[owner[i]]);
            } else {
                write_ready(listener, &listener->connection[owner[i]]);
            }
        }
    }
    return listener->answered;
}

void listener_stop(listener_t *listener)
{
    listener->stopped = 1;
}

apr_status_t listener_make(apr_pool_t *pool, int *port, listener_handler_t *handler, void *baton,
                           listener_t **result)
{
    listener_t *listener = apr_pcalloc(pool, sizeof(*listener));
    struct sockaddr_in address;
    socklen_t size = sizeof(address);
    int yes = 1;

    listener->pool = pool;
    listener->handler = handler;
    listener->baton = baton;
    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)*port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener->descriptor < 0) {
        return errno;
    }
    apr_pool_cleanup_register(pool, listener, close_listener, apr_pool_cleanup_null);
    (void)setsockopt(listener->descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (fcntl(listener->descriptor, F_SETFL, O_NONBLOCK) != 0 ||
        bind(listener->descriptor, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener->descriptor, 128) != 0 ||
        getsockname(listener->descriptor, (struct sockaddr *)&address, &size) != 0) {
        return errno;
    }
    *port = ntohs(address.sin_port);
    *result = listener;
    return APR_SUCCESS;
}
