/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_endpoint.h
 * @brief What one event loop knows of a subscription's target, and what it therefore allows.
 *
 * Endpoints belong to one loop and need no lock. The limits, in the order in which they apply:
 *
 *   concurrency  attempts in flight to it at most
 *   pause        nothing before a time that the target asked for (Retry-After)
 *   breaker      after RH_BREAKER_FAILURES failures in a row it opens: nothing for 1 s, then one
 *                probe; each failing probe doubles the wait, up to 60 s; a response closes it. No
 *                response, 5xx and 429 count as failures; any other response shows a live target
 *   rate         a token bucket of rate_limit per second, which holds as many tokens, at least one
 *
 * A pause and an open breaker are reported to the store as well (rh_settle_t.pause), so that other
 * processes hold back and no delivery is claimed only to be released.
 */
#ifndef RH_ENDPOINT_H
#define RH_ENDPOINT_H

#include "rh_metrics.h"
#include "rh_share.h"

#include <apr_hash.h>
#include <apr_ring.h>

/** Failures in a row that open the breaker. */
#define RH_BREAKER_FAILURES 10
/** A subscription that has failed for this long starts with an open breaker in a new process. */
#define RH_BREAKER_REMEMBERED apr_time_from_sec(60)
/** Maximum interval between two probes. */
#define RH_BREAKER_MAX_WAIT apr_time_from_sec(60)
/** Idle time after which an endpoint is forgotten. */
#define RH_ENDPOINT_IDLE apr_time_from_sec(600)

/** What an attempt shows about its target. */
typedef enum {
    RH_VERDICT_ANSWERED, /**< it responded with a status that shows it is alive */
    RH_VERDICT_FAILED,   /**< no response, 5xx or 429 */
    RH_VERDICT_NONE      /**< cancelled: it shows nothing */
} rh_verdict_t;

/** Why an endpoint does not allow an attempt now. */
typedef enum {
    RH_ALLOWED,
    RH_BLOCKED_BY_FLIGHT, /**< until one of its own attempts ends */
    RH_BLOCKED_BY_TIME,   /**< until a point in time */
    RH_BLOCKED_BY_BREAKER /**< until a point in time, and jobs should not wait for it in memory */
} rh_allowance_t;

struct rh_work_t;

/** A tenant, and a round of tenants with their endpoints: rh_round.h. */
typedef struct rh_tenant_t rh_tenant_t;
typedef struct rh_round_t rh_round_t;

/** The lists of a schedule (rh_schedule.h). An endpoint is always in exactly one of them. */
typedef enum {
    RH_LIST_IDLE,    /**< no job waits and none is in flight; longest idle first */
    RH_LIST_BUSY,    /**< jobs are in flight, none waits */
    RH_LIST_TIMED,   /**< jobs wait for a point in time */
    RH_LIST_FULL,    /**< jobs wait for one of the endpoint's own attempts to end */
    RH_LIST_PLAIN,   /**< number of plain lists; the following ones are rounds (rh_round.h) */
    RH_LIST_READY,   /**< jobs wait that may start */
    RH_LIST_CROWDED, /**< jobs wait for a slot that their class or tenant may have */
    RH_LIST_JAMMED   /**< jobs wait for a slot of their host (rh_hosts.h) */
} rh_list_t;

typedef struct rh_endpoint_t {
    APR_RING_ENTRY(rh_endpoint_t) link;
    rh_list_t list;
    rh_tenant_t *tenant;
    char *target;             /**< URL of the latest job, from the heap; NULL: no job was seen
                                   yet */
    struct rh_host_t *host;   /**< host of that URL; NULL: it has none, or hosts are not limited */
    struct rh_jam_t *jam;     /**< the jam that it is in; NULL: none */
    struct rh_group_t *group; /**< its link in a round; NULL: not in one */
    APR_RING_ENTRY(rh_endpoint_t) holder; /**< link in the list of its tenant's waiting endpoints */
    APR_RING_HEAD(rh_waiting_head_t, rh_work_t) waiting; /**< waiting jobs, oldest first */
    int waiting_count;
    int in_flight;
    apr_time_t wake_at;    /**< in RH_LIST_TIMED: when it may continue */
    apr_time_t idle_since; /**< since when it has been idle */

    apr_time_t paused_until, paused_at;
    int rate; /**< 0: none */
    double tokens;
    apr_time_t tokens_at;
    apr_time_t delivered_at;      /**< time of the latest success in this process; 0: none */
    bool tried;                   /**< an attempt has ended in this process */
    apr_interval_time_t duration; /**< smoothed duration of an attempt */
    int failures;                 /**< consecutive failures */
    bool open;                    /**< state of the breaker */
    int probes_failed;
    apr_time_t probe_at;
    const rh_metrics_t *metrics; /**< counts its breaker; may be NULL */
    char id[];                   /**< id of the subscription */
} rh_endpoint_t;

/** Make an endpoint from the heap; `waiting` is not initialised. `failing_for` as in rh_job_t. */
rh_endpoint_t *rh_endpoint_make(const char *id, apr_interval_time_t failing_for, apr_time_t now);

rh_endpoint_class_t rh_endpoint_class(const rh_endpoint_t *endpoint);

/** Update the rate limit, which may have changed since the last job. */
void rh_endpoint_set_rate(rh_endpoint_t *endpoint, int rate, apr_time_t now);

/**
 * Check whether an attempt may start now.
 * @param until receives when to check again, if only time has to pass
 */
rh_allowance_t rh_endpoint_allows(rh_endpoint_t *endpoint, int concurrency, apr_time_t now,
                                  apr_time_t *until);

/**
 * Note that the store handed out a job, so no pause was in force there. A pause that was reported
 * to it long ago has been lifted by a revival of the subscription, and is lifted here too.
 */
void rh_endpoint_claimed(rh_endpoint_t *endpoint, apr_time_t now);

/** Count an attempt that starts, and take its token. @return true if it is the breaker's probe */
bool rh_endpoint_started(rh_endpoint_t *endpoint);

/**
 * Count an attempt that ended.
 * @param probe the result of rh_endpoint_started
 * @param pause what the target asked for, or 0
 * @return how long the whole subscription should wait, 0: not at all
 */
apr_interval_time_t rh_endpoint_finished(rh_endpoint_t *endpoint, rh_verdict_t verdict, bool probe,
                                         apr_interval_time_t duration, apr_interval_time_t pause,
                                         apr_time_t now);

/** Maximum number of jobs that may wait here so that they finish before their leases end. */
int rh_endpoint_room(const rh_endpoint_t *endpoint, int concurrency, int capacity);

/** Estimate how long it takes to attempt half of the waiting jobs: 50 ms … 10 s. */
apr_interval_time_t rh_endpoint_drain_time(const rh_endpoint_t *endpoint, int concurrency);

#endif
