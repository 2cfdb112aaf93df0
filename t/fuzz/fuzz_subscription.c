/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_event_type.h"
#include "rh_payload.h"
#include "rh_signature.h"
#include "rh_subscription.h"

#include <apr_general.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

static void demand(bool condition)
{
    if (!condition) {
        abort();
    }
}

/** What a header of an attempt may contain, whatever its source. */
static int check_header(void *baton, const char *name, const char *value)
{
    (void)baton;
    demand(*name && !strpbrk(name, " \t\r\n:"));
    demand(!strpbrk(value, "\r\n"));
    return 1;
}

static void check(apr_pool_t *pool, const rh_subscription_t *subscription)
{
    rh_job_t job;
    rh_bytes_t body = {"[1]", 3};
    apr_table_t *headers;

    demand(subscription->target_url && subscription->events->nelts > 0);
    for (int i = 0; i < subscription->events->nelts; i++) {
        const char *pattern = APR_ARRAY_IDX(subscription->events, i, const char *);

        demand(rh_event_pattern_valid(pattern, strlen(pattern)));
    }
    demand(strlen(subscription->description) <= 1000);
    demand(subscription->rate_limit >= 0 && subscription->rate_limit <= 100000);
    memset(&job, 0, sizeof(job));
    job.event.id = "id";
    job.event.type = "a.b";
    job.subscription_id = "id";
    job.secret = SECRET;
    job.headers = subscription->headers;
    demand(rh_payload_headers(pool, &job, 1, body, &headers) == APR_SUCCESS);
    apr_table_do(check_header, NULL, headers, NULL);
    demand(strcmp(apr_table_get(headers, "webhook-id"), "id") == 0);
    demand(!apr_table_get(headers, "Host") && !apr_table_get(headers, "Content-Length"));
}

/** Create from the input; replacing the subscription with its JSON must not change it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const rh_subscription_rules_t rules = {false, NULL, NULL, NULL};
    static int initialized;
    struct json_object *body;
    rh_subscription_t subscription;
    rh_problem_t *problem;
    apr_pool_t *pool;
    const char *before, *after;
    apr_size_t len;

    if (!initialized) {
        apr_initialize();
        initialized = 1;
    }
    apr_pool_create(&pool, NULL);
    if (rh_json_parse(pool, (const char *)data, size, &body, NULL) != APR_SUCCESS) {
        apr_pool_destroy(pool);
        return 0;
    }
    memset(&subscription, 0, sizeof(subscription));
    subscription.tenant = "tenant";
    problem = rh_problem_make(pool);
    rh_subscription_read(&subscription, body, RH_READ_CREATE, &rules, pool, problem);
    if (!rh_problem_is(problem)) {
        check(pool, &subscription);
        subscription.id = "id";
        before = rh_json_text(
            pool, rh_json_own(pool, rh_subscription_json(&subscription, false, pool)), &len);
        demand(rh_json_parse(pool, before, len, &body, NULL) == APR_SUCCESS);
        rh_subscription_read(&subscription, body, RH_READ_REPLACE, &rules, pool, problem);
        demand(!rh_problem_is(problem));
        after = rh_json_text(
            pool, rh_json_own(pool, rh_subscription_json(&subscription, false, pool)), &len);
        demand(strcmp(before, after) == 0);
    }
    rh_problem_text(problem, pool, &len);

    memset(&subscription, 0, sizeof(subscription));
    problem = rh_problem_make(pool);
    subscription.target_url = "https://example.com/";
    subscription.events = apr_array_make(pool, 1, sizeof(const char *));
    APR_ARRAY_PUSH(subscription.events, const char *) = "*";
    subscription.description = "";
    subscription.headers = "{\"X-A\":\"1\"}";
    rh_subscription_read(&subscription, body, RH_READ_PATCH, &rules, pool, problem);
    if (!rh_problem_is(problem)) {
        check(pool, &subscription);
    }
    apr_pool_destroy(pool);
    return 0;
}
