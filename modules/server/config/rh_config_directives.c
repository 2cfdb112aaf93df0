/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The table of directives, and how each is read. */
#include "rh_config_private.h"

#include "rh_time.h"

#include <apr_file_io.h>
#include <http_log.h>

APLOG_USE_MODULE(resthooks);

/** Waits of a retry schedule at most. */
#define MAX_WAITS 60
/** Statuses of RestHooksGone at most. */
#define MAX_GONE 32

/** Where a number goes and what it may be; `wide`: the member is an apr_int64_t. */
typedef struct number_t {
    apr_size_t offset;
    apr_int64_t min, max;
    bool wide, global;
} number_t;

/** Where a duration goes and what it may be, microseconds. */
typedef struct duration_t {
    apr_size_t offset;
    apr_interval_time_t min, max;
    bool never;
} duration_t;

/** Two words, of which `set` makes the member 1, the other 0. */
typedef struct choice_t {
    apr_size_t offset;
    const char *set, *clear;
    bool global;
} choice_t;

/** A string or path of the server's configuration. */
typedef struct text_t {
    apr_size_t offset;
} text_t;

#define MEMBER(config, offset, type) (*(type *)(void *)((char *)(config) + (offset)))
#define OF(member) offsetof(rh_settings_t, member)
#define SECONDS(n) ((apr_interval_time_t)(n)*APR_USEC_PER_SEC)
#define DAYS(n) SECONDS((n) * (apr_interval_time_t)86400)

static const number_t max_data = {OF(max_data), 1, RH_LARGEST_DATA, true, false};
static const number_t concurrency = {OF(concurrency), 1, 100000, false, true};
static const number_t endpoint_concurrency = {OF(endpoint_concurrency), 1, 100000, false, false};
static const number_t host_concurrency = {OF(host_concurrency), 1, 100000, false, false};
static const number_t max_subscriptions = {OF(max_subscriptions), 1, 1000000, false, false};
static const number_t tenant_requests = {OF(tenant_requests), 1, 100000, false, false};
static const number_t max_hops = {OF(max_hops), 0, 100, false, false};
static const number_t threads = {OF(threads), 1, 64, false, true};
static const duration_t timeout = {OF(timeout), 10000, SECONDS(600), false};
static const duration_t connect_timeout = {OF(connect_timeout), 10000, SECONDS(600), false};
static const duration_t disable_after = {OF(disable_after), SECONDS(1), DAYS(3650), true};
static const duration_t retention = {OF(retention), SECONDS(1), DAYS(36500), false};
static const choice_t targets = {OF(https_only), "https-only", "http", false};
static const choice_t schema = {OF(schema_auto), "auto", "check", true};
static const text_t allow = {OF(allow)};
static const text_t deny = {OF(deny)};
static const text_t tls_ca_file = {OF(tls_ca_file)};
static const text_t tls_certificate = {OF(tls_certificate)};
static const text_t tls_key = {OF(tls_key)};
static const apr_size_t tenant = offsetof(rh_dir_config_t, tenant);
static const apr_size_t publisher = offsetof(rh_dir_config_t, publisher);
static const apr_size_t admin = offsetof(rh_dir_config_t, admin);

/** NULL, or why the directive may not stand in a virtual host. */
static const char *global_only(cmd_parms *cmd, bool global)
{
    return global ? ap_check_cmd_context(cmd, NOT_IN_VIRTUALHOST) : NULL;
}

static const char *set_enabled(cmd_parms *cmd, void *dir_config, int on)
{
    (void)dir_config;
    rh_server_config(cmd->server)->settings.enabled = on;
    return NULL;
}

static const char *set_expose(cmd_parms *cmd, void *dir_config, int on)
{
    (void)cmd;
    ((rh_dir_config_t *)dir_config)->expose_event_id = on;
    return NULL;
}

static const char *set_number(cmd_parms *cmd, void *dir_config, const char *word)
{
    const number_t *number = cmd->info;
    rh_settings_t *settings = &rh_server_config(cmd->server)->settings;
    const char *complaint = global_only(cmd, number->global);
    apr_int64_t value;

    (void)dir_config;
    if (complaint) {
        return complaint;
    }
    value = apr_atoi64(word);
    if (strspn(word, "0123456789") != strlen(word) || strlen(word) > 18 || value < number->min ||
        value > number->max) {
        return rh_complaint(cmd,
                            "\"%s\" is no number from %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT,
                            word, number->min, number->max);
    }
    if (number->wide) {
        MEMBER(settings, number->offset, apr_int64_t) = value;
    } else {
        MEMBER(settings, number->offset, int) = (int)value;
    }
    return NULL;
}

static const char *set_duration(cmd_parms *cmd, void *dir_config, const char *word)
{
    const duration_t *duration = cmd->info;
    apr_interval_time_t value;

    (void)dir_config;
    if (rh_duration_parse(word, strlen(word), duration->never, &value) != APR_SUCCESS) {
        return rh_complaint(cmd, "\"%s\" is no duration like 90s, 5m, 2h or 30d%s", word,
                            duration->never ? ", nor never" : "");
    }
    if (value != RH_NEVER && (value < duration->min || value > duration->max)) {
        return rh_complaint(cmd, "%s is not between %" APR_TIME_T_FMT "ms and %" APR_TIME_T_FMT "s",
                            word, apr_time_as_msec(duration->min), apr_time_sec(duration->max));
    }
    MEMBER(&rh_server_config(cmd->server)->settings, duration->offset, apr_interval_time_t) = value;
    return NULL;
}

static const char *set_choice(cmd_parms *cmd, void *dir_config, const char *word)
{
    const choice_t *choice = cmd->info;
    const char *complaint = global_only(cmd, choice->global);
    bool set = !strcasecmp(word, choice->set);

    (void)dir_config;
    if (complaint) {
        return complaint;
    }
    if (!set && strcasecmp(word, choice->clear)) {
        return rh_complaint(cmd, "\"%s\" is neither %s nor %s", word, choice->set, choice->clear);
    }
    MEMBER(&rh_server_config(cmd->server)->settings, choice->offset, int) = set;
    return NULL;
}

/** An expression of a place: of the server's default place too, which httpd merges into all. */
static const char *set_expression(cmd_parms *cmd, void *dir_config, const char *text,
                                  unsigned int flags)
{
    const apr_size_t *offset = cmd->info;
    const char *error = NULL;
    ap_expr_info_t *expression = ap_expr_parse_cmd(cmd, text, flags, &error, NULL);

    if (error) {
        return rh_complaint(cmd, "%s: %s", text, error);
    }
    MEMBER(dir_config, *offset, ap_expr_info_t *) = expression;
    return NULL;
}

static const char *set_tenant(cmd_parms *cmd, void *dir_config, const char *text)
{
    ((rh_dir_config_t *)dir_config)->tenant_text = text;
    return set_expression(cmd, dir_config, text, RH_EXPR_TEXT);
}

static const char *set_condition(cmd_parms *cmd, void *dir_config, const char *text)
{
    return set_expression(cmd, dir_config, text, RH_EXPR_CONDITION);
}

static const char *add_rule(cmd_parms *cmd, void *dir_config, const char *args)
{
    rh_rule_t *rule;
    const char *complaint = rh_rule_parse(cmd, args, &rule);

    (void)dir_config;
    if (!complaint) {
        APR_ARRAY_PUSH(rh_server_config(cmd->server)->settings.rules, rh_rule_t *) = rule;
    }
    return complaint;
}

static const char *set_retry(cmd_parms *cmd, void *dir_config, int argc, char *const argv[])
{
    apr_array_header_t *waits = apr_array_make(cmd->pool, argc, sizeof(apr_interval_time_t));
    apr_interval_time_t wait;
    int i;

    (void)dir_config;
    if (argc < 1 || argc > MAX_WAITS) {
        return rh_complaint(cmd, "takes 1 to %d waits", MAX_WAITS);
    }
    for (i = 0; i < argc; i++) {
        if (rh_duration_parse(argv[i], strlen(argv[i]), false, &wait) != APR_SUCCESS ||
            wait > DAYS(30)) {
            return rh_complaint(cmd, "\"%s\" is no duration like 5s, 30m or 2h, up to 30d",
                                argv[i]);
        }
        APR_ARRAY_PUSH(waits, apr_interval_time_t) = wait;
    }
    rh_server_config(cmd->server)->settings.retry = waits;
    return NULL;
}

static const char *set_gone(cmd_parms *cmd, void *dir_config, int argc, char *const argv[])
{
    apr_array_header_t *statuses = apr_array_make(cmd->pool, 2, sizeof(int));
    int i, status;

    (void)dir_config;
    if (argc < 1 || argc > MAX_GONE) {
        return rh_complaint(cmd, "takes 1 to %d statuses, or none", MAX_GONE);
    }
    for (i = 0; i < argc && !(argc == 1 && !strcasecmp(argv[0], "none")); i++) {
        status = atoi(argv[i]);
        if (strlen(argv[i]) != 3 || strspn(argv[i], "0123456789") != 3 || status < 300 ||
            status > 599) {
            return rh_complaint(cmd, "\"%s\" is no status from 300 to 599", argv[i]);
        }
        APR_ARRAY_PUSH(statuses, int) = status;
    }
    rh_server_config(cmd->server)->settings.gone = statuses;
    return NULL;
}

static const char *add_target(cmd_parms *cmd, void *dir_config, const char *rule)
{
    const text_t *text = cmd->info;
    rh_egress_policy_t *policy = rh_egress_make(cmd->temp_pool);
    const char *reason = rh_egress_add(policy, text == &allow, rule);

    (void)dir_config;
    if (reason) {
        return rh_complaint(cmd, "\"%s\": %s", rule, reason);
    }
    APR_ARRAY_PUSH(
        MEMBER(&rh_server_config(cmd->server)->settings, text->offset, apr_array_header_t *),
        const char *) = rule;
    return NULL;
}

static const char *set_file(cmd_parms *cmd, void *dir_config, const char *name)
{
    const text_t *text = cmd->info;
    const char *path = ap_server_root_relative(cmd->pool, name);
    apr_finfo_t info;
    apr_file_t *file;
    apr_status_t status;
    char reason[120];

    (void)dir_config;
    if (!path) {
        return rh_complaint(cmd, "%s: no valid path", name);
    }
    status = apr_file_open(&file, path, APR_READ, APR_OS_DEFAULT, cmd->temp_pool);
    if (status != APR_SUCCESS) {
        return rh_complaint(cmd, "%s: %s", path, apr_strerror(status, reason, sizeof(reason)));
    }
    status = apr_file_info_get(&info, APR_FINFO_TYPE, file);
    apr_file_close(file);
    if (status != APR_SUCCESS || info.filetype == APR_DIR) {
        return rh_complaint(cmd, "%s: no file", path);
    }
    MEMBER(&rh_server_config(cmd->server)->settings, text->offset, const char *) = path;
    return NULL;
}

static const char *set_spool(cmd_parms *cmd, void *dir_config, const char *name)
{
    const char *complaint = global_only(cmd, true);
    const char *path = ap_server_root_relative(cmd->pool, name);
    apr_finfo_t info;

    (void)dir_config;
    if (complaint) {
        return complaint;
    }
    if (!path || !*name) {
        return rh_complaint(cmd, "\"%s\": no valid path", name);
    }
    if (apr_stat(&info, path, APR_FINFO_TYPE, cmd->temp_pool) == APR_SUCCESS &&
        info.filetype != APR_DIR) {
        return rh_complaint(cmd, "%s: no folder", path);
    }
    rh_server_config(cmd->server)->settings.spool = path;
    return NULL;
}

static const char *set_page(cmd_parms *cmd, void *dir_config, const char *name)
{
    const char *path = strcasecmp(name, "off") == 0 ? "" : ap_server_root_relative(cmd->pool, name);
    apr_finfo_t info;

    (void)dir_config;
    if (!path || !*name) {
        return rh_complaint(cmd, "\"%s\": no valid path", name);
    }
    if (*path && (apr_stat(&info, path, APR_FINFO_TYPE, cmd->temp_pool) != APR_SUCCESS ||
                  info.filetype != APR_DIR)) {
        return rh_complaint(cmd, "%s: no folder", path);
    }
    rh_server_config(cmd->server)->settings.page = path;
    return NULL;
}

static const char *set_log(cmd_parms *cmd, void *dir_config, const char *name, const char *format)
{
    rh_server_config_t *config = rh_server_config(cmd->server);
    const char *text = format ? format : RH_LOG_FORMAT, *complaint, *path;
    rh_log_format_t *parsed;

    (void)dir_config;
    config->settings.log_format = NULL;
    if (!strcasecmp(name, "none")) {
        config->settings.log_name = "none";
        return format ? rh_complaint(cmd, "none takes no format") : NULL;
    }
    complaint = rh_log_format_parse(cmd->temp_pool, text, &parsed);
    if (complaint) {
        return rh_complaint(cmd, "\"%s\": %s", text, complaint);
    }
    path = *name == '|' ? name : ap_server_root_relative(cmd->pool, name);
    if (!*name || !strcmp(name, "|") || !path) {
        return rh_complaint(cmd, "\"%s\": no valid path or program", name);
    }
    config->settings.log_name = path;
    config->settings.log_format = text;
    return NULL;
}

#define INFO(record) ((void *)(uintptr_t) & (record))
#define EVERYWHERE (RSRC_CONF | ACCESS_CONF)

const command_rec rh_directives[] = {
    AP_INIT_FLAG(RH_NAME_ENABLED, set_enabled, NULL, RSRC_CONF,
                 "On: capture and deliver events for this host"),
    AP_INIT_TAKE1(RH_NAME_TENANT, set_tenant, INFO(tenant), EVERYWHERE,
                  "expression that yields the tenant; empty: none"),
    AP_INIT_RAW_ARGS(RH_NAME_EVENT, add_rule, NULL, RSRC_CONF,
                     "type methods regex [status=…] [data=…] [tenant=expr] [when=expr] [observe]"),
    AP_INIT_TAKE_ARGV(RH_NAME_EVENT_TYPE, rh_event_type_directive, NULL, RSRC_CONF,
                      "type, description, optionally a file with a sample and schema=file"),
    AP_INIT_TAKE1("RestHooksPublisher", set_condition, INFO(publisher), EVERYWHERE,
                  "true-or-false expression: who may POST events"),
    AP_INIT_TAKE1("RestHooksAdmin", set_condition, INFO(admin), EVERYWHERE,
                  "true-or-false expression: who may see and act across tenants"),
    AP_INIT_FLAG("RestHooksExposeEventId", set_expose, NULL, EVERYWHERE,
                 "On: a captured answer names its events in X-Hook-Event-Id"),
    AP_INIT_TAKE_ARGV(RH_NAME_RETRY, set_retry, NULL, RSRC_CONF,
                      "waits between the attempts of a delivery"),
    AP_INIT_TAKE1(RH_NAME_TIMEOUT, set_duration, INFO(timeout), RSRC_CONF,
                  "longest attempt, to the answer's last byte"),
    AP_INIT_TAKE1(RH_NAME_CONNECT_TIMEOUT, set_duration, INFO(connect_timeout), RSRC_CONF,
                  "its part up to the connection"),
    AP_INIT_TAKE_ARGV("RestHooksGone", set_gone, NULL, RSRC_CONF,
                      "statuses that deactivate a subscription at once, or none"),
    AP_INIT_TAKE1("RestHooksDisableAfter", set_duration, INFO(disable_after), RSRC_CONF,
                  "how long every attempt must have failed to disable a subscription, or never"),
    AP_INIT_TAKE1(RH_NAME_MAX_DATA, set_number, INFO(max_data), RSRC_CONF,
                  "largest data of an event, bytes"),
    AP_INIT_TAKE1("RestHooksConcurrency", set_number, INFO(concurrency), RSRC_CONF,
                  "attempts in flight in one child process"),
    AP_INIT_TAKE1("RestHooksEndpointConcurrency", set_number, INFO(endpoint_concurrency), RSRC_CONF,
                  "of those, to one subscription"),
    AP_INIT_TAKE1("RestHooksHostConcurrency", set_number, INFO(host_concurrency), RSRC_CONF,
                  "of those, to one host and port"),
    AP_INIT_TAKE1("RestHooksMaxSubscriptions", set_number, INFO(max_subscriptions), RSRC_CONF,
                  "maximum number of subscriptions per tenant"),
    AP_INIT_TAKE1("RestHooksTenantRequests", set_number, INFO(tenant_requests), RSRC_CONF,
                  "maximum number of concurrent API calls per tenant and child process"),
    AP_INIT_TAKE1("RestHooksMaxHops", set_number, INFO(max_hops), RSRC_CONF,
                  "how often an event may result from a delivery before it is not delivered"),
    AP_INIT_TAKE1("RestHooksThreads", set_number, INFO(threads), RSRC_CONF,
                  "delivery threads of one child process"),
    AP_INIT_TAKE1("RestHooksTargets", set_choice, INFO(targets), RSRC_CONF,
                  "https-only, or http: plain targets too"),
    AP_INIT_ITERATE(RH_NAME_TARGET_ALLOW, add_target, INFO(allow), RSRC_CONF,
                    "addresses, CIDR blocks and hosts that may be targets though they are not "
                    "public"),
    AP_INIT_ITERATE(RH_NAME_TARGET_DENY, add_target, INFO(deny), RSRC_CONF,
                    "addresses, CIDR blocks and hosts that may not be targets"),
    AP_INIT_TAKE_ARGV(RH_NAME_EGRESS_PROXY, rh_egress_proxy_directive, NULL, RSRC_CONF,
                      "http://host:port of a proxy for deliveries, and its options"),
    AP_INIT_TAKE1(RH_NAME_TLS_CA_FILE, set_file, INFO(tls_ca_file), RSRC_CONF,
                  "PEM file of the CAs that targets' certificates are checked against"),
    AP_INIT_TAKE1(RH_NAME_TLS_CERTIFICATE, set_file, INFO(tls_certificate), RSRC_CONF,
                  "PEM file of the certificate that is shown to targets"),
    AP_INIT_TAKE1(RH_NAME_TLS_KEY, set_file, INFO(tls_key), RSRC_CONF,
                  "PEM file of its key, where that is another file"),
    AP_INIT_TAKE1(RH_NAME_RETENTION, set_duration, INFO(retention), RSRC_CONF,
                  "how long events, deliveries and attempts are kept"),
    AP_INIT_TAKE1("RestHooksSpool", set_spool, NULL, RSRC_CONF,
                  "folder for events while the database can't be reached"),
    AP_INIT_TAKE1("RestHooksPage", set_page, NULL, RSRC_CONF, "folder of the page's files, or Off"),
    AP_INIT_TAKE12("RestHooksLog", set_log, NULL, RSRC_CONF,
                   "file or |program for a line of each attempt, and its format; or none"),
    AP_INIT_TAKE1("RestHooksSchema", set_choice, INFO(schema), RSRC_CONF,
                  "auto: create and upgrade the tables at start; check: only look"),
    AP_INIT_TAKE1("SetHandler", rh_overhear_handler, NULL, OR_FILEINFO,
                  "the core's; resthooks: the API of mod_resthooks"),
    AP_INIT_RAW_ARGS("Require", rh_overhear_require, NULL, OR_AUTHCFG, "mod_authz_core's"),
    AP_INIT_TAKE1("AuthType", rh_overhear_auth_type, NULL, OR_AUTHCFG, "mod_authn_core's"),
    AP_INIT_TAKE1("DBDriver", rh_overhear_driver, NULL, RSRC_CONF, "mod_dbd's"),
    AP_INIT_TAKE1("DBDParams", rh_overhear_params, NULL, RSRC_CONF, "mod_dbd's"),
    {NULL, {NULL}, NULL, 0, RAW_ARGS, NULL},
};
