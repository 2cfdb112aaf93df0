/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_regex_ends.h
 * @brief The literal text that a regular expression begins and ends with.
 *
 * Most requests fit no rule. Comparing the two ends of a path takes some 30 instructions where the
 * regular expression takes 700, and most paths differ there.
 */
#ifndef RH_REGEX_ENDS_H
#define RH_REGEX_ENDS_H

#include "rh_text.h"

/** Both may be empty, which excludes nothing. */
typedef struct rh_regex_ends_t {
    rh_bytes_t prefix, suffix;
} rh_regex_ends_t;

/**
 * Find the ends of a PCRE pattern that is compiled with no options but DOTALL and DOLLAR_ENDONLY.
 * They are empty if the pattern is not anchored there, or contains something that is not analysed
 * (alternatives outside of groups, inline options, assertions, quotes).
 */
void rh_regex_ends_find(apr_pool_t *pool, const char *pattern, rh_regex_ends_t *ends);

/** False if a text of this length cannot match; true proves nothing. */
static inline bool rh_regex_ends_fit(const rh_regex_ends_t *ends, const char *text, apr_size_t len)
{
    const rh_bytes_t *prefix = &ends->prefix, *suffix = &ends->suffix;

    if (len < prefix->len || len < suffix->len) {
        return false;
    }
    return (prefix->len == 0 || memcmp(text, prefix->data, prefix->len) == 0) &&
           (suffix->len == 0 || memcmp(text + len - suffix->len, suffix->data, suffix->len) == 0);
}

#endif
