/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_store.h
 * @brief Port: what the API, the intake and the engine need of a store.
 *
 * The database is the queue. The tables:
 *
 *   subscription          config and state; primary key (tenant, id); `hook` on PostgreSQL
 *   subscription_event    (tenant, pattern, subscription_id): which subscriptions want an event;
 *                         `subscription_pattern` on SQLite
 *   subscription_stat     counters, last response, since when failing, paused until
 *   event                 the log; partitioned by range of id on PostgreSQL
 *   delivery              the log of deliveries that have ended, perhaps with their only attempt;
 *                         partitioned likewise. One that is in the queue again is pending
 *   attempt               every other POST; partitioned likewise
 *   queue                 one row per pending delivery: due_at, lease, tries. Small and hot
 *   expansion             events whose deliveries are not made for all subscriptions yet
 *   job                   what a person sends again in bulk
 *   idempotency           (tenant, client id) -> event id
 *   setting               values that belong to the database
 *   schema_version
 *
 * A queue row with lease 0 may be claimed once due_at has come. One with a lease is being worked
 * on; due_at is then the end of the lease, after which any process may claim it. A settle must name
 * the lease; with a lost lease it still records the attempt and, on success, the delivery, but does
 * not reschedule.
 *
 * Times in the database are milliseconds since the epoch by the database's clock; delays are
 * passed, never absolute times, so hosts' clocks need not agree.
 *
 * Every function blocks on the database, within the connection's time-outs. A function takes a
 * connection for its own duration only. Results live in `pool`. Errors:
 *   APR_SUCCESS
 *   APR_NOTFOUND   no such row for this tenant
 *   APR_EAGAIN     the database can't be reached or is busy: nothing was stored, try later
 *   APR_EEXIST     a precondition (revision) does not hold
 *   APR_EGENERAL   the database refused a statement: a bug or a broken schema; logged here
 */
#ifndef RH_STORE_H
#define RH_STORE_H

#include "rh_base.h"
#include "rh_delivery.h"
#include "rh_event.h"
#include "rh_metrics.h"
#include "rh_subscription.h"

typedef struct rh_store_t rh_store_t;

/** A page of a list: newest first, rows with an id below `before`. */
typedef struct rh_page_t {
    int limit;          /**< 1-500 */
    const char *before; /**< UUID, NULL: start at the newest */
} rh_page_t;

/* ---- subscriptions (API) ---- */

/**
 * Insert a subscription; sets created_at, updated_at and revision 1.
 * @param max maximum number of subscriptions of the tenant
 * @return APR_ENOSPC: it has reached the maximum
 */
apr_status_t rh_store_subscription_create(rh_store_t *store, rh_subscription_t *subscription,
                                          int max, apr_pool_t *pool);

/** Read a subscription with its stats. */
apr_status_t rh_store_subscription_get(rh_store_t *store, const char *tenant, const char *id,
                                       apr_pool_t *pool, rh_subscription_t **subscription);

/**
 * List subscriptions. `event`: only those whose patterns cover this type, NULL: all; `active`: 1,
 * 0, or -1 for both.
 * @param rows array of rh_subscription_t *
 */
apr_status_t rh_store_subscription_list(rh_store_t *store, const char *tenant, const char *event,
                                        int active, const rh_page_t *page, apr_pool_t *pool,
                                        apr_array_header_t **rows);

/**
 * Write a changed subscription back, if its stored revision is still subscription->revision
 * (else APR_EEXIST); sets the new revision and updated_at. Becoming active clears
 * state_reason, the failing clock and the pause; another target of an active one does so, too.
 */
apr_status_t rh_store_subscription_update(rh_store_t *store, rh_subscription_t *subscription,
                                          apr_pool_t *pool);

/** Delete a subscription; its pending deliveries become cancelled. Revision 0: any. */
apr_status_t rh_store_subscription_delete(rh_store_t *store, const char *tenant, const char *id,
                                          apr_int64_t revision, apr_pool_t *pool);

/* ---- statistics (API) ---- */

/** Maximum number of buckets of statistics. */
#define RH_STATS_BUCKETS 200
/**
 * Maximum number of subscriptions that rh_store_stats_subscriptions returns, in order of their ids.
 */
#define RH_STATS_SUBSCRIPTIONS 500

/** Deliveries are counted by the hour as they end. */
#define RH_STATS_HOUR apr_time_from_sec(3600)

/** `count` buckets of `step` microseconds each; the first begins at `from`. */
typedef struct rh_stats_range_t {
    apr_time_t from, to; /**< the last bucket may end early */
    apr_interval_time_t step;
    int count;
} rh_stats_range_t;

/** True if all buckets are whole hours: their numbers are there, and not counted in the logs. */
bool rh_stats_whole_hours(const rh_stats_range_t *range);

/** The numbers of one bucket. */
typedef struct rh_stats_bucket_t {
    apr_int64_t deliveries[RH_DELIVERY_STATE_COUNT]; /**< deliveries created in it, by their current
                                    rh_delivery_state_t */
    apr_int64_t attempts;                            /**< attempts that ended in it */
    int p50, p90, p99; /**< durations of the attempts, in milliseconds with two digits;
                            -1: no attempts */
} rh_stats_bucket_t;

/** Deliveries of one subscription, by bucket. */
typedef struct rh_stats_subscription_t {
    const char *id;
    apr_int64_t *delivered, *failed; /**< range->count buckets */
} rh_stats_subscription_t;

/**
 * At most 100,000 pending deliveries are counted. Where buckets are shorter than an hour, attempts
 * count whose delivery was made within the range, or as long before it as it lasts.
 * @param subscription_id NULL: of the whole tenant; @param buckets receives range->count
 */
apr_status_t rh_store_stats(rh_store_t *store, const char *tenant, const char *subscription_id,
                            const rh_stats_range_t *range, apr_pool_t *pool,
                            rh_stats_bucket_t **buckets);

/** @param rows rh_stats_subscription_t *, of subscriptions that had deliveries */
apr_status_t rh_store_stats_subscriptions(rh_store_t *store, const char *tenant,
                                          const rh_stats_range_t *range, apr_pool_t *pool,
                                          apr_array_header_t **rows);

/* ---- events and deliveries (API) ---- */

/** Number of characters of an event's data that lists show if it is longer. */
#define RH_EVENT_PREVIEW 1024

/** @param row the event, with data */
apr_status_t rh_store_event_get(rh_store_t *store, const char *tenant, const char *id,
                                apr_pool_t *pool, rh_event_t **row);

/**
 * Conditions on events that no index covers, so from and to limit what is read. NULL members
 * do not restrict.
 */
typedef struct rh_search_t {
    const char *key;
    const char *sources; /**< JSON array of names from rh_event_source_name */
    const char *text;    /**< text in the data, ignoring case */
} rh_search_t;

/** True if there are conditions. */
bool rh_store_is_search(const rh_search_t *search);

/** Filter of a list of events; NULL and zero members do not restrict. */
typedef struct rh_event_filter_t {
    const char *type;
    rh_search_t search;
    bool unmatched;      /**< only events without a delivery, which has no index either */
    apr_time_t from, to; /**< microseconds */
} rh_event_filter_t;

/**
 * Rows are rh_event_t *, with RH_EVENT_PREVIEW characters of data where `data_bytes` is larger than
 * that.
 * @param stopped may be NULL; receives the id where a page ended for having looked at enough, so
 * that there may be more rows below that id: `before` of the next page. NULL: it did not
 */
apr_status_t rh_store_event_list(rh_store_t *store, const char *tenant,
                                 const rh_event_filter_t *filter, const rh_page_t *page,
                                 apr_pool_t *pool, apr_array_header_t **rows, const char **stopped);

/** Filter of a list of deliveries; zero or NULL members do not restrict. */
typedef struct rh_delivery_filter_t {
    const char *subscription_id;
    const char *type;
    int state;                   /**< rh_delivery_state_t, -1: all */
    int status_from, status_end; /**< last status code from … to below; 0: no response */
    rh_search_t search;          /**< conditions on their events */
    apr_time_t from, to;
} rh_delivery_filter_t;

/** Rows are rh_delivery_t *, without data and attempts. @param stopped as of rh_store_event_list */
apr_status_t rh_store_delivery_list(rh_store_t *store, const char *tenant,
                                    const rh_delivery_filter_t *filter, const rh_page_t *page,
                                    apr_pool_t *pool, apr_array_header_t **rows,
                                    const char **stopped);

/**
 * Read the deliveries of some events, at most `limit` of each.
 * @param ids const char *
 * @param rows receives rh_delivery_t *: those of the first event, newest first, then the next one's
 */
apr_status_t rh_store_event_deliveries(rh_store_t *store, const char *tenant,
                                       const apr_array_header_t *ids, int limit, apr_pool_t *pool,
                                       apr_array_header_t **rows);

/** Count the deliveries that match a filter. */
apr_status_t rh_store_delivery_count(rh_store_t *store, const char *tenant,
                                     const rh_delivery_filter_t *filter, apr_pool_t *pool,
                                     apr_int64_t *count);

/** Read one delivery with its event's data and all its attempts. */
apr_status_t rh_store_delivery_get(rh_store_t *store, const char *tenant, const char *id,
                                   apr_pool_t *pool, rh_delivery_t **row);

/**
 * Make a delivery pending and due now, with a new schedule, whatever its state.
 * @return APR_NOTFOUND: no such delivery; APR_EEXIST: its subscription is gone or not active
 */
apr_status_t rh_store_redeliver(rh_store_t *store, const char *tenant, const char *id,
                                apr_pool_t *pool);

/**
 * Count the deliveries that a replay of a subscription would queue now, for a range of event times
 * [from, to).
 * @param any false: failed deliveries; true: all events that its patterns cover, whether delivered
 * or never attempted (while it was paused); pending ones are not counted
 * @return APR_EEXIST: the subscription is not active
 */
apr_status_t rh_store_replay_count(rh_store_t *store, const char *tenant,
                                   const char *subscription_id, bool any, apr_time_t from,
                                   apr_time_t to, apr_pool_t *pool, apr_int64_t *matching);

/**
 * Store a test event for one subscription only, due now. @param delivery_id receives the delivery's
 * id
 */
apr_status_t rh_store_test(rh_store_t *store, const rh_event_t *event, const char *subscription_id,
                           apr_pool_t *pool, const char **delivery_id);

/* ---- jobs (API): redelivery in bulk, in chunks ---- */

#define RH_JOB_REPLAY "replay"       /**< the events of a subscription in a range of time */
#define RH_JOB_REDELIVER "redeliver" /**< the deliveries that match a filter */

typedef struct rh_store_job_t {
    const char *tenant, *id;
    const char *kind;            /**< one of the kinds above */
    const char *subscription_id; /**< of a replay; NULL otherwise */
    const char *filter;          /**< JSON object text of the request */
    const char *state;           /**< "running", "done", "cancelled", "failed" */
    apr_int64_t done;            /**< number of deliveries queued so far */
    apr_int64_t total;           /**< when it ended; -1: unknown */
    const char *created_by;
    apr_time_t created_at, updated_at;
} rh_store_job_t;

/**
 * Create a job. Its tenant, kind, subscription_id, filter and created_by are given; its id is set.
 * @param filter the deliveries; for a replay, only from and to
 * @param any for a replay, as in rh_store_replay_count
 */
apr_status_t rh_store_job_create(rh_store_t *store, rh_store_job_t *job,
                                 const rh_delivery_filter_t *filter, bool any, apr_pool_t *pool);

apr_status_t rh_store_job_get(rh_store_t *store, const char *tenant, const char *id,
                              apr_pool_t *pool, rh_store_job_t **job);

/** @param jobs receives rh_store_job_t *, newest first */
apr_status_t rh_store_job_list(rh_store_t *store, const char *tenant, const rh_page_t *page,
                               apr_pool_t *pool, apr_array_header_t **jobs);

/** Cancel a running job; one that has ended does not change. */
apr_status_t rh_store_job_cancel(rh_store_t *store, const char *tenant, const char *id,
                                 apr_pool_t *pool);

/** Run one chunk of a job. @param running receives whether there is more to do */
apr_status_t rh_store_job_work(rh_store_t *store, const char *tenant, const char *id,
                               apr_pool_t *pool, bool *running);

/**
 * Read a value that belongs to the database, so that all hosts have the same one: "hop_key", 64
 * random hexadecimal digits generated with the tables; "database_id", a UUID.
 * @return APR_NOTFOUND if the setting does not exist
 */
apr_status_t rh_store_setting_get(rh_store_t *store, const char *name, apr_pool_t *pool,
                                  const char **value);

/** Make a cheap round trip: APR_SUCCESS if the database responds and the schema is current. */
apr_status_t rh_store_ping(rh_store_t *store, apr_pool_t *pool, const char **problem);

/* ---- the queue (intake, engine): a table of functions, so that tests can script it ---- */

/** One event to commit, and its outcome. */
typedef struct rh_commit_t {
    const rh_event_t *event;
    apr_status_t status;   /**< status of this event only */
    const char *stored_id; /**< id under which it is stored: the first event's if client_id was
                                used before; in the event's pool or equal to event->id */
    bool duplicate;
} rh_commit_t;

/** The outcome of one attempt. */
typedef struct rh_settle_t {
    rh_settle_kind_t kind;
    const char *tenant;
    const char *delivery_id;
    const char *event_id;
    const char *subscription_id;
    const char *type; /**< type of the event; NULL: it is past retention, and so is what is logged
                           of it */
    apr_int64_t lease;
    rh_attempt_t attempt;      /**< unused for RELEASE */
    apr_interval_time_t delay; /**< RETRY, RELEASE */
    apr_interval_time_t pause; /**< >0: the whole subscription waits (Retry-After) */
    const char *reason;        /**< GONE, DISABLED: state_reason */
} rh_settle_t;

/** Parameters of a claim. */
typedef struct rh_claim_t {
    int limit;                     /**< maximum number of jobs */
    int per_subscription;          /**< maximum number of jobs of one subscription */
    apr_interval_time_t lease_for; /**< duration of the leases */
    apr_int64_t lease;             /**< this process's token, greater than 0 */
    bool hold_ordered;             /**< claim nothing of ordered subscriptions, as earlier events
                                        may still come */
    bool spare_leased;             /**< claim nothing whose lease ended: after an outage its
                                        owner may still have an outcome to settle */
    bool expanding;                /**< set by the claim: there are events to expand */
    apr_interval_time_t again;     /**< set by the claim: when a delivery that only waits for its
                                        subscription's pause or rate may be claimed; 0: unknown */
} rh_claim_t;

/** Maximum number of deliveries that a count of the backlog reads. */
#define RH_BACKLOG_MOST 100000

/** The store as the engine sees it. A queue object is used by one thread at a time. */
typedef struct rh_queue_t rh_queue_t;
struct rh_queue_t {
    /**
     * Store events with their deliveries, one commit for all. Deliveries of subscriptions that
     * are neither ordered nor rate limited nor paused are leased to `claim` at once and returned
     * as jobs (at most claim->limit, the rest are left due now with no lease). Of an event that
     * many subscriptions want, the first get their deliveries here, the others by `expand`.
     * @param jobs receives rh_job_t *: the caller owns and destroys them. Job data is copied.
     * @param waiting receives how many deliveries were left due for a claim, and events to expand
     * @return APR_EAGAIN/APR_EGENERAL when nothing was stored: items' statuses are unset
     */
    apr_status_t (*commit)(rh_queue_t *self, rh_commit_t **items, int count,
                           const rh_claim_t *claim, apr_pool_t *scratch, apr_array_header_t *jobs,
                           int *waiting);
    /**
     * Claim due deliveries, fairly: tenants in turn, then the subscriptions of each, at most
     * claim->per_subscription of each; ordered ones only the first of a key, and only when no
     * other of that key is leased. Skips subscriptions that are paused or not active; cancels
     * what belongs to none.
     * @param jobs as in commit; at most claim->limit
     */
    apr_status_t (*claim)(rh_queue_t *self, rh_claim_t *claim, apr_pool_t *scratch,
                          apr_array_header_t *jobs);
    /** Store outcomes in one commit. @return APR_EAGAIN: nothing was stored, call it again */
    apr_status_t (*settle)(rh_queue_t *self, rh_settle_t *const *outcomes, int count,
                           apr_pool_t *scratch);
    /**
     * Do the housekeeping, some seconds apart: make the partitions of the near future, drop those
     * past retention (in chunks on SQLite), forget idempotency keys past it.
     */
    apr_status_t (*maintain)(rh_queue_t *self, apr_interval_time_t retention, apr_pool_t *scratch);
    /**
     * Count the waiting deliveries up to RH_BACKLOG_MOST, which means that many or more.
     * @param backlog receives all but counted_at
     */
    apr_status_t (*backlog)(rh_queue_t *self, apr_pool_t *scratch, rh_backlog_t *backlog);
    /**
     * Give back all leases of a token, so that their deliveries are due now. At the end of a
     * process.
     */
    apr_status_t (*release)(rh_queue_t *self, apr_int64_t lease, apr_pool_t *scratch);
    /**
     * Make the next few hundred deliveries of an event whose commit made only a part of them;
     * tenants take turns. NULL if the queue leaves no events to expand.
     * @param found receives whether there was such an event
     */
    apr_status_t (*expand)(rh_queue_t *self, apr_pool_t *scratch, bool *found);
    /**
     * Run one chunk of the next job (rh_store_job_create). NULL if the queue has no jobs of this
     * kind.
     * @param found receives whether there was a job
     */
    apr_status_t (*work_job)(rh_queue_t *self, apr_pool_t *scratch, bool *found);
    /**
     * Add some of what happened up into the statistics of hours, unless another process is doing
     * so. NULL if the queue has no statistics.
     * @param more receives whether there is more to add
     */
    apr_status_t (*add_up)(rh_queue_t *self, apr_pool_t *scratch, bool *more);
};

#endif
