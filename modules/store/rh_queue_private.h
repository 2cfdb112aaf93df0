/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_queue_private.h
 * @brief The rooms of the queue: commit, claim, settle.
 */
#ifndef RH_QUEUE_PRIVATE_H
#define RH_QUEUE_PRIVATE_H

#include "rh_store_private.h"
#include "rh_uuid.h"

typedef struct rh_queue_impl_t {
    rh_queue_t base;
    rh_db_source_t *source;
    /** Where the next claim goes on: behind this subscription. */
    char tenant[RH_MAX_NAME + 1];
    char subscription[RH_UUID_LEN + 1];
    /** A way around all subscriptions that takes several claims: where it began, and whether it
     * has come to the end of the tenants since. */
    bool on_the_way, wrapped;
    char start_tenant[RH_MAX_NAME + 1];
    char start_subscription[RH_UUID_LEN + 1];
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

/**
 * Make jobs of leased deliveries.
 * @param leased rows of tenant and delivery; @param lease_until of this host's clock
 * @param lost receives rh_settle_t * of deliveries whose event is gone; NULL: there can be none
 */
apr_status_t rh_queue_jobs(rh_db_t *db, const apr_array_header_t *leased, apr_int64_t lease,
                           apr_time_t lease_until, apr_pool_t *pool, apr_array_header_t *jobs,
                           apr_array_header_t *lost);

apr_status_t rh_queue_commit(rh_queue_t *self, rh_commit_t **items, int count,
                             const rh_claim_t *claim, apr_pool_t *scratch, apr_array_header_t *jobs,
                             int *waiting);
apr_status_t rh_queue_claim(rh_queue_t *self, rh_claim_t *claim, apr_pool_t *scratch,
                            apr_array_header_t *jobs);
apr_status_t rh_queue_settle(rh_queue_t *self, rh_settle_t *const *outcomes, int count,
                             apr_pool_t *scratch);

#endif
