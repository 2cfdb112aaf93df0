/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_http1.h"

#include <apr_lib.h>

/** RFC 9110 §5.6.2 */
static bool is_token(const char *text)
{
    if (!*text) {
        return false;
    }
    for (; *text; text++) {
        if (!apr_isalnum(*text) && !strchr("!#$%&'*+-.^_`|~", *text)) {
            return false;
        }
    }
    return true;
}

static bool is_value(const char *text)
{
    for (; *text; text++) {
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

rh_bytes_t rh_http1_request(apr_pool_t *pool, const char *method, const rh_url_t *url,
                            bool absolute, bool close, const apr_table_t *headers,
                            apr_size_t body_len)
{
    const apr_array_header_t *fields = apr_table_elts(headers);
    const apr_table_entry_t *entries = (const apr_table_entry_t *)fields->elts;
    apr_array_header_t *parts = apr_array_make(pool, 8 + 4 * fields->nelts, sizeof(const char *));
    rh_bytes_t head = {NULL, 0};

    if (!is_token(method)) {
        return head;
    }
    APR_ARRAY_PUSH(parts, const char *) = method;
    APR_ARRAY_PUSH(parts, const char *) = " ";
    if (absolute) {
        APR_ARRAY_PUSH(parts, const char *) = url->https ? "https://" : "http://";
        APR_ARRAY_PUSH(parts, const char *) = url->authority;
    }
    APR_ARRAY_PUSH(parts, const char *) = url->path;
    APR_ARRAY_PUSH(parts, const char *) = " HTTP/1.1\r\nHost: ";
    APR_ARRAY_PUSH(parts, const char *) = url->authority;
    if (body_len || strcmp(method, "GET") != 0) {
        APR_ARRAY_PUSH(parts, const char *) =
            apr_psprintf(pool, "\r\nContent-Length: %" APR_SIZE_T_FMT, body_len);
    }
    APR_ARRAY_PUSH(parts, const char *) = close ? "\r\nConnection: close\r\n" : "\r\n";
    for (int i = 0; i < fields->nelts; i++) {
        if (!is_token(entries[i].key) || !is_value(entries[i].val)) {
            return head;
        }
        APR_ARRAY_PUSH(parts, const char *) = entries[i].key;
        APR_ARRAY_PUSH(parts, const char *) = ": ";
        APR_ARRAY_PUSH(parts, const char *) = entries[i].val;
        APR_ARRAY_PUSH(parts, const char *) = "\r\n";
    }
    APR_ARRAY_PUSH(parts, const char *) = "\r\n";
    head.data = apr_array_pstrcat(pool, parts, '\0');
    head.len = strlen(head.data);
    return head;
}

rh_bytes_t rh_http1_connect(apr_pool_t *pool, const rh_url_t *url)
{
    const char *target =
        apr_psprintf(pool, url->ipv6_literal ? "[%s]:%hu" : "%s:%hu", url->host, url->port);
    rh_bytes_t head;

    head.data = apr_pstrcat(pool, "CONNECT ", target, " HTTP/1.1\r\nHost: ", target,
                            "\r\nUser-Agent: mod_resthooks/" RH_VERSION "\r\n\r\n", NULL);
    head.len = strlen(head.data);
    return head;
}
