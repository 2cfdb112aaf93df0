/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* A JSON Schema in the first line, a document in the rest. */
#include "rh_json_schema.h"

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

/** The schema inferred from a document is valid, and the document conforms to it. */
static void check_inference(const rh_json_tree_t *tree, apr_pool_t *pool)
{
    rh_json_inference_t *inference = rh_json_inference_make(pool);
    const char *text, *reason = NULL;
    rh_json_schema_t *schema;

    if (!rh_json_inference_add(inference, tree)) {
        return;
    }
    text = rh_json_inference_schema(inference, "a.b");
    if (rh_json_schema_compile(pool, text, strlen(text), &schema, &reason) == APR_SUCCESS &&
        rh_json_schema_check(schema, tree, pool, &reason) == APR_SUCCESS) {
        demand(!reason);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int initialized;
    const char *text = (const char *)data, *reason = NULL;
    const char *line = size ? memchr(text, '\n', size) : NULL;
    rh_json_schema_t *schema;
    rh_json_tree_t *tree;
    apr_size_t len;
    apr_pool_t *pool;

    if (!initialized) {
        initialized = 1;
        apr_initialize();
    }
    len = line ? (apr_size_t)(line - text) : size;
    apr_pool_create(&pool, NULL);
    if (line && rh_json_tree_parse(pool, line + 1, size - len - 1, &tree, NULL) == APR_SUCCESS) {
        check_inference(tree, pool);
        if (rh_json_schema_compile(pool, text, len, &schema, &reason) != APR_SUCCESS) {
            demand(reason != NULL);
        } else {
            (void)rh_json_schema_check(schema, tree, pool, &reason);
        }
    }
    apr_pool_destroy(pool);
    return 0;
}
