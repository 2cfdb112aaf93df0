/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_time.h
 * @brief Times as RFC 3339 in UTC with milliseconds, and durations as directives write them.
 */
#ifndef RH_TIME_H
#define RH_TIME_H

#include "rh_base.h"

/** Length of "2026-01-31T23:59:59.123Z", without the NUL. */
#define RH_TIME_LEN 24

/** A duration that never ends: `never`. */
#define RH_NEVER ((apr_interval_time_t)-1)

/** Format a time (microseconds since the epoch), in `pool`. */
const char *rh_time_format(apr_pool_t *pool, apr_time_t time);

/**
 * Read an RFC 3339 date-time with any offset and fraction (§5.6; a leap second is accepted
 * as the next minute's first).
 * @return APR_SUCCESS, or APR_EINVAL and *time unaltered
 */
apr_status_t rh_time_parse(const char *text, apr_size_t len, apr_time_t *time);

/**
 * Read a duration: digits and one of ms, s, m, h, d, w (a bare number: seconds), or `never`
 * where allowed.
 * @param duration receives microseconds, or RH_NEVER
 * @return APR_SUCCESS; APR_EINVAL for anything else, over 100 years, or `never` where it is not
 * allowed
 */
apr_status_t rh_duration_parse(const char *text, apr_size_t len, bool allow_never,
                               apr_interval_time_t *duration);

#endif
