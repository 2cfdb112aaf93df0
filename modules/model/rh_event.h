/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_event.h
 * @brief An event: something that happened to a tenant's resource.
 */
#ifndef RH_EVENT_H
#define RH_EVENT_H

#include "rh_base.h"
#include "rh_json.h"
#include "rh_problem.h"

/** Where events come from: (id, name). OBSERVED: captured by a rule that only observes. */
#define RH_EVENT_SOURCES(X)                                                                        \
    X(CAPTURE, "capture")                                                                          \
    X(PUBLISH, "publish")                                                                          \
    X(SQL, "sql")                                                                                  \
    X(TEST, "test")                                                                                \
    X(OBSERVED, "observed")

#define RH_SOURCE_ID(id, name) RH_SOURCE_##id,
typedef enum { RH_EVENT_SOURCES(RH_SOURCE_ID) RH_SOURCE_COUNT } rh_event_source_t;

typedef struct rh_event_t {
    const char *id; /**< UUIDv7 */
    const char *tenant;
    const char *type;
    const char *key;         /**< NULL: none */
    const char *client_id;   /**< the publisher's idempotency key, NULL: none */
    const char *traceparent; /**< NULL: none */
    apr_time_t time;
    rh_bytes_t data;       /**< one valid JSON text, kept byte for byte */
    apr_size_t data_bytes; /**< read from a store: length of the whole data, if only its beginning
                              was read, for a list; otherwise 0 */
    rh_bytes_t previous;   /**< RFC 7396 patch that turns the data into the earlier state: a JSON
                                object; data NULL: unknown */
    const char *reason;    /**< why it is not sent, or why its data is incomplete ("truncated");
                                NULL: no reason */
    int hops;              /**< number of deliveries that led to it, each causing the next; 0:
                                none */
    rh_event_source_t source;
} rh_event_t;

/** Copy an event and everything that it points to, in `pool`. */
rh_event_t *rh_event_copy(apr_pool_t *pool, const rh_event_t *event);

const char *rh_event_source_name(rh_event_source_t source);
bool rh_event_source_parse(const char *name, rh_event_source_t *source);

/**
 * Read the body of POST /events: one object or an array of at most RH_MAX_BATCH:
 * {"type","data","id"?,"key"?,"time"?,"tenant"?}. Unknown members, wrong types and invalid type
 * names are reported with their field ("[3].type" in a batch). `data` is required and is kept as a
 * span of `body`. Without `key`, the key is the `id` of the data (rh_event_key).
 * @param tenant the tenant of an item that names none; NULL: each item must name one
 * @param max_data maximum length of data in bytes; longer data is problem 413
 * @param events receives an array of rh_event_t * (ids made here), in `pool`
 * @param batch receives whether the body was an array
 */
void rh_event_read(const char *body, apr_size_t len, const char *tenant, apr_size_t max_data,
                   apr_pool_t *pool, apr_array_header_t **events, bool *batch,
                   rh_problem_t *problem);

/**
 * Return the top-level `id` of the data, a string or number, as a key; NULL: absent or not valid.
 */
const char *rh_event_key(apr_pool_t *pool, const char *data, apr_size_t len);

/** True for a W3C Trace Context level 1 traceparent of version 00. */
bool rh_traceparent_valid(const char *text);

#endif
