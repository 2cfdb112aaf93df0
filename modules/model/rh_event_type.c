/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_event_type.h"

static bool is_segment_character(char c)
{
    return (c >= 'a' && c <= 'z') || rh_is_digit(c) || c == '_';
}

/** True if non-empty segments are separated by single dots; *dots receives the number of dots. */
static bool are_segments(const char *text, apr_size_t len, int *dots)
{
    char before = '.';

    *dots = 0;
    for (apr_size_t i = 0; i < len; i++) {
        if (text[i] == '.') {
            if (before == '.') {
                return false;
            }
            (*dots)++;
        } else if (!is_segment_character(text[i])) {
            return false;
        }
        before = text[i];
    }
    return before != '.';
}

bool rh_event_type_valid(const char *type, apr_size_t len)
{
    int dots;

    return len <= RH_MAX_TYPE && are_segments(type, len, &dots) && dots > 0;
}

bool rh_event_pattern_valid(const char *pattern, apr_size_t len)
{
    int dots;

    if (len == 1 && *pattern == '*') {
        return true;
    }
    if (len > 2 && len <= RH_MAX_TYPE && memcmp(pattern + len - 2, ".*", 2) == 0) {
        return are_segments(pattern, len - 2, &dots);
    }
    return rh_event_type_valid(pattern, len);
}
