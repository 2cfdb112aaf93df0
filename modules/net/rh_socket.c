/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_socket.h"

#include <errno.h>

/**
 * If the system can make a socket non-blocking at once, APR need not do so, which would take it two
 * more system calls. Without a time-out APR returns what the system does, as with a time-out of 0.
 */
#ifdef SOCK_NONBLOCK
#define SOCKET_TYPE (SOCK_STREAM | SOCK_NONBLOCK)
#else
#define SOCKET_TYPE SOCK_STREAM
#endif

/** Number of sockets in one pool: they fill its initial 8 KiB. */
#define BLOCK_SOCKETS 11

typedef struct rh_socket_block_t {
    rh_sockets_t *home;
    apr_pool_t *pool;
    int made; /**< sockets made since the pool was; at most BLOCK_SOCKETS */
    int open;
} rh_socket_block_t;

struct rh_sockets_t {
    apr_pool_t *pool;
    rh_socket_block_t *filling; /**< the block of the next socket; NULL: none */
};

rh_sockets_t *rh_sockets_make(apr_pool_t *pool)
{
    rh_sockets_t *sockets = apr_pcalloc(pool, sizeof(*sockets));

    sockets->pool = pool;
    return sockets;
}

/** Return the block that has memory for one more socket. */
static apr_status_t use_block(rh_sockets_t *sockets, rh_socket_block_t **used)
{
    rh_socket_block_t *block = sockets->filling;

    if (!block) {
        apr_pool_t *pool;
        apr_status_t status = apr_pool_create(&pool, sockets->pool);

        if (status != APR_SUCCESS) {
            return status;
        }
        block = apr_pcalloc(pool, sizeof(*block));
        block->home = sockets;
        block->pool = pool;
        sockets->filling = block;
    }
    block->open++;
    if (++block->made == BLOCK_SOCKETS) {
        sockets->filling = NULL;
    }
    *used = block;
    return APR_SUCCESS;
}

static void leave_block(rh_socket_block_t *block)
{
    block->open--;
    if (block->open == 0 && block->made == BLOCK_SOCKETS) {
        apr_pool_destroy(block->pool);
    }
}

apr_status_t rh_socket_open(rh_sockets_t *sockets, const rh_address_t *peer, apr_port_t port,
                            rh_socket_t **made)
{
    rh_socket_block_t *block;
    rh_socket_t *opened;
    apr_status_t status = use_block(sockets, &block);

    if (status != APR_SUCCESS) {
        return status;
    }
    opened = apr_palloc(block->pool, sizeof(*opened));
    opened->block = block;
    rh_address_to_apr(peer, port, block->pool, &opened->peer);
    status = apr_socket_create(&opened->apr, peer->family, SOCKET_TYPE, APR_PROTO_TCP, block->pool);
    if (status != APR_SUCCESS) {
        leave_block(block);
        return status;
    }
    if (SOCKET_TYPE == SOCK_STREAM) {
        status = apr_socket_timeout_set(opened->apr, 0);
    }
    if (status == APR_SUCCESS) {
        /* Head and body leave together or are large, so Nagle's algorithm could only delay them. */
        (void)apr_socket_opt_set(opened->apr, APR_TCP_NODELAY, 1);
        *made = opened;
    } else {
        rh_socket_close(opened);
    }
    return status;
}

apr_status_t rh_socket_connect(rh_socket_t *made)
{
    apr_status_t status = apr_socket_connect(made->apr, &made->peer);

    return APR_STATUS_IS_EINPROGRESS(status) || status == EALREADY ? APR_EINPROGRESS : status;
}

void rh_socket_close(rh_socket_t *made)
{
    rh_socket_block_t *block = made->block;

    (void)apr_socket_close(made->apr);
    leave_block(block);
}
