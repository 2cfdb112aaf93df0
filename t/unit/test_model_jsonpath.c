/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* JSONPath: what the compliance suite does not cover, and some of what it does. */
#include "tap.h"

#include "rh_jsonpath.h"

#include <apr_general.h>
#include <stdlib.h>

static apr_pool_t *pool;

static rh_jsonpath_t *compile(const char *query)
{
    rh_jsonpath_t *path = NULL;

    return rh_jsonpath_compile(pool, query, strlen(query), &path, NULL) == APR_SUCCESS ? path
                                                                                       : NULL;
}

/** Return the nodes that a query selects of a text: their bytes, joined by "|". */
static const char *select_text(const char *query, const char *text)
{
    rh_jsonpath_t *path = compile(query);
    rh_json_tree_t *tree;
    apr_array_header_t *nodes;
    const char *result = "";

    if (!path || rh_json_tree_parse(pool, text, strlen(text), &tree, NULL) != APR_SUCCESS ||
        rh_jsonpath_run(path, tree, RH_JSONPATH_STEPS, pool, &nodes) != APR_SUCCESS) {
        return NULL;
    }
    for (int i = 0; i < nodes->nelts; i++) {
        rh_bytes_t span = tree->nodes[APR_ARRAY_IDX(nodes, i, int)].text;

        result = apr_pstrcat(pool, result, i ? "|" : "", apr_pstrmemdup(pool, span.data, span.len),
                             NULL);
    }
    return result;
}

static void test_bytes(void)
{
    static const char text[] =
        " { \"data\" : [ 1.0 , 12345678901234567890 ,\t{\"b\":1, \"a\" :2} ], "
        "\"d\\u0061ta2\": \"\\u00e9\" } ";

    is(select_text("$", text),
       "{ \"data\" : [ 1.0 , 12345678901234567890 ,\t{\"b\":1, \"a\" :2} ], "
       "\"d\\u0061ta2\": \"\\u00e9\" }",
       "the root is the whole value, without the white space around it");
    is(select_text("$.data[0]", text), "1.0", "a number keeps its text");
    is(select_text("$.data[1]", text), "12345678901234567890", "at any length");
    is(select_text("$.data[-1]", text), "{\"b\":1, \"a\" :2}",
       "an object keeps its order and white space");
    is(select_text("$.data2", text), "\"\\u00e9\"", "names are compared after decoding");
    is(select_text("$['d\\u0061ta'][*]", text), "1.0|12345678901234567890|{\"b\":1, \"a\" :2}",
       "also those of the query");
    is(select_text("$..a", text), "2", "descendants");
    is(select_text("$.a", "{\"a\":1,\"b\":2,\"a\":3}"), "3", "of repeated members the last counts");
    is(select_text("$.*", "{\"a\":1,\"b\":2,\"a\":3}"), "2|3", "it is selected once");
}

static void test_filters(void)
{
    static const char people[] =
        "[{\"n\":\"Ada\",\"age\":36},{\"n\":\"Bob\"},{\"n\":\"Cy\",\"age\":7,"
        "\"tags\":[\"a\",\"b\"]}]";

    is(select_text("$[?@.age > 10].n", people), "\"Ada\"", "a comparison");
    is(select_text("$[?!@.age].n", people), "\"Bob\"", "a member that does not exist");
    is(select_text("$[?@.age < 10 || @.n == 'Bob'].n", people), "\"Bob\"|\"Cy\"", "either");
    is(select_text("$[?@.tags[?@ == 'b']].n", people), "\"Cy\"", "a filter within a filter");
    is(select_text("$[?length(@.n) == 3 && match(@.n, '[A-B].*')].n", people), "\"Ada\"|\"Bob\"",
       "functions");
    is(select_text("$[?count(@.*) > 2].n", people), "\"Cy\"", "count()");
    is(select_text("$[?value(@..tags[0]) == 'a'].n", people), "\"Cy\"", "value()");
    is(select_text("$[?@ == 9007199254740993]", "[9007199254740992,9007199254740993]"),
       "9007199254740993", "integers are compared exactly");
    is(select_text("$[?@ == 1]", "[1.0,1,1e0,10e-1,true,\"1\"]"), "1.0|1|1e0|10e-1",
       "other numbers are compared by their value");
    is(select_text("$[?@ < -5]", "[-10,-5,5,-1.5e1,-0]"), "-10|-1.5e1", "negative ones");
    is(select_text("$[?@ == $[0]]", "[{\"a\":[1,2],\"b\":null},{\"b\":null,\"a\":[1.0,2]}]"),
       "{\"a\":[1,2],\"b\":null}|{\"b\":null,\"a\":[1.0,2]}",
       "objects are compared regardless of their order");
}

static void test_patterns(void)
{
    is(select_text("$[?match(@, 'a.c')]", "[\"abc\",\"a\\nc\",\"xabc\",\"a\xc3\xa9"
                                          "c\"]"),
       "\"abc\"|\"a\xc3\xa9"
       "c\"",
       "a dot is any character except a line end, and match() applies to the whole text");
    is(select_text("$[?search(@, '^a$')]", "[\"a\",\"x^a$y\"]"), "\"a\"",
       "^ and $ are anchors, as the compliance suite has it");
    is(select_text("$[?search(@, '[\\\\^$]a[$^]')]", "[\"a\",\"x^a$y\"]"), "\"x^a$y\"",
       "but not within a class");
    is(select_text("$[?search(@, '\\\\d')]", "[\"1\",\"d\"]"), "",
       "\\d is not part of the language");
    is(select_text("$[?match(@, '\\\\p{Lu}[a-c\\\\-]{2,3}')]", "[\"Xa-\",\"xab\",\"Xabcc\"]"),
       "\"Xa-\"", "categories, classes and quantifiers");
    is(select_text("$[?match(@, '(a|b)*')]", "[\"abba\",\"abc\",\"\"]"), "\"abba\"|\"\"", "groups");
    is(select_text("$[?match(@, '(a*)*b')]",
                   "[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]"),
       "", "a pattern that backtracks without end is given up");
}

static void refused(const char *query, apr_size_t offset, const char *reason)
{
    rh_jsonpath_error_t error = {"none", 0};
    rh_jsonpath_t *path;
    apr_status_t status = rh_jsonpath_compile(pool, query, strlen(query), &path, &error);

    ok(status == APR_EINVAL && error.offset == offset && strcmp(error.reason, reason) == 0,
       "%s is refused at %lu: %s (%lu: %s)", query, (unsigned long)offset, reason,
       (unsigned long)error.offset, error.reason);
}

static void test_errors(void)
{
    refused("", 0, "a query begins with $");
    refused("data", 0, "a query begins with $");
    refused("$.", 2, "a member's name is missing");
    refused("$[0", 3, "a comma or closing bracket is missing");
    refused("$[01]", 2, "not an integer");
    refused("$['a", 4, "unfinished string");
    refused("$.a ", 3, "unexpected characters after the query");
    refused("$[?@.a = 1]", 7, "a comma or closing bracket is missing");
    refused("$[?size(@)]", 3, "unknown function");
    refused("$[?length(@)]", 12, "a value is not a condition: compare it");
    refused("$[?@.* == 1]", 9,
            "only values can be compared: a singular query, a literal, or a function that gives "
            "one");
    refused("$[9007199254740992]", 18, "an integer is too large");
}

static void test_singular(void)
{
    ok(rh_jsonpath_is_singular(compile("$")) && rh_jsonpath_is_singular(compile("$.a[0]['b'][-1]")),
       "names and indexes select at most one node");
    ok(!rh_jsonpath_is_singular(compile("$.*")) && !rh_jsonpath_is_singular(compile("$..a")) &&
           !rh_jsonpath_is_singular(compile("$[0,1]")) &&
           !rh_jsonpath_is_singular(compile("$[?@.a]")) &&
           !rh_jsonpath_is_singular(compile("$[0:1]")),
       "other selectors may select more");
}

static void test_order(void)
{
    static const char text[] = "[0,1,2,3]";
    rh_json_tree_t *tree;
    apr_array_header_t *nodes;

    rh_json_tree_parse(pool, text, strlen(text), &tree, NULL);
    rh_jsonpath_run(compile("$[3,0,3,1]"), tree, RH_JSONPATH_STEPS, pool, &nodes);
    is_int(nodes->nelts, 4, "selectors may select a node twice");
    rh_jsonpath_sort(nodes);
    is_int(nodes->nelts, 3, "after sorting, each is there once");
    is(rh_jsonpath_of(tree, APR_ARRAY_IDX(nodes, 2, int), pool), "$[3]", "in document order");
}

static void test_bounds(void)
{
    char *query = apr_palloc(pool, RH_JSONPATH_MAX_LEN + 2), *text = apr_palloc(pool, 20002);
    rh_json_tree_t *tree;
    apr_array_header_t *nodes;
    rh_jsonpath_t *path;

    memset(query, '(', RH_JSONPATH_MAX_LEN + 1);
    memcpy(query, "$[?", 3);
    query[5000] = '\0';
    ok(!compile(query), "parentheses without end are refused");
    memcpy(query, "$", 1);
    for (int i = 0; i < 1000; i++) {
        memcpy(query + 1 + i * 4, "[?@ ", 4);
    }
    query[4001] = '\0';
    ok(!compile(query), "so are filters within filters");
    memset(query, 'a', RH_JSONPATH_MAX_LEN + 1);
    query[0] = '$';
    query[1] = '.';
    query[RH_JSONPATH_MAX_LEN + 1] = '\0';
    ok(!compile(query), "so is a query that is too long");

    text[0] = '[';
    for (int i = 0; i < 10000; i++) {
        text[1 + 2 * i] = '1';
        text[2 + 2 * i] = i < 9999 ? ',' : ']';
    }
    rh_json_tree_parse(pool, text, 20001, &tree, NULL);
    path = compile("$[?count($[?count($[?count($..*) > 1]) > 1]) > 1]");
    is_int(rh_jsonpath_run(path, tree, 100000, pool, &nodes), APR_TIMEUP,
           "an evaluation that takes too long is given up");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_bytes();
    test_filters();
    test_patterns();
    test_errors();
    test_singular();
    test_order();
    test_bounds();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
