/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Header fields of subscriptions: reserved names, names in two cases, masks for credentials. */
#include "rh_header.h"
#include "rh_subscription.h"

#include "tap.h"

#include <apr_general.h>

#define HEADERS(text) "{\"headers\":" text "}"

static apr_pool_t *pool;

static const rh_subscription_rules_t rules = {false, NULL, NULL, NULL};

/** Apply a body; "" or the field errors. */
static const char *apply(rh_subscription_t *subscription, rh_read_mode_t mode, const char *body)
{
    rh_problem_t *problem = rh_problem_make(pool);
    const char *text = "";
    struct json_object *tree;

    if (rh_json_parse(pool, body, strlen(body), &tree, NULL) != APR_SUCCESS) {
        return "the test's own body is not JSON";
    }
    rh_subscription_read(subscription, tree, mode, &rules, pool, problem);
    for (int i = 0; i < problem->errors->nelts; i++) {
        const rh_field_error_t *error = &APR_ARRAY_IDX(problem->errors, i, rh_field_error_t);

        text = apr_psprintf(pool, "%s%s: %s;", text, error->field, error->detail);
    }
    return text;
}

/** Make a stored subscription with these headers. */
static rh_subscription_t stored(const char *headers)
{
    rh_subscription_t subscription;

    memset(&subscription, 0, sizeof(subscription));
    subscription.tenant = "acme";
    apply(&subscription, RH_READ_CREATE, "{\"url\":\"https://example.com/\",\"event\":\"*\"}");
    subscription.id = "0191f5a0-0000-7000-8000-000000000001";
    subscription.secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    subscription.headers = headers;
    return subscription;
}

/** Return the member `headers` as the API shows it. */
static const char *shown(const rh_subscription_t *subscription)
{
    struct json_object *tree = rh_json_own(pool, rh_subscription_json(subscription, true, pool));
    apr_size_t len;

    return rh_json_text(pool, json_object_object_get(tree, "headers"), &len);
}

static void names(void)
{
    static const char *const reserved[] = {
        "Accept", "Accept-Encoding", "HTTP2-Settings",  "Via",
        "Date",   "X_Token",         "Proxy-Authorize", "Transfer-Encoding"};
    static const char *const secret[] = {
        "Authorization", "authorization", "Cookie", "X-Api-Key", "X-Auth",        "Api-Token",
        "Client-Secret", "X-PASSWORD",    "APIKEY", "X-Monkey",  "X-Credentials",
    };
    static const char *const open[] = {"X-A", "X-Request-Id", "Cache-Control", "Priority", "From"};

    for (apr_size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++) {
        ok(rh_header_reserved(reserved[i]), "%s can't be set", reserved[i]);
    }
    for (apr_size_t i = 0; i < sizeof(secret) / sizeof(*secret); i++) {
        ok(!rh_header_reserved(secret[i]) && rh_header_secret(secret[i]), "%s is secret",
           secret[i]);
    }
    for (apr_size_t i = 0; i < sizeof(open) / sizeof(*open); i++) {
        ok(!rh_header_reserved(open[i]) && !rh_header_secret(open[i]), "%s is shown", open[i]);
    }
}

static void cases(void)
{
    rh_subscription_t subscription = stored("{\"X-A\":\"1\",\"X-B\":\"2\"}");

    is(apply(&subscription, RH_READ_REPLACE,
             "{\"url\":\"https://example.com/\",\"event\":\"*\","
             "\"headers\":{\"X-A\":\"1\",\"x-a\":\"2\"}}"),
       "headers.x-a: is the same field as X-A;", "one name in two cases is refused");
    subscription = stored("{\"X-A\":\"1\",\"X-B\":\"2\"}");
    is(apply(&subscription, RH_READ_PATCH, HEADERS("{\"x-a\":\"3\"}")), "",
       "a patch may write a name in another case");
    is(subscription.headers, "{\"X-B\":\"2\",\"x-a\":\"3\"}", "it replaces the field");
    apply(&subscription, RH_READ_PATCH, HEADERS("{\"X-A\":null,\"x-b\":\"4\"}"));
    is(subscription.headers, "{\"x-b\":\"4\"}", "it can remove it");
    is(apply(&subscription, RH_READ_PATCH, HEADERS("{\"X\":null,\"x\":null}")),
       "headers.x: is the same field as X;", "nor may a patch name it twice");
}

static void masks(void)
{
    rh_subscription_t subscription =
        stored("{\"X-A\":\"1\",\"Authorization\":\"Bearer t\",\"X-Api-Key\":\"k\"}");

    is(shown(&subscription),
       "{\"X-A\":\"1\",\"Authorization\":\"" RH_HEADER_MASK "\",\"X-Api-Key\":\"" RH_HEADER_MASK
       "\"}",
       "values of credentials are never shown");
    is(apply(&subscription, RH_READ_PATCH,
             HEADERS("{\"Authorization\":\"" RH_HEADER_MASK "\",\"X-A\":\"2\"}")),
       "", "a mask may be sent back");
    is(subscription.headers, "{\"X-A\":\"2\",\"Authorization\":\"Bearer t\",\"X-Api-Key\":\"k\"}",
       "it keeps the stored value");
    is(apply(&subscription, RH_READ_REPLACE,
             "{\"url\":\"https://example.com/\",\"event\":\"*\","
             "\"headers\":{\"authorization\":\"" RH_HEADER_MASK "\",\"X-Api-Key\":\"new\"}}"),
       "", "also in a replacement");
    is(subscription.headers, "{\"authorization\":\"Bearer t\",\"X-Api-Key\":\"new\"}",
       "the name's case does not matter; another value is stored");
    is(apply(&subscription, RH_READ_PATCH, HEADERS("{\"X-Token\":\"" RH_HEADER_MASK "\"}")),
       "headers.X-Token: is a mask, but no value is stored;",
       "a mask without a stored value is refused");
    is(apply(&subscription, RH_READ_PATCH, HEADERS("{\"X-Stars\":\"" RH_HEADER_MASK "\"}")), "",
       "in another field it is an ordinary value");
    subscription = stored("{}");
    ok(*apply(&subscription, RH_READ_CREATE,
              "{\"url\":\"https://example.com/\",\"event\":\"*\","
              "\"headers\":{\"Authorization\":\"" RH_HEADER_MASK "\"}}"),
       "a new subscription has no value to keep");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    names();
    cases();
    masks();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
