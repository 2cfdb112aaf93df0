/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_inflate.h
 * @brief Content codings (RFC 9110 §8.4) of captured bodies: recognises them and undoes them.
 */
#ifndef RH_INFLATE_H
#define RH_INFLATE_H

#include "rh_base.h"

/** The coding of a body. */
typedef enum {
    RH_CODING_NONE,
    RH_CODING_ZLIB,   /**< gzip, x-gzip or deflate */
    RH_CODING_UNKNOWN /**< any other coding, or several */
} rh_coding_t;

/** Read a Content-Encoding field; NULL means RH_CODING_NONE. */
rh_coding_t rh_coding_parse(const char *field);

/**
 * Make an Accept-Encoding that asks only for codings that rh_inflate can undo.
 * @return `field` itself if it already does, or if nothing acceptable would remain; otherwise a new
 * value in `pool`
 */
const char *rh_coding_accept(apr_pool_t *pool, const char *field);

/**
 * Undo gzip (all members), zlib or raw deflate.
 * @param cap maximum number of bytes of content; more is APR_ENOSPC, however small `body` is
 * @param content receives the bytes, in `pool`
 * @return APR_INCOMPLETE if the body ends too early; APR_EINVAL if it is none of these; *content is
 * then unchanged
 */
apr_status_t rh_inflate(apr_pool_t *pool, rh_bytes_t body, apr_size_t cap, rh_bytes_t *content);

#endif
