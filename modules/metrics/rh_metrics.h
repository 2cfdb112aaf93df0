/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_metrics.h
 * @brief Counters, gauges and histograms of one virtual host.
 *
 * They live in memory that all processes of an httpd share (in a test, in its own). Code that
 * counts holds a `const rh_metrics_t *`, which may be NULL: then nothing is counted. Counting uses
 * relaxed atomic additions and neither locks nor allocates. Each number is read by itself, so a
 * histogram's sum may be older than its buckets.
 *
 *   counters    since the memory was made; never go back
 *   histograms  buckets with fixed bounds, not cumulative here; values in microseconds or pieces
 *   gauges      of one process each, so that they go with it, however it ends
 */
#ifndef RH_METRICS_H
#define RH_METRICS_H

#include "rh_health.h"

/** Counters of a host. Those of one family stand together, in the order of their labels. */
typedef enum {
    RH_COUNT_DELIVERED,
    RH_COUNT_FAILED,   /**< the schedule was used up */
    RH_COUNT_GONE,     /**< the target said so */
    RH_COUNT_DISABLED, /**< it had failed for too long */
    RH_COUNT_ATTEMPT_2XX,
    RH_COUNT_ATTEMPT_3XX,
    RH_COUNT_ATTEMPT_4XX,
    RH_COUNT_ATTEMPT_5XX,
    RH_COUNT_ATTEMPT_TIMEOUT,
    RH_COUNT_ATTEMPT_DNS,
    RH_COUNT_ATTEMPT_CONNECT,
    RH_COUNT_ATTEMPT_TLS,
    RH_COUNT_ATTEMPT_REFUSED_ADDRESS,
    RH_COUNT_ATTEMPT_PROTOCOL,
    RH_COUNT_ATTEMPT_RESET,
    RH_COUNT_EVENTS_LOST,
    RH_COUNT_EVENTS_SPOOLED,
    RH_COUNT_EVENTS_REFUSED,
    RH_COUNT_EVENTS_LOOPED, /**< not sent because of RestHooksMaxHops */
    RH_COUNT_EVENTS_UNFIT,  /**< their data break the schema of their type */
    RH_COUNT_LOG_LOST,      /**< lines of RestHooksLog */
    RH_COUNT_CLAIMS,
    RH_COUNT_CLAIMED, /**< deliveries */
    RH_COUNT_ERROR_COMMIT,
    RH_COUNT_ERROR_CLAIM,
    RH_COUNT_ERROR_SETTLE,
    RH_COUNT_ERROR_HOUSEKEEPING,
    RH_COUNT_ERROR_API,
    RH_COUNT_COUNT
} rh_count_t;

/** Gauges of a process and host. */
typedef enum {
    RH_GAUGE_INTAKE,    /**< events that wait for a commit */
    RH_GAUGE_QUEUED,    /**< deliveries in memory that wait for their attempt */
    RH_GAUGE_IN_FLIGHT, /**< attempts */
    RH_GAUGE_UNSETTLED, /**< outcomes that wait to be stored */
    RH_GAUGE_BREAKERS,  /**< open ones, with those that let a probe through */
    RH_GAUGE_PROBES,    /**< the latter */
    RH_GAUGE_DOWN,      /**< 1: the database does not answer this process */
    RH_GAUGE_COUNT
} rh_gauge_t;

typedef enum {
    RH_HISTOGRAM_ATTEMPT,   /**< microseconds from begin to end */
    RH_HISTOGRAM_QUEUE_AGE, /**< microseconds from commit or due time to the attempt */
    RH_HISTOGRAM_COMMIT,    /**< microseconds of the database for a commit of events */
    RH_HISTOGRAM_EVENTS,    /**< of one such commit */
    RH_HISTOGRAM_OUTCOMES,  /**< of one commit of outcomes */
    RH_HISTOGRAM_COUNT
} rh_histogram_t;

/** Most bounds of a histogram. */
#define RH_MOST_BOUNDS 16

/** The finite upper bounds of a histogram's buckets, inclusive, rising. @param count receives how
 * many */
const apr_int64_t *rh_histogram_bounds(rh_histogram_t histogram, int *count);

/** The numbers of one histogram. The bucket behind the last bound has no end. */
typedef struct rh_buckets_t {
    apr_uint64_t in[RH_MOST_BOUNDS + 1];
    apr_uint64_t sum; /**< of the values */
} rh_buckets_t;

/** What waits in a host's database, as it was last counted (rh_metrics_backlog_…). */
typedef struct rh_backlog_t {
    apr_int64_t pending;   /**< deliveries that are not settled */
    apr_int64_t due;       /**< of those, that could be attempted now */
    apr_int64_t oldest;    /**< how long the oldest of them has been due, microseconds */
    apr_time_t counted_at; /**< 0: never */
} rh_backlog_t;

/** The numbers of one host, all processes together. Zeroed memory is a good one. */
typedef struct rh_metrics_host_t {
    apr_uint64_t counters[RH_COUNT_COUNT];
    rh_buckets_t histograms[RH_HISTOGRAM_COUNT];
    rh_backlog_t backlog;
    apr_time_t backlog_wanted; /**< when somebody last asked for it */
    apr_time_t backlog_next;   /**< not before */
    rh_health_record_t health[RH_HEALTH_COUNT];
} rh_metrics_host_t;

/** Where one host's numbers are, for one process. */
typedef struct rh_metrics_t {
    rh_metrics_host_t *host;
    apr_uint64_t *events; /**< stored ones: a row for each type and one for others, by source */
    int types, sources;
    apr_uint64_t *missed; /**< what rules fitted but did not capture: a row for each, by reason */
    int rules, reasons;
    apr_int64_t *gauges; /**< RH_GAUGE_COUNT, of this process; NULL: it found no room */
} rh_metrics_t;

void rh_metrics_add(const rh_metrics_t *metrics, rh_count_t counter, apr_uint64_t count);
#define rh_metrics_count(metrics, counter) rh_metrics_add(metrics, counter, 1)

/** @param by how much it changes, of either sign */
void rh_metrics_move(const rh_metrics_t *metrics, rh_gauge_t gauge, int by);

void rh_metrics_observe(const rh_metrics_t *metrics, rh_histogram_t histogram, apr_int64_t value);

/** An event was stored. @param type its place in the catalogue; anything else: others */
void rh_metrics_event(const rh_metrics_t *metrics, int type, int source);

/** A rule fitted, but made no event. @param rule its index in the host's rules */
void rh_metrics_miss(const rh_metrics_t *metrics, int rule, int reason);

/* ---- reading ---- */

apr_uint64_t rh_metrics_read(const rh_metrics_t *metrics, rh_count_t counter);
apr_uint64_t rh_metrics_read_event(const rh_metrics_t *metrics, int type, int source);
apr_uint64_t rh_metrics_read_miss(const rh_metrics_t *metrics, int rule, int reason);
/** Copy a histogram. @return the number of values */
apr_uint64_t rh_metrics_read_histogram(const rh_metrics_t *metrics, rh_histogram_t histogram,
                                       rh_buckets_t *buckets);

/* ---- the backlog: counted now and then while somebody asks for it ---- */

/** Somebody asks: it will be counted for some minutes. @param backlog receives what is known
 * @return false: nothing, or nothing that is not old */
bool rh_metrics_backlog_read(const rh_metrics_t *metrics, apr_time_t now, rh_backlog_t *backlog);

/** Whether this process is to count now. True once for all processes together, at most every five
 * seconds. */
bool rh_metrics_backlog_due(const rh_metrics_t *metrics, apr_time_t now);

void rh_metrics_backlog_set(const rh_metrics_t *metrics, const rh_backlog_t *backlog);

#endif
