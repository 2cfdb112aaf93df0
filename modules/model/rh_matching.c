/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_matching.h"

/** Return the length of the prefix in a pattern: "a." of "a.*"; 0 if it is not a prefix pattern. */
static apr_size_t prefix_len(const char *pattern)
{
    apr_size_t len = strlen(pattern);

    return len > 2 && strcmp(pattern + len - 2, ".*") == 0 ? len - 1 : 0;
}

bool rh_matching_sends(const rh_event_t *event)
{
    return event->source != RH_SOURCE_OBSERVED &&
           !(event->reason && strcmp(event->reason, RH_REASON_HOPS) == 0);
}

bool rh_matching_covers(const char *pattern, const char *type)
{
    apr_size_t len = prefix_len(pattern);

    if (strcmp(pattern, "*") == 0) {
        return true;
    }
    if (len > 0) {
        return strncmp(pattern, type, len) == 0 && type[len] != '\0';
    }
    return strcmp(pattern, type) == 0;
}

apr_array_header_t *rh_matching_patterns(apr_pool_t *pool, const char *type)
{
    apr_array_header_t *patterns = apr_array_make(pool, 4, sizeof(const char *));

    APR_ARRAY_PUSH(patterns, const char *) = apr_pstrdup(pool, type);
    for (apr_size_t i = strlen(type); i-- > 1;) {
        if (type[i] == '.') {
            APR_ARRAY_PUSH(patterns, const char *) =
                apr_pstrcat(pool, apr_pstrmemdup(pool, type, i + 1), "*", NULL);
        }
    }
    APR_ARRAY_PUSH(patterns, const char *) = "*";
    return patterns;
}

bool rh_matching_replays(rh_event_source_t source)
{
    return source != RH_SOURCE_TEST && source != RH_SOURCE_OBSERVED;
}

void rh_matching_range(apr_pool_t *pool, const char *pattern, const char **from, const char **end)
{
    apr_size_t len = prefix_len(pattern);

    /* Types consist of a-z, 0-9, '_' and '.': ' ' sorts before all of these, '/' follows '.', and
     * '~' sorts after them. */
    if (strcmp(pattern, "*") == 0) {
        *from = "";
        *end = "~";
    } else if (len > 0) {
        *from = apr_pstrmemdup(pool, pattern, len);
        *end = apr_pstrcat(pool, apr_pstrmemdup(pool, pattern, len - 1), "/", NULL);
    } else {
        *from = pattern;
        *end = apr_pstrcat(pool, pattern, " ", NULL);
    }
}
