/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The queue in single statements: one round trip and one snapshot each. */
#include "rh_pgsql.h"

static apr_status_t cancel(rh_db_t *db, const char *tenant, const char *subscription_id,
                           const char *limit, apr_pool_t *pool, int *cancelled)
{
    return rh_db_change(
        db, RH_QUERY(cancel, .tenant = tenant, .subscription_id = subscription_id, .limit = limit),
        pool, cancelled);
}

static apr_status_t settle(rh_db_t *db, const char *outcomes, apr_pool_t *pool)
{
    apr_array_header_t *ended;
    apr_status_t status = rh_db_fetch(db, RH_QUERY(settle, .outcomes = outcomes), pool, &ended);

    /* The outcomes are stored. */
    if (status == APR_SUCCESS && rh_queue_cancel_gone(db, ended, pool) != APR_SUCCESS) {
        rh_log(db->log, RH_LOG_INFO, 0, "RH0120",
               "deliveries of a subscription that is gone are cancelled later");
    }
    return status;
}

/** Create partitions first: inserts depend on them, and clean-up can wait. */
static apr_status_t remove_logs(rh_db_source_t *source, apr_interval_time_t retention,
                                apr_pool_t *scratch)
{
    const char *ms = rh_store_number(scratch, rh_store_ms(retention));
    apr_array_header_t *rows;
    apr_status_t first = APR_SUCCESS;

    if (!rh_queue_goes_on(&first, rh_store_fetch(source, RH_QUERY(partitions_make, .retention = ms),
                                                 scratch, &rows)) ||
        !rh_queue_goes_on(&first, rh_store_fetch(source, RH_QUERY(partitions_drop, .retention = ms),
                                                 scratch, &rows))) {
        return APR_EAGAIN;
    }
    return first;
}

const rh_queue_steps_t rh_pgsql_queue = {
    .cancel = cancel,
    .settle = settle,
    .remove_logs = remove_logs,
};
