/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_api.h"
#include "rh_api_share.h"

#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>

static const rh_api_route_t routes[] = {
    {"GET", "", rh_api_index_get, RH_API_NO_TENANT | RH_API_NO_SHARE, ""},
    {"GET", "/subscriptions", rh_api_subscriptions_list, 0, "limit before event active"},
    {"POST", "/subscriptions", rh_api_subscriptions_create, 0, ""},
    {"GET", "/subscriptions/{}", rh_api_subscription_get, 0, ""},
    {"PUT", "/subscriptions/{}", rh_api_subscription_put, 0, ""},
    {"PATCH", "/subscriptions/{}", rh_api_subscription_patch, 0, ""},
    {"DELETE", "/subscriptions/{}", rh_api_subscription_delete, 0, ""},
    {"POST", "/subscriptions/{}/test", rh_api_subscription_test, 0, ""},
    {"GET", "/subscriptions/{}/secret", rh_api_secret_get, 0, ""},
    {"POST", "/subscriptions/{}/secret/rotate", rh_api_secret_rotate, 0, ""},
    {"DELETE", "/subscriptions/{}/secret/old", rh_api_secret_end_overlap, 0, ""},
    {"GET", "/subscriptions/{}/deliveries", rh_api_subscription_deliveries, 0,
     "limit before state event status from to key source q"},
    {"POST", "/subscriptions/{}/replay", rh_api_subscription_replay, 0, ""},
    {"GET", "/deliveries", rh_api_deliveries_list, 0,
     "limit before state event status from to subscription key source q"},
    {"GET", "/deliveries/{}", rh_api_delivery_get, 0, ""},
    {"POST", "/deliveries/{}/redeliver", rh_api_delivery_redeliver, 0, ""},
    {"POST", "/deliveries/redeliver", rh_api_deliveries_redeliver, 0, ""},
    {"GET", "/jobs", rh_api_jobs_list, 0, "limit before"},
    {"GET", "/jobs/{}", rh_api_job_get, 0, ""},
    {"DELETE", "/jobs/{}", rh_api_job_cancel, 0, ""},
    {"GET", "/event-types", rh_api_event_types_list, 0, ""},
    {"GET", "/event-types/{}", rh_api_event_type_get, 0, ""},
    {"GET", "/event-types/{}/sample", rh_api_event_type_sample, 0, "format"},
    {"GET", "/event-types/{}/schema", rh_api_event_type_schema, 0, ""},
    {"GET", "/events", rh_api_events_list, 0,
     "limit before type event from to key source unmatched q"},
    {"POST", "/events", rh_api_events_publish, RH_API_NO_TENANT | RH_API_NO_SHARE, ""},
    {"GET", "/events/{}", rh_api_event_get, 0, ""},
    {"GET", "/stats", rh_api_stats_get, 0, "from to step subscription"},
    {"GET", "/stats/subscriptions", rh_api_stats_subscriptions, 0, "from to step"},
    {"GET", "/health", rh_api_health_get, RH_API_NO_TENANT | RH_API_NO_SHARE, ""},
    {"GET", "/health/live", rh_api_health_live, RH_API_NO_TENANT | RH_API_NO_SHARE, ""},
    {"GET", "/health/ready", rh_api_health_ready, RH_API_NO_TENANT | RH_API_NO_SHARE, ""},
    {"GET", "/metrics", rh_api_metrics_get, RH_API_NO_TENANT | RH_API_NO_SHARE, ""},
    {"GET", "/openapi.json", rh_api_openapi_get, RH_API_NO_TENANT | RH_API_NO_SHARE, ""},
};

#define ROUTE_COUNT ((int)RH_COUNT_OF(routes))

/** Match a path against a route's; *parameter receives the part that "{}" stands for. */
static bool path_matches(apr_pool_t *pool, const char *pattern, const char *path,
                         const char **parameter)
{
    *parameter = NULL;
    while (*pattern) {
        if (pattern[0] == '{') {
            apr_size_t len = strcspn(path, "/");

            if (len == 0) {
                return false;
            }
            *parameter = apr_pstrmemdup(pool, path, len);
            path += len;
            pattern += 2;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

/** True if the path equals a route's that has no variable part. */
static bool is_path(const char *route, const char *path)
{
    /* The first two characters distinguish most routes without a call. */
    return route[0] == path[0] && (route[0] == '\0' || route[1] == path[1]) &&
           strcmp(route, path) == 0;
}

static bool is_fixed_path(const char *path)
{
    for (int i = 0; i < ROUTE_COUNT; i++) {
        if (is_path(routes[i].path, path)) {
            return strchr(path, '{') == NULL;
        }
    }
    return false;
}

/** True if the path matches a route's. A path with a variable part does not match `fixed` ones. */
static bool route_fits(const rh_api_t *api, const rh_api_route_t *route, bool fixed,
                       const char **parameter)
{
    *parameter = NULL;
    return fixed ? is_path(route->path, api->path)
                 : path_matches(api->r->pool, route->path, api->path, parameter);
}

/** Return the methods of a path; NULL: the path does not exist. */
static const char *list_methods(const rh_api_t *api)
{
    bool fixed = is_fixed_path(api->path);
    apr_pool_t *pool = api->r->pool;
    const char *list = NULL, *parameter;

    for (int i = 0; i < ROUTE_COUNT; i++) {
        if (route_fits(api, &routes[i], fixed, &parameter)) {
            list = apr_pstrcat(pool, list ? list : "", list ? ", " : "", routes[i].method,
                               strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "", NULL);
        }
    }
    return list ? apr_pstrcat(pool, list, ", OPTIONS", NULL) : NULL;
}

/** Find the route of a path and method; HEAD uses GET's. A fixed path wins over a variable one. */
static const rh_api_route_t *find_route(rh_api_t *api)
{
    const char *method = strcmp(api->r->method, "HEAD") == 0 ? "GET" : api->r->method;
    bool fixed = is_fixed_path(api->path);
    const char *parameter;

    for (int i = 0; i < ROUTE_COUNT; i++) {
        if (strcmp(routes[i].method, method) == 0 &&
            route_fits(api, &routes[i], fixed, &parameter)) {
            api->parameter = parameter;
            return &routes[i];
        }
    }
    return NULL;
}

/** Respond to a request whose path and method have no route. */
static int answer_no_route(rh_api_t *api)
{
    const char *allow = list_methods(api);

    if (!allow) {
        return rh_api_error(api, 404, "There is nothing at this path.");
    }
    apr_table_setn(api->r->headers_out, "Allow", allow);
    if (strcmp(api->r->method, "OPTIONS") == 0) {
        return rh_api_text(api, HTTP_NO_CONTENT, NULL, "", 0);
    }
    return rh_api_error(api, 405, apr_psprintf(api->r->pool, "This path takes %s.", allow));
}

/** Determine the tenant of the call. Problem 403 or 400 if there is none. */
static void find_tenant(rh_api_t *api, const rh_api_route_t *route)
{
    const char *other = apr_table_get(api->query, "tenant");

    api->tenant = rh_request_tenant(api->r);
    if (other && (!api->tenant || strcmp(other, api->tenant) != 0)) {
        if (!rh_request_is_admin(api->r)) {
            rh_problem_set(api->problem, 403, "Only administrators may act for another tenant.");
        } else if (!rh_name_valid(other, strlen(other))) {
            rh_problem_set(api->problem, 400,
                           "The parameter tenant must be 1-%d bytes without control characters.",
                           RH_MAX_NAME);
        } else {
            api->tenant = other;
        }
    }
    if (!api->tenant && !(route->flags & RH_API_NO_TENANT)) {
        rh_problem_set(api->problem, 403, "This login belongs to no tenant.");
    }
}

/**
 * Refuse changes that a browser makes on behalf of another site. It reports the origin in "Sec-
 * Fetch-Site" (Fetch Metadata), or in "Origin" (RFC 6454 §7) if it does not know the former.
 */
static void refuse_cross_site(rh_api_t *api)
{
    const char *site = apr_table_get(api->r->headers_in, "Sec-Fetch-Site");
    const char *origin = apr_table_get(api->r->headers_in, "Origin");
    const char *host = apr_table_get(api->r->headers_in, "Host");
    const char *authority = origin ? strstr(origin, "://") : NULL;
    bool foreign;

    if (site) {
        foreign = strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0;
    } else {
        foreign = origin && (!authority || !host || strcasecmp(authority + 3, host) != 0);
    }
    if (foreign) {
        rh_problem_set(api->problem, 403, "Requests from other sites are not taken.");
    }
}

/** Retry-After of a 429, in seconds. */
#define SHARE_RETRY_AFTER_S "1"

/** Run a route within its tenant's share of the child's threads. */
static int run_route(rh_api_t *api, const rh_api_route_t *route)
{
    int token, result;

    if (!api->tenant || (route->flags & RH_API_NO_SHARE)) {
        return route->function(api);
    }
    token = rh_api_share_enter(api->config, api->tenant, api->config->settings.tenant_requests);
    if (token < 0) {
        apr_table_setn(api->r->headers_out, "Retry-After", SHARE_RETRY_AFTER_S);
        return rh_api_error(api, 429, "Too many requests of this tenant at the same time.");
    }
    result = route->function(api);
    rh_api_share_leave(token);
    return result;
}

static int dispatch(rh_api_t *api)
{
    const rh_api_route_t *route = find_route(api);
    int result;

    if (rh_api_answer_page(api, &result)) {
        return result;
    }
    if (!route) {
        return answer_no_route(api);
    }
    if (strcmp(route->method, "GET") != 0) {
        refuse_cross_site(api);
    }
    rh_api_read_query(api, route->query);
    if (!rh_problem_is(api->problem)) {
        find_tenant(api, route);
    }
    if (rh_problem_is(api->problem)) {
        return rh_api_problem(api);
    }
    if (!api->store) {
        return rh_api_store_error(api, APR_EAGAIN);
    }
    return run_route(api, route);
}

static int handle(request_rec *r)
{
    rh_api_t *api;
    apr_size_t len;

    if (!r->handler || strcmp(r->handler, RH_API_HANDLER) != 0) {
        return DECLINED;
    }
    api = apr_pcalloc(r->pool, sizeof(*api));
    api->r = r;
    api->config = rh_server_config(r->server);
    api->store = api->config->store;
    api->problem = rh_problem_make(r->pool);
    api->query = apr_table_make(r->pool, 4);
    if (api->config->settings.enabled != 1) {
        return rh_api_error(api, 404, "RestHooks is Off on this host.");
    }
    api->base = rh_request_base(r);
    if (!api->base) {
        rh_log(&api->config->log, RH_LOG_ERR, APR_SUCCESS, "RH0501",
               "the handler resthooks must be set in a Location or LocationMatch; %s is answered "
               "500",
               r->uri);
        return rh_api_error(api, 500, "The server's configuration gives this path no base.");
    }
    api->path = r->uri + strlen(api->base);
    len = strlen(api->path);
    if (len == 1) {
        api->path = "";
    }
    return dispatch(api);
}

static void start_child(apr_pool_t *pool, server_rec *server)
{
    (void)server;
    rh_api_share_init(pool);
}

void rh_api_register(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_child_init(start_child, NULL, NULL, APR_HOOK_MIDDLE);
    rh_api_claim_register();
    ap_hook_handler(handle, NULL, NULL, APR_HOOK_MIDDLE);
}
