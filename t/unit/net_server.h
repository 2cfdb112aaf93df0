/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file net_server.h
 * @brief A target on loopback for tests of the client: each path is a kind of response.
 *
 *   /ok        200, the connection stays        /close     200, Connection: close
 *   /chunked   200 in chunks, byte by byte      /drip      200, a byte each 100 ms
 *   /never     no response                      /eof       closes without a response
 *   /reset     resets without a response        /half      half of a response, then closes
 *   /garbage   not HTTP                         /hangup    200, then closes at once
 *   /once      200 for the first request of a connection, the second is closed without a response
 *   /late      the same, but the second is closed after 3 s
 *   /abrupt    200 up to the end, without close_notify of TLS
 *   /records   200, 300 bytes one by one, then closes
 *   /early     413 after the header, then closes
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
    char last[4096];                          /**< header of the last request */
} net_server_t;

typedef struct net_peer_t {
    net_server_t *server;
    int descriptor;
    SSL *tls;
} net_peer_t;

#define net_count(counter) __atomic_load_n(&(counter), __ATOMIC_SEQ_CST)
#define net_add(counter, number) __atomic_add_fetch(&(counter), (number), __ATOMIC_SEQ_CST)

bool net_say_slowly(net_peer_t *peer, const char *text, unsigned int wait);

long net_read(net_peer_t *peer, char *buffer, size_t size);

/** Read the header of a request, and its body unless it must stay unread. */
bool net_read_request(net_peer_t *peer, char *header, size_t size);

#define NET_OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/** Bind a socket to a free port on loopback. @return the port; ends the test if there is none */
unsigned short net_bind_to_loopback(int descriptor);

/** Listen on a free port. The caller accepts connections there. */
bool net_listen(net_server_t *server);

bool net_server_start(net_server_t *server, SSL_CTX *tls);

/** Stop. All clients must have closed their connections, or be about to. */
void net_server_stop(net_server_t *server);

#endif
