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

/** The bit of a letter of either case. */
#define LETTER(c) (1U << ((c)&0x1f))

bool rh_header_secret(const char *name)
{
    static const char *const parts[] = {"auth",     "cookie", "credential", "key",
                                        "password", "secret", "token"};
    /* First letters of the names below. Every field of each attempt is checked, and this avoids
     * most calls. */
    static const apr_uint32_t firsts =
        LETTER('a') | LETTER('c') | LETTER('k') | LETTER('p') | LETTER('s') | LETTER('t');

    for (; *name; name++) {
        if (!(firsts & LETTER((unsigned char)*name))) {
            continue;
        }
        for (apr_size_t i = 0; i < RH_COUNT_OF(parts); i++) {
            if (rh_lower(*name) == parts[i][0] &&
                strncasecmp(name, parts[i], strlen(parts[i])) == 0) {
                return true;
            }
        }
    }
    return false;
}
