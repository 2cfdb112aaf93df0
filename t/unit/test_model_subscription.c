/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_delivery.h"

#include "tap.h"

#include <apr_general.h>

static apr_pool_t *pool;

static bool type_known(void *baton, const char *type)
{
    (void)baton;
    return strncmp(type, "employee.", 9) == 0;
}

static bool address_allowed(void *baton, const rh_url_t *url)
{
    (void)baton;
    return strcmp(url->host, "192.0.2.1") == 0 || strcmp(url->host, "2001:db8::1") == 0;
}

static const rh_subscription_rules_t rules = {true, type_known, address_allowed, NULL};
static const rh_subscription_rules_t lax = {false, NULL, NULL, NULL};

/** Apply a body; returns the problem. */
static rh_problem_t *apply(rh_subscription_t *subscription, rh_read_mode_t mode,
                           const rh_subscription_rules_t *rule, const char *body)
{
    rh_problem_t *problem = rh_problem_make(pool);
    struct json_object *tree;

    if (rh_json_parse(pool, body, strlen(body), &tree, NULL) != APR_SUCCESS) {
        rh_problem_set(problem, 400, "The test's own body is not JSON.");
        return problem;
    }
    rh_subscription_read(subscription, tree, mode, rule, pool, problem);
    return problem;
}

/** "" or every "field: detail;" of a problem. */
static const char *complaints(const rh_problem_t *problem)
{
    const char *text = "";

    if (problem->status && problem->status != 422) {
        return apr_psprintf(pool, "%d", problem->status);
    }
    for (int i = 0; i < problem->errors->nelts; i++) {
        const rh_field_error_t *error = &APR_ARRAY_IDX(problem->errors, i, rh_field_error_t);

        text = apr_psprintf(pool, "%s%s: %s;", text, error->field, error->detail);
    }
    return text;
}

static rh_subscription_t made(void)
{
    rh_subscription_t subscription;

    memset(&subscription, 0, sizeof(subscription));
    subscription.tenant = "acme";
    apply(&subscription, RH_READ_CREATE, &rules,
          "{\"target_url\":\"https://example.com/in\",\"events\":[\"employee.*\"],"
          "\"description\":\"d\",\"format\":\"skinny\",\"headers\":{\"X-A\":\"1\",\"X-B\":\"2\"},"
          "\"ordered\":true,\"rate_limit\":5}");
    subscription.id = "0191f5a0-0000-7000-8000-000000000001";
    subscription.secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    subscription.created_at = APR_INT64_C(1769900399123000);
    subscription.updated_at = subscription.created_at;
    return subscription;
}

static const char *text_of(const rh_subscription_t *subscription, bool secret)
{
    apr_size_t len;

    return rh_json_text(pool, rh_json_own(pool, rh_subscription_json(subscription, secret, pool)),
                        &len);
}

static void creating(void)
{
    rh_subscription_t subscription;

    memset(&subscription, 0, sizeof(subscription));
    is(complaints(apply(&subscription, RH_READ_CREATE, &rules,
                        "{\"target_url\":\"https://example.com/in\","
                        "\"events\":[\"employee.created\",\"*\",\"employee.created\"]}")),
       "", "a target and events make a subscription");
    is(subscription.target_url, "https://example.com/in", "with its target");
    is(apr_array_pstrcat(pool, subscription.events, ' '), "employee.created *",
       "its events, none twice");
    is(subscription.description, "", "no description");
    is(subscription.headers, "{}", "no headers");
    is_int(subscription.format, RH_FORMAT_ARRAY, "the array format");
    is_int(subscription.state, RH_SUBSCRIPTION_ACTIVE, "active");
    is_int(subscription.rate_limit, 0, "no limit");
    ok(!subscription.ordered, "no order");
    is(subscription.secret, NULL, "and a secret that the caller makes");

    subscription = made();
    is(subscription.headers, "{\"X-A\":\"1\",\"X-B\":\"2\"}", "headers are kept");
    is_int(subscription.format, RH_FORMAT_SKINNY, "so is the format");
    is_int(subscription.rate_limit, 5, "and the limit");
    ok(subscription.ordered, "and the order");

    memset(&subscription, 0, sizeof(subscription));
    is(complaints(apply(&subscription, RH_READ_CREATE, &rules,
                        "{\"target_url\":\"https://e.com\",\"event\":\"employee.*\","
                        "\"active\":false,\"secret\":\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"}")),
       "", "it may begin paused, with a secret of one's own");
    is_int(subscription.state, RH_SUBSCRIPTION_PAUSED, "paused");
    is(subscription.secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "the secret");
}

static void aliases(void)
{
    static const char *const names[] = {"target_url", "target", "url", "hookUrl",
                                        "subscription_url"};
    rh_subscription_t subscription;

    for (apr_size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *body = apr_psprintf(
            pool, "{\"%s\":\"https://e.com/\",\"event\":\"employee.created\"}", names[i]);

        memset(&subscription, 0, sizeof(subscription));
        is(complaints(apply(&subscription, RH_READ_CREATE, &rules, body)), "", names[i]);
        is(subscription.target_url, "https://e.com/", "serves as the target");
        is(apr_array_pstrcat(pool, subscription.events, ' '), "employee.created",
           "event serves as events");
    }
    is(complaints(apply(&subscription, RH_READ_CREATE, &rules,
                        "{\"url\":\"https://e.com/\",\"hookUrl\":\"https://e.com/\","
                        "\"event\":\"*\",\"events\":[\"*\"]}")),
       "hookUrl: says the same as url;event: says the same as events;",
       "two names of one thing are an error");
    is(complaints(apply(&subscription, RH_READ_CREATE, &rules,
                        "{\"hookUrl\":\"http://e.com/\",\"event\":7}")),
       "hookUrl: must be an https URL;event: must be a string;",
       "errors name the field that was sent");
}

/** A create with one more member, or with that member instead. */
static const char *with(const rh_subscription_rules_t *rule, const char *member)
{
    bool target = strncmp(member, "\"target_url\"", 12) == 0;
    bool events = strncmp(member, "\"events\"", 8) == 0;
    rh_subscription_t subscription;

    memset(&subscription, 0, sizeof(subscription));
    return complaints(
        apply(&subscription, RH_READ_CREATE, rule,
              apr_psprintf(pool, "{%s%s%s}", target ? "" : "\"target_url\":\"https://e.com/\",",
                           events ? "" : "\"events\":[\"employee.created\"],", member)));
}

static void bad_fields(void)
{
    static const struct {
        const char *member, *complaint;
    } cases[] = {
        {"\"target_url\":null", "target_url: is required;"},
        {"\"target_url\":7", "target_url: must be a string;"},
        {"\"target_url\":[\"https://e.com\"]", "target_url: must be a string;"},
        {"\"target_url\":\"\"", "target_url: must be an absolute http or https URL;"},
        {"\"target_url\":\"https://e.com/\\u0000\"", "target_url: must not contain U+0000;"},
        {"\"target_url\":\"http://e.com/\"", "target_url: must be an https URL;"},
        {"\"target_url\":\"https://u:p@e.com/\"", "target_url: must not contain credentials;"},
        {"\"target_url\":\"https://e.com/#x\"", "target_url: must not have a fragment;"},
        {"\"target_url\":\"https://e.com:0/\"", "target_url: has a bad port: 1-65535;"},
        {"\"target_url\":\"https://127.0.0.1/\"",
         "target_url: names an address that is not allowed;"},
        {"\"target_url\":\"https://[::ffff:127.0.0.1]/\"",
         "target_url: names an address that is not allowed;"},
        {"\"target_url\":\"https://[2001:DB8:0::1]/\"", ""},
        {"\"target_url\":\"https://192.0.2.1/\"", ""},
        {"\"target_url\":\"https://0x7f000001/\"",
         "target_url: has an IPv4 address that is not four decimal octets;"},
        {"\"target_url\":\"https://m\\u00fcnchen.de/\"", ""},
        {"\"target_url\":\"https://m\\u00fcnchen.de/\\u00fc\"",
         "target_url: must be ASCII after its host: percent-encode the path;"},
        {"\"events\":null", "events: is required;"},
        {"\"events\":\"employee.created\"", "events: must be an array of event types;"},
        {"\"events\":[]", "events: must name 1 to 100 event types;"},
        {"\"events\":[null]", "events[0]: must be a string;"},
        {"\"events\":[\"employee.created\",\"nonsense\",7]",
         "events[1]: must be an event type such as employee.created, employee.* or *;"
         "events[2]: must be a string;"},
        {"\"events\":[\"invoice.paid\"]",
         "events[0]: is not an event type of this API: invoice.paid;"},
        {"\"events\":[\"invoice.*\"]", ""},
        {"\"events\":[\"employee.created\\u0000\"]", "events[0]: must not contain U+0000;"},
        {"\"active\":null", ""},
        {"\"active\":1", "active: must be true or false;"},
        {"\"active\":\"true\"", "active: must be true or false;"},
        {"\"description\":null", ""},
        {"\"description\":{}", "description: must be a string;"},
        {"\"format\":null", ""},
        {"\"format\":\"xml\"", "format: must be one of array, envelope, cloudevents, skinny;"},
        {"\"format\":\"Array\"", "format: must be one of array, envelope, cloudevents, skinny;"},
        {"\"format\":true", "format: must be a string;"},
        {"\"ordered\":\"yes\"", "ordered: must be true or false;"},
        {"\"ordered\":null", ""},
        {"\"rate_limit\":null", ""},
        {"\"rate_limit\":1", ""},
        {"\"rate_limit\":100000", ""},
        {"\"rate_limit\":100001", "rate_limit: must be null or a whole number, 1-100000;"},
        {"\"rate_limit\":0", "rate_limit: must be null or a whole number, 1-100000;"},
        {"\"rate_limit\":-1", "rate_limit: must be null or a whole number, 1-100000;"},
        {"\"rate_limit\":1.5", "rate_limit: must be null or a whole number, 1-100000;"},
        {"\"rate_limit\":\"5\"", "rate_limit: must be null or a whole number, 1-100000;"},
        {"\"rate_limit\":99999999999999999999999",
         "rate_limit: must be null or a whole number, 1-100000;"},
        {"\"secret\":null", ""},
        {"\"secret\":7", "secret: must be a string;"},
        {"\"secret\":\"hunter2\"", "secret: must be whsec_ and the base64 of 24 to 64 bytes;"},
        {"\"secret\":\"whsec_AAAA\"", "secret: must be whsec_ and the base64 of 24 to 64 bytes;"},
        {"\"colour\":1", "colour: is not a field of a subscription;"},
        {"\"\":1", ": is not a field of a subscription;"},
        {"\"Active\":true", "Active: is not a field of a subscription;"},
        {"\"id\":7,\"state\":null,\"state_reason\":[],\"created_at\":0,\"updated_at\":{},"
         "\"stats\":\"\"",
         ""},
    };
    rh_subscription_t subscription;

    for (apr_size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is(with(&rules, cases[i].member), cases[i].complaint, cases[i].member);
    }
    is(with(&lax, "\"target_url\":\"http://127.0.0.1:8080/\""), "",
       "http and any address where the rules say so");
    is(with(&lax, "\"events\":[\"invoice.paid\"]"), "", "any type where no catalogue is asked");
    is(complaints(apply(&subscription, RH_READ_CREATE, &rules, "{}")),
       "target_url: is required;events: is required;", "a target and events are required");
    is(complaints(apply(&subscription, RH_READ_REPLACE, &rules, "{}")),
       "target_url: is required;events: is required;", "also to replace");
    is(complaints(apply(&subscription, RH_READ_CREATE, &rules, "null")), ": must be a JSON object;",
       "null is not a subscription");
    is(complaints(apply(&subscription, RH_READ_CREATE, &rules, "[]")), ": must be a JSON object;",
       "nor is an array");
}

static void sizes(void)
{
    char large[9000];
    const char *list = "", *fields = "";

    memset(large, 'x', sizeof(large));
    is(with(&rules, apr_psprintf(pool, "\"description\":\"%.1000s\"", large)), "",
       "a description may have 1,000 bytes");
    is(with(&rules, apr_psprintf(pool, "\"description\":\"%.1001s\"", large)),
       "description: must be at most 1000 bytes;", "and no more");
    is(with(&rules, apr_psprintf(pool, "\"headers\":{\"X-Y\":\"%.8190s\"}", large)), "",
       "a header may have 8,190");
    is(with(&rules, apr_psprintf(pool, "\"headers\":{\"X-Y\":\"%.8191s\"}", large)),
       "headers.X-Y: must be at most 8190 bytes without control characters;", "and no more");
    is(with(&rules, apr_psprintf(pool, "\"headers\":{\"%.100s\":\"\"}", large)), "",
       "a header's name may have 100");
    ok(*with(&rules, apr_psprintf(pool, "\"headers\":{\"%.101s\":\"\"}", large)), "and no more");
    for (int i = 0; i < 100; i++) {
        list = apr_psprintf(pool, "%s%s\"employee.e%d\"", list, i ? "," : "", i);
    }
    is(with(&rules, apr_psprintf(pool, "\"events\":[%s]", list)), "", "100 events are taken");
    is(with(&rules, apr_psprintf(pool, "\"events\":[%s,\"*\"]", list)),
       "events: must name 1 to 100 event types;", "101 are not");
    for (int i = 0; i < 20; i++) {
        fields = apr_psprintf(pool, "%s%s\"X-%d\":\"\"", fields, i ? "," : "", i);
    }
    is(with(&rules, apr_psprintf(pool, "\"headers\":{%s}", fields)), "", "20 headers are taken");
    is(with(&rules, apr_psprintf(pool, "\"headers\":{%s,\"Y\":\"\"}", fields)),
       "headers: must be at most 20;", "21 are not");
}

static void header_fields(void)
{
    static const char *const reserved[] = {
        "Host",         "connection",        "Keep-Alive",        "TE",
        "Trailer",      "Upgrade",           "Content-Type",      "content-length",
        "User-Agent",   "webhook-id",        "Webhook-Signature", "webhook-anything",
        "X-Hook-Event", "x-hook-x",          "traceparent",       "Proxy-Authorization",
        "Expect",       "Transfer-Encoding",
    };
    static const char *const odd[] = {"",    "a b",      "a:",  "a\\n",      "\\u00e9",
                                      "(a)", "a\\u0001", "a,b", "\\\"a\\\"", "a\\r\\nHost"};
    static const char *const bad[] = {"a\\r\\nX: y", "a\\n", "a\\u0000b", "\\u007f", "\\u001b"};

    for (apr_size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        is(with(&rules, apr_psprintf(pool, "\"headers\":{\"%s\":\"x\"}", reserved[i])),
           apr_psprintf(pool, "headers.%s: can't be set by a subscription;", reserved[i]),
           reserved[i]);
    }
    for (apr_size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        ok(strstr(with(&rules, apr_psprintf(pool, "\"headers\":{\"%s\":\"x\"}", odd[i])),
                  "is not a header name"),
           "no header name: case %d", (int)i);
    }
    for (apr_size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(*with(&rules, apr_psprintf(pool, "\"headers\":{\"X-A\":\"%s\"}", bad[i])),
           "no header value: case %d", (int)i);
    }
    is(with(&rules, "\"headers\":{\"Authorization\":\"Bearer a.b\",\"X-\\u0041\":\"\\u00e9\\t\"}"),
       "", "others are taken");
    is(with(&rules, "\"headers\":{\"X-A\":7}"), "headers.X-A: must be a string;",
       "a value is a string");
    is(with(&rules, "\"headers\":{\"X-A\":null}"), "headers.X-A: must be a string;",
       "null is none on creation");
    is(with(&rules, "\"headers\":[]"), "headers: must be an object of strings;",
       "headers are an object");
    is(with(&rules, "\"headers\":null"), "", "null means no headers");
}

static void changing(void)
{
    rh_subscription_t subscription = made();
    const char *before = text_of(&subscription, false);

    is(complaints(apply(&subscription, RH_READ_PATCH, &rules, "{}")), "", "an empty patch");
    is(text_of(&subscription, false), before, "changes nothing");
    is(complaints(apply(&subscription, RH_READ_REPLACE, &rules, before)), "",
       "what was read can be put back");
    is(text_of(&subscription, false), before, "and changes nothing");

    apply(&subscription, RH_READ_PATCH, &rules,
          "{\"headers\":{\"X-A\":null,\"X-C\":\"3\",\"X-B\":\"22\",\"X-D\":null}}");
    is(subscription.headers, "{\"X-B\":\"22\",\"X-C\":\"3\"}",
       "a patch of headers merges: null removes, others stay");
    is(subscription.description, "d", "and leaves the rest");
    is(complaints(apply(&subscription, RH_READ_PATCH, &rules, "{\"headers\":{\"Host\":\"x\"}}")),
       "headers.Host: can't be set by a subscription;", "a patch's headers are checked too");

    subscription = made();
    apply(&subscription, RH_READ_PATCH, &rules,
          "{\"headers\":null,\"description\":null,\"format\":null,\"ordered\":null,"
          "\"rate_limit\":null}");
    is(subscription.headers, "{}", "null gives a patched member its default: headers");
    is(subscription.description, "", "description");
    ok(!subscription.ordered && subscription.rate_limit == 0 &&
           subscription.format == RH_FORMAT_ARRAY,
       "order, limit and format");
    is(complaints(
           apply(&subscription, RH_READ_PATCH, &rules, "{\"target_url\":null,\"events\":null}")),
       "target_url: is required;events: is required;", "what is required has none");

    subscription = made();
    is(complaints(apply(&subscription, RH_READ_REPLACE, &rules,
                        "{\"url\":\"https://e.com/2\",\"event\":\"*\"}")),
       "", "replaced");
    is(subscription.target_url, "https://e.com/2", "the new target");
    is(subscription.headers, "{}", "what the body leaves out gets its default");
    is(subscription.secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "but the secret stays");
    ok(*complaints(apply(&subscription, RH_READ_PATCH, &rules,
                         "{\"secret\":\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"}")),
       "and is not for a patch to change");
}

static void states(void)
{
    rh_subscription_t subscription = made();

    apply(&subscription, RH_READ_PATCH, &rules, "{\"active\":false}");
    is_int(subscription.state, RH_SUBSCRIPTION_PAUSED, "active: false pauses");
    apply(&subscription, RH_READ_PATCH, &rules, "{\"active\":true}");
    is_int(subscription.state, RH_SUBSCRIPTION_ACTIVE, "active: true revives");
    subscription.state = RH_SUBSCRIPTION_GONE;
    subscription.state_reason = "the target answered 410";
    apply(&subscription, RH_READ_PATCH, &rules, "{\"active\":false}");
    is_int(subscription.state, RH_SUBSCRIPTION_GONE, "what is gone is not active already");
    is(subscription.state_reason, "the target answered 410", "and keeps its reason");
    apply(&subscription, RH_READ_PATCH, &rules, "{\"description\":\"x\"}");
    is_int(subscription.state, RH_SUBSCRIPTION_GONE, "another change does not revive it");
    apply(&subscription, RH_READ_PATCH, &rules, "{\"active\":true}");
    is_int(subscription.state, RH_SUBSCRIPTION_ACTIVE, "active: true revives it");
    is(subscription.state_reason, NULL, "and forgets the reason");
    subscription.state = RH_SUBSCRIPTION_DISABLED;
    apply(&subscription, RH_READ_REPLACE, &rules, text_of(&subscription, false));
    is_int(subscription.state, RH_SUBSCRIPTION_DISABLED, "reading and putting back revives none");
}

static void representation(void)
{
    rh_subscription_t subscription = made();
    rh_format_t format = RH_FORMAT_ARRAY;
    rh_subscription_state_t state = RH_SUBSCRIPTION_ACTIVE;

    is(text_of(&subscription, true),
       "{\"id\":\"0191f5a0-0000-7000-8000-000000000001\","
       "\"target_url\":\"https://example.com/in\",\"events\":[\"employee.*\"],\"active\":true,"
       "\"description\":\"d\",\"format\":\"skinny\",\"headers\":{\"X-A\":\"1\",\"X-B\":\"2\"},"
       "\"ordered\":true,\"rate_limit\":5,\"state\":\"active\",\"state_reason\":null,"
       "\"created_at\":\"2026-01-31T22:59:59.123Z\",\"updated_at\":\"2026-01-31T22:59:59.123Z\","
       "\"stats\":{\"delivered\":0,\"failed\":0,\"pending\":0,\"last_status_code\":null,"
       "\"last_attempt_at\":null},\"secret\":\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"}",
       "a subscription is represented as the contract says");
    ok(!strstr(text_of(&subscription, false), "whsec_"), "its secret only where asked for");
    subscription.state = RH_SUBSCRIPTION_GONE;
    subscription.state_reason = "410";
    subscription.rate_limit = 0;
    subscription.stats.last_status_code = 410;
    subscription.stats.last_attempt_at = subscription.created_at;
    ok(strstr(text_of(&subscription, false), "\"active\":false") &&
           strstr(text_of(&subscription, false), "\"rate_limit\":null") &&
           strstr(text_of(&subscription, false), "\"state\":\"gone\",\"state_reason\":\"410\"") &&
           strstr(text_of(&subscription, false),
                  "\"last_status_code\":410,\"last_attempt_at\":\"2026-01-31T22:59:59.123Z\""),
       "what has happened to it is shown");
    subscription.old_secret = subscription.secret;
    subscription.old_secret_until = subscription.created_at;
    ok(!strstr(text_of(&subscription, false), "old_secret_expires_at"),
       "an overlap of secrets that has ended is not shown");
    subscription.old_secret_until = APR_INT64_C(4102444799123000);
    ok(strstr(text_of(&subscription, false),
              "\"old_secret_expires_at\":\"2099-12-31T23:59:59.123Z\""),
       "one that has not is shown");
    for (int i = 0; i < 4; i++) {
        ok(rh_format_parse(rh_format_name((rh_format_t)i), &format) && (int)format == i,
           "format %s has a name", rh_format_name((rh_format_t)i));
    }
    for (int i = 0; i < 5; i++) {
        const char *name = rh_subscription_state_name((rh_subscription_state_t)i);

        ok(rh_subscription_state_parse(name, &state) && (int)state == i, "state %s has one", name);
    }
    ok(!rh_format_parse("x", &format) && !rh_subscription_state_parse("", &state),
       "other names mean nothing");
}

/** What is stored of a subscription after its options were set from a text. */
static const char *stored_again(rh_subscription_t *subscription, const char *text)
{
    rh_subscription_set_options(subscription, text, pool);
    return rh_subscription_options(subscription, pool);
}

static void options(void)
{
    rh_subscription_t subscription = made();
    rh_job_t job = {.pool = pool};
    static const char *const as_stored[] = {
        "{}",
        "{\"description\":\"a \\\"b\\\" \u00fc\"}",
        "{\"headers\":{\"X-B\":\"2\",\"Authorization\":\"Basic x\"}}",
        "{\"later\":[1,{\"x\":null}],\"description\":\"d\",\"other\":false}",
    };

    is(rh_subscription_options(&subscription, pool),
       "{\"description\":\"d\",\"headers\":{\"X-A\":\"1\",\"X-B\":\"2\"}}",
       "members that are options are stored");
    for (int i = 0; i < 4; i++) {
        is(stored_again(&subscription, as_stored[i]), as_stored[i], "what is stored stays");
    }
    rh_subscription_set_options(&subscription, "{}", pool);
    is(subscription.description, "", "a member that is not stored has its default");
    is(subscription.headers, "{}", "of its kind");
    rh_subscription_set_options(&subscription, as_stored[3], pool);
    apply(&subscription, RH_READ_REPLACE, &lax,
          "{\"target_url\":\"http://example.com\",\"events\":[\"*\"],\"headers\":{\"X-A\":\"1\"}}");
    is(rh_subscription_options(&subscription, pool),
       "{\"later\":[1,{\"x\":null}],\"other\":false,\"headers\":{\"X-A\":\"1\"}}",
       "a replacement keeps what only a later version knows");
    is(stored_again(&subscription, "{\"description\":7,\"headers\":null}"), "{}",
       "a value of another type counts as none");
    is(stored_again(&subscription, ""), "{}", "so does a text that is not an object");
    rh_subscription_set_options(&subscription,
                                apr_psprintf(pool, "{\"description\":\"%01500d\"}", 7), pool);
    is_int((long)strlen(subscription.description), 1500,
           "what a version with larger bounds has stored is read");

    rh_job_set_options(&job, as_stored[2]);
    is(job.headers, "{\"X-B\":\"2\",\"Authorization\":\"Basic x\"}", "a job gets what it needs");
    rh_job_set_options(&job, as_stored[1]);
    is(job.headers, "{}", "or the default");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    creating();
    aliases();
    bad_fields();
    sizes();
    header_fields();
    changing();
    states();
    representation();
    options();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
