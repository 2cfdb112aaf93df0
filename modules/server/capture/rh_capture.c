/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_capture.h"

#include <http_config.h>
#include <http_protocol.h>
#include <http_request.h>
#include <string.h>

static ap_filter_rec_t *output_handle, *input_handle;

/** Runs first in translate_name, where r->uri is decoded and no module has rewritten it yet. */
static int match_request(request_rec *r)
{
    rh_server_config_t *config;
    apr_array_header_t *matches;
    rh_capture_t *capture;

    if (r->main || r->prev || r->proxyreq == PROXYREQ_PROXY) {
        return DECLINED;
    }
    config = rh_server_config(r->server);
    if (!config || config->settings.enabled != 1 || !config->settings.rules ||
        config->settings.rules->nelts == 0) {
        return DECLINED;
    }
    if (rh_capture_is_set(r)) {
        return DECLINED;
    }
    matches = rh_rules_match(r, config);
    if (!matches) {
        rh_capture_set(r, NULL);
        return DECLINED;
    }
    capture = apr_pcalloc(r->pool, sizeof(*capture));
    capture->r = r;
    capture->config = config;
    capture->matches = matches;
    for (int i = 0; i < matches->nelts; i++) {
        const rh_rule_t *rule = APR_ARRAY_IDX(matches, i, rh_match_t).rule;

        for (int source = 0; source < RH_DATA_COUNT; source++) {
            capture->sources[source] = capture->sources[source] || rule->needs[source];
        }
    }
    if (capture->sources[RH_DATA_BEFORE] || capture->sources[RH_DATA_AFTER]) {
        capture->environment = apr_table_copy(r->pool, r->subprocess_env);
    }
    rh_capture_set(r, capture);
    return DECLINED;
}

static bool is_our_api(const request_rec *r)
{
    return r->handler && strcmp(r->handler, "resthooks") == 0;
}

/**
 * Runs last in fixups: the client is authorised, and the backend has not received the request yet.
 */
static int fetch_before(request_rec *r)
{
    rh_capture_t *capture = rh_capture_of(r);

    if (!capture || capture->r != r || !capture->sources[RH_DATA_BEFORE] || capture->before_done ||
        is_our_api(r)) {
        return DECLINED;
    }
    capture->before_done = true;
    for (int i = 0; i < capture->matches->nelts; i++) {
        rh_match_t *match = &APR_ARRAY_IDX(capture->matches, i, rh_match_t);
        const char *uri;

        if (!match->rule->needs[RH_DATA_BEFORE]) {
            continue;
        }
        uri = match->rule->url ? rh_match_url(capture, match, r) : rh_capture_self(capture);
        match->before = uri ? rh_capture_resource(capture, r, 0, uri) : NULL;
    }
    return DECLINED;
}

static void add_output(rh_capture_t *capture, request_rec *r)
{
    rh_capture_rewind(capture);
    ap_add_output_filter_handle(output_handle, capture, r, r->connection);
}

static void insert_filters(request_rec *r)
{
    rh_capture_t *capture = rh_capture_of(r);

    if (!capture || capture->done) {
        return;
    }
    if (is_our_api(r)) {
        capture->done = true;
        return;
    }
    add_output(capture, r);
    if (capture->sources[RH_DATA_REQUEST]) {
        ap_add_input_filter_handle(input_handle, capture, r, r->connection);
    }
    if (capture->sources[RH_DATA_RESPONSE]) {
        rh_capture_limit_codings(capture, r);
    }
}

/** httpd sends its own error responses without the content filters that insert_filter added. */
static void insert_error_filter(request_rec *r)
{
    rh_capture_t *capture = rh_capture_of(r);

    if (capture && !capture->done) {
        add_output(capture, r);
    }
}

/**
 * Runs first of the handlers, around all others. The internal GET for `after` waits until the
 * handler has returned. Handlers of FastCGI and AJP keep their connection to the backend while they
 * pass on the end of the response. If the maximum number of requests did so, each would wait for a
 * second connection for ever.
 */
static int around_handler(request_rec *r)
{
    rh_capture_t *capture = rh_capture_of(r);
    int answer;

    if (!capture || capture->done || capture->in_handler || !capture->sources[RH_DATA_AFTER]) {
        return DECLINED;
    }
    capture->in_handler = true;
    answer = ap_run_handler(r);
    capture->in_handler = false;
    rh_capture_handled(capture, r);
    return answer;
}

void rh_capture_register(apr_pool_t *pool)
{
    (void)pool;
    /* Run before filters that only transform the representation (DEFLATE, mod_headers), but after
     * those that produce content (SUBSTITUTE, INCLUDES). */
    output_handle = ap_register_output_filter("RESTHOOKS_CAPTURE", rh_capture_output, NULL,
                                              AP_FTYPE_CONTENT_SET - 1);
    input_handle = ap_register_input_filter("RESTHOOKS_CAPTURE_IN", rh_capture_input, NULL,
                                            AP_FTYPE_CONTENT_SET - 1);
    rh_capture_fetch_register();
    rh_rule_functions_register(rh_item_evaluate);
    ap_hook_translate_name(match_request, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_fixups(fetch_before, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_handler(around_handler, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_insert_filter(insert_filters, NULL, NULL, APR_HOOK_LAST);
    ap_hook_insert_error_filter(insert_error_filter, NULL, NULL, APR_HOOK_LAST);
}
