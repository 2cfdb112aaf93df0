/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Configuration records are made and merged here, and evaluated for requests. */
#include "rh_settings.h"

#include <ap_expr.h>
#include <http_log.h>

APLOG_USE_MODULE(resthooks);

void *rh_server_config_make(apr_pool_t *pool, server_rec *server)
{
    rh_server_config_t *config = apr_pcalloc(pool, sizeof(*config));

    (void)server;
    rh_settings_clear(pool, &config->settings, false);
    return config;
}

void *rh_server_config_merge(apr_pool_t *pool, void *base_config, void *add_config)
{
    const rh_server_config_t *base = base_config, *add = add_config;
    rh_server_config_t *merged = apr_pcalloc(pool, sizeof(*merged));

    rh_settings_merge(pool, &merged->settings, &base->settings, &add->settings, false);
    return merged;
}

void *rh_dir_config_make(apr_pool_t *pool, char *path)
{
    rh_dir_config_t *config = apr_pcalloc(pool, sizeof(*config));

    (void)path;
    rh_settings_clear(pool, config, true);
    return config;
}

void *rh_dir_config_merge(apr_pool_t *pool, void *base_config, void *add_config)
{
    const rh_dir_config_t *base = base_config, *add = add_config;
    const rh_dir_config_t *handler = add->handler_set ? add : base;
    rh_dir_config_t *merged = apr_pcalloc(pool, sizeof(*merged));

    merged->handler_set = handler->handler_set;
    merged->base = handler->base;
    merged->base_regex = handler->base_regex;
    merged->misspelt = handler->misspelt;
    /* mod_authz_core merges in the same way, unless AuthMerging is used. */
    merged->requires = add->requires ? add->requires : base->requires;
    merged->auth_type = add->auth_type || base->auth_type;
    rh_settings_merge(pool, merged, base, add, true);
    return merged;
}

bool rh_any_enabled(server_rec *server)
{
    while (server && !rh_server_config(server)->settings.enabled) {
        server = server->next;
    }
    return server != NULL;
}

rh_dir_config_t *rh_dir_config(request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &resthooks_module);
}

const char *rh_server_name(apr_pool_t *pool, const server_rec *server)
{
    const char *host = server->server_hostname ? server->server_hostname : "server";
    apr_port_t port = server->port;

    if (port == 0 && server->addrs) {
        port = server->addrs->host_port;
    }
    return port ? apr_psprintf(pool, "%s:%d", host, (int)port) : host;
}

const char *rh_request_tenant(request_rec *r)
{
    const rh_log_t *log = &rh_server_config(r->server)->log;
    const ap_expr_info_t *expression = rh_dir_config(r)->tenant;
    const char *tenant = r->user, *error = NULL;

    if (expression) {
        tenant = ap_expr_str_exec(r, expression, &error);
        if (error) {
            rh_log(log, RH_LOG_WARN, APR_SUCCESS, "RH0410",
                   "the expression for the tenant of %s failed: %s", r->uri, error);
            return NULL;
        }
    }
    if (!tenant || !*tenant) {
        return NULL;
    }
    if (!rh_name_valid(tenant, strlen(tenant))) {
        rh_log(log, RH_LOG_INFO, APR_SUCCESS, "RH0411",
               "the tenant of %s is not 1-%d bytes of UTF-8; ignored", r->uri, RH_MAX_NAME);
        return NULL;
    }
    return tenant;
}

const char *rh_request_traceparent(request_rec *r)
{
    const char *text = apr_table_get(r->headers_in, "traceparent");

    return text && rh_traceparent_valid(text) ? text : NULL;
}

static bool evaluate_condition(request_rec *r, const ap_expr_info_t *expression, const char *what)
{
    const char *error = NULL;
    int result;

    if (!expression) {
        return false;
    }
    result = ap_expr_exec(r, expression, &error);
    if (result < 0 || error) {
        rh_log(&rh_server_config(r->server)->log, RH_LOG_WARN, APR_SUCCESS, "RH0412",
               "the expression for %s of %s failed, which counts as false: %s", what, r->uri,
               error ? error : "no reason given");
        return false;
    }
    return result > 0;
}

bool rh_request_is_publisher(request_rec *r)
{
    return evaluate_condition(r, rh_dir_config(r)->publisher, "the publisher");
}

bool rh_request_is_admin(request_rec *r)
{
    return evaluate_condition(r, rh_dir_config(r)->admin, "the administrator");
}

bool rh_request_is_protected(request_rec *r)
{
    const rh_dir_config_t *config = rh_dir_config(r);

    return config->requires && (config->auth_type || !(config->requires & RH_REQUIRE_USER));
}

const char *rh_request_base(request_rec *r)
{
    const rh_dir_config_t *config = rh_dir_config(r);
    ap_regmatch_t match[1];
    apr_size_t len;

    if (config->base_regex) {
        if (ap_regexec(config->base_regex, r->uri, 1, match, 0) != 0) {
            return NULL;
        }
        len = match[0].rm_eo;
        while (len > 0 && r->uri[len - 1] == '/') {
            len--;
        }
    } else if (config->base) {
        len = strlen(config->base);
        if (strncmp(r->uri, config->base, len) != 0) {
            return NULL;
        }
    } else {
        return NULL;
    }
    if (r->uri[len] != '\0' && r->uri[len] != '/') {
        return NULL;
    }
    return apr_pstrmemdup(r->pool, r->uri, len);
}
