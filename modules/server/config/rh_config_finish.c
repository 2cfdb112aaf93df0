/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* What can be said of the configuration only once all of it was read. */
#include "rh_config_private.h"

#include "rh_server.h"

#include "rh_time.h"

#include <mod_dbd.h>

#define SECONDS(n) ((apr_interval_time_t)(n)*APR_USEC_PER_SEC)
#define DAYS(n) SECONDS((n)*86400)

static const apr_interval_time_t default_waits[] = {
    SECONDS(5),         SECONDS(5 * 60),    SECONDS(30 * 60),
    SECONDS(2 * 3600),  SECONDS(5 * 3600),  SECONDS(10 * 3600),
    SECONDS(14 * 3600), SECONDS(20 * 3600), SECONDS(24 * 3600),
};
static const int default_gone[] = {410, 409};

#define DEFAULT(member, value)                                                                     \
    settings->member = settings->member == RH_UNSET ? (value) : settings->member

/** A server's complaint, with where it stands. */
static const char *complain(apr_pool_t *pool, const server_rec *server, const char *text)
{
    if (!server->defn_name) {
        return apr_psprintf(pool, "%s (server %s)", text, rh_server_name(pool, server));
    }
    return apr_psprintf(pool, "%s (host %s, %s:%u)", text, rh_server_name(pool, server),
                        server->defn_name, server->defn_line_number);
}

static void set_defaults(apr_pool_t *pool, rh_server_config_t *config)
{
    rh_settings_t *settings = &config->settings;

    DEFAULT(enabled, 0);
    DEFAULT(timeout, SECONDS(15));
    if (settings->connect_timeout == RH_UNSET) {
        settings->connect_timeout = settings->timeout < SECONDS(5) ? settings->timeout : SECONDS(5);
    }
    DEFAULT(disable_after, DAYS(5));
    DEFAULT(retention, DAYS(30));
    DEFAULT(max_data, 262144);
    DEFAULT(concurrency, 1024);
    DEFAULT(endpoint_concurrency, 16);
    DEFAULT(host_concurrency, 64);
    DEFAULT(max_subscriptions, 100);
    DEFAULT(tenant_requests, 8);
    DEFAULT(max_hops, 2);
    DEFAULT(threads, 2);
    DEFAULT(https_only, 1);
    DEFAULT(schema_auto, 1);
    if (!settings->spool) {
        settings->spool = ap_runtime_dir_relative(pool, "resthooks");
    }
    if (!settings->page) {
        settings->page = RH_PAGE_DIR;
    }
    if (settings->retry) {
        config->retry_policy.waits = (const apr_interval_time_t *)settings->retry->elts;
        config->retry_policy.wait_count = settings->retry->nelts;
    } else {
        config->retry_policy.waits = default_waits;
        config->retry_policy.wait_count = sizeof(default_waits) / sizeof(*default_waits);
    }
    if (settings->gone) {
        config->retry_policy.gone = (const int *)settings->gone->elts;
        config->retry_policy.gone_count = settings->gone->nelts;
    } else {
        config->retry_policy.gone = default_gone;
        config->retry_policy.gone_count = sizeof(default_gone) / sizeof(*default_gone);
    }
    config->retry_policy.disable_after = settings->disable_after;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static bool same_list(const apr_array_header_t *a, const apr_array_header_t *b)
{
    int i;

    if (!a || !b) {
        return a == b;
    }
    if (a->nelts != b->nelts) {
        return false;
    }
    for (i = 0; i < a->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(a, i, const char *), APR_ARRAY_IDX(b, i, const char *))) {
            return false;
        }
    }
    return true;
}

static bool same_net(const rh_settings_t *a, const rh_settings_t *b)
{
    return same_list(a->allow, b->allow) && same_list(a->deny, b->deny) &&
           same_text(a->egress_proxy, b->egress_proxy) &&
           same_list(a->egress_except, b->egress_except) &&
           same_text(a->egress_auth, b->egress_auth) &&
           a->egress_resolve_proxy == b->egress_resolve_proxy &&
           same_text(a->tls_ca_file, b->tls_ca_file) &&
           same_text(a->tls_certificate, b->tls_certificate) && same_text(a->tls_key, b->tls_key);
}

bool rh_server_config_same_site(const rh_server_config_t *one, const rh_server_config_t *other)
{
    const rh_settings_t *a = &one->settings, *b = &other->settings;
    const rh_retry_policy_t *left = &one->retry_policy, *right = &other->retry_policy;

    return same_text(a->db_driver, b->db_driver) && same_text(a->db_params, b->db_params) &&
           same_net(a, b) && left->wait_count == right->wait_count &&
           !memcmp(left->waits, right->waits, left->wait_count * sizeof(*left->waits)) &&
           left->gone_count == right->gone_count &&
           !memcmp(left->gone, right->gone, left->gone_count * sizeof(*left->gone)) &&
           left->disable_after == right->disable_after && a->timeout == b->timeout &&
           a->connect_timeout == b->connect_timeout &&
           a->endpoint_concurrency == b->endpoint_concurrency &&
           a->host_concurrency == b->host_concurrency && a->max_hops == b->max_hops &&
           a->retention == b->retention && same_text(a->log_name, b->log_name) &&
           same_text(a->log_format, b->log_format);
}

/** mod_dbd is there, and its settings are such that this module can work with them. */
static const char *check_database(rh_server_config_t *config)
{
    if (!APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open)) {
        return RH_NAME_ENABLED ": On needs mod_dbd, which is not loaded (LoadModule dbd_module …)";
    }
    if (!config->settings.db_driver) {
        return RH_NAME_ENABLED ": On needs a database: DBDriver is not set";
    }
    if (!config->settings.db_params || !*config->settings.db_params) {
        return RH_NAME_ENABLED ": On needs a database: DBDParams is not set";
    }
    if (!strcmp(config->settings.db_driver, "pgsql")) {
        config->dialect = RH_DIALECT_PGSQL;
    } else if (!strcmp(config->settings.db_driver, "sqlite3")) {
        config->dialect = RH_DIALECT_SQLITE;
        if (*config->settings.db_params != '/') {
            return RH_NAME_ENABLED
                ": On needs the absolute path of an SQLite file in DBDParams, which every process "
                "can open";
        }
    } else {
        return RH_NAME_ENABLED ": On needs DBDriver pgsql or sqlite3";
    }
    return NULL;
}

static const char *check_samples(apr_pool_t *pool, const rh_server_config_t *config)
{
    int i;

    for (i = 0; i < config->settings.types->nelts; i++) {
        const rh_catalogue_type_t *type =
            APR_ARRAY_IDX(config->settings.types, i, const rh_catalogue_type_t *);

        if (type->sample && (apr_int64_t)type->sample_len > config->settings.max_data) {
            return apr_psprintf(pool, "%s: the sample of %s is larger than %s", RH_NAME_EVENT_TYPE,
                                type->type, RH_NAME_MAX_DATA);
        }
    }
    return NULL;
}

/** Which directive named the file that rh_net_config_init complains of. */
static const char *tls_directive(const rh_server_config_t *config, const char *error)
{
    if (config->settings.tls_ca_file && strstr(error, config->settings.tls_ca_file)) {
        return RH_NAME_TLS_CA_FILE;
    }
    if (config->settings.tls_key && strstr(error, config->settings.tls_key)) {
        return RH_NAME_TLS_KEY;
    }
    return config->settings.tls_certificate ? RH_NAME_TLS_CERTIFICATE : RH_NAME_TLS_CA_FILE;
}

static const char *add_targets(rh_egress_policy_t *policy, bool allow,
                               const apr_array_header_t *rules)
{
    int i;

    for (i = 0; i < rules->nelts; i++) {
        const char *reason = rh_egress_add(policy, allow, APR_ARRAY_IDX(rules, i, const char *));

        if (reason) {
            return reason;
        }
    }
    return NULL;
}

/** Policy and TLS context; those of an earlier host serve again where all is the same. */
static const char *make_net(apr_pool_t *pool, server_rec *first, server_rec *server,
                            rh_server_config_t *config)
{
    rh_egress_policy_t *policy = rh_egress_make(pool);
    const char *reason = NULL;
    server_rec *other;

    for (other = first; other != server; other = other->next) {
        const rh_server_config_t *made = rh_server_config(other);

        if (made->net.policy && same_net(&made->settings, &config->settings)) {
            config->net = made->net;
            return NULL;
        }
    }
    if (config->settings.tls_key && !config->settings.tls_certificate) {
        return RH_NAME_TLS_KEY " needs " RH_NAME_TLS_CERTIFICATE;
    }
    if ((reason = add_targets(policy, true, config->settings.allow)) != NULL) {
        return apr_pstrcat(pool, RH_NAME_TARGET_ALLOW ": ", reason, NULL);
    }
    if ((reason = add_targets(policy, false, config->settings.deny)) != NULL) {
        return apr_pstrcat(pool, RH_NAME_TARGET_DENY ": ", reason, NULL);
    }
    config->net.egress_proxy = config->settings.egress_proxy;
    config->net.tls_ca_file = config->settings.tls_ca_file;
    config->net.tls_certificate = config->settings.tls_certificate;
    config->net.tls_key =
        config->settings.tls_key ? config->settings.tls_key : config->settings.tls_certificate;
    if (rh_net_config_init(&config->net, pool, &reason) != APR_SUCCESS) {
        reason = reason ? reason : "TLS can't be set up";
        return apr_pstrcat(pool, tls_directive(config, reason), ": ", reason, NULL);
    }
    config->net.policy = policy;
    return NULL;
}

static const char *finish(apr_pool_t *pool, server_rec *first, server_rec *server)
{
    rh_server_config_t *config = rh_server_config(server);
    const char *complaint;

    if (server != first && config == rh_server_config(first)) {
        return NULL; /* A virtual host without directives of this module: httpd shares the record.
                      */
    }
    rh_log_sink(&config->log, server);
    set_defaults(pool, config);
    config->settings.types = rh_catalogue_make(pool, config);
    if (!config->settings.enabled) {
        return NULL;
    }
    if ((complaint = check_database(config)) != NULL ||
        (complaint = check_samples(pool, config)) != NULL) {
        return complaint;
    }
    if (config->settings.connect_timeout > config->settings.timeout) {
        return RH_NAME_CONNECT_TIMEOUT " is longer than " RH_NAME_TIMEOUT;
    }
    return make_net(pool, first, server, config);
}

const char *rh_server_config_finish(apr_pool_t *pool, apr_pool_t *scratch, server_rec *server)
{
    server_rec *each;

    for (each = server; each; each = each->next) {
        const char *complaint = finish(pool, server, each);

        if (complaint) {
            return complain(scratch, each, complaint);
        }
    }
    return NULL;
}
