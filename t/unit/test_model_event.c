/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_event.h"
#include "rh_event_type.h"
#include "rh_uuid.h"

#include "tap.h"

#include <apr_general.h>
#include <stdlib.h>

#define MAX_DATA 100

static apr_pool_t *pool;

static bool type_valid(const char *type)
{
    return rh_event_type_valid(type, strlen(type));
}

static bool pattern_valid(const char *pattern)
{
    return rh_event_pattern_valid(pattern, strlen(pattern));
}

static void types(void)
{
    static const char *const good[] = {"employee.created", "a.b", "a.b.c", "a_b.c_1", "0.1"};
    static const char *const bad[] = {
        "",  "employee", "Employee.created", "a.",  ".a",       "a..b", "a-b.c", "a.b ", "a.*", "*",
        ".", "a.b\n",    "a.\xc3\xa9",       "a/b", "*.created"};
    static const char *const bad_patterns[] = {"",     "employee", "**",   "*.*",  ".*",  "a*",
                                               "a.b*", "a..*",     ".a.*", "a.",   "*.a", "a.*.b",
                                               "A.*",  "a.**",     "* ",   "a.*.*"};
    char large[RH_MAX_TYPE + 2];

    for (apr_size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ok(type_valid(good[i]), "'%s' is a type", good[i]);
        ok(pattern_valid(good[i]), "and a pattern");
    }
    for (apr_size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(!type_valid(bad[i]), "not a type: case %d", (int)i);
    }
    for (apr_size_t i = 0; i < sizeof(bad_patterns) / sizeof(bad_patterns[0]); i++) {
        ok(!pattern_valid(bad_patterns[i]), "'%s' is not a pattern", bad_patterns[i]);
    }
    ok(pattern_valid("*") && pattern_valid("a.*") && pattern_valid("a.b.*"), "stars end patterns");
    ok(!rh_event_type_valid("a.b\0", 4), "a NUL is not allowed in a type");
    memset(large, 'a', sizeof(large));
    large[1] = '.';
    ok(rh_event_type_valid(large, RH_MAX_TYPE), "a type may have 128 bytes");
    ok(!rh_event_type_valid(large, RH_MAX_TYPE + 1), "a type may not have 129");
    ok(!rh_event_pattern_valid(large, RH_MAX_TYPE + 1), "nor may a pattern");
}

static const char *key_of(const char *data)
{
    return rh_event_key(pool, data, strlen(data));
}

static void keys(void)
{
    char large[300];

    is(key_of("{\"id\":\"e-7\"}"), "e-7", "the id of the data is its key");
    is(key_of("{\"id\":1234567890123456789012}"), "1234567890123456789012",
       "a number is used as the key, digit for digit");
    is(key_of("{\"id\":-1.50}"), "-1.50", "in its own notation");
    is(key_of("{\"name\":{\"id\":1},\"id\":\"\\u00e9\"}"), "\xc3\xa9",
       "only the id at the top level counts");
    is(key_of("{\"x\":1}"), NULL, "no id, no key");
    is(key_of("{\"id\":null}"), NULL, "null is not a key");
    is(key_of("{\"id\":{\"a\":1}}"), NULL, "an object is not a key");
    is(key_of("{\"id\":true}"), NULL, "true is not a key");
    is(key_of("{\"id\":\"\"}"), NULL, "an empty string is not a key");
    is(key_of("{\"id\":\"a\\nb\"}"), NULL, "nor is one with a control character");
    is(key_of("{\"id\":\"a\\u0000b\"}"), NULL, "nor is one with U+0000");
    is(key_of("[{\"id\":1}]"), NULL, "an array has no key");
    is(key_of("17"), NULL, "a number has no key");
    memset(large, '1', sizeof(large));
    memcpy(large, "{\"id\":", 6);
    large[298] = '}';
    large[299] = '\0';
    is(key_of(large), NULL, "a number of 292 digits is not a key");
}

static void traceparents(void)
{
    static const char *const bad[] = {
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-zz",
    };

    ok(rh_traceparent_valid("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
       "a traceparent of version 00");
    ok(rh_traceparent_valid("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),
       "an unsampled one");
    for (apr_size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *copy = strdup(bad[i]);

        ok(!rh_traceparent_valid(copy), "not a traceparent: '%s'", bad[i]);
        free(copy);
    }
}

/** The results of reading a body. */
typedef struct result_t {
    apr_array_header_t *events;
    bool batch;
    rh_problem_t *problem;
} result_t;

static result_t read_body(const char *body, apr_size_t len, const char *tenant)
{
    result_t result;
    char *copy = apr_pmemdup(pool, body, len ? len : 1);

    result.problem = rh_problem_make(pool);
    rh_event_read(copy, len, tenant, MAX_DATA, pool, &result.events, &result.batch, result.problem);
    return result;
}

static result_t read_text(const char *body)
{
    return read_body(body, strlen(body), "acme");
}

static rh_event_t *event_at(const result_t *result, int i)
{
    return APR_ARRAY_IDX(result->events, i, rh_event_t *);
}

static void single(void)
{
    static const char body[] =
        " {\"type\":\"employee.created\", \"data\" : { \"id\" : \"7\",\"pay\":1.50 } ,"
        "\"time\":\"2026-01-31T23:59:59.123+01:00\",\"id\":\"idem-1\",\"key\":\"k\\u00e9\"} \n";
    apr_time_t now = apr_time_now();
    result_t result = read_text(body);
    rh_event_t *event = event_at(&result, 0);

    ok(!rh_problem_is(result.problem), "an event with all its fields is accepted");
    ok(!result.batch && result.events->nelts == 1, "it is not a batch");
    ok(rh_uuid_valid(event->id, strlen(event->id)), "it gets an id");
    is(event->tenant, "acme", "it gets the caller's tenant");
    is(event->type, "employee.created", "its type");
    is(event->key, "k\xc3\xa9", "its key");
    is(event->client_id, "idem-1", "it has its idempotency key");
    is_int(event->time, APR_INT64_C(1769900399123000), "its time");
    is(rh_event_source_name(event->source), "publish", "it has its source");
    is(event->traceparent, NULL, "no traceparent");
    is(apr_pstrmemdup(pool, event->data.data, event->data.len), "{ \"id\" : \"7\",\"pay\":1.50 }",
       "its data is kept byte for byte");

    result = read_text("{\"type\":\"a.b\",\"data\":{\"id\":42},\"key\":null,\"id\":null,"
                       "\"time\":null,\"tenant\":null}");
    event = event_at(&result, 0);
    ok(!rh_problem_is(result.problem), "null counts as not given");
    is(event->key, "42", "without a key the data's id is used");
    is(event->client_id, NULL, "it has no idempotency key");
    ok(event->time >= now && event->time <= apr_time_now(), "without a time it is now");

    result = read_text("{\"type\":\"a.b\",\"data\":null}");
    ok(!rh_problem_is(result.problem) && event_at(&result, 0)->data.len == 4,
       "null is data like any other");
    result = read_text("{\"typ\\u0065\":\"a.b\",\"d\\u0061ta\":1}");
    ok(!rh_problem_is(result.problem), "a field may be spelled with escapes");
}

static void tenants(void)
{
    static const char other[] = "{\"type\":\"a.b\",\"data\":1,\"tenant\":\"other\"}";
    static const char none[] = "{\"type\":\"a.b\",\"data\":1}";
    result_t result = read_body(other, strlen(other), "acme");

    ok(!rh_problem_is(result.problem), "an item may name another tenant");
    is(event_at(&result, 0)->tenant, "other", "the event belongs to that tenant");
    result = read_body(none, strlen(none), "acme");
    is(event_at(&result, 0)->tenant, "acme", "without one it belongs to the publisher's tenant");
    result = read_body(other, strlen(other), NULL);
    is(event_at(&result, 0)->tenant, "other", "a publisher without a tenant names it");
    result = read_body(none, strlen(none), NULL);
    is_int(result.problem->status, 422, "otherwise the tenant is required");
}

static void batches(void)
{
    apr_size_t len = 0;
    char *large = apr_palloc(pool, (RH_MAX_BATCH + 1) * 32);
    bool unique = true;
    result_t result = read_text("[ {\"type\":\"a.b\",\"data\":1,\"id\":\"x\"},"
                                " {\"data\":{\"id\":\"2\"},\"type\":\"a.c\",\"id\":\"x\"} ]");

    ok(!rh_problem_is(result.problem) && result.batch, "a batch is accepted");
    is_int(result.events->nelts, 2, "it has both events");
    is(event_at(&result, 0)->type, "a.b", "they are in their order");
    is(event_at(&result, 1)->key, "2", "each has its own members");
    ok(strcmp(event_at(&result, 0)->id, event_at(&result, 1)->id) < 0, "ids sort in that order");
    is(event_at(&result, 0)->client_id, event_at(&result, 1)->client_id,
       "a repeated idempotency key is left to the store");

    large[len++] = '[';
    for (int i = 0; i < RH_MAX_BATCH; i++) {
        memcpy(large + len, "{\"type\":\"a.b\",\"data\":1},", 24);
        len += 24;
    }
    large[len - 1] = ']';
    result = read_body(large, len, "acme");
    ok(!rh_problem_is(result.problem), "a thousand events are accepted");
    is_int(result.events->nelts, RH_MAX_BATCH, "all of them are read");
    for (int i = 1; i < result.events->nelts; i++) {
        unique = unique && strcmp(event_at(&result, i - 1)->id, event_at(&result, i)->id) < 0;
    }
    ok(unique, "ids of a large batch sort in its order");
    memcpy(large + len - 1, ",{\"type\":\"a.b\",\"data\":1}]", 25);
    result = read_body(large, len + 24, "acme");
    is_int(result.problem->status, 413, "a thousand and one are too many");
}

/** Return "422 field: detail" of the first error; without one, the status alone. */
static const char *complaint(const result_t *result)
{
    const rh_problem_t *problem = result->problem;
    const rh_field_error_t *error;

    if (problem->errors->nelts == 0) {
        return apr_psprintf(pool, "%d", problem->status);
    }
    error = &APR_ARRAY_IDX(problem->errors, 0, rh_field_error_t);
    return apr_psprintf(pool, "%d %s: %s", problem->status, error->field, error->detail);
}

static void bad_input(void)
{
    static const char name_rule[] = "must be a string of 1-255 bytes without control characters";
    static const struct {
        const char *body, *complaint;
    } cases[] = {
        {"", "400"},
        {"nonsense", "400"},
        {"{\"type\":\"a.b\",\"data\":1", "400"},
        {"{\"type\":\"a.b\",\"data\":NaN}", "400"},
        {"{\"type\":\"a.b\",\"data\":\"\xff\"}", "400"},
        {"null", "422 : must be an object"},
        {"17", "422 : must be an object"},
        {"\"a\"", "422 : must be an object"},
        {"[]", "422 : must hold at least one event"},
        {"[1]", "422 [0]: must be an object"},
        {"[[{\"type\":\"a.b\",\"data\":1}]]", "422 [0]: must be an object"},
        {"{}", "422 type: is required"},
        {"{\"type\":\"a.b\"}", "422 data: is required"},
        {"{\"data\":1}", "422 type: is required"},
        {"{\"type\":null,\"data\":1}", "422 type: must be an event type such as employee.created"},
        {"{\"type\":1,\"data\":1}", "422 type: must be an event type such as employee.created"},
        {"{\"type\":\"A.b\",\"data\":1}",
         "422 type: must be an event type such as employee.created"},
        {"{\"type\":\"a.*\",\"data\":1}",
         "422 type: must be an event type such as employee.created"},
        {"{\"type\":\"a.b\\u0000\",\"data\":1}",
         "422 type: must be an event type such as employee.created"},
        {"{\"type\":\"a.b\",\"data\":1,\"id\":7}", "id"},
        {"{\"type\":\"a.b\",\"data\":1,\"id\":\"\"}", "id"},
        {"{\"type\":\"a.b\",\"data\":1,\"id\":\"a\\nb\"}", "id"},
        {"{\"type\":\"a.b\",\"data\":1,\"key\":7}", "key"},
        {"{\"type\":\"a.b\",\"data\":1,\"key\":[]}", "key"},
        {"{\"type\":\"a.b\",\"data\":1,\"tenant\":7}", "tenant"},
        {"{\"type\":\"a.b\",\"data\":1,\"time\":1700000000}",
         "422 time: must be an RFC 3339 date-time"},
        {"{\"type\":\"a.b\",\"data\":1,\"time\":\"2026-02-30T00:00:00Z\"}",
         "422 time: must be an RFC 3339 date-time"},
        {"{\"type\":\"a.b\",\"data\":1,\"Type\":\"a.b\"}", "422 Type: is not a field of an event"},
        {"{\"type\":\"a.b\",\"data\":1,\"\":1}", "422 : is not a field of an event"},
        {"{\"type\":\"a.b\",\"data\":1,\"a\\u0000b\":1}",
         "422 a\\u0000b: is not a field of an event"},
        {"{\"type\":\"a.b\",\"data\":1,\"type\":\"a.c\"}", "422 type: is named twice"},
        {"{\"type\":\"a.b\",\"data\":1,\"d\\u0061ta\":1}", "422 data: is named twice"},
        {"[{\"type\":\"a.b\",\"data\":1},{\"type\":\"a.b\",\"data\":1,\"x\":1}]",
         "422 [1].x: is not a field of an event"},
        {"[{\"type\":\"a.b\",\"data\":1},{\"type\":\"a.b\"}]", "422 [1].data: is required"},
        {"[{\"type\":\"a.b\",\"data\":1},{\"type\":\"a.b\",\"data\":1,\"time\":0}]",
         "422 [1].time: must be an RFC 3339 date-time"},
    };
    char name[RH_MAX_NAME + 2];
    const char *body;
    result_t result;

    for (apr_size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *expected = cases[i].complaint;

        if (strchr("ikt", *expected)) {
            expected = apr_psprintf(pool, "422 %s: %s", expected, name_rule);
        }
        result = read_text(cases[i].body);
        is(complaint(&result), expected, apr_psprintf(pool, "refused: case %d", (int)i));
    }
    memset(name, 'x', sizeof(name));
    name[RH_MAX_NAME + 1] = '\0';
    body = apr_psprintf(pool, "{\"type\":\"a.b\",\"data\":1,\"key\":\"%s\"}", name);
    result = read_text(body);
    is_int(result.problem->status, 422, "a key of 256 bytes is refused");
    body = apr_psprintf(pool, "{\"type\":\"a.b\",\"data\":1,\"key\":\"%s\"}", name + 1);
    result = read_text(body);
    ok(!rh_problem_is(result.problem), "a key of 255 bytes is accepted");
    result = read_body("{\"type\":\"a.b\",\"data\":1}\0", 25, "acme");
    is_int(result.problem->status, 400, "a NUL after the event is not JSON");
}

static void data_limit(void)
{
    char data[MAX_DATA + 2];
    result_t result;

    memset(data, '1', sizeof(data));
    data[MAX_DATA] = '\0';
    result = read_text(apr_psprintf(pool, "{\"type\":\"a.b\",\"data\":%s}", data));
    ok(!rh_problem_is(result.problem), "data of exactly the limit is accepted");
    data[MAX_DATA] = '1';
    data[MAX_DATA + 1] = '\0';
    result = read_text(apr_psprintf(pool, "{\"type\":\"a.b\",\"data\":%s}", data));
    is_int(result.problem->status, 413, "one byte more is too large");
    result = read_text(
        apr_psprintf(pool, "[{\"type\":\"a.b\",\"data\":1},{\"type\":\"a.b\",\"data\":%s}]", data));
    is_int(result.problem->status, 413, "also in a batch");
    ok(strstr(result.problem->detail, "[1].data"), "the error says where");
}

static void many_errors(void)
{
    char *body = apr_palloc(pool, 100000);
    apr_size_t len = 0;
    result_t result;

    body[len++] = '{';
    for (int i = 0; i < 5000; i++) {
        len += (apr_size_t)apr_snprintf(body + len, 32, "\"f%d\":1,", i);
    }
    body[len - 1] = '}';
    result = read_body(body, len, "acme");
    is_int(result.problem->status, 422, "an object of 5,000 unknown fields is refused");
    ok(result.problem->errors->nelts <= 100, "there are at most a hundred errors");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    types();
    keys();
    traceparents();
    single();
    tenants();
    batches();
    bad_input();
    data_limit();
    many_errors();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
