/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_retry.h"

#include "rh_time.h"
#include "rh_uuid.h"

#include <apr_date.h>
#include <apr_lib.h>

/** Minimum and maximum pause that Retry-After may ask for. */
#define MIN_WAIT apr_time_from_sec(1)
#define MAX_WAIT apr_time_from_sec(24 * 3600)
/** Usual maximum time from the creation of a delivery to its first attempt. */
#define FIRST_ATTEMPT_DELAY apr_time_from_sec(60)

apr_interval_time_t rh_retry_jitter(apr_interval_time_t wait, apr_uint32_t random)
{
    double share = 0.8 + 0.4 * ((double)random / 4294967295.0);

    return (apr_interval_time_t)((double)wait * share);
}

static apr_interval_time_t within_bounds(apr_interval_time_t wait)
{
    if (wait < MIN_WAIT) {
        return MIN_WAIT;
    }
    return wait > MAX_WAIT ? MAX_WAIT : wait;
}

/** Read delay-seconds: digits only. Any number above a day, however long, counts as a day. */
static bool read_seconds(const char *value, apr_size_t len, apr_interval_time_t *wait)
{
    apr_int64_t seconds = 0;
    apr_size_t i;

    for (i = 0; i < len; i++) {
        if (!rh_is_digit(value[i])) {
            return false;
        }
        if (seconds < apr_time_sec(MAX_WAIT)) {
            seconds = seconds * 10 + (value[i] - '0');
        }
    }
    *wait = within_bounds(apr_time_from_sec(seconds));
    return true;
}

bool rh_retry_after(const char *value, apr_time_t now, apr_interval_time_t *wait)
{
    apr_size_t len;
    apr_time_t when;

    if (!value) {
        return false;
    }
    while (*value == ' ' || *value == '\t') {
        value++;
    }
    len = strlen(value);
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t')) {
        len--;
    }
    if (len == 0) {
        return false;
    }
    if (read_seconds(value, len, wait)) {
        return true;
    }
    /* Every form of an HTTP-date begins with a day's name; apr_date_parse_http skips over it. */
    if (!apr_isalpha(*value)) {
        return false;
    }
    when = apr_date_parse_http(value);
    if (when == APR_DATE_BAD) {
        return false;
    }
    *wait = within_bounds(when - now);
    return true;
}

static bool is_gone(const rh_retry_policy_t *policy, int status_code)
{
    int i;

    for (i = 0; i < policy->gone_count; i++) {
        if (policy->gone[i] == status_code) {
            return true;
        }
    }
    return false;
}

/**
 * Format a duration as "121 hours", "90 minutes" or "2 seconds": in the largest unit of which there
 * are at least two.
 */
static const char *duration_text(apr_pool_t *pool, apr_interval_time_t duration)
{
    static const struct {
        int seconds;
        const char *name;
    } units[] = {{3600, "hours"}, {60, "minutes"}, {1, "seconds"}};
    apr_int64_t seconds = apr_time_sec(duration);
    int i = 0;

    while (units[i].seconds > 1 && seconds < 2 * units[i].seconds) {
        i++;
    }
    return apr_psprintf(pool, "%" APR_INT64_T_FMT " %s", seconds / units[i].seconds, units[i].name);
}

/**
 * True if a delivery that used up its schedule is evidence that nothing reaches the subscription:
 * every attempt has failed for long enough, this delivery's among them. A delivery that began
 * before the first failure does not count, because some of its failures may belong to an earlier
 * outage. Its own first attempt may be that first failure, which is stored when it has ended.
 */
static bool is_dead(const rh_retry_policy_t *policy, const rh_job_t *job,
                    const rh_exchange_t *exchange, apr_time_t now)
{
    apr_interval_time_t age = 0;

    if (policy->disable_after == RH_NEVER || job->failing_for <= 0 ||
        job->failing_for < policy->disable_after) {
        return false;
    }
    if (job->delivery_id && rh_uuid_valid(job->delivery_id, strlen(job->delivery_id))) {
        age = now - rh_uuid_time(job->delivery_id);
    }
    return age <= job->failing_for + exchange->timeout + FIRST_ATTEMPT_DELAY;
}

void rh_retry_judge(const rh_retry_policy_t *policy, const rh_job_t *job,
                    const rh_exchange_t *exchange, apr_time_t now, apr_uint32_t random,
                    apr_pool_t *pool, rh_settle_t *outcome)
{
    bool answered = exchange->result == RH_EXCHANGE_OK;
    int status_code = answered ? exchange->status_code : 0;
    apr_interval_time_t asked = 0;

    outcome->delay = 0;
    outcome->pause = 0;
    outcome->reason = NULL;
    if (exchange->result == RH_EXCHANGE_CANCELLED) {
        outcome->kind = RH_SETTLE_RELEASE;
        return;
    }
    if (answered && is_gone(policy, status_code)) {
        outcome->kind = RH_SETTLE_GONE;
        outcome->reason = apr_psprintf(pool, "the target answered %d", status_code);
        return;
    }
    if (status_code >= 200 && status_code <= 299) {
        outcome->kind = RH_SETTLE_DELIVERED;
        return;
    }
    if ((status_code == 429 || status_code == 503) && exchange->answer_headers &&
        rh_retry_after(apr_table_get(exchange->answer_headers, "Retry-After"), now, &asked)) {
        outcome->pause = asked;
    }
    if (job->tries >= policy->wait_count && is_dead(policy, job, exchange, now)) {
        outcome->kind = RH_SETTLE_DISABLED;
        outcome->pause = 0;
        outcome->reason = apr_psprintf(pool, "every attempt has failed for %s",
                                       duration_text(pool, job->failing_for));
        return;
    }
    if (job->tries < 0 || job->tries >= policy->wait_count) {
        outcome->kind = RH_SETTLE_FAILED;
        return;
    }
    outcome->kind = RH_SETTLE_RETRY;
    outcome->delay = asked > 0 ? asked : rh_retry_jitter(policy->waits[job->tries], random);
}
