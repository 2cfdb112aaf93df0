/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

bool rh_address_read(const char *text, rh_address_t *address)
{
    memset(address, 0, sizeof(*address));
    address->family = strchr(text, ':') ? APR_INET6 : APR_INET;
    return inet_pton(address->family, text, address->bytes) == 1;
}

bool rh_address_of_os(const void *os_address, rh_address_t *address)
{
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;

    memset(address, 0, sizeof(*address));
    address->family = ((const struct sockaddr *)os_address)->sa_family;
    if (address->family == APR_INET) {
        memcpy(&ipv4, os_address, sizeof(ipv4));
        memcpy(address->bytes, &ipv4.sin_addr, sizeof(ipv4.sin_addr));
        return true;
    }
    if (address->family == APR_INET6) {
        memcpy(&ipv6, os_address, sizeof(ipv6));
        memcpy(address->bytes, &ipv6.sin6_addr, sizeof(ipv6.sin6_addr));
        address->scope = ipv6.sin6_scope_id;
        return true;
    }
    return false;
}

/** Write a number below 100,000. @return the end; not NUL-terminated */
static char *put_number(char *at, unsigned int number)
{
    char digits[5];
    int count = 0;

    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    while (count) {
        *at++ = digits[--count];
    }
    return at;
}

static char *put_byte(char *at, unsigned int byte)
{
    if (byte >= 100) {
        *at++ = (char)('0' + byte / 100);
    }
    if (byte >= 10) {
        *at++ = (char)('0' + byte / 10 % 10);
    }
    *at++ = (char)('0' + byte % 10);
    return at;
}

/** An IPv4 address is written for each connection, and inet_ntop takes ten times as long. */
static char *put_ipv4(char *at, const unsigned char *bytes)
{
    at = put_byte(at, bytes[0]);
    for (int i = 1; i < 4; i++) {
        *at++ = '.';
        at = put_byte(at, bytes[i]);
    }
    return at;
}

static char *put_ipv6(char *at, const unsigned char *bytes)
{
    *at++ = '[';
    if (!inet_ntop(AF_INET6, bytes, at, INET6_ADDRSTRLEN)) {
        *at = '\0';
    }
    at += strlen(at);
    *at++ = ']';
    return at;
}

const char *rh_address_write(const rh_address_t *address, char text[RH_ADDRESS_TEXT_BYTES])
{
    char *end = address->family == APR_INET6 ? put_ipv6(text, address->bytes)
                                             : put_ipv4(text, address->bytes);

    *end = '\0';
    return text;
}

const char *rh_address_write_port(const rh_address_t *address, apr_port_t port,
                                  char text[RH_ADDRESS_PORT_TEXT_BYTES])
{
    char *end = address->family == APR_INET6 ? put_ipv6(text, address->bytes)
                                             : put_ipv4(text, address->bytes);

    *end++ = ':';
    *put_number(end, port) = '\0';
    return text;
}

void rh_address_to_apr(const rh_address_t *address, apr_port_t port, apr_pool_t *pool,
                       apr_sockaddr_t *filled)
{
    memset(filled, 0, sizeof(*filled));
    filled->pool = pool;
    filled->family = address->family;
    filled->port = port;
    if (address->family == APR_INET6) {
        filled->salen = sizeof(filled->sa.sin6);
        filled->ipaddr_len = sizeof(filled->sa.sin6.sin6_addr);
        filled->ipaddr_ptr = &filled->sa.sin6.sin6_addr;
        filled->addr_str_len = INET6_ADDRSTRLEN;
        filled->sa.sin6.sin6_family = AF_INET6;
        filled->sa.sin6.sin6_port = htons(port);
        filled->sa.sin6.sin6_scope_id = address->scope;
    } else {
        filled->salen = sizeof(filled->sa.sin);
        filled->ipaddr_len = sizeof(filled->sa.sin.sin_addr);
        filled->ipaddr_ptr = &filled->sa.sin.sin_addr;
        filled->addr_str_len = INET_ADDRSTRLEN;
        filled->sa.sin.sin_family = AF_INET;
        filled->sa.sin.sin_port = htons(port);
    }
    memcpy(filled->ipaddr_ptr, address->bytes, (apr_size_t)filled->ipaddr_len);
}
