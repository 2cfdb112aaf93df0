/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_jsonpath_private.h
 * @brief A compiled query, shared by parsing, running and filters.
 *
 * Queries are recursive: they contain filters, whose expressions contain queries. So parsing
 * (rh_jsonpath_parse.c and rh_jsonpath_expr.c) and running (rh_jsonpath_run.c and
 * rh_jsonpath_filter.c) are each two files that call one another.
 */
#ifndef RH_JSONPATH_PRIVATE_H
#define RH_JSONPATH_PRIVATE_H

#include "rh_iregexp.h"
#include "rh_jsonpath.h"

typedef struct rh_path_expr_t rh_path_expr_t;
typedef struct rh_path_selector_t rh_path_selector_t;
typedef struct rh_path_segment_t rh_path_segment_t;

typedef enum {
    RH_SELECT_NAME,
    RH_SELECT_WILDCARD,
    RH_SELECT_INDEX,
    RH_SELECT_SLICE,
    RH_SELECT_FILTER
} rh_select_t;

struct rh_path_selector_t {
    rh_select_t kind;
    rh_bytes_t name;
    apr_int64_t index;
    bool has_start, has_end;
    apr_int64_t start, end, step;
    rh_path_expr_t *filter;
    rh_path_selector_t *next;
};

struct rh_path_segment_t {
    bool descendant;
    rh_path_selector_t *selectors;
    rh_path_segment_t *next;
};

struct rh_jsonpath_t {
    bool relative; /**< it begins with "@" */
    bool singular;
    rh_path_segment_t *segments;
};

/** Types of expressions (RFC 9535 §2.4.1). */
typedef enum { RH_TYPE_VALUE, RH_TYPE_LOGICAL, RH_TYPE_NODES } rh_path_type_t;

typedef enum {
    RH_EXPR_OR,
    RH_EXPR_AND,
    RH_EXPR_NOT,
    RH_EXPR_COMPARE,
    RH_EXPR_LITERAL,
    RH_EXPR_QUERY,
    RH_EXPR_FUNCTION
} rh_path_expr_kind_t;

typedef enum { RH_OP_EQ, RH_OP_NE, RH_OP_LT, RH_OP_LE, RH_OP_GT, RH_OP_GE } rh_path_op_t;

/** The functions of §2.4. */
typedef enum {
    RH_FN_LENGTH,
    RH_FN_COUNT,
    RH_FN_MATCH,
    RH_FN_SEARCH,
    RH_FN_VALUE,
    RH_FN_COUNT_OF
} rh_path_function_t;

/** The value of a literal, a node, or a function. */
typedef struct rh_path_value_t {
    bool nothing;
    rh_json_kind_t kind;
    rh_bytes_t text; /**< text of a number; decoded text of a string */
    int node;        /**< node of an array or object */
} rh_path_value_t;

struct rh_path_expr_t {
    rh_path_expr_kind_t kind;
    rh_path_op_t op;
    rh_path_expr_t *left, *right; /**< operands; arguments of a function */
    rh_path_value_t literal;
    rh_jsonpath_t *query;
    rh_path_function_t function;
    rh_iregexp_t *pattern; /**< compiled pattern of match and search, if it is a valid literal */
    bool bad_pattern;      /**< the pattern is a literal, but not valid */
};

/** State of one run of a query. */
typedef struct rh_path_run_t {
    const rh_json_tree_t *tree;
    apr_pool_t *pool;
    int steps; /**< remaining steps; below 0: too many */
} rh_path_run_t;

/** Count a step. @return false: the limit is exceeded */
static inline bool rh_path_step(rh_path_run_t *run)
{
    return --run->steps >= 0;
}

/** Run a query (rh_jsonpath_run.c) with `current` as "@". */
apr_array_header_t *rh_path_select(rh_path_run_t *run, const rh_jsonpath_t *path, int current);

/** Run a singular query likewise, without memory. @return RH_JSON_NO_NODE: it selects nothing */
int rh_path_single(rh_path_run_t *run, const rh_jsonpath_t *path, int current);

/** Evaluate a filter's expression (rh_jsonpath_filter.c) for a node. */
bool rh_path_test(rh_path_run_t *run, const rh_path_expr_t *expr, int current);

/** State of parsing a query (rh_jsonpath_parse.c). */
typedef struct rh_path_parser_t {
    apr_pool_t *pool;
    const char *start, *at, *end;
    const char *reason; /**< the first error; NULL: none yet */
    const char *wrong;  /**< position of the error */
    int depth;
} rh_path_parser_t;

/** Record an error at the parser's position. @return NULL */
void *rh_path_fail(rh_path_parser_t *parser, const char *reason);
void rh_path_skip_space(rh_path_parser_t *parser);
/** Skip a text if it comes next. */
bool rh_path_take(rh_path_parser_t *parser, const char *text);
/** Read a string literal with its quotes (§2.3.1.1). @return false: see reason */
bool rh_path_read_string(rh_path_parser_t *parser, rh_bytes_t *string);
/** Read a query from its "$" or "@" on. @return NULL: see reason */
rh_jsonpath_t *rh_path_read_query(rh_path_parser_t *parser);
/** Read a filter's expression (rh_jsonpath_expr.c). @return NULL: see reason */
rh_path_expr_t *rh_path_read_filter(rh_path_parser_t *parser);

#endif
