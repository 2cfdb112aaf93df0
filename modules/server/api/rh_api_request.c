/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_api.h"

#include "rh_time.h"
#include "rh_uuid.h"

#include <apr_buckets.h>
#include <apr_uri.h>
#include <http_core.h>
#include <http_protocol.h>
#include <util_filter.h>

#define DEFAULT_LIMIT 50
#define MAX_LIMIT 500

void rh_api_read_query(rh_api_t *api, const char *allowed)
{
    const char *args = api->r->args ? api->r->args : "";

    while (*args) {
        char *pair = ap_getword(api->r->pool, &args, '&'), *value = strchr(pair, '=');

        if (!*pair) {
            continue;
        }
        if (value) {
            *value++ = '\0';
        } else {
            value = apr_pstrdup(api->r->pool, "");
        }
        if (ap_unescape_urlencoded(pair) != OK || ap_unescape_urlencoded(value) != OK) {
            rh_problem_set(api->problem, 400, "The query has a bad percent-escape.");
        } else if (!rh_utf8_valid(pair, strlen(pair)) || !rh_utf8_valid(value, strlen(value))) {
            rh_problem_set(api->problem, 400, "The query is not well-formed UTF-8.");
        } else if (strcmp(pair, "tenant") != 0 && !rh_has_word(allowed, pair)) {
            rh_problem_set(api->problem, 400, "This path has no parameter %.100s.", pair);
        } else if (apr_table_get(api->query, pair)) {
            rh_problem_set(api->problem, 400, "The parameter %s is given twice.", pair);
        } else {
            apr_table_setn(api->query, pair, value);
        }
    }
}

rh_page_t rh_api_page(rh_api_t *api)
{
    const char *limit = apr_table_get(api->query, "limit");
    rh_page_t page = {DEFAULT_LIMIT, apr_table_get(api->query, "before")};

    if (limit) {
        apr_size_t digits = strspn(limit, "0123456789");

        page.limit = digits > 0 && digits < 5 && !limit[digits] ? atoi(limit) : 0;
        if (page.limit < 1 || page.limit > MAX_LIMIT) {
            rh_problem_set(api->problem, 400, "The parameter limit must be a number, 1-%d.",
                           MAX_LIMIT);
        }
    }
    if (page.before && !rh_uuid_valid(page.before, strlen(page.before))) {
        rh_problem_set(api->problem, 400, "The parameter before must be an id.");
    }
    page.limit++;
    return page;
}

/** True for a time like "2026-11-01T00:00:00 01:00", whose plus sign was not escaped. */
static const char *with_plus(apr_pool_t *pool, const char *text)
{
    char *copy = apr_pstrdup(pool, text), *space = strrchr(copy, ' ');

    if (space && strlen(space) == sizeof("+01:00") - 1) {
        *space = '+';
    }
    return copy;
}

apr_time_t rh_api_time(rh_api_t *api, const char *name)
{
    const char *text = apr_table_get(api->query, name);
    apr_time_t time = 0;

    text = text ? with_plus(api->r->pool, text) : NULL;
    if (text && rh_time_parse(text, strlen(text), &time) != APR_SUCCESS) {
        rh_problem_set(api->problem, 400, "The parameter %s must be an RFC 3339 date-time.", name);
    }
    return time;
}

/** True for application/json, or a type with the suffix +json (RFC 6839). */
static bool is_json_type(const char *type)
{
    apr_size_t len = strcspn(type, "; \t");

    return (len == 16 && strncasecmp(type, "application/json", 16) == 0) ||
           (len > 5 && strncasecmp(type + len - 5, "+json", 5) == 0);
}

/** Append a brigade's data to the body; false if it exceeds `max`. */
static apr_status_t append_brigade(apr_bucket_brigade *brigade, rh_buffer_t *body, apr_size_t max,
                                   bool *end)
{
    for (apr_bucket *bucket = APR_BRIGADE_FIRST(brigade); bucket != APR_BRIGADE_SENTINEL(brigade);
         bucket = APR_BUCKET_NEXT(bucket)) {
        const char *data;
        apr_size_t len;
        apr_status_t status;

        if (APR_BUCKET_IS_EOS(bucket)) {
            *end = true;
            return APR_SUCCESS;
        }
        if (APR_BUCKET_IS_METADATA(bucket)) {
            continue;
        }
        status = apr_bucket_read(bucket, &data, &len, APR_BLOCK_READ);
        if (status != APR_SUCCESS) {
            return status;
        }
        if (len > max - body->len) {
            return APR_ENOSPC;
        }
        rh_buffer_add(body, data, len);
    }
    return APR_SUCCESS;
}

void rh_api_read_body(rh_api_t *api, apr_size_t max, rh_bytes_t *body)
{
    request_rec *r = api->r;
    const char *type = apr_table_get(r->headers_in, "Content-Type");
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    rh_buffer_t bytes = {.pool = r->pool};
    apr_bucket_brigade *brigade = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    bool end = false;

    if (type && !is_json_type(type)) {
        rh_problem_set(api->problem, 415, "The body must be application/json.");
        return;
    }
    if (length && apr_atoi64(length) > (apr_int64_t)max) {
        rh_problem_set(api->problem, 413, "The body must be at most %lu bytes.",
                       (unsigned long)max);
        return;
    }
    while (!end) {
        apr_status_t status = ap_get_brigade(r->input_filters, brigade, AP_MODE_READBYTES,
                                             APR_BLOCK_READ, HUGE_STRING_LEN);

        if (status == APR_SUCCESS) {
            status = append_brigade(brigade, &bytes, max, &end);
        }
        apr_brigade_cleanup(brigade);
        if (status == APR_ENOSPC) {
            rh_problem_set(api->problem, 413, "The body must be at most %lu bytes.",
                           (unsigned long)max);
            return;
        }
        if (status != APR_SUCCESS) {
            int code = ap_map_http_request_error(status, HTTP_BAD_REQUEST);

            rh_problem_set(api->problem, code == HTTP_REQUEST_ENTITY_TOO_LARGE ? 413 : 400,
                           "The body can't be read.");
            return;
        }
    }
    body->data = bytes.data ? bytes.data : "";
    body->len = bytes.len;
}

void rh_api_read_json(rh_api_t *api, bool optional, struct json_object **tree)
{
    rh_bytes_t body = {NULL, 0};
    rh_json_error_t error;

    *tree = NULL;
    rh_api_read_body(api, RH_API_MAX_BODY, &body);
    if (rh_problem_is(api->problem) || (optional && body.len == 0)) {
        return;
    }
    if (rh_json_parse(api->r->pool, body.data, body.len, tree, &error) != APR_SUCCESS) {
        rh_problem_set(api->problem, 400, "The body is not JSON: %s at byte %lu.", error.reason,
                       (unsigned long)error.offset);
    } else if (!json_object_is_type(*tree, json_type_object)) {
        rh_problem_field(api->problem, "", "must be a JSON object");
    }
}

bool rh_api_has_if_match(rh_api_t *api)
{
    return apr_table_get(api->r->headers_in, "If-Match") != NULL;
}

bool rh_api_if_match(rh_api_t *api, apr_int64_t revision)
{
    /* mod_deflate and mod_brotli append to the ETag of a response that they compress. */
    static const char *const codings[] = {"", "-gzip", "-br"};
    const char *field = apr_table_get(api->r->headers_in, "If-Match");
    apr_size_t i;

    if (!field || strcmp(field, "*") == 0) {
        return true;
    }
    for (i = 0; i < RH_COUNT_OF(codings); i++) {
        const char *tag =
            apr_psprintf(api->r->pool, "\"%" APR_INT64_T_FMT "%s\"", revision, codings[i]);

        if (ap_find_etag_strong(api->r->pool, field, tag)) {
            return true;
        }
    }
    return false;
}

void rh_api_unknown_field(rh_api_t *api, const char *name)
{
    rh_problem_field(api->problem, name, "is not a field of this request");
}

const char *rh_api_url(rh_api_t *api, const char *path)
{
    return ap_construct_url(api->r->pool, apr_pstrcat(api->r->pool, api->base, path, NULL), api->r);
}

/** True if the port is the scheme's default, which a URL omits. */
static bool is_default_port(const char *scheme, apr_port_t port)
{
    return port == apr_uri_port_of_scheme(scheme);
}

const char *rh_api_canonical_url(rh_api_t *api, const char *path)
{
    request_rec *r = api->r;
    const server_rec *server = r->server;
    const char *scheme = ap_http_scheme(r);
    const char *host = server->server_hostname ? server->server_hostname : "localhost";
    apr_port_t port = server->port ? server->port : r->connection->local_addr->port;
    bool literal = strchr(host, ':') && *host != '[';

    return apr_psprintf(r->pool, "%s://%s%s%s%s%s%s", scheme, literal ? "[" : "", host,
                        literal ? "]" : "",
                        is_default_port(scheme, port) ? "" : apr_psprintf(r->pool, ":%u", port),
                        ap_escape_uri(r->pool, api->base), path);
}
