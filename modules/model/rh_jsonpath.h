/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_jsonpath.h
 * @brief JSONPath (RFC 9535), the language in which rules and tools select parts of a JSON text.
 *
 * A compiled query is immutable: threads may share it. Its evaluation is bounded in steps, so a
 * hostile query or document costs a limited time. Nodes are those of rh_json_tree.h, each with its
 * bytes in the original text.
 */
#ifndef RH_JSONPATH_H
#define RH_JSONPATH_H

#include "rh_json_tree.h"

/** Maximum length of a query, in bytes. */
#define RH_JSONPATH_MAX_LEN 8192
/** Default of rh_jsonpath_run's steps: visited nodes, compared values, tried matches. */
#define RH_JSONPATH_STEPS 5000000

typedef struct rh_jsonpath_t rh_jsonpath_t;

/** Why a text is not a query, and at which byte. */
typedef struct rh_jsonpath_error_t {
    const char *reason; /**< static text, e.g. "a closing bracket is missing" */
    apr_size_t offset;
} rh_jsonpath_error_t;

/**
 * Compile a query: syntax (RFC 9535 Appendix A), ranges of integers, types of functions (§2.4.3).
 * @param pool keeps it, and what it needs of `text`
 * @param error may be NULL
 * @return APR_SUCCESS or APR_EINVAL
 */
apr_status_t rh_jsonpath_compile(apr_pool_t *pool, const char *text, apr_size_t len,
                                 rh_jsonpath_t **path, rh_jsonpath_error_t *error);

/** True for a singular query (§2.3.5.1): it selects at most one node of any document. */
bool rh_jsonpath_is_singular(const rh_jsonpath_t *path);

/**
 * Select nodes, in the order of RFC 9535 §2.5.2.2; a node may occur several times.
 * @param steps limit, usually RH_JSONPATH_STEPS
 * @param nodes receives an array of int, in `pool`, which scratch memory also comes from
 * @return APR_SUCCESS; APR_TIMEUP: more than `steps` would be needed
 */
apr_status_t rh_jsonpath_run(const rh_jsonpath_t *path, const rh_json_tree_t *tree, int steps,
                             apr_pool_t *pool, apr_array_header_t **nodes);

/** Sort nodes into the order of the document, and remove duplicates. */
void rh_jsonpath_sort(apr_array_header_t *nodes);

/** Return the first node that a query selects; RH_JSON_NO_NODE: none, or the limit was exceeded. */
int rh_jsonpath_first(const rh_jsonpath_t *path, const rh_json_tree_t *tree, apr_pool_t *pool);

/** The normalised path of a node (§2.7), in `pool`: $['a'][0]. */
const char *rh_jsonpath_of(const rh_json_tree_t *tree, int node, apr_pool_t *pool);

#endif
