/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_header.h"

bool rh_header_name_valid(const char *name)
{
    return strlen(name) <= RH_HEADER_MAX_NAME_BYTES && rh_is_token(rh_bytes_of(name));
}

bool rh_header_value_valid(const char *value)
{
    for (const char *at = value; *at; at++) {
        if (rh_is_control(*at) && *at != '\t') {
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

    for (apr_size_t i = 0; i < RH_COUNT_OF(names); i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return true;
        }
    }
    for (apr_size_t i = 0; i < RH_COUNT_OF(prefixes); i++) {
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
        char first = rh_lower(name[0]), second = rh_lower(name[1]);

        for (apr_size_t i = 0; i < RH_COUNT_OF(parts); i++) {
            /* Two characters spare most calls: the fields of each attempt are looked at. */
            if (first == parts[i][0] && second == parts[i][1] &&
                strncasecmp(name, parts[i], strlen(parts[i])) == 0) {
                return true;
            }
        }
    }
    return false;
}
