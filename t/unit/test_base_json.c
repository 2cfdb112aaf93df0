/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_json.h"

#include "tap.h"

#include <apr_general.h>
#include <apr_time.h>
#include <stdlib.h>

static apr_pool_t *pool;

/** Check in a block of exactly the text's size, so that ASan sees a read past its end. */
static bool valid(const char *text, apr_size_t len, rh_json_error_t *error)
{
    char *copy = malloc(len ? len : 1);
    bool good;

    memcpy(copy, text, len);
    good = rh_json_check(copy, len, error) == APR_SUCCESS;
    free(copy);
    return good;
}

static void accepted(void)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "-0.5e+10",
        "1E400",
        "123456789012345678901234567890",
        "\"\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\uDbFf\\uDfFf\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\x7f\"",
        "\"\xf4\x8f\xbf\xbf\"",
        "true",
        "false",
        "null",
        "{}",
        "[]",
        " \t\r\n[ 1 , { \"a\" : [ ] } , \"x\" ] \n",
        "{\"a\":1,\"a\":2}",
        "[[],{},[{}]]",
    };

    for (apr_size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ok(valid(texts[i], strlen(texts[i]), NULL), "JSON: valid text %d", (int)i);
    }
}

static void refused(void)
{
    static const struct {
        const char *text;
        const char *reason;
        int offset;
    } cases[] = {
        {"", "a value is missing", 0},
        {"  ", "a value is missing", 2},
        {"NaN", "not a JSON value", 0},
        {"-Infinity", "a digit is missing in a number", 1},
        {"Infinity", "not a JSON value", 0},
        {"nul", "not a JSON value", 0},
        {"nulL", "not a JSON value", 0},
        {"True", "not a JSON value", 0},
        {"01", "a number must not begin with 0", 1},
        {"-01", "a number must not begin with 0", 2},
        {"+1", "not a JSON value", 0},
        {".5", "not a JSON value", 0},
        {"1.", "a digit is missing in a number", 2},
        {"1.e5", "a digit is missing in a number", 2},
        {"1e", "a digit is missing in a number", 2},
        {"1e+", "a digit is missing in a number", 3},
        {"-", "a digit is missing in a number", 1},
        {"0x10", "something follows the value", 1},
        {"1 2", "something follows the value", 2},
        {"'a'", "not a JSON value", 0},
        {"\"a", "unfinished string", 2},
        {"\"", "unfinished string", 1},
        {"\"a\nb\"", "control character in a string", 2},
        {"\"a\tb\"", "control character in a string", 2},
        {"\"\x1f\"", "control character in a string", 1},
        {"\"\\", "unfinished string", 2},
        {"\"\\x41\"", "unknown escape in a string", 2},
        {"\"\\'\"", "unknown escape in a string", 2},
        {"\"\\u12g4\"", "\\u needs four hexadecimal digits", 2},
        {"\"\\u12", "\\u needs four hexadecimal digits", 2},
        {"\"\\u123\"", "\\u needs four hexadecimal digits", 2},
        {"\"\\U0041\"", "unknown escape in a string", 2},
        {"[1,]", "not a JSON value", 3},
        {"[,1]", "not a JSON value", 1},
        {"[1 2]", "a comma or closing bracket is missing", 3},
        {"[1}", "a comma or closing bracket is missing", 2},
        {"[", "unfinished array", 1},
        {"[1", "a comma or closing bracket is missing", 2},
        {"[1,", "unfinished array", 3},
        {"]", "not a JSON value", 0},
        {"{", "unfinished object", 1},
        {"{]", "a member's name is missing", 1},
        {"{\"a\"}", "a colon is missing", 4},
        {"{\"a\" 1}", "a colon is missing", 5},
        {"{\"a\":}", "not a JSON value", 5},
        {"{\"a\":", "a value is missing", 5},
        {"{\"a\":1,}", "a member's name is missing", 7},
        {"{a:1}", "a member's name is missing", 1},
        {"{1:1}", "a member's name is missing", 1},
        {"{\"a\":1 \"b\":2}", "a comma or closing bracket is missing", 7},
        {"// c\n1", "not a JSON value", 0},
        {"[1/**/]", "a comma or closing bracket is missing", 2},
        {"\xef\xbb\xbf{}", "not a JSON value", 0},
        {"\xc2\xa0{}", "not a JSON value", 0},
        {"\"\xff\"", "not well-formed UTF-8", 0},
        {"\"\xc0\x80\"", "not well-formed UTF-8", 0},
        {"\"\xed\xa0\x80\"", "not well-formed UTF-8", 0},
        {"\"\xf4\x90\x80\x80\"", "not well-formed UTF-8", 0},
        {"\"12345678\xe2\x82\"", "not well-formed UTF-8", 0},
        {"\"\x80\"", "not well-formed UTF-8", 0},
    };

    for (apr_size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rh_json_error_t error = {"nothing", 0};
        bool good = valid(cases[i].text, strlen(cases[i].text), &error);

        ok(!good && strcmp(error.reason, cases[i].reason) == 0 &&
               (int)error.offset == cases[i].offset,
           "not JSON: case %d, %s at byte %d", (int)i, cases[i].reason, cases[i].offset);
        if (good || strcmp(error.reason, cases[i].reason) != 0 ||
            (int)error.offset != cases[i].offset) {
            printf("# %s at %d\n", error.reason, (int)error.offset);
        }
    }
    ok(!valid("{}\0", 3, NULL), "a NUL after the value is refused");
    ok(!valid("\"a\0b\"", 5, NULL), "a NUL in a string is refused");
    ok(!valid("\"\\\0\"", 4, NULL), "an escaped NUL byte is refused");
    ok(!valid("\0", 1, NULL), "a single NUL is refused");
}

static void depth(void)
{
    char text[4 * RH_JSON_DEPTH];
    char *large = malloc(1000000);

    memset(text, '[', RH_JSON_DEPTH);
    memset(text + RH_JSON_DEPTH, ']', RH_JSON_DEPTH);
    ok(valid(text, 2 * RH_JSON_DEPTH, NULL), "the maximum nesting is accepted");
    memset(text, '[', RH_JSON_DEPTH + 1);
    memset(text + RH_JSON_DEPTH + 1, ']', RH_JSON_DEPTH + 1);
    ok(!valid(text, 2 * RH_JSON_DEPTH + 2, NULL), "one more level is refused");
    memset(large, '[', 1000000);
    ok(!valid(large, 1000000, NULL), "a million brackets do not overflow the stack");
    free(large);
}

static void walk(void)
{
    static const char text[] =
        "  { \"a\" : 1 ,\"b\\\"c\":[1,\"x,]\" , {}],\"\":\"}\" , \"a\":null } ";
    apr_size_t cursor = 0;
    rh_json_span_t span;
    rh_bytes_t value = {NULL, 0};
    int count = 0;
    const char *names[4], *values[4];

    while (count < 4 && rh_json_next(text, sizeof(text) - 1, &cursor, &span)) {
        names[count] = apr_pstrmemdup(pool, span.name.data, span.name.len);
        values[count++] = apr_pstrmemdup(pool, span.value.data, span.value.len);
    }
    is_int(count, 4, "four members are walked");
    ok(!rh_json_next(text, sizeof(text) - 1, &cursor, &span), "then the walk ends");
    ok(!rh_json_next(text, sizeof(text) - 1, &cursor, &span),
       "another step does not start it again");
    is(names[1], "b\\\"c", "a name is returned raw");
    is(values[0], "1", "a value is returned without white space around it");
    is(values[1], "[1,\"x,]\" , {}]", "a value is returned with the white space inside it");
    is(values[2], "\"}\"", "a bracket in a string does not end a value");
    is(names[2], "", "a name may be empty");
    ok(rh_json_member(text, sizeof(text) - 1, "a", &value) && value.len == 4,
       "of two members with one name the last is found");
    ok(!rh_json_member(text, sizeof(text) - 1, "c", &value), "an unknown name is not found");
    ok(!rh_json_member("[\"a\",1]", 7, "a", &value), "an array has no members");

    cursor = 0;
    count = 0;
    while (rh_json_next("[1,[2,3],\"4\",{\"5\":5}]", 21, &cursor, &span)) {
        ok(!span.name.data && span.name.len == 0, "item %d has no name", count);
        count++;
    }
    is_int(count, 4, "four items are walked");
    cursor = 0;
    ok(!rh_json_next("[]", 2, &cursor, &span), "an empty array has no items");
    cursor = 0;
    ok(!rh_json_next("{ }", 3, &cursor, &span), "an empty object has no members");
    cursor = 0;
    ok(!rh_json_next("12", 2, &cursor, &span), "a number has no members");
    cursor = 0;
    ok(!rh_json_next("", 0, &cursor, &span), "a missing value has no members");
}

/** Leading white space must not be read again for each item. */
static void walk_is_linear(void)
{
    apr_size_t spaces = 1000000, items = 200000, len = 0, cursor = 0, count = 0;
    char *text = malloc(spaces + 2 * items + 2);
    rh_json_span_t span;
    apr_time_t start = apr_time_now();

    memset(text, ' ', spaces);
    len = spaces;
    text[len++] = '[';
    for (apr_size_t i = 0; i < items; i++) {
        text[len++] = '1';
        text[len++] = i + 1 < items ? ',' : ']';
    }
    while (rh_json_next(text, len, &cursor, &span)) {
        count++;
    }
    is_int((long long)count, (long long)items, "200,000 items after a megabyte of space");
    ok(apr_time_now() - start < apr_time_from_sec(60), "they are walked in linear time");
    free(text);
}

static const char *decoded(const char *text)
{
    rh_bytes_t value = {text, strlen(text)};

    return rh_json_string(pool, value);
}

static void strings(void)
{
    static const char all[] = "\"\\ / \x01 \x1f \x7f \n\t\r \xc3\xa9 \xf0\x9f\x98\x80";
    const char *quoted = rh_json_quote(pool, all, sizeof(all) - 1);

    is(decoded("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\""), "a\"\\/\b\f\n\r\tz",
       "short escapes are decoded");
    is(decoded("\"\\u0041\\u00e9\\u20AC\""), "A\xc3\xa9\xe2\x82\xac", "\\u escapes decode");
    is(decoded("\"\\ud83d\\ude00\""), "\xf0\x9f\x98\x80", "a surrogate pair is one character");
    is(decoded("\"\\ud83dx\""), "\xef\xbf\xbdx", "a lone high surrogate becomes U+FFFD");
    is(decoded("\"\\ude00\\ud83d\""), "\xef\xbf\xbd\xef\xbf\xbd", "so do two in the wrong order");
    is(decoded("\"\\ud83d\\u0041\""), "\xef\xbf\xbd\x41", "the text after a lone one is kept");
    is(decoded("\"\\ud83d\\ud83d\\ude00\""), "\xef\xbf\xbd\xf0\x9f\x98\x80",
       "a pair after a lone one is kept");
    is(decoded("\"a\\u0000b\""), NULL, "U+0000 can't be part of a C string");
    is(decoded("\"\""), "", "an empty string is a string");
    is(decoded("12"), NULL, "a number is not a string");
    is(decoded("\""), NULL, "a single quote is not a string");
    is(decoded("\"\\u12\""), NULL, "a truncated escape is not a string");
    ok(valid(quoted, strlen(quoted), NULL), "quoted text is valid JSON");
    is(decoded(quoted), all, "it decodes to the original");
    is(rh_json_quote(pool, "a/\x02", 3), "\"a/\\u0002\"",
       "a slash is not escaped, a control character is");
    is(rh_json_quote(pool, "", 0), "\"\"", "a missing text is quoted as an empty string");
}

static const char *parse_failure(const char *text)
{
    struct json_object *tree;
    rh_json_error_t error = {"", 0};

    return rh_json_parse(pool, text, strlen(text), &tree, &error) == APR_SUCCESS ? NULL
                                                                                 : error.reason;
}

static const char *reprinted(const char *text)
{
    struct json_object *tree;
    apr_size_t len;

    if (rh_json_parse(pool, text, strlen(text), &tree, NULL) != APR_SUCCESS) {
        return NULL;
    }
    return rh_json_text(pool, tree, &len);
}

static void trees(void)
{
    static const char twice[] = "a member is named twice, or its name holds U+0000";
    struct json_object *tree, *inner;
    apr_pool_t *child;
    apr_size_t len;

    is(reprinted("{\"a\":[1,2.5,\"x/y\",null,true]}"), "{\"a\":[1,2.5,\"x/y\",null,true]}",
       "a tree prints what was parsed");
    is(reprinted("12"), "12", "a single number is parsed");
    is(reprinted(" null "), "null", "null is parsed");
    is(reprinted("\"\\ud800\""), "\"\xef\xbf\xbd\"", "a lone surrogate becomes U+FFFD");
    ok(reprinted("[123456789012345678901234567890,-9e999,18446744073709551615]"),
       "numbers beyond 64 bits are safe");
    is(parse_failure("{\"a\":1,\"a\":1}"), twice, "a repeated name is refused");
    is(parse_failure("[{\"b\":{\"x\":[{\"a\":1,\"c\":2,\"a\":1}]}}]"), twice,
       "a repeated name is refused at any depth");
    is(parse_failure("{\"a\":1,\"\\u0061\":1}"), twice, "names are compared after decoding");
    is(parse_failure("{\"a\\u0000\":1}"), twice, "a name with U+0000 is refused");
    is(parse_failure("[{\"a\":1},{\"a\":1}]"), NULL, "two objects may have the same name");
    is(parse_failure("{\"a\":{\"a\":1}}"), NULL, "so may an object and one inside it");
    is(parse_failure("{\"a\":NaN}"), "not a JSON value", "json-c's own NaN is refused");
    is(parse_failure("{'a':1}"), "a member's name is missing", "so are its single quotes");

    apr_pool_create(&child, pool);
    is_int(rh_json_parse(child, "{\"a\":{\"b\":1}}", 13, &tree, NULL), APR_SUCCESS, "parsed");
    json_object_object_get_ex(tree, "a", &inner);
    json_object_get(inner);
    apr_pool_destroy(child);
    is(json_object_to_json_string_ext(inner, JSON_C_TO_STRING_PLAIN), "{\"b\":1}",
       "an extra reference outlives the pool");
    json_object_put(inner);

    tree = rh_json_own(pool, json_object_new_object());
    json_object_object_add(tree, "data", rh_json_raw("{ \"z\" : 1.50 }xxx", 14));
    json_object_object_add(tree, "url", json_object_new_string("http://a/"));
    is(rh_json_text(pool, tree, &len), "{\"data\":{ \"z\" : 1.50 },\"url\":\"http://a/\"}",
       "a raw value is printed byte for byte, without escaping slashes");
    is_int((long long)len, 41, "the length is the text's");
    json_object_object_del(tree, "data");
    is(rh_json_text(pool, NULL, &len), "null", "a missing object prints as null");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    accepted();
    refused();
    depth();
    walk();
    walk_is_linear();
    strings();
    trees();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
