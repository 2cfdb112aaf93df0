/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The expressions of filters (RFC 9535 §2.3.5), with the types of functions (§2.4). */
#include "rh_jsonpath_private.h"

/** Maximum nesting of parentheses, functions and filters. */
#define MAX_DEPTH 64
#define MAX_ARGUMENTS 2

static const struct {
    const char *name;
    int count; /**< number of arguments */
    rh_path_type_t parameter, result;
} functions[RH_FN_COUNT_OF] = {
    [RH_FN_LENGTH] = {"length", 1, RH_TYPE_VALUE, RH_TYPE_VALUE},
    [RH_FN_COUNT] = {"count", 1, RH_TYPE_NODES, RH_TYPE_VALUE},
    [RH_FN_MATCH] = {"match", 2, RH_TYPE_VALUE, RH_TYPE_LOGICAL},
    [RH_FN_SEARCH] = {"search", 2, RH_TYPE_VALUE, RH_TYPE_LOGICAL},
    [RH_FN_VALUE] = {"value", 1, RH_TYPE_NODES, RH_TYPE_VALUE},
};

static rh_path_expr_t *read_or(rh_path_parser_t *parser);
static rh_path_expr_t *read_operand(rh_path_parser_t *parser);

static rh_path_expr_t *make_expr(rh_path_parser_t *parser, rh_path_expr_kind_t kind)
{
    rh_path_expr_t *expr = apr_pcalloc(parser->pool, sizeof(*expr));

    expr->kind = kind;
    return expr;
}

static bool is_digit(const rh_path_parser_t *parser)
{
    return parser->at < parser->end && rh_is_digit(*parser->at);
}

static bool skip_digits(rh_path_parser_t *parser)
{
    if (!is_digit(parser)) {
        return false;
    }
    while (is_digit(parser)) {
        parser->at++;
    }
    return true;
}

/** Parse a number, as in JSON (the grammar allows -0 here). */
static rh_path_expr_t *read_number(rh_path_parser_t *parser)
{
    rh_path_expr_t *expr = make_expr(parser, RH_EXPR_LITERAL);
    const char *begin = parser->at, *digits;
    bool good;

    rh_path_take(parser, "-");
    digits = parser->at;
    good = skip_digits(parser) && !(*digits == '0' && parser->at - digits > 1);
    if (good && rh_path_take(parser, ".")) {
        good = skip_digits(parser);
    }
    if (good && (rh_path_take(parser, "e") || rh_path_take(parser, "E"))) {
        if (!rh_path_take(parser, "+")) {
            rh_path_take(parser, "-");
        }
        good = skip_digits(parser);
    }
    if (!good) {
        return rh_path_fail(parser, "not a number");
    }
    expr->literal.kind = RH_JSON_NUMBER;
    expr->literal.text.data = apr_pstrmemdup(parser->pool, begin, (apr_size_t)(parser->at - begin));
    expr->literal.text.len = (apr_size_t)(parser->at - begin);
    return expr;
}

/** Parse any argument of a function. */
static rh_path_expr_t *read_argument(rh_path_parser_t *parser)
{
    return read_or(parser);
}

/** Return the type of an expression. Literals and singular queries count as values. */
static bool has_type(const rh_path_expr_t *expr, rh_path_type_t type)
{
    switch (expr->kind) {
    case RH_EXPR_LITERAL:
        return type == RH_TYPE_VALUE;
    case RH_EXPR_QUERY:
        return type != RH_TYPE_VALUE || expr->query->singular;
    case RH_EXPR_FUNCTION:
        return functions[expr->function].result == type;
    default:
        return type == RH_TYPE_LOGICAL;
    }
}

/** Compile a literal pattern of the query, once for all runs. */
static void prepare_pattern(rh_path_parser_t *parser, rh_path_expr_t *expr)
{
    const rh_path_expr_t *pattern = expr->right;

    if ((expr->function != RH_FN_MATCH && expr->function != RH_FN_SEARCH) ||
        pattern->kind != RH_EXPR_LITERAL) {
        return;
    }
    expr->bad_pattern =
        pattern->literal.kind != RH_JSON_STRING ||
        rh_iregexp_compile(parser->pool, pattern->literal.text, &expr->pattern) != APR_SUCCESS;
}

/** Parse a function; `at` is past its opening parenthesis. */
static rh_path_expr_t *read_function(rh_path_parser_t *parser, int function)
{
    rh_path_expr_t *expr = make_expr(parser, RH_EXPR_FUNCTION), *arguments[MAX_ARGUMENTS] = {0};
    int count = 0;

    expr->function = (rh_path_function_t)function;
    rh_path_skip_space(parser);
    while (!rh_path_take(parser, ")")) {
        if (count == functions[function].count) {
            return rh_path_fail(parser, "a function has too many arguments");
        }
        if (count > 0) {
            if (!rh_path_take(parser, ",")) {
                return rh_path_fail(parser, "a comma or closing parenthesis is missing");
            }
            rh_path_skip_space(parser);
        }
        arguments[count] = read_argument(parser);
        if (!arguments[count]) {
            return NULL;
        }
        if (!has_type(arguments[count], functions[function].parameter)) {
            return rh_path_fail(parser, "a function's argument is of the wrong type");
        }
        count++;
        rh_path_skip_space(parser);
    }
    if (count < functions[function].count) {
        return rh_path_fail(parser, "a function lacks an argument");
    }
    expr->left = arguments[0];
    expr->right = arguments[1];
    prepare_pattern(parser, expr);
    return expr;
}

/** Parse a word: true, false, null, or a function's name with its parenthesis. */
static rh_path_expr_t *read_word(rh_path_parser_t *parser)
{
    static const struct {
        const char *word;
        rh_json_kind_t kind;
    } words[] = {{"true", RH_JSON_TRUE}, {"false", RH_JSON_FALSE}, {"null", RH_JSON_NULL}};
    const char *begin = parser->at;
    apr_size_t len;

    while (parser->at < parser->end &&
           ((*parser->at >= 'a' && *parser->at <= 'z') || *parser->at == '_' || is_digit(parser))) {
        parser->at++;
    }
    len = (apr_size_t)(parser->at - begin);
    if (rh_path_take(parser, "(")) {
        for (int i = 0; i < RH_FN_COUNT_OF; i++) {
            if (strlen(functions[i].name) == len && memcmp(functions[i].name, begin, len) == 0) {
                return read_function(parser, i);
            }
        }
        parser->at = begin;
        return rh_path_fail(parser, "unknown function");
    }
    for (int i = 0; i < 3; i++) {
        if (strlen(words[i].word) == len && memcmp(words[i].word, begin, len) == 0) {
            rh_path_expr_t *expr = make_expr(parser, RH_EXPR_LITERAL);

            expr->literal.kind = words[i].kind;
            return expr;
        }
    }
    parser->at = begin;
    return rh_path_fail(parser, "not an expression");
}

/** Parse an operand of a comparison, which may stand alone: a literal, a query, a function. */
static rh_path_expr_t *read_operand(rh_path_parser_t *parser)
{
    char c = parser->at < parser->end ? *parser->at : '\0';
    rh_path_expr_t *expr;

    if (c == '@' || c == '$') {
        expr = make_expr(parser, RH_EXPR_QUERY);
        expr->query = rh_path_read_query(parser);
        return expr->query ? expr : NULL;
    }
    if (c == '\'' || c == '"') {
        expr = make_expr(parser, RH_EXPR_LITERAL);
        expr->literal.kind = RH_JSON_STRING;
        return rh_path_read_string(parser, &expr->literal.text) ? expr : NULL;
    }
    if (c == '-' || is_digit(parser)) {
        return read_number(parser);
    }
    return read_word(parser);
}

static bool read_operator(rh_path_parser_t *parser, rh_path_op_t *op)
{
    static const struct {
        const char *text;
        rh_path_op_t op;
    } operators[] = {{"==", RH_OP_EQ}, {"!=", RH_OP_NE}, {"<=", RH_OP_LE},
                     {">=", RH_OP_GE}, {"<", RH_OP_LT},  {">", RH_OP_GT}};

    for (int i = 0; i < 6; i++) {
        if (rh_path_take(parser, operators[i].text)) {
            *op = operators[i].op;
            return true;
        }
    }
    return false;
}

/** Parse a comparison, or an operand alone. */
static rh_path_expr_t *read_comparison(rh_path_parser_t *parser)
{
    rh_path_expr_t *left = read_operand(parser), *expr;
    const char *after = parser->at;
    rh_path_op_t op;

    if (!left) {
        return NULL;
    }
    rh_path_skip_space(parser);
    if (!read_operator(parser, &op)) {
        parser->at = after;
        return left;
    }
    if (!has_type(left, RH_TYPE_VALUE)) {
        return rh_path_fail(parser, "only values can be compared: a singular query, a literal, or "
                                    "a function that gives one");
    }
    expr = make_expr(parser, RH_EXPR_COMPARE);
    expr->op = op;
    expr->left = left;
    rh_path_skip_space(parser);
    expr->right = read_operand(parser);
    if (!expr->right) {
        return NULL;
    }
    if (!has_type(expr->right, RH_TYPE_VALUE)) {
        return rh_path_fail(parser, "only values can be compared: a singular query, a literal, or "
                                    "a function that gives one");
    }
    return expr;
}

/** True if an expression can be used as a condition. */
static bool is_condition(const rh_path_expr_t *expr)
{
    return has_type(expr, RH_TYPE_LOGICAL) || (expr->kind == RH_EXPR_QUERY) ||
           (expr->kind == RH_EXPR_FUNCTION && functions[expr->function].result == RH_TYPE_NODES);
}

static void *fail_condition(rh_path_parser_t *parser)
{
    return rh_path_fail(parser, "a value is not a condition: compare it");
}

/** Parse a comparison or test, possibly in parentheses or after "!". */
static rh_path_expr_t *read_basic(rh_path_parser_t *parser)
{
    rh_path_expr_t *expr, *inner;
    bool negated = false;

    if (parser->at < parser->end && *parser->at == '!') {
        parser->at++;
        negated = true;
        rh_path_skip_space(parser);
    }
    if (rh_path_take(parser, "(")) {
        if (++parser->depth > MAX_DEPTH) {
            return rh_path_fail(parser, "nested too deeply");
        }
        rh_path_skip_space(parser);
        inner = read_or(parser);
        if (!inner) {
            return NULL;
        }
        if (!is_condition(inner)) {
            return fail_condition(parser);
        }
        rh_path_skip_space(parser);
        if (!rh_path_take(parser, ")")) {
            return rh_path_fail(parser, "a closing parenthesis is missing");
        }
        parser->depth--;
        /* In parentheses, a query is a condition and not an operand. */
        expr = make_expr(parser, RH_EXPR_OR);
        expr->left = inner;
        inner = expr;
    } else if (negated) {
        inner = read_operand(parser);
        if (inner && !is_condition(inner)) {
            return fail_condition(parser);
        }
    } else {
        inner = read_comparison(parser);
    }
    if (!inner || !negated) {
        return inner;
    }
    expr = make_expr(parser, RH_EXPR_NOT);
    expr->left = inner;
    return expr;
}

/** Parse operands joined by one of the two operators. */
static rh_path_expr_t *read_joined(rh_path_parser_t *parser, const char *operator,
                                   rh_path_expr_kind_t kind,
                                   rh_path_expr_t *(*read)(rh_path_parser_t *))
{
    rh_path_expr_t *left = read(parser);

    while (left) {
        const char *after = parser->at;
        rh_path_expr_t *expr;

        rh_path_skip_space(parser);
        if (!rh_path_take(parser, operator)) {
            parser->at = after;
            return left;
        }
        if (!is_condition(left)) {
            return fail_condition(parser);
        }
        rh_path_skip_space(parser);
        expr = make_expr(parser, kind);
        expr->left = left;
        expr->right = read(parser);
        if (!expr->right) {
            return NULL;
        }
        if (!is_condition(expr->right)) {
            return fail_condition(parser);
        }
        left = expr;
    }
    return NULL;
}

static rh_path_expr_t *read_and(rh_path_parser_t *parser)
{
    return read_joined(parser, "&&", RH_EXPR_AND, read_basic);
}

static rh_path_expr_t *read_or(rh_path_parser_t *parser)
{
    rh_path_expr_t *expr;

    if (++parser->depth > MAX_DEPTH) {
        return rh_path_fail(parser, "nested too deeply");
    }
    expr = read_joined(parser, "||", RH_EXPR_OR, read_and);
    parser->depth--;
    return expr;
}

rh_path_expr_t *rh_path_read_filter(rh_path_parser_t *parser)
{
    rh_path_expr_t *expr = read_or(parser);

    if (expr && !is_condition(expr)) {
        return fail_condition(parser);
    }
    return expr;
}
