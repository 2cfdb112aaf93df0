/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_json_diff.h"

#include <string.h>

/** Both sides of the comparison, and the patch as pieces of text. */
typedef struct diff_t {
    const rh_json_tree_t *from, *to;
    apr_pool_t *pool;
    apr_array_header_t *pieces; /**< of rh_bytes_t */
} diff_t;

static void append(diff_t *diff, const char *data, apr_size_t len)
{
    APR_ARRAY_PUSH(diff->pieces, rh_bytes_t) = (rh_bytes_t){data, len};
}

/** Begin a member of the patch. @param empty true for the first member of its object */
static void append_name(diff_t *diff, rh_bytes_t name, bool *empty)
{
    const char *quoted = rh_json_quote(diff->pool, name.data, name.len);

    if (!*empty) {
        append(diff, ",", 1);
    }
    *empty = false;
    append(diff, quoted, strlen(quoted));
    append(diff, ":", 1);
}

/* Recursive for nested objects: at most RH_JSON_DEPTH calls deep, like the trees. */
static void diff_objects(diff_t *diff, int from, int to)
{
    bool empty = true;
    int node, other;

    append(diff, "{", 1);
    for (node = diff->from->nodes[from].first; node != RH_JSON_NO_NODE;
         node = diff->from->nodes[node].next) {
        if (rh_json_tree_member(diff->to, to, diff->from->nodes[node].name) == RH_JSON_NO_NODE) {
            append_name(diff, diff->from->nodes[node].name, &empty);
            append(diff, "null", 4);
        }
    }
    for (node = diff->to->nodes[to].first; node != RH_JSON_NO_NODE;
         node = diff->to->nodes[node].next) {
        const rh_json_node_t *member = &diff->to->nodes[node];

        other = rh_json_tree_member(diff->from, from, member->name);
        if (other != RH_JSON_NO_NODE && rh_json_same(diff->from, other, diff->to, node)) {
            continue;
        }
        append_name(diff, member->name, &empty);
        if (other != RH_JSON_NO_NODE && member->kind == RH_JSON_OBJECT &&
            diff->from->nodes[other].kind == RH_JSON_OBJECT) {
            diff_objects(diff, other, node);
        } else {
            append(diff, member->text.data, member->text.len);
        }
    }
    append(diff, "}", 1);
}

static rh_bytes_t join(const diff_t *diff)
{
    apr_size_t len = 0;
    char *text, *end;

    for (int i = 0; i < diff->pieces->nelts; i++) {
        len += APR_ARRAY_IDX(diff->pieces, i, rh_bytes_t).len;
    }
    text = end = apr_palloc(diff->pool, len + 1);
    for (int i = 0; i < diff->pieces->nelts; i++) {
        const rh_bytes_t *piece = &APR_ARRAY_IDX(diff->pieces, i, rh_bytes_t);

        memcpy(end, piece->data, piece->len);
        end += piece->len;
    }
    *end = '\0';
    return (rh_bytes_t){text, len};
}

rh_bytes_t rh_json_diff(apr_pool_t *pool, const rh_json_tree_t *from, int from_node,
                        const rh_json_tree_t *to, int to_node)
{
    diff_t diff = {.from = from, .to = to, .pool = pool};
    rh_bytes_t patch;

    if (from->nodes[from_node].kind != RH_JSON_OBJECT ||
        to->nodes[to_node].kind != RH_JSON_OBJECT) {
        return (rh_bytes_t){NULL, 0};
    }
    diff.pieces = apr_array_make(pool, 16, sizeof(rh_bytes_t));
    diff_objects(&diff, from_node, to_node);
    patch = join(&diff);
    /* A name with a lone surrogate escape cannot be written as UTF-8. */
    if (!rh_utf8_valid(patch.data, patch.len)) {
        return (rh_bytes_t){NULL, 0};
    }
    return patch;
}
