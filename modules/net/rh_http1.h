/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_http1.h
 * @brief HTTP/1.1 as bytes: read a response as it arrives, write a request (RFC 9112).
 *
 * No I/O, no global state. The cost of a response is bounded: its header by RH_HTTP1_MAX_HEADER and
 * RH_HTTP1_MAX_FIELDS, the kept part of its body by RH_MAX_ANSWER, the part that is read by
 * RH_HTTP1_MAX_BODY, after which the body counts as complete. rh_http1_keep changes the last two.
 */
#ifndef RH_HTTP1_H
#define RH_HTTP1_H

#include "rh_base.h"
#include "rh_url.h"

/**
 * Maximum length of all header sections of a response together, interim ones and the trailer
 * included, in bytes.
 */
#define RH_HTTP1_MAX_HEADER 65536
/** Maximum number of their fields. */
#define RH_HTTP1_MAX_FIELDS 256
/** Maximum length of a chunk's size and extensions, in bytes. */
#define RH_HTTP1_MAX_CHUNK_LINE 4096
/** Length of a body, framing included, after which reading stops, in bytes. */
#define RH_HTTP1_MAX_BODY (256 * 1024)

typedef enum {
    RH_HTTP1_MORE, /**< more bytes are needed */
    RH_HTTP1_DONE, /**< the response is complete, or its limit is reached */
    RH_HTTP1_BAD,  /**< this is not HTTP/1.x: `error` says why */
    RH_HTTP1_CUT   /**< only from rh_http1_end: the response ended too early; `error` says where */
} rh_http1_result_t;

/** A response being read. */
typedef struct rh_http1_t {
    int status_code;          /**< 0 until the final status line was read */
    apr_table_t *headers;     /**< of the final response, in order, without its trailer */
    bool header_done;         /**< the whole final header was read */
    rh_buffer_t body;         /**< decoded from chunks; at most RH_MAX_ANSWER bytes, or the limit
                                   of rh_http1_keep */
    bool reusable;            /**< once complete: the connection may be used again */
    apr_int64_t idle_seconds; /**< time that Keep-Alive promises; -1: none */
    const char *error;        /**< static */

    /* Private to the reader. */
    apr_pool_t *pool;
    int state;
    bool tunnel, http10, close, keep_alive;
    bool encoded, chunked;
    bool line_ended; /**< a field's line was read; the next byte shows whether it is folded */
    rh_buffer_t line;
    apr_size_t header_bytes, body_bytes;
    apr_size_t max_kept, max_read; /**< length of the body */
    int fields;
    apr_int64_t content_length; /**< -1: none */
    apr_uint64_t left;          /**< rest of the body or the chunk */
} rh_http1_t;

/**
 * Begin a response, in `pool`.
 * @param tunnel response to CONNECT: a 2xx has no body
 */
void rh_http1_begin(rh_http1_t *answer, apr_pool_t *pool, bool tunnel);

/**
 * Keep up to `most` bytes of the body instead of RH_MAX_ANSWER, and read up to twice that, at least
 * RH_HTTP1_MAX_BODY. Call it before the first byte is fed.
 */
void rh_http1_keep(rh_http1_t *answer, apr_size_t most);

/**
 * Take bytes as they arrive.
 * @param used receives how many belong to the response; fewer than `len` only once it is complete
 * or bad
 */
rh_http1_result_t rh_http1_feed(rh_http1_t *answer, const char *data, apr_size_t len,
                                apr_size_t *used);

/** The connection was closed. @return RH_HTTP1_DONE if that ends the body, RH_HTTP1_CUT if not */
rh_http1_result_t rh_http1_end(rh_http1_t *answer);

/** The parts of a request's header section. */
typedef struct rh_http1_head_t {
    const char *method; /**< a token (RFC 9110 §9.1); GET is sent without Content-Length */
    const rh_url_t *url;
    const char *via; /**< host:port for the absolute form that a proxy gets; NULL: origin form.
                          Host is always the URL's */
    const char *proxy_login; /**< value of Proxy-Authorization; NULL: none */
    bool close;              /**< announce that the connection will not be used again */
    const apr_table_t *headers;
    apr_size_t body_len;
} rh_http1_head_t;

/** Write the header section, in `pool`. @return data NULL if a field cannot be sent */
rh_bytes_t rh_http1_request(apr_pool_t *pool, const rh_http1_head_t *head);

/**
 * Write the CONNECT request for a tunnel, in `pool`.
 * @param to host:port
 * @param proxy_login value of Proxy-Authorization; NULL: none
 */
rh_bytes_t rh_http1_connect(apr_pool_t *pool, const char *to, const char *proxy_login);

#endif
