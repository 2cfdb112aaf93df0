/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Reads the members of a subscription that are not read as their kind alone. */
#include "rh_subscription_private.h"

#include "rh_event_type.h"
#include "rh_signature.h"

const char *rh_member_text(rh_member_reading_t *reading, const char *field,
                           struct json_object *value)
{
    const char *complaint = rh_text_complaint(value);

    if (complaint) {
        rh_problem_field(reading->problem, field, "%s", complaint);
        return NULL;
    }
    return apr_pstrdup(reading->pool, json_object_get_string(value));
}

void rh_member_read_target_url(rh_member_reading_t *reading, const rh_member_t *member,
                               const char *field, struct json_object *value)
{
    const char *text, *reason;
    rh_url_t url;

    (void)member;
    if (!value) {
        rh_problem_field(reading->problem, field, "is required");
        return;
    }
    text = rh_member_text(reading, field, value);
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
    reading->subscription->target_url = url.text;
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

static void read_pattern(rh_member_reading_t *reading, const char *field, struct json_object *value,
                         apr_array_header_t *events)
{
    const char *pattern = rh_member_text(reading, field, value);

    if (!pattern) {
        return;
    }
    if (!rh_event_pattern_valid(pattern, strlen(pattern))) {
        rh_problem_field(reading->problem, field,
                         "must be an event type such as employee.created, employee.* or *");
    } else if (!strchr(pattern, '*') && reading->rules->type_known &&
               !reading->rules->type_known(reading->rules->baton, pattern)) {
        rh_problem_field(reading->problem, field, "is not an event type of this API: %s", pattern);
    } else if (!listed(events, pattern)) {
        APR_ARRAY_PUSH(events, const char *) = pattern;
    }
}

void rh_member_read_events(rh_member_reading_t *reading, const rh_member_t *member,
                           const char *field, struct json_object *value)
{
    apr_array_header_t *events = apr_array_make(reading->pool, 4, sizeof(const char *));
    int count;

    if (!value) {
        rh_problem_field(reading->problem, field, "is required");
        return;
    }
    reading->subscription->events = events;
    if (strcmp(field, member->name) != 0 && !json_object_is_type(value, json_type_array)) {
        read_pattern(reading, field, value, events); /*
                                                      * `event` is an alias that takes a single
                                                      * pattern.
                                                      */
        return;
    }
    if (!json_object_is_type(value, json_type_array)) {
        rh_problem_field(reading->problem, field, "must be an array of event types");
        return;
    }
    count = (int)json_object_array_length(value);
    if (count < member->bounds.min || count > member->bounds.max) {
        rh_problem_field(reading->problem, field, "must name %d to %d event types",
                         member->bounds.min, member->bounds.max);
        return;
    }
    for (int i = 0; i < count; i++) {
        read_pattern(reading, apr_psprintf(reading->pool, "%s[%d]", field, i),
                     json_object_array_get_idx(value, (apr_size_t)i), events);
    }
}

void rh_member_read_active(rh_member_reading_t *reading, const rh_member_t *member,
                           const char *field, struct json_object *value)
{
    bool active;

    (void)member;
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

void rh_member_read_secret(rh_member_reading_t *reading, const rh_member_t *member,
                           const char *field, struct json_object *value)
{
    const char *text;

    (void)member;
    if (reading->mode != RH_READ_CREATE) {
        rh_problem_field(reading->problem, field,
                         "is set on creation and changed by secret/rotate only");
        return;
    }
    if (!value) {
        return;
    }
    text = rh_member_text(reading, field, value);
    if (text && !rh_secret_valid(text)) {
        rh_problem_field(reading->problem, field,
                         "must be whsec_ and the base64 of 24 to 64 bytes");
        return;
    }
    reading->subscription->secret = text;
}
