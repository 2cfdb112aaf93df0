/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_subscription_members.h
 * @brief One row per member of a subscription's JSON. Reading and writing come from it;
 * t/18-members.t checks conf/openapi.json, docs/api.md and the tables of the database against it.
 *
 * To add a member: a member of rh_subscription_t, a row here with its reader and writer, its column
 * in conf/schema-*.sql and in modules/store/DIALECT/subscription.sql, its place in openapi.json and
 * docs/api.md, the page's form.
 */
#ifndef RH_SUBSCRIPTION_MEMBERS_H
#define RH_SUBSCRIPTION_MEMBERS_H

#include "rh_subscription.h"

/** How a member is treated on input. */
typedef enum {
    RH_INPUT_REQUIRED, /**< required on creation and replacement */
    RH_INPUT_OPTIONAL, /**< null gives the default, as does leaving it out on creation and
                            replacement */
    RH_INPUT_CREATE,   /**< accepted on creation only */
    RH_INPUT_IGNORED   /**< read-only: accepted and ignored, so that a response can be sent back */
} rh_member_input_t;

/** When a member is shown. */
typedef enum {
    RH_SHOWN_ALWAYS,
    RH_SHOWN_SET,    /**< if it has a value */
    RH_SHOWN_CREATED /**< in the response to the creation that generated it */
} rh_member_shown_t;

/** Whether a member's value can be read again. */
typedef enum {
    RH_VALUE_OPEN,
    RH_VALUE_MASKED, /**< partly: credentials are masked, and a mask sent back changes nothing */
    RH_VALUE_SECRET
} rh_member_value_t;

/** Whether deliveries depend on it, so that each job contains it. */
typedef enum { RH_FOR_API, RH_FOR_ENGINE } rh_member_use_t;

typedef struct rh_member_t rh_member_t;

/** State of applying one body to one subscription. */
typedef struct rh_member_reading_t {
    rh_subscription_t *subscription;
    struct json_object *body;
    rh_read_mode_t mode;
    const rh_subscription_rules_t *rules;
    apr_pool_t *pool;
    rh_problem_t *problem;
} rh_member_reading_t;

/**
 * Set the member from a value.
 * @param field the name used in the body, for problems
 * @param value NULL: null, or missing if that means the default
 */
typedef void rh_member_read_t(rh_member_reading_t *reading, const rh_member_t *member,
                              const char *field, struct json_object *value);
/** Return the member's value as a new object, or NULL for null. */
typedef struct json_object *rh_member_write_t(const rh_subscription_t *subscription,
                                              apr_pool_t *pool);

struct rh_member_t {
    const char *name;
    const char *aliases; /**< other names on input, separated by spaces */
    const char *type;    /**< JSON type */
    int min, max;        /**< bounds of a number, of a string's length in bytes, or of the number
                              of items or members; max 0: no bounds */
    rh_member_input_t input;
    rh_member_shown_t shown;
    rh_member_value_t value;
    rh_member_use_t use;
    const char *column; /**< "table.column"; without a table, a column of `subscription` */
    rh_member_read_t *read;
    rh_member_write_t *write;
};

/**
 * ROW(member, aliases, type, min, max, input, shown, value, use, column, stored), in the order in
 * which they are shown. `stored` says how the column holds the member of rh_subscription_t of that
 * name: TEXT, OPTIONAL (text or NULL), NUMBER, BOOLEAN, FORMAT, STATE; APART: in another way.
 */
#define RH_MEMBERS(ROW)                                                                            \
    ROW(id, "", "string", 0, 0, IGNORED, ALWAYS, OPEN, ENGINE, "id", APART)                        \
    ROW(target_url, "target url hookUrl subscription_url", "string", 0, RH_MAX_URL, REQUIRED,      \
        ALWAYS, OPEN, ENGINE, "target_url", TEXT)                                                  \
    ROW(events, "event", "array", 1, 100, REQUIRED, ALWAYS, OPEN, API,                             \
        "subscription_event.pattern", APART)                                                       \
    ROW(active, "", "boolean", 0, 0, OPTIONAL, ALWAYS, OPEN, API, "state", APART)                  \
    ROW(description, "", "string", 0, 1000, OPTIONAL, ALWAYS, OPEN, API, "description", TEXT)      \
    ROW(format, "", "string", 0, 0, OPTIONAL, ALWAYS, OPEN, ENGINE, "format", FORMAT)              \
    ROW(headers, "", "object", 0, 20, OPTIONAL, ALWAYS, MASKED, ENGINE, "headers", TEXT)           \
    ROW(ordered, "", "boolean", 0, 0, OPTIONAL, ALWAYS, OPEN, ENGINE, "in_order", BOOLEAN)         \
    ROW(rate_limit, "", "integer", 1, 100000, OPTIONAL, ALWAYS, OPEN, ENGINE, "rate_limit",        \
        NUMBER)                                                                                    \
    ROW(state, "", "string", 0, 0, IGNORED, ALWAYS, OPEN, API, "state", STATE)                     \
    ROW(state_reason, "", "string", 0, 0, IGNORED, ALWAYS, OPEN, API, "state_reason", OPTIONAL)    \
    ROW(created_at, "", "string", 0, 0, IGNORED, ALWAYS, OPEN, API, "created_at", APART)           \
    ROW(updated_at, "", "string", 0, 0, IGNORED, ALWAYS, OPEN, API, "updated_at", APART)           \
    ROW(old_secret_expires_at, "", "string", 0, 0, IGNORED, SET, OPEN, API, "old_secret_until",    \
        APART)                                                                                     \
    ROW(stats, "", "object", 0, 0, IGNORED, ALWAYS, OPEN, API, "subscription_stat.delivered",      \
        APART)                                                                                     \
    ROW(secret, "", "string", 0, 0, CREATE, CREATED, SECRET, ENGINE, "secret", TEXT)

#define RH_MEMBER_DECLARE(member, ...)                                                             \
    rh_member_read_t rh_member_read_##member;                                                      \
    rh_member_write_t rh_member_write_##member;
#define RH_MEMBER_INDEX(member, ...) RH_MEMBER_##member,

/** Readers (rh_subscription_read.c, …_headers.c) and writers (rh_subscription.c). */
RH_MEMBERS(RH_MEMBER_DECLARE)
enum { RH_MEMBERS(RH_MEMBER_INDEX) RH_MEMBER_COUNT };

/** Return the text of a JSON string without U+0000; NULL after a field error. */
const char *rh_member_text(rh_member_reading_t *reading, const char *field,
                           struct json_object *value);

#endif
