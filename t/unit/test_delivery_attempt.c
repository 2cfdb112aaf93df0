/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_attempt.h"

#include "rh_sent.h"

#include "tap.h"

#include <apr_general.h>

static apr_pool_t *pool;

static rh_exchange_t make_exchange(void)
{
    rh_exchange_t exchange = {.result = RH_EXCHANGE_OK,
                              .status_code = 200,
                              .url = "https://example.com/in?a=\"b\"",
                              .duration = apr_time_from_msec(21),
                              .times = {-1, -1, -1, 12345}};

    exchange.headers = apr_table_make(pool, 4);
    apr_table_addn(exchange.headers, "webhook-id", "019");
    apr_table_addn(exchange.headers, "X-Token-For-You", "secret");
    apr_table_addn(exchange.headers, "authorization", "Bearer abc");
    apr_table_addn(exchange.headers, "X-A", "1");
    apr_table_addn(exchange.headers, "x-a", "2");
    return exchange;
}

/** What the API shows of a description. */
static const char *describe(const rh_job_t *job, const rh_exchange_t *exchange)
{
    rh_attempt_t attempt = {.id = NULL};

    rh_attempt_describe(&attempt, job, exchange, pool);
    return attempt.template ? rh_sent_join(pool, attempt.template, attempt.sent, &job->event)
                            : attempt.sent;
}

static void test_sent(void)
{
    rh_exchange_t exchange = make_exchange();
    rh_job_t job = {.format = RH_FORMAT_ENVELOPE, .event = {.id = "019", .type = "a.b"}};

    is(describe(&job, &exchange),
       "{\"url\":\"https://example.com/in?a=\\\"b\\\"\",\"format\":\"envelope\",\"headers\":{"
       "\"webhook-id\":\"019\",\"X-Token-For-You\":\"********\",\"authorization\":\"********\","
       "\"X-A\":\"1, 2\"},\"address\":null,\"times\":{\"first_byte_ms\":12.3,\"total_ms\":21.0}}",
       "URL, format, header and times are recorded, without secrets");
    apr_cpystrn(exchange.address, "[2001:db8::1]:443", sizeof(exchange.address));
    exchange.times = (rh_exchange_times_t){0, 1049, 9999999, -1};
    apr_table_clear(exchange.headers);
    is(describe(&job, &exchange),
       "{\"url\":\"https://example.com/in?a=\\\"b\\\"\",\"format\":\"envelope\",\"headers\":{},"
       "\"address\":\"[2001:db8::1]:443\",\"times\":{\"resolve_ms\":0.0,\"connect_ms\":1.0,"
       "\"tls_ms\":10000.0,\"total_ms\":21.0}}",
       "so are the address, and the duration of each part that took place");
    exchange.headers = NULL;
    ok(describe(&job, &exchange) == NULL, "a request that was not made has nothing recorded");
}

/** Describe a usual attempt of an event. */
static rh_attempt_t describe_usual(rh_job_t *job, const char *id, const char *timestamp,
                                   apr_interval_time_t time)
{
    rh_exchange_t exchange = make_exchange();
    rh_attempt_t attempt = {.id = NULL};

    job->event.id = id;
    apr_table_setn(exchange.headers, "webhook-id", id);
    apr_table_setn(exchange.headers, "webhook-timestamp", timestamp);
    apr_table_setn(exchange.headers, "webhook-signature", timestamp);
    apr_table_setn(exchange.headers, "X-Hook-Event", job->event.type);
    apr_cpystrn(exchange.address, timestamp, sizeof(exchange.address));
    exchange.times = (rh_exchange_times_t){-1, -1, -1, time};
    exchange.duration = time;
    rh_attempt_describe(&attempt, job, &exchange, pool);
    return attempt;
}

static void test_template(void)
{
    rh_job_t one = {.event = {.type = "a.b"}}, other = {.event = {.type = "c.d"}};
    rh_attempt_t first = describe_usual(&one, "018", "1", 12345);
    rh_attempt_t second = describe_usual(&other, "019", "2", 100);

    is(second.template, first.template,
       "attempts of one subscription have their template in common");
    is(second.sent, "2\n2\n2\n0.1\n0.1", "an attempt has its own timestamp, address and times");
    other.format = RH_FORMAT_SKINNY;
    second = describe_usual(&other, "019", "2", 100);
    ok(strcmp(second.template, first.template) != 0, "in another format, the template is another");
}

static void test_fill(void)
{
    rh_exchange_t exchange = make_exchange();
    rh_job_t job = {.format = RH_FORMAT_ARRAY, .attempt_count = 2};
    rh_attempt_t attempt;

    memset(&attempt, 0x55, sizeof(attempt));
    exchange.answer = (rh_bytes_t){"a\0b\xff", 4};
    exchange.answer_headers = apr_table_make(pool, 1);
    apr_table_setn(exchange.answer_headers, "Set-Cookie", "a=b");
    rh_attempt_fill(&attempt, &job, &exchange, pool);
    ok(attempt.number == 3 && attempt.status_code == 200 && attempt.error == NULL,
       "number and status code are the attempt's");
    is(attempt.answer,
       "a\xEF\xBF\xBD"
       "b\xEF\xBF\xBD",
       "the body of the response is shown as valid UTF-8");
    is(attempt.headers, "{\"Set-Cookie\":\"a=b\"}", "its header is recorded unchanged");
    ok(attempt.sent == NULL && attempt.template == NULL,
       "the request is added by a log that stores it");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_sent();
    test_template();
    test_fill();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
