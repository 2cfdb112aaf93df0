/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_subscription.h
 * @brief A subscription: the events of a tenant that are POSTed to a target URL.
 */
#ifndef RH_SUBSCRIPTION_H
#define RH_SUBSCRIPTION_H

#include "rh_base.h"
#include "rh_format.h"
#include "rh_json.h"
#include "rh_problem.h"
#include "rh_subscription_members.h"
#include "rh_url.h"

/** States of a subscription: (id, name). */
#define RH_SUBSCRIPTION_STATES(X)                                                                  \
    X(ACTIVE, "active")                                                                            \
    X(PAUSED, "paused")                                                                            \
    X(GONE, "gone")                                                                                \
    X(DISABLED, "disabled")                                                                        \
    X(PENDING, "pending")

#define RH_SUBSCRIPTION_ID(id, name) RH_SUBSCRIPTION_##id,
typedef enum {
    RH_SUBSCRIPTION_STATES(RH_SUBSCRIPTION_ID) RH_SUBSCRIPTION_STATE_COUNT
} rh_subscription_state_t;

typedef struct rh_subscription_stats_t {
    apr_int64_t delivered, failed, pending;
    int last_status_code;       /**< 0: no attempt yet */
    apr_time_t last_attempt_at; /**< 0: no attempt yet */
} rh_subscription_stats_t;

/** Types of members, by kind. */
#define RH_KIND_TYPE(kind, type, json) typedef type rh_kind_##kind##_t;
RH_MEMBER_KINDS(RH_KIND_TYPE)

#define RH_FIELD_PLAIN(member, kind) rh_kind_##kind##_t member;
#define RH_FIELD_CHECKED(member, kind) rh_kind_##kind##_t member;
#define RH_FIELD_OWN(member, kind) rh_kind_##kind##_t member;
#define RH_FIELD_APART(member, kind)
#define RH_SUBSCRIPTION_FIELD(member, kind, how, ...) RH_FIELD_##how(member, kind)

/** All strings live in the pool of the function that makes it. */
typedef struct rh_subscription_t {
    const char *tenant;
    RH_MEMBERS(RH_SUBSCRIPTION_FIELD) /* rh_subscription_members.h says what each is */
    const char *options;         /**< JSON object text as stored, with members of later versions;
                                      NULL: not stored yet */
    const char *old_secret;      /**< NULL, or the previous secret, which also signs until … */
    apr_time_t old_secret_until; /**< … this time */
    const char *base_url;        /**< absolute URL of the API through which it was made */
    apr_int64_t revision;        /**< incremented by every change; its ETag */
} rh_subscription_t;

/** The parts of the configuration that the checks need. */
typedef struct rh_subscription_rules_t {
    bool https_only; /**< RestHooksTargets */
    /**
     * Return true if the catalogue has the event type. NULL: all valid types are allowed. Patterns
     * always are.
     */
    bool (*type_known)(void *baton, const char *type);
    /** Return true if a target may have this literal address. NULL: it is not checked here. */
    bool (*address_allowed)(void *baton, const rh_url_t *url);
    void *baton;
} rh_subscription_rules_t;

const char *rh_subscription_state_name(rh_subscription_state_t state);
bool rh_subscription_state_parse(const char *name, rh_subscription_state_t *state);

/** How rh_subscription_read treats members that are missing in the input. */
typedef enum {
    RH_READ_CREATE,  /**< they get defaults; target_url and events are required */
    RH_READ_REPLACE, /**< likewise, but id, secret and created_at of the existing subscription
                          stay (PUT) */
    RH_READ_PATCH    /**< unchanged; null gives the default (RFC 7396) */
} rh_read_mode_t;

/**
 * Apply a JSON body to a subscription, by the table of rh_subscription_members.h: aliases serve for
 * members (two names of one at once are an error), read-only members are taken and ignored so that
 * GET then PUT works, any other unknown member is an error. `active: false` pauses, `active: true`
 * revives. A target URL must be absolute http(s) without user info, fragment, white space or
 * control characters, at most RH_MAX_URL bytes, port 1-65535; whether its address is allowed is
 * decided when connecting, but literal addresses that are spelled unusually (0x7f000001, 127.1,
 * octal) are refused here. `secret` is taken on creation only ("whsec_" + base64 of 24-64 bytes);
 * absent: the caller generates it. Of `headers`, a name is compared without regard to case, those
 * of rh_header_reserved are refused, and RH_HEADER_MASK as the value of a secret one stands for
 * the stored value.
 * @param subscription for create: a zeroed struct with tenant set; otherwise the stored one.
 *        Left in an unspecified state when a problem is added.
 * @param problem gets 422 with every bad field
 */
void rh_subscription_read(rh_subscription_t *subscription, struct json_object *body,
                          rh_read_mode_t mode, const rh_subscription_rules_t *rules,
                          apr_pool_t *pool, rh_problem_t *problem);

/**
 * Return when the overlap of a rotation ends, during which both secrets sign. @return 0: there is
 * none
 */
apr_time_t rh_subscription_overlap_end(const rh_subscription_t *subscription);

/**
 * Set the members that are stored as options.
 * @param text JSON object text that is stored; the subscription keeps it. A member that it lacks,
 * or has with a value of another type, gets its default
 */
void rh_subscription_set_options(rh_subscription_t *subscription, const char *text,
                                 apr_pool_t *pool);

/**
 * Return the options to store: those of its members that have no default value, and what is stored
 * of members that only a later version knows.
 */
const char *rh_subscription_options(const rh_subscription_t *subscription, apr_pool_t *pool);

/**
 * Make the JSON of a subscription; `active` is state == active.
 * @param secret whether to show the secret (only the response to its creation does)
 * @return a new json-c object with one reference, the caller's
 */
struct json_object *rh_subscription_json(const rh_subscription_t *subscription, bool secret,
                                         apr_pool_t *pool);

#endif
