/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The queue in several statements per transaction, which has no other writer beside it. */
#include "rh_sqlite.h"

static apr_status_t cancel(rh_db_t *db, const char *tenant, const char *subscription_id,
                           const char *limit, apr_pool_t *pool, int *cancelled)
{
    apr_status_t status = rh_db_change(db,
                                       RH_QUERY(cancel_delivery, .tenant = tenant,
                                                .subscription_id = subscription_id, .limit = limit),
                                       pool, NULL);

    if (status == APR_SUCCESS) {
        status = rh_db_change(db,
                              RH_QUERY(cancel_queue, .tenant = tenant,
                                       .subscription_id = subscription_id, .limit = limit),
                              pool, cancelled);
    }
    return status;
}

static apr_status_t settle(rh_db_t *db, const char *outcomes, apr_pool_t *pool)
{
    const rh_query_t *const steps[] = {RH_QUERY(settle_stat, .outcomes = outcomes),
                                       RH_QUERY(settle_attempts, .outcomes = outcomes),
                                       RH_QUERY(settle_again, .outcomes = outcomes),
                                       RH_QUERY(settle_delivery, .outcomes = outcomes),
                                       RH_QUERY(settle_wake, .outcomes = outcomes),
                                       RH_QUERY(settle_remove, .outcomes = outcomes)};
    apr_array_header_t *ended;
    apr_status_t status = APR_SUCCESS;

    for (int i = 0; i < (int)RH_COUNT_OF(steps) && status == APR_SUCCESS; i++) {
        status = rh_db_change(db, steps[i], pool, NULL);
    }
    if (status == APR_SUCCESS) {
        status = rh_db_fetch(db, RH_QUERY(settle_subscription, .outcomes = outcomes), pool, &ended);
    }
    return status == APR_SUCCESS ? rh_queue_cancel_gone(db, ended, pool) : status;
}

static apr_status_t remove_logs(rh_db_source_t *source, apr_interval_time_t retention,
                                apr_pool_t *scratch)
{
    char kept[RH_UUID_LEN + 1];
    const rh_query_t *const steps[] = {
        RH_QUERY(old_attempts, .kept = kept, .limit = RH_QUEUE_CHUNK),
        RH_QUERY(old_deliveries, .kept = kept, .limit = RH_QUEUE_CHUNK),
        RH_QUERY(old_events, .kept = kept, .limit = RH_QUEUE_CHUNK)};
    apr_status_t first = APR_SUCCESS;

    rh_uuid_floor(apr_time_now() - retention, kept);
    for (int i = 0; i < (int)RH_COUNT_OF(steps); i++) {
        if (!rh_queue_goes_on(&first, rh_queue_remove_old(source, steps[i], scratch))) {
            return APR_EAGAIN;
        }
    }
    return first;
}

const rh_queue_steps_t rh_sqlite_queue = {
    .cancel = cancel,
    .settle = settle,
    .remove_logs = remove_logs,
};
