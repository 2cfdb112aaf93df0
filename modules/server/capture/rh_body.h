/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_body.h
 * @brief Bodies of requests and responses: copying them up to a limit, and judging whether what was
 * copied can be an event's data.
 */
#ifndef RH_BODY_H
#define RH_BODY_H

#include "rh_base.h"
#include "rh_inflate.h"
#include "rh_json_tree.h"

/** How complete a body is that may become an event's data. */
typedef enum {
    RH_BODY_ABSENT, /**< no body, or none that can be data: the event has only its key */
    RH_BODY_CUT,    /**< too large, or incomplete: "truncated" */
    RH_BODY_WHOLE
} rh_body_state_t;

typedef struct rh_body_t {
    rh_body_state_t state;
    rh_bytes_t bytes;         /**< set if WHOLE */
    rh_coding_t coding;       /**< coding of `bytes`, until rh_body_settle */
    const char *content_type; /**< NULL: unknown */
    const char *reason;       /**< the event's reason if the body is not WHOLE; NULL if it is
                                   empty */
    bool settled;             /**< rh_body_settle has judged the body */
    bool parsed;              /**< rh_body_tree has made `tree` */
    rh_json_tree_t *tree;     /**< NULL: not JSON, or too many nodes */
} rh_body_t;

/** Reasons of events that lack the data their rule asks for. */
#define RH_REASON_TRUNCATED "truncated"
#define RH_REASON_NOT_JSON "not_json"
#define RH_REASON_NO_RESOURCE "no_resource"
#define RH_REASON_NO_ITEM "no_item"
#define RH_REASON_TOO_COMPLEX "too_complex"
#define RH_REASON_TOO_MANY_ITEMS "too_many_items"

/** A buffer that grows up to a cap. */
typedef struct rh_copy_t {
    char *data;
    apr_size_t len, size;
    bool over; /**< more was appended than the cap allows */
} rh_copy_t;

/** What rh_body_settle needs to know of a body's origin. */
typedef struct rh_body_use_t {
    const rh_log_t *log;
    apr_pool_t *pool; /**< pool of the inflated bytes */
    apr_size_t cap;   /**< maximum number of bytes after inflating */
    const char *what; /**< name for the log: "response" */
    const char *method, *uri;
} rh_body_use_t;

/**
 * Append bytes. Beyond `cap` nothing is kept and `over` is set. Uses at most twice `cap` of `pool`.
 */
void rh_copy_append(rh_copy_t *copy, apr_pool_t *pool, const char *data, apr_size_t len,
                    apr_size_t cap);
/** Make a body of what was copied: whole if `complete` and within the cap; absent if empty. */
rh_body_t rh_copy_body(const rh_copy_t *copy, bool complete, const char *content_encoding);
/**
 * Undo the content coding and make the body JSON. Does so once; a WHOLE body can then be an event's
 * data. A byte order mark before JSON is skipped. Forms become objects; a body that is not JSON and
 * does not claim to be becomes an object with its content type (rh_form.h).
 */
void rh_body_settle(const rh_body_use_t *use, rh_body_t *body);

/** Parse a settled WHOLE body, in use->pool. @return NULL: there are too many nodes */
const rh_json_tree_t *rh_body_tree(const rh_body_use_t *use, rh_body_t *body);

/**
 * True for a content type that is not JSON and may never end, such as Server-Sent Events. False for
 * NULL.
 */
bool rh_body_is_stream(const char *content_type);
/** True for a content type whose streams usually never end; false for NDJSON. */
bool rh_body_is_endless(const char *content_type);

#endif
