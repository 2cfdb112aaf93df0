/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* What the API says about itself: health, the index, its description. */
#include "rh_api.h"
#include "rh_spool_dir.h"
#include "rh_spools.h"
#include "rh_gate.h"

#include <http_protocol.h>
#include <unistd.h>
#include <util_script.h>

#define WELL "ok"
#define UNWELL "fail"
/** Due deliveries are normally claimed within a second. */
#define CLAIM_STALE apr_time_from_sec(60)

/** State of making a health report. */
typedef struct report_t {
    rh_api_t *api;
    struct json_object *checks;
    bool well;
} report_t;

static report_t begin_report(rh_api_t *api)
{
    report_t report = {api, json_object_new_object(), true};

    return report;
}

/** Add the result of one check. @param problem what is wrong, NULL: nothing */
static void add_check(report_t *report, const char *name, const char *problem)
{
    struct json_object *check = json_object_new_object();

    json_object_object_add(check, "status", json_object_new_string(problem ? UNWELL : WELL));
    json_object_object_add(check, "detail", rh_json_new_text(problem));
    json_object_object_add(report->checks, name, check);
    report->well = report->well && !problem;
}

static int send_report(const report_t *report)
{
    struct json_object *tree = json_object_new_object();

    json_object_object_add(tree, "status", json_object_new_string(report->well ? WELL : UNWELL));
    json_object_object_add(tree, "checks", report->checks);
    if (!report->well) {
        apr_table_setn(report->api->r->headers_out, "Retry-After", RH_API_RETRY_AFTER);
    }
    return rh_api_json(report->api, report->well ? HTTP_OK : HTTP_SERVICE_UNAVAILABLE, tree);
}

/** Return the metrics in which processes record outcomes: those of the host's site. */
static const rh_metrics_t *metrics_of(const rh_api_t *api)
{
    const rh_site_t *site = api->config->site;

    return site && site->metrics ? site->metrics : api->config->metrics;
}

static const char *delivery_problem(rh_api_t *api)
{
    return __atomic_load_n(&api->config->engine, __ATOMIC_ACQUIRE)
               ? NULL
               : "this process does not deliver";
}

static const char *database_problem(rh_api_t *api)
{
    const char *problem = NULL;

    if (rh_store_ping(api->store, api->r->pool, &problem) == APR_SUCCESS) {
        return NULL;
    }
    if (rh_gate_problem(api->config->gate)) {
        return rh_gate_problem(api->config->gate);
    }
    return problem ? problem : "the database does not respond as expected";
}

/** Append "2 files ..." to an earlier finding, within a sentence; nothing if there are none. */
static const char *add_files(apr_pool_t *pool, const char *sofar, int files, const char *what)
{
    if (files == 0) {
        return sofar;
    }
    return apr_psprintf(pool, "%s%s%d file%s %s", sofar ? sofar : "", sofar ? "; " : "", files,
                        files == 1 ? "" : "s", what);
}

/** Check the spool: it cannot be written, or it holds files that need attention. */
static const char *spool_problem(rh_api_t *api, apr_time_t now)
{
    apr_pool_t *pool = api->r->pool;
    const char *folder = api->config->settings.spool;
    const char *problem = rh_health_problem(metrics_of(api), RH_HEALTH_SPOOL, now, pool);
    rh_spool_usage_t usage;

    if (problem) {
        return problem;
    }
    if (!folder) {
        return "the spool is off: its directory could not be used at the last restart";
    }
    if (access(folder, R_OK | W_OK | X_OK) != 0 ||
        rh_spool_usage(folder, api->config->spool_owner, pool, &usage) != APR_SUCCESS) {
        return "its directory can't be used by httpd's user";
    }
    problem = add_files(pool, NULL, usage.refused,
                        "with events that the database refused (resthooksctl spool)");
    problem = add_files(pool, problem, usage.damaged, "set aside as damaged");
    return add_files(pool, problem, rh_spools_orphans(pool, folder),
                     "waiting for a database that no virtual host uses");
}

/** Check whether due deliveries are claimed. */
static const char *backlog_problem(rh_api_t *api, apr_time_t now)
{
    const rh_metrics_t *metrics = metrics_of(api);
    apr_time_t claimed = rh_health_good_at(metrics, RH_HEALTH_CLAIM);
    rh_backlog_t backlog;

    if (!metrics || !rh_metrics_backlog_read(metrics, now, &backlog) || backlog.due == 0 ||
        now - claimed < CLAIM_STALE || claimed == 0) {
        return NULL;
    }
    return apr_psprintf(api->r->pool,
                        "%" APR_INT64_T_FMT " deliveries are due, and nothing was claimed for "
                        "%d s",
                        backlog.due, (int)apr_time_sec(now - claimed));
}

int rh_api_health_get(rh_api_t *api)
{
    static const rh_health_t seen[] = {RH_HEALTH_COMMIT, RH_HEALTH_CLAIM, RH_HEALTH_SETTLE,
                                       RH_HEALTH_MAINTAIN};
    report_t report = begin_report(api);
    apr_time_t now = apr_time_now();

    add_check(&report, "database", database_problem(api));
    add_check(&report, "delivery", delivery_problem(api));
    for (apr_size_t i = 0; i < RH_COUNT_OF(seen); i++) {
        add_check(&report, rh_health_name(seen[i]),
                  rh_health_problem(metrics_of(api), seen[i], now, api->r->pool));
    }
    add_check(&report, "spool", spool_problem(api, now));
    add_check(&report, "backlog", backlog_problem(api, now));
    return send_report(&report);
}

int rh_api_health_live(rh_api_t *api)
{
    report_t report = begin_report(api);

    /* The response itself proves that this process serves requests. */
    add_check(&report, "process", NULL);
    return send_report(&report);
}

/**
 * Report whether events can be accepted, by the database or, during an outage, by the spool. Does
 * not query the database, because one that hangs must not delay a probe.
 */
int rh_api_health_ready(rh_api_t *api)
{
    report_t report = begin_report(api);
    apr_time_t now = apr_time_now();
    const rh_metrics_t *metrics = metrics_of(api);
    const char *folder = api->config->settings.spool;
    const char *commit = rh_health_problem(metrics, RH_HEALTH_COMMIT, now, api->r->pool);
    const char *spool = rh_health_problem(metrics, RH_HEALTH_SPOOL, now, api->r->pool);

    if (!spool && (!folder || access(folder, W_OK | X_OK) != 0)) {
        spool = "httpd's user can't write to a spool";
    }
    add_check(&report, "delivery", delivery_problem(api));
    add_check(&report, "events",
              commit && spool ? apr_pstrcat(api->r->pool, commit, "; ", spool, NULL) : NULL);
    return send_report(&report);
}

int rh_api_index_get(rh_api_t *api)
{
    static const char *const resources[] = {"subscriptions", "deliveries",  "event-types",
                                            "events",        "stats",       "health",
                                            "metrics",       "openapi.json"};
    struct json_object *tree = json_object_new_object();
    bool admin = rh_request_is_admin(api->r);
    bool publisher = admin || rh_request_is_publisher(api->r);
    apr_size_t i;

    for (i = 0; i < RH_COUNT_OF(resources); i++) {
        const char *path = apr_pstrcat(api->r->pool, "/", resources[i], NULL);

        json_object_object_add(tree, resources[i], json_object_new_string(rh_api_url(api, path)));
    }
    json_object_object_add(tree, "version", json_object_new_string(RH_VERSION));
    json_object_object_add(tree, "tenant", rh_json_new_text(api->tenant));
    json_object_object_add(tree, "publisher", json_object_new_boolean(publisher));
    json_object_object_add(tree, "admin", json_object_new_boolean(admin));
    return rh_api_json(api, HTTP_OK, tree);
}
