/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_capture.h
 * @brief Capture: from a proxied request that matches rules to committed events. Private to
 * rh_capture*.c.
 *
 * One rh_capture_t belongs to one request of a client and lives in its pool. It is made in
 * translate_name, when a rule's methods and regex fit the URI as the client sent it, and is
 * found again by the requests that this one is internally redirected to (ErrorDocument, mod_dir).
 * It goes through these states, only forward, but for rh_capture_rewind:
 *
 *   matched   translate_name .. the answer's first brigade. The input filter copies, the internal
 *             GET for `before` runs in fixups.
 *   holding   the final status fits a rule whose data needs the whole answer: brigades are set
 *             aside, in the order and grouping in which they came, so that the filters below decide
 *             about Content-Length and chunks just as if we were not there. Not for ever: a stream
 *             is never held, and what comes RH_LONGEST_HOLD after the first byte ends it.
 *   done      events are committed (or their loss is logged), what was held went on, and the rest
 *             of the answer passes untouched. Nothing is ever captured twice.
 *
 * Invariants: the end of a final answer never passes before its events are committed, and nothing
 * of it does unless the answer is too long to be held while only `after` is wanted; at most
 * RestHooksMaxData bytes of a body are held, and as many copied; nothing here changes r->status,
 * r->headers_out (but for X-Hook-Event-Id, where that is wanted) or a byte of the body.
 */
#ifndef RH_CAPTURE_H
#define RH_CAPTURE_H

#include "rh_body.h"
#include "rh_server.h"

#include <apr_hash.h>
#include <util_filter.h>

/** How long a response may be held back after its first byte; clients and proxies time out without
 * data. Checked only when more data arrives. */
#define RH_LONGEST_HOLD apr_time_from_sec(10)

/** What an internal GET has shown. */
typedef struct rh_resource_t {
    const char *uri;
    rh_body_t body;
} rh_resource_t;

/** A rule whose methods and regex fit. */
typedef struct rh_match_t {
    const rh_rule_t *rule;
    const char **values; /**< of the named groups, at the indexes of rule->names; NULL: no part */
    int count;           /**< how many `values` */
    bool missed;         /**< that it does not live is counted */
    bool live; /**< the status fits and, unless they are judged by item, when= and tenant */
    const char *tenant;            /**< when live; NULL: it is judged by item */
    rh_resource_t *before, *after; /**< NULL: not needed, or its URI is not known */
    apr_hash_t *before_items; /**< rh_json_tree_t * by key, with each=; NULL: not looked at yet */
} rh_match_t;

/** An internal GET under way (rh_capture_fetch.c). */
typedef struct rh_fetch_t rh_fetch_t;

typedef struct rh_capture_t {
    request_rec *r; /**< the client's request, before any internal redirect */
    rh_server_config_t *config;
    apr_array_header_t *matches; /**< of rh_match_t, in the order of the rules */
    bool sources[RH_DATA_COUNT]; /**< some match needs it */
    bool judged, done;
    int no_cache; /**< r->no_cache when the answer began */

    apr_array_header_t *held; /**< of apr_bucket_brigade *; NULL: none yet */
    apr_size_t held_bytes;    /**< of bodies */
    apr_size_t held_cost;     /**< held_bytes, and what buckets and brigades themselves take */
    apr_time_t held_since;    /**< of the first byte of the body; 0: none came */
    bool in_handler;          /**< the handler runs, for `after` */
    ap_filter_t *waiting;     /**< the answer's end is held until the handler returns */
    bool passing;             /**< too long to be held: it goes on, all but its end */
    int passing_part; /**< how the answer came to wait or pass: part_t of the output filter */

    apr_table_t *environment; /**< of the client's request once it was read; NULL: no rule needs an
                                   internal GET */
    rh_fetch_t *fetch;        /**< NULL: none */
    rh_copy_t request_copy;
    bool request_complete;
    rh_body_t request, response; /**< once the answer is here */
    const request_rec *answered; /**< whose answer it is */
    bool before_done;
    apr_array_header_t *resources[2]; /**< before and after: of rh_resource_t *; NULL: none */
    const rh_match_t *item_match;     /**< whose item the functions of expressions are about */
    struct rh_item_t *item;           /**< NULL: none */
    const char *accept_encoding;      /**< the client's, while it is replaced; NULL: it is not */
} rh_capture_t;

/* rh_capture.c */
extern ap_filter_rec_t *rh_capture_output_handle, *rh_capture_input_handle;
/** The capture of a request or of the one that was redirected to it; NULL: none. */
rh_capture_t *rh_capture_of(request_rec *r);
/** Largest data of this host, bytes. */
apr_size_t rh_capture_cap(const rh_capture_t *capture);
/** rh_body_settle for one of the request's bodies. @param what for the log: "response" */
void rh_capture_settle(const rh_capture_t *capture, rh_body_t *body, const char *what);
/** The nodes of one of the request's bodies once it is settled; NULL: it is not JSON, or too large.
 */
const rh_json_tree_t *rh_capture_tree(const rh_capture_t *capture, rh_body_t *body,
                                      const char *what);

/* rh_capture_rule.c */
/** Rules that fit method and URI; NULL when none does, and then nothing was allocated.
 * @return array of rh_match_t in r->pool */
apr_array_header_t *rh_rules_match(request_rec *r, const rh_server_config_t *config);
/**
 * Decide by the final status, when= and the tenant which matches live. Those that are judged by
 * item live until then.
 * @param r the request whose answer it is
 * @return how many live
 */
int rh_rules_judge(rh_capture_t *capture, request_rec *r);
/** The request that expressions see: the client's, with the response that `r` has brought. */
request_rec *rh_capture_merged(const rh_capture_t *capture, request_rec *r);
/** Set a rule's MATCH_ variables. @return what they hide, for rh_match_leave */
const char **rh_match_enter(const rh_match_t *match, request_rec *r);
/** Filters below and the access log see the environment that they would see without us. */
void rh_match_leave(const rh_match_t *match, request_rec *r, const char **hidden);
/** True if when= is true, in the rule's environment. @param why receives the reason if not */
bool rh_match_when(const rh_capture_t *capture, const rh_match_t *match, request_rec *r,
                   rh_miss_t *why);
/** Count that a rule made no event, and warn of the first one that cannot be meant. */
void rh_match_miss(const rh_capture_t *capture, const rh_match_t *match, rh_miss_t why);
/**
 * The tenant by tenant=, else by the group, else by RestHooksTenant, in the rule's environment.
 * @param given of the item, where tenant= is a query
 * @return NULL: none, or not a valid one; logged
 */
const char *rh_match_tenant(const rh_capture_t *capture, const rh_match_t *match, request_rec *r,
                            const char *given);
/** The event's key by key= or the group `key`, in the rule's environment; NULL: there is none, or
 * it is not a valid name (logged). @param given of the item, where key= is a query */
const char *rh_match_key(const rh_capture_t *capture, const rh_match_t *match, request_rec *r,
                         const char *given);
/** What url= says; NULL: nothing usable. In r->pool. */
const char *rh_match_url(const rh_capture_t *capture, const rh_match_t *match, request_rec *r);

/* rh_capture_item.c */
/** What one event may be made of. */
typedef struct rh_item_t {
    rh_bytes_t data;            /**< JSON; data NULL: there is none */
    const rh_json_tree_t *tree; /**< of `data`; NULL: not made yet */
    const char *reason;         /**< for the event; NULL: nothing to say */
} rh_item_t;
/** The items of a match that lives: of rh_item_t, never more than RH_MAX_BATCH. One without data
 * where its source has none. */
apr_array_header_t *rh_items_select(rh_capture_t *capture, const rh_match_t *match);
/** The nodes of an item; NULL: none. */
const rh_json_tree_t *rh_item_tree(const rh_capture_t *capture, rh_item_t *item);
/** The value at a query's one node, as text; NULL: there is none. */
const char *rh_item_text(const rh_capture_t *capture, const rh_json_tree_t *tree,
                         const rh_jsonpath_t *query);
/**
 * What was there before, in the item's place: of several items, the one with the same key.
 * @return false: it was not there, or is not known
 */
bool rh_item_before(rh_capture_t *capture, rh_match_t *match, const char *key,
                    const rh_json_tree_t **tree);
/** Evaluates the functions of expressions (rh_rule.h). */
const char *rh_item_evaluate(request_rec *r, rh_subject_t subject, const rh_jsonpath_t *query);

/* rh_capture_output.c */
apr_status_t rh_capture_output(ap_filter_t *f, apr_bucket_brigade *brigade);
/** The handler has returned: finish what waits for that. */
void rh_capture_handled(rh_capture_t *capture, request_rec *r);
/** Forget an answer of which nothing has passed: another one (an error's) takes its place. */
void rh_capture_rewind(rh_capture_t *capture);
/** Ask the backend for codings that can be undone; the client's field comes back with the answer.
 */
void rh_capture_limit_codings(rh_capture_t *capture, request_rec *r);

/* rh_capture_input.c */
apr_status_t rh_capture_input(ap_filter_t *f, apr_bucket_brigade *brigade, ap_input_mode_t mode,
                              apr_read_type_e block, apr_off_t readbytes);

/* rh_capture_fetch.c */
void rh_capture_fetch_register(void);
/**
 * GET a URI of this virtual host as a sub-request of r, with r's credentials and without its
 * body, range and conditions.
 * @param uri path and query, escaped
 * @param body receives the answer; ABSENT when it wasn't a 2xx
 */
void rh_capture_fetch(rh_capture_t *capture, request_rec *r, const char *uri, rh_body_t *body);
/** Path and query of the request itself; NULL when it has none. */
const char *rh_capture_self(const rh_capture_t *capture);
/** Where a Location field leads on this virtual host; NULL: elsewhere. In r->pool. */
const char *rh_capture_location(request_rec *r, const char *location);

/**
 * What an internal GET of a URI shows, once for all rules that ask for it.
 * @param when 0: before the request runs; 1: afterwards
 */
rh_resource_t *rh_capture_resource(rh_capture_t *capture, request_rec *r, int when,
                                   const char *uri);

/* rh_capture_event.c */
/** Make the events of every live match and commit them, together. Logs what is lost.
 * @param r the request whose answer it is */
void rh_capture_finish(rh_capture_t *capture, request_rec *r);

#endif
