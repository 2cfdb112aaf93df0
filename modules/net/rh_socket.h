/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_socket.h
 * @brief The TCP sockets of one event loop: apr_socket_t, non-blocking, in pools that end.
 *
 * APR frees the memory of a socket only with its pool. A pool for each would take 8 KiB, the
 * smallest that an allocator gives, where a socket needs about 700 bytes; and connections outlive
 * the exchange they were made for. So as many sockets as 8 KiB hold share a pool, which is
 * destroyed once all of them are closed: memory follows the sockets that are open.
 *
 * One thread only. The process must ignore SIGPIPE, as APR writes without MSG_NOSIGNAL: httpd
 * does, and resthooksctl.
 */
#ifndef RH_SOCKET_H
#define RH_SOCKET_H

#include "rh_address.h"

typedef struct rh_sockets_t rh_sockets_t;

typedef struct rh_socket_t {
    apr_socket_t *apr;
    apr_sockaddr_t peer; /**< the peer it connects to */
    struct rh_socket_block_t *block;
} rh_socket_t;

/** Make a set of sockets in `pool`. Each block of sockets has a subpool of it. */
rh_sockets_t *rh_sockets_make(apr_pool_t *pool);

/**
 * Make a non-blocking, unconnected TCP socket for a peer, whose address is copied.
 * @return the status of apr_socket_create, such as APR_EMFILE
 */
apr_status_t rh_socket_open(rh_sockets_t *sockets, const rh_address_t *peer, apr_port_t port,
                            rh_socket_t **made);

/**
 * Begin to connect, or find out the result once the socket is writable.
 * @return APR_SUCCESS: connected; APR_EINPROGRESS: not decided yet; otherwise why it failed
 */
apr_status_t rh_socket_connect(rh_socket_t *made);

/** Close the socket and free its memory. */
void rh_socket_close(rh_socket_t *made);

#endif
