/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Kinds of a subscription's members: how their values are read and written. */
#include "rh_subscription_private.h"

#include "rh_time.h"

const char *rh_text_complaint(struct json_object *value)
{
    if (!json_object_is_type(value, json_type_string)) {
        return "must be a string";
    }
    if (strlen(json_object_get_string(value)) != (apr_size_t)json_object_get_string_len(value)) {
        return "must not contain U+0000";
    }
    return NULL;
}

static const char *read_text(struct json_object *value, rh_bounds_t bounds, apr_pool_t *pool,
                             void *to)
{
    const char *complaint = value ? rh_text_complaint(value) : NULL;

    if (!complaint && bounds.max && json_object_get_string_len(value) > bounds.max) {
        complaint = apr_psprintf(pool, "must be at most %d bytes", bounds.max);
    }
    if (!complaint) {
        *(const char **)to = value ? apr_pstrdup(pool, json_object_get_string(value)) : "";
    }
    return complaint;
}

static struct json_object *write_text(const void *from, apr_pool_t *pool)
{
    (void)pool;
    return rh_json_new_text(*(const char *const *)from);
}

static const char *read_number(struct json_object *value, rh_bounds_t bounds, apr_pool_t *pool,
                               void *to)
{
    apr_int64_t number = value ? json_object_get_int64(value) : 0;
    int max = bounds.max ? bounds.max : INT_MAX;

    if (value &&
        (!json_object_is_type(value, json_type_int) || number < bounds.min || number > max)) {
        return apr_psprintf(pool, "must be null or a whole number, %d-%d", bounds.min, max);
    }
    *(int *)to = (int)number;
    return NULL;
}

static struct json_object *write_number(const void *from, apr_pool_t *pool)
{
    int number = *(const int *)from;

    (void)pool;
    return number ? json_object_new_int(number) : NULL;
}

static const char *read_flag(struct json_object *value, rh_bounds_t bounds, apr_pool_t *pool,
                             void *to)
{
    (void)bounds;
    (void)pool;
    if (value && !json_object_is_type(value, json_type_boolean)) {
        return "must be true or false";
    }
    *(bool *)to = value && json_object_get_boolean(value);
    return NULL;
}

static struct json_object *write_flag(const void *from, apr_pool_t *pool)
{
    (void)pool;
    return json_object_new_boolean(*(const bool *)from);
}

static struct json_object *write_time(const void *from, apr_pool_t *pool)
{
    apr_time_t time = *(const apr_time_t *)from;

    return time ? json_object_new_string(rh_time_format(pool, time)) : NULL;
}

static const char *read_format(struct json_object *value, rh_bounds_t bounds, apr_pool_t *pool,
                               void *to)
{
    const char *complaint = value ? rh_text_complaint(value) : NULL;
    const char *name = value ? json_object_get_string(value) : rh_format_name(RH_FORMAT_ARRAY);

    (void)bounds;
    if (!complaint && !rh_format_parse(name, to)) {
        complaint = apr_psprintf(pool, "must be one of %s", rh_format_names(pool));
    }
    return complaint;
}

static struct json_object *write_format(const void *from, apr_pool_t *pool)
{
    (void)pool;
    return json_object_new_string(rh_format_name(*(const rh_format_t *)from));
}

static struct json_object *write_state(const void *from, apr_pool_t *pool)
{
    (void)pool;
    return json_object_new_string(
        rh_subscription_state_name(*(const rh_subscription_state_t *)from));
}

static struct json_object *write_patterns(const void *from, apr_pool_t *pool)
{
    const apr_array_header_t *patterns = *(apr_array_header_t *const *)from;
    struct json_object *array = json_object_new_array();

    (void)pool;
    for (int i = 0; i < patterns->nelts; i++) {
        json_object_array_add(array,
                              json_object_new_string(APR_ARRAY_IDX(patterns, i, const char *)));
    }
    return array;
}

static const char *read_headers(struct json_object *value, rh_bounds_t bounds, apr_pool_t *pool,
                                void *to)
{
    apr_size_t len;

    (void)bounds;
    if (value && !json_object_is_type(value, json_type_object)) {
        return "must be an object of strings";
    }
    *(const char **)to = value ? rh_json_text(pool, value, &len) : "{}";
    return NULL;
}

static struct json_object *write_headers(const void *from, apr_pool_t *pool)
{
    const char *text = *(const char *const *)from;
    struct json_object *fields;

    return text && rh_json_parse(pool, text, strlen(text), &fields, NULL) == APR_SUCCESS
               ? json_object_get(fields)
               : json_object_new_object();
}

static struct json_object *write_stats(const void *from, apr_pool_t *pool)
{
    const rh_subscription_stats_t *stats = from;
    struct json_object *tree = json_object_new_object();

    json_object_object_add(tree, "delivered", json_object_new_int64(stats->delivered));
    json_object_object_add(tree, "failed", json_object_new_int64(stats->failed));
    json_object_object_add(tree, "pending", json_object_new_int64(stats->pending));
    json_object_object_add(tree, "last_status_code", write_number(&stats->last_status_code, pool));
    json_object_object_add(tree, "last_attempt_at", write_time(&stats->last_attempt_at, pool));
    return tree;
}

const rh_kind_t rh_kinds[RH_KIND_COUNT] = {
    [RH_KIND_text] = {read_text, write_text},
    [RH_KIND_optional_text] = {NULL, write_text},
    [RH_KIND_number] = {read_number, write_number},
    [RH_KIND_flag] = {read_flag, write_flag},
    [RH_KIND_time] = {NULL, write_time},
    [RH_KIND_format] = {read_format, write_format},
    [RH_KIND_state] = {NULL, write_state},
    [RH_KIND_patterns] = {NULL, write_patterns},
    [RH_KIND_headers] = {read_headers, write_headers},
    [RH_KIND_stats] = {NULL, write_stats},
};
