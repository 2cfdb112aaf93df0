/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_json.h"

#include <apr_hash.h>
#include <limits.h>
#include <stdlib.h>

/** True if an object, at any depth, has a member twice. Recursive as deep as the scanner allows. */
static bool has_repeats(apr_pool_t *scratch, rh_bytes_t text)
{
    apr_size_t cursor = 0;
    rh_json_span_t span;
    apr_hash_t *seen = NULL;

    while (rh_json_next(text.data, text.len, &cursor, &span)) {
        if (span.name.data) {
            rh_bytes_t quoted = {span.name.data - 1, span.name.len + 2};
            const char *name = rh_json_string(scratch, quoted);

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
        /* json-c accepts a number at the end of the text only once it sees the byte after it. */
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

/** json-c's serialiser of a raw value: prints its text unchanged. */
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
