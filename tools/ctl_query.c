/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* query: evaluate a JSONPath query on a text, as rules do. */
#include "ctl.h"

#include "rh_jsonpath.h"

int ctl_query_json(ctl_t *ctl)
{
    const char *query = ctl_argument(ctl, 0);
    const char *file = ctl->arguments->nelts > 1 ? ctl_argument(ctl, 1) : "-";
    rh_jsonpath_error_t error;
    rh_json_error_t json_error = {NULL, 0};
    rh_jsonpath_t *path;
    rh_json_tree_t *tree;
    apr_array_header_t *nodes;
    rh_bytes_t text;
    apr_status_t status;

    if (rh_jsonpath_compile(ctl->pool, query, strlen(query), &path, &error) != APR_SUCCESS) {
        return ctl_misuse(ctl, "%s: %s, at character %lu", query, error.reason,
                          (unsigned long)error.offset + 1);
    }
    if (ctl_read_file(ctl, file, &text) != CTL_DONE) {
        return CTL_USAGE;
    }
    status = rh_json_tree_parse(ctl->pool, text.data, text.len, &tree, &json_error);
    if (status != APR_SUCCESS) {
        (void)ctl_fail(ctl, "%s is not JSON: %s, at byte %lu", file,
                       json_error.reason ? json_error.reason : "it has too many values",
                       (unsigned long)json_error.offset);
        return CTL_USAGE;
    }
    if (rh_jsonpath_run(path, tree, RH_JSONPATH_STEPS, ctl->pool, &nodes) != APR_SUCCESS) {
        (void)ctl_fail(ctl, "%s: this takes too many steps", query);
        return CTL_USAGE;
    }
    for (int i = 0; i < nodes->nelts; i++) {
        int node = APR_ARRAY_IDX(nodes, i, int);

        if (ctl_has(ctl, CTL_PATHS)) {
            const char *normal = rh_jsonpath_of(tree, node, ctl->pool);

            printf("%s\n", ctl_safe(ctl->pool, normal, strlen(normal), false));
        } else {
            ctl_print_raw(ctl, tree->nodes[node].text);
        }
    }
    return nodes->nelts > 0 ? CTL_DONE : CTL_FAILED;
}
