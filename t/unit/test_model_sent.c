/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_sent.h"

#include "tap.h"

#include <apr_general.h>

static apr_pool_t *pool;

static const rh_event_t event = {.id = "0190", .type = "order.paid"};

static const char *join(rh_sent_t *sent)
{
    return rh_sent_join(pool, rh_sent_template(sent), rh_sent_values(sent), &event);
}

static void test_fields(void)
{
    rh_sent_t sent;

    rh_sent_begin(&sent, pool, &event);
    rh_sent_add(&sent, "{");
    rh_sent_add_field(&sent, "Webhook-Id", "0190");
    rh_sent_add(&sent, ",");
    rh_sent_add_field(&sent, "x-hook-event", "order.paid");
    rh_sent_add(&sent, ",");
    rh_sent_add_field(&sent, "traceparent", "00-\"\n\\v");
    rh_sent_add(&sent, ",");
    rh_sent_add_field(&sent, "X-Own", "a\nv\xff");
    rh_sent_add(&sent, "}");
    is(rh_sent_values(&sent), "00-\\\"\\u000a\\\\v", "an attempt's values are those that vary");
    is(rh_sent_template(&sent),
       "{\"Webhook-Id\":\"\ni\",\"x-hook-event\":\"\nt\",\"traceparent\":\"\nv\","
       "\"X-Own\":\"a\\u000av\xEF\xBF\xBD\"}",
       "the template has all else, and gaps for the event's id and type");
    is(join(&sent),
       "{\"Webhook-Id\":\"0190\",\"x-hook-event\":\"order.paid\",\"traceparent\":"
       "\"00-\\\"\\u000a\\\\v\",\"X-Own\":\"a\\u000av\xEF\xBF\xBD\"}",
       "together they are the description, byte for byte");
}

static void test_foreign_id(void)
{
    rh_sent_t sent;

    rh_sent_begin(&sent, pool, &event);
    rh_sent_add_field(&sent, "webhook-id", "0191");
    rh_sent_add_field(&sent, "X-Hook-Event", "order.paid.x");
    is(join(&sent), "\"webhook-id\":\"0191\"\"X-Hook-Event\":\"order.paid.x\"",
       "an id and a type that are not the event's are kept as they were sent");
}

static void test_values(void)
{
    rh_sent_t sent;

    rh_sent_begin(&sent, pool, &event);
    rh_sent_add(&sent, "a");
    is(join(&sent), "a", "a description may have no values");
    rh_sent_add_value(&sent, "");
    rh_sent_add_value(&sent, "1");
    rh_sent_add(&sent, "b");
    rh_sent_add_value(&sent, "");
    is(join(&sent), "a1b", "values may be empty, the first and the last too");
    ok(rh_sent_join(pool, "\nv\nv", "1", &event) == NULL, "a description needs all its values");
    ok(rh_sent_join(pool, "a\nx", "1", &event) == NULL, "and gaps of known kinds");
    ok(rh_sent_join(pool, "a\n", "1", &event) == NULL, "and a whole template");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_fields();
    test_foreign_id();
    test_values();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
