/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* A query in the first line, a document in the rest. */
#include "rh_jsonpath.h"

#include <apr_general.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool condition)
{
    if (!condition) {
        abort();
    }
}

/** Selected nodes lie in the document, are JSON, and are selected by their normalised path. */
static void check_node(const rh_json_tree_t *tree, int node, apr_pool_t *pool)
{
    rh_bytes_t text = tree->nodes[node].text;
    const char *normal = rh_jsonpath_of(tree, node, pool);
    rh_jsonpath_t *path;

    demand(rh_json_check(text.data, text.len, NULL) == APR_SUCCESS);
    if (!rh_utf8_valid(normal, strlen(normal)) || strlen(normal) > RH_JSONPATH_MAX_LEN) {
        return; /* a lone surrogate in a name, which no query can write */
    }
    demand(rh_jsonpath_compile(pool, normal, strlen(normal), &path, NULL) == APR_SUCCESS);
    demand(rh_jsonpath_is_singular(path));
    demand(rh_jsonpath_first(path, tree, pool) == node);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int initialized;
    const char *text = (const char *)data;
    const char *line = size ? memchr(text, '\n', size) : NULL;
    rh_jsonpath_error_t error = {NULL, 0};
    rh_json_tree_t *tree;
    rh_jsonpath_t *path;
    apr_array_header_t *nodes;
    apr_size_t query;
    apr_pool_t *pool;

    if (!initialized) {
        initialized = 1;
        apr_initialize();
    }
    query = line ? (apr_size_t)(line - text) : size;
    apr_pool_create(&pool, NULL);
    if (rh_jsonpath_compile(pool, text, query, &path, &error) != APR_SUCCESS) {
        demand(error.reason && error.offset <= query);
    } else if (line &&
               rh_json_tree_parse(pool, line + 1, size - query - 1, &tree, NULL) == APR_SUCCESS &&
               rh_jsonpath_run(path, tree, 20000, pool, &nodes) == APR_SUCCESS) {
        demand(!rh_jsonpath_is_singular(path) || nodes->nelts <= 1);
        rh_jsonpath_sort(nodes);
        for (int i = 0; i < nodes->nelts && i < 20; i++) {
            check_node(tree, APR_ARRAY_IDX(nodes, i, int), pool);
        }
        demand(rh_json_same(tree, 0, tree, 0));
    }
    apr_pool_destroy(pool);
    return 0;
}
