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
    unsigned short port;   /**< the scheme's default where the URL has none */
    const char *authority; /**< for the Host field: host[:port], port only when not the default */
    const char *path;      /**< origin-form: path and query, at least "/" */
} rh_url_t;

/**
 * Read a URL. Refused: other schemes, user info, fragments, white space, control and non-ASCII
 * characters, empty or over-long hosts (a label 63, a name 253), ports outside 1-65535,
 * backslashes, bad percent-escapes, zone ids, numeric hosts that are not four decimal octets
 * (0x7f000001, 127.1, 017700000001).
 * @param reason receives static text saying what is wrong: "must not contain credentials"
 * @return APR_SUCCESS or APR_EINVAL
 */
apr_status_t rh_url_parse(apr_pool_t *pool, const char *text, apr_size_t len, rh_url_t *url,
                          const char **reason);

#endif
