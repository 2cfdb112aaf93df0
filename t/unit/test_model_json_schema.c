/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* JSON Schema: checking data, and inferring a schema from samples. */
#include "tap.h"

#include "rh_json_schema.h"

#include <apr_general.h>
#include <stdlib.h>

static apr_pool_t *pool;

/** Return the breach of a text, "" if there is none, or the reason why it can't be checked. */
static const char *check(const char *schema, const char *text)
{
    rh_json_schema_t *compiled;
    rh_json_tree_t *tree;
    const char *reason = NULL;

    if (rh_json_schema_compile(pool, schema, strlen(schema), &compiled, &reason) != APR_SUCCESS) {
        return apr_pstrcat(pool, "schema: ", reason, NULL);
    }
    if (rh_json_tree_parse(pool, text, strlen(text), &tree, NULL) != APR_SUCCESS) {
        return "text: not JSON";
    }
    if (rh_json_schema_check(compiled, tree, pool, &reason) != APR_SUCCESS) {
        return "too much";
    }
    return reason ? reason : "";
}

/** A keyword with a value that fits and one that does not. */
static const struct {
    const char *schema, *good, *bad, *keyword;
} keywords[] = {
    {"{\"type\":\"integer\"}", "1.0", "1.5", "type"},
    {"{\"type\":[\"null\",\"string\"]}", "null", "true", "type"},
    {"{\"enum\":[1,{\"a\":[]},\"x\"]}", "{\"a\":[]}", "{\"a\":[0]}", "enum"},
    {"{\"const\":{\"a\":1,\"b\":2}}", "{\"b\":2,\"a\":1.0}", "{\"a\":1}", "const"},
    {"{\"minimum\":9007199254740993}", "9007199254740993", "9007199254740992", "minimum"},
    {"{\"maximum\":3}", "3", "3.1", "maximum"},
    {"{\"exclusiveMinimum\":3}", "3.1", "3", "exclusiveMinimum"},
    {"{\"exclusiveMaximum\":3}", "2", "3", "exclusiveMaximum"},
    {"{\"multipleOf\":0.1}", "0.3", "0.35", "multipleOf"},
    {"{\"minLength\":2}", "\"\\u00e9\\u00e9\"", "\"\\u00e9\"", "minLength"},
    {"{\"maxLength\":1}", "\"\\ud83d\\ude00\"", "\"ab\"", "maxLength"},
    {"{\"pattern\":\"^a\\\\d$\"}", "\"a1\"", "\"a12\"", "pattern"},
    {"{\"prefixItems\":[true,{\"type\":\"null\"}]}", "[1,null,2]", "[1,2]", "prefixItems"},
    {"{\"prefixItems\":[true],\"items\":{\"type\":\"null\"}}", "[1,null]", "[1,2]", "items"},
    {"{\"contains\":{\"const\":1}}", "[0,1]", "[0]", "contains"},
    {"{\"contains\":{\"const\":1},\"minContains\":0}", "[0]", NULL, NULL},
    {"{\"contains\":{\"const\":1},\"maxContains\":1}", "[1]", "[1,1]", "contains"},
    {"{\"minItems\":1}", "[1]", "[]", "minItems"},
    {"{\"maxItems\":1}", "[1]", "[1,2]", "maxItems"},
    {"{\"uniqueItems\":true}", "[1,\"1\",[1]]", "[{\"a\":1},{\"a\":1.0}]", "uniqueItems"},
    {"{\"properties\":{\"a\":{\"type\":\"null\"}}}", "{\"b\":1}", "{\"a\":1}", "properties"},
    {"{\"patternProperties\":{\"^x-\":false}}", "{\"ax-\":1}", "{\"x-a\":1}", "patternProperties"},
    {"{\"properties\":{\"a\":true},\"patternProperties\":{\"^x\":true},"
     "\"additionalProperties\":false}",
     "{\"a\":1,\"x1\":1}", "{\"b\":1}", "additionalProperties"},
    {"{\"propertyNames\":{\"maxLength\":1}}", "{\"a\":1}", "{\"ab\":1}", "propertyNames"},
    {"{\"required\":[\"a\"]}", "{\"a\":null}", "{\"b\":1}", "required"},
    {"{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1,\"b\":1}", "{\"a\":1}",
     "dependentRequired"},
    {"{\"minProperties\":1}", "{\"a\":1}", "{}", "minProperties"},
    {"{\"maxProperties\":1}", "{\"a\":1}", "{\"a\":1,\"b\":1}", "maxProperties"},
    {"{\"allOf\":[{\"minimum\":1},{\"maximum\":2}]}", "1", "3", "allOf"},
    {"{\"anyOf\":[{\"type\":\"null\"},{\"minimum\":2}]}", "2", "1", "anyOf"},
    {"{\"oneOf\":[{\"minimum\":1},{\"minimum\":2}]}", "1", "2", "oneOf"},
    {"{\"not\":{\"type\":\"null\"}}", "1", "null", "not"},
    {"{\"if\":{\"minimum\":5},\"then\":{\"maximum\":6},\"else\":{\"maximum\":1}}", "6", "3", "if"},
    {"{\"$ref\":\"#/$defs/a~1b%25\",\"$defs\":{\"a/b%\":{\"minimum\":1}}}", "1", "0", "$ref"},
    {"{\"properties\":{\"child\":{\"$ref\":\"#\"},\"n\":{\"minimum\":1}}}",
     "{\"child\":{\"child\":{\"n\":1}}}", "{\"child\":{\"child\":{\"n\":0}}}", "properties"},
};

static void test_keywords(void)
{
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        const char *breach;

        is(check(keywords[i].schema, keywords[i].good), "",
           apr_psprintf(pool, "%s takes %s", keywords[i].schema, keywords[i].good));
        if (keywords[i].bad) {
            breach = check(keywords[i].schema, keywords[i].bad);
            ok(*breach == '$', "and not %s: %s", keywords[i].bad, breach);
        }
    }
    is(check("{\"minimum\":1,\"minLength\":9,\"minItems\":9,\"required\":[\"a\"]}", "null"), "",
       "a keyword applies only to its own kind of values");
    is(check("{\"format\":\"uuid\",\"x-mine\":{\"type\":7},\"title\":1}", "\"x\""), "",
       "formats and unknown keywords are annotations");
    is(check("false", "1"), "$ false", "false accepts nothing");
    is(check("true", "1"), "", "true accepts everything");
}

static void test_breaches(void)
{
    static const char schema[] = "{\"properties\":{\"a\":{\"items\":{\"type\":\"string\"}}}}";

    is(check(schema, "{\"a\":[\"x\",1]}"), "$['a'][1] type", "a breach names position and keyword");
    is(check("{\"anyOf\":[{\"properties\":{\"a\":false}},{\"type\":\"null\"}]}", "{\"a\":1}"),
       "$ anyOf", "it does not name those of alternatives");
    is(check("{\"if\":{\"required\":[\"x\"]},\"else\":{\"required\":[\"y\"]}}", "{}"), "$ required",
       "nor that of a condition");
}

static void test_errors(void)
{
    is(check("[]", "1"), "schema: $ is not a JSON Schema (an object, true or false)",
       "an array is not a schema");
    is(check("{\"type\":\"text\"}", "1"), "schema: $['type'] is not the name of a type",
       "types have names");
    is(check("{\"properties\":{\"a\":{\"pattern\":\"(\"}}}", "1"),
       "schema: $['properties']['a']['pattern'] is not a regular expression that is supported",
       "patterns are compiled");
    is(check("{\"$ref\":\"#/$defs/none\"}", "1"),
       "schema: $['$ref'] refers to a place that does not exist", "references are resolved");
    is(check("{\"$ref\":\"https://example.com/x\"}", "1"),
       "schema: $['$ref'] refers to something that is not a place in this document",
       "within the document");
    is(check("{\"minItems\":-1}", "1"), "schema: $['minItems'] is not an integer of 0 or more",
       "counts are not negative");
    is(check("{\"required\":\"a\"}", "1"),
       "schema: $['required'] is not the kind of value that the keyword takes",
       "values of keywords are checked");
    is(check("{\"const\":{\"type\":5}}", "{\"type\":5}"), "", "values are not schemas");
}

static void test_bounds(void)
{
    char *text = apr_palloc(pool, 200003), *at = text;

    is(check("{\"$ref\":\"#\"}", "1"), "too much", "a reference to itself ends");
    *at++ = '[';
    for (int i = 0; i < 50000; i++) {
        at += apr_snprintf(at, 8, i ? ",%d" : "%d", i % 1000);
    }
    *at++ = ']';
    *at = '\0';
    is(check("{\"uniqueItems\":true}", "[1,2,3]"), "", "few items are compared with each other");
    is(check("{\"not\":{\"uniqueItems\":true}}", text), "", "equal ones are found early");
    is(check("{\"items\":{\"allOf\":[{\"enum\":[-1,-2,-3,-4,-5,-6,-7,-8,-9,-10,-11,-12,-13,-14,"
             "-15,-16,-17,-18,-19,-20,-21,-22,-23]},true]}}",
             text),
       "$[0] enum", "the first breach ends a check");
    is(check("{\"items\":{\"not\":{\"enum\":[-1,-2,-3,-4,-5,-6,-7,-8,-9,-10,-11,-12,-13,-14,"
             "-15,-16,-17,-18,-19,-20,-21,-22,-23]}}}",
             text),
       "too much", "a check that takes too many steps is given up");
}

static void add(rh_json_inference_t *inference, const char *text)
{
    rh_json_tree_t *tree;

    if (rh_json_tree_parse(pool, text, strlen(text), &tree, NULL) == APR_SUCCESS) {
        rh_json_inference_add(inference, tree);
    }
}

#define HEAD "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"a.b\","

static void test_inference(void)
{
    rh_json_inference_t *inference = rh_json_inference_make(pool);

    add(inference, "{\"id\":1,\"at\":\"2026-01-02T03:04:05Z\",\"name\":\"Ann Smith\",\"n\":null}");
    add(inference, "{\"id\":2.5,\"at\":\"2026-01-02T03:04:05Z\",\"tags\":[\"x 1\",3],\"n\":true}");
    is(rh_json_inference_schema(inference, "a.b"),
       HEAD "\"$comment\":\"Inferred from 2 events.\",\"type\":\"object\",\"properties\":{"
            "\"id\":{\"type\":\"number\"},\"at\":{\"type\":\"string\",\"format\":\"date-time\"},"
            "\"name\":{\"type\":\"string\"},\"n\":{\"type\":[\"null\",\"boolean\"]},"
            "\"tags\":{\"type\":\"array\",\"items\":{\"type\":[\"integer\",\"string\"]}}},"
            "\"required\":[\"id\",\"at\",\"n\"]}",
       "types, formats, and what all samples have");
}

/** Infer the schema of samples {"a": …}, each with one word of `words`, repeated. */
static const char *infer_words(const char *const *words, int count, int times)
{
    rh_json_inference_t *inference = rh_json_inference_make(pool);

    for (int i = 0; i < times; i++) {
        add(inference, apr_psprintf(pool, "{\"a\":\"%s\"}", words[i % count]));
    }
    return rh_json_inference_schema(inference, "a.b");
}

static void test_enums(void)
{
    static const char *const states[] = {"open", "paid"},
                             *const mails[] = {"ann@example.com", "bob@example.com"},
                             *const many[] = {"a", "b", "c", "d", "e", "f", "g"},
                             *const numbers[] = {"4711", "4712"};

    ok(strstr(infer_words(states, 2, 20), "\"enum\":[\"open\",\"paid\"]") != NULL,
       "a few words that occur repeatedly become an enum");
    ok(strstr(infer_words(states, 2, 19), "open") == NULL, "not if there were few samples");
    ok(strstr(infer_words(mails, 2, 100), "example") == NULL, "values that are not words do not");
    ok(strstr(infer_words(numbers, 2, 100), "471") == NULL, "nor digits");
    ok(strstr(infer_words(many, 7, 100), "enum") == NULL, "nor do many words");
}

static void test_inference_bounds(void)
{
    rh_json_inference_t *inference = rh_json_inference_make(pool);
    const char *schema;

    for (int i = 0; i < 150; i++) {
        add(inference, apr_psprintf(pool, "{\"by_id\":{\"k%d\":{\"n\":1}}}", i));
    }
    schema = rh_json_inference_schema(inference, "a.b");
    ok(strstr(schema, "k1") == NULL && strstr(schema, "\"additionalProperties\":{}"),
       "member names that are data are not shown");
    inference = rh_json_inference_make(pool);
    add(inference, "{\"a\\u0000b\":1,\"\\ud800\":1,\"c\":2}");
    schema = rh_json_inference_schema(inference, "a.b");
    ok(strstr(schema, "\"required\":[\"c\"]") && rh_utf8_valid(schema, strlen(schema)),
       "names that JSON can't represent are omitted");
    inference = rh_json_inference_make(pool);
    is(rh_json_inference_schema(inference, "a.b"), HEAD "\"$comment\":\"Inferred from 0 events.\"}",
       "without samples everything is valid");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_keywords();
    test_breaches();
    test_errors();
    test_bounds();
    test_inference();
    test_enums();
    test_inference_bounds();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
