/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* A part of mod_status's page and of its ?auto: the most important numbers of /metrics. */
#include "rh_instruments.h"
#include "rh_server.h"

#include <http_protocol.h>
#include <mod_status.h>

/** One number of a host. */
typedef struct column_t {
    const char *key, *title; /**< names in ?auto, and on the page */
    apr_int64_t (*read)(const rh_instruments_host_t *host);
} column_t;

static apr_int64_t count_events(const rh_instruments_host_t *host)
{
    apr_uint64_t sum = 0;
    int type, source;

    for (type = 0; type <= host->metrics.types; type++) {
        for (source = 0; source < host->metrics.sources; source++) {
            sum += rh_metrics_read_event(&host->metrics, type, source);
        }
    }
    return (apr_int64_t)sum;
}

static apr_int64_t count_lost(const rh_instruments_host_t *host)
{
    return (apr_int64_t)rh_metrics_read(&host->metrics, RH_COUNT_EVENTS_LOST);
}

static apr_int64_t count_attempts(const rh_instruments_host_t *host)
{
    return (apr_int64_t)rh_metrics_read_family(&host->metrics, RH_COUNT_ATTEMPT_2XX);
}

static apr_int64_t count_delivered(const rh_instruments_host_t *host)
{
    return (apr_int64_t)rh_metrics_read(&host->metrics, RH_COUNT_DELIVERED);
}

static apr_int64_t count_failed(const rh_instruments_host_t *host)
{
    return (apr_int64_t)(rh_metrics_read_family(&host->metrics, RH_COUNT_FAILED) -
                         rh_metrics_read(&host->metrics, RH_COUNT_DELIVERED));
}

static apr_int64_t count_queued(const rh_instruments_host_t *host)
{
    return rh_instruments_gauge(host, RH_GAUGE_QUEUED);
}

static apr_int64_t count_in_flight(const rh_instruments_host_t *host)
{
    return rh_instruments_gauge(host, RH_GAUGE_IN_FLIGHT);
}

static apr_int64_t count_breakers(const rh_instruments_host_t *host)
{
    return rh_instruments_gauge(host, RH_GAUGE_BREAKERS);
}

static apr_int64_t is_database_up(const rh_instruments_host_t *host)
{
    return rh_instruments_gauge(host, RH_GAUGE_DOWN) == 0;
}

/** @return -1: not counted yet, or too long ago */
static apr_int64_t count_pending(const rh_instruments_host_t *host)
{
    rh_backlog_t backlog;

    return rh_metrics_backlog_read(&host->metrics, apr_time_now(), &backlog) ? backlog.pending : -1;
}

static const column_t columns[] = {
    {"Events", "events", count_events},
    {"EventsLost", "lost", count_lost},
    {"Attempts", "attempts", count_attempts},
    {"Delivered", "delivered", count_delivered},
    {"Failed", "failed", count_failed},
    {"Queued", "in memory", count_queued},
    {"InFlight", "in flight", count_in_flight},
    {"BreakersOpen", "breakers open", count_breakers},
    {"Pending", "pending in the database", count_pending},
    {"DatabaseUp", "database up", is_database_up},
};

#define COLUMN_COUNT ((int)RH_COUNT_OF(columns))

/** Write a line per name and value; leave unknown values out. */
static void put_lines(request_rec *r, const rh_instruments_t *instruments)
{
    int i, column;

    ap_rprintf(r, "RestHooksProcesses: %d\n", rh_instruments_processes());
    for (i = 0; i < instruments->hosts->nelts; i++) {
        const rh_instruments_host_t *host =
            &APR_ARRAY_IDX(instruments->hosts, i, const rh_instruments_host_t);

        ap_rprintf(r, "RestHooks[%d]Host: %s\n", i, ap_escape_html(r->pool, host->name));
        for (column = 0; column < COLUMN_COUNT; column++) {
            apr_int64_t value = columns[column].read(host);

            if (value >= 0) {
                ap_rprintf(r, "RestHooks[%d]%s: %" APR_INT64_T_FMT "\n", i, columns[column].key,
                           value);
            }
        }
    }
}

static void put_table(request_rec *r, const rh_instruments_t *instruments)
{
    int i, column;

    ap_rputs("<table border=\"0\"><tr><th>host</th>", r);
    for (column = 0; column < COLUMN_COUNT; column++) {
        ap_rprintf(r, "<th>%s</th>", columns[column].title);
    }
    ap_rputs("</tr>\n", r);
    for (i = 0; i < instruments->hosts->nelts; i++) {
        const rh_instruments_host_t *host =
            &APR_ARRAY_IDX(instruments->hosts, i, const rh_instruments_host_t);

        ap_rprintf(r, "<tr><td>%s</td>", ap_escape_html(r->pool, host->name));
        for (column = 0; column < COLUMN_COUNT; column++) {
            apr_int64_t value = columns[column].read(host);

            if (value >= 0) {
                ap_rprintf(r, "<td align=\"right\">%" APR_INT64_T_FMT "</td>", value);
            } else {
                ap_rputs("<td align=\"right\">-</td>", r);
            }
        }
        ap_rputs("</tr>\n", r);
    }
    ap_rputs("</table>\n", r);
}

static int show(request_rec *r, int flags)
{
    const rh_instruments_t *instruments = rh_instruments_read();

    if (!instruments) {
        return DECLINED;
    }
    if (flags & AP_STATUS_SHORT) {
        put_lines(r, instruments);
        return OK;
    }
    ap_rprintf(r, "<hr />\n<h1>mod_resthooks %s</h1>\n", RH_VERSION);
    if (flags & AP_STATUS_NOTABLE) {
        ap_rputs("<pre>", r);
        put_lines(r, instruments);
        ap_rputs("</pre>\n", r);
    } else {
        ap_rprintf(r, "<p>processes: %d</p>\n", rh_instruments_processes());
        put_table(r, instruments);
    }
    return OK;
}

void rh_status_register(apr_pool_t *pool)
{
    (void)pool;
    APR_OPTIONAL_HOOK(ap, status_hook, show, NULL, NULL, APR_HOOK_MIDDLE);
}
