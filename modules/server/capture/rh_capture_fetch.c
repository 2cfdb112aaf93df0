/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_capture.h"

#include <apr_uri.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <http_vhost.h>
#include <string.h>

/** An answer that takes longer than this is broken off. */
#define LONGEST apr_time_from_sec(10)

/** What an internal GET's answer is gathered in, and the two ends that keep it to itself. */
typedef struct fetch_t {
    rh_copy_t copy;
    apr_pool_t *pool; /**< outlives the sub-request */
    apr_size_t cap;
    apr_time_t until;
    request_rec *get; /**< NULL while it is looked up */
    bool broken;      /**< no more is wanted, or comes */
    bool late, stream;
    ap_filter_t output, input;
} fetch_t;

static ap_filter_rec_t *gather_handle, *no_body_handle;

/** Fields of the client's request that are about its body, its connection or its copy of the
 * resource, and those that would make a backend take the GET for something else. */
static const char *const dropped_fields[] = {"Accept-Encoding",
                                             "Cache-Control",
                                             "Connection",
                                             "Expect",
                                             "Pragma",
                                             "Range",
                                             "TE",
                                             "Trailer",
                                             "Upgrade",
                                             "Transfer-Encoding",
                                             "Digest",
                                             "X-HTTP-Method",
                                             "X-HTTP-Method-Override",
                                             "X-Method-Override",
                                             "Idempotency-Key"};

static bool is_dropped(const char *name)
{
    if (strncasecmp(name, "Content-", 8) == 0 || strncasecmp(name, "If-", 3) == 0) {
        return true;
    }
    for (apr_size_t i = 0; i < sizeof(dropped_fields) / sizeof(*dropped_fields); i++) {
        if (strcasecmp(name, dropped_fields[i]) == 0) {
            return true;
        }
    }
    return false;
}

static apr_table_t *get_fields(request_rec *r)
{
    const apr_array_header_t *fields = apr_table_elts(r->headers_in);
    apr_table_t *kept = apr_table_make(r->pool, fields->nelts);

    for (int i = 0; i < fields->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(fields, i, apr_table_entry_t);
        if (field->key && !is_dropped(field->key)) {
            apr_table_addn(kept, field->key, field->val);
        }
    }
    /* What a cache has is not what the resource is now. */
    apr_table_setn(kept, "Cache-Control", "no-cache");
    return kept;
}

/** The request that answered: the sub-request, or the one that it was redirected to. */
static request_rec *answering(request_rec *r)
{
    while (r->next) {
        r = r->next;
    }
    return r;
}

/** Takes the sub-request's answer; nothing goes on to the client. */
static apr_status_t gather_answer(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    fetch_t *fetch = f->ctx;

    if (fetch->get && rh_body_is_stream(answering(fetch->get)->content_type)) {
        fetch->stream = true;
    }
    for (apr_bucket *e = APR_BRIGADE_FIRST(brigade);
         e != APR_BRIGADE_SENTINEL(brigade) && !fetch->stream && !fetch->broken;
         e = APR_BUCKET_NEXT(e)) {
        const char *data;
        apr_size_t len;

        if (AP_BUCKET_IS_ERROR(e)) {
            fetch->broken = true;
        }
        if (APR_BUCKET_IS_EOS(e)) {
            break;
        }
        if (APR_BUCKET_IS_METADATA(e)) {
            continue;
        }
        fetch->late = apr_time_now() > fetch->until;
        if (fetch->late || apr_bucket_read(e, &data, &len, APR_BLOCK_READ) != APR_SUCCESS) {
            fetch->broken = true;
            break;
        }
        rh_copy_append(&fetch->copy, fetch->pool, data, len, fetch->cap);
        fetch->broken = fetch->copy.over;
    }
    apr_brigade_cleanup(brigade);
    /* The handler stops when it is told that nobody listens. */
    return fetch->stream || fetch->broken ? APR_ECONNABORTED : APR_SUCCESS;
}

/** The sub-request shares the client's connection: it must not read the real request's body. */
static apr_status_t no_body(ap_filter_t *f, apr_bucket_brigade *brigade, ap_input_mode_t mode,
                            apr_read_type_e block, apr_off_t readbytes)
{
    (void)mode;
    (void)block;
    (void)readbytes;
    APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_eos_create(f->c->bucket_alloc));
    return APR_SUCCESS;
}

void rh_capture_fetch_register(void)
{
    gather_handle =
        ap_register_output_filter("RESTHOOKS_FETCH", gather_answer, NULL, AP_FTYPE_NETWORK);
    no_body_handle = ap_register_input_filter("RESTHOOKS_NO_BODY", no_body, NULL, AP_FTYPE_NETWORK);
}

/**
 * Look a GET up with fields and state of its own, and without a trace in r.
 *
 * Its filters end in ours instead of the client's: filters that are merely added go when a cache
 * serves the sub-request, and when it is redirected internally, and what comes then would be sent
 * to the client. They belong to no request, so nobody takes them for its own and removes them.
 */
static request_rec *look_up(fetch_t *fetch, request_rec *r, const char *uri)
{
    apr_table_t *fields = r->headers_in;
    int expecting = r->expecting_100;
    request_rec *get;

    fetch->output = (ap_filter_t){.frec = gather_handle, .ctx = fetch, .c = r->connection};
    fetch->input = (ap_filter_t){.frec = no_body_handle, .c = r->connection};
    r->headers_in = get_fields(r);
    r->expecting_100 = 0;
    get = ap_sub_req_method_uri("GET", uri, r, &fetch->output);
    r->headers_in = fields;
    r->expecting_100 = expecting;
    get->proto_output_filters = &fetch->output;
    get->input_filters = get->proto_input_filters = &fetch->input;
    get->kept_body = NULL;
    /* A 1xx would be the answer's to the client. */
    apr_table_setn(get->subprocess_env, "proxy-interim-response", "Suppress");
    fetch->get = get;
    return get;
}

void rh_capture_fetch(rh_capture_t *capture, request_rec *r, const char *uri, rh_body_t *body)
{
    fetch_t *fetch = apr_pcalloc(r->pool, sizeof(*fetch));
    ap_conn_keepalive_e keepalive = r->connection->keepalive;
    int no_cache = r->no_cache;
    int status;
    request_rec *get, *last;

    fetch->pool = capture->r->pool;
    fetch->cap = rh_capture_cap(capture);
    fetch->until = apr_time_now() + LONGEST;
    last = get = look_up(fetch, r, uri);
    status = get->status;
    body->state = RH_BODY_ABSENT;
    if (status == HTTP_OK && get->handler && strcmp(get->handler, "resthooks") == 0) {
        status = HTTP_FORBIDDEN;
    }
    if (status == HTTP_OK) {
        int answer = ap_run_sub_req(get);

        last = answering(get);
        status = answer == OK || answer == DONE || fetch->copy.over ? last->status : answer;
    }
    r->no_cache = no_cache;
    r->connection->keepalive = keepalive;
    if (status >= 200 && status < 300 && fetch->broken && !fetch->copy.over) {
        status = HTTP_BAD_GATEWAY;
    }
    if (status >= 200 && status < 300 && !fetch->stream) {
        const char *coding = apr_table_get(last->headers_out, "Content-Encoding");
        *body =
            rh_copy_body(&fetch->copy, status != HTTP_PARTIAL_CONTENT,
                         apr_pstrdup(capture->r->pool, coding ? coding : last->content_encoding));
    } else {
        rh_log(&capture->config->log, RH_LOG_INFO, APR_SUCCESS, "RH0610",
               "the internal GET of %s for %s was answered %d%s; events get only their key", uri,
               capture->r->method, status,
               fetch->stream ? " with a stream" : (fetch->late ? " and takes too long" : ""));
    }
    ap_destroy_sub_req(get);
}

/** Path and query of a parsed URI, as they are written. */
static const char *path_and_query(apr_pool_t *pool, const apr_uri_t *uri)
{
    if (!uri->path || uri->path[0] != '/') {
        return NULL;
    }
    return uri->query ? apr_pstrcat(pool, uri->path, "?", uri->query, NULL) : uri->path;
}

const char *rh_capture_self(const rh_capture_t *capture)
{
    request_rec *r = capture->r;
    apr_uri_t uri;

    if (!r->unparsed_uri) {
        return NULL;
    }
    if (r->unparsed_uri[0] == '/') {
        return r->unparsed_uri;
    }
    if (apr_uri_parse(r->pool, r->unparsed_uri, &uri) != APR_SUCCESS) {
        return NULL;
    }
    return path_and_query(r->pool, &uri);
}

const char *rh_capture_location(request_rec *r, const char *location)
{
    apr_uri_t uri;

    if (apr_uri_parse(r->pool, location, &uri) != APR_SUCCESS) {
        return NULL;
    }
    if (uri.scheme && strcasecmp(uri.scheme, "http") != 0 && strcasecmp(uri.scheme, "https") != 0) {
        return NULL;
    }
    if (uri.hostname) {
        apr_port_t port = uri.port ? uri.port : ap_get_server_port(r);
        /* What is in front of httpd may listen on the scheme's own port. */
        bool same = r->hostname && strcasecmp(uri.hostname, r->hostname) == 0 &&
                    (port == ap_get_server_port(r) || port == apr_uri_port_of_scheme(uri.scheme));
        if (!same && !ap_matches_request_vhost(r, uri.hostname, port)) {
            return NULL;
        }
        return path_and_query(r->pool, &uri);
    }
    if (uri.scheme || !uri.path || !*uri.path) {
        return NULL;
    }
    /* A relative one is resolved against the request's path by the look-up. */
    return uri.query ? apr_pstrcat(r->pool, uri.path, "?", uri.query, NULL) : uri.path;
}
