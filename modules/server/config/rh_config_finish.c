/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Checks and derived values that need the whole configuration. */
#include "rh_config_private.h"
#include "rh_settings.h"

#include "rh_server.h"

#include <mod_dbd.h>

/** Append to a complaint the server or virtual host that it is about. */
static const char *add_host(apr_pool_t *pool, const server_rec *server, const char *text)
{
    if (!server->defn_name) {
        return apr_psprintf(pool, "%s (server %s)", text, rh_server_name(pool, server));
    }
    return apr_psprintf(pool, "%s (host %s, %s:%u)", text, rh_server_name(pool, server),
                        server->defn_name, server->defn_line_number);
}

/** Complete the settings, and derive from them what is used as another type. */
static void set_defaults(apr_pool_t *pool, server_rec *server, rh_server_config_t *config)
{
    const rh_settings_t *settings = &config->settings;
    rh_retry_policy_t *policy = &config->retry_policy;

    rh_settings_complete(pool, server, &config->settings);
    policy->waits = (const apr_interval_time_t *)settings->retry->elts;
    policy->wait_count = settings->retry->nelts;
    policy->gone = (const int *)settings->gone->elts;
    policy->gone_count = settings->gone->nelts;
    policy->disable_after = settings->disable_after;
}

bool rh_server_config_same_site(const rh_server_config_t *a, const rh_server_config_t *b)
{
    return rh_settings_share(&a->settings, &b->settings, RH_SHARE_SITE);
}

/** Check that mod_dbd is loaded and that its settings suit this module. */
static const char *check_database(apr_pool_t *pool, rh_server_config_t *config)
{
    if (!APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open)) {
        return RH_NAME_ENABLED
            ": On needs mod_dbd, which is not loaded (LoadModule dbd_module ...)";
    }
    if (!config->settings.db_driver) {
        return RH_NAME_ENABLED ": On needs a database: DBDriver is not set";
    }
    if (!config->settings.db_params || !*config->settings.db_params) {
        return RH_NAME_ENABLED ": On needs a database: DBDParams is not set";
    }
    config->dialect = rh_dialect_find(config->settings.db_driver);
    if (!config->dialect) {
        return apr_pstrcat(pool, RH_NAME_ENABLED ": On needs DBDriver ",
                           rh_dialect_drivers(pool, " or "), NULL);
    }
    if (config->dialect->file_suffixes && *config->settings.db_params != '/') {
        return apr_psprintf(pool,
                            RH_NAME_ENABLED ": On needs the absolute path of an %s file in "
                                            "DBDParams, which every process can open",
                            config->dialect->product);
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

/** Return the directive that named the file which rh_net_config_init reported. */
static const char *find_tls_directive(const rh_server_config_t *config, const char *error)
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

/** Make the egress policy and the TLS context, or share those of an earlier host whose network
 * settings are equal. */
static const char *make_net(apr_pool_t *pool, server_rec *first, server_rec *server,
                            rh_server_config_t *config)
{
    rh_egress_policy_t *policy = rh_egress_make(pool);
    const char *reason = NULL;
    server_rec *other;

    for (other = first; other != server; other = other->next) {
        const rh_server_config_t *made = rh_server_config(other);

        if (made->net.policy &&
            rh_settings_share(&made->settings, &config->settings, RH_SHARE_NET)) {
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
    config->net.egress_except = config->settings.egress_except;
    config->net.egress_auth = config->settings.egress_auth;
    config->net.egress_resolve_proxy = config->settings.egress_resolve_proxy;
    config->net.tls_ca_file = config->settings.tls_ca_file;
    config->net.tls_certificate = config->settings.tls_certificate;
    config->net.tls_key =
        config->settings.tls_key ? config->settings.tls_key : config->settings.tls_certificate;
    if (rh_net_config_init(&config->net, pool, &reason) != APR_SUCCESS) {
        reason = reason ? reason : "cannot set up TLS";
        return apr_pstrcat(pool, find_tls_directive(config, reason), ": ", reason, NULL);
    }
    config->net.policy = policy;
    return NULL;
}

static const char *finish_server(apr_pool_t *pool, server_rec *first, server_rec *server)
{
    rh_server_config_t *config = rh_server_config(server);
    const char *complaint;

    if (server != first && config == rh_server_config(first)) {
        return NULL; /* A virtual host without directives of this module: httpd shares the record.
                      */
    }
    rh_log_sink(&config->log, server);
    set_defaults(pool, server, config);
    config->settings.types = rh_catalogue_make(pool, config);
    if (!config->settings.enabled) {
        return NULL;
    }
    if ((complaint = check_database(pool, config)) != NULL ||
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
        const char *complaint = finish_server(pool, server, each);

        if (complaint) {
            return add_host(scratch, each, complaint);
        }
    }
    return NULL;
}
