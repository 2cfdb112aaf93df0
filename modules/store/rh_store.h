/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_store.h
 * @brief Port: what the API, the intake and the engine need of a store.
 *
 * The database is the queue. The tables:
 *
 *   subscription          config and state; primary key (tenant, id)
 *   subscription_event    (tenant, pattern, subscription_id): which subscriptions want an event
 *   subscription_stat     counters, last response, since when failing, paused until
 *   event                 the log; partitioned by range of id on PostgreSQL
 *   delivery              the log of deliveries; partitioned likewise; no index on what changes
 *   attempt               every POST; partitioned likewise
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

/** Which page of a list: newest first, rows with an id below `before`. */
typedef struct rh_page_t {
    int limit;          /**< 1-500 */
    const char *before; /**< UUID, NULL: from the newest */
} rh_page_t;

/* ---- subscriptions (API) ---- */

/**
 * Insert; created_at, updated_at and revision 1 are set here.
 * @param max how many subscriptions the tenant may have @return APR_ENOSPC: it has them already
 */
apr_status_t rh_store_subscription_create(rh_store_t *store, rh_subscription_t *subscription,
                                          int max, apr_pool_t *pool);

/** Read one with its stats. */
apr_status_t rh_store_subscription_get(rh_store_t *store, const char *tenant, const char *id,
                                       apr_pool_t *pool, rh_subscription_t **subscription);

/** `event`: only those that a type reaches, NULL all; `active`: 1, 0, or -1 both.
 * @param rows array of rh_subscription_t * */
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

/** Unsubscribe: the row goes, its pending deliveries become cancelled. revision 0: any. */
apr_status_t rh_store_subscription_delete(rh_store_t *store, const char *tenant, const char *id,
                                          apr_int64_t revision, apr_pool_t *pool);

/* ---- statistics (API) ---- */

/** Buckets of statistics at most. */
#define RH_STATS_BUCKETS 200
/** Subscriptions that rh_store_stats_subscriptions shows at most, in the order of their ids. */
#define RH_STATS_SUBSCRIPTIONS 500

/** `count` buckets (1-RH_STATS_BUCKETS) of `step` microseconds each, the first begins at `from`. */
typedef struct rh_stats_range_t {
    apr_time_t from, to; /**< the last bucket may end early */
    apr_interval_time_t step;
    int count;
} rh_stats_range_t;

/** What happened in one bucket. */
typedef struct rh_stats_bucket_t {
    apr_int64_t deliveries[4]; /**< made in it, by the rh_delivery_state_t that they have now */
    apr_int64_t attempts;      /**< begun in it */
    int p50, p90, p99;         /**< their duration, milliseconds to two digits; -1: no attempts */
} rh_stats_bucket_t;

/** Deliveries of one subscription, by bucket. */
typedef struct rh_stats_subscription_t {
    const char *id;
    apr_int64_t *delivered, *failed; /**< range->count of each */
} rh_stats_subscription_t;

/**
 * @param subscription_id NULL: of the whole tenant; else attempts count whose delivery was made
 * within the range, or as long before it as it lasts; @param buckets receives range->count
 */
apr_status_t rh_store_stats(rh_store_t *store, const char *tenant, const char *subscription_id,
                            const rh_stats_range_t *range, apr_pool_t *pool,
                            rh_stats_bucket_t **buckets);

/** @param rows rh_stats_subscription_t *, of subscriptions that had deliveries */
apr_status_t rh_store_stats_subscriptions(rh_store_t *store, const char *tenant,
                                          const rh_stats_range_t *range, apr_pool_t *pool,
                                          apr_array_header_t **rows);

/* ---- events and deliveries (API) ---- */

/** Characters of an event's data that lists show of one that has more bytes. */
#define RH_EVENT_PREVIEW 1024

/** @param row event with data */
apr_status_t rh_store_event_get(rh_store_t *store, const char *tenant, const char *id,
                                apr_pool_t *pool, rh_event_t **row);

/** What is looked for in events, without an index: from and to bound what is read. NULL members do
 * not restrict. */
typedef struct rh_search_t {
    const char *key;
    const char *sources; /**< JSON array of rh_event_source_name's */
    const char *text;    /**< in the data, whatever its case */
} rh_search_t;

/** What a list of events shows; NULL and zero members do not restrict. */
typedef struct rh_event_filter_t {
    const char *type;
    rh_search_t search;
    bool unmatched;      /**< only events that have no delivery: searched for as well */
    apr_time_t from, to; /**< microseconds */
} rh_event_filter_t;

/** Rows are rh_event_t *, with RH_EVENT_PREVIEW characters of data where `data_bytes` is larger
 * than that. */
apr_status_t rh_store_event_list(rh_store_t *store, const char *tenant,
                                 const rh_event_filter_t *filter, const rh_page_t *page,
                                 apr_pool_t *pool, apr_array_header_t **rows);

/** What a list of deliveries shows; zero or NULL members do not restrict. */
typedef struct rh_delivery_filter_t {
    const char *subscription_id;
    const char *event_id;
    const char *type;
    int state;                   /**< rh_delivery_state_t, -1: all */
    int status_from, status_end; /**< last status code from … to below; 0: no answer came */
    rh_search_t search;          /**< in their events */
    apr_time_t from, to;
} rh_delivery_filter_t;

/** Rows are rh_delivery_t *, without data and attempts. */
apr_status_t rh_store_delivery_list(rh_store_t *store, const char *tenant,
                                    const rh_delivery_filter_t *filter, const rh_page_t *page,
                                    apr_pool_t *pool, apr_array_header_t **rows);

/** Count the deliveries of such a list. */
apr_status_t rh_store_delivery_count(rh_store_t *store, const char *tenant,
                                     const rh_delivery_filter_t *filter, apr_pool_t *pool,
                                     apr_int64_t *count);

/** One delivery with its event's data and all its attempts. */
apr_status_t rh_store_delivery_get(rh_store_t *store, const char *tenant, const char *id,
                                   apr_pool_t *pool, rh_delivery_t **row);

/** Make a delivery pending and due now, its schedule restarted; whatever its state.
 * APR_NOTFOUND: no such delivery; APR_EEXIST: its subscription is gone or not active. */
apr_status_t rh_store_redeliver(rh_store_t *store, const char *tenant, const char *id,
                                apr_pool_t *pool);

/**
 * Count what a replay of a subscription would queue in a range of event times [from, to), at this
 * moment.
 * @param any false: deliveries that are failed; true: every event of its types, delivered or
 *        never tried (while it was paused) alike; pending ones are left alone
 * @return APR_EEXIST: the subscription is not active
 */
apr_status_t rh_store_replay_count(rh_store_t *store, const char *tenant,
                                   const char *subscription_id, bool any, apr_time_t from,
                                   apr_time_t to, apr_pool_t *pool, apr_int64_t *matching);

/** Store an event for one subscription alone (a test), due now. @param delivery_id receives its id
 */
apr_status_t rh_store_test(rh_store_t *store, const rh_event_t *event, const char *subscription_id,
                           apr_pool_t *pool, const char **delivery_id);

/* ---- jobs (API): what is sent again in bulk, in chunks ---- */

#define RH_JOB_REPLAY "replay"       /**< a subscription's events of a range of time */
#define RH_JOB_REDELIVER "redeliver" /**< deliveries by a filter */

typedef struct rh_store_job_t {
    const char *tenant, *id;
    const char *kind;            /**< one of the two above */
    const char *subscription_id; /**< of a replay; NULL otherwise */
    const char *filter;          /**< JSON object text: as it was asked for */
    const char *state;           /**< "running", "done", "cancelled", "failed" */
    apr_int64_t done;            /**< deliveries that were queued */
    apr_int64_t total;           /**< once it has ended; -1: unknown */
    const char *created_by;
    apr_time_t created_at, updated_at;
} rh_store_job_t;

/**
 * Create a job. Its tenant, kind, subscription_id, filter and created_by are given; its id is set.
 * @param filter what it is about; of a replay, from and to alone
 * @param any of a replay: as of rh_store_replay_count
 */
apr_status_t rh_store_job_create(rh_store_t *store, rh_store_job_t *job,
                                 const rh_delivery_filter_t *filter, bool any, apr_pool_t *pool);

apr_status_t rh_store_job_get(rh_store_t *store, const char *tenant, const char *id,
                              apr_pool_t *pool, rh_store_job_t **job);

/** @param jobs receives rh_store_job_t *, newest first */
apr_status_t rh_store_job_list(rh_store_t *store, const char *tenant, const rh_page_t *page,
                               apr_pool_t *pool, apr_array_header_t **jobs);

/** Cancel a job that runs; one that has ended stays as it is. */
apr_status_t rh_store_job_cancel(rh_store_t *store, const char *tenant, const char *id,
                                 apr_pool_t *pool);

/** Do one chunk of a job. @param running receives whether there is more to do */
apr_status_t rh_store_job_work(rh_store_t *store, const char *tenant, const char *id,
                               apr_pool_t *pool, bool *running);

/**
 * Read a value that belongs to the database, so that all hosts have the same one: "hop_key", 64
 * random hexadecimal digits generated with the tables; "database_id", a UUID.
 * @return APR_NOTFOUND if the setting does not exist
 */
apr_status_t rh_store_setting_get(rh_store_t *store, const char *name, apr_pool_t *pool,
                                  const char **value);

/** A cheap round trip: APR_SUCCESS when the database answers and the schema is current. */
apr_status_t rh_store_ping(rh_store_t *store, apr_pool_t *pool, const char **problem);

/* ---- the queue (intake, engine): a table, so that tests can script it ---- */

/** One event to commit, and what came of it. */
typedef struct rh_commit_t {
    const rh_event_t *event;
    apr_status_t status;   /**< of this event alone; a failing one fails alone */
    const char *stored_id; /**< the id that counts: the first one's when client_id was seen
                                before; in the event's pool or equal to event->id */
    bool duplicate;
} rh_commit_t;

/** The outcome of one attempt. */
typedef struct rh_settle_t {
    rh_settle_kind_t kind;
    const char *tenant;
    const char *delivery_id;
    const char *subscription_id;
    apr_int64_t lease;
    rh_attempt_t attempt;      /**< unused for RELEASE */
    apr_interval_time_t delay; /**< RETRY, RELEASE */
    apr_interval_time_t pause; /**< >0: the whole subscription waits (Retry-After) */
    const char *reason;        /**< GONE, DISABLED: state_reason */
} rh_settle_t;

/** What to claim. */
typedef struct rh_claim_t {
    int limit;                     /**< jobs at most */
    int per_subscription;          /**< of those, of one subscription */
    apr_interval_time_t lease_for; /**< how long the claim holds */
    apr_int64_t lease;             /**< this process's token, greater than 0 */
    bool hold_ordered;             /**< nothing of ordered subscriptions: earlier events may come */
    bool spare_leased;             /**< nothing whose lease ended: after an outage its owner may
                                        still have an outcome to settle */
    bool expanding;                /**< claim receives whether there are events to expand */
    apr_interval_time_t again;     /**< claim receives when something that waits only for its
                                        subscription's pause or pace may be claimed; 0: unknown */
} rh_claim_t;

/** Deliveries that a count of the backlog looks at. */
#define RH_BACKLOG_MOST 100000

/** The store as the engine sees it. Each is called from one thread at a time per queue object. */
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
    /** Record outcomes, one commit for all. @return APR_EAGAIN: nothing was stored, call again */
    apr_status_t (*settle)(rh_queue_t *self, rh_settle_t *const *outcomes, int count,
                           apr_pool_t *scratch);
    /**
     * Housekeeping, some seconds apart: make the partitions of the coming time, drop those past
     * retention (chunks on SQLite), forget idempotency keys past it.
     */
    apr_status_t (*maintain)(rh_queue_t *self, apr_interval_time_t retention, apr_pool_t *scratch);
    /**
     * Count the deliveries that wait, up to RH_BACKLOG_MOST, which means that many or more.
     * @param backlog receives all but counted_at
     */
    apr_status_t (*backlog)(rh_queue_t *self, apr_pool_t *scratch, rh_backlog_t *backlog);
    /** Give all leases of a token back, due now: at the end of a process. */
    apr_status_t (*release)(rh_queue_t *self, apr_int64_t lease, apr_pool_t *scratch);
    /**
     * Make the next deliveries, some hundred, of an event that its commit made them for only in
     * part; tenants take turns. NULL if the queue leaves no events to expand.
     * @param found receives whether there was one
     */
    apr_status_t (*expand)(rh_queue_t *self, apr_pool_t *scratch, bool *found);
    /**
     * Do one chunk of the job whose turn it is (rh_store_job_create).
     * NULL if the queue has no jobs of this kind.
     * @param found receives whether one was found
     */
    apr_status_t (*work_job)(rh_queue_t *self, apr_pool_t *scratch, bool *found);
};

#endif
