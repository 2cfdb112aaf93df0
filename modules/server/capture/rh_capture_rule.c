/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_capture.h"

#include <string.h>

/** Groups of one regex that are looked at. */
#define MAX_GROUPS 32

static bool method_fits(const rh_rule_t *rule, const char *method)
{
    for (int i = 0; i < rule->methods->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(rule->methods, i, const char *), method) == 0) {
            return true;
        }
    }
    return false;
}

/**
 * The path as rules see it: decoded. With ProxyPass mapping=encoded, mod_proxy has taken the URI
 * before it was decoded, and it stays so.
 */
static const char *decoded_path(request_rec *r)
{
    if (!r->filename || strncmp(r->filename, "proxy:", 6) != 0 || !strchr(r->uri, '%')) {
        return r->uri;
    }
    char *path = apr_pstrdup(r->pool, r->uri);
    return ap_unescape_url_keep2f(path, 0) == OK ? path : r->uri;
}

static void keep_groups(request_rec *r, rh_match_t *match, const char *path,
                        const ap_regmatch_t *groups)
{
    const apr_array_header_t *names = match->rule->names;

    match->count = names ? names->nelts : 0;
    if (match->count > MAX_GROUPS) {
        match->count = MAX_GROUPS;
    }
    match->values = apr_pcalloc(r->pool, sizeof(*match->values) * (apr_size_t)(match->count + 1));
    for (int i = 0; i < match->count; i++) {
        if (!APR_ARRAY_IDX(names, i, const char *) || groups[i].rm_so < 0) {
            continue;
        }
        match->values[i] = apr_pstrmemdup(r->pool, path + groups[i].rm_so,
                                          (apr_size_t)(groups[i].rm_eo - groups[i].rm_so));
    }
}

apr_array_header_t *rh_rules_match(request_rec *r, const rh_server_config_t *config)
{
    apr_array_header_t *matches = NULL;
    const char *path = NULL;
    ap_regmatch_t groups[MAX_GROUPS];

    for (int i = 0; i < config->settings.rules->nelts; i++) {
        const rh_rule_t *rule = APR_ARRAY_IDX(config->settings.rules, i, rh_rule_t *);
        if (!method_fits(rule, r->method)) {
            continue;
        }
        if (!r->uri) {
            return NULL;
        }
        if (!path) {
            path = decoded_path(r);
        }
        if (ap_regexec(rule->regex, path, MAX_GROUPS, groups, 0) != 0) {
            continue;
        }
        if (!matches) {
            matches = apr_array_make(r->pool, 1, sizeof(rh_match_t));
        }
        rh_match_t *match = apr_array_push(matches);
        match->rule = rule;
        keep_groups(r, match, path, groups);
    }
    return matches;
}

static const char *group_value(const rh_match_t *match, const char *name)
{
    for (int i = 0; i < match->count; i++) {
        const char *own = APR_ARRAY_IDX(match->rule->names, i, const char *);
        if (own && match->values[i] && strcmp(own, name) == 0) {
            return match->values[i];
        }
    }
    return NULL;
}

static bool status_fits(const rh_rule_t *rule, int status)
{
    for (int i = 0; i < rule->statuses->nelts; i++) {
        const rh_status_range_t *range = &APR_ARRAY_IDX(rule->statuses, i, rh_status_range_t);
        if (status >= range->first && status <= range->last) {
            return true;
        }
    }
    return false;
}

/** Set a rule's MATCH_ variables and remember what they hide. */
static const char **enter_environment(const rh_match_t *match, request_rec *r)
{
    const char **hidden = apr_pcalloc(r->pool, sizeof(*hidden) * (apr_size_t)(match->count + 1));

    for (int i = 0; i < match->count; i++) {
        const char *name = APR_ARRAY_IDX(match->rule->names, i, const char *);
        if (!name || !match->values[i]) {
            continue;
        }
        hidden[i] = apr_table_get(r->subprocess_env, name);
        apr_table_setn(r->subprocess_env, name, match->values[i]);
    }
    return hidden;
}

/** Filters below and the access log see the environment that they would see without us. */
static void leave_environment(const rh_match_t *match, request_rec *r, const char **hidden)
{
    for (int i = 0; i < match->count; i++) {
        const char *name = APR_ARRAY_IDX(match->rule->names, i, const char *);
        if (!name || !match->values[i]) {
            continue;
        }
        if (hidden[i]) {
            apr_table_setn(r->subprocess_env, name, hidden[i]);
        } else {
            apr_table_unset(r->subprocess_env, name);
        }
    }
}

static bool when_fits(const rh_capture_t *capture, const rh_rule_t *rule, request_rec *r)
{
    const char *error = NULL;
    int result;

    if (!rule->when) {
        return true;
    }
    result = ap_expr_exec(r, rule->when, &error);
    if (result < 0) {
        rh_log(&capture->config->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0601",
               "%s: when= can't be evaluated for %s %s: %s; no event", rule->type,
               capture->r->method, capture->r->uri, error ? error : "unknown reason");
    }
    return result > 0;
}

/** Tenant by tenant=, else by the group, else by RestHooksTenant. Logs and gives NULL when none. */
static const char *find_tenant(const rh_capture_t *capture, const rh_match_t *match, request_rec *r)
{
    const char *error = NULL, *tenant;

    if (match->rule->tenant) {
        tenant = ap_expr_str_exec(r, match->rule->tenant, &error);
    } else if ((tenant = group_value(match, "MATCH_TENANT")) == NULL) {
        tenant = rh_request_tenant(r);
    }
    if (error) {
        rh_log(&capture->config->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0602",
               "%s: tenant= can't be evaluated for %s %s: %s; no event", match->rule->type,
               capture->r->method, capture->r->uri, error);
    } else if (!tenant || !*tenant) {
        rh_log(&capture->config->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0603",
               "%s: %s %s has no tenant; no event", match->rule->type, capture->r->method,
               capture->r->uri);
    } else if (!rh_name_valid(tenant, strlen(tenant))) {
        rh_log(&capture->config->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0604",
               "%s: the tenant of %s is not a valid name; no event", match->rule->type,
               capture->r->method);
    } else {
        return tenant;
    }
    return NULL;
}

/** Who logged in, as the first of the client's request and its internal redirects knows it. */
static void copy_login(const rh_capture_t *capture, request_rec *judged)
{
    const request_rec *r;

    for (r = capture->r; r && !judged->user; r = r->next) {
        judged->user = r->user;
        judged->ap_auth_type = r->ap_auth_type;
    }
}

/**
 * The request that expressions see: the client's, with the response that `r` has brought. After an
 * internal redirect r itself has another method, path, login and environment.
 */
static request_rec *merge_request(const rh_capture_t *capture, request_rec *r)
{
    request_rec *judged;

    if (r == capture->r) {
        return r;
    }
    judged = apr_pmemdup(r->pool, capture->r, sizeof(*judged));
    copy_login(capture, judged);
    judged->status = r->status;
    judged->status_line = r->status_line;
    judged->headers_out = r->headers_out;
    judged->err_headers_out = r->err_headers_out;
    judged->content_type = r->content_type;
    judged->content_encoding = r->content_encoding;
    judged->content_languages = r->content_languages;
    judged->handler = r->handler;
    /* The client's own variables come first: apr_table_get finds the first of a name. */
    judged->subprocess_env =
        apr_table_overlay(r->pool, capture->r->subprocess_env, r->subprocess_env);
    return judged;
}

int rh_rules_judge(rh_capture_t *capture, request_rec *answered)
{
    request_rec *r = merge_request(capture, answered);
    int live = 0;

    for (int i = 0; i < capture->matches->nelts; i++) {
        rh_match_t *match = &APR_ARRAY_IDX(capture->matches, i, rh_match_t);
        match->live = false;
        if (!status_fits(match->rule, r->status)) {
            continue;
        }
        const char **hidden = enter_environment(match, r);
        if (when_fits(capture, match->rule, r)) {
            match->tenant = find_tenant(capture, match, r);
            match->live = match->tenant != NULL;
        }
        leave_environment(match, r, hidden);
        live += match->live;
    }
    return live;
}

const char *rh_match_key(const rh_capture_t *capture, const rh_match_t *match)
{
    const char *key = group_value(match, "MATCH_KEY");

    if (!key || !*key) {
        return NULL;
    }
    if (rh_name_valid(key, strlen(key))) {
        return key;
    }
    rh_log(&capture->config->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0605",
           "%s: the key in the URI of a %s is not a valid name; the event has none",
           match->rule->type, capture->r->method);
    return NULL;
}
