/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Compiles a schema: values of keywords, patterns, references. */
#include "rh_json_schema_private.h"

#include "rh_jsonpath.h"

#include <string.h>

typedef struct compiler_t {
    apr_pool_t *pool;
    rh_json_schema_t *schema;
    const rh_json_tree_t *tree;
    bool *done; /**< by node: it is or is being compiled as a schema */
    int depth;
    int place;          /**< the invalid node */
    const char *reason; /**< NULL: no error so far */
} compiler_t;

static bool compile_schema(compiler_t *compiler, int node);

static bool set_error(compiler_t *compiler, int node, const char *reason)
{
    if (!compiler->reason) {
        compiler->place = node;
        compiler->reason = reason;
    }
    return false;
}

static bool compile_children(compiler_t *compiler, int node)
{
    int child = compiler->tree->nodes[node].first;

    while (child != RH_JSON_NO_NODE && compile_schema(compiler, child)) {
        child = compiler->tree->nodes[child].next;
    }
    return child == RH_JSON_NO_NODE;
}

static bool compile_pattern(compiler_t *compiler, int node, rh_bytes_t pattern)
{
    return rh_iregexp_compile_ecma(compiler->pool, pattern, &compiler->schema->patterns[node]) ==
                   APR_SUCCESS
               ? true
               : set_error(compiler, node, "is not a regular expression that is supported");
}

static bool compile_patterns(compiler_t *compiler, int node)
{
    int child = compiler->tree->nodes[node].first;

    while (child != RH_JSON_NO_NODE) {
        if (!compile_pattern(compiler, child, compiler->tree->nodes[child].name)) {
            return false;
        }
        child = compiler->tree->nodes[child].next;
    }
    return compile_children(compiler, node);
}

/** Decode one reference token of a JSON Pointer in a fragment (RFC 6901 §4, §6). */
static rh_bytes_t decode_token(apr_pool_t *pool, const char *at, const char *end)
{
    char *text = apr_palloc(pool, (apr_size_t)(end - at) + 1), *to = text;
    rh_bytes_t token;

    while (at < end) {
        if (end - at > 2 && *at == '%' && rh_hex_value(at[1]) >= 0 && rh_hex_value(at[2]) >= 0) {
            *to++ = (char)(rh_hex_value(at[1]) << 4 | rh_hex_value(at[2]));
            at += 3;
        } else {
            *to++ = *at++;
        }
    }
    end = to;
    for (at = to = text; at < end; at++) {
        bool escape = *at == '~' && at + 1 < end && (at[1] == '0' || at[1] == '1');

        at += escape ? 1 : 0;
        *to++ = escape ? (*at == '0' ? '~' : '/') : *at;
    }
    token.data = text;
    token.len = (apr_size_t)(to - text);
    return token;
}

/** The child that a reference token names; RH_JSON_NO_NODE: none. */
static int find_child(const rh_json_tree_t *tree, int node, rh_bytes_t token)
{
    int index = 0, child = tree->nodes[node].first;

    if (tree->nodes[node].kind == RH_JSON_OBJECT) {
        return rh_json_tree_member(tree, node, token);
    }
    if (tree->nodes[node].kind != RH_JSON_ARRAY || token.len == 0 || token.len > 6) {
        return RH_JSON_NO_NODE;
    }
    for (apr_size_t i = 0; i < token.len; i++) {
        if (token.data[i] < '0' || token.data[i] > '9') {
            return RH_JSON_NO_NODE;
        }
        index = index * 10 + (token.data[i] - '0');
    }
    while (child != RH_JSON_NO_NODE && index-- > 0) {
        child = tree->nodes[child].next;
    }
    return child;
}

static bool compile_ref(compiler_t *compiler, int node)
{
    rh_bytes_t text = compiler->tree->nodes[node].string;
    const char *at = text.data, *end = text.data + text.len;
    int target = 0;

    if (compiler->tree->nodes[node].kind != RH_JSON_STRING) {
        return set_error(compiler, node, "is not a string");
    }
    if (at == end || *at++ != '#' || (at < end && *at != '/')) {
        return set_error(compiler, node,
                         "refers to something that is not a place in this document");
    }
    while (at < end && target != RH_JSON_NO_NODE) {
        const char *slash = memchr(at + 1, '/', (size_t)(end - at - 1));

        slash = slash ? slash : end;
        target = find_child(compiler->tree, target, decode_token(compiler->pool, at + 1, slash));
        at = slash;
    }
    if (target == RH_JSON_NO_NODE) {
        return set_error(compiler, node, "refers to a place that does not exist");
    }
    compiler->schema->refs[node] = target;
    return compile_schema(compiler, target);
}

static bool check_strings(compiler_t *compiler, int node)
{
    int child = compiler->tree->nodes[node].first;

    if (compiler->tree->nodes[node].kind != RH_JSON_ARRAY) {
        return set_error(compiler, node, "is not an array of strings");
    }
    for (; child != RH_JSON_NO_NODE; child = compiler->tree->nodes[child].next) {
        if (compiler->tree->nodes[child].kind != RH_JSON_STRING) {
            return set_error(compiler, child, "is not a string");
        }
    }
    return true;
}

static bool check_namings(compiler_t *compiler, int node)
{
    int child = compiler->tree->nodes[node].first;

    while (child != RH_JSON_NO_NODE && check_strings(compiler, child)) {
        child = compiler->tree->nodes[child].next;
    }
    return child == RH_JSON_NO_NODE;
}

static bool check_types(compiler_t *compiler, int node)
{
    const rh_json_node_t *nodes = compiler->tree->nodes;
    int child = nodes[node].kind == RH_JSON_ARRAY ? nodes[node].first : node;

    while (child != RH_JSON_NO_NODE) {
        if (nodes[child].kind != RH_JSON_STRING || !rh_schema_type(nodes[child].string)) {
            return set_error(compiler, child, "is not the name of a type");
        }
        child = child == node ? RH_JSON_NO_NODE : nodes[child].next;
    }
    return true;
}

/** The kinds of JSON that a keyword's value may have, one bit each. */
static unsigned int kinds_of(rh_schema_value_t value)
{
    switch (value) {
    case RH_SCHEMA_IS_LIST:
    case RH_SCHEMA_IS_ARRAY:
    case RH_SCHEMA_IS_NAMES:
        return RH_SCHEMA_KIND(RH_JSON_ARRAY);
    case RH_SCHEMA_IS_MAP:
    case RH_SCHEMA_IS_PATTERNS:
    case RH_SCHEMA_IS_NAMINGS:
        return RH_SCHEMA_KIND(RH_JSON_OBJECT);
    case RH_SCHEMA_IS_PATTERN:
    case RH_SCHEMA_IS_REF:
        return RH_SCHEMA_KIND(RH_JSON_STRING);
    case RH_SCHEMA_IS_COUNT:
    case RH_SCHEMA_IS_NUMBER:
        return RH_SCHEMA_KIND(RH_JSON_NUMBER);
    case RH_SCHEMA_IS_BOOLEAN:
        return RH_SCHEMA_KIND(RH_JSON_TRUE) | RH_SCHEMA_KIND(RH_JSON_FALSE);
    default:
        return ~0U;
    }
}

static bool compile_value(compiler_t *compiler, const rh_schema_keyword_t *keyword, int node)
{
    const rh_json_node_t *value = &compiler->tree->nodes[node];

    if (!(kinds_of(keyword->value) & RH_SCHEMA_KIND(value->kind))) {
        return set_error(compiler, node, "is not the kind of value that the keyword takes");
    }
    switch (keyword->value) {
    case RH_SCHEMA_IS_SCHEMA:
        return compile_schema(compiler, node);
    case RH_SCHEMA_IS_LIST:
    case RH_SCHEMA_IS_MAP:
        return compile_children(compiler, node);
    case RH_SCHEMA_IS_PATTERNS:
        return compile_patterns(compiler, node);
    case RH_SCHEMA_IS_PATTERN:
        return compile_pattern(compiler, node, value->string);
    case RH_SCHEMA_IS_REF:
        return compile_ref(compiler, node);
    case RH_SCHEMA_IS_TYPE:
        return check_types(compiler, node);
    case RH_SCHEMA_IS_NAMES:
        return check_strings(compiler, node);
    case RH_SCHEMA_IS_NAMINGS:
        return check_namings(compiler, node);
    case RH_SCHEMA_IS_COUNT:
        return (*value->text.data != '-' && rh_schema_is_integer(value->text)) ||
               set_error(compiler, node, "is not an integer of 0 or more");
    default:
        return true;
    }
}

static bool compile_members(compiler_t *compiler, int node)
{
    const rh_json_node_t *nodes = compiler->tree->nodes;

    for (int child = nodes[node].first; child != RH_JSON_NO_NODE; child = nodes[child].next) {
        const rh_schema_keyword_t *keyword = rh_schema_keyword(nodes[child].name);

        if (keyword && !compile_value(compiler, keyword, child)) {
            return false;
        }
    }
    return true;
}

static bool compile_schema(compiler_t *compiler, int node)
{
    rh_json_kind_t kind = compiler->tree->nodes[node].kind;
    bool fits;

    if (kind != RH_JSON_OBJECT && kind != RH_JSON_TRUE && kind != RH_JSON_FALSE) {
        return set_error(compiler, node, "is not a JSON Schema (an object, true or false)");
    }
    if (compiler->done[node]) {
        return true;
    }
    if (compiler->depth >= RH_JSON_SCHEMA_DEPTH) {
        return set_error(compiler, node, "is nested too deeply by $ref");
    }
    compiler->done[node] = true;
    compiler->depth++;
    fits = compile_members(compiler, node);
    compiler->depth--;
    return fits;
}

apr_status_t rh_json_schema_compile(apr_pool_t *pool, const char *text, apr_size_t len,
                                    rh_json_schema_t **schema, const char **reason)
{
    rh_json_schema_t *made = apr_pcalloc(pool, sizeof(*made));
    compiler_t compiler = {.pool = pool, .schema = made};
    rh_json_error_t error = {"too many values", 0};
    rh_json_tree_t *tree;
    apr_size_t count;

    if (rh_json_tree_parse(pool, text, len, &tree, &error) != APR_SUCCESS) {
        *reason = apr_psprintf(pool, "invalid JSON: %s at byte %" APR_SIZE_T_FMT, error.reason,
                               error.offset);
        return APR_EINVAL;
    }
    count = (apr_size_t)tree->count;
    made->tree = compiler.tree = tree;
    made->patterns = apr_pcalloc(pool, count * sizeof(rh_iregexp_t *));
    made->refs = apr_pcalloc(pool, count * sizeof(int));
    compiler.done = apr_pcalloc(pool, count);
    if (!compile_schema(&compiler, 0)) {
        *reason = apr_psprintf(pool, "%s %s", rh_jsonpath_of(tree, compiler.place, pool),
                               compiler.reason);
        return APR_EINVAL;
    }
    *schema = made;
    return APR_SUCCESS;
}
