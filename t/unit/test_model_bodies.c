/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Bodies as data: forms and other types as JSON, and what changed between two JSON values. */
#include "rh_form.h"
#include "rh_json_diff.h"

#include "tap.h"

#include <apr_general.h>

static apr_pool_t *pool;

static const char *patch(const char *from, const char *to)
{
    rh_json_tree_t *left, *right;
    rh_bytes_t result;

    if (rh_json_tree_parse(pool, from, strlen(from), &left, NULL) != APR_SUCCESS ||
        rh_json_tree_parse(pool, to, strlen(to), &right, NULL) != APR_SUCCESS) {
        return "not JSON";
    }
    result = rh_json_diff(pool, left, 0, right, 0);
    return result.data ? apr_pstrmemdup(pool, result.data, result.len) : NULL;
}

static void test_diff(void)
{
    static const struct {
        const char *from, *to, *patch, *name;
    } cases[] = {
        {"{\"a\":1}", "{\"a\":1.0}", "{}", "equal numbers are not a change"},
        {"{\"a\":2,\"b\":1}", "{\"b\":1,\"a\": 1.50 }", "{\"a\":1.50}",
         "values are those of the target, byte for byte"},
        {"{\"a\":1,\"b\":2}", "{\"a\":1}", "{\"b\":null}",
         "a member that only the source has is null"},
        {"{}", "{\"a\":[1, 2]}", "{\"a\":[1, 2]}", "a member that only the target has is there"},
        {"{\"o\":{\"x\":1,\"y\":2},\"p\":1}", "{\"o\":{\"y\":3,\"x\":1},\"p\":1}",
         "{\"o\":{\"y\":3}}", "objects are compared member by member"},
        {"{\"a\":[1,2]}", "{\"a\":[2,1]}", "{\"a\":[2,1]}", "arrays are replaced as a whole"},
        {"{\"a\":{}}", "{\"a\":1}", "{\"a\":1}", "an object can be replaced by a number"},
        {"{\"a\\n\\u00e9\":1}", "{}", "{\"a\\u000a\xc3\xa9\":null}", "names are quoted again"},
        {"{\"a\":1}", "[1]", NULL, "only objects have a patch"},
        {"{\"\\ud800\":1}", "{}", NULL, "a name that is not valid Unicode has no patch"},
    };

    for (apr_size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        is(patch(cases[i].from, cases[i].to), cases[i].patch, cases[i].name);
    }
}

static const char *form(const char *type, const char *body)
{
    rh_bytes_t result = rh_form_read(pool, type, (rh_bytes_t){body, strlen(body)});

    return result.data ? apr_pstrmemdup(pool, result.data, result.len) : NULL;
}

static void test_forms(void)
{
    static const char url[] = "application/x-www-form-urlencoded; charset=UTF-8";
    static const char multi[] = "multipart/form-data; boundary=\"xx\"";
    static const char body[] =
        "preamble\r\n--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"
        "one\r\ntwo\r\n--xx\r\nContent-Type: image/png\r\n"
        "content-disposition: form-data; name=f; filename=\"p\\\"q;.png\"\r\n"
        "\r\n\xff\xfe\r\n--xx--\r\n";

    is(form(url, "a=1&b=x+y%21&a=2&c"), "{\"a\":[\"1\",\"2\"],\"b\":\"x y!\",\"c\":\"\"}",
       "a form is an object of strings, and of arrays where names are repeated");
    is(form(url, ""), "{}", "an empty form is an empty object");
    is(form(url, "&&a=%zz%4&"), "{\"a\":\"%zz%4\"}", "an invalid escape is kept as text");
    is(form(url, "a=%ff"), NULL, "invalid UTF-8 is not a form");
    is(form("text/plain", "a=1"), NULL, "only forms are read as forms");
    is(form(multi, body), "{\"a\":\"one\\u000d\\u000atwo\",\"f\":\"p\\\"q;.png\"}",
       "multipart has text fields and the names of files");
    is(form(multi, "--xx--\r\n"), "{}", "multipart without parts is empty");
    is(form(multi, "--xx\r\n\r\n"), NULL, "an incomplete multipart body is not a form");
    is(form(multi, "--xx\r\n\r\nno name\r\n--xx--\r\n"), NULL, "a part without a name is refused");
    is(form("multipart/form-data", body), NULL, "a boundary is required");
}

static const char *wrap(const char *type, const char *body, apr_size_t len)
{
    rh_bytes_t result = rh_form_wrap(pool, type, (rh_bytes_t){body, len});

    return apr_pstrmemdup(pool, result.data, result.len);
}

static void test_others(void)
{
    is(wrap("text/calendar", "BEGIN:\n\"", 8),
       "{\"content_type\":\"text/calendar\",\"text\":\"BEGIN:\\u000a\\\"\"}", "text is quoted");
    is(wrap("image/png", "\x89PN\0", 4), "{\"content_type\":\"image/png\",\"base64\":\"iVBOAA==\"}",
       "anything else is base64");
    ok(rh_form_type_is_json("application/hal+json; v=1") && rh_form_type_is_json("Text/JSON") &&
           !rh_form_type_is_json("application/jsonp") && !rh_form_type_is_json(""),
       "JSON types are known by their name or suffix");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_diff();
    test_forms();
    test_others();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
