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
 *   gauges      of one process each, so that they end with it, however it ends
 */
#ifndef RH_METRICS_H
#define RH_METRICS_H

#include "rh_health.h"

/**
 * The counters of a host, by family: FAMILY(name, label, help) begins one, and each
 * COUNTER(id, value) after it is one of its counters, distinguished by the label's value. A family
 * of one counter may have neither label nor value. The enum, /metrics and the totals of a family
 * come from here: a new counter is a row, the place that counts, and a line in docs/instruments.md.
 */
#define RH_COUNTERS(FAMILY, COUNTER)                                                               \
    FAMILY("resthooks_deliveries", "outcome",                                                      \
           "Deliveries that ended, by outcome: failed ones used up their schedule, gone and "      \
           "disabled ones ended their subscription")                                               \
    COUNTER(DELIVERED, "delivered")                                                                \
    COUNTER(FAILED, "failed")                                                                      \
    COUNTER(GONE, "gone")                                                                          \
    COUNTER(DISABLED, "disabled")                                                                  \
    FAMILY("resthooks_attempts", "result",                                                         \
           "Attempts that ended, by class of the response's status or by what went wrong")         \
    COUNTER(ATTEMPT_2XX, "2xx")                                                                    \
    COUNTER(ATTEMPT_3XX, "3xx")                                                                    \
    COUNTER(ATTEMPT_4XX, "4xx")                                                                    \
    COUNTER(ATTEMPT_5XX, "5xx")                                                                    \
    COUNTER(ATTEMPT_TIMEOUT, "timeout")                                                            \
    COUNTER(ATTEMPT_DNS, "dns")                                                                    \
    COUNTER(ATTEMPT_CONNECT, "connect")                                                            \
    COUNTER(ATTEMPT_TLS, "tls")                                                                    \
    COUNTER(ATTEMPT_REFUSED_ADDRESS, "refused_address")                                            \
    COUNTER(ATTEMPT_PROTOCOL, "protocol")                                                          \
    COUNTER(ATTEMPT_RESET, "reset")                                                                \
    FAMILY("resthooks_events_lost", NULL,                                                          \
           "Events that could be stored neither in the database nor in the spool")                 \
    COUNTER(EVENTS_LOST, NULL)                                                                     \
    FAMILY("resthooks_events_spooled", NULL,                                                       \
           "Events that went to the spool because the database could not take them")               \
    COUNTER(EVENTS_SPOOLED, NULL)                                                                  \
    FAMILY("resthooks_events_refused", NULL,                                                       \
           "Events of the spool that the database refused: kept in files for a person")            \
    COUNTER(EVENTS_REFUSED, NULL)                                                                  \
    FAMILY("resthooks_events_looped", NULL,                                                        \
           "Events that were not sent because too many deliveries led to them "                    \
           "(RestHooksMaxHops)")                                                                   \
    COUNTER(EVENTS_LOOPED, NULL)                                                                   \
    FAMILY("resthooks_events_schema_breaches", NULL,                                               \
           "Events whose data break the schema of their type (RestHooksEventType)")                \
    COUNTER(EVENTS_UNFIT, NULL)                                                                    \
    FAMILY("resthooks_log_lines_lost", NULL, "Lines that could not be written to RestHooksLog")    \
    COUNTER(LOG_LOST, NULL)                                                                        \
    FAMILY("resthooks_claims", NULL, "Claims of due deliveries from the database")                 \
    COUNTER(CLAIMS, NULL)                                                                          \
    FAMILY("resthooks_claimed_deliveries", NULL, "Deliveries that claims brought")                 \
    COUNTER(CLAIMED, NULL)                                                                         \
    FAMILY("resthooks_database_errors", "operation",                                               \
           "Failed calls of the database, by the operation they were part of")                     \
    COUNTER(ERROR_COMMIT, "commit")                                                                \
    COUNTER(ERROR_CLAIM, "claim")                                                                  \
    COUNTER(ERROR_SETTLE, "settle")                                                                \
    COUNTER(ERROR_HOUSEKEEPING, "housekeeping")                                                    \
    COUNTER(ERROR_API, "api")

#define RH_NO_FAMILY(name, label, help)
#define RH_COUNTER_ID(id, value) RH_COUNT_##id,
typedef enum { RH_COUNTERS(RH_NO_FAMILY, RH_COUNTER_ID) RH_COUNT_COUNT } rh_count_t;

/**
 * The gauges of a process and host: (id, name, help). Those without a name are not a family of
 * their own: rh_api_metrics.c computes one from them.
 */
#define RH_GAUGES(X)                                                                               \
    X(INTAKE, "resthooks_events_queued", "Events that wait for their commit")                      \
    X(QUEUED, "resthooks_deliveries_queued", "Deliveries in memory that wait for their attempt")   \
    X(IN_FLIGHT, "resthooks_deliveries_in_flight", "Attempts under way")                           \
    X(UNSETTLED, "resthooks_deliveries_unsettled", "Outcomes of attempts that wait to be stored")  \
    X(BREAKERS, NULL, "Open breakers, including those that let a probe through")                   \
    X(PROBES, NULL, "Breakers that let a probe through")                                           \
    X(DOWN, NULL, "1 if the database does not answer this process")

#define RH_GAUGE_ID(id, name, help) RH_GAUGE_##id,
typedef enum { RH_GAUGES(RH_GAUGE_ID) RH_GAUGE_COUNT } rh_gauge_t;

/** The histograms of a host: (id, name, unit or NULL, bounds in rh_metrics.c, help). */
#define RH_HISTOGRAMS(X)                                                                           \
    X(ATTEMPT, "resthooks_attempt_duration_seconds", "seconds", attempt_bounds,                    \
      "How long attempts took")                                                                    \
    X(QUEUE_AGE, "resthooks_queue_age_seconds", "seconds", age_bounds,                             \
      "How long deliveries waited for an attempt, since their commit or since they were due")      \
    X(COMMIT, "resthooks_commit_duration_seconds", "seconds", commit_bounds,                       \
      "How long the database took for a commit of events")                                         \
    X(EVENTS, "resthooks_commit_events", NULL, batch_bounds, "Events of one commit")               \
    X(OUTCOMES, "resthooks_settle_deliveries", NULL, batch_bounds,                                 \
      "Outcomes of attempts of one commit")

#define RH_HISTOGRAM_ID(id, name, unit, bounds, help) RH_HISTOGRAM_##id,
typedef enum { RH_HISTOGRAMS(RH_HISTOGRAM_ID) RH_HISTOGRAM_COUNT } rh_histogram_t;

/** A row of RH_COUNTERS: a family (name is set), or a counter of the family above it. */
typedef struct rh_counter_row_t {
    const char *name, *label, *help; /**< of a family; NULL in a counter's row */
    const char *value;               /**< of the label */
    rh_count_t counter;
} rh_counter_row_t;

/** All rows of RH_COUNTERS, in order. */
const rh_counter_row_t *rh_counter_rows(int *count);

/** Return the name and help of a gauge; both static. @return NULL: it is not a family of its own */
const char *rh_gauge_name(rh_gauge_t gauge, const char **help);

/** Name, unit (NULL: none) and help of a histogram; all static. */
const char *rh_histogram_name(rh_histogram_t histogram, const char **unit, const char **help);

/** Maximum number of bounds of a histogram. */
#define RH_MAX_BOUNDS 16

/** The finite upper bounds of a histogram's buckets, inclusive, in ascending order. */
const apr_int64_t *rh_histogram_bounds(rh_histogram_t histogram, int *count);

/** The numbers of one histogram. The bucket after the last bound has no upper bound. */
typedef struct rh_buckets_t {
    apr_uint64_t in[RH_MAX_BOUNDS + 1];
    apr_uint64_t sum; /**< of the values */
} rh_buckets_t;

/** The backlog of a host's database at the last count (rh_metrics_backlog_set). */
typedef struct rh_backlog_t {
    apr_int64_t pending;   /**< deliveries that are not settled */
    apr_int64_t due;       /**< of those, the ones that could be attempted now */
    apr_int64_t oldest;    /**< how long the oldest of them has been due, microseconds */
    apr_time_t counted_at; /**< 0: never */
} rh_backlog_t;

/** The numbers of one host, all processes together. Zero-initialise. */
typedef struct rh_metrics_host_t {
    apr_uint64_t counters[RH_COUNT_COUNT];
    rh_buckets_t histograms[RH_HISTOGRAM_COUNT];
    rh_backlog_t backlog;
    apr_time_t backlog_wanted; /**< when it was last read */
    apr_time_t backlog_next;   /**< earliest time of the next count */
    rh_health_record_t health[RH_HEALTH_COUNT];
} rh_metrics_host_t;

/** The positions of one host's numbers, for one process. */
typedef struct rh_metrics_t {
    rh_metrics_host_t *host;
    apr_uint64_t *events; /**< stored events: a row per type and one for all others, by source */
    int types, sources;
    apr_uint64_t *missed; /**< requests that a rule matched but did not capture: a row per rule, by
                             reason */
    int rules, reasons;
    apr_int64_t *gauges; /**< RH_GAUGE_COUNT, of this process; NULL: no slot was free for it */
} rh_metrics_t;

void rh_metrics_add(const rh_metrics_t *metrics, rh_count_t counter, apr_uint64_t count);
#define rh_metrics_count(metrics, counter) rh_metrics_add(metrics, counter, 1)

/** Change a gauge. @param by positive or negative */
void rh_metrics_move(const rh_metrics_t *metrics, rh_gauge_t gauge, int by);

void rh_metrics_observe(const rh_metrics_t *metrics, rh_histogram_t histogram, apr_int64_t value);

/** Count a stored event. @param type its position in the catalogue; any other number: others */
void rh_metrics_event(const rh_metrics_t *metrics, int type, int source);

/** Count a request that a rule matched without making an event. @param rule its index */
void rh_metrics_miss(const rh_metrics_t *metrics, int rule, int reason);

/* ---- reading ---- */

apr_uint64_t rh_metrics_read(const rh_metrics_t *metrics, rh_count_t counter);
/** Return the sum of all counters of one counter's family. */
apr_uint64_t rh_metrics_read_family(const rh_metrics_t *metrics, rh_count_t counter);
apr_uint64_t rh_metrics_read_event(const rh_metrics_t *metrics, int type, int source);
apr_uint64_t rh_metrics_read_miss(const rh_metrics_t *metrics, int rule, int reason);
/** Copy a histogram. @return the number of values */
apr_uint64_t rh_metrics_read_histogram(const rh_metrics_t *metrics, rh_histogram_t histogram,
                                       rh_buckets_t *buckets);

/* ---- the backlog: counted from time to time, as long as it is read ---- */

/**
 * Read the backlog, and have it counted for the next minutes.
 * @return false: it has not been counted yet, or too long ago
 */
bool rh_metrics_backlog_read(const rh_metrics_t *metrics, apr_time_t now, rh_backlog_t *backlog);

/** True if this process should count the backlog now: at most once in five seconds for all
 * processes together. */
bool rh_metrics_backlog_due(const rh_metrics_t *metrics, apr_time_t now);

void rh_metrics_backlog_set(const rh_metrics_t *metrics, const rh_backlog_t *backlog);

#endif
