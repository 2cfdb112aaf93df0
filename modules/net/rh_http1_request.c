/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_http1.h"

static bool is_value(const char *text)
{
    for (; *text; text++) {
        if (rh_is_control(*text) && *text != '\t') {
            return false;
        }
    }
    return true;
}

static void add_text(apr_array_header_t *parts, const char *text)
{
    APR_ARRAY_PUSH(parts, const char *) = text;
}

static void add_field(apr_array_header_t *parts, const char *name, const char *value)
{
    add_text(parts, name);
    add_text(parts, ": ");
    add_text(parts, value);
    add_text(parts, "\r\n");
}

rh_bytes_t rh_http1_request(apr_pool_t *pool, const rh_http1_head_t *head)
{
    const apr_array_header_t *fields = apr_table_elts(head->headers);
    const apr_table_entry_t *entries = (const apr_table_entry_t *)fields->elts;
    apr_array_header_t *parts = apr_array_make(pool, 16 + 4 * fields->nelts, sizeof(const char *));
    rh_bytes_t written = {NULL, 0};

    if (!rh_is_token(rh_bytes_of(head->method))) {
        return written;
    }
    add_text(parts, head->method);
    add_text(parts, " ");
    if (head->via) {
        add_text(parts, head->url->https ? "https://" : "http://");
        add_text(parts, head->via);
    }
    add_text(parts, head->url->path);
    add_text(parts, " HTTP/1.1\r\nHost: ");
    add_text(parts, head->url->authority);
    if (head->body_len || strcmp(head->method, "GET") != 0) {
        add_text(parts, apr_psprintf(pool, "\r\nContent-Length: %" APR_SIZE_T_FMT, head->body_len));
    }
    add_text(parts, head->close ? "\r\nConnection: close\r\n" : "\r\n");
    if (head->proxy_login) {
        add_field(parts, "Proxy-Authorization", head->proxy_login);
    }
    for (int i = 0; i < fields->nelts; i++) {
        if (!rh_is_token(rh_bytes_of(entries[i].key)) || !is_value(entries[i].val)) {
            return written;
        }
        add_field(parts, entries[i].key, entries[i].val);
    }
    add_text(parts, "\r\n");
    written.data = apr_array_pstrcat(pool, parts, '\0');
    written.len = strlen(written.data);
    return written;
}

rh_bytes_t rh_http1_connect(apr_pool_t *pool, const char *to, const char *proxy_login)
{
    rh_bytes_t written;

    written.data =
        apr_pstrcat(pool, "CONNECT ", to, " HTTP/1.1\r\nHost: ", to,
                    "\r\nUser-Agent: mod_resthooks/" RH_VERSION "\r\n",
                    proxy_login ? "Proxy-Authorization: " : "", proxy_login ? proxy_login : "",
                    proxy_login ? "\r\n" : "", "\r\n", NULL);
    written.len = strlen(written.data);
    return written;
}
