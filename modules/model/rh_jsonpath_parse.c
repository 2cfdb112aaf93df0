/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Queries: segments and selectors (RFC 9535 §2.2, §2.3, §2.5). Filters: rh_jsonpath_expr.c. */
#include "rh_jsonpath_private.h"

/** Largest absolute value of an integer in a query (RFC 7493 §2.2). */
#define MAX_INTEGER APR_INT64_C(9007199254740991)

void *rh_path_fail(rh_path_parser_t *parser, const char *reason)
{
    if (!parser->reason) {
        parser->reason = reason;
        parser->wrong = parser->at;
    }
    return NULL;
}

void rh_path_skip_space(rh_path_parser_t *parser)
{
    while (parser->at < parser->end && strchr(" \t\r\n", *parser->at) && *parser->at) {
        parser->at++;
    }
}

bool rh_path_take(rh_path_parser_t *parser, const char *text)
{
    apr_size_t len = strlen(text);

    if ((apr_size_t)(parser->end - parser->at) < len || memcmp(parser->at, text, len) != 0) {
        return false;
    }
    parser->at += len;
    return true;
}

/** Return the code unit of "\uXXXX" at a position; -1: there is none. */
static int peek_unit(const rh_path_parser_t *parser, const char *at)
{
    int unit = 0;

    if (parser->end - at < 6 || at[0] != '\\' || at[1] != 'u') {
        return -1;
    }
    for (int i = 2; i < 6; i++) {
        if (!rh_is_hex(at[i])) {
            return -1;
        }
        unit = unit * 16 + (at[i] <= '9' ? at[i] - '0' : (at[i] | 0x20) - 'a' + 10);
    }
    return unit;
}

/** Check an escape within quotes and skip it. In a query, surrogates must come in pairs. */
static bool skip_escape(rh_path_parser_t *parser, char quote)
{
    int unit = peek_unit(parser, parser->at);

    if (unit < 0) {
        char escaped = parser->end - parser->at > 1 ? parser->at[1] : '\0';

        if (!escaped || (escaped != quote && !strchr("bfnrt/\\", escaped))) {
            rh_path_fail(parser, "unknown escape in a string");
            return false;
        }
        parser->at += 2;
        return true;
    }
    if (unit >= 0xdc00 && unit < 0xe000) {
        rh_path_fail(parser, "a low surrogate without a high one");
        return false;
    }
    parser->at += 6;
    if (unit >= 0xd800 && unit < 0xdc00) {
        int low = peek_unit(parser, parser->at);

        if (low < 0xdc00 || low >= 0xe000) {
            rh_path_fail(parser, "a high surrogate without a low one");
            return false;
        }
        parser->at += 6;
    }
    return true;
}

bool rh_path_read_string(rh_path_parser_t *parser, rh_bytes_t *string)
{
    char quote = *parser->at++;
    const char *begin = parser->at;
    char *raw;
    apr_size_t len = 0;

    while (parser->at < parser->end && *parser->at != quote) {
        if ((unsigned char)*parser->at < 0x20) {
            rh_path_fail(parser, "control character in a string");
            return false;
        }
        if (*parser->at != '\\') {
            parser->at++;
        } else if (!skip_escape(parser, quote)) {
            return false;
        }
    }
    if (parser->at >= parser->end) {
        rh_path_fail(parser, "unfinished string");
        return false;
    }
    /* Decode it like the inside of a JSON string, which has no \'. */
    raw = apr_palloc(parser->pool, (apr_size_t)(parser->at - begin) + 1);
    for (; begin < parser->at; begin++) {
        if (*begin == '\\' && begin[1] == '\'') {
            continue;
        }
        raw[len++] = *begin;
        if (*begin == '\\') {
            raw[len++] = *++begin;
        }
    }
    parser->at++;
    *string = rh_json_decode(parser->pool, raw, len);
    return true;
}

/** Parse an integer: 0, or digits that do not begin with 0, with an optional minus. */
static bool read_integer(rh_path_parser_t *parser, apr_int64_t *value)
{
    const char *begin = parser->at;
    bool minus = rh_path_take(parser, "-");
    const char *digits = parser->at;

    *value = 0;
    while (parser->at < parser->end && rh_is_digit(*parser->at)) {
        *value = *value * 10 + (*parser->at++ - '0');
        if (*value > MAX_INTEGER) {
            rh_path_fail(parser, "an integer is too large");
            return false;
        }
    }
    if (parser->at == digits || (*digits == '0' && (parser->at - digits > 1 || minus))) {
        parser->at = begin;
        rh_path_fail(parser, "not an integer");
        return false;
    }
    *value = minus ? -*value : *value;
    return true;
}

static bool at_integer(const rh_path_parser_t *parser)
{
    return parser->at < parser->end && (*parser->at == '-' || rh_is_digit(*parser->at));
}

/** Parse an index, or a slice (start:end:step). */
static bool read_index(rh_path_parser_t *parser, rh_path_selector_t *selector)
{
    const char *after;

    selector->kind = RH_SELECT_INDEX;
    if (at_integer(parser)) {
        if (!read_integer(parser, &selector->index)) {
            return false;
        }
        selector->has_start = true;
        selector->start = selector->index;
    }
    after = parser->at;
    rh_path_skip_space(parser);
    if (!rh_path_take(parser, ":")) {
        parser->at = after;
        return selector->has_start || rh_path_fail(parser, "not a selector") != NULL;
    }
    selector->kind = RH_SELECT_SLICE;
    selector->step = 1;
    rh_path_skip_space(parser);
    if (at_integer(parser)) {
        selector->has_end = true;
        if (!read_integer(parser, &selector->end)) {
            return false;
        }
        rh_path_skip_space(parser);
    }
    if (rh_path_take(parser, ":")) {
        rh_path_skip_space(parser);
        if (at_integer(parser) && !read_integer(parser, &selector->step)) {
            return false;
        }
    }
    return true;
}

static rh_path_selector_t *read_selector(rh_path_parser_t *parser)
{
    rh_path_selector_t *selector = apr_pcalloc(parser->pool, sizeof(*selector));
    char c = parser->at < parser->end ? *parser->at : '\0';

    if (c == '\'' || c == '"') {
        selector->kind = RH_SELECT_NAME;
        return rh_path_read_string(parser, &selector->name) ? selector : NULL;
    }
    if (rh_path_take(parser, "*")) {
        selector->kind = RH_SELECT_WILDCARD;
        return selector;
    }
    if (rh_path_take(parser, "?")) {
        selector->kind = RH_SELECT_FILTER;
        rh_path_skip_space(parser);
        selector->filter = rh_path_read_filter(parser);
        return selector->filter ? selector : NULL;
    }
    return read_index(parser, selector) ? selector : NULL;
}

/** Parse selectors in brackets; `at` is past the opening one. */
static rh_path_selector_t *read_selectors(rh_path_parser_t *parser)
{
    rh_path_selector_t *first = NULL, **last = &first;

    for (;;) {
        rh_path_skip_space(parser);
        *last = read_selector(parser);
        if (!*last) {
            return NULL;
        }
        last = &(*last)->next;
        rh_path_skip_space(parser);
        if (rh_path_take(parser, "]")) {
            return first;
        }
        if (!rh_path_take(parser, ",")) {
            return rh_path_fail(parser, "a comma or closing bracket is missing");
        }
    }
}

static bool is_name_first(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

/** Parse the rest after a dot: a name without quotes, or "*". */
static rh_path_selector_t *read_shorthand(rh_path_parser_t *parser)
{
    rh_path_selector_t *selector = apr_pcalloc(parser->pool, sizeof(*selector));
    const char *begin = parser->at;

    if (rh_path_take(parser, "*")) {
        selector->kind = RH_SELECT_WILDCARD;
        return selector;
    }
    if (parser->at >= parser->end || !is_name_first((unsigned char)*parser->at)) {
        return rh_path_fail(parser, "a member's name is missing");
    }
    while (parser->at < parser->end &&
           (is_name_first((unsigned char)*parser->at) || rh_is_digit(*parser->at))) {
        parser->at++;
    }
    selector->kind = RH_SELECT_NAME;
    selector->name.data = apr_pstrmemdup(parser->pool, begin, (apr_size_t)(parser->at - begin));
    selector->name.len = (apr_size_t)(parser->at - begin);
    return selector;
}

/** Parse the next segment. @return NULL: none, unless a reason is set */
static rh_path_segment_t *read_segment(rh_path_parser_t *parser)
{
    const char *begin = parser->at;
    rh_path_segment_t *segment = apr_pcalloc(parser->pool, sizeof(*segment));

    rh_path_skip_space(parser);
    if (rh_path_take(parser, "..")) {
        segment->descendant = true;
        segment->selectors =
            rh_path_take(parser, "[") ? read_selectors(parser) : read_shorthand(parser);
    } else if (rh_path_take(parser, ".")) {
        segment->selectors = read_shorthand(parser);
    } else if (rh_path_take(parser, "[")) {
        segment->selectors = read_selectors(parser);
    } else {
        parser->at = begin;
        return NULL;
    }
    return segment->selectors ? segment : NULL;
}

static bool selects_one(const rh_path_segment_t *segment)
{
    return !segment->descendant && !segment->selectors->next &&
           (segment->selectors->kind == RH_SELECT_NAME ||
            segment->selectors->kind == RH_SELECT_INDEX);
}

rh_jsonpath_t *rh_path_read_query(rh_path_parser_t *parser)
{
    rh_jsonpath_t *path = apr_pcalloc(parser->pool, sizeof(*path));
    rh_path_segment_t **last = &path->segments;

    path->relative = rh_path_take(parser, "@");
    if (!path->relative && !rh_path_take(parser, "$")) {
        return rh_path_fail(parser, "a query begins with $");
    }
    path->singular = true;
    while ((*last = read_segment(parser)) != NULL) {
        path->singular = path->singular && selects_one(*last);
        last = &(*last)->next;
    }
    return parser->reason ? NULL : path;
}

apr_status_t rh_jsonpath_compile(apr_pool_t *pool, const char *text, apr_size_t len,
                                 rh_jsonpath_t **path, rh_jsonpath_error_t *error)
{
    rh_path_parser_t parser = {pool, text, text, text + len, NULL, NULL, 0};
    rh_jsonpath_t *made = NULL;

    if (len > RH_JSONPATH_MAX_LEN) {
        rh_path_fail(&parser, "the query is too long");
    } else if (!rh_utf8_valid(text, len)) {
        rh_path_fail(&parser, "not well-formed UTF-8");
    } else if (len == 0 || *text != '$') {
        rh_path_fail(&parser, "a query begins with $");
    } else {
        made = rh_path_read_query(&parser);
        if (made && parser.at != parser.end) {
            made = rh_path_fail(&parser, "unexpected characters after the query");
        }
    }
    if (!made) {
        if (error) {
            error->reason = parser.reason;
            error->offset = (apr_size_t)(parser.wrong - text);
        }
        return APR_EINVAL;
    }
    *path = made;
    return APR_SUCCESS;
}

bool rh_jsonpath_is_singular(const rh_jsonpath_t *path)
{
    return path->singular;
}
