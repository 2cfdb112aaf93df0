/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_subscription_members.h
 * @brief One row per member of a subscription. The members of rh_subscription_t and rh_job_t come
 * from it, and so do reading, writing and storing; t/18-members.t checks conf/openapi.json,
 * docs/api.md, the page's form and the tables of the database against it.
 *
 * To add a member: a row here, its place in conf/openapi.json and docs/api.md, an entry in
 * htdocs/views/edit.js. A member of an existing kind that is stored as OPTION needs no more: no
 * function, no column, no statement, no upgrade. With ENGINE it is in rh_job_t, too, for its user.
 */
#ifndef RH_SUBSCRIPTION_MEMBERS_H
#define RH_SUBSCRIPTION_MEMBERS_H

/**
 * Kinds of values: (kind, type in C, type in JSON). rh_subscription_kinds.c reads and writes them.
 *
 *   text           "" if there is none; at most `max` bytes
 *   optional_text  NULL if there is none
 *   number         from `min` to `max`; 0 if there is none, which is null in JSON
 *   flag           false if there is none
 *   time           0 if there is none; RFC 3339 in JSON
 *   patterns       of const char *, without repetitions
 *   headers        JSON text of an object of strings, "{}" if there are none
 */
#define RH_MEMBER_KINDS(X)                                                                         \
    X(text, const char *, "string")                                                                \
    X(optional_text, const char *, "string")                                                       \
    X(number, int, "integer")                                                                      \
    X(flag, bool, "boolean")                                                                       \
    X(time, apr_time_t, "string")                                                                  \
    X(format, rh_format_t, "string")                                                               \
    X(state, rh_subscription_state_t, "string")                                                    \
    X(patterns, apr_array_header_t *, "array")                                                     \
    X(headers, const char *, "object")                                                             \
    X(stats, rh_subscription_stats_t, "object")

/**
 * ROW(member, kind, how, stored, aliases, min, max, input, shown, value, use), in the order in
 * which members are shown.
 *
 * how      PLAIN: read and written as its kind. CHECKED: read by rh_member_read_MEMBER. OWN: also
 *          written by rh_member_write_MEMBER. APART: likewise, and no member of rh_subscription_t
 * stored   COLUMN: in a column, for which statements have a parameter and a result of its name.
 *          OPTION: in the JSON text of the column `options`, of which no statement reads a part.
 *          APART: rh_store_subscription.c stores it in its own way
 * aliases  other names on input, separated by spaces
 * min, max bounds of a number, of a text's length in bytes, or of the number of items; max 0: none
 * input    REQUIRED: on creation and replacement. OPTIONAL: null gives the default, and so does its
 *          absence on creation and replacement. CREATE: on creation only. IGNORED: read-only, but
 *          accepted, so that a response can be sent back
 * shown    ALWAYS. SET: if it has a value. CREATED: in the response to the creation that generated
 *          it
 * value    OPEN. MASKED: credentials in it are masked, and a mask sent back changes nothing.
 *          SECRET: it can't be read again
 * use      API. ENGINE: deliveries depend on it, so each job has it, too
 */
#define RH_MEMBERS(ROW)                                                                            \
    ROW(id, text, PLAIN, APART, "", 0, 0, IGNORED, ALWAYS, OPEN, ENGINE)                           \
    ROW(target_url, text, CHECKED, COLUMN, "target url hookUrl subscription_url", 0, RH_MAX_URL,   \
        REQUIRED, ALWAYS, OPEN, ENGINE)                                                            \
    ROW(events, patterns, CHECKED, APART, "event", 1, 100, REQUIRED, ALWAYS, OPEN, API)            \
    ROW(active, flag, APART, APART, "", 0, 0, OPTIONAL, ALWAYS, OPEN, API)                         \
    ROW(description, text, PLAIN, OPTION, "", 0, 1000, OPTIONAL, ALWAYS, OPEN, API)                \
    ROW(format, format, PLAIN, COLUMN, "", 0, 0, OPTIONAL, ALWAYS, OPEN, ENGINE)                   \
    ROW(headers, headers, OWN, OPTION, "", 0, 20, OPTIONAL, ALWAYS, MASKED, ENGINE)                \
    ROW(ordered, flag, PLAIN, COLUMN, "", 0, 0, OPTIONAL, ALWAYS, OPEN, ENGINE)                    \
    /* deliveries per second */                                                                    \
    ROW(rate_limit, number, PLAIN, COLUMN, "", 1, 100000, OPTIONAL, ALWAYS, OPEN, ENGINE)          \
    ROW(state, state, PLAIN, COLUMN, "", 0, 0, IGNORED, ALWAYS, OPEN, API)                         \
    ROW(state_reason, optional_text, PLAIN, COLUMN, "", 0, 0, IGNORED, ALWAYS, OPEN, API)          \
    ROW(created_at, time, PLAIN, APART, "", 0, 0, IGNORED, ALWAYS, OPEN, API)                      \
    ROW(updated_at, time, PLAIN, APART, "", 0, 0, IGNORED, ALWAYS, OPEN, API)                      \
    ROW(old_secret_expires_at, time, APART, APART, "", 0, 0, IGNORED, SET, OPEN, API)              \
    ROW(stats, stats, PLAIN, APART, "", 0, 0, IGNORED, ALWAYS, OPEN, API)                          \
    /* "whsec_..." */                                                                              \
    ROW(secret, text, CHECKED, COLUMN, "", 0, 0, CREATE, CREATED, SECRET, ENGINE)

#endif
