/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The state of a request that all parts of capture use: its capture, and its bodies. */
#include "rh_capture.h"

#include <http_config.h>
#include <string.h>

/** Marks a request whose rules were checked and none matches. */
static rh_capture_t no_capture;

void rh_capture_set(request_rec *r, rh_capture_t *capture)
{
    ap_set_module_config(r->request_config, &resthooks_module, capture ? capture : &no_capture);
}

bool rh_capture_is_set(const request_rec *r)
{
    return ap_get_module_config(r->request_config, &resthooks_module) != NULL;
}

rh_capture_t *rh_capture_of(request_rec *r)
{
    if (r->main) {
        return NULL;
    }
    while (r->prev) {
        r = r->prev;
    }
    rh_capture_t *capture = ap_get_module_config(r->request_config, &resthooks_module);
    return capture == &no_capture ? NULL : capture;
}

apr_size_t rh_capture_cap(const rh_capture_t *capture)
{
    return (apr_size_t)capture->config->settings.max_data;
}

static rh_body_use_t make_use(const rh_capture_t *capture, const char *what)
{
    return (rh_body_use_t){.log = &capture->config->log,
                           .pool = capture->r->pool,
                           .cap = rh_capture_cap(capture),
                           .what = what,
                           .method = capture->r->method,
                           .uri = capture->r->uri};
}

void rh_capture_settle(const rh_capture_t *capture, rh_body_t *body, const char *what)
{
    rh_body_use_t use = make_use(capture, what);

    rh_body_settle(&use, body);
}

const rh_json_tree_t *rh_capture_tree(const rh_capture_t *capture, rh_body_t *body,
                                      const char *what)
{
    rh_body_use_t use = make_use(capture, what);

    rh_body_settle(&use, body);
    return body->state == RH_BODY_WHOLE ? rh_body_tree(&use, body) : NULL;
}
