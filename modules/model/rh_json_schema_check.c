/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Checks a document: walks over the schema's keywords, within limits, and records the breach. */
#include "rh_json_schema_private.h"

#include "rh_jsonpath.h"

bool rh_schema_step(rh_schema_check_t *check, apr_size_t steps)
{
    if (check->steps < 0 || steps > (apr_size_t)check->steps) {
        check->steps = -1;
        return false;
    }
    check->steps -= (int)steps;
    return true;
}

/** Record the first breach, unless it is that of an alternative. */
static bool report_breach(rh_schema_check_t *check, int node, const char *keyword)
{
    if (check->trials == 0 && check->breach == RH_JSON_NO_NODE) {
        check->breach = node;
        check->keyword = keyword;
    }
    return false;
}

static bool fits_keywords(rh_schema_check_t *check, int schema, int node)
{
    const rh_json_node_t *nodes = check->schema->tree->nodes;
    unsigned int kind = RH_SCHEMA_KIND(check->tree->nodes[node].kind);

    for (int value = nodes[schema].first; value != RH_JSON_NO_NODE; value = nodes[value].next) {
        const rh_schema_keyword_t *keyword = rh_schema_keyword(nodes[value].name);

        if (!rh_schema_step(check, 1)) {
            return false;
        }
        if (keyword && (keyword->kinds & kind) && !keyword->rule(check, schema, value, node)) {
            return report_breach(check, node, keyword->name);
        }
    }
    return true;
}

bool rh_schema_fits(rh_schema_check_t *check, int schema, int node)
{
    bool fits;

    if (check->depth >= RH_JSON_SCHEMA_DEPTH) {
        check->steps = -1;
    }
    if (!rh_schema_step(check, 1)) {
        return false;
    }
    if (check->schema->tree->nodes[schema].kind == RH_JSON_FALSE) {
        return report_breach(check, node, "false");
    }
    check->depth++;
    fits = fits_keywords(check, schema, node);
    check->depth--;
    return fits;
}

bool rh_schema_try(rh_schema_check_t *check, int schema, int node)
{
    bool fits;

    check->trials++;
    fits = rh_schema_fits(check, schema, node);
    check->trials--;
    return fits;
}

apr_status_t rh_json_schema_check(const rh_json_schema_t *schema, const rh_json_tree_t *tree,
                                  apr_pool_t *pool, const char **breach)
{
    rh_schema_check_t check = {
        .schema = schema, .tree = tree, .steps = RH_JSON_SCHEMA_STEPS, .breach = RH_JSON_NO_NODE};
    bool fits = rh_schema_fits(&check, 0, 0);

    *breach = NULL;
    if (check.steps < 0) {
        return APR_TIMEUP;
    }
    if (!fits) {
        *breach =
            apr_pstrcat(pool, rh_jsonpath_of(tree, check.breach, pool), " ", check.keyword, NULL);
    }
    return APR_SUCCESS;
}
