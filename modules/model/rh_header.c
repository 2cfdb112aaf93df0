/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_header.h"

#include <apr_lib.h>

#define COUNT(names) (sizeof(names) / sizeof((names)[0]))

bool rh_header_name_valid(const char *name)
{
    if (!*name || strlen(name) > RH_HEADER_MAX_NAME_BYTES) {
        return false;
    }
    for (; *name; name++) {
        if (!apr_isalnum(*name) && !strchr("!#$%&'*+-.^_`|~", *name)) {
            return false;
        }
    }
    return true;
}

bool rh_header_value_valid(const char *value)
{
    for (const char *at = value; *at; at++) {
        if (((unsigned char)*at < 0x20 && *at != '\t') || *at == 0x7f) {
            return false;
        }
    }
    return strlen(value) <= RH_HEADER_MAX_VALUE_BYTES;
}

bool rh_header_reserved(const char *name)
{
    static const char *const names[] = {
        "accept",         "accept-encoding",   "connection", "date",        "expect",     "host",
        "http2-settings", "keep-alive",        "te",         "traceparent", "tracestate", "trailer",
        "upgrade",        "transfer-encoding", "user-agent", "via",
    };
    static const char *const prefixes[] = {"content-", "proxy-", "webhook-", "x-hook-"};

    for (apr_size_t i = 0; i < COUNT(names); i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return true;
        }
    }
    for (apr_size_t i = 0; i < COUNT(prefixes); i++) {
        if (strncasecmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return strchr(name, '_') != NULL;
}

bool rh_header_secret(const char *name)
{
    static const char *const parts[] = {"auth",     "cookie", "credential", "key",
                                        "password", "secret", "token"};

    for (; *name; name++) {
        for (apr_size_t i = 0; i < COUNT(parts); i++) {
            if (strncasecmp(name, parts[i], strlen(parts[i])) == 0) {
                return true;
            }
        }
    }
    return false;
}
