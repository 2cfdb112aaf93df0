/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_api.h
 * @brief What the resources of the HTTP API share: one call, its body, query and answer.
 *
 * A resource's function gets a call whose route, tenant and query were checked, and returns what
 * the handler returns: the value of one of the rh_api_… functions that answer.
 */
#ifndef RH_API_H
#define RH_API_H

#include "rh_server.h"

/** Largest body of anything but POST /events, bytes. */
#define RH_API_MAX_BODY (64 * 1024)
/** Largest body of POST /events, bytes, unless one event may be larger. */
#define RH_API_MAX_EVENTS_BODY (16 * 1024 * 1024)
/** The name of the handler. */
#define RH_API_HANDLER "resthooks"
/** Seconds that a 503 asks clients to wait. */
#define RH_API_RETRY_AFTER "5"

/** One request of the API. Everything lives in r->pool. */
typedef struct rh_api_t {
    request_rec *r;
    rh_server_config_t *config;
    rh_store_t *store;
    const char *base;      /**< path of the handler's location, without a trailing slash */
    const char *path;      /**< the rest: "/subscriptions/019…" */
    const char *tenant;    /**< NULL only where the route does without */
    const char *parameter; /**< the variable part of the path, NULL: none */
    apr_table_t *query;    /**< decoded; only names that the route takes */
    rh_problem_t *problem;
} rh_api_t;

typedef int rh_api_function_t(rh_api_t *api);

/** What a route needs besides its method and path. */
enum {
    RH_API_NO_TENANT = 1, /**< responds without a tenant, too */
    RH_API_NO_SHARE = 2   /**< is not counted among the tenant's calls (RestHooksTenantRequests) */
};

typedef struct rh_api_route_t {
    const char *method;
    const char *path; /**< "{}" stands for one segment */
    rh_api_function_t *function;
    int flags;
    const char *query; /**< names of the parameters it takes, space-separated; `tenant` is always
                            one */
} rh_api_route_t;

/** Hooks that keep requests of the API for its handler (rh_api_claim.c). */
void rh_api_claim_register(void);

/* ---- rh_api_request.c: what came ---- */

/** Fill api->query; an unknown or repeated parameter is a problem 400. */
void rh_api_read_query(rh_api_t *api, const char *allowed);

/** The parameters `limit` and `before`; a bad one is a problem 400. The limit is one more than
 * asked for, so that rh_api_list knows whether there is a next page. */
rh_page_t rh_api_page(rh_api_t *api);

/** A time parameter, 0 when absent; a bad one is a problem 400. */
apr_time_t rh_api_time(rh_api_t *api, const char *name);

/**
 * Read the whole body. Problems: 413 over `max`, 415 for a Content-Type that is not JSON, 400 for
 * a broken transfer.
 */
void rh_api_read_body(rh_api_t *api, apr_size_t max, rh_bytes_t *body);

/** Read and parse a JSON body of at most RH_API_MAX_BODY. `optional`: an empty one gives NULL
 * without a problem. */
void rh_api_read_json(rh_api_t *api, bool optional, struct json_object **tree);

/** A body's member that the request does not have. */
void rh_api_unknown_field(rh_api_t *api, const char *name);

/** If-Match (RFC 9110 §13.1.1) against a revision: true when absent or matching. */
bool rh_api_if_match(rh_api_t *api, apr_int64_t revision);
/** True if the request has an If-Match field. */
bool rh_api_has_if_match(rh_api_t *api);

/** Absolute URL of a path below the base, by the name and port that the client used. */
const char *rh_api_url(rh_api_t *api, const char *path);

/** The same by the virtual host's own name and port (ServerName), whatever the client calls it:
 * what all receivers get to see. CloudEvents 1.0 "source": with the id it identifies an event. */
const char *rh_api_canonical_url(rh_api_t *api, const char *path);

/* ---- rh_api_answer.c: what goes ---- */

/** Answer with a JSON tree, whose reference is taken. */
int rh_api_json(rh_api_t *api, int status, struct json_object *tree);

/** Answer with text as it is. */
int rh_api_text(rh_api_t *api, int status, const char *type, const char *text, apr_size_t len);

/**
 * Answer with a page of a list: a bare array of at most page->limit - 1 items, with Link to the
 * next page where there are more.
 * @param array its reference is taken; @param last_id id of the last item that is shown
 */
int rh_api_list(rh_api_t *api, struct json_object *array, const char *last_id, bool more);

/** Answer with api->problem. */
int rh_api_problem(rh_api_t *api);

/** Answer with a problem of this status and detail. */
int rh_api_error(rh_api_t *api, int status, const char *detail);

/** Set the problem for a status of the store that is not APR_SUCCESS: 404, 409, 503 or 500. */
void rh_api_store_problem(rh_api_t *api, apr_status_t status);

/** Answer with it. */
int rh_api_store_error(rh_api_t *api, apr_status_t status);

/** Answer 412: If-Match does not hold. */
int rh_api_precondition_failed(rh_api_t *api);

/** Changes a subscription that was read; may set api->problem instead. */
typedef void rh_api_change_t(rh_api_t *api, rh_subscription_t *subscription, void *baton);

/**
 * Read the subscription of api->parameter, check If-Match, change it and write it back. If another
 * request has changed it in between and If-Match is missing, try again. Send a response only on
 * failure.
 * @return OK without a problem set: it is written, and *result receives it
 */
int rh_api_subscription_change(rh_api_t *api, rh_api_change_t *change, void *baton,
                               rh_subscription_t **result);

/* ---- the resources ---- */

rh_api_function_t rh_api_subscriptions_list, rh_api_subscriptions_create;
rh_api_function_t rh_api_subscription_get, rh_api_subscription_put, rh_api_subscription_patch,
    rh_api_subscription_delete, rh_api_subscription_test, rh_api_subscription_replay,
    rh_api_subscription_deliveries;
rh_api_function_t rh_api_secret_get, rh_api_secret_rotate, rh_api_secret_end_overlap;
rh_api_function_t rh_api_deliveries_list, rh_api_delivery_get, rh_api_delivery_redeliver;
rh_api_function_t rh_api_event_types_list, rh_api_event_type_get, rh_api_event_type_sample,
    rh_api_event_type_schema;
rh_api_function_t rh_api_events_list, rh_api_events_publish, rh_api_event_get;
rh_api_function_t rh_api_stats_get, rh_api_stats_subscriptions;
rh_api_function_t rh_api_metrics_get;
rh_api_function_t rh_api_jobs_list, rh_api_job_get, rh_api_job_cancel, rh_api_deliveries_redeliver;
rh_api_function_t rh_api_health_get, rh_api_health_live, rh_api_health_ready, rh_api_index_get,
    rh_api_openapi_get;

/** The catalogue's entry of a type, NULL when there is none. */
const rh_catalogue_type_t *rh_api_find_type(const rh_server_config_t *config, const char *type);

/** A type's sample: the catalogue's, else one that is made up from nothing but an id. */
rh_bytes_t rh_api_sample(const rh_server_config_t *config, const char *type);

/** Answer with a delivery as the store holds it now. */
int rh_api_answer_delivery(rh_api_t *api, int status, const char *id);

/** Answer with a page of deliveries. `filter` has what the caller asks for; state, type, from and
 * to are taken from the query. */
int rh_api_answer_deliveries(rh_api_t *api, rh_delivery_filter_t *filter);

/** Read the parameters of a list of deliveries: state, event, status, from, to, subscription. A bad
 * one is a problem 400. */
void rh_api_read_delivery_filter(rh_api_t *api, rh_delivery_filter_t *filter);

/** The representation of a job. */
struct json_object *rh_api_job_json(const rh_store_job_t *job, apr_pool_t *pool);

/**
 * Create a job of this tenant, and do what fits into a moment.
 * @param job kind, subscription_id, filter; @param begun receives it as it is then
 */
apr_status_t rh_api_job_begin(rh_api_t *api, rh_store_job_t *job,
                              const rh_delivery_filter_t *filter, bool any, rh_store_job_t **begun);

/** Read the subscription of the path. @return false: the problem says why not */
bool rh_api_find_subscription(rh_api_t *api, rh_subscription_t **subscription);

/**
 * Answer from the page's files: the base, where the client accepts HTML, and what is below /ui/
 * (rh_api_page.c).
 * @return false: this is not the page's to answer
 */
bool rh_api_answer_page(rh_api_t *api, int *result);

/** A subscription's id from the path that is a UUID; otherwise false, with a 404 as the problem. */
bool rh_api_uuid_parameter(rh_api_t *api);

/** conf/openapi.json; made by the build. "@BASE@" stands for the base path. */
extern const char rh_openapi_json[];

/* ---- rh_api_search.c ---- */

/** Read the parameters key, source and q; a bad one is a problem 400. @return true if any is set */
bool rh_api_read_search(rh_api_t *api, rh_search_t *search);

/** Bound the time in which something is looked for, and name it in the response. */
void rh_api_bound_search(rh_api_t *api, apr_time_t *from, apr_time_t *to);

#endif
