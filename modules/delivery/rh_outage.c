/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_outage.h"

#include "rh_atomic.h"

/** How long expired leases are left alone after an outage. */
#define SPARE_LEASES_FOR apr_time_from_sec(10)

struct rh_outage_t {
    const char *name;
    const rh_log_t *log;
    const rh_metrics_t *metrics;
    int down;               /**< flags, atomic */
    apr_time_t spare_until; /**< atomic */
};

rh_outage_t *rh_outage_make(apr_pool_t *pool, const char *name, const rh_log_t *log,
                            const rh_metrics_t *metrics)
{
    rh_outage_t *outage = apr_pcalloc(pool, sizeof(*outage));

    outage->name = name;
    outage->log = log;
    outage->metrics = metrics;
    return outage;
}

void rh_outage_report(rh_outage_t *outage, int who, apr_status_t status)
{
    if (status == APR_SUCCESS) {
        if ((rh_atomic_get(outage->down) & who) &&
            __atomic_fetch_and(&outage->down, ~who, __ATOMIC_SEQ_CST) == who) {
            rh_metrics_move(outage->metrics, RH_GAUGE_DOWN, -1);
            rh_log(outage->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0308",
                   "the database of %s answers again", outage->name);
        }
        return;
    }
    rh_outage_begin(outage, apr_time_now());
    if (__atomic_fetch_or(&outage->down, who, __ATOMIC_SEQ_CST) == 0) {
        rh_metrics_move(outage->metrics, RH_GAUGE_DOWN, 1);
        rh_log(outage->log, RH_LOG_ERR, status, "RH0309",
               "the database of %s can't be reached; trying again until it answers", outage->name);
    }
}

bool rh_outage_is_down(const rh_outage_t *outage, int who)
{
    return (rh_atomic_get(outage->down) & who) != 0;
}

bool rh_outage_spares_leases(rh_outage_t *outage, apr_time_t now)
{
    apr_time_t until = rh_atomic_get(outage->spare_until);

    if (until > now + SPARE_LEASES_FOR) {
        /* The clock was set back. */
        rh_atomic_set(outage->spare_until, now);
        return false;
    }
    return now < until;
}

void rh_outage_begin(rh_outage_t *outage, apr_time_t now)
{
    rh_atomic_set(outage->spare_until, now + SPARE_LEASES_FOR);
}
