/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_payload.h"
#include "rh_problem.h"
#include "rh_signature.h"

#include "tap.h"

#include <apr_general.h>
#include <apr_thread_proc.h>

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define OTHER_SECRET "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define VECTOR "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

static apr_pool_t *pool;

static void secrets(void)
{
    static const char *const good[] = {
        SECRET,
        OTHER_SECRET,
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",  /* 32 bytes, no padding */
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", /* 33 */
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGA==",         /* 25 */
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGA",
        "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAA==", /* 64 */
    };
    static const char *const bad[] = {
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa",    /* 22 bytes */
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaQ",   /* 23 */
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwA", /* not a whole number of bytes */
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw====",
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGA=", /* half a padding */
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGA===",
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGB==", /* unused bits set */
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS_",
        "whsec_MfKQ9r8GKYqr TwjUPD8ILPZIo2LaLaSw",
        "whsec_MfKQ9r8GKYqrTwjU=D8ILPZIo2LaLaSw",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
        "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAA=", /* 65 */
        "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    const char *one, *other;

    for (apr_size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ok(rh_secret_valid(good[i]), "a secret: case %d", (int)i);
    }
    for (apr_size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(!rh_secret_valid(bad[i]), "not a secret: case %d", (int)i);
    }
    ok(!rh_secret_valid(NULL), "NULL is not a secret");
    is_int(rh_secret_make(pool, &one), APR_SUCCESS, "a secret is made");
    rh_secret_make(pool, &other);
    ok(rh_secret_valid(one) && strlen(one) == 50, "it has 32 bytes");
    ok(strcmp(one, other) != 0, "the next one differs");
}

static void signatures(void)
{
    static const char body[] = "{\"test\": 2432232314}";
    static const char id[] = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const apr_size_t len = sizeof(body) - 1;
    const char *signature = NULL, *large_signature = NULL;
    char *large = apr_pcalloc(pool, 300000);

    is_int(rh_signature_make(pool, SECRET, id, 1614265330, body, len, &signature), APR_SUCCESS,
           "a body is signed");
    is(signature, VECTOR, "the signature is the test vector's");
    ok(rh_signature_verify(SECRET, VECTOR, id, 1614265330, body, len, pool), "it verifies");
    ok(rh_signature_verify(SECRET, "v1,AAAA  " VECTOR " v1a,x", id, 1614265330, body, len, pool),
       "it verifies among others");
    ok(!rh_signature_verify(SECRET, VECTOR, id, 1614265331, body, len, pool),
       "not with another time");
    ok(!rh_signature_verify(SECRET, VECTOR, "msg_2", 1614265330, body, len, pool),
       "nor with another id");
    ok(!rh_signature_verify(SECRET, VECTOR, id, 1614265330, body, len - 1, pool),
       "nor with another body");
    ok(!rh_signature_verify(OTHER_SECRET, VECTOR, id, 1614265330, body, len, pool),
       "nor with another secret");
    ok(!rh_signature_verify(SECRET, VECTOR "x", id, 1614265330, body, len, pool),
       "nor with more characters after it");
    ok(!rh_signature_verify(SECRET, "", id, 1614265330, body, len, pool),
       "without a signature nothing verifies");
    ok(!rh_signature_verify("whsec_x", VECTOR, id, 1614265330, body, len, pool),
       "an invalid secret verifies nothing");
    is_int(rh_signature_make(pool, "whsec_x", id, 0, body, len, &signature), APR_EINVAL,
           "an invalid secret signs nothing");
    is_int(rh_signature_make(pool, SECRET, id, 1, NULL, 0, &signature), APR_SUCCESS,
           "an empty body can be signed");
    is_int(rh_signature_make(pool, SECRET, id, 1, large, 300000, &large_signature), APR_SUCCESS,
           "so can a large one");
    ok(strlen(signature) == 47 && strlen(large_signature) == 47 &&
           strcmp(signature, large_signature) != 0,
       "both get a complete signature");
}

static rh_event_t event_of(const char *data)
{
    rh_event_t event;

    memset(&event, 0, sizeof(event));
    event.id = "0191f5a0-0000-7000-8000-000000000001";
    event.tenant = "acme";
    event.type = "employee.created";
    event.key = "7 \"\xc3\xa9\"";
    event.time = APR_INT64_C(1769900399123456);
    event.data.data = data;
    event.data.len = strlen(data);
    return event;
}

static const char *body_of(rh_format_t format, const rh_event_t *event, const char *base_url)
{
    rh_bytes_t body = rh_format_body(pool, format, event, base_url);
    const char *text = apr_pstrmemdup(pool, body.data, body.len);

    ok(rh_json_check(body.data, body.len, NULL) == APR_SUCCESS, "the body is JSON");
    return text;
}

static void bodies(void)
{
    rh_event_t event = event_of("{ \"id\" : 7,\"pay\":1.50 }");
    const char *base = "https://api.example/hooks";

    is(body_of(RH_FORMAT_ARRAY, &event, base), "[{ \"id\" : 7,\"pay\":1.50 }]",
       "array: the item byte for byte");
    is(body_of(RH_FORMAT_ENVELOPE, &event, base),
       "{\"type\":\"employee.created\",\"timestamp\":\"2026-01-31T22:59:59.123Z\","
       "\"data\":{ \"id\" : 7,\"pay\":1.50 }}",
       "envelope: type, timestamp, data");
    is(body_of(RH_FORMAT_CLOUDEVENTS, &event, base),
       "{\"specversion\":\"1.0\",\"id\":\"0191f5a0-0000-7000-8000-000000000001\","
       "\"source\":\"https://api.example/hooks\",\"type\":\"employee.created\","
       "\"time\":\"2026-01-31T22:59:59.123Z\",\"subject\":\"7 \\\"\xc3\xa9\\\"\","
       "\"datacontenttype\":\"application/json\",\"data\":{ \"id\" : 7,\"pay\":1.50 }}",
       "cloudevents: the attributes of version 1.0");
    is(body_of(RH_FORMAT_SKINNY, &event, base),
       "[{\"id\":\"0191f5a0-0000-7000-8000-000000000001\",\"type\":\"employee.created\","
       "\"key\":\"7 \\\"\xc3\xa9\\\"\","
       "\"url\":\"https://api.example/hooks/events/0191f5a0-0000-7000-8000-000000000001\"}]",
       "skinny: where to fetch the data");
    event.key = NULL;
    ok(!strstr(body_of(RH_FORMAT_CLOUDEVENTS, &event, base), "subject"),
       "cloudevents: no key, no subject");
    ok(strstr(body_of(RH_FORMAT_SKINNY, &event, NULL), "\"key\":null,\"url\":null}]"),
       "skinny: unknown values are null");
    ok(strstr(body_of(RH_FORMAT_CLOUDEVENTS, &event, NULL), "\"source\":\"/\""),
       "cloudevents: a source is required");
    is(rh_format_content_type(RH_FORMAT_CLOUDEVENTS), "application/cloudevents+json",
       "cloudevents have a content type of their own");
    is(rh_format_content_type(RH_FORMAT_ARRAY), "application/json", "others are JSON");
    is(rh_format_content_type(RH_FORMAT_SKINNY), "application/json", "skinny ones too");
}

static const char *changed(const char *previous)
{
    rh_event_t event = event_of("{}");

    event.previous.data = previous;
    event.previous.len = previous ? strlen(previous) : 0;
    return rh_payload_changed(pool, &event);
}

static void changes(void)
{
    rh_event_t event = event_of("{\"a\":1}");
    const char *many = "", *text;

    is(changed(NULL), NULL, "without earlier values no changes are listed");
    is(changed("{}"), NULL, "nor for an event that did not change");
    is(changed("{\"a\":1,\"b\":null,\"c\":[1,{\"d\":2}]}"), "/a,/b,/c",
       "changed members are listed");
    is(changed("{ \"a\" : {\"b\":{\"c\":1,\"d\":{}},\"e\":2} }"), "/a/b/c,/a/b/d,/a/e",
       "of nested objects, their members");
    is(changed("{\"a/b\":1,\"~\":1,\"c,d\":1,\"e f\":1,\"%\":1,\"\xc3\xa9\":1,\"\":1,"
               "\"x\\r\\ny\":1,\"q\\\"\":1,\"\\u0041\":1}"),
       "/a~1b,/~0,/c%2Cd,/e%20f,/%25,/%C3%A9,/,/x%0D%0Ay,/q%22,/A",
       "characters that a header can't hold are encoded");
    for (int i = 0; i < 300; i++) {
        many = apr_psprintf(pool, "%s%s\"m%d\":1", many, i ? "," : "", i);
    }
    text = changed(apr_pstrcat(pool, "{", many, "}", NULL));
    ok(strlen(text) > 990 && strlen(text) <= 1000 && strncmp(text, "/m0,/m1,", 8) == 0,
       "the list has up to 1,000 bytes");
    ok(strrchr(text, ',')[1] == '/' && strlen(strrchr(text, ',')) == 6,
       "it has only complete pointers");

    event.previous.data = "{\"a\":0}";
    event.previous.len = 7;
    is(body_of(RH_FORMAT_ENVELOPE, &event, NULL),
       "{\"type\":\"employee.created\",\"timestamp\":\"2026-01-31T22:59:59.123Z\","
       "\"data\":{\"a\":1},\"previous\":{\"a\":0}}",
       "envelope: earlier values are beside the data");
    is(body_of(RH_FORMAT_ARRAY, &event, NULL), "[{\"a\":1}]", "array: only the item");
}

static int list(void *baton, const char *name, const char *value)
{
    const char **text = baton;

    *text = apr_psprintf(pool, "%s%s: %s\n", *text, name, value);
    return 1;
}

static void headers(void)
{
    rh_job_t *job = rh_job_make();
    apr_table_t *table;
    rh_bytes_t body;
    const char *text = "", *signature;

    job->event = event_of("1");
    job->event.id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    job->subscription_id = "sub";
    job->secret = SECRET;
    job->headers = "{\"Authorization\":\"Bearer \\u00e9\\\"x\",\"X-\\u0041\":\"\"}";
    body.data = "{\"test\": 2432232314}";
    body.len = 20;
    is_int(rh_payload_headers(pool, job, 1614265330, body, &table), APR_SUCCESS,
           "an attempt gets its headers");
    apr_table_do(list, &text, table, NULL);
    is(text,
       "Authorization: Bearer \xc3\xa9\"x\nX-A: \nContent-Type: application/json\n"
       "Accept: */*\nUser-Agent: mod_resthooks/" RH_VERSION
       "\nwebhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\n"
       "webhook-timestamp: 1614265330\nwebhook-signature: " VECTOR "\n"
       "X-Hook-Event: employee.created\nX-Hook-Subscription: sub\n",
       "the subscription's own headers, and the module's");

    job->old_secret = OTHER_SECRET;
    job->event.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    job->format = RH_FORMAT_CLOUDEVENTS;
    job->headers = "{\"webhook-id\":\"forged\",\"CONTENT-TYPE\":\"text/html\"}";
    rh_payload_headers(pool, job, 1614265330, body, &table);
    signature = apr_table_get(table, "webhook-signature");
    ok(strncmp(signature, VECTOR " v1,", strlen(VECTOR) + 4) == 0 && strlen(signature) == 95,
       "two signatures while a rotated secret overlaps");
    ok(rh_signature_verify(SECRET, signature, job->event.id, 1614265330, body.data, body.len,
                           pool) &&
           rh_signature_verify(OTHER_SECRET, signature, job->event.id, 1614265330, body.data,
                               body.len, pool),
       "there is one of each secret");
    is(apr_table_get(table, "traceparent"), job->event.traceparent, "the traceparent is sent");
    is(apr_table_get(table, "webhook-id"), job->event.id,
       "the module's headers can't be overridden");
    is(apr_table_get(table, "Content-Type"), "application/cloudevents+json",
       "in any case of their names");
    is_int(apr_table_elts(table)->nelts, 9, "nor doubled");

    job->event.previous.data = "{\"a\":1}";
    job->event.previous.len = 7;
    job->headers = "{\"Via\":\"1.1 x\",\"Accept-Encoding\":\"gzip\"}";
    rh_payload_headers(pool, job, 1, body, &table);
    is(apr_table_get(table, "X-Hook-Changed"), "/a", "changed members are listed");
    ok(!apr_table_get(table, "Via") && !apr_table_get(table, "Accept-Encoding"),
       "a stored header that is reserved now is not sent");
    job->format = RH_FORMAT_ENVELOPE;
    rh_payload_headers(pool, job, 1, body, &table);
    is(apr_table_get(table, "X-Hook-Changed"), NULL, "unless the body shows it");

    job->headers = NULL;
    is_int(rh_payload_headers(pool, job, 1, body, &table), APR_SUCCESS,
           "a subscription without headers has none");
    job->secret = "broken";
    is_int(rh_payload_headers(pool, job, 1, body, &table), APR_EINVAL,
           "without a valid secret nothing is sent");
    rh_job_destroy(job);
    rh_job_destroy(NULL);
    ok(true, "NULL can be destroyed");
}

static void *APR_THREAD_FUNC destroy_job(apr_thread_t *thread, void *data)
{
    rh_job_t *job = data;

    apr_palloc(job->pool, 100000);
    rh_job_destroy(job);
    apr_thread_exit(thread, APR_SUCCESS);
    return NULL;
}

static void jobs(void)
{
    for (int i = 0; i < 20; i++) {
        apr_thread_t *thread;
        apr_status_t status;
        rh_job_t *job = rh_job_make();

        job->tenant = apr_pstrdup(job->pool, "acme");
        apr_palloc(job->pool, 50000);
        apr_thread_create(&thread, NULL, destroy_job, job, pool);
        apr_thread_join(&status, thread);
    }
    ok(true, "a job made in one thread can be destroyed in another");
}

static void deliveries(void)
{
    static const rh_attempt_t attempt = {.id = "a1",
                                         .number = 1,
                                         .started_at = APR_INT64_C(1769900399123456),
                                         .duration = APR_INT64_C(1234567),
                                         .status_code = 503,
                                         .headers = "{\"Retry-After\":\"5\"}",
                                         .answer = "busy\n\"x\"",
                                         .format = RH_FORMAT_ARRAY};
    static const rh_attempt_t failure = {.id = "a2",
                                         .number = 2,
                                         .started_at = APR_INT64_C(1769900400000000),
                                         .duration = 999,
                                         .error = "connect: connection refused",
                                         .format = RH_FORMAT_ARRAY};
    rh_delivery_t delivery;
    rh_delivery_state_t state = RH_DELIVERY_PENDING;
    apr_size_t len;

    memset(&delivery, 0, sizeof(delivery));
    delivery.id = "d1";
    delivery.subscription_id = "s1";
    delivery.event = event_of("{\"a\":1.0}");
    delivery.event.key = NULL;
    delivery.created_at = APR_INT64_C(1769900399123456);
    delivery.event.data.data = NULL;
    is(rh_json_text(pool, rh_json_own(pool, rh_delivery_json(&delivery, pool)), &len),
       "{\"id\":\"d1\",\"event_id\":\"0191f5a0-0000-7000-8000-000000000001\","
       "\"subscription_id\":\"s1\",\"type\":\"employee.created\",\"key\":null,"
       "\"state\":\"pending\",\"target_url\":null,\"attempt_count\":0,\"last_status_code\":null,"
       "\"created_at\":\"2026-01-31T22:59:59.123Z\",\"next_attempt_at\":null,"
       "\"waiting_for\":null}",
       "a delivery of a list");
    delivery.event = event_of("{\"a\":1.0}");
    delivery.state = RH_DELIVERY_FAILED;
    delivery.target_url = "https://e.com/";
    delivery.attempt_count = 2;
    delivery.last_status_code = 503;
    delivery.next_attempt_at = delivery.created_at;
    delivery.waiting_for = "target";
    delivery.attempts = apr_array_make(pool, 2, sizeof(rh_attempt_t *));
    APR_ARRAY_PUSH(delivery.attempts, const rh_attempt_t *) = &attempt;
    APR_ARRAY_PUSH(delivery.attempts, const rh_attempt_t *) = &failure;
    is(rh_json_text(pool, rh_json_own(pool, rh_delivery_json(&delivery, pool)), &len),
       "{\"id\":\"d1\",\"event_id\":\"0191f5a0-0000-7000-8000-000000000001\","
       "\"subscription_id\":\"s1\",\"type\":\"employee.created\",\"key\":\"7 \\\"\xc3\xa9\\\"\","
       "\"state\":\"failed\",\"target_url\":\"https://e.com/\",\"attempt_count\":2,"
       "\"last_status_code\":503,\"created_at\":\"2026-01-31T22:59:59.123Z\","
       "\"next_attempt_at\":\"2026-01-31T22:59:59.123Z\",\"waiting_for\":\"target\","
       "\"payload\":[{\"a\":1.0}],"
       "\"attempts\":[{\"id\":\"a1\",\"number\":1,\"time\":\"2026-01-31T22:59:59.123Z\","
       "\"ms\":1234,\"status_code\":503,\"headers\":{\"Retry-After\":\"5\"},"
       "\"answer\":\"busy\\n\\\"x\\\"\",\"error\":null,\"sent\":null},"
       "{\"id\":\"a2\",\"number\":2,\"time\":\"2026-01-31T23:00:00.000Z\",\"ms\":0,"
       "\"status_code\":null,\"headers\":null,\"answer\":null,"
       "\"error\":\"connect: connection refused\",\"sent\":null}]}",
       "a delivery with its payload and attempts");
    for (int i = 0; i < 4; i++) {
        const char *name = rh_delivery_state_name((rh_delivery_state_t)i);

        ok(rh_delivery_state_parse(name, &state) && (int)state == i, "state %s has a name", name);
    }
    ok(!rh_delivery_state_parse("", &state), "unknown names are refused");
}

static void problems(void)
{
    rh_problem_t *problem = rh_problem_make(pool);
    apr_size_t len;

    ok(!rh_problem_is(problem), "a new problem has no error");
    rh_problem_set(problem, 404, "No %s has this id.", "event");
    rh_problem_set(problem, 500, "later");
    ok(rh_problem_is(problem), "then it has one");
    is(rh_problem_text(problem, pool, &len),
       "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
       "\"detail\":\"No event has this id.\"}",
       "the first call wins");
    is_int((long long)len, (long long)strlen(rh_problem_text(problem, pool, &len)),
           "the length is the text's");
    problem = rh_problem_make(pool);
    rh_problem_field(problem, "headers.\"\xff", "is %d%%", 50);
    ok(problem->status == 422 && strstr(rh_problem_text(problem, pool, &len),
                                        "\"title\":\"Unprocessable Content\",\"status\":422,"),
       "a field error makes it 422");
    ok(strstr(rh_problem_text(problem, pool, &len),
              "\"errors\":[{\"field\":\"headers.\\\"\xef\xbf\xbd\",\"detail\":\"is 50%\"}]"),
       "it is listed, as UTF-8");
    for (int i = 0; i < 300; i++) {
        rh_problem_field(problem, "x", "y");
    }
    is_int(problem->errors->nelts, 100, "at most a hundred are kept");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    secrets();
    signatures();
    bodies();
    changes();
    headers();
    jobs();
    deliveries();
    problems();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
