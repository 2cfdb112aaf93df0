/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_json.h"

#include <apr_hash.h>
#include <limits.h>
#include <stdlib.h>

static int hex_value(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static apr_uint32_t code_unit(const char *digits)
{
    apr_uint32_t unit = 0;

    for (int i = 0; i < 4; i++) {
        unit = unit << 4 | (apr_uint32_t)hex_value(digits[i]);
    }
    return unit;
}

static char *put_utf8(char *to, apr_uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | ((code >> 6) & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | ((code >> 12) & 0x3f));
        *to++ = (char)(0x80 | ((code >> 6) & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/** Decode one \u escape, or a surrogate pair of them; *at is behind the 'u'. */
static apr_uint32_t unicode_escape(const char **at, const char *end)
{
    apr_uint32_t code = code_unit(*at);

    *at += 4;
    if (code >= 0xd800 && code < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        apr_uint32_t low = code_unit(*at + 2);

        if (low >= 0xdc00 && low < 0xe000) {
            *at += 6;
            return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return code >= 0xd800 && code < 0xe000 ? 0xfffd : code;
}

/** Decode the inside of a string that the scanner took; NULL when it holds U+0000. */
static const char *unescape(apr_pool_t *pool, const char *data, apr_size_t len)
{
    const char *at = data, *end = data + len;
    char *text = apr_palloc(pool, len + 1), *to = text;

    while (at < end) {
        static const char names[] = "bfnrt", codes[] = "\b\f\n\r\t";
        const char *name;

        if (*at != '\\') {
            *to++ = *at++;
            continue;
        }
        at++;
        if (*at == 'u') {
            apr_uint32_t code;

            at++;
            if (end - at < 4) {
                return NULL;
            }
            code = unicode_escape(&at, end);
            if (code == 0) {
                return NULL;
            }
            to = put_utf8(to, code);
            continue;
        }
        name = strchr(names, *at);
        *to++ = name ? codes[name - names] : *at;
        at++;
    }
    *to = '\0';
    return text;
}

const char *rh_json_string(apr_pool_t *pool, rh_bytes_t value)
{
    if (value.len < 2 || value.data[0] != '"' || value.data[value.len - 1] != '"') {
        return NULL;
    }
    return unescape(pool, value.data + 1, value.len - 2);
}

const char *rh_json_quote(apr_pool_t *pool, const char *data, apr_size_t len)
{
    static const char digits[] = "0123456789abcdef";
    apr_size_t size = 3;
    char *text, *to;

    for (apr_size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];

        size += c < 0x20 ? 6 : c == '"' || c == '\\' ? 2 : 1;
    }
    to = text = apr_palloc(pool, size);
    *to++ = '"';
    for (apr_size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];

        if (c < 0x20) {
            memcpy(to, "\\u00", 4);
            to[4] = digits[c >> 4];
            to[5] = digits[c & 0xf];
            to += 6;
            continue;
        }
        if (c == '"' || c == '\\') {
            *to++ = '\\';
        }
        *to++ = (char)c;
    }
    *to++ = '"';
    *to = '\0';
    return text;
}

/** True if an object, here or further in, names a member twice. Depth is bounded by the scanner. */
static bool has_repeats(apr_pool_t *scratch, rh_bytes_t text)
{
    apr_size_t cursor = 0;
    rh_json_span_t span;
    apr_hash_t *seen = NULL;

    while (rh_json_next(text.data, text.len, &cursor, &span)) {
        if (span.name.data) {
            const char *name = unescape(scratch, span.name.data, span.name.len);

            if (!seen) {
                seen = apr_hash_make(scratch);
            }
            if (!name || apr_hash_get(seen, name, APR_HASH_KEY_STRING)) {
                return true;
            }
            apr_hash_set(seen, name, APR_HASH_KEY_STRING, "");
        }
        if ((*span.value.data == '{' || *span.value.data == '[') &&
            has_repeats(scratch, span.value)) {
            return true;
        }
    }
    return false;
}

static apr_status_t put_tree(void *tree)
{
    json_object_put(tree);
    return APR_SUCCESS;
}

struct json_object *rh_json_own(apr_pool_t *pool, struct json_object *tree)
{
    if (tree) {
        apr_pool_cleanup_register(pool, tree, put_tree, apr_pool_cleanup_null);
    }
    return tree;
}

static apr_status_t bad_text(rh_json_error_t *error, const char *reason)
{
    if (error) {
        error->reason = reason;
        error->offset = 0;
    }
    return APR_EINVAL;
}

apr_status_t rh_json_parse(apr_pool_t *pool, const char *data, apr_size_t len,
                           struct json_object **tree, rh_json_error_t *error)
{
    rh_bytes_t text = {data, len};
    enum json_tokener_error result;
    struct json_tokener *tokener;
    apr_pool_t *scratch;
    bool repeats;

    *tree = NULL;
    if (rh_json_check(data, len, error) != APR_SUCCESS) {
        return APR_EINVAL;
    }
    if (len > INT_MAX - 1) {
        return bad_text(error, "too long");
    }
    apr_pool_create(&scratch, pool);
    repeats = has_repeats(scratch, text);
    apr_pool_destroy(scratch);
    if (repeats) {
        return bad_text(error, "a member is named twice, or its name holds U+0000");
    }
    tokener = json_tokener_new_ex(RH_JSON_DEPTH + 1);
    if (!tokener) {
        return bad_text(error, "out of memory");
    }
    *tree = json_tokener_parse_ex(tokener, data, (int)len);
    if (json_tokener_get_error(tokener) == json_tokener_continue) {
        /* A number at the end of the text waits for what ends it. */
        *tree = json_tokener_parse_ex(tokener, " ", 1);
    }
    result = json_tokener_get_error(tokener);
    json_tokener_free(tokener);
    if (result != json_tokener_success) {
        return bad_text(error, json_tokener_error_desc(result));
    }
    rh_json_own(pool, *tree);
    return APR_SUCCESS;
}

/** json-c's serializer of a raw value: its text as it is. */
static int print_raw(struct json_object *object, struct printbuf *buffer, int level, int flags)
{
    const rh_bytes_t *raw = json_object_get_userdata(object);

    (void)level;
    (void)flags;
    return printbuf_memappend(buffer, raw->data, (int)raw->len);
}

static void free_raw(struct json_object *object, void *raw)
{
    (void)object;
    free(raw);
}

struct json_object *rh_json_new_text(const char *text)
{
    return text ? json_object_new_string(text) : NULL;
}

struct json_object *rh_json_raw(const char *data, apr_size_t len)
{
    struct json_object *object = json_object_new_object();
    rh_bytes_t *raw = malloc(sizeof(*raw));

    if (!object || !raw) {
        free(raw);
        json_object_put(object);
        return NULL;
    }
    raw->data = data;
    raw->len = len;
    json_object_set_serializer(object, print_raw, raw, free_raw);
    return object;
}

const char *rh_json_text(apr_pool_t *pool, struct json_object *tree, apr_size_t *len)
{
    size_t size = 0;
    const char *text = json_object_to_json_string_length(
        tree, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &size);

    *len = size;
    return apr_pstrmemdup(pool, text, size);
}
