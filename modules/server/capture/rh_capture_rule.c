/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_capture.h"

#include <string.h>

/** Maximum number of groups in one regex. */
#define MAX_GROUPS 32

static bool method_fits(const rh_rule_t *rule, const char *method)
{
    for (int i = 0; i < rule->methods->nelts; i++) {
        const char *own = APR_ARRAY_IDX(rule->methods, i, const char *);

        /* The first two characters distinguish the usual methods without a call. */
        if (own[0] == method[0] && own[1] == method[1] && strcmp(own, method) == 0) {
            return true;
        }
    }
    return false;
}

/**
 * Return the decoded path that rules match. With ProxyPass mapping=encoded, mod_proxy took the URI
 * before it was decoded, so it is still encoded.
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
    apr_size_t len = 0;
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
            len = strlen(path);
        }
        if (!rh_regex_ends_fit(&rule->ends, path, len) ||
            ap_regexec_len(rule->regex, path, len, MAX_GROUPS, groups, 0) != 0) {
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

const char **rh_match_enter(const rh_match_t *match, request_rec *r)
{
    const char **hidden = apr_pcalloc(r->pool, sizeof(*hidden) * (apr_size_t)(match->count + 1));

    for (int i = 0; i < match->count; i++) {
        const char *name = APR_ARRAY_IDX(match->rule->names, i, const char *);

        if (name && match->values[i]) {
            hidden[i] = apr_table_get(r->subprocess_env, name);
            apr_table_setn(r->subprocess_env, name, match->values[i]);
        }
    }
    return hidden;
}

void rh_match_leave(const rh_match_t *match, request_rec *r, const char **hidden)
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

static int find_index(const rh_capture_t *capture, const rh_rule_t *rule)
{
    const apr_array_header_t *rules = capture->config->settings.rules;

    for (int i = 0; i < rules->nelts; i++) {
        if (APR_ARRAY_IDX(rules, i, const rh_rule_t *) == rule) {
            return i;
        }
    }
    return -1;
}

void rh_match_miss(const rh_capture_t *capture, const rh_match_t *match, rh_miss_t why)
{
    const rh_rule_t *rule = match->rule;
    apr_uint32_t bit = 1u << why;
    int index = find_index(capture, rule);

    rh_metrics_miss(capture->config->metrics, index, (int)why);
    if ((why == RH_MISS_NO_TENANT || why == RH_MISS_ERROR) &&
        (__atomic_fetch_or(rule->warned, bit, __ATOMIC_RELAXED) & bit) == 0) {
        rh_log(&capture->config->log, RH_LOG_WARN, APR_SUCCESS, "RH0615",
               "%s %s fits RestHooksEvent %s (rule %d) but makes no event: %s; more of these are "
               "only counted (resthooks_not_captured)",
               capture->r->method, capture->r->uri, rule->type, index + 1, rh_miss_name(why));
    }
}

bool rh_match_when(const rh_capture_t *capture, const rh_match_t *match, request_rec *r,
                   rh_miss_t *why)
{
    const char *error = NULL;
    int result;

    if (!match->rule->when) {
        return true;
    }
    result = ap_expr_exec(r, match->rule->when, &error);
    *why = result < 0 ? RH_MISS_ERROR : RH_MISS_WHEN;
    if (result < 0) {
        rh_log(&capture->config->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0601",
               "%s: when= cannot be evaluated for %s %s: %s; no event", match->rule->type,
               capture->r->method, capture->r->uri, error ? error : "unknown reason");
    }
    return result > 0;
}

/** Evaluate an option's expression as a string. @return NULL: it failed (logged) */
static const char *evaluate(const rh_capture_t *capture, const rh_match_t *match, request_rec *r,
                            const ap_expr_info_t *expression, const char *option)
{
    const char *error = NULL;
    const char *text = ap_expr_str_exec(r, expression, &error);

    if (error) {
        rh_log(&capture->config->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0602",
               "%s: %s= cannot be evaluated for %s %s: %s", match->rule->type, option,
               capture->r->method, capture->r->uri, error);
        return NULL;
    }
    return text;
}

const char *rh_match_tenant(const rh_capture_t *capture, const rh_match_t *match, request_rec *r,
                            const char *given)
{
    const rh_rule_t *rule = match->rule;
    const char *tenant = given;

    if (rule->tenant.expression) {
        tenant = evaluate(capture, match, r, rule->tenant.expression, "tenant");
    } else if (!rule->tenant.query && (tenant = group_value(match, "MATCH_TENANT")) == NULL) {
        tenant = rh_request_tenant(r);
    }
    if (!tenant || !*tenant) {
        rh_log(&capture->config->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0603",
               "%s: %s %s has no tenant; no event", rule->type, capture->r->method,
               capture->r->uri);
        return NULL;
    }
    if (!rh_name_valid(tenant, strlen(tenant))) {
        rh_log(&capture->config->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0604",
               "%s: the tenant of %s is not a valid name; no event", rule->type,
               capture->r->method);
        return NULL;
    }
    return tenant;
}

/**
 * Return the user name, from the client's request or the first of its internal redirects with one.
 */
static void copy_login(const rh_capture_t *capture, request_rec *judged)
{
    const request_rec *r;

    for (r = capture->r; r && !judged->user; r = r->next) {
        judged->user = r->user;
        judged->ap_auth_type = r->ap_auth_type;
    }
}

/* After an internal redirect r itself has another method, path, login and environment. */
request_rec *rh_capture_merged(const rh_capture_t *capture, request_rec *r)
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
    /* The client's own variables come first, because apr_table_get finds the first of a name. */
    judged->subprocess_env =
        apr_table_overlay(r->pool, capture->r->subprocess_env, r->subprocess_env);
    return judged;
}

/** Judge a match before its bodies are read. @return false and *why */
static bool judge_match(const rh_capture_t *capture, rh_match_t *match, request_rec *r,
                        rh_miss_t *why)
{
    const char **hidden;
    bool wanted;

    *why = RH_MISS_STATUS;
    if (!status_fits(match->rule, r->status)) {
        return false;
    }
    if (match->rule->by_item) {
        return true;
    }
    hidden = rh_match_enter(match, r);
    wanted = rh_match_when(capture, match, r, why);
    if (wanted) {
        *why = RH_MISS_NO_TENANT;
        match->tenant = rh_match_tenant(capture, match, r, NULL);
    }
    rh_match_leave(match, r, hidden);
    return wanted && match->tenant;
}

int rh_rules_judge(rh_capture_t *capture, request_rec *answered)
{
    request_rec *r = rh_capture_merged(capture, answered);
    int live = 0;

    for (int i = 0; i < capture->matches->nelts; i++) {
        rh_match_t *match = &APR_ARRAY_IDX(capture->matches, i, rh_match_t);
        rh_miss_t why;

        match->tenant = NULL;
        match->live = judge_match(capture, match, r, &why);
        if (!match->live && !match->missed) {
            match->missed = true; /* an error's response may be judged as well */
            rh_match_miss(capture, match, why);
        }
        live += match->live;
    }
    return live;
}

const char *rh_match_key(const rh_capture_t *capture, const rh_match_t *match, request_rec *r,
                         const char *given)
{
    const rh_rule_t *rule = match->rule;
    const char *key = given;

    if (rule->key.expression) {
        key = evaluate(capture, match, r, rule->key.expression, "key");
    } else if (!rule->key.query) {
        key = group_value(match, "MATCH_KEY");
    }
    if (!key || !*key) {
        return NULL;
    }
    if (rh_name_valid(key, strlen(key))) {
        return key;
    }
    rh_log(&capture->config->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0605",
           "%s: the key of a %s is not a valid name; the event has none", rule->type,
           capture->r->method);
    return NULL;
}

/** Escape what is not allowed in a URI, except existing escapes. */
static const char *escape_rest(apr_pool_t *pool, const char *uri)
{
    static const char digits[] = "0123456789ABCDEF";
    char *text = apr_palloc(pool, strlen(uri) * 3 + 1), *to = text;

    for (; *uri; uri++) {
        unsigned char c = (unsigned char)*uri;

        if (c > 0x20 && c < 0x7f && !strchr("\"<>\\^`{|}#", c)) {
            *to++ = (char)c;
            continue;
        }
        *to++ = '%';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 0xf];
    }
    *to = '\0';
    return text;
}

const char *rh_match_url(const rh_capture_t *capture, const rh_match_t *match, request_rec *r)
{
    rh_match_t escaped = *match;
    const char **hidden, *uri;

    /* Groups are decoded: a question mark in a key must not begin a query. */
    escaped.values = apr_pcalloc(r->pool, sizeof(*escaped.values) * (apr_size_t)(match->count + 1));
    for (int i = 0; i < match->count; i++) {
        if (match->values[i]) {
            escaped.values[i] = ap_os_escape_path(r->pool, match->values[i], 1);
        }
    }
    hidden = rh_match_enter(&escaped, r);
    uri = evaluate(capture, match, r, match->rule->url, "url");
    rh_match_leave(&escaped, r, hidden);
    return uri && *uri ? rh_capture_location(r, escape_rest(r->pool, uri)) : NULL;
}
