/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_json_tree.h"

#include <apr_hash.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>

/** Objects with more members than this look for repeated names through a hash table. */
#define SMALL_OBJECT 16
/** Maximum length of a number that is compared as a double, in bytes; JSON allows any length. */
#define MAX_DOUBLE_TEXT 400

typedef struct builder_t {
    apr_pool_t *pool;
    rh_json_tree_t *tree;
    int size; /**< number of nodes for which memory is allocated */
} builder_t;

/* ---- numbers ---- */

static bool is_integer(rh_bytes_t number)
{
    for (apr_size_t i = 0; i < number.len; i++) {
        if (number.data[i] != '-' && (number.data[i] < '0' || number.data[i] > '9')) {
            return false;
        }
    }
    return true;
}

/** Compare integers of any length; JSON writes them without leading zeros. */
static int compare_integers(rh_bytes_t a, rh_bytes_t b)
{
    bool a_minus = *a.data == '-' && a.data[1] != '0', b_minus = *b.data == '-' && b.data[1] != '0';
    int order;

    a.data += *a.data == '-' ? (a.len--, 1) : 0;
    b.data += *b.data == '-' ? (b.len--, 1) : 0;
    if (a_minus != b_minus) {
        return a_minus ? -1 : 1;
    }
    order = a.len != b.len ? (a.len < b.len ? -1 : 1) : memcmp(a.data, b.data, a.len);
    return a_minus ? -order : order;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/** Return the double of a number's text. httpd, or one of its modules, may have set any locale. */
double rh_json_double(rh_bytes_t number)
{
    char text[MAX_DOUBLE_TEXT + 1];
    apr_size_t len = number.len < MAX_DOUBLE_TEXT ? number.len : MAX_DOUBLE_TEXT;

    pthread_once(&c_locale_once, make_locale);
    memcpy(text, number.data, len);
    text[len] = '\0';
    return c_locale ? strtod_l(text, NULL, c_locale) : strtod(text, NULL);
}

int rh_json_compare_numbers(rh_bytes_t a, rh_bytes_t b)
{
    double left, right;

    if (is_integer(a) && is_integer(b)) {
        return compare_integers(a, b);
    }
    left = rh_json_double(a);
    right = rh_json_double(b);
    return left < right ? -1 : left > right;
}

/* ---- the tree ---- */

/** Add a node as the last child of `parent`. @return its number, RH_JSON_NO_NODE: too many */
static int add_node(builder_t *builder, int parent, rh_json_kind_t kind)
{
    rh_json_tree_t *tree = builder->tree;
    rh_json_node_t *node;

    if (tree->count == builder->size) {
        rh_json_node_t *larger;

        if (builder->size >= RH_JSON_MAX_NODES) {
            return RH_JSON_NO_NODE;
        }
        builder->size *= 2;
        larger = apr_palloc(builder->pool, (apr_size_t)builder->size * sizeof(*larger));
        memcpy(larger, tree->nodes, (apr_size_t)tree->count * sizeof(*larger));
        tree->nodes = larger;
    }
    node = &tree->nodes[tree->count];
    memset(node, 0, sizeof(*node));
    node->kind = kind;
    node->parent = parent;
    node->first = node->next = RH_JSON_NO_NODE;
    return tree->count++;
}

static rh_json_kind_t kind_of(char c)
{
    switch (c) {
    case '{':
        return RH_JSON_OBJECT;
    case '[':
        return RH_JSON_ARRAY;
    case '"':
        return RH_JSON_STRING;
    case 't':
        return RH_JSON_TRUE;
    case 'f':
        return RH_JSON_FALSE;
    case 'n':
        return RH_JSON_NULL;
    default:
        return RH_JSON_NUMBER;
    }
}

/** Mark the earlier ones of members with the same name, through a hash of the names. */
static void mark_in_hash(builder_t *builder, const int *children, int count, bool *dropped)
{
    apr_hash_t *seen = apr_hash_make(builder->pool);

    for (int i = count - 1; i >= 0; i--) {
        rh_bytes_t name = builder->tree->nodes[children[i]].name;

        /* apr_hash treats a length of -1 as that of a string; 0 is a valid length. */
        if (apr_hash_get(seen, name.data, (apr_ssize_t)name.len)) {
            dropped[i] = true;
        } else {
            apr_hash_set(seen, name.data, (apr_ssize_t)name.len, "");
        }
    }
}

static void mark_repeated(builder_t *builder, const int *children, int count, bool *dropped)
{
    const rh_json_node_t *nodes = builder->tree->nodes;

    if (count > SMALL_OBJECT) {
        mark_in_hash(builder, children, count, dropped);
        return;
    }
    for (int i = 0; i < count; i++) {
        for (int j = i + 1; j < count && !dropped[i]; j++) {
            dropped[i] = rh_bytes_equal(nodes[children[i]].name, nodes[children[j]].name);
        }
    }
}

/** Link the children of a node, without repeated members. */
static void link_children(builder_t *builder, int parent, const apr_array_header_t *list)
{
    rh_json_node_t *nodes = builder->tree->nodes;
    const int *children = (const int *)(const void *)list->elts;
    bool *dropped = apr_pcalloc(builder->pool, (apr_size_t)list->nelts + 1);
    int last = RH_JSON_NO_NODE;

    if (nodes[parent].kind == RH_JSON_OBJECT) {
        mark_repeated(builder, children, list->nelts, dropped);
    }
    for (int i = 0; i < list->nelts; i++) {
        if (dropped[i]) {
            continue;
        }
        if (last == RH_JSON_NO_NODE) {
            nodes[parent].first = children[i];
        } else {
            nodes[last].next = children[i];
        }
        nodes[children[i]].index = nodes[parent].count++;
        last = children[i];
    }
}

/** Build the node of a value and all below it; the text is valid and not deeper than RH_JSON_DEPTH.
 */
static int build(builder_t *builder, int parent, rh_bytes_t text, rh_bytes_t raw_name)
{
    int number = add_node(builder, parent, kind_of(*text.data));
    rh_json_node_t *node;
    apr_array_header_t *children;
    apr_size_t cursor = 0;
    rh_json_span_t span;

    if (number == RH_JSON_NO_NODE) {
        return number;
    }
    node = &builder->tree->nodes[number]; /* valid until the next node is added */
    node->text = text;
    if (raw_name.data) {
        node->name = rh_json_decode(builder->pool, raw_name.data, raw_name.len);
    }
    if (node->kind == RH_JSON_STRING) {
        node->string = rh_json_decode(builder->pool, text.data + 1, text.len - 2);
    }
    if (node->kind < RH_JSON_ARRAY) {
        return number;
    }
    children = apr_array_make(builder->pool, 4, sizeof(int));
    while (rh_json_next(text.data, text.len, &cursor, &span)) {
        int child = build(builder, number, span.value, span.name);

        if (child == RH_JSON_NO_NODE) {
            return child;
        }
        APR_ARRAY_PUSH(children, int) = child;
    }
    link_children(builder, number, children);
    return number;
}

apr_status_t rh_json_tree_parse(apr_pool_t *pool, const char *data, apr_size_t len,
                                rh_json_tree_t **tree, rh_json_error_t *error)
{
    builder_t builder = {pool, apr_pcalloc(pool, sizeof(**tree)), 16};
    rh_bytes_t text = {data, len}, none = {NULL, 0};
    apr_status_t status = rh_json_check(data, len, error);

    if (status != APR_SUCCESS) {
        return status;
    }
    while (strchr(" \t\r\n", *text.data)) {
        text.data++;
        text.len--;
    }
    while (strchr(" \t\r\n", text.data[text.len - 1])) {
        text.len--;
    }
    builder.tree->nodes = apr_palloc(pool, (apr_size_t)builder.size * sizeof(rh_json_node_t));
    if (build(&builder, RH_JSON_NO_NODE, text, none) == RH_JSON_NO_NODE) {
        return APR_ENOSPC;
    }
    *tree = builder.tree;
    return APR_SUCCESS;
}

int rh_json_tree_walk(const rh_json_tree_t *tree, int top, int node)
{
    if (tree->nodes[node].first != RH_JSON_NO_NODE) {
        return tree->nodes[node].first;
    }
    while (node != top) {
        if (tree->nodes[node].next != RH_JSON_NO_NODE) {
            return tree->nodes[node].next;
        }
        node = tree->nodes[node].parent;
    }
    return RH_JSON_NO_NODE;
}

int rh_json_tree_member(const rh_json_tree_t *tree, int object, rh_bytes_t name)
{
    int child = tree->nodes[object].first;

    while (child != RH_JSON_NO_NODE && !rh_bytes_equal(tree->nodes[child].name, name)) {
        child = tree->nodes[child].next;
    }
    return child;
}

bool rh_json_same(const rh_json_tree_t *left, int a, const rh_json_tree_t *right, int b)
{
    const rh_json_node_t *one = &left->nodes[a], *other = &right->nodes[b];
    int i, j;

    if (one->kind != other->kind || one->count != other->count) {
        return false;
    }
    if (one->kind == RH_JSON_NUMBER) {
        return rh_json_compare_numbers(one->text, other->text) == 0;
    }
    if (one->kind == RH_JSON_STRING) {
        return rh_bytes_equal(one->string, other->string);
    }
    for (i = one->first, j = other->first; i != RH_JSON_NO_NODE; i = left->nodes[i].next) {
        int pair = j;

        if (one->kind == RH_JSON_OBJECT &&
            !rh_bytes_equal(left->nodes[i].name, right->nodes[j].name)) {
            pair = rh_json_tree_member(right, b, left->nodes[i].name);
        }
        if (pair == RH_JSON_NO_NODE || !rh_json_same(left, i, right, pair)) {
            return false;
        }
        j = right->nodes[j].next;
    }
    return true;
}
