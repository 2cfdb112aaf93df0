/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* RestHooksEgressProxy url [except=host|cidr,…] [auth=file] [resolve=proxy] */
#include "rh_config_private.h"
#include "rh_settings.h"

#include "rh_url.h"

#include <apr_lib.h>
#include <http_log.h>

APLOG_USE_MODULE(resthooks);

/** Maximum length of a login at the proxy, in bytes. */
#define MAX_AUTH_BYTES 4096
/** Maximum number of exceptions of one proxy. */
#define MAX_EXCEPTIONS 1000

/** A proxy while its arguments are read. */
typedef struct proxy_t {
    const char *url;
    apr_array_header_t *except; /**< of const char * */
    const char *auth_file, *auth;
    bool resolve;
} proxy_t;

static const char *read_url(cmd_parms *cmd, const char *url, proxy_t *proxy)
{
    const char *reason = "not an http:// URL of a host and port";
    rh_url_t parts;
    apr_status_t status = rh_url_parse(cmd->pool, url, strlen(url), &parts, &reason);

    if (status != APR_SUCCESS) {
        return rh_complaint(cmd, "%s: %s", url, reason);
    }
    if (parts.https || strcmp(parts.path, "/")) {
        return rh_complaint(cmd, "%s: not an http:// URL of a host and port", url);
    }
    proxy->url = apr_psprintf(cmd->pool, parts.ipv6_literal ? "http://[%s]:%d" : "http://%s:%d",
                              parts.host, (int)parts.port);
    return NULL;
}

static const char *read_exceptions(cmd_parms *cmd, const char *list, proxy_t *proxy)
{
    rh_egress_policy_t *policy = rh_egress_make(cmd->temp_pool);
    char *rest = apr_pstrdup(cmd->pool, list), *comma;

    for (; rest; rest = comma) {
        const char *reason;

        comma = strchr(rest, ',');
        if (comma) {
            *comma++ = '\0';
        }
        if ((reason = rh_egress_add(policy, true, rest)) != NULL) {
            return rh_complaint(cmd, "except=%s: \"%s\": %s", list, rest, reason);
        }
        if (proxy->except->nelts == MAX_EXCEPTIONS) {
            return rh_complaint(cmd, "more than %d exceptions", MAX_EXCEPTIONS);
        }
        APR_ARRAY_PUSH(proxy->except, const char *) = rest;
    }
    return NULL;
}

/** RFC 7617: a user without a colon, a colon, a password; no control characters. */
static bool is_login(const char *text, apr_size_t len)
{
    apr_size_t i;

    for (i = 0; i < len; i++) {
        if (apr_iscntrl(text[i])) {
            return false;
        }
    }
    return len > 1 && *text != ':' && memchr(text, ':', len) && rh_utf8_valid(text, len);
}

static const char *read_auth(cmd_parms *cmd, const char *name, proxy_t *proxy)
{
    apr_size_t len;
    const char *complaint;

    if (proxy->auth) {
        return rh_complaint(cmd, "auth= is given twice");
    }
    complaint = rh_read_text_file(cmd, name, MAX_AUTH_BYTES, &proxy->auth_file, &proxy->auth, &len);
    if (complaint) {
        return complaint;
    }
    if (!is_login(proxy->auth, len)) {
        return rh_complaint(cmd, "auth=%s: not one line user:password", proxy->auth_file);
    }
    return NULL;
}

static const char *read_resolve(cmd_parms *cmd, const char *word, proxy_t *proxy)
{
    if (strcasecmp(word, "proxy")) {
        return rh_complaint(cmd, "resolve=%s is not resolve=proxy", word);
    }
    proxy->resolve = true;
    return NULL;
}

static const struct option_t {
    const char *prefix;
    const char *(*read)(cmd_parms *cmd, const char *value, proxy_t *proxy);
} options[] = {
    {"except=", read_exceptions},
    {"auth=", read_auth},
    {"resolve=", read_resolve},
};

static const char *read_option(cmd_parms *cmd, const char *word, proxy_t *proxy)
{
    apr_size_t i;

    for (i = 0; i < RH_COUNT_OF(options); i++) {
        apr_size_t len = strlen(options[i].prefix);

        if (!strncasecmp(word, options[i].prefix, len)) {
            return options[i].read(cmd, word + len, proxy);
        }
    }
    return rh_complaint(cmd, "\"%s\" is none of except=, auth=, resolve=proxy", word);
}

static const char *parse_proxy(cmd_parms *cmd, const rh_setting_t *setting, void *record, int argc,
                               char *const argv[])
{
    rh_settings_t *settings = record;
    proxy_t proxy = {.except = apr_array_make(cmd->pool, 1, sizeof(const char *))};
    const char *complaint = read_url(cmd, argv[0], &proxy);
    int i;

    (void)setting;
    for (i = 1; i < argc && !complaint; i++) {
        complaint = read_option(cmd, argv[i], &proxy);
    }
    settings->egress_proxy = proxy.url;
    settings->egress_except = proxy.except;
    settings->egress_auth_file = proxy.auth_file;
    settings->egress_auth = proxy.auth;
    settings->egress_resolve_proxy = proxy.resolve;
    return complaint;
}

/** A proxy and its options belong together. */
static void merge_proxy(apr_pool_t *pool, const rh_setting_t *setting, void *merged,
                        const void *base, const void *add)
{
    const rh_settings_t *from = rh_pointer_is_set(setting, add) ? add : base;
    rh_settings_t *to = merged;

    (void)pool;
    to->egress_proxy = from->egress_proxy;
    to->egress_except = from->egress_except;
    to->egress_auth_file = from->egress_auth_file;
    to->egress_auth = from->egress_auth;
    to->egress_resolve_proxy = from->egress_resolve_proxy;
}

static bool same_proxy(const rh_setting_t *setting, const void *one, const void *other)
{
    const rh_settings_t *a = one, *b = other;

    (void)setting;
    return rh_texts_equal(a->egress_proxy, b->egress_proxy) &&
           rh_lists_equal(a->egress_except, b->egress_except) &&
           rh_texts_equal(a->egress_auth, b->egress_auth) &&
           a->egress_resolve_proxy == b->egress_resolve_proxy;
}

const rh_setting_kind_t rh_kind_proxy = {1,           RH_ANY_NUMBER, parse_proxy,      NULL,
                                         merge_proxy, same_proxy,    rh_pointer_is_set};
