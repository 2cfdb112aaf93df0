/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_subscription.h"

#include "rh_event_type.h"
#include "rh_signature.h"

#include <apr_lib.h>

#define MAX_EVENTS 100
#define MAX_DESCRIPTION 1000
#define MAX_HEADERS 20
#define MAX_HEADER_NAME 100
#define MAX_HEADER_VALUE 1000
#define MAX_RATE 100000

/** One body being applied to one subscription. */
typedef struct reading_t {
    rh_subscription_t *subscription;
    struct json_object *body;
    rh_read_mode_t mode;
    const rh_subscription_rules_t *rules;
    apr_pool_t *pool;
    rh_problem_t *problem;
} reading_t;

typedef void reader_t(reading_t *reading, const char *field, struct json_object *value);

/** Text of a JSON string without U+0000; a field error and NULL otherwise. */
static const char *string_value(reading_t *reading, const char *field, struct json_object *value)
{
    const char *text;

    if (!json_object_is_type(value, json_type_string)) {
        rh_problem_field(reading->problem, field, "must be a string");
        return NULL;
    }
    text = json_object_get_string(value);
    if (strlen(text) != (apr_size_t)json_object_get_string_len(value)) {
        rh_problem_field(reading->problem, field, "must not contain U+0000");
        return NULL;
    }
    return apr_pstrdup(reading->pool, text);
}

static void read_target(reading_t *reading, const char *field, struct json_object *value)
{
    const char *text, *reason;
    rh_url_t url;

    if (!value) {
        rh_problem_field(reading->problem, field, "is required");
        return;
    }
    text = string_value(reading, field, value);
    if (!text) {
        return;
    }
    if (rh_url_parse(reading->pool, text, strlen(text), &url, &reason) != APR_SUCCESS) {
        rh_problem_field(reading->problem, field, "%s", reason);
        return;
    }
    if (reading->rules->https_only && !url.https) {
        rh_problem_field(reading->problem, field, "must be an https URL");
        return;
    }
    if ((url.ipv4_literal || url.ipv6_literal) && reading->rules->address_allowed &&
        !reading->rules->address_allowed(reading->rules->baton, &url)) {
        rh_problem_field(reading->problem, field, "names an address that is not allowed");
        return;
    }
    reading->subscription->target_url = text;
}

static bool listed(const apr_array_header_t *events, const char *pattern)
{
    for (int i = 0; i < events->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(events, i, const char *), pattern) == 0) {
            return true;
        }
    }
    return false;
}

static void read_pattern(reading_t *reading, const char *field, struct json_object *value,
                         apr_array_header_t *events)
{
    const char *pattern = string_value(reading, field, value);

    if (!pattern) {
        return;
    }
    if (!rh_event_pattern_valid(pattern, strlen(pattern))) {
        rh_problem_field(reading->problem, field,
                         "must be an event type such as employee.created, employee.* or *");
    } else if (!strchr(pattern, '*') && reading->rules->type_known &&
               !reading->rules->type_known(reading->rules->baton, pattern)) {
        rh_problem_field(reading->problem, field, "is no event type of this API: %s", pattern);
    } else if (!listed(events, pattern)) {
        APR_ARRAY_PUSH(events, const char *) = pattern;
    }
}

static void read_events(reading_t *reading, const char *field, struct json_object *value)
{
    apr_array_header_t *events = apr_array_make(reading->pool, 4, sizeof(const char *));
    apr_size_t count;

    if (!value) {
        rh_problem_field(reading->problem, field, "is required");
        return;
    }
    if (!json_object_is_type(value, json_type_array)) {
        rh_problem_field(reading->problem, field, "must be an array of event types");
        return;
    }
    count = json_object_array_length(value);
    if (count < 1 || count > MAX_EVENTS) {
        rh_problem_field(reading->problem, field, "must name 1 to %d event types", MAX_EVENTS);
        return;
    }
    for (apr_size_t i = 0; i < count; i++) {
        read_pattern(reading, apr_psprintf(reading->pool, "%s[%d]", field, (int)i),
                     json_object_array_get_idx(value, i), events);
    }
    reading->subscription->events = events;
}

static void read_event(reading_t *reading, const char *field, struct json_object *value)
{
    apr_array_header_t *events = apr_array_make(reading->pool, 1, sizeof(const char *));

    if (json_object_is_type(value, json_type_array)) {
        read_events(reading, field, value);
        return;
    }
    if (!value) {
        rh_problem_field(reading->problem, field, "is required");
        return;
    }
    read_pattern(reading, field, value, events);
    reading->subscription->events = events;
}

static void read_active(reading_t *reading, const char *field, struct json_object *value)
{
    bool active;

    if (value && !json_object_is_type(value, json_type_boolean)) {
        rh_problem_field(reading->problem, field, "must be true or false");
        return;
    }
    active = !value || json_object_get_boolean(value);
    if (active) {
        reading->subscription->state = RH_SUBSCRIPTION_ACTIVE;
        reading->subscription->state_reason = NULL;
    } else if (reading->subscription->state == RH_SUBSCRIPTION_ACTIVE ||
               reading->mode == RH_READ_CREATE) {
        reading->subscription->state = RH_SUBSCRIPTION_PAUSED;
        reading->subscription->state_reason = NULL;
    }
}

static void read_description(reading_t *reading, const char *field, struct json_object *value)
{
    const char *text = value ? string_value(reading, field, value) : "";

    if (!text) {
        return;
    }
    if (strlen(text) > MAX_DESCRIPTION) {
        rh_problem_field(reading->problem, field, "must be at most %d bytes", MAX_DESCRIPTION);
        return;
    }
    reading->subscription->description = text;
}

static void read_format(reading_t *reading, const char *field, struct json_object *value)
{
    const char *text = value ? string_value(reading, field, value) : "array";

    if (text && !rh_format_parse(text, &reading->subscription->format)) {
        rh_problem_field(reading->problem, field, "must be array, envelope, cloudevents or skinny");
    }
}

/** A token of RFC 9110 §5.6.2. */
static bool token_valid(const char *name)
{
    if (!*name || strlen(name) > MAX_HEADER_NAME) {
        return false;
    }
    for (; *name; name++) {
        if (!apr_isalnum(*name) && !strchr("!#$%&'*+-.^_`|~", *name)) {
            return false;
        }
    }
    return true;
}

/** Fields that belong to the connection (RFC 9110 §7.6.1), the message or to the module. */
static bool header_reserved(const char *name)
{
    static const char *const names[] = {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
        "user-agent",
        "expect",
        "traceparent",
        "tracestate",
    };
    static const char *const prefixes[] = {"content-", "webhook-", "x-hook-"};

    for (apr_size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return true;
        }
    }
    for (apr_size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (strncasecmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

static bool header_value_valid(const char *value)
{
    for (const char *at = value; *at; at++) {
        if (((unsigned char)*at < 0x20 && *at != '\t') || *at == 0x7f) {
            return false;
        }
    }
    return strlen(value) <= MAX_HEADER_VALUE;
}

static void read_header(reading_t *reading, const char *field, const char *name,
                        struct json_object *value)
{
    const char *text;

    if (!token_valid(name)) {
        rh_problem_field(reading->problem, field, "is not a header name");
    } else if (header_reserved(name)) {
        rh_problem_field(reading->problem, field, "can't be set by a subscription");
    } else {
        text = string_value(reading, field, value);
        if (text && !header_value_valid(text)) {
            rh_problem_field(reading->problem, field,
                             "must be at most %d bytes without control characters",
                             MAX_HEADER_VALUE);
        }
    }
}

/** What a change starts from: for a merge-patch the stored fields, otherwise none. */
static struct json_object *headers_before(reading_t *reading)
{
    const char *stored = reading->subscription->headers;
    struct json_object *before = NULL;

    if (reading->mode == RH_READ_PATCH && stored &&
        rh_json_parse(reading->pool, stored, strlen(stored), &before, NULL) == APR_SUCCESS &&
        json_object_is_type(before, json_type_object)) {
        return before;
    }
    return rh_json_own(reading->pool, json_object_new_object());
}

static void read_headers(reading_t *reading, const char *field, struct json_object *value)
{
    struct json_object *merged;
    apr_size_t len;

    if (!value) {
        reading->subscription->headers = "{}";
        return;
    }
    if (!json_object_is_type(value, json_type_object)) {
        rh_problem_field(reading->problem, field, "must be an object of strings");
        return;
    }
    merged = headers_before(reading);
    json_object_object_foreach(value, name, item)
    {
        if (!item && reading->mode == RH_READ_PATCH) {
            json_object_object_del(merged, name);
            continue;
        }
        read_header(reading, apr_psprintf(reading->pool, "%s.%.*s", field, MAX_HEADER_NAME, name),
                    name, item);
        json_object_object_add(merged, name, json_object_get(item));
    }
    if (json_object_object_length(merged) > MAX_HEADERS) {
        rh_problem_field(reading->problem, field, "must be at most %d", MAX_HEADERS);
        return;
    }
    reading->subscription->headers = rh_json_text(reading->pool, merged, &len);
}

static void read_ordered(reading_t *reading, const char *field, struct json_object *value)
{
    if (value && !json_object_is_type(value, json_type_boolean)) {
        rh_problem_field(reading->problem, field, "must be true or false");
        return;
    }
    reading->subscription->ordered = value && json_object_get_boolean(value);
}

static void read_rate_limit(reading_t *reading, const char *field, struct json_object *value)
{
    apr_int64_t rate;

    if (!value) {
        reading->subscription->rate_limit = 0;
        return;
    }
    rate = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0;
    if (rate < 1 || rate > MAX_RATE) {
        rh_problem_field(reading->problem, field,
                         "must be null or a whole number of deliveries a second, 1-%d", MAX_RATE);
        return;
    }
    reading->subscription->rate_limit = (int)rate;
}

static void read_secret(reading_t *reading, const char *field, struct json_object *value)
{
    const char *text;

    if (reading->mode != RH_READ_CREATE) {
        rh_problem_field(reading->problem, field,
                         "is set on creation and changed by secret/rotate only");
        return;
    }
    if (!value) {
        return;
    }
    text = string_value(reading, field, value);
    if (text && !rh_secret_valid(text)) {
        rh_problem_field(reading->problem, field,
                         "must be whsec_ and the base64 of 24 to 64 bytes");
        return;
    }
    reading->subscription->secret = text;
}

/** Members that the representation shows and nobody sets. */
static void read_only(reading_t *reading, const char *field, struct json_object *value)
{
    (void)reading;
    (void)field;
    (void)value;
}

static const struct {
    const char *name;
    const char *canonical; /**< an alias's true name */
    reader_t *read;
    bool defaulted; /**< a create or replace without it reads a null */
} members[] = {
    {"target_url", "target_url", read_target, false},
    {"target", "target_url", read_target, false},
    {"url", "target_url", read_target, false},
    {"hookUrl", "target_url", read_target, false},
    {"subscription_url", "target_url", read_target, false},
    {"events", "events", read_events, false},
    {"event", "events", read_event, false},
    {"active", "active", read_active, true},
    {"description", "description", read_description, true},
    {"format", "format", read_format, true},
    {"headers", "headers", read_headers, true},
    {"ordered", "ordered", read_ordered, true},
    {"rate_limit", "rate_limit", read_rate_limit, true},
    {"secret", "secret", read_secret, false},
    {"id", "id", read_only, false},
    {"state", "state", read_only, false},
    {"state_reason", "state_reason", read_only, false},
    {"created_at", "created_at", read_only, false},
    {"updated_at", "updated_at", read_only, false},
    {"stats", "stats", read_only, false},
};

#define MEMBER_COUNT ((int)(sizeof(members) / sizeof(members[0])))

static int find_member(const char *name)
{
    for (int i = 0; i < MEMBER_COUNT; i++) {
        if (strcmp(members[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

/** The body's name for a canonical member, NULL when it has none; two of them are an error. */
static const char *given_name(reading_t *reading, const char *canonical)
{
    const char *given = NULL;

    for (int i = 0; i < MEMBER_COUNT; i++) {
        if (strcmp(members[i].canonical, canonical) == 0 &&
            json_object_object_get_ex(reading->body, members[i].name, NULL)) {
            if (given) {
                rh_problem_field(reading->problem, members[i].name, "says the same as %s", given);
            }
            given = members[i].name;
        }
    }
    return given;
}

void rh_subscription_read(rh_subscription_t *subscription, struct json_object *body,
                          rh_read_mode_t mode, const rh_subscription_rules_t *rules,
                          apr_pool_t *pool, rh_problem_t *problem)
{
    reading_t reading = {subscription, body, mode, rules, pool, problem};
    static const char *const required[] = {"target_url", "events"};

    if (!json_object_is_type(body, json_type_object)) {
        rh_problem_field(problem, "", "must be a JSON object");
        return;
    }
    for (apr_size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
        if (!given_name(&reading, required[i]) && mode != RH_READ_PATCH) {
            rh_problem_field(problem, required[i], "is required");
        }
    }
    for (int i = 0; i < MEMBER_COUNT; i++) {
        if (mode != RH_READ_PATCH && members[i].defaulted &&
            !json_object_object_get_ex(body, members[i].name, NULL)) {
            members[i].read(&reading, members[i].name, NULL);
        }
    }
    json_object_object_foreach(body, name, value)
    {
        int member = find_member(name);

        if (member < 0) {
            rh_problem_field(problem, apr_psprintf(pool, "%.*s", MAX_HEADER_NAME, name),
                             "is not a field of a subscription");
        } else {
            members[member].read(&reading, name, value);
        }
    }
}
