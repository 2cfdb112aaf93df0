/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_capture.h"

#include <apr_optional_hooks.h>
#include <apr_uri.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <http_vhost.h>
#include <mod_proxy.h>
#include <string.h>

/** State of an internal GET, and the two filters that keep its response from the client. */
struct rh_fetch_t {
    rh_copy_t copy;
    apr_pool_t *pool; /**< outlives the sub-request */
    apr_size_t cap;
    apr_time_t until;
    const char *uri;  /**< path and query, escaped */
    bool dressed;     /**< the sub-request has its own request line and fields */
    request_rec *get; /**< NULL while it is looked up */
    bool broken;      /**< no more is needed, or no more will come */
    bool late, stream;
    ap_filter_t output, input;
};

/** Minimum time-out, even of a GET that begins late. */
#define MIN_WAIT apr_time_from_msec(10)

static ap_filter_rec_t *gather_handle, *no_body_handle;

/**
 * Fields of the client's request that concern its body, its connection or its cached copy, and
 * those that would make a backend treat the GET as something else.
 */
static const char *const dropped_fields[] = {"Accept-Encoding",
                                             "Cache-Control",
                                             "Connection",
                                             "Depth",
                                             "Destination",
                                             "Digest",
                                             "Expect",
                                             "Idempotency-Key",
                                             "If",
                                             "Lock-Token",
                                             "Overwrite",
                                             "Pragma",
                                             "Prefer",
                                             "Range",
                                             "Repr-Digest",
                                             "TE",
                                             "Trailer",
                                             "Transfer-Encoding",
                                             "Upgrade",
                                             "Want-Digest",
                                             "X-HTTP-Method",
                                             "X-HTTP-Method-Override",
                                             "X-Idempotency-Key",
                                             "X-Method-Override"};

/** Schemes of mod_proxy whose backends receive the environment. */
static const char *const environment_schemes[] = {"fcgi:", "scgi:", "uwsgi:", "ajp:"};

static bool is_dropped(const char *name)
{
    if (strncasecmp(name, "Content-", 8) == 0 || strncasecmp(name, "If-", 3) == 0) {
        return true;
    }
    for (apr_size_t i = 0; i < RH_COUNT_OF(dropped_fields); i++) {
        if (strcasecmp(name, dropped_fields[i]) == 0) {
            return true;
        }
    }
    return false;
}

static apr_table_t *get_fields(const request_rec *r, apr_pool_t *pool)
{
    const apr_array_header_t *fields = apr_table_elts(r->headers_in);
    apr_table_t *kept = apr_table_make(pool, fields->nelts + 1);

    for (int i = 0; i < fields->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(fields, i, apr_table_entry_t);
        if (field->key && !is_dropped(field->key)) {
            apr_table_addn(kept, field->key, field->val);
        }
    }
    /* A cached response may not show the resource's current state. */
    apr_table_setn(kept, "Cache-Control", "no-cache");
    return kept;
}

/** True for a variable that a CGI program would take for a request field, which the GET lacks. */
static bool is_of_dropped_field(const char *name)
{
    char field[64];
    apr_size_t len = 0;

    if (strncmp(name, "CONTENT_", 8) == 0) {
        return true;
    }
    if (strncmp(name, "HTTP_", 5) != 0) {
        return false;
    }
    for (name += 5; *name && len < sizeof(field) - 1; name++) {
        field[len++] = *name == '_' ? '-' : *name;
    }
    field[len] = '\0';
    return is_dropped(field);
}

/**
 * Make the environment of the GET: what httpd knew of the client's request after reading it,
 * including server-wide SetEnvIf, and the results of authentication. Everything else is set by the
 * hooks that run for the GET, or belongs to the client's request (CONTENT_TYPE, what mod_rewrite
 * set for its path).
 */
static apr_table_t *get_environment(const rh_capture_t *capture, apr_pool_t *pool)
{
    const apr_array_header_t *kept = apr_table_elts(capture->environment);
    const apr_array_header_t *own = apr_table_elts(capture->r->subprocess_env);
    apr_table_t *environment = apr_table_make(pool, kept->nelts + 4);

    for (int i = 0; i < kept->nelts; i++) {
        const apr_table_entry_t *entry = &APR_ARRAY_IDX(kept, i, apr_table_entry_t);
        if (!is_of_dropped_field(entry->key)) {
            apr_table_addn(environment, entry->key, entry->val);
        }
    }
    for (int i = 0; i < own->nelts; i++) {
        const apr_table_entry_t *entry = &APR_ARRAY_IDX(own, i, apr_table_entry_t);
        if (strncmp(entry->key, "AUTHENTICATE_", 13) == 0 ||
            strncmp(entry->key, "AUTHORIZE_", 10) == 0) {
            apr_table_setn(environment, entry->key, entry->val);
        }
    }
    return environment;
}

/** Return the internal GET of a sub-request's client; NULL: none. */
static rh_fetch_t *find_fetch(request_rec *r, rh_capture_t **capture)
{
    if (!r->main) {
        return NULL;
    }
    while (r->main) {
        r = r->main;
    }
    *capture = rh_capture_of(r);
    return *capture ? (*capture)->fetch : NULL;
}

/**
 * Make a new sub-request independent before any module looks at it. httpd gives a sub-request the
 * request line, fields and environment of the client's request and the protocol "INCLUDED", so CGI,
 * FastCGI, SCGI and uWSGI programs would be asked for the client's path.
 */
static int prepare_sub_request(request_rec *get)
{
    rh_capture_t *capture;
    rh_fetch_t *fetch = find_fetch(get, &capture);
    const request_rec *client;

    if (!fetch || fetch->dressed) {
        return DECLINED;
    }
    fetch->dressed = true;
    client = capture->r;
    get->the_request = apr_pstrcat(get->pool, "GET ", fetch->uri, " ", client->protocol, NULL);
    get->protocol = client->protocol;
    get->proto_num = client->proto_num;
    get->headers_in = get_fields(client, get->pool);
    get->trailers_in = apr_table_make(get->pool, 1);
    get->subprocess_env = get_environment(capture, get->pool);
    get->expecting_100 = 0;
    get->read_length = 0;
    get->remaining = 0;
    get->kept_body = NULL;
    return DECLINED;
}

/** A reused connection to an HTTP backend may have any time-out, so set it. */
static int bound_backend(request_rec *r, request_rec *backend)
{
    rh_capture_t *capture;
    rh_fetch_t *fetch = find_fetch(r, &capture);
    apr_socket_t *sock = fetch ? ap_get_conn_socket(backend->connection) : NULL;
    apr_interval_time_t now_allowed, left;

    if (!sock) {
        return DECLINED;
    }
    left = fetch->until - apr_time_now();
    left = left < MIN_WAIT ? MIN_WAIT : left;
    if (apr_socket_timeout_get(sock, &now_allowed) == APR_SUCCESS &&
        (now_allowed < 0 || now_allowed > left)) {
        apr_socket_timeout_set(sock, left);
    }
    return DECLINED;
}

/**
 * Return the request that produced the response: the sub-request, or the one it was redirected to.
 */
static request_rec *final_request(request_rec *r)
{
    while (r->next) {
        r = r->next;
    }
    return r;
}

/** Output filter: take the sub-request's response and pass nothing on to the client. */
static apr_status_t gather_answer(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    rh_fetch_t *fetch = f->ctx;

    if (fetch->get && rh_body_is_stream(final_request(fetch->get)->content_type)) {
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
    /* An aborted connection makes the handler stop. */
    return fetch->stream || fetch->broken ? APR_ECONNABORTED : APR_SUCCESS;
}

/** Input filter: the sub-request shares the client's connection and must not read the real body. */
static apr_status_t read_no_body(ap_filter_t *f, apr_bucket_brigade *brigade, ap_input_mode_t mode,
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
    no_body_handle =
        ap_register_input_filter("RESTHOOKS_NO_BODY", read_no_body, NULL, AP_FTYPE_NETWORK);
    ap_hook_create_request(prepare_sub_request, NULL, NULL, APR_HOOK_LAST);
    APR_OPTIONAL_HOOK(proxy, create_req, bound_backend, NULL, NULL, APR_HOOK_LAST);
}

/** True if the GET's handler does not pass the environment on, so only httpd sees it. */
static bool hides_environment(const request_rec *get)
{
    const char *url = get->filename;

    if (get->handler && strncmp(get->handler, "proxy:", 6) == 0) {
        url = get->handler;
    }
    if (!url || strncmp(url, "proxy:", 6) != 0) {
        return false;
    }
    for (apr_size_t i = 0; i < RH_COUNT_OF(environment_schemes); i++) {
        if (strncasecmp(url + 6, environment_schemes[i], strlen(environment_schemes[i])) == 0) {
            return false;
        }
    }
    return true;
}

/**
 * Look up a GET with fields and state of its own, without changing r.
 *
 * Its filter chain ends in our filters instead of the client's. Filters that are merely added would
 * be removed when a cache serves the sub-request or when it is redirected internally, and the
 * response would then go to the client. Ours do not belong to a request, so no module mistakes them
 * for its own and removes them.
 */
static request_rec *look_up_get(rh_fetch_t *fetch, request_rec *r)
{
    request_rec *get;

    fetch->output = (ap_filter_t){.frec = gather_handle, .ctx = fetch, .c = r->connection};
    fetch->input = (ap_filter_t){.frec = no_body_handle, .c = r->connection};
    get = ap_sub_req_method_uri("GET", fetch->uri, r, &fetch->output);
    get->proto_output_filters = &fetch->output;
    get->input_filters = get->proto_input_filters = &fetch->input;
    get->kept_body = NULL;
    /* A 1xx would be sent to the client. */
    if (hides_environment(get)) {
        apr_table_setn(get->subprocess_env, "proxy-interim-response", "Suppress");
    }
    fetch->get = get;
    return get;
}

/**
 * Run the GET's handler with RestHooksTimeout as its TimeOut, so that CGI programs and backends
 * without a time-out of their own cannot take longer.
 */
static int run_handler(const rh_capture_t *capture, request_rec *get)
{
    server_rec *server = apr_pmemdup(get->pool, get->server, sizeof(*server));

    if (server->timeout > capture->config->settings.timeout) {
        server->timeout = capture->config->settings.timeout;
    }
    get->server = server;
    return ap_run_sub_req(get);
}

/**
 * Exchange the variables that mod_rewrite reads from the client's request instead of the sub-
 * request; `values` then has the previous ones.
 */
static void exchange_script_variables(apr_table_t *environment, const char *values[2])
{
    static const char *const names[2] = {"SCRIPT_URL", "SCRIPT_URI"};

    for (int i = 0; i < 2; i++) {
        const char *old = apr_table_get(environment, names[i]);
        if (values[i]) {
            apr_table_setn(environment, names[i], values[i]);
        } else {
            apr_table_unset(environment, names[i]);
        }
        values[i] = old;
    }
}

/** Make mod_rewrite, if loaded, see the GET's URL. @param values receives what to restore */
static void set_script_variables(const rh_fetch_t *fetch, request_rec *r, const char *values[2])
{
    char *path = apr_pstrmemdup(r->pool, fetch->uri, strcspn(fetch->uri, "?"));

    ap_unescape_url(path);
    if (apr_table_get(r->subprocess_env, "SCRIPT_URL")) {
        values[0] = path;
        values[1] = ap_construct_url(r->pool, path, r);
    }
    exchange_script_variables(r->subprocess_env, values);
}

/** Return path and query of a GET; a relative URI is resolved against the client's path. */
static const char *resolve_uri(const rh_capture_t *capture, const char *uri)
{
    apr_pool_t *pool = capture->r->pool;
    const char *self = rh_capture_self(capture), *query = strchr(uri, '?');
    char *path;

    if (uri[0] == '/' || !self) {
        return uri;
    }
    path = apr_pstrmemdup(pool, self, strcspn(self, "?"));
    path = apr_pstrcat(pool, ap_make_dirstr_parent(pool, path),
                       apr_pstrmemdup(pool, uri, strcspn(uri, "?")), NULL);
    ap_getparents(path);
    return apr_pstrcat(pool, path, query, NULL);
}

/**
 * GET a URI of this virtual host as a sub-request of r, with r's credentials but without its body,
 * range and conditions.
 * @param uri path and query, escaped
 * @param body receives the response; ABSENT unless it was a 2xx
 */
static void fetch(rh_capture_t *capture, request_rec *r, const char *uri, rh_body_t *body)
{
    rh_fetch_t *fetch = apr_pcalloc(capture->r->pool, sizeof(*fetch));
    ap_conn_keepalive_e keepalive = r->connection->keepalive;
    int no_cache = r->no_cache;
    const char *script_variables[2] = {NULL, NULL};
    int status;
    request_rec *get, *last;

    fetch->pool = capture->r->pool;
    fetch->cap = rh_capture_cap(capture);
    fetch->until = apr_time_now() + capture->config->settings.timeout;
    fetch->uri = resolve_uri(capture, uri);
    capture->fetch = fetch;
    set_script_variables(fetch, r, script_variables);
    last = get = look_up_get(fetch, r);
    status = get->status;
    *body = (rh_body_t){.state = RH_BODY_ABSENT, .reason = RH_REASON_NO_RESOURCE};
    if (status == HTTP_OK && get->handler && strcmp(get->handler, "resthooks") == 0) {
        status = HTTP_FORBIDDEN;
    }
    if (status == HTTP_OK) {
        int answer = run_handler(capture, get);

        last = final_request(get);
        status = answer == OK || answer == DONE || fetch->copy.over ? last->status : answer;
    }
    capture->fetch = NULL;
    exchange_script_variables(r->subprocess_env, script_variables);
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
        body->content_type = apr_pstrdup(capture->r->pool, last->content_type);
    } else {
        rh_log(&capture->config->log, RH_LOG_INFO, APR_SUCCESS, "RH0610",
               "the internal GET of %s for %s was answered %d%s; events get only their key", uri,
               capture->r->method, status,
               fetch->stream ? " with a stream" : (fetch->late ? " and takes too long" : ""));
    }
    ap_destroy_sub_req(get);
}

rh_resource_t *rh_capture_resource(rh_capture_t *capture, request_rec *r, int when, const char *uri)
{
    apr_array_header_t **list = &capture->resources[when];
    rh_resource_t *resource;

    if (!*list) {
        *list = apr_array_make(capture->r->pool, 1, sizeof(rh_resource_t *));
    }
    for (int i = 0; i < (*list)->nelts; i++) {
        resource = APR_ARRAY_IDX(*list, i, rh_resource_t *);
        if (strcmp(resource->uri, uri) == 0) {
            return resource;
        }
    }
    resource = apr_pcalloc(capture->r->pool, sizeof(*resource));
    resource->uri = uri;
    fetch(capture, r, uri, &resource->body);
    APR_ARRAY_PUSH(*list, rh_resource_t *) = resource;
    return resource;
}

/** Return path and query of a parsed URI, as written. */
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
        /* A proxy in front of httpd may listen on the scheme's default port. */
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
    return uri.query ? apr_pstrcat(r->pool, uri.path, "?", uri.query, NULL) : uri.path;
}
