/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_url.h"

#include <apr_general.h>
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool condition)
{
    if (!condition) {
        abort();
    }
}

/** True if the C library's resolver would take the host for an address. */
static bool is_number(const char *host)
{
    struct in_addr address;

    return inet_aton(host, &address) != 0;
}

/** An accepted target URL must be safe in a request, and give the same when parsed again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int initialized;
    const char *reason = NULL, *text, *reread_reason;
    apr_pool_t *pool;
    rh_url_t url, again;

    if (!initialized) {
        apr_initialize();
        initialized = 1;
    }
    apr_pool_create(&pool, NULL);
    if (rh_url_parse(pool, (const char *)data, size, &url, &reason) != APR_SUCCESS) {
        demand(reason != NULL);
        apr_pool_destroy(pool);
        return 0;
    }
    demand(size <= RH_MAX_URL && url.port != 0 && *url.host && *url.path == '/');
    demand(url.ipv4_literal == is_number(url.host));
    for (const char *at = url.host; *at; at++) {
        demand((unsigned char)*at > ' ' && (unsigned char)*at < 0x7f && !strchr("@/?#[]%\\", *at));
        demand(!(*at >= 'A' && *at <= 'Z'));
        demand(*at != ':' || url.ipv6_literal);
    }
    for (const char *at = url.path; *at; at++) {
        demand((unsigned char)*at > ' ' && (unsigned char)*at < 0x7f && *at != '#');
    }
    if (url.ipv6_literal) {
        struct in6_addr address;

        demand(inet_pton(AF_INET6, url.host, &address) == 1);
    }
    for (const char *at = url.text; *at; at++) {
        demand((unsigned char)*at > ' ' && (unsigned char)*at < 0x7f);
    }
    demand(rh_url_parse(pool, url.text, strlen(url.text), &again, &reread_reason) == APR_SUCCESS);
    demand(strcmp(again.host, url.host) == 0 && strcmp(again.path, url.path) == 0);
    demand(strcmp(again.text, url.text) == 0 && again.port == url.port);
    text = apr_pstrcat(pool, url.https ? "https://" : "http://", url.authority, url.path, NULL);
    if (strlen(text) <= RH_MAX_URL) {
        demand(rh_url_parse(pool, text, strlen(text), &again, &reread_reason) == APR_SUCCESS);
        demand(strcmp(again.host, url.host) == 0 && strcmp(again.path, url.path) == 0);
        demand(strcmp(again.authority, url.authority) == 0 && again.port == url.port);
    }
    apr_pool_destroy(pool);
    return 0;
}
