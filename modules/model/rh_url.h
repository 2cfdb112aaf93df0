/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_url.h
 * @brief Target URLs: absolute http and https (RFC 3986, RFC 9110 §4.2).
 */
#ifndef RH_URL_H
#define RH_URL_H

#include "rh_base.h"

typedef struct rh_url_t {
    bool https;
    const char *host; /**< lower case; an IPv6 literal without brackets */
    bool ipv6_literal;
    bool ipv4_literal;
    unsigned short port;   /**< the scheme's default port if the URL has none */
    const char *authority; /**< value of the Host field: host[:port], without the default port */
    const char *path;      /**< origin-form: path and query, at least "/" */
    const char *text;      /**< the URL as given, with an international host in its ASCII form */
} rh_url_t;

/**
 * Read a URL. An international host is converted to A-labels (UTS #46, non-transitional). Refused:
 * other schemes, user info, fragments, white space, control characters, non-ASCII characters after
 * the host, empty or over-long hosts (a label 63, a name 253), ports outside 1-65535, backslashes,
 * bad percent-escapes, zone ids, numeric hosts that are not four decimal octets (0x7f000001, 127.1,
 * 017700000001).
 * @param reason receives text, static or in `pool`, that says what is wrong: "must not contain
 *        credentials"
 * @return APR_SUCCESS or APR_EINVAL
 */
apr_status_t rh_url_parse(apr_pool_t *pool, const char *text, apr_size_t len, rh_url_t *url,
                          const char **reason);

/**
 * Explain why a text is not a valid host name in ASCII; NULL: it is. Valid are letters, digits, -
 * and _, labels of up to 63 bytes, 253 in all, an optional final dot; but not what inet_aton or a
 * browser takes for an address.
 */
const char *rh_host_complaint(const char *host, apr_size_t len);

#endif
