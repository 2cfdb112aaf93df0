/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Warnings at start about valid but probably mistaken settings of hosts and rules. */
#include "rh_config_private.h"

#include "rh_server.h"

#include <apr_file_info.h>
#include <http_core.h>
#include <http_protocol.h>

/** Warn about a file with a password that every user can read. */
static void warn_readable(apr_pool_t *scratch, const server_rec *server,
                          const rh_server_config_t *config)
{
    const char *file = config->settings.egress_auth_file;
    apr_finfo_t info;

    if (file && apr_stat(&info, file, APR_FINFO_PROT, scratch) == APR_SUCCESS &&
        (info.protection & APR_FPROT_WREAD)) {
        rh_log(&config->log, RH_LOG_WARN, APR_SUCCESS, "RH0413",
               RH_NAME_EGRESS_PROXY ": every user can read the password in %s (host %s)", file,
               rh_server_name(scratch, server));
    }
}

/** Warn if events are removed while a delivery may still have attempts left. */
static void warn_retention(apr_pool_t *scratch, const server_rec *server,
                           const rh_server_config_t *config)
{
    const rh_retry_policy_t *policy = &config->retry_policy;
    apr_interval_time_t sum = 0;
    int i;

    for (i = 0; i < policy->wait_count; i++) {
        sum += policy->waits[i];
    }
    if (config->settings.retention < sum) {
        rh_log(&config->log, RH_LOG_WARN, APR_SUCCESS, "RH0419",
               RH_NAME_RETENTION ": %" APR_TIME_T_FMT " s are shorter than the %" APR_TIME_T_FMT
                                 " s of " RH_NAME_RETRY
                                 ": deliveries fail before their last attempt (host %s)",
               apr_time_sec(config->settings.retention), apr_time_sec(sum),
               rh_server_name(scratch, server));
    }
}

static void warn_methods(const rh_log_t *log, const rh_rule_t *rule)
{
    int i;

    for (i = 0; i < rule->methods->nelts; i++) {
        const char *method = APR_ARRAY_IDX(rule->methods, i, const char *);

        if (!strcmp(method, "*")) {
            rh_log(log, RH_LOG_WARN, APR_SUCCESS, "RH0415",
                   RH_NAME_EVENT " %s: the method * is not a wildcard, so the rule fits no request "
                                 "of another method (methods are listed, as in PUT,PATCH)",
                   rule->type);
        } else if (ap_method_number_of(method) == M_INVALID) {
            rh_log(log, RH_LOG_WARN, APR_SUCCESS, "RH0415",
                   RH_NAME_EVENT " %s: httpd does not know the method %s (RegisterHttpMethod "
                                 "declares one that is meant)",
                   rule->type, method);
        }
    }
}

/** True if a constant resembles a variable: REMOTE_USER, req:X-Tenant. */
static bool is_like_variable(const char *text)
{
    apr_size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");

    return (text[len] == '\0' && strchr(text, '_')) || (strchr(text, ':') && !strpbrk(text, " /"));
}

/** Warn of values that are the same for all events. A constant tenant may be intended. */
static void warn_values(const rh_log_t *log, const rh_rule_t *rule)
{
    const char *tenant = rule->tenant.expression ? rule->tenant.text : NULL;

    if (tenant && rh_expression_is_constant(tenant) && is_like_variable(tenant)) {
        rh_log(log, RH_LOG_WARN, APR_SUCCESS, "RH0414",
               RH_NAME_EVENT " %s: tenant=%s has no variable (a variable is written %%{NAME})",
               rule->type, tenant);
    }
    if (rule->id.expression && rh_expression_is_constant(rule->id.text)) {
        rh_log(log, RH_LOG_WARN, APR_SUCCESS, "RH0421",
               RH_NAME_EVENT " %s: id=%s has no variable, so all events but a tenant's first are "
                             "taken for repetitions of it",
               rule->type, rule->id.text);
    }
}

static void warn_rule(const rh_log_t *log, const rh_rule_t *rule)
{
    warn_methods(log, rule);
    warn_values(log, rule);
    if (rh_pattern_matches_no_path(rule->pattern)) {
        rh_log(log, RH_LOG_WARN, APR_SUCCESS, "RH0416",
               RH_NAME_EVENT " %s: no path matches %s: it begins with \"/\" (host and query are "
                             "not part of it)",
               rule->type, rule->pattern);
    }
}

/** Warn about each rule once, though virtual hosts inherit those of the server. */
static void warn_rules(const rh_server_config_t *config, apr_hash_t *seen)
{
    int i;

    for (i = 0; i < config->settings.rules->nelts; i++) {
        const rh_rule_t **rule = &APR_ARRAY_IDX(config->settings.rules, i, const rh_rule_t *);

        if (!apr_hash_get(seen, rule, sizeof(*rule))) {
            apr_hash_set(seen, rule, sizeof(*rule), *rule);
            warn_rule(&config->log, *rule);
        }
    }
}

static int warn_at_start(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
    apr_hash_t *seen = apr_hash_make(ptemp);
    server_rec *each;

    (void)pconf;
    (void)plog;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    for (each = server; each; each = each->next) {
        const rh_server_config_t *config = rh_server_config(each);

        if (each != server && config == rh_server_config(server)) {
            continue; /* A virtual host without directives of this module shares the record. */
        }
        if (config->settings.enabled) {
            warn_readable(ptemp, each, config);
            warn_retention(ptemp, each, config);
            warn_rules(config, seen);
        }
    }
    rh_warn_sections(ptemp, server);
    return OK;
}

void rh_config_register(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_post_config(warn_at_start, NULL, NULL, APR_HOOK_LAST);
}
