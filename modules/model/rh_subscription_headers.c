/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The member `headers` of a subscription: merging by name, and masks for credentials. */
#include "rh_header.h"
#include "rh_subscription_private.h"

/** Return the stored fields, or an empty object. */
static struct json_object *parse_stored(const rh_subscription_t *subscription, apr_pool_t *pool)
{
    return rh_json_own(pool, rh_kinds[RH_KIND_headers].write(&subscription->headers, pool));
}

/** Return the name of a field in an object, ignoring case; NULL: none. */
static const char *find_name(struct json_object *headers, const char *name)
{
    json_object_object_foreach(headers, present, value)
    {
        (void)value;
        if (strcasecmp(present, name) == 0) {
            return present;
        }
    }
    return NULL;
}

/** True if the object has the same name before this one, in another case. */
static bool is_repeated(struct json_object *value, const char *name)
{
    const char *first = find_name(value, name);

    return first && strcmp(first, name) != 0;
}

/** Remove a field, ignoring case; except one that is spelled like `except`. */
static void remove_field(struct json_object *headers, const char *name, const char *except)
{
    const char *present = find_name(headers, name);

    if (present && (!except || strcmp(present, except) != 0)) {
        json_object_object_del(headers, present);
    }
}

/** Return the new value of one field, as a new reference; NULL after a problem was added. */
static struct json_object *read_value(rh_member_reading_t *reading, const char *field,
                                      const char *name, struct json_object *value,
                                      struct json_object *stored)
{
    const char *text = rh_member_text(reading, field, value), *present;

    if (!text) {
        return NULL;
    }
    if (rh_header_secret(name) && strcmp(text, RH_HEADER_MASK) == 0) {
        present = find_name(stored, name);
        if (!present) {
            rh_problem_field(reading->problem, field, "is a mask, but no value is stored");
            return NULL;
        }
        return json_object_get(json_object_object_get(stored, present));
    }
    if (!rh_header_value_valid(text)) {
        rh_problem_field(reading->problem, field,
                         "must be at most %d bytes without control characters",
                         RH_HEADER_MAX_VALUE_BYTES);
        return NULL;
    }
    return json_object_get(value);
}

/** Apply one field of the body to the fields to be stored. */
static void read_field(rh_member_reading_t *reading, const char *field, const char *name,
                       struct json_object *value, struct json_object *stored,
                       struct json_object *merged)
{
    struct json_object *set;

    if (!rh_header_name_valid(name)) {
        rh_problem_field(reading->problem, field, "is not a header name");
        return;
    }
    if (rh_header_reserved(name)) {
        rh_problem_field(reading->problem, field, "can't be set by a subscription");
        return;
    }
    set = read_value(reading, field, name, value, stored);
    if (set) {
        remove_field(merged, name, name);
        json_object_object_add(merged, name, set); /*
                                                    * keeps the position if the spelling is the same
                                                    */
    }
}

void rh_member_read_headers(rh_member_reading_t *reading, const rh_member_t *member,
                            const char *field, struct json_object *value)
{
    struct json_object *stored, *merged;
    apr_size_t len;

    if (!value) {
        reading->subscription->headers = "{}";
        return;
    }
    if (!json_object_is_type(value, json_type_object)) {
        rh_problem_field(reading->problem, field, "must be an object of strings");
        return;
    }
    stored = parse_stored(reading->subscription, reading->pool);
    merged = reading->mode == RH_READ_PATCH ? parse_stored(reading->subscription, reading->pool)
                                            : rh_json_own(reading->pool, json_object_new_object());
    json_object_object_foreach(value, name, item)
    {
        const char *path =
            apr_psprintf(reading->pool, "%s.%.*s", field, RH_HEADER_MAX_NAME_BYTES, name);

        if (is_repeated(value, name)) {
            rh_problem_field(reading->problem, path, "is the same field as %s",
                             find_name(value, name));
        } else if (!item && reading->mode == RH_READ_PATCH) {
            remove_field(merged, name, NULL);
        } else {
            read_field(reading, path, name, item, stored, merged);
        }
    }
    if (json_object_object_length(merged) > member->bounds.max) {
        rh_problem_field(reading->problem, field, "must be at most %d", member->bounds.max);
        return;
    }
    reading->subscription->headers = rh_json_text(reading->pool, merged, &len);
}

struct json_object *rh_member_write_headers(const rh_subscription_t *subscription, apr_pool_t *pool)
{
    struct json_object *stored = parse_stored(subscription, pool);
    struct json_object *shown = json_object_new_object();

    json_object_object_foreach(stored, name, value)
    {
        json_object_object_add(shown, name,
                               rh_header_secret(name) ? json_object_new_string(RH_HEADER_MASK)
                                                      : json_object_get(value));
    }
    return shown;
}
