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
 *                probe; each failing probe doubles the wait, up to 60 s; an answer closes it.
 *                No answer, 5xx and 429 count as failures; any other answer shows a live target
 *   rate         a token bucket of rate_limit a second, with as many tokens at most, at least one
 *
 * A pause and an open breaker are reported to the store as well (rh_settle_t.pause), so that other
 * processes hold back and nothing is claimed only to be given back.
 */
#ifndef RH_ENDPOINT_H
#define RH_ENDPOINT_H

#include "rh_metrics.h"
#include "rh_share.h"

#include <apr_hash.h>
#include <apr_ring.h>

/** Failures in a row that open the breaker. */
#define RH_BREAKER_FAILURES 10
/** A subscription that has failed for this long meets a new process with its breaker open. */
#define RH_BREAKER_REMEMBERED apr_time_from_sec(60)
/** Maximum wait between two probes. */
#define RH_BREAKER_MAX_WAIT apr_time_from_sec(60)
/** Endpoints without work are forgotten after this time. */
#define RH_ENDPOINT_IDLE apr_time_from_sec(600)

/** What an attempt says of its target. */
typedef enum {
    RH_VERDICT_ANSWERED, /**< it responded, with any status that shows it is alive */
    RH_VERDICT_FAILED,   /**< no answer, 5xx, 429 */
    RH_VERDICT_NONE      /**< cancelled: nothing was learnt */
} rh_verdict_t;

/** Why an endpoint doesn't allow an attempt now. */
typedef enum {
    RH_ALLOWED,
    RH_BLOCKED_BY_FLIGHT, /**< until one of its own attempts ends */
    RH_BLOCKED_BY_TIME,   /**< until a time */
    RH_BLOCKED_BY_BREAKER /**< until a time, and what waits should not wait here */
} rh_allowance_t;

struct rh_work_t;

/** A tenant, and a round of tenants and their endpoints: rh_round.h. */
typedef struct rh_tenant_t rh_tenant_t;
typedef struct rh_round_t rh_round_t;

/** The lists of a schedule (rh_schedule.h) that an endpoint can be in; it is in one. */
typedef enum {
    RH_LIST_IDLE,    /**< nothing waits, nothing in flight; the longest idle first */
    RH_LIST_BUSY,    /**< in flight, nothing waits */
    RH_LIST_TIMED,   /**< something waits for a time */
    RH_LIST_FULL,    /**< something waits for one of its own attempts to end */
    RH_LIST_PLAIN,   /**< number of those; the next ones are rounds (rh_round.h) */
    RH_LIST_READY,   /**< something waits that may start */
    RH_LIST_CROWDED, /**< something waits for a slot that its class or tenant may have */
    RH_LIST_JAMMED   /**< something waits for a slot of its host (rh_hosts.h) */
} rh_list_t;

typedef struct rh_endpoint_t {
    APR_RING_ENTRY(rh_endpoint_t) link;
    rh_list_t list;
    rh_tenant_t *tenant;
    char *target;             /**< URL of the latest job, from the heap; NULL: none was looked at */
    struct rh_host_t *host;   /**< of that URL; NULL: it has none, or hosts are not limited */
    struct rh_jam_t *jam;     /**< the one in which it is; NULL: none */
    struct rh_group_t *group; /**< its place in a round; NULL: in none */
    APR_RING_ENTRY(rh_endpoint_t) holder; /**< among those for which something waits */
    APR_RING_HEAD(rh_waiting_head_t, rh_work_t) waiting; /**< oldest first */
    int waiting_count;
    int in_flight;
    apr_time_t wake_at;    /**< in the list of the timed: when it may go on */
    apr_time_t idle_since; /**< in the list of the idle */

    apr_time_t paused_until, paused_at;
    int rate; /**< 0: none */
    double tokens;
    apr_time_t tokens_at;
    apr_time_t delivered_at;      /**< of the last success here; 0: none */
    bool tried;                   /**< an attempt has ended here */
    apr_interval_time_t duration; /**< of an attempt, smoothed */
    int failures;                 /**< in a row */
    bool open;                    /**< the breaker */
    int probes_failed;
    apr_time_t probe_at;
    const rh_metrics_t *metrics; /**< where its breaker is counted; may be NULL */
    char id[];                   /**< subscription */
} rh_endpoint_t;

/** A new endpoint from the heap, its `waiting` not set up; `failing_for` as in rh_job_t. */
rh_endpoint_t *rh_endpoint_make(const char *id, apr_interval_time_t failing_for, apr_time_t now);

rh_endpoint_class_t rh_endpoint_class(const rh_endpoint_t *endpoint);

/** Follow the subscription's rate limit, which may have changed since the last job. */
void rh_endpoint_set_rate(rh_endpoint_t *endpoint, int rate, apr_time_t now);

/**
 * May an attempt start now?
 * @param until receives when to ask again, where a time is what blocks
 */
rh_allowance_t rh_endpoint_allows(rh_endpoint_t *endpoint, int concurrency, apr_time_t now,
                                  apr_time_t *until);

/**
 * Note that the store gave a job, so it knew of no pause. A pause that was reported to it long ago
 * was ended there, when the subscription was revived, and ends here, too.
 */
void rh_endpoint_claimed(rh_endpoint_t *endpoint, apr_time_t now);

/** An attempt starts: takes a token. @return whether it is the breaker's probe */
bool rh_endpoint_started(rh_endpoint_t *endpoint);

/**
 * An attempt ended.
 * @param probe what rh_endpoint_started said of it
 * @param pause what the target asked for, or 0
 * @return how long the whole subscription should wait, 0: not at all
 */
apr_interval_time_t rh_endpoint_finished(rh_endpoint_t *endpoint, rh_verdict_t verdict, bool probe,
                                         apr_interval_time_t duration, apr_interval_time_t pause,
                                         apr_time_t now);

/** How many jobs may wait here, so that they are gone before their leases and leave room. */
int rh_endpoint_room(const rh_endpoint_t *endpoint, int concurrency, int capacity);

/** How long until about half of what waits here has gone: 50 ms … 10 s. */
apr_interval_time_t rh_endpoint_drain_time(const rh_endpoint_t *endpoint, int concurrency);

#endif
