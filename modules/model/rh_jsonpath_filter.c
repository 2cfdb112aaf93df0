/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Evaluates filters: values, comparisons, functions (RFC 9535 §2.3.5.2, §2.4). */
#include "rh_jsonpath_private.h"

static rh_path_value_t evaluate(rh_path_run_t *run, const rh_path_expr_t *expr, int current);

static rh_path_value_t nothing(void)
{
    rh_path_value_t value = {.nothing = true};

    return value;
}

static rh_path_value_t value_of(const rh_json_tree_t *tree, int node)
{
    const rh_json_node_t *of = &tree->nodes[node];
    rh_path_value_t value = {.kind = of->kind, .text = of->text, .node = node};

    if (of->kind == RH_JSON_STRING) {
        value.text = of->string;
    }
    return value;
}

static rh_path_value_t number(rh_path_run_t *run, apr_int64_t count)
{
    rh_path_value_t value = {.kind = RH_JSON_NUMBER};

    run->steps -= 2;
    value.text.data = apr_psprintf(run->pool, "%" APR_INT64_T_FMT, count);
    value.text.len = strlen(value.text.data);
    return value;
}

/** Count the characters of UTF-8 text. */
static apr_int64_t count_characters(rh_bytes_t text)
{
    apr_int64_t count = 0;

    for (apr_size_t i = 0; i < text.len; i++) {
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    }
    return count;
}

/** length(): characters of a string, or children of an array or object. */
static rh_path_value_t evaluate_length(rh_path_run_t *run, const rh_path_expr_t *expr, int current)
{
    rh_path_value_t value = evaluate(run, expr->left, current);

    if (value.nothing || value.kind < RH_JSON_STRING) {
        return nothing();
    }
    return number(run, value.kind == RH_JSON_STRING ? count_characters(value.text)
                                                    : run->tree->nodes[value.node].count);
}

/**
 * Count the nodes that a query selects. Frees its memory at once, because a filter is evaluated for
 * every child.
 * @param first receives the first node; RH_JSON_NO_NODE: none
 */
static int count_nodes(rh_path_run_t *run, const rh_jsonpath_t *path, int current, int *first)
{
    rh_path_run_t inner = *run;
    apr_array_header_t *nodes;
    int count;

    if (path->singular) {
        *first = rh_path_single(run, path, current);
        return *first != RH_JSON_NO_NODE;
    }
    apr_pool_create(&inner.pool, run->pool);
    nodes = rh_path_select(&inner, path, current);
    count = nodes->nelts;
    *first = count ? APR_ARRAY_IDX(nodes, 0, int) : RH_JSON_NO_NODE;
    apr_pool_destroy(inner.pool);
    run->steps = inner.steps - 10;
    return count;
}

/** Evaluate count() and value() of the nodes that a query selects. */
static rh_path_value_t evaluate_nodes(rh_path_run_t *run, const rh_path_expr_t *expr, int current)
{
    int first, count = count_nodes(run, expr->left->query, current, &first);

    if (expr->function == RH_FN_COUNT) {
        return number(run, count);
    }
    return count == 1 ? value_of(run->tree, first) : nothing();
}

/** Return the value of a literal, a singular query, or a function that returns one. */
static rh_path_value_t evaluate(rh_path_run_t *run, const rh_path_expr_t *expr, int current)
{
    int node;

    if (!rh_path_step(run)) {
        return nothing();
    }
    if (expr->kind == RH_EXPR_LITERAL) {
        return expr->literal;
    }
    if (expr->kind == RH_EXPR_FUNCTION) {
        return expr->function == RH_FN_LENGTH ? evaluate_length(run, expr, current)
                                              : evaluate_nodes(run, expr, current);
    }
    node = rh_path_single(run, expr->query, current);
    return node != RH_JSON_NO_NODE ? value_of(run->tree, node) : nothing();
}

/**
 * match() and search(): false for values that are not strings, and for patterns that do not
 * conform.
 */
static bool test_pattern(rh_path_run_t *run, const rh_path_expr_t *expr, int current)
{
    rh_path_value_t text = evaluate(run, expr->left, current), pattern;
    rh_iregexp_t *regexp = expr->pattern;
    apr_pool_t *scratch;
    bool matches;

    if (expr->bad_pattern || text.nothing || text.kind != RH_JSON_STRING) {
        return false;
    }
    /* A match may take long, so it counts as many steps as its text is long. */
    run->steps -= 20 + (int)(text.text.len / 8);
    if (run->steps < 0) {
        return false;
    }
    if (regexp) {
        return rh_iregexp_match(regexp, text.text, expr->function == RH_FN_MATCH);
    }
    pattern = evaluate(run, expr->right, current);
    if (pattern.nothing || pattern.kind != RH_JSON_STRING) {
        return false;
    }
    run->steps -= 1000;
    apr_pool_create(&scratch, run->pool);
    matches = rh_iregexp_compile(scratch, pattern.text, &regexp) == APR_SUCCESS &&
              rh_iregexp_match(regexp, text.text, expr->function == RH_FN_MATCH);
    apr_pool_destroy(scratch);
    return matches;
}

/** Count the steps of a deep comparison of two nodes. */
static void count_comparison(rh_path_run_t *run, int node)
{
    for (int at = node; at != RH_JSON_NO_NODE && rh_path_step(run);) {
        at = rh_json_tree_walk(run->tree, node, at);
    }
}

static bool are_equal(rh_path_run_t *run, const rh_path_value_t *a, const rh_path_value_t *b)
{
    if (a->nothing || b->nothing) {
        return a->nothing && b->nothing;
    }
    if (a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case RH_JSON_NUMBER:
        return rh_json_compare_numbers(a->text, b->text) == 0;
    case RH_JSON_STRING:
        return rh_bytes_equal(a->text, b->text);
    case RH_JSON_ARRAY:
    case RH_JSON_OBJECT:
        count_comparison(run, a->node);
        return run->steps >= 0 && rh_json_same(run->tree, a->node, run->tree, b->node);
    default:
        return true;
    }
}

/** UTF-8 sorts in the order of the characters it encodes. */
static bool is_less(const rh_path_value_t *a, const rh_path_value_t *b)
{
    apr_size_t shorter;
    int order;

    if (a->nothing || b->nothing || a->kind != b->kind) {
        return false;
    }
    if (a->kind == RH_JSON_NUMBER) {
        return rh_json_compare_numbers(a->text, b->text) < 0;
    }
    if (a->kind != RH_JSON_STRING) {
        return false;
    }
    shorter = a->text.len < b->text.len ? a->text.len : b->text.len;
    order = memcmp(a->text.data, b->text.data, shorter);
    return order < 0 || (order == 0 && a->text.len < b->text.len);
}

static bool compare(rh_path_run_t *run, const rh_path_expr_t *expr, int current)
{
    rh_path_value_t a = evaluate(run, expr->left, current);
    rh_path_value_t b = evaluate(run, expr->right, current);

    switch (expr->op) {
    case RH_OP_EQ:
        return are_equal(run, &a, &b);
    case RH_OP_NE:
        return !are_equal(run, &a, &b);
    case RH_OP_LT:
        return is_less(&a, &b);
    case RH_OP_GT:
        return is_less(&b, &a);
    case RH_OP_LE:
        return is_less(&a, &b) || are_equal(run, &a, &b);
    default:
        return is_less(&b, &a) || are_equal(run, &a, &b);
    }
}

bool rh_path_test(rh_path_run_t *run, const rh_path_expr_t *expr, int current)
{
    int first;

    if (!rh_path_step(run)) {
        return false;
    }
    switch (expr->kind) {
    case RH_EXPR_OR: /* without a right side: parentheses */
        return rh_path_test(run, expr->left, current) ||
               (expr->right && rh_path_test(run, expr->right, current));
    case RH_EXPR_AND:
        return rh_path_test(run, expr->left, current) && rh_path_test(run, expr->right, current);
    case RH_EXPR_NOT:
        return !rh_path_test(run, expr->left, current);
    case RH_EXPR_COMPARE:
        return compare(run, expr, current);
    case RH_EXPR_FUNCTION:
        return test_pattern(run, expr, current);
    default:
        return count_nodes(run, expr->query, current, &first) > 0;
    }
}
