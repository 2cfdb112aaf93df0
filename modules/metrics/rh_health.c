/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_health.h"

#include "rh_metrics.h"

static const struct {
    const char *name;
    int seconds;
    const char *what;
} operations[RH_HEALTH_COUNT] = {
#define RH_HEALTH_ROW(id, name, seconds, what) {name, seconds, what},
    RH_HEALTH_OPERATIONS(RH_HEALTH_ROW)
#undef RH_HEALTH_ROW
};

void rh_health_note(const rh_metrics_t *metrics, rh_health_t operation, apr_status_t status)
{
    rh_health_record_t *record = metrics ? &metrics->host->health[operation] : NULL;
    apr_time_t now = apr_time_now();

    if (!record) {
        return;
    }
    if (status == APR_SUCCESS) {
        __atomic_store_n(&record->good_at, now, __ATOMIC_RELAXED);
        return;
    }
    __atomic_store_n(&record->bad_status, (apr_int64_t)status, __ATOMIC_RELAXED);
    __atomic_store_n(&record->bad_at, now, __ATOMIC_RELEASE);
}

const char *rh_health_name(rh_health_t operation)
{
    return operations[operation].name;
}

apr_time_t rh_health_good_at(const rh_metrics_t *metrics, rh_health_t operation)
{
    return metrics ? __atomic_load_n(&metrics->host->health[operation].good_at, __ATOMIC_RELAXED)
                   : 0;
}

static bool is_unreachable(apr_status_t status)
{
    return APR_STATUS_IS_EAGAIN(status) || APR_STATUS_IS_TIMEUP(status);
}

/** Return when any operation on the database last succeeded: then it was reachable. */
static apr_time_t reached_at(const rh_metrics_t *metrics)
{
    apr_time_t latest = 0;

    for (int i = 0; i < RH_HEALTH_COUNT; i++) {
        apr_time_t at = rh_health_good_at(metrics, (rh_health_t)i);

        latest = i != RH_HEALTH_SPOOL && at > latest ? at : latest;
    }
    return latest;
}

/** Explain why an operation on the database, or on the spool, failed. */
static const char *describe_status(rh_health_t operation, apr_status_t status, apr_pool_t *pool)
{
    char text[120];

    if (operation == RH_HEALTH_SPOOL) {
        return apr_pstrdup(pool, apr_strerror(status, text, sizeof(text)));
    }
    return is_unreachable(status) ? "the database can't be reached, is busy or takes no changes"
                                  : "the database refuses it; the error log says more";
}

const char *rh_health_problem(const rh_metrics_t *metrics, rh_health_t operation, apr_time_t now,
                              apr_pool_t *pool)
{
    const rh_health_record_t *record = metrics ? &metrics->host->health[operation] : NULL;
    apr_time_t bad_at = record ? __atomic_load_n(&record->bad_at, __ATOMIC_ACQUIRE) : 0;
    apr_time_t good_at = rh_health_good_at(metrics, operation);
    apr_status_t status;

    if (bad_at == 0) {
        return NULL;
    }
    status = (apr_status_t)__atomic_load_n(&record->bad_status, __ATOMIC_RELAXED);
    if (operation != RH_HEALTH_SPOOL && is_unreachable(status)) {
        good_at = reached_at(metrics);
    }
    if (bad_at <= good_at || now - bad_at > apr_time_from_sec(operations[operation].seconds)) {
        return NULL;
    }
    return apr_psprintf(pool, "%s failed %d s ago: %s", operations[operation].what,
                        (int)apr_time_sec(now - bad_at), describe_status(operation, status, pool));
}
