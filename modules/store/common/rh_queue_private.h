/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_queue_private.h
 * @brief The rooms of the queue: commit, choose and claim, settle.
 */
#ifndef RH_QUEUE_PRIVATE_H
#define RH_QUEUE_PRIVATE_H

#include "rh_store_private.h"
#include "rh_uuid.h"

/** A subscription's, in the order of the queue's index. */
typedef struct rh_place_t {
    char tenant[RH_MAX_NAME + 1];
    char subscription[RH_UUID_LEN + 1];
} rh_place_t;

/** Tenants whose subscriptions a walk looks at in turns; of more, some begin again too early. */
#define RH_TENANT_CURSORS 64

typedef struct rh_queue_impl_t {
    rh_queue_t base;
    rh_db_source_t *source;
    /** A walk around the subscriptions that have something in the queue, over several claims. */
    struct {
        rh_place_t at;   /**< the next claim continues after this position */
        rh_place_t from; /**< the round is complete when the walk returns to this position */
        bool begun, wrapped;
        bool left_over;  /**< it found more that is to be cancelled than a claim cancels */
        apr_time_t next; /**< there is one now and then, whatever is due */
    } walk;
    rh_place_t cursors[RH_TENANT_CURSORS]; /**< by hash of the tenant; empty tenant: unused */
    char last_tenant[RH_MAX_NAME + 1];     /**< got the last job of the last claim */
    char expanded[RH_MAX_NAME + 1];        /**< the tenant of the last expansion's chunk */
} rh_queue_impl_t;

/** Now, in milliseconds, of this host: SQLite's clock. */
const char *rh_queue_now(apr_pool_t *pool, apr_interval_time_t later);

/**
 * Take deliveries of a subscription out of the queue as cancelled: some at a time. On SQLite within
 * a transaction.
 * @param more receives whether there may be more; may be NULL
 */
apr_status_t rh_queue_cancel(rh_db_t *db, const char *tenant, const char *subscription_id,
                             apr_pool_t *pool, bool *more);

/** Steps of the queue that the dialects take in different ways. Each is given a connection: in a
 * transaction if the dialect `locks_writers`. */
typedef struct rh_queue_steps_t {
    /** Take deliveries of a subscription out of the queue as cancelled. @param cancelled receives
     * how many, `limit` at most */
    apr_status_t (*cancel)(rh_db_t *db, const char *tenant, const char *subscription_id,
                           const char *limit, apr_pool_t *pool, int *cancelled);
    /** Record outcomes. @param outcomes rows as JSON */
    apr_status_t (*settle)(rh_db_t *db, const char *outcomes, apr_pool_t *pool);
    /** Make room for the coming time, and remove the logs past retention. Takes connections itself.
     */
    apr_status_t (*remove_logs)(rh_db_source_t *source, apr_interval_time_t retention,
                                apr_pool_t *scratch);
} rh_queue_steps_t;

/** Rows that housekeeping removes at a time. */
#define RH_QUEUE_CHUNK "2000"

/** Run a statement that removes up to RH_QUEUE_CHUNK old rows until it finds no more, a limited
 * number of times. */
apr_status_t rh_queue_remove_old(rh_db_source_t *source, const rh_query_t *query,
                                 apr_pool_t *scratch);

/** Keep the first error of several steps. @return false: the database is out of reach, so that the
 * other steps would fail too */
bool rh_queue_goes_on(apr_status_t *first, apr_status_t status);

/** Cancel the other deliveries of subscriptions that are gone. @param ended rows of `settle` */
apr_status_t rh_queue_cancel_gone(rh_db_t *db, const apr_array_header_t *ended, apr_pool_t *pool);

/** What a subscription gets in a claim. */
typedef struct rh_candidate_t {
    const char *tenant, *id;
    int most;
    apr_int64_t pace; /**< milliseconds that its share takes; 0: no rate limit */
    bool ordered;
} rh_candidate_t;

/**
 * Choose the subscriptions that a claim takes from.
 *
 * Usually few deliveries are due; they are found directly through the index on due_at, however
 * many others wait. Where more are due than one statement looks at, a walk finds others as well: it
 * goes from tenant to tenant and looks at a few subscriptions of each, at the same cost whatever
 * their backlog, and goes on in the next claim. The jobs of the claim are then shared out to the
 * tenants in turn, and among a tenant's subscriptions, with a reserve for those that are not
 * failing. So neither a backlog nor many subscriptions delay another tenant. From time to time
 * there is a walk anyway, for what belongs to a subscription that is gone: it is cancelled, due or
 * not.
 *
 * @param claim `again` is set when what isn't chosen may be soon
 * @param candidates receives rh_candidate_t, whose strings are in `pool`
 */
apr_status_t rh_queue_choose(rh_queue_impl_t *queue, rh_claim_t *claim,
                             apr_array_header_t *candidates, apr_pool_t *pool);

/**
 * Make jobs of leased deliveries.
 * @param leased rows of tenant and delivery; @param lease_until of this host's clock
 * @param lost receives rh_settle_t * of deliveries whose event is gone; NULL: there can be none
 */
apr_status_t rh_queue_jobs(rh_db_t *db, const apr_array_header_t *leased, apr_int64_t lease,
                           apr_time_t lease_until, apr_pool_t *pool, apr_array_header_t *jobs,
                           apr_array_header_t *lost);

apr_status_t rh_queue_expand(rh_queue_t *self, apr_pool_t *scratch, bool *found);
apr_status_t rh_queue_work_job(rh_queue_t *self, apr_pool_t *scratch, bool *found);
apr_status_t rh_queue_commit(rh_queue_t *self, rh_commit_t **items, int count,
                             const rh_claim_t *claim, apr_pool_t *scratch, apr_array_header_t *jobs,
                             int *waiting);
apr_status_t rh_queue_claim(rh_queue_t *self, rh_claim_t *claim, apr_pool_t *scratch,
                            apr_array_header_t *jobs);
apr_status_t rh_queue_settle(rh_queue_t *self, rh_settle_t *const *outcomes, int count,
                             apr_pool_t *scratch);

#endif
