/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Facts about a rule's regular expression and expressions that are certain without running them. */
#include "rh_config_private.h"

#include <apr_lib.h>

/** True if an alternative is outside of every group, or the pattern is too unusual to analyse. */
static bool has_alternatives(const char *pattern)
{
    const char *p;
    int depth = 0;

    for (p = pattern; *p; p++) {
        if (*p == '\\') {
            if (p[1] == '\0' || p[1] == 'Q') {
                return true;
            }
            p++;
        } else if (*p == '[') {
            p += p[1] == '^' ? 1 : 0;
            p += p[1] == ']' ? 1 : 0;
            while (p[1] && p[1] != ']') {
                p += p[1] == '\\' && p[2] ? 2 : 1;
            }
        } else if (*p == '(') {
            depth++;
        } else if (*p == ')') {
            depth--;
        } else if (*p == '|' && depth == 0) {
            return true;
        }
    }
    return false;
}

bool rh_pattern_matches_no_path(const char *pattern)
{
    const char *first = pattern + 1;

    if (*pattern != '^' || has_alternatives(pattern)) {
        return false;
    }
    if (*first == '$') {
        return first[1] == '\0';
    }
    if (*first == '\\') {
        first++;
        if (apr_isalnum(*first) && !strchr("dsw", *first)) {
            return false; /* \x2f, \A: not worth a parser */
        }
    } else if (*first == '\0' || strchr(".[]()*+?{}|^", *first)) {
        return false;
    }
    return *first != '/' && !strchr("?*{", first[1]);
}

bool rh_expression_is_constant(const char *text)
{
    const char *dollar;

    if (strstr(text, "%{")) {
        return false;
    }
    for (dollar = strchr(text, '$'); dollar; dollar = strchr(dollar + 1, '$')) {
        if (rh_is_digit(dollar[1])) {
            return false;
        }
    }
    return true;
}
