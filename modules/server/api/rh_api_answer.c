/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_api.h"

#include <http_protocol.h>
#include <util_script.h>

/** Send a response: status, type, body. For HEAD, httpd sends only the head. */
int rh_api_text(rh_api_t *api, int status, const char *type, const char *text, apr_size_t len)
{
    request_rec *r = api->r;

    r->status = status;
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    if (type) {
        ap_set_content_type(r, type);
        ap_set_content_length(r, (apr_off_t)len);
        ap_rwrite(text, (int)len, r);
    }
    return OK;
}

int rh_api_json(rh_api_t *api, int status, struct json_object *tree)
{
    apr_size_t len;
    const char *text;

    rh_json_own(api->r->pool, tree);
    text = rh_json_text(api->r->pool, tree, &len);
    return rh_api_text(api, status, "application/json", text, len);
}

/** Return the query of the next page: the current one with another `before`. */
static const char *next_query(rh_api_t *api, const char *before)
{
    const apr_array_header_t *entries = apr_table_elts(api->query);
    const char *query = apr_pstrcat(api->r->pool, "before=", before, NULL);

    for (int i = 0; i < entries->nelts; i++) {
        const apr_table_entry_t *entry = &APR_ARRAY_IDX(entries, i, apr_table_entry_t);

        if (strcmp(entry->key, "before") != 0) {
            query = apr_pstrcat(api->r->pool, query, "&", entry->key, "=",
                                ap_escape_urlencoded(api->r->pool, entry->val), NULL);
        }
    }
    return query;
}

int rh_api_list(rh_api_t *api, struct json_object *array, const char *next)
{
    if (next) {
        const char *path = ap_escape_uri(api->r->pool, api->r->uri);

        apr_table_setn(api->r->headers_out, "Link",
                       apr_pstrcat(api->r->pool, "<", path, "?", next_query(api, next),
                                   ">; rel=\"next\"", NULL));
    }
    return rh_api_json(api, HTTP_OK, array);
}

int rh_api_problem(rh_api_t *api)
{
    apr_size_t len;
    const char *text = rh_problem_text(api->problem, api->r->pool, &len);

    if (api->problem->status == HTTP_SERVICE_UNAVAILABLE) {
        apr_table_setn(api->r->headers_out, "Retry-After", RH_API_RETRY_AFTER);
    }
    return rh_api_text(api, api->problem->status, "application/problem+json", text, len);
}

int rh_api_error(rh_api_t *api, int status, const char *detail)
{
    rh_problem_set(api->problem, status, "%s", detail);
    return rh_api_problem(api);
}

void rh_api_store_problem(rh_api_t *api, apr_status_t status)
{
    rh_metrics_add(api->config->metrics, RH_COUNT_ERROR_API,
                   status != APR_NOTFOUND && status != APR_EEXIST);
    if (status == APR_NOTFOUND) {
        rh_problem_set(api->problem, 404, "No resource with this id.");
    } else if (status == APR_EEXIST) {
        rh_problem_set(api->problem, 409, "The subscription is not active.");
    } else if (APR_STATUS_IS_EAGAIN(status) || APR_STATUS_IS_TIMEUP(status)) {
        rh_problem_set(api->problem, 503, "The database can't be reached at the moment.");
    } else {
        rh_problem_set(api->problem, 500,
                       "The database refused the request; the error log says more.");
    }
}

int rh_api_store_error(rh_api_t *api, apr_status_t status)
{
    rh_api_store_problem(api, status);
    return rh_api_problem(api);
}
