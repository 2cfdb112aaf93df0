/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Members that are stored as options: a JSON text of which no statement reads a part. */
#include "rh_delivery.h"
#include "rh_subscription_private.h"

/** An option, and where it goes. */
typedef struct option_t {
    const char *name; /**< NULL: the end of the table */
    const rh_kind_t *kind;
    apr_size_t offset;
} option_t;

#define OPTION(member, kind, record) {#member, &rh_kinds[RH_KIND_##kind], offsetof(record, member)},

#define OF_SUBSCRIPTION_COLUMN(member, kind)
#define OF_SUBSCRIPTION_APART(member, kind)
#define OF_SUBSCRIPTION_OPTION(member, kind) OPTION(member, kind, rh_subscription_t)
#define OF_SUBSCRIPTION(member, kind, how, stored, ...) OF_SUBSCRIPTION_##stored(member, kind)

#define OF_JOB_COLUMN(member, kind)
#define OF_JOB_APART(member, kind)
#define OF_JOB_OPTION(member, kind) OPTION(member, kind, rh_job_t)
#define OF_JOB_API(member, kind, stored)
#define OF_JOB_ENGINE(member, kind, stored) OF_JOB_##stored(member, kind)
#define OF_JOB(member, kind, how, stored, aliases, min, max, input, shown, value, use)             \
    OF_JOB_##use(member, kind, stored)

static const option_t of_subscription[] = {RH_MEMBERS(OF_SUBSCRIPTION){NULL, NULL, 0}};
static const option_t of_job[] = {RH_MEMBERS(OF_JOB){NULL, NULL, 0}};

/** Return the option of a name; NULL: it is none of these. */
static const option_t *find_option(const option_t *options, rh_bytes_t name)
{
    for (; options->name; options++) {
        if (strlen(options->name) == name.len && memcmp(options->name, name.data, name.len) == 0) {
            return options;
        }
    }
    return NULL;
}

/**
 * Set the options of a record from what is stored. Their bounds are not checked again: a later
 * version may have others.
 */
static void read_options(const option_t *options, const char *text, apr_pool_t *pool, void *record)
{
    static const rh_bounds_t none = {0, 0};
    apr_size_t cursor = 0, len;
    rh_json_span_t span;

    if (!options->name) {
        return;
    }
    for (const option_t *option = options; option->name; option++) {
        option->kind->read(NULL, none, pool, (char *)record + option->offset);
    }
    len = strlen(text);
    while (rh_json_next(text, len, &cursor, &span)) {
        const option_t *option = find_option(options, span.name);
        struct json_object *value;

        if (option &&
            rh_json_parse(pool, span.value.data, span.value.len, &value, NULL) == APR_SUCCESS) {
            option->kind->read(value, none, pool, (char *)record + option->offset);
        }
    }
}

void rh_subscription_set_options(rh_subscription_t *subscription, const char *text,
                                 apr_pool_t *pool)
{
    subscription->options = text;
    read_options(of_subscription, text, pool, subscription);
}

void rh_job_set_options(rh_job_t *job, const char *text)
{
    read_options(of_job, text, job->pool, job);
}

/** True if a value is what a kind gives without one, so that it need not be stored. */
static bool is_default(struct json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_null:
        return true;
    case json_type_boolean:
        return !json_object_get_boolean(value);
    case json_type_string:
        return json_object_get_string_len(value) == 0;
    case json_type_object:
        return json_object_object_length(value) == 0;
    default:
        return false;
    }
}

const char *rh_subscription_options(const rh_subscription_t *subscription, apr_pool_t *pool)
{
    const char *stored = subscription->options ? subscription->options : "{}";
    struct json_object *tree;
    apr_size_t len;

    if (rh_json_parse(pool, stored, strlen(stored), &tree, NULL) != APR_SUCCESS ||
        !json_object_is_type(tree, json_type_object)) {
        tree = rh_json_own(pool, json_object_new_object());
    }
    for (const option_t *option = of_subscription; option->name; option++) {
        struct json_object *value =
            option->kind->write((const char *)subscription + option->offset, pool);

        if (is_default(value)) {
            json_object_put(value);
            json_object_object_del(tree, option->name);
        } else {
            json_object_object_add(tree, option->name, value);
        }
    }
    return rh_json_text(pool, tree, &len);
}
