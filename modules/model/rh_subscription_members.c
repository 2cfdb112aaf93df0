/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Reads and writes a subscription's JSON member by member. */
#include "rh_subscription_members.h"

#include "rh_header.h"

#define READER_REQUIRED(member) rh_member_read_##member
#define READER_OPTIONAL(member) rh_member_read_##member
#define READER_CREATE(member) rh_member_read_##member
#define READER_IGNORED(member) NULL

#define MAKE_ROW(member, aliases, type, min, max, input, shown, value, use, column, stored)        \
    {#member,                                                                                      \
     aliases,                                                                                      \
     type,                                                                                         \
     min,                                                                                          \
     max,                                                                                          \
     RH_INPUT_##input,                                                                             \
     RH_SHOWN_##shown,                                                                             \
     RH_VALUE_##value,                                                                             \
     RH_FOR_##use,                                                                                 \
     column,                                                                                       \
     READER_##input(member),                                                                       \
     rh_member_write_##member},

static const rh_member_t members[RH_MEMBER_COUNT] = {RH_MEMBERS(MAKE_ROW)};

static const rh_member_t *find_member(const char *name)
{
    for (int i = 0; i < RH_MEMBER_COUNT; i++) {
        if (strcmp(members[i].name, name) == 0 || rh_has_word(members[i].aliases, name)) {
            return &members[i];
        }
    }
    return NULL;
}

/** True if the body has the member. Reports an error if it has it under several names. */
static bool is_given(rh_member_reading_t *reading, const rh_member_t *member)
{
    const char *given = NULL, *name = member->name, *rest = member->aliases;

    for (;;) {
        apr_size_t word = strcspn(rest, " ");

        if (json_object_object_get_ex(reading->body, name, NULL)) {
            if (given) {
                rh_problem_field(reading->problem, name, "says the same as %s", given);
            }
            given = name;
        }
        if (word == 0) {
            return given != NULL;
        }
        name = apr_pstrmemdup(reading->pool, rest, word);
        rest += word + (rest[word] == ' ' ? 1 : 0);
    }
}

/** Handle members that the body lacks: set defaults, report required ones. */
static void read_missing(rh_member_reading_t *reading)
{
    for (int i = 0; i < RH_MEMBER_COUNT; i++) {
        const rh_member_t *member = &members[i];

        if (is_given(reading, member) || reading->mode == RH_READ_PATCH) {
            continue;
        }
        if (member->input == RH_INPUT_REQUIRED) {
            rh_problem_field(reading->problem, member->name, "is required");
        } else if (member->input == RH_INPUT_OPTIONAL) {
            member->read(reading, member, member->name, NULL);
        }
    }
}

void rh_subscription_read(rh_subscription_t *subscription, struct json_object *body,
                          rh_read_mode_t mode, const rh_subscription_rules_t *rules,
                          apr_pool_t *pool, rh_problem_t *problem)
{
    rh_member_reading_t reading = {subscription, body, mode, rules, pool, problem};

    if (!json_object_is_type(body, json_type_object)) {
        rh_problem_field(problem, "", "must be a JSON object");
        return;
    }
    read_missing(&reading);
    json_object_object_foreach(body, name, value)
    {
        const rh_member_t *member = find_member(name);

        if (!member) {
            rh_problem_field(problem, apr_psprintf(pool, "%.*s", RH_HEADER_MAX_NAME_BYTES, name),
                             "is not a field of a subscription");
        } else if (member->input != RH_INPUT_IGNORED) {
            member->read(&reading, member, name, value);
        }
    }
}

struct json_object *rh_subscription_json(const rh_subscription_t *subscription, bool secret,
                                         apr_pool_t *pool)
{
    struct json_object *tree = json_object_new_object();

    for (int i = 0; i < RH_MEMBER_COUNT; i++) {
        struct json_object *value;

        if (members[i].shown == RH_SHOWN_CREATED && !secret) {
            continue;
        }
        value = members[i].write(subscription, pool);
        if (value || members[i].shown != RH_SHOWN_SET) {
            json_object_object_add(tree, members[i].name, value);
        }
    }
    return tree;
}
