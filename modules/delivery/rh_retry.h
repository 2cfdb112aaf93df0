/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_retry.h
 * @brief The retry schedule and the judgement of responses: pure functions.
 */
#ifndef RH_RETRY_H
#define RH_RETRY_H

#include "rh_store.h"
#include "rh_transport.h"

/** Settings of a virtual host that decide what follows an attempt. Read-only once made. */
typedef struct rh_retry_policy_t {
    const apr_interval_time_t *waits; /**< microseconds between attempts */
    int wait_count;
    const int *gone; /**< status codes that end the subscription */
    int gone_count;
    apr_interval_time_t disable_after; /**< RH_NEVER: never */
} rh_retry_policy_t;

/** Return `wait` ± 20 %, from a random number of 32 bits. */
apr_interval_time_t rh_retry_jitter(apr_interval_time_t wait, apr_uint32_t random);

/**
 * Read Retry-After: delay-seconds or an HTTP-date in any of its three forms (RFC 9110 §10.2.3),
 * clamped to 1 s … 24 h.
 * @return false if it is neither
 */
bool rh_retry_after(const char *value, apr_time_t now, apr_interval_time_t *wait);

/**
 * Judge a finished exchange by the table of responses: fill in kind, delay, pause and reason of
 * *outcome from the job's tries and failing_for. Does not touch its other members.
 *
 * A subscription is disabled on evidence alone: the attempt fails and uses up its delivery's
 * schedule, every attempt has failed for policy->disable_after, and the delivery began since. Time
 * without events does not count as failure, and a delivery that has attempts left is retried.
 */
void rh_retry_judge(const rh_retry_policy_t *policy, const rh_job_t *job,
                    const rh_exchange_t *exchange, apr_time_t now, apr_uint32_t random,
                    apr_pool_t *pool, rh_settle_t *outcome);

#endif
