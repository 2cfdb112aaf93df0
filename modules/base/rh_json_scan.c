/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_json.h"

/** State of the scanner. Every function below returns false with `reason` set on invalid input. */
typedef struct scanner_t {
    const char *start, *at, *end;
    const char *reason;
    int depth;
} scanner_t;

static bool scan_value(scanner_t *scanner);

static bool set_error(scanner_t *scanner, const char *reason)
{
    if (!scanner->reason) {
        scanner->reason = reason;
    }
    return false;
}

static void skip_space(scanner_t *scanner)
{
    while (scanner->at < scanner->end && (*scanner->at == ' ' || *scanner->at == '\t' ||
                                          *scanner->at == '\n' || *scanner->at == '\r')) {
        scanner->at++;
    }
}

static bool is_digit(const scanner_t *scanner)
{
    return scanner->at < scanner->end && rh_is_digit(*scanner->at);
}

static bool scan_escape(scanner_t *scanner)
{
    scanner->at++;
    if (scanner->at >= scanner->end) {
        return set_error(scanner, "unfinished string");
    }
    if (*scanner->at == 'u') {
        for (int i = 1; i <= 4; i++) {
            if (scanner->end - scanner->at <= i || !rh_is_hex(scanner->at[i])) {
                return set_error(scanner, "\\u needs four hexadecimal digits");
            }
        }
        scanner->at += 5;
        return true;
    }
    if (*scanner->at == '\0' || !strchr("\"\\/bfnrt", *scanner->at)) {
        return set_error(scanner, "unknown escape in a string");
    }
    scanner->at++;
    return true;
}

const bool rh_json_special[256] = {
    [0x00 ... 0x1f] = true,
    ['"'] = true,
    ['\\'] = true,
};

/** Check a string; `at` is at its opening quote. UTF-8 is checked for the whole text beforehand. */
static bool scan_string(scanner_t *scanner)
{
    const char *at = scanner->at + 1, *end = scanner->end;

    for (;;) {
        /* A variable of its own, which the compiler need not store at each step. */
        while (at < end && !rh_json_special[(unsigned char)*at]) {
            at++;
        }
        scanner->at = at;
        if (scanner->at >= scanner->end) {
            return set_error(scanner, "unfinished string");
        }
        if (*scanner->at == '"') {
            scanner->at++;
            return true;
        }
        if (*scanner->at != '\\') {
            return set_error(scanner, "control character in a string");
        }
        if (!scan_escape(scanner)) {
            return false;
        }
        at = scanner->at;
    }
}

static bool scan_digits(scanner_t *scanner)
{
    if (!is_digit(scanner)) {
        return set_error(scanner, "a digit is missing in a number");
    }
    while (is_digit(scanner)) {
        scanner->at++;
    }
    return true;
}

static bool scan_number(scanner_t *scanner)
{
    if (*scanner->at == '-') {
        scanner->at++;
    }
    if (is_digit(scanner) && *scanner->at == '0') {
        scanner->at++;
        if (is_digit(scanner)) {
            return set_error(scanner, "a number must not begin with 0");
        }
    } else if (!scan_digits(scanner)) {
        return false;
    }
    if (scanner->at < scanner->end && *scanner->at == '.') {
        scanner->at++;
        if (!scan_digits(scanner)) {
            return false;
        }
    }
    if (scanner->at < scanner->end && (*scanner->at == 'e' || *scanner->at == 'E')) {
        scanner->at++;
        if (scanner->at < scanner->end && (*scanner->at == '+' || *scanner->at == '-')) {
            scanner->at++;
        }
        return scan_digits(scanner);
    }
    return true;
}

static bool scan_word(scanner_t *scanner, const char *word)
{
    apr_size_t len = strlen(word);

    if ((apr_size_t)(scanner->end - scanner->at) < len || memcmp(scanner->at, word, len) != 0) {
        return set_error(scanner, "not a JSON value");
    }
    scanner->at += len;
    return true;
}

/** Check an object (closing '}') or array (']'); `at` is at its opening bracket. */
static bool scan_nest(scanner_t *scanner, char closing)
{
    bool first = true;

    if (++scanner->depth > RH_JSON_DEPTH) {
        return set_error(scanner, "nested too deeply");
    }
    scanner->at++;
    for (;;) {
        skip_space(scanner);
        if (scanner->at >= scanner->end) {
            return set_error(scanner, closing == '}' ? "unfinished object" : "unfinished array");
        }
        if (*scanner->at == closing && first) {
            break;
        }
        if (closing == '}') {
            if (*scanner->at != '"') {
                return set_error(scanner, "a member's name is missing");
            }
            if (!scan_string(scanner)) {
                return false;
            }
            skip_space(scanner);
            if (scanner->at >= scanner->end || *scanner->at != ':') {
                return set_error(scanner, "a colon is missing");
            }
            scanner->at++;
            skip_space(scanner);
        }
        if (!scan_value(scanner)) {
            return false;
        }
        first = false;
        skip_space(scanner);
        if (scanner->at < scanner->end && *scanner->at == ',') {
            scanner->at++;
        } else if (scanner->at < scanner->end && *scanner->at == closing) {
            break;
        } else {
            return set_error(scanner, "a comma or closing bracket is missing");
        }
    }
    scanner->at++;
    scanner->depth--;
    return true;
}

static bool scan_value(scanner_t *scanner)
{
    if (scanner->at >= scanner->end) {
        return set_error(scanner, "a value is missing");
    }
    switch (*scanner->at) {
    case '{':
        return scan_nest(scanner, '}');
    case '[':
        return scan_nest(scanner, ']');
    case '"':
        return scan_string(scanner);
    case 't':
        return scan_word(scanner, "true");
    case 'f':
        return scan_word(scanner, "false");
    case 'n':
        return scan_word(scanner, "null");
    default:
        if (*scanner->at == '-' || is_digit(scanner)) {
            return scan_number(scanner);
        }
        return set_error(scanner, "not a JSON value");
    }
}

apr_status_t rh_json_check(const char *data, apr_size_t len, rh_json_error_t *error)
{
    scanner_t scanner = {data, data, data + len, NULL, 0};
    bool good;

    if (!rh_utf8_valid(data, len)) {
        good = set_error(&scanner, "not well-formed UTF-8");
    } else {
        skip_space(&scanner);
        good = scan_value(&scanner);
        if (good) {
            skip_space(&scanner);
            if (scanner.at != scanner.end) {
                good = set_error(&scanner, "something follows the value");
            }
        }
    }
    if (!good && error) {
        error->reason = scanner.reason;
        error->offset = (apr_size_t)(scanner.at - scanner.start);
    }
    return good ? APR_SUCCESS : APR_EINVAL;
}

/**
 * The cursor is an offset doubled, plus one in an object: so the walk never goes back to the
 * text's beginning, which would make it quadratic.
 */
bool rh_json_next(const char *data, apr_size_t len, apr_size_t *cursor, rh_json_span_t *span)
{
    scanner_t scanner = {data, data, data + len, NULL, 0};
    bool object = *cursor & 1;

    if (*cursor) {
        scanner.at = data + (*cursor >> 1);
        skip_space(&scanner);
        if (scanner.at < scanner.end && *scanner.at == ',') {
            scanner.at++;
        }
    } else {
        skip_space(&scanner);
        if (scanner.at >= scanner.end || (*scanner.at != '{' && *scanner.at != '[')) {
            return false;
        }
        object = *scanner.at++ == '{';
    }
    skip_space(&scanner);
    if (scanner.at >= scanner.end || *scanner.at == '}' || *scanner.at == ']') {
        return false;
    }
    span->name.data = NULL;
    span->name.len = 0;
    if (object) {
        span->name.data = scanner.at + 1;
        if (*scanner.at != '"' || !scan_string(&scanner)) {
            return false;
        }
        span->name.len = (apr_size_t)(scanner.at - span->name.data) - 1;
        skip_space(&scanner);
        if (scanner.at >= scanner.end || *scanner.at != ':') {
            return false;
        }
        scanner.at++;
        skip_space(&scanner);
    }
    span->value.data = scanner.at;
    if (!scan_value(&scanner)) {
        return false;
    }
    span->value.len = (apr_size_t)(scanner.at - span->value.data);
    *cursor = (apr_size_t)(scanner.at - data) << 1 | object;
    return true;
}

bool rh_json_member(const char *data, apr_size_t len, const char *name, rh_bytes_t *value)
{
    apr_size_t cursor = 0, name_len = strlen(name);
    rh_json_span_t span;
    bool found = false;

    while (rh_json_next(data, len, &cursor, &span)) {
        if (span.name.data && span.name.len == name_len &&
            memcmp(span.name.data, name, name_len) == 0) {
            *value = span.value;
            found = true;
        }
    }
    return found;
}
