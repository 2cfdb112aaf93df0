/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "net_server.h"

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

bool net_say_slowly(net_peer_t *peer, const char *text, unsigned int wait)
{
    for (; *text; text++) {
        usleep(wait);
        if (!net_write(peer, text, 1)) {
            return false;
        }
    }
    return true;
}

long net_read(net_peer_t *peer, char *buffer, size_t size)
{
    return peer->tls ? SSL_read(peer->tls, buffer, (int)size)
                     : recv(peer->descriptor, buffer, size, 0);
}

bool net_read_request(net_peer_t *peer, char *header, size_t size)
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

/** Keep the last request's head, which the test reads after the response. */
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

unsigned short net_bind_to_loopback(int descriptor)
{
    struct sockaddr_in address;
    socklen_t size = sizeof(address);

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(descriptor, (struct sockaddr *)&address, size) != 0 ||
        getsockname(descriptor, (struct sockaddr *)&address, &size) != 0) {
        printf("Bail out! no port on loopback\n");
        exit(1);
    }
    return ntohs(address.sin_port);
}

bool net_listen(net_server_t *server)
{
    memset(server, 0, sizeof(*server));
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    server->port = net_bind_to_loopback(server->listener);
    return listen(server->listener, 100) == 0;
}

bool net_server_start(net_server_t *server, SSL_CTX *tls)
{
    if (!net_listen(server)) {
        return false;
    }
    server->tls = tls;
    return pthread_create(&server->thread, NULL, net_accept, server) == 0;
}

void net_server_stop(net_server_t *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    for (int i = 0; i < 500 && net_count(server->open); i++) {
        usleep(10000);
    }
}
