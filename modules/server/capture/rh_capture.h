/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_capture.h
 * @brief Capture: from a proxied request that matches rules to committed events. Private to
 * rh_capture*.c.
 *
 * One rh_capture_t belongs to one request of a client and lives in its pool. It is made in
 * translate_name, when a rule's methods and regex fit the URI as the client sent it, and is
 * found again by the requests that this one is internally redirected to (ErrorDocument, mod_dir).
 * It goes through these states, only forward, except for rh_capture_rewind:
 *
 *   matched   from translate_name to the response's first brigade. The input filter copies, the
 *             internal GET for `before` runs in fixups.
 *   holding   the final status fits a rule whose data needs the whole response: brigades are set
 *             aside, in the order and grouping in which they came, so that the filters below decide
 *             about Content-Length and chunks as if the module were not there. This is limited: a
 *             stream is never held, and data that arrives RH_LONGEST_HOLD after the first byte ends
 *             it.
 *   done      events are committed (or their loss is logged), held brigades were passed on, and the
 *             rest of the response passes unchanged. Nothing is ever captured twice.
 *
 * Invariants: the end of a final response is never passed on before its events are committed, and
 * no earlier part is, unless the response is too long to be held and only `after` is needed; at
 * most RestHooksMaxData bytes of a body are held, and as many copied; nothing here changes
 * r->status, r->headers_out (except for X-Hook-Event-Id, if that is on) or a byte of the body.
 */
#ifndef RH_CAPTURE_H
#define RH_CAPTURE_H

#include "rh_body.h"
#include "rh_server.h"

#include <apr_hash.h>
#include <util_filter.h>

/**
 * How long a response may be held back after its first byte, because clients and proxies time out
 * without data. Checked only when more data arrives.
 */
#define RH_LONGEST_HOLD apr_time_from_sec(10)

/** The result of an internal GET. */
typedef struct rh_resource_t {
    const char *uri;
    rh_body_t body;
} rh_resource_t;

/** A rule whose methods and regex match the request. */
typedef struct rh_match_t {
    const rh_rule_t *rule;
    const char **values; /**< values of the named groups, at the indexes of rule->names; NULL:
                              not matched */
    int count;           /**< length of `values` */
    bool missed;         /**< the reason why it is not live has been counted */
    bool live; /**< status, when= and tenant fit; the last two only if they are not judged per
                    item */
    const char *tenant;            /**< set if live; NULL: judged per item */
    rh_resource_t *before, *after; /**< NULL: not needed, or its URI is unknown */
    apr_hash_t *before_items;      /**< rh_json_tree_t * by key, with each=; NULL: not read yet */
} rh_match_t;

/** An internal GET in progress (rh_capture_fetch.c). */
typedef struct rh_fetch_t rh_fetch_t;

typedef struct rh_capture_t {
    request_rec *r; /**< the client's request, before any internal redirect */
    rh_server_config_t *config;
    apr_array_header_t *matches; /**< of rh_match_t, in the order of the rules */
    bool sources[RH_DATA_COUNT]; /**< bodies that a match needs */
    bool judged, done;
    int no_cache; /**< value of r->no_cache when the response began */

    apr_array_header_t *held; /**< of apr_bucket_brigade *; NULL: nothing is held */
    apr_size_t held_bytes;    /**< length of the held bodies */
    apr_size_t held_cost;     /**< held_bytes plus the memory of buckets and brigades */
    apr_time_t held_since;    /**< arrival of the body's first byte; 0: none yet */
    bool in_handler;          /**< the handler is running, so `after` must wait */
    ap_filter_t *waiting;     /**< the end of the response is held until the handler returns */
    bool passing;             /**< too long to be held: passed on except for its end */
    int passing_part; /**< why the response is held or passed on: part_t of the output filter */

    apr_table_t *environment; /**< environment of the client's request after it was read; NULL:
                                   no rule needs an internal GET */
    rh_fetch_t *fetch;        /**< NULL: none */
    rh_copy_t request_copy;
    bool request_complete;
    rh_body_t request, response; /**< the copied response, once complete */
    const request_rec *answered; /**< the request that it belongs to */
    bool before_done;
    apr_array_header_t *resources[2]; /**< before and after: of rh_resource_t *; NULL: none */
    const rh_match_t *item_match;     /**< the match whose item the functions of expressions read */
    struct rh_item_t *item;           /**< NULL: none */
    const char *accept_encoding;      /**< the client's Accept-Encoding while it is replaced;
                                           NULL: it is not */
} rh_capture_t;

/* rh_capture_request.c */
/** Set the capture of a request; NULL: its rules were checked, and none matches. */
void rh_capture_set(request_rec *r, rh_capture_t *capture);
/** True after rh_capture_set, also with NULL. */
bool rh_capture_is_set(const request_rec *r);
/**
 * Find the capture of a request, or of the request that was redirected to it. @return NULL: none
 */
rh_capture_t *rh_capture_of(request_rec *r);
/** Maximum length of an event's data on this host, in bytes. */
apr_size_t rh_capture_cap(const rh_capture_t *capture);
/** Call rh_body_settle for one of the request's bodies. @param what name for the log: "response" */
void rh_capture_settle(const rh_capture_t *capture, rh_body_t *body, const char *what);
/**
 * Parse one of the request's bodies after it was settled. @return NULL: it is not JSON, or too
 * large
 */
const rh_json_tree_t *rh_capture_tree(const rh_capture_t *capture, rh_body_t *body,
                                      const char *what);

/* rh_capture_rule.c */
/**
 * Find the rules that match method and URI.
 * @return array of rh_match_t in r->pool; NULL: none matches, and nothing was allocated
 */
apr_array_header_t *rh_rules_match(request_rec *r, const rh_server_config_t *config);
/**
 * Decide by the final status, when= and the tenant which matches are live. Those that are judged
 * per item are live until then.
 * @param r the request that the response belongs to
 * @return the number of live matches
 */
int rh_rules_judge(rh_capture_t *capture, request_rec *r);
/** Return the request that expressions evaluate: the client's, with the response of `r`. */
request_rec *rh_capture_merged(const rh_capture_t *capture, request_rec *r);
/** Set a rule's MATCH_ variables. @return the variables they hide, for rh_match_leave */
const char **rh_match_enter(const rh_match_t *match, request_rec *r);
/** Restore the environment for the filters below and the access log. */
void rh_match_leave(const rh_match_t *match, request_rec *r, const char **hidden);
/** True if when= is true, in the rule's environment. @param why receives the reason if not */
bool rh_match_when(const rh_capture_t *capture, const rh_match_t *match, request_rec *r,
                   rh_miss_t *why);
/** Count that a rule made no event, and warn the first time if the reason is likely a mistake. */
void rh_match_miss(const rh_capture_t *capture, const rh_match_t *match, rh_miss_t why);
/**
 * Find the tenant: tenant=, else the group, else RestHooksTenant, in the rule's environment.
 * @param given the item's, where tenant= is a query
 * @return NULL: none, or not a valid one (logged)
 */
const char *rh_match_tenant(const rh_capture_t *capture, const rh_match_t *match, request_rec *r,
                            const char *given);
/**
 * Find the event's key: key= or the group `key`, in the rule's environment.
 * @param given the item's, where key= is a query
 * @return NULL: none, or not a valid name (logged)
 */
const char *rh_match_key(const rh_capture_t *capture, const rh_match_t *match, request_rec *r,
                         const char *given);
/** Evaluate url=, in r->pool. @return NULL: nothing usable */
const char *rh_match_url(const rh_capture_t *capture, const rh_match_t *match, request_rec *r);

/* rh_capture_item.c */
/** One item, from which an event may be made. */
typedef struct rh_item_t {
    rh_bytes_t data;            /**< JSON; data NULL: none */
    const rh_json_tree_t *tree; /**< nodes of `data`; NULL: not parsed yet */
    const char *reason;         /**< reason of the event; NULL: none */
} rh_item_t;
/**
 * Find the items of a live match: of rh_item_t, at most RH_MAX_BATCH. One item without data if its
 * source has none.
 */
apr_array_header_t *rh_items_select(rh_capture_t *capture, const rh_match_t *match);
/** Parse an item. @return NULL: it has no nodes */
const rh_json_tree_t *rh_item_tree(const rh_capture_t *capture, rh_item_t *item);
/** Return the value of a query that selects one node, as text; NULL: there is none. */
const char *rh_item_text(const rh_capture_t *capture, const rh_json_tree_t *tree,
                         const rh_jsonpath_t *query);
/**
 * Find the item's earlier state. Among several items it is the one with the same key.
 * @return false: there was none, or it is unknown
 */
bool rh_item_before(rh_capture_t *capture, rh_match_t *match, const char *key,
                    const rh_json_tree_t **tree);
/** Evaluates the functions of expressions (rh_rule.h). */
const char *rh_item_evaluate(request_rec *r, rh_subject_t subject, const rh_jsonpath_t *query);

/* rh_capture_output.c */
apr_status_t rh_capture_output(ap_filter_t *f, apr_bucket_brigade *brigade);
/** Finish what had to wait until the handler returned. */
void rh_capture_handled(rh_capture_t *capture, request_rec *r);
/** Forget a response of which nothing has been passed on; an error's response replaces it. */
void rh_capture_rewind(rh_capture_t *capture);
/**
 * Ask the backend only for codings that can be undone. The client's field is restored with the
 * response.
 */
void rh_capture_limit_codings(rh_capture_t *capture, request_rec *r);

/* rh_capture_input.c */
apr_status_t rh_capture_input(ap_filter_t *f, apr_bucket_brigade *brigade, ap_input_mode_t mode,
                              apr_read_type_e block, apr_off_t readbytes);

/* rh_capture_fetch.c */
void rh_capture_fetch_register(void);
/** Return path and query of the request; NULL: it has none. */
const char *rh_capture_self(const rh_capture_t *capture);
/** Return path and query of a Location on this virtual host, in r->pool; NULL: it is elsewhere. */
const char *rh_capture_location(request_rec *r, const char *location);

/**
 * Return the result of an internal GET of a URI, which is made once for all rules.
 * @param when 0: before the request runs; 1: afterwards
 */
rh_resource_t *rh_capture_resource(rh_capture_t *capture, request_rec *r, int when,
                                   const char *uri);

/* rh_capture_event.c */
/**
 * Make the events of all live matches and commit them together. Logs what is lost.
 * @param r the request that the response belongs to
 */
void rh_capture_finish(rh_capture_t *capture, request_rec *r);

#endif
