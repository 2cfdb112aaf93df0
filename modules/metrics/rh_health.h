/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_health.h
 * @brief What became of the operations that events depend on, as the processes saw them.
 *
 * Every process records the outcome of each operation in memory that all of them share. The report
 * therefore reflects what happened to real events, not the result of a separate probe. The latest
 * outcome counts; a failure expires unless it is repeated, so one of an operation that is no longer
 * used goes away as well.
 * Thread-safe, without locks: a reader may see the time of one outcome with the status of another.
 */
#ifndef RH_HEALTH_H
#define RH_HEALTH_H

#include "rh_base.h"

struct rh_metrics_t;

/** The operations: (name, how long a failure counts in seconds, what is done). */
#define RH_HEALTH_OPERATIONS(X)                                                                    \
    X(COMMIT, "commit", 60, "storing events")                                                      \
    X(CLAIM, "claim", 60, "claiming due deliveries")                                               \
    X(SETTLE, "settle", 60, "storing the outcomes of attempts")                                    \
    X(MAINTAIN, "housekeeping", 300, "housekeeping in the database")                               \
    X(SPOOL, "spool", 60, "writing to the spool")

typedef enum {
#define RH_HEALTH_ENUM(id, name, seconds, what) RH_HEALTH_##id,
    RH_HEALTH_OPERATIONS(RH_HEALTH_ENUM)
#undef RH_HEALTH_ENUM
        RH_HEALTH_COUNT
} rh_health_t;

/** One operation's record, in shared memory. Zero-initialised means never seen. */
typedef struct rh_health_record_t {
    apr_time_t good_at, bad_at; /**< 0: never */
    apr_int64_t bad_status;     /**< an apr_status_t, of bad_at */
} rh_health_record_t;

/** Note an operation's outcome. @param metrics NULL: nothing is noted */
void rh_health_note(const struct rh_metrics_t *metrics, rh_health_t operation, apr_status_t status);

/** Return the name of an operation, as /health shows it. */
const char *rh_health_name(rh_health_t operation);

/**
 * Judge an operation.
 * @return NULL: it works, or was not used recently; otherwise what is wrong, in `pool`
 */
const char *rh_health_problem(const struct rh_metrics_t *metrics, rh_health_t operation,
                              apr_time_t now, apr_pool_t *pool);

/** Return when an operation last succeeded; 0: never, or unknown. */
apr_time_t rh_health_good_at(const struct rh_metrics_t *metrics, rh_health_t operation);

#endif
