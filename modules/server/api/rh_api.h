/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_api.h
 * @brief What the resources of the HTTP API share: the call, its body and query, and responses.
 *
 * A resource's function gets a call whose route, tenant and query have been checked. It returns
 * what the handler returns: the value of one of the rh_api_… functions that respond.
 */
#ifndef RH_API_H
#define RH_API_H

#include "rh_server.h"

/** Maximum length of any body except that of POST /events, in bytes. */
#define RH_API_MAX_BODY (64 * 1024)
/** Maximum length of the body of POST /events, in bytes, unless RestHooksMaxData allows more. */
#define RH_API_MAX_EVENTS_BODY (16 * 1024 * 1024)
/** The name of the handler. */
#define RH_API_HANDLER "resthooks"
/** Retry-After of a 503, in seconds. */
#define RH_API_RETRY_AFTER "5"

/** One request to the API. Everything lives in r->pool. */
typedef struct rh_api_t {
    request_rec *r;
    rh_server_config_t *config;
    rh_store_t *store;
    const char *base;      /**< path of the handler's Location, without a trailing slash */
    const char *path;      /**< the rest of the path: "/subscriptions/019…" */
    const char *tenant;    /**< NULL only if the route does not need one */
    const char *parameter; /**< the variable part of the path, NULL: it has none */
    apr_table_t *query;    /**< decoded; contains only names that the route accepts */
    rh_problem_t *problem;
} rh_api_t;

typedef int rh_api_function_t(rh_api_t *api);

/** Requirements of a route besides its method and path. */
enum {
    RH_API_NO_TENANT = 1, /**< responds even without a tenant */
    RH_API_NO_SHARE = 2   /**< does not count as one of the tenant's calls
                               (RestHooksTenantRequests) */
};

typedef struct rh_api_route_t {
    const char *method;
    const char *path; /**< "{}" stands for one segment */
    rh_api_function_t *function;
    int flags;
    const char *query; /**< names of its parameters, separated by spaces; `tenant` is always
                            accepted */
} rh_api_route_t;

/** Hooks that keep requests of the API for its handler (rh_api_claim.c). */
void rh_api_claim_register(void);

/* ---- rh_api_request.c: requests ---- */

/** Fill api->query. An unknown or repeated parameter is a problem 400. */
void rh_api_read_query(rh_api_t *api, const char *allowed);

/**
 * Read the parameters `limit` and `before`; an invalid one is a problem 400. The limit is
 * incremented, so that rh_api_list knows whether there is a next page.
 */
rh_page_t rh_api_page(rh_api_t *api);

/** Read a time parameter; 0: missing. An invalid one is a problem 400. */
apr_time_t rh_api_time(rh_api_t *api, const char *name);

/**
 * Read the whole body. Problems: 413 over `max`, 415 for a Content-Type that is not JSON, 400 for
 * a broken transfer.
 */
void rh_api_read_body(rh_api_t *api, apr_size_t max, rh_bytes_t *body);

/** Read and parse a JSON body of at most RH_API_MAX_BODY. `optional`: an empty one gives NULL
 * without a problem. */
void rh_api_read_json(rh_api_t *api, bool optional, struct json_object **tree);

/** Report a member of the body that the request does not have. */
void rh_api_unknown_field(rh_api_t *api, const char *name);

/** Check If-Match (RFC 9110 §13.1.1) against a revision: true if it is missing or matches. */
bool rh_api_if_match(rh_api_t *api, apr_int64_t revision);
/** True if the request has an If-Match field. */
bool rh_api_has_if_match(rh_api_t *api);

/**
 * Return the absolute URL of a path below the base, with the host and port that the client used.
 */
const char *rh_api_url(rh_api_t *api, const char *path);

/**
 * Return the same with the virtual host's own name and port (ServerName): the URL that all
 * receivers see, whatever the client uses. As CloudEvents 1.0 "source" it identifies an event
 * together with its id.
 */
const char *rh_api_canonical_url(rh_api_t *api, const char *path);

/* ---- rh_api_answer.c: responses ---- */

/** Respond with a JSON tree, and take over its reference. */
int rh_api_json(rh_api_t *api, int status, struct json_object *tree);

/** Respond with text. */
int rh_api_text(rh_api_t *api, int status, const char *type, const char *text, apr_size_t len);

/**
 * Respond with a page of a list: a bare array of at most page->limit - 1 items, with a Link to the
 * next page if there are more, or may be.
 * @param array its reference is taken over
 * @param next id below which the next page begins; NULL: this is the last one
 */
int rh_api_list(rh_api_t *api, struct json_object *array, const char *next);

/** Respond with api->problem. */
int rh_api_problem(rh_api_t *api);

/** Respond with a problem of this status and detail. */
int rh_api_error(rh_api_t *api, int status, const char *detail);

/** Set the problem for an error status of the store: 404, 409, 503 or 500. */
void rh_api_store_problem(rh_api_t *api, apr_status_t status);

/** Respond with the problem for an error status of the store. */
int rh_api_store_error(rh_api_t *api, apr_status_t status);

/** Changes a subscription that was read. May set api->problem instead. */
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

/** Return the catalogue's entry of a type; NULL: there is none. */
const rh_catalogue_type_t *rh_api_find_type(const rh_server_config_t *config, const char *type);

/** Return a type's sample: the catalogue's, or a generic one that has only an id. */
rh_bytes_t rh_api_sample(const rh_server_config_t *config, const char *type);

/**
 * Read the parameters of a list of deliveries: state, event, status, from, to, subscription. An
 * invalid one is a problem 400.
 */
void rh_api_read_delivery_filter(rh_api_t *api, rh_delivery_filter_t *filter);

/** Make the JSON of a job. */
struct json_object *rh_api_job_json(const rh_store_job_t *job, apr_pool_t *pool);

/**
 * Create a job of this tenant, and work on it for a moment.
 * @param job kind, subscription_id, filter
 * @param begun receives the job in its state after that
 */
apr_status_t rh_api_job_begin(rh_api_t *api, rh_store_job_t *job,
                              const rh_delivery_filter_t *filter, bool any, rh_store_job_t **begun);

/** Read the subscription named in the path. @return false after setting a problem */
bool rh_api_find_subscription(rh_api_t *api, rh_subscription_t **subscription);

/**
 * Respond with a file of the page, for the base path if the client accepts HTML, and for paths
 * below /ui/ (rh_api_page.c).
 * @return false if the request is not for the page
 */
bool rh_api_answer_page(rh_api_t *api, int *result);

/** True if the subscription's id in the path is a UUID; otherwise sets a 404. */
bool rh_api_uuid_parameter(rh_api_t *api);

/** conf/openapi.json, embedded by the build. "@BASE@" stands for the base path. */
extern const char rh_openapi_json[];

/* ---- rh_api_search.c ---- */

/**
 * Read the parameters key, source and q; an invalid one is a problem 400. @return true if any is
 * set
 */
bool rh_api_read_search(rh_api_t *api, rh_search_t *search);

/** Limit the period that is searched. */
void rh_api_bound_search(apr_time_t *from, apr_time_t *to);

/**
 * Name the period that a page has searched in the response.
 * @param from @param to of the filter
 * @param next of rh_api_list: where the page ended
 */
void rh_api_name_searched(rh_api_t *api, const rh_page_t *page, apr_time_t from, apr_time_t to,
                          const char *next);

#endif
