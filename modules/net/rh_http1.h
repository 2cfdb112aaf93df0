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

/** Maximum bytes of all header sections of a response, interim ones and the trailer included. */
#define RH_HTTP1_MAX_HEADER 65536
/** Maximum number of fields in them. */
#define RH_HTTP1_MAX_FIELDS 256
/** Maximum bytes of a chunk's size and extensions. */
#define RH_HTTP1_MAX_CHUNK_LINE 4096
/** Bytes of a body, framing included, after which reading stops. */
#define RH_HTTP1_MAX_BODY (256 * 1024)

typedef enum {
    RH_HTTP1_MORE, /**< more bytes are needed */
    RH_HTTP1_DONE, /**< it is complete, or its limit is reached */
    RH_HTTP1_BAD,  /**< it is not HTTP/1.x: `error` says why */
    RH_HTTP1_CUT   /**< only from rh_http1_end: it ended too early; `error` says where */
} rh_http1_result_t;

/** A response being read. */
typedef struct rh_http1_t {
    int status_code;          /**< 0 until the final status line was read */
    apr_table_t *headers;     /**< of the final response, in order, without its trailer */
    bool header_done;         /**< the final header was read to its end */
    rh_buffer_t body;         /**< decoded from chunks; at most RH_MAX_ANSWER bytes, or what
                                   rh_http1_keep said */
    bool reusable;            /**< once done: another request may follow on the connection */
    apr_int64_t idle_seconds; /**< promised by Keep-Alive; -1: nothing */
    const char *error;        /**< static */

    /* Private to the reader. */
    apr_pool_t *pool;
    int state;
    bool tunnel, http10, close, keep_alive;
    bool encoded, chunked;
    bool line_ended; /**< a field's line was read; the next byte tells if it is folded */
    rh_buffer_t line;
    apr_size_t header_bytes, body_bytes;
    apr_size_t max_kept, max_read; /**< of the body */
    int fields;
    apr_int64_t content_length; /**< -1: none */
    apr_uint64_t left;          /**< of the body or the chunk */
} rh_http1_t;

/**
 * Begin a response; its memory is in `pool`.
 * @param tunnel response to CONNECT: a 2xx has no body
 */
void rh_http1_begin(rh_http1_t *answer, apr_pool_t *pool, bool tunnel);

/** Keep up to `most` bytes of the body rather than RH_MAX_ANSWER, and read up to twice that, at
 * least RH_HTTP1_MAX_BODY. Call it before the first byte is fed. */
void rh_http1_keep(rh_http1_t *answer, apr_size_t most);

/**
 * Take bytes as they arrived.
 * @param used receives how many belong to the response; fewer than `len` only once it is done or
 * bad
 */
rh_http1_result_t rh_http1_feed(rh_http1_t *answer, const char *data, apr_size_t len,
                                apr_size_t *used);

/** The connection was closed. @return RH_HTTP1_DONE if that ends the body, RH_HTTP1_CUT if not */
rh_http1_result_t rh_http1_end(rh_http1_t *answer);

/** What the header section of a request is made of. */
typedef struct rh_http1_head_t {
    const char *method; /**< a token (RFC 9110 §9.1); GET is sent without Content-Length */
    const rh_url_t *url;
    const char *via; /**< host:port of an absolute-form target, for a proxy; NULL: origin-form.
                          Host is the URL's all the same */
    const char *proxy_login; /**< value of Proxy-Authorization; NULL: none */
    bool close;              /**< announce that the connection is not used again */
    const apr_table_t *headers;
    apr_size_t body_len;
} rh_http1_head_t;

/** Write it, in `pool`. @return data NULL if a field's name or value is not fit to be sent */
rh_bytes_t rh_http1_request(apr_pool_t *pool, const rh_http1_head_t *head);

/**
 * Write the CONNECT request for a tunnel, in `pool`.
 * @param to host:port
 * @param proxy_login value of Proxy-Authorization; NULL: none
 */
rh_bytes_t rh_http1_connect(apr_pool_t *pool, const char *to, const char *proxy_login);

#endif
