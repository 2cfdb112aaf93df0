/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file net_server.h
 * @brief A target on loopback for tests of the client: each path is a way to answer.
 *
 *   /ok        200, the connection stays        /close     200, Connection: close
 *   /chunked   200 in chunks, byte by byte      /drip      200, a byte each 100 ms
 *   /never     no answer                        /eof       closes instead of answering
 *   /reset     resets instead of answering      /half      half of an answer, then closes
 *   /garbage   not HTTP                         /hangup    200, then closes at once
 *   /once      200 for the first request of a connection, the second is closed unanswered
 *   /late      the same, but the second is closed after 3 s
 *   /abrupt    200 up to the end, which comes without a goodbye of TLS
 *   /records   200, 300 bytes one by one, then closes
 *   /early     413 as soon as the header was read, then closes
 *   /login     407                              /http2     a frame of HTTP/2, then closes
 *   /brief     200 with Keep-Alive: timeout=1   /flood     200, a body without end
 */
#ifndef RH_NET_SERVER_H
#define RH_NET_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct net_server_t {
    int listener;
    unsigned short port;
    SSL_CTX *tls; /**< NULL: plain */
    pthread_t thread;
    int connections, open, requests, resumed; /**< atomic */
    char last[4096];                          /**< the last request's header */
} net_server_t;

typedef struct net_peer_t {
    net_server_t *server;
    int descriptor;
    SSL *tls;
} net_peer_t;

#define net_count(counter) __atomic_load_n(&(counter), __ATOMIC_SEQ_CST)
#define net_add(counter, number) __atomic_add_fetch(&(counter), (number), __ATOMIC_SEQ_CST)

static bool net_write(net_peer_t *peer, const char *data, size_t len)
{
    if (peer->tls) {
        return SSL_write(peer->tls, data, (int)len) == (int)len;
    }
    while (len) {
        ssize_t sent = send(peer->descriptor, data, len, MSG_NOSIGNAL);

        if (sent <= 0) {
            return false;
        }
        data += sent;
        len -= (size_t)sent;
    }
    return true;
}

static bool net_say(net_peer_t *peer, const char *text)
{
    return net_write(peer, text, strlen(text));
}

static bool net_say_slowly(net_peer_t *peer, const char *text, unsigned int wait)
{
    for (; *text; text++) {
        usleep(wait);
        if (!net_write(peer, text, 1)) {
            return false;
        }
    }
    return true;
}

static long net_read(net_peer_t *peer, char *buffer, size_t size)
{
    return peer->tls ? SSL_read(peer->tls, buffer, (int)size)
                     : recv(peer->descriptor, buffer, size, 0);
}

/** The header of a request, and its body unless that is left where it is. */
static bool net_read_request(net_peer_t *peer, char *header, size_t size)
{
    static const char field[] = "\r\nContent-Length: ";
    char buffer[8192], *end = NULL, *length;
    size_t len = 0, body;
    long got;

    while (!end) {
        got = net_read(peer, header + len, size - 1 - len);
        if (got <= 0) {
            return false;
        }
        len += (size_t)got;
        header[len] = '\0';
        end = strstr(header, "\r\n\r\n");
    }
    length = strstr(header, field);
    body = length ? (size_t)atol(length + strlen(field)) : 0;
    body -= len - (size_t)(end + 4 - header);
    end[4] = '\0';
    while (body && !strstr(header, " /early ")) {
        got = net_read(peer, buffer, body < sizeof(buffer) ? body : sizeof(buffer));
        if (got <= 0) {
            return false;
        }
        body -= (size_t)got;
    }
    return true;
}

static void net_reset_on_close(net_peer_t *peer)
{
    struct linger linger = {1, 0};

    setsockopt(peer->descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

#define NET_OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/** @return whether the connection goes on */
static bool net_answer(net_peer_t *peer, const char *path, int number)
{
    char byte;

    if (strcmp(path, "/close") == 0) {
        net_say(peer, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        return false;
    }
    if (strcmp(path, "/chunked") == 0) {
        return net_say_slowly(peer,
                              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX-End: 1\r\n\r\n",
                              100);
    }
    if (strcmp(path, "/abrupt") == 0) {
        net_say(peer, "HTTP/1.1 200 OK\r\n\r\nok");
        shutdown(peer->descriptor, SHUT_RDWR);
        return false;
    }
    if (strcmp(path, "/records") == 0) {
        net_say(peer, "HTTP/1.1 200 OK\r\n\r\n");
        for (int i = 0; i < 300; i++) {
            net_say(peer, "x");
        }
        return false;
    }
    if (strcmp(path, "/drip") == 0) {
        return net_say_slowly(peer, NET_OK, 100000);
    }
    if (strcmp(path, "/never") == 0) {
        (void)net_read(peer, &byte, 1);
        return false;
    }
    if (strcmp(path, "/reset") == 0) {
        net_reset_on_close(peer);
        return false;
    }
    if (strcmp(path, "/half") == 0) {
        net_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        return false;
    }
    if (strcmp(path, "/garbage") == 0) {
        net_say(peer, "SSH-2.0-none\r\n");
        return false;
    }
    if (strcmp(path, "/early") == 0) {
        net_say(peer, "HTTP/1.1 413 No\r\nContent-Length: 3\r\n\r\nno\n");
        usleep(200000);
        net_reset_on_close(peer);
        return false;
    }
    if (strstr(path, "/login")) {
        return net_say(peer, "HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno");
    }
    if (strcmp(path, "/http2") == 0) {
        (void)net_write(peer, "\0\0\0\4\0\0\0\0\0", 9);
        return false;
    }
    if (strcmp(path, "/brief") == 0) {
        return net_say(peer,
                       "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok");
    }
    if (strcmp(path, "/flood") == 0) {
        net_say(peer, "HTTP/1.1 200 OK\r\n\r\n");
        while (net_say(peer, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")) {
        }
        return false;
    }
    if (strcmp(path, "/late") == 0 && number > 1) {
        usleep(3000000);
        return false;
    }
    if (strcmp(path, "/eof") == 0 || (strcmp(path, "/once") == 0 && number > 1)) {
        return false;
    }
    return net_say(peer, NET_OK) && strcmp(path, "/hangup") != 0;
}

/** Keep the last request's head, for the test to read once it has been answered. */
static void net_keep(net_server_t *server, const char header[4096])
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

    pthread_mutex_lock(&mutex);
    memcpy(server->last, header, sizeof(server->last));
    pthread_mutex_unlock(&mutex);
}

static void *net_serve(void *data)
{
    net_peer_t *peer = data;
    net_server_t *server = peer->server;
    char header[4096], path[256];
    int number = 0;

    if (server->tls) {
        peer->tls = SSL_new(server->tls);
        SSL_set_fd(peer->tls, peer->descriptor);
        if (SSL_accept(peer->tls) != 1) {
            goto leave;
        }
        net_add(server->resumed, SSL_session_reused(peer->tls));
    }
    while (net_read_request(peer, header, sizeof(header))) {
        net_add(server->requests, 1);
        net_keep(server, header);
        if (sscanf(header, "POST %255s", path) != 1 || !net_answer(peer, path, ++number)) {
            break;
        }
    }
    if (peer->tls) {
        SSL_shutdown(peer->tls);
    }
leave:
    SSL_free(peer->tls);
    close(peer->descriptor);
    net_add(server->open, -1);
    free(peer);
    return NULL;
}

static void *net_accept(void *data)
{
    net_server_t *server = data;
    int descriptor, on = 1;

    while ((descriptor = accept(server->listener, NULL, NULL)) >= 0) {
        net_peer_t *peer = calloc(1, sizeof(*peer));
        pthread_t thread;

        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        net_add(server->connections, 1);
        net_add(server->open, 1);
        peer->server = server;
        peer->descriptor = descriptor;
        if (pthread_create(&thread, NULL, net_serve, peer) == 0) {
            pthread_detach(thread);
        }
    }
    return NULL;
}

/** A port of its own; who accepts there is the caller's. */
static bool net_listen(net_server_t *server)
{
    struct sockaddr_in address;
    socklen_t size = sizeof(address);

    memset(server, 0, sizeof(*server));
    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server->listener, (struct sockaddr *)&address, size) != 0 ||
        listen(server->listener, 100) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &size) != 0) {
        return false;
    }
    server->port = ntohs(address.sin_port);
    return true;
}

static bool net_server_start(net_server_t *server, SSL_CTX *tls)
{
    if (!net_listen(server)) {
        return false;
    }
    server->tls = tls;
    return pthread_create(&server->thread, NULL, net_accept, server) == 0;
}

/** All clients must be gone, or go soon. */
static void net_server_stop(net_server_t *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    for (int i = 0; i < 500 && net_count(server->open); i++) {
        usleep(10000);
    }
}

#endif
