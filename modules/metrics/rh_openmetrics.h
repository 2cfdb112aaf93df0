/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_openmetrics.h
 * @brief Writes metrics as text: OpenMetrics 1.0, or the older Prometheus text format 0.0.4.
 *
 * Sources: the OpenMetrics specification 1.0 ("Text format"), and Prometheus' "Exposition formats".
 * They differ in the name that HELP and TYPE give of a counter, in units, in info, and in the last
 * line.
 */
#ifndef RH_OPENMETRICS_H
#define RH_OPENMETRICS_H

#include "rh_base.h"

#define RH_OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define RH_PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"

typedef enum {
    RH_FAMILY_COUNTER,
    RH_FAMILY_GAUGE,
    RH_FAMILY_HISTOGRAM,
    RH_FAMILY_INFO
} rh_family_t;

/** A text being written. */
typedef struct rh_openmetrics_t {
    rh_buffer_t text;
    bool prometheus; /**< the older format */
    rh_family_t type;
    const char *name; /**< of the family */
} rh_openmetrics_t;

/** Make an empty text, which grows in `pool`. */
void rh_openmetrics_begin(rh_openmetrics_t *out, apr_pool_t *pool, bool prometheus);

/**
 * Begin a family. Its samples follow, before the next one.
 * @param name without the suffix of its kind ("_total", "_info"); outlives the writer's use
 * @param unit NULL: none; else `name` ends with "_" and it
 */
void rh_openmetrics_family(rh_openmetrics_t *out, const char *name, rh_family_t type,
                           const char *unit, const char *help);

/**
 * Append a sample of the family. Labels: pairs of name and value, terminated by NULL. A value is
 * any UTF-8.
 * @param value not negative if the family is a counter
 */
void rh_openmetrics_sample(rh_openmetrics_t *out, const char *const *labels, apr_int64_t value);
/** Append a sample that is a time or duration in microseconds, as seconds. */
void rh_openmetrics_seconds(rh_openmetrics_t *out, const char *const *labels, apr_int64_t value);

/**
 * Append all samples of one histogram.
 * @param bounds of the buckets but the last; @param in values in each bucket, one more than bounds
 * @param seconds bounds and sum are microseconds
 */
void rh_openmetrics_histogram(rh_openmetrics_t *out, const char *const *labels,
                              const apr_int64_t *bounds, int count, const apr_uint64_t *in,
                              apr_uint64_t sum, bool seconds);

/** Return the whole text. */
rh_bytes_t rh_openmetrics_end(rh_openmetrics_t *out);

/** True if a client wants the older format: Accept names it, and not the newer one. */
bool rh_openmetrics_prefers_prometheus(const char *accept);

#endif
