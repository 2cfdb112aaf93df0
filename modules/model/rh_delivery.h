/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_delivery.h
 * @brief The delivery of one event to one subscription, and its attempts.
 */
#ifndef RH_DELIVERY_H
#define RH_DELIVERY_H

#include "rh_base.h"
#include "rh_event.h"
#include "rh_subscription.h"

/** States of a delivery: (id, name). */
#define RH_DELIVERY_STATES(X)                                                                      \
    X(PENDING, "pending")                                                                          \
    X(DELIVERED, "delivered")                                                                      \
    X(FAILED, "failed")                                                                            \
    X(CANCELLED, "cancelled")

#define RH_DELIVERY_ID(id, name) RH_DELIVERY_##id,
typedef enum { RH_DELIVERY_STATES(RH_DELIVERY_ID) RH_DELIVERY_STATE_COUNT } rh_delivery_state_t;

/**
 * Outcomes of an attempt: (id, name in RestHooksLog and for the store, counter of those that end
 * the delivery).
 *
 *   DELIVERED  the target accepted it
 *   RETRY      it is due again after `delay`
 *   FAILED     the schedule is used up
 *   GONE       failed; the subscription becomes gone, its other pending deliveries cancelled
 *   DISABLED   failed; the subscription becomes disabled, its other deliveries stay pending
 *   RELEASE    no attempt was made: the lease is given back, and it is due after `delay`
 */
#define RH_SETTLE_KINDS(X)                                                                         \
    X(DELIVERED, "delivered", RH_COUNT_DELIVERED)                                                  \
    X(RETRY, "retry", RH_COUNT_COUNT)                                                              \
    X(FAILED, "failed", RH_COUNT_FAILED)                                                           \
    X(GONE, "gone", RH_COUNT_GONE)                                                                 \
    X(DISABLED, "disabled", RH_COUNT_DISABLED)                                                     \
    X(RELEASE, "release", RH_COUNT_COUNT)

#define RH_SETTLE_ID(id, name, counter) RH_SETTLE_##id,
typedef enum { RH_SETTLE_KINDS(RH_SETTLE_ID) } rh_settle_kind_t;

const char *rh_settle_kind_name(rh_settle_kind_t kind);

const char *rh_delivery_state_name(rh_delivery_state_t state);
bool rh_delivery_state_parse(const char *name, rh_delivery_state_t *state);

/** One attempt: a POST of a delivery. */
typedef struct rh_attempt_t {
    const char *id; /**< UUIDv7 */
    int number;     /**< number of the attempt; 1 for the delivery's first */
    apr_time_t started_at;
    apr_interval_time_t duration; /**< microseconds */
    int status_code;              /**< 0: no response */
    const char *headers;          /**< JSON object text of the response's headers, NULL: none */
    const char *answer;           /**< first RH_MAX_ANSWER bytes of the response as valid UTF-8,
                                       NULL: none */
    const char *error;            /**< NULL, or "connect: connection refused" */
    rh_format_t format;           /**< format of the body that was sent */
    const char *template;         /**< what the request has in common with others (rh_sent.h);
                                       NULL: nothing, or it is put together with `sent` already */
    const char *sent; /**< JSON object text that describes the request: url, headers (secret
                           values masked), format, address, times; with a template, its values
                           alone; NULL: unknown */
} rh_attempt_t;

/** One row of the delivery log, as the API shows it. */
typedef struct rh_delivery_t {
    const char *tenant;
    const char *id;
    const char *subscription_id;
    rh_event_t event; /**< data.data is NULL in lists */
    rh_delivery_state_t state;
    int attempt_count;
    int last_status_code; /**< 0: no attempt yet */
    apr_time_t created_at;
    apr_time_t next_attempt_at; /**< earliest time of the next attempt; 0: none */
    /**
     * What a pending delivery waits for; NULL for others:
     * "attempt"       it is being attempted, or next in a host's memory
     * "turn" for a claim: it is due
     * "schedule"      the time of its next attempt
     * "target"        its target, which asked for a pause, or fails and is being probed
     * "rate_limit"    its subscription's rate limit
     * "order"         earlier deliveries of the same key
     * "subscription"  its subscription isn't active
     */
    const char *waiting_for;
    /**
     * Format of the last attempt; before one, and in lists, the subscription's; array if that is
     * gone.
     */
    rh_format_t format;
    const char *target_url;       /**< NULL when the subscription is gone */
    const char *base_url;         /**< URL of the API; "" if the subscription is gone */
    apr_array_header_t *attempts; /**< of rh_attempt_t *, oldest first; NULL in lists */
} rh_delivery_t;

/* A subscription's members that the engine needs; its id is in `subscription_id`. */
#define RH_JOB_FIELD_APART(member, kind)
#define RH_JOB_FIELD_COLUMN(member, kind) rh_kind_##kind##_t member;
#define RH_JOB_FIELD_OPTION(member, kind) rh_kind_##kind##_t member;
#define RH_JOB_FIELD_API(member, kind, stored)
#define RH_JOB_FIELD_ENGINE(member, kind, stored) RH_JOB_FIELD_##stored(member, kind)
#define RH_JOB_FIELD(member, kind, how, stored, aliases, min, max, input, shown, value, use)       \
    RH_JOB_FIELD_##use(member, kind, stored)

/**
 * Everything the engine needs to make one attempt, so that it never asks the store for more. The
 * current holder of the job destroys it, and with it its pool, by rh_job_destroy.
 */
typedef struct rh_job_t {
    apr_pool_t *pool; /**< the job's own: rh_passing_pool_make */
    const char *tenant;
    const char *delivery_id;
    const char *subscription_id;
    rh_event_t event;
    RH_MEMBERS(RH_JOB_FIELD)
    const char *old_secret; /**< NULL, or the previous secret, which signs as well */
    const char *base_url;
    int tries;              /**< failed attempts since the schedule (re)started: 0 for the first */
    int attempt_count;      /**< number of all attempts made before */
    apr_int64_t lease;      /**< token that settling requires: only the holder of the lease may
                                 change the row */
    apr_time_t lease_until; /**< this host's clock; no attempt may run past it */
    apr_time_t due_at;      /**< on this host's clock: since when it has been due; 0: unknown */
    apr_interval_time_t
        failing_for; /**< how long all attempts of the subscription have failed; 0: they have not */
} rh_job_t;

/** Make a zeroed job in a pool of its own; NULL if memory is short. */
rh_job_t *rh_job_make(void);
/** Set the members that are stored as options, from the JSON object text that is stored. */
void rh_job_set_options(rh_job_t *job, const char *text);
/** Destroy a job and everything in its pool; NULL is allowed. */
void rh_job_destroy(rh_job_t *job);

/**
 * Make the JSON of a delivery, with `payload` and `attempts` if the row holds them.
 * @return a new json-c object, the caller's reference
 */
struct json_object *rh_delivery_json(const rh_delivery_t *delivery, apr_pool_t *pool);

#endif
