/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The JSONPath compliance test suite, if its file exists: beside the checkout, or at
 * RH_JSONPATH_CTS. */
#include "tap.h"

#include "rh_jsonpath.h"

#include <apr_general.h>
#include <stdlib.h>

static apr_pool_t *pool;

static const char *string_member(struct json_object *object, const char *name, apr_size_t *len)
{
    struct json_object *value = json_object_object_get(object, name);

    *len = value ? (apr_size_t)json_object_get_string_len(value) : 0;
    return value ? json_object_get_string(value) : NULL;
}

/** True if the nodes are the values of `wanted`, in order, as JSON values. */
static bool same_nodes(const rh_json_tree_t *tree, const apr_array_header_t *nodes,
                       struct json_object *wanted, apr_pool_t *scratch)
{
    rh_json_tree_t *expected;
    apr_size_t len;
    const char *text;
    int item;

    text = json_object_to_json_string_length(wanted, JSON_C_TO_STRING_PLAIN, &len);
    if (rh_json_tree_parse(scratch, text, len, &expected, NULL) != APR_SUCCESS ||
        expected->nodes[0].count != nodes->nelts) {
        return false;
    }
    item = expected->nodes[0].first;
    for (int i = 0; i < nodes->nelts; i++) {
        if (!rh_json_same(tree, APR_ARRAY_IDX(nodes, i, int), expected, item)) {
            return false;
        }
        item = expected->nodes[item].next;
    }
    return true;
}

static bool same_paths(const rh_json_tree_t *tree, const apr_array_header_t *nodes,
                       struct json_object *wanted, apr_pool_t *scratch)
{
    if ((int)json_object_array_length(wanted) != nodes->nelts) {
        return false;
    }
    for (int i = 0; i < nodes->nelts; i++) {
        const char *path = rh_jsonpath_of(tree, APR_ARRAY_IDX(nodes, i, int), scratch);

        if (strcmp(path,
                   json_object_get_string(json_object_array_get_idx(wanted, (apr_size_t)i))) != 0) {
            return false;
        }
    }
    return true;
}

/** True if the selected nodes are one of the possible results. */
static bool is_result(struct json_object *test, const char *one, const char *several,
                      bool (*same)(const rh_json_tree_t *, const apr_array_header_t *,
                                   struct json_object *, apr_pool_t *),
                      const rh_json_tree_t *tree, const apr_array_header_t *nodes,
                      apr_pool_t *scratch)
{
    struct json_object *wanted = json_object_object_get(test, one);
    struct json_object *choices = json_object_object_get(test, several);

    if (wanted) {
        return same(tree, nodes, wanted, scratch);
    }
    for (apr_size_t i = 0; choices && i < json_object_array_length(choices); i++) {
        if (same(tree, nodes, json_object_array_get_idx(choices, i), scratch)) {
            return true;
        }
    }
    return choices == NULL;
}

static bool passes(struct json_object *test, apr_pool_t *scratch)
{
    bool invalid = json_object_get_boolean(json_object_object_get(test, "invalid_selector"));
    apr_size_t selector_len, len;
    const char *selector = string_member(test, "selector", &selector_len), *text;
    rh_jsonpath_t *path;
    rh_json_tree_t *tree;
    apr_array_header_t *nodes;
    apr_status_t status = rh_jsonpath_compile(scratch, selector, selector_len, &path, NULL);

    if (invalid || status != APR_SUCCESS) {
        return invalid && status == APR_EINVAL;
    }
    text = json_object_to_json_string_length(json_object_object_get(test, "document"),
                                             JSON_C_TO_STRING_PLAIN, &len);
    return rh_json_tree_parse(scratch, text, len, &tree, NULL) == APR_SUCCESS &&
           rh_jsonpath_run(path, tree, RH_JSONPATH_STEPS, scratch, &nodes) == APR_SUCCESS &&
           is_result(test, "result", "results", same_nodes, tree, nodes, scratch) &&
           is_result(test, "result_paths", "results_paths", same_paths, tree, nodes, scratch);
}

int main(void)
{
    const char *file = getenv("RH_JSONPATH_CTS"), *source = getenv("RH_SRCDIR");
    struct json_object *suite, *tests;
    apr_size_t count;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    if (!file) {
        file = apr_pstrcat(pool, source ? source : ".", "/../shared/jsonpath/cts.json", NULL);
    }
    suite = json_object_from_file(file);
    if (!suite) {
        ok(true, "the compliance suite is not here: # SKIP no file %s", file);
        return done_testing();
    }
    tests = json_object_object_get(suite, "tests");
    count = json_object_array_length(tests);
    ok(count > 100, "the compliance suite has %lu cases", (unsigned long)count);
    for (apr_size_t i = 0; i < count; i++) {
        struct json_object *test = json_object_array_get_idx(tests, i);
        apr_pool_t *scratch;
        const char *name, *selector;
        apr_size_t len;

        apr_pool_create(&scratch, pool);
        name = string_member(test, "name", &len);
        selector = string_member(test, "selector", &len);
        ok(passes(test, scratch), "%s: %s", name, rh_json_quote(scratch, selector, len));
        apr_pool_destroy(scratch);
    }
    json_object_put(suite);
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
