/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_address.h
 * @brief An IP address as the resolver keeps it, and as APR's sockets take it.
 *
 * An apr_sockaddr_t has eight times the size of an address and points into itself, so caches and
 * waiting calls hold addresses and make an apr_sockaddr_t only for a socket.
 */
#ifndef RH_ADDRESS_H
#define RH_ADDRESS_H

#include "rh_base.h"

#include <apr_network_io.h>

/** Size of the text of an address, brackets and NUL included. */
#define RH_ADDRESS_TEXT_BYTES 48
/** The same with a port. */
#define RH_ADDRESS_PORT_TEXT_BYTES 56

typedef struct rh_address_t {
    int family;              /**< APR_INET or APR_INET6 */
    apr_uint32_t scope;      /**< the interface of a link-local IPv6 address; 0: none */
    unsigned char bytes[16]; /**< in network order; the first four of an IPv4 address */
} rh_address_t;

/** Read a literal address without brackets. False: it is a name, or malformed. */
bool rh_address_read(const char *text, rh_address_t *address);

/** Copy the address of a sockaddr_in or sockaddr_in6. False: it is of another family. */
bool rh_address_of_os(const void *os_address, rh_address_t *address);

/** Write the address as it stands in an authority: IPv6 in brackets. @return `text` */
const char *rh_address_write(const rh_address_t *address, char text[RH_ADDRESS_TEXT_BYTES]);

/** Write "192.0.2.1:443" or "[2001:db8::1]:443". @return `text` */
const char *rh_address_write_port(const rh_address_t *address, apr_port_t port,
                                  char text[RH_ADDRESS_PORT_TEXT_BYTES]);

/**
 * Fill an APR address with everything that apr_socket_connect reads. It points into itself: a copy
 * has to be filled again.
 * @param pool what the APR address names as its pool; nothing is allocated
 */
void rh_address_to_apr(const rh_address_t *address, apr_port_t port, apr_pool_t *pool,
                       apr_sockaddr_t *filled);

#endif
