/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_subscription_private.h
 * @brief Shared by the parts that read and write members of a subscription: the table of members,
 * kinds of values, readers and writers of their own.
 */
#ifndef RH_SUBSCRIPTION_PRIVATE_H
#define RH_SUBSCRIPTION_PRIVATE_H

#include "rh_subscription.h"

#define RH_MEMBER_INDEX(member, ...) RH_MEMBER_##member,
enum { RH_MEMBERS(RH_MEMBER_INDEX) RH_MEMBER_COUNT };

#define RH_KIND_INDEX(kind, type, json) RH_KIND_##kind,
enum { RH_MEMBER_KINDS(RH_KIND_INDEX) RH_KIND_COUNT };

/** Bounds of a value, by its kind; max 0: none. */
typedef struct rh_bounds_t {
    int min, max;
} rh_bounds_t;

/** How values of a kind are read and written. */
typedef struct rh_kind_t {
    /**
     * Set *to, of the kind's type, from a value; it lives in `pool`.
     * @param value NULL: null, which gives the default
     * @return NULL, or what is wrong with the value ("must be …"); then *to is as it was
     */
    const char *(*read)(struct json_object *value, rh_bounds_t bounds, apr_pool_t *pool, void *to);
    /** Return the value as a new object, or NULL for null. */
    struct json_object *(*write)(const void *from, apr_pool_t *pool);
} rh_kind_t;

/** All kinds; a function is NULL where no member needs it. */
extern const rh_kind_t rh_kinds[RH_KIND_COUNT];

typedef enum {
    RH_INPUT_REQUIRED,
    RH_INPUT_OPTIONAL,
    RH_INPUT_CREATE,
    RH_INPUT_IGNORED
} rh_member_input_t;

typedef enum { RH_SHOWN_ALWAYS, RH_SHOWN_SET, RH_SHOWN_CREATED } rh_member_shown_t;

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

/** A row of RH_MEMBERS, as reading and writing need it. */
struct rh_member_t {
    const char *name;
    const char *aliases;
    const rh_kind_t *kind;
    rh_bounds_t bounds;
    rh_member_input_t input;
    rh_member_shown_t shown;
    rh_member_read_t *read;   /**< NULL: read as its kind */
    apr_size_t offset;        /**< in rh_subscription_t; 0 if it has its own `write` */
    rh_member_write_t *write; /**< NULL: written as its kind */
};

#define RH_MEMBER_DECLARE(member, ...)                                                             \
    rh_member_read_t rh_member_read_##member;                                                      \
    rh_member_write_t rh_member_write_##member;
/** Readers of their own (rh_subscription_read.c, …_headers.c) and writers (rh_subscription.c). */
RH_MEMBERS(RH_MEMBER_DECLARE)

/** Check for a string without U+0000. @return NULL, or what is wrong with the value */
const char *rh_text_complaint(struct json_object *value);

/** Return the text of a JSON string without U+0000; NULL after a field error. */
const char *rh_member_text(rh_member_reading_t *reading, const char *field,
                           struct json_object *value);

#endif
