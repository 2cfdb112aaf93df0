/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * /metrics: the numbers of all processes of this httpd and all its virtual hosts. Any client that
 * httpd lets in may read them, so they say nothing about a single tenant: labels are the host, the
 * type and fixed words.
 */
#include "rh_api.h"
#include "rh_instruments.h"

#include "rh_openmetrics.h"
#include "rh_spool_dir.h"
#include "rh_spools.h"

#include <http_protocol.h>

/** State of writing one response. */
typedef struct scrape_t {
    rh_openmetrics_t out;
    const rh_instruments_t *instruments;
    apr_pool_t *pool;
} scrape_t;

static const rh_instruments_host_t *host_at(const scrape_t *scrape, int i)
{
    return &APR_ARRAY_IDX(scrape->instruments->hosts, i, const rh_instruments_host_t);
}

/** True if the host has a site of its own, instead of sharing that of an equal host. */
static bool has_site(const rh_instruments_host_t *host)
{
    return host->config->site && host->config->site->metrics == &host->metrics;
}

static void put_process(scrape_t *scrape)
{
    const char *labels[] = {"version", RH_VERSION, NULL};

    rh_openmetrics_family(&scrape->out, "resthooks_build", RH_FAMILY_INFO, NULL,
                          "Version of mod_resthooks");
    rh_openmetrics_sample(&scrape->out, labels, 1);
    rh_openmetrics_family(&scrape->out, "resthooks_processes", RH_FAMILY_GAUGE, NULL,
                          "Processes of httpd that are counted here");
    rh_openmetrics_sample(&scrape->out, NULL, rh_instruments_processes());
    rh_openmetrics_family(&scrape->out, "resthooks_counters_start_time_seconds", RH_FAMILY_GAUGE,
                          "seconds", "When the counters began at 0, since the epoch");
    rh_openmetrics_seconds(&scrape->out, NULL, scrape->instruments->since);
}

static void put_events(scrape_t *scrape)
{
    int i, type, source;

    rh_openmetrics_family(&scrape->out, "resthooks_events", RH_FAMILY_COUNTER, NULL,
                          "Events that were stored, by type of the catalogue and by source");
    for (i = 0; i < scrape->instruments->hosts->nelts; i++) {
        const rh_instruments_host_t *host = host_at(scrape, i);
        const apr_array_header_t *types = host->config->settings.types;

        for (type = 0; type <= types->nelts; type++) {
            const rh_catalogue_type_t *entry =
                type < types->nelts ? APR_ARRAY_IDX(types, type, const rh_catalogue_type_t *)
                                    : NULL;

            for (source = 0; source < RH_SOURCE_COUNT; source++) {
                apr_uint64_t count = rh_metrics_read_event(&host->metrics, type, source);
                bool usual =
                    entry && source == (entry->captured ? RH_SOURCE_CAPTURE : RH_SOURCE_PUBLISH);
                const char *labels[] = {"host",   host->name,
                                        "type",   entry ? entry->type : "other",
                                        "source", rh_event_source_name((rh_event_source_t)source),
                                        NULL};

                if (count > 0 || usual) {
                    rh_openmetrics_sample(&scrape->out, labels, (apr_int64_t)count);
                }
            }
        }
    }
}

/** Write how many requests rules matched but did not capture, for the reasons that occurred. */
static void put_misses(scrape_t *scrape)
{
    int i, rule, reason;

    rh_openmetrics_family(&scrape->out, "resthooks_not_captured", RH_FAMILY_COUNTER, NULL,
                          "Requests and items that a rule fitted but made no event of, by rule (in "
                          "the order of RestHooksEvent), its type and reason");
    for (i = 0; i < scrape->instruments->hosts->nelts; i++) {
        const rh_instruments_host_t *host = host_at(scrape, i);
        const apr_array_header_t *rules = host->config->settings.rules;

        for (rule = 0; rule < rules->nelts; rule++) {
            for (reason = 0; reason < RH_MISS_COUNT; reason++) {
                apr_uint64_t count = rh_metrics_read_miss(&host->metrics, rule, reason);
                const char *labels[] = {"host",   host->name,
                                        "rule",   apr_itoa(scrape->pool, rule + 1),
                                        "type",   APR_ARRAY_IDX(rules, rule, rh_rule_t *)->type,
                                        "reason", rh_miss_name((rh_miss_t)reason),
                                        NULL};

                if (count > 0) {
                    rh_openmetrics_sample(&scrape->out, labels, (apr_int64_t)count);
                }
            }
        }
    }
}

/** Write the counters of one host and family. @param row the first one after the family's row */
static void put_host_counters(scrape_t *scrape, const rh_instruments_host_t *host,
                              const char *label, const rh_counter_row_t *row,
                              const rh_counter_row_t *end)
{
    for (; row < end && !row->name; row++) {
        const char *labels[] = {"host", host->name, label, row->value, NULL};

        rh_openmetrics_sample(&scrape->out, labels,
                              (apr_int64_t)rh_metrics_read(&host->metrics, row->counter));
    }
}

static void put_counters(scrape_t *scrape)
{
    int count;
    const rh_counter_row_t *row = rh_counter_rows(&count), *end = row + count;

    for (; row < end; row++) {
        if (!row->name) {
            continue; /* It was written with its family. */
        }
        rh_openmetrics_family(&scrape->out, row->name, RH_FAMILY_COUNTER, NULL, row->help);
        for (int i = 0; i < scrape->instruments->hosts->nelts; i++) {
            put_host_counters(scrape, host_at(scrape, i), row->label, row + 1, end);
        }
    }
}

static void put_gauges(scrape_t *scrape)
{
    for (int gauge = 0; gauge < RH_GAUGE_COUNT; gauge++) {
        const char *help, *name = rh_gauge_name((rh_gauge_t)gauge, &help);

        if (!name) {
            continue;
        }
        rh_openmetrics_family(&scrape->out, name, RH_FAMILY_GAUGE, NULL, help);
        for (int i = 0; i < scrape->instruments->hosts->nelts; i++) {
            const char *labels[] = {"host", host_at(scrape, i)->name, NULL};

            rh_openmetrics_sample(&scrape->out, labels,
                                  rh_instruments_gauge(host_at(scrape, i), (rh_gauge_t)gauge));
        }
    }
}

static void put_histogram(scrape_t *scrape, rh_histogram_t histogram)
{
    int count;
    const apr_int64_t *bounds = rh_histogram_bounds(histogram, &count);
    const char *unit, *help, *name = rh_histogram_name(histogram, &unit, &help);

    rh_openmetrics_family(&scrape->out, name, RH_FAMILY_HISTOGRAM, unit, help);
    for (int i = 0; i < scrape->instruments->hosts->nelts; i++) {
        const char *labels[] = {"host", host_at(scrape, i)->name, NULL};
        rh_buckets_t buckets;

        rh_metrics_read_histogram(&host_at(scrape, i)->metrics, histogram, &buckets);
        rh_openmetrics_histogram(&scrape->out, labels, bounds, count, buckets.in, buckets.sum,
                                 unit != NULL);
    }
}

/** Write the numbers of breakers: open ones, and those that let a probe through. */
static void put_breakers(scrape_t *scrape)
{
    int i;

    rh_openmetrics_family(&scrape->out, "resthooks_breakers", RH_FAMILY_GAUGE, NULL,
                          "Targets that processes hold back because they fail, by state");
    for (i = 0; i < scrape->instruments->hosts->nelts; i++) {
        const rh_instruments_host_t *host = host_at(scrape, i);
        const char *open[] = {"host", host->name, "state", "open", NULL};
        const char *half[] = {"host", host->name, "state", "half_open", NULL};
        apr_int64_t all = rh_instruments_gauge(host, RH_GAUGE_BREAKERS);
        apr_int64_t probes = rh_instruments_gauge(host, RH_GAUGE_PROBES);

        rh_openmetrics_sample(&scrape->out, open, all > probes ? all - probes : 0);
        rh_openmetrics_sample(&scrape->out, half, probes);
    }
}

static void put_database(scrape_t *scrape)
{
    int i;

    rh_openmetrics_family(&scrape->out, "resthooks_database_up", RH_FAMILY_GAUGE, NULL,
                          "0 while the database does not answer some process's deliveries");
    for (i = 0; i < scrape->instruments->hosts->nelts; i++) {
        const char *labels[] = {"host", host_at(scrape, i)->name, NULL};

        if (has_site(host_at(scrape, i))) {
            rh_openmetrics_sample(&scrape->out, labels,
                                  rh_instruments_gauge(host_at(scrape, i), RH_GAUGE_DOWN) == 0);
        }
    }
}

/** Write the backlogs of all hosts, as counted last. */
static void put_backlog(scrape_t *scrape)
{
    static const struct {
        const char *name, *unit, *help;
    } families[] = {
        {"resthooks_backlog_pending", NULL,
         "Deliveries in the database that are not settled; 100000 means that many or more"},
        {"resthooks_backlog_due", NULL, "Those of them that could be attempted now"},
        {"resthooks_backlog_oldest_seconds", "seconds",
         "How long the oldest of these has been due"},
    };
    int family, i;

    for (family = 0; family < (int)RH_COUNT_OF(families); family++) {
        rh_openmetrics_family(&scrape->out, families[family].name, RH_FAMILY_GAUGE,
                              families[family].unit, families[family].help);
        for (i = 0; i < scrape->instruments->hosts->nelts; i++) {
            const char *labels[] = {"host", host_at(scrape, i)->name, NULL};
            rh_backlog_t backlog;

            if (!rh_metrics_backlog_read(&host_at(scrape, i)->metrics, apr_time_now(), &backlog)) {
                continue;
            }
            if (families[family].unit) {
                rh_openmetrics_seconds(&scrape->out, labels, backlog.oldest);
            } else {
                rh_openmetrics_sample(&scrape->out, labels,
                                      family == 0 ? backlog.pending : backlog.due);
            }
        }
    }
}

static void put_spool(scrape_t *scrape)
{
    static const struct {
        const char *name, *unit, *help;
    } families[] = {
        {"resthooks_spool_files", NULL, "Files of the spool that wait for the database"},
        {"resthooks_spool_bytes", "bytes", "Their size"},
        {"resthooks_spool_damaged_files", NULL, "Files of the spool that were set aside"},
        {"resthooks_spool_refused_files", NULL,
         "Files of events that the database refused (resthooksctl spool)"},
        {"resthooks_spool_orphaned_files", NULL,
         "Files that wait for a database which no virtual host uses"},
    };
    int hosts = scrape->instruments->hosts->nelts, family, i;
    rh_spool_usage_t *usages = apr_pcalloc(scrape->pool, (apr_size_t)hosts * sizeof(*usages));
    bool *known = apr_pcalloc(scrape->pool, (apr_size_t)hosts * sizeof(*known));
    int *orphans = apr_pcalloc(scrape->pool, (apr_size_t)hosts * sizeof(*orphans));

    for (i = 0; i < hosts; i++) {
        const rh_site_t *site = host_at(scrape, i)->config->site;

        known[i] =
            has_site(host_at(scrape, i)) && site->spool &&
            rh_spool_usage(site->spool, site->spool_owner, scrape->pool, &usages[i]) == APR_SUCCESS;
        orphans[i] = known[i] ? rh_spools_orphans(scrape->pool, site->spool) : 0;
    }
    for (family = 0; family < (int)RH_COUNT_OF(families); family++) {
        rh_openmetrics_family(&scrape->out, families[family].name, RH_FAMILY_GAUGE,
                              families[family].unit, families[family].help);
        for (i = 0; i < hosts; i++) {
            const char *labels[] = {"host", host_at(scrape, i)->name, NULL};
            const apr_int64_t values[] = {usages[i].files, usages[i].bytes, usages[i].damaged,
                                          usages[i].refused, orphans[i]};

            if (known[i]) {
                rh_openmetrics_sample(&scrape->out, labels, values[family]);
            }
        }
    }
}

int rh_api_metrics_get(rh_api_t *api)
{
    const char *accept = apr_table_get(api->r->headers_in, "Accept");
    bool prometheus = rh_openmetrics_prefers_prometheus(accept);
    scrape_t scrape = {.instruments = rh_instruments_read(), .pool = api->r->pool};
    rh_bytes_t text;
    int i;

    if (!scrape.instruments) {
        return rh_api_error(api, 503, "This server has no memory to count in; see its error log.");
    }
    rh_openmetrics_begin(&scrape.out, api->r->pool, prometheus);
    put_process(&scrape);
    put_events(&scrape);
    put_misses(&scrape);
    put_counters(&scrape);
    put_gauges(&scrape);
    for (i = 0; i < RH_HISTOGRAM_COUNT; i++) {
        put_histogram(&scrape, (rh_histogram_t)i);
    }
    put_breakers(&scrape);
    put_database(&scrape);
    put_backlog(&scrape);
    put_spool(&scrape);
    text = rh_openmetrics_end(&scrape.out);
    apr_table_mergen(api->r->headers_out, "Vary", "Accept");
    return rh_api_text(api, HTTP_OK, prometheus ? RH_PROMETHEUS_TYPE : RH_OPENMETRICS_TYPE,
                       text.data, text.len);
}
