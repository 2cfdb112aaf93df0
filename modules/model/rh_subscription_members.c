/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Reads and writes a subscription's JSON member by member. */
#include "rh_subscription_private.h"

#include "rh_header.h"

/** The kind's own functions serve where a member has none. */
#define READ_PLAIN(member) NULL
#define READ_CHECKED(member) rh_member_read_##member
#define READ_OWN(member) rh_member_read_##member
#define READ_APART(member) rh_member_read_##member
#define READER_REQUIRED(member, how) READ_##how(member)
#define READER_OPTIONAL(member, how) READ_##how(member)
#define READER_CREATE(member, how) READ_##how(member)
#define READER_IGNORED(member, how) NULL

#define WRITE_PLAIN(member) offsetof(rh_subscription_t, member), NULL
#define WRITE_CHECKED(member) offsetof(rh_subscription_t, member), NULL
#define WRITE_OWN(member) 0, rh_member_write_##member
#define WRITE_APART(member) 0, rh_member_write_##member

#define MAKE_ROW(member, kind, how, stored, aliases, min, max, input, shown, value, use)           \
    {#member,          aliases,          &rh_kinds[RH_KIND_##kind],   {min, max},                  \
     RH_INPUT_##input, RH_SHOWN_##shown, READER_##input(member, how), WRITE_##how(member)},

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

static void read_member(rh_member_reading_t *reading, const rh_member_t *member, const char *field,
                        struct json_object *value)
{
    const char *complaint;

    if (member->read) {
        member->read(reading, member, field, value);
        return;
    }
    complaint = member->kind->read(value, member->bounds, reading->pool,
                                   (char *)reading->subscription + member->offset);
    if (complaint) {
        rh_problem_field(reading->problem, field, "%s", complaint);
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
            read_member(reading, member, member->name, NULL);
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
            read_member(&reading, member, name, value);
        }
    }
}

static struct json_object *write_member(const rh_subscription_t *subscription,
                                        const rh_member_t *member, apr_pool_t *pool)
{
    return member->write ? member->write(subscription, pool)
                         : member->kind->write((const char *)subscription + member->offset, pool);
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
        value = write_member(subscription, &members[i], pool);
        if (value || members[i].shown != RH_SHOWN_SET) {
            json_object_object_add(tree, members[i].name, value);
        }
    }
    return tree;
}
