/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Selects nodes: segments and selectors (RFC 9535 §2.3, §2.5). */
#include "rh_jsonpath_private.h"

#include <stdlib.h>

static void push(apr_array_header_t *nodes, int node)
{
    APR_ARRAY_PUSH(nodes, int) = node;
}

/** Find the member of an object by name; RH_JSON_NO_NODE: none. */
static int member_of(rh_path_run_t *run, int node, rh_bytes_t name)
{
    const rh_json_node_t *nodes = run->tree->nodes;
    int child = nodes[node].kind == RH_JSON_OBJECT ? nodes[node].first : RH_JSON_NO_NODE;

    for (; child != RH_JSON_NO_NODE && rh_path_step(run); child = nodes[child].next) {
        if (rh_bytes_equal(nodes[child].name, name)) {
            return child;
        }
    }
    return RH_JSON_NO_NODE;
}

/** Find the item of an array by index, from the end if negative; RH_JSON_NO_NODE: none. */
static int item_of(rh_path_run_t *run, int node, apr_int64_t index)
{
    const rh_json_node_t *nodes = run->tree->nodes;
    int child = nodes[node].kind == RH_JSON_ARRAY ? nodes[node].first : RH_JSON_NO_NODE;

    index = index < 0 ? index + nodes[node].count : index;
    if (index < 0 || index >= nodes[node].count) {
        return RH_JSON_NO_NODE;
    }
    while (child != RH_JSON_NO_NODE && nodes[child].index < index && rh_path_step(run)) {
        child = nodes[child].next;
    }
    return child;
}

/** Find the child that a name or an index selects; RH_JSON_NO_NODE: none. */
static int select_one(rh_path_run_t *run, const rh_path_selector_t *selector, int node)
{
    return selector->kind == RH_SELECT_NAME ? member_of(run, node, selector->name)
                                            : item_of(run, node, selector->index);
}

static apr_int64_t clamp(apr_int64_t value, apr_int64_t low, apr_int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/** §2.3.4.2.2: the bounds of a slice, then its items. */
static void select_slice(rh_path_run_t *run, const rh_path_selector_t *selector, int node,
                         apr_array_header_t *out)
{
    apr_int64_t count = run->tree->nodes[node].count, step = selector->step, start, end, i;
    int *items, child, at = 0;

    if (run->tree->nodes[node].kind != RH_JSON_ARRAY || step == 0) {
        return;
    }
    start = selector->has_start ? selector->start : step > 0 ? 0 : count - 1;
    end = selector->has_end ? selector->end : step > 0 ? count : -count - 1;
    start = start < 0 ? start + count : start;
    end = end < 0 ? end + count : end;
    start = step > 0 ? clamp(start, 0, count) : clamp(start, -1, count - 1);
    end = step > 0 ? clamp(end, 0, count) : clamp(end, -1, count - 1);
    items = apr_palloc(run->pool, (apr_size_t)(count + 1) * sizeof(*items));
    for (child = run->tree->nodes[node].first; child != RH_JSON_NO_NODE;
         child = run->tree->nodes[child].next) {
        items[at++] = child;
    }
    run->steps -= at;
    for (i = start; step > 0 ? i < end : i > end; i += step) {
        push(out, items[i]);
    }
}

/** Select the children of a node: all, or those for which a filter is true. */
static void select_children(rh_path_run_t *run, const rh_path_expr_t *filter, int node,
                            apr_array_header_t *out)
{
    int child = run->tree->nodes[node].first;

    for (; child != RH_JSON_NO_NODE && rh_path_step(run); child = run->tree->nodes[child].next) {
        if (!filter || rh_path_test(run, filter, child)) {
            push(out, child);
        }
    }
}

static void apply_selectors(rh_path_run_t *run, const rh_path_selector_t *selector, int node,
                            apr_array_header_t *out)
{
    int one;

    for (; selector && rh_path_step(run); selector = selector->next) {
        switch (selector->kind) {
        case RH_SELECT_NAME:
        case RH_SELECT_INDEX:
            one = select_one(run, selector, node);
            if (one != RH_JSON_NO_NODE) {
                push(out, one);
            }
            break;
        case RH_SELECT_SLICE:
            select_slice(run, selector, node, out);
            break;
        case RH_SELECT_WILDCARD:
        case RH_SELECT_FILTER:
            select_children(run, selector->filter, node, out);
            break;
        }
    }
}

apr_array_header_t *rh_path_select(rh_path_run_t *run, const rh_jsonpath_t *path, int current)
{
    apr_array_header_t *nodes = apr_array_make(run->pool, 4, sizeof(int));

    push(nodes, path->relative ? current : 0);
    for (const rh_path_segment_t *segment = path->segments; segment; segment = segment->next) {
        apr_array_header_t *next = apr_array_make(run->pool, nodes->nelts + 1, sizeof(int));

        for (int i = 0; i < nodes->nelts && run->steps >= 0; i++) {
            int top = APR_ARRAY_IDX(nodes, i, int), node = top;

            apply_selectors(run, segment->selectors, node, next);
            while (segment->descendant && run->steps >= 0 &&
                   (node = rh_json_tree_walk(run->tree, top, node)) != RH_JSON_NO_NODE) {
                apply_selectors(run, segment->selectors, node, next);
            }
        }
        nodes = next;
    }
    return nodes;
}

int rh_path_single(rh_path_run_t *run, const rh_jsonpath_t *path, int current)
{
    const rh_path_segment_t *segment;
    int node = path->relative ? current : 0;

    for (segment = path->segments; segment && node != RH_JSON_NO_NODE; segment = segment->next) {
        node = rh_path_step(run) ? select_one(run, segment->selectors, node) : RH_JSON_NO_NODE;
    }
    return node;
}

apr_status_t rh_jsonpath_run(const rh_jsonpath_t *path, const rh_json_tree_t *tree, int steps,
                             apr_pool_t *pool, apr_array_header_t **nodes)
{
    rh_path_run_t run = {tree, pool, steps};

    *nodes = rh_path_select(&run, path, 0);
    return run.steps >= 0 ? APR_SUCCESS : APR_TIMEUP;
}

int rh_jsonpath_first(const rh_jsonpath_t *path, const rh_json_tree_t *tree, apr_pool_t *pool)
{
    apr_array_header_t *nodes;

    if (rh_jsonpath_run(path, tree, RH_JSONPATH_STEPS, pool, &nodes) != APR_SUCCESS ||
        nodes->nelts == 0) {
        return RH_JSON_NO_NODE;
    }
    return APR_ARRAY_IDX(nodes, 0, int);
}

static int compare_nodes(const void *a, const void *b)
{
    int left = *(const int *)a, right = *(const int *)b;

    return left < right ? -1 : left > right;
}

void rh_jsonpath_sort(apr_array_header_t *nodes)
{
    int *list = (int *)(void *)nodes->elts, kept = 0;

    qsort(list, (size_t)nodes->nelts, sizeof(*list), compare_nodes);
    for (int i = 0; i < nodes->nelts; i++) {
        if (kept == 0 || list[kept - 1] != list[i]) {
            list[kept++] = list[i];
        }
    }
    nodes->nelts = kept;
}

/** §2.7: a name in single quotes, with the escapes of a normalised path. */
static const char *quote_name(apr_pool_t *pool, rh_bytes_t name)
{
    static const char plain[] = "\b\f\n\r\t'\\", letters[] = "bfnrt'\\";
    char *quoted = apr_palloc(pool, name.len * 6 + 3), *to = quoted;

    *to++ = '\'';
    for (apr_size_t i = 0; i < name.len; i++) {
        const char *escaped = name.data[i] ? strchr(plain, name.data[i]) : NULL;

        if (escaped) {
            *to++ = '\\';
            *to++ = letters[escaped - plain];
        } else if ((unsigned char)name.data[i] < 0x20) {
            to += apr_snprintf(to, 7, "\\u%04x", (unsigned int)name.data[i]);
        } else {
            *to++ = name.data[i];
        }
    }
    *to++ = '\'';
    *to = '\0';
    return quoted;
}

const char *rh_jsonpath_of(const rh_json_tree_t *tree, int node, apr_pool_t *pool)
{
    const char *path = "";

    for (; tree->nodes[node].parent != RH_JSON_NO_NODE; node = tree->nodes[node].parent) {
        const char *step = tree->nodes[node].name.data ? quote_name(pool, tree->nodes[node].name)
                                                       : apr_itoa(pool, tree->nodes[node].index);

        path = apr_pstrcat(pool, "[", step, "]", path, NULL);
    }
    return apr_pstrcat(pool, "$", path, NULL);
}
