/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Parameters of libpq: keywords with values, or a URI. */
#include "rh_pgsql.h"

#include <apr_escape.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_tables.h>

#include <string.h>

/** Parameters that bound every wait. The administrator's come after them, and the last value of a
 * keyword counts. */
static const char *const every_param[] = {"connect_timeout=5",
                                          "keepalives=1",
                                          "keepalives_idle=10",
                                          "keepalives_interval=5",
                                          "keepalives_count=3",
                                          "tcp_user_timeout=20000",
                                          "client_encoding=UTF8",
                                          "application_name=mod_resthooks",
                                          NULL};

static bool is_uri(const char *params)
{
    return strncmp(params, "postgresql://", 13) == 0 || strncmp(params, "postgres://", 11) == 0;
}

const char *rh_pgsql_complete_params(apr_pool_t *pool, const char *params)
{
    bool uri = is_uri(params);
    apr_size_t len = uri ? strcspn(params, "?") : 0;
    const char *all = uri ? "?" : "";

    for (const char *const *param = every_param; *param; param++) {
        all = apr_pstrcat(pool, all, *param, uri ? "&" : " ", NULL);
    }
    return apr_pstrcat(pool, apr_pstrmemdup(pool, params, len), all,
                       params + len + (params[len] == '?'), NULL);
}

/** Read the value at `*at`, bare or in single quotes; a backslash escapes (libpq, "Connection
 * Strings"). Moves `*at` past it. */
static const char *read_value(apr_pool_t *pool, const char **at)
{
    const char *from = *at;
    char *value = apr_palloc(pool, strlen(from) + 1), *to = value;
    bool quoted = *from == '\'';

    from += quoted;
    while (*from && (quoted ? *from != '\'' : !apr_isspace(*from))) {
        if (*from == '\\' && from[1]) {
            from++;
        }
        *to++ = *from++;
    }
    *to = '\0';
    *at = from + (quoted && *from);
    return value;
}

/** Read "keyword = value ..." into a table. */
static void read_keywords(apr_pool_t *pool, const char *params, apr_table_t *settings)
{
    while (*params) {
        const char *name, *begin;

        params += strspn(params, " \t\r\n");
        begin = params;
        params += strcspn(params, "= \t\r\n");
        name = apr_pstrmemdup(pool, begin, (apr_size_t)(params - begin));
        params += strspn(params, " \t\r\n");
        if (*params != '=') {
            return; /* libpq refuses it, too */
        }
        params++;
        params += strspn(params, " \t\r\n");
        apr_table_setn(settings, name, read_value(pool, &params));
    }
}

/** Read a part of a URI without its percent-escapes. */
static const char *unescape(apr_pool_t *pool, const char *text)
{
    const char *plain = text ? apr_punescape_url(pool, text, NULL, NULL, 0) : NULL;

    return plain ? plain : text;
}

/** Read "postgresql://user@host:port/dbname?keyword=value&..." into a table. */
static void read_uri(apr_pool_t *pool, const char *params, apr_table_t *settings)
{
    char *rest = apr_pstrdup(pool, strstr(params, "://") + 3), *query = strchr(rest, '?'), *slash,
         *host, *port, *pair, *last = NULL;

    if (query) {
        *query++ = '\0';
    }
    slash = strchr(rest, '/');
    if (slash) {
        *slash++ = '\0';
        if (*slash) {
            apr_table_setn(settings, "dbname", unescape(pool, slash));
        }
    }
    host = strrchr(rest, '@');
    if (host) {
        *host++ = '\0';
        rest[strcspn(rest, ":")] = '\0';
        apr_table_setn(settings, "user", unescape(pool, rest));
    } else {
        host = rest;
    }
    port = strchr(*host == '[' ? host + strcspn(host, "]") : host, ':');
    if (port && !strchr(host, ',')) {
        *port++ = '\0';
        apr_table_setn(settings, "port", port);
    }
    if (*host) {
        apr_table_setn(settings, "host", unescape(pool, host));
    }
    for (pair = query ? apr_strtok(query, "&", &last) : NULL; pair;
         pair = apr_strtok(NULL, "&", &last)) {
        char *value = strchr(pair, '=');

        if (value) {
            *value++ = '\0';
            apr_table_setn(settings, pair, unescape(pool, value));
        }
    }
}

/** Return the value of a setting, in lower case for a host name; "" if there is none. */
static const char *setting(apr_pool_t *pool, const apr_table_t *settings, const char *name)
{
    const char *value = apr_table_get(settings, name);
    char *copy;

    if (!value || *value == '/') {
        return value ? value : "";
    }
    copy = apr_pstrdup(pool, value);
    if (strcmp(name, "host") == 0) {
        for (char *at = copy; *at; at++) {
            *at = (char)apr_tolower(*at);
        }
    }
    return copy;
}

const char *rh_pgsql_identify(apr_pool_t *pool, const char *params)
{
    apr_table_t *settings = apr_table_make(pool, 8);
    const char *host, *port, *name;

    if (is_uri(params)) {
        read_uri(pool, params, settings);
    } else {
        read_keywords(pool, params, settings);
    }
    host = setting(pool, settings, "host");
    if (!*host) {
        host = setting(pool, settings, "hostaddr");
    }
    port = setting(pool, settings, "port");
    name = setting(pool, settings, "dbname");
    if (!*name) {
        name = setting(pool, settings, "user");
    }
    return apr_pstrcat(pool, "pgsql host=", host, " port=", *port ? port : "5432", " dbname=", name,
                       *setting(pool, settings, "service") ? " service=" : "",
                       setting(pool, settings, "service"), " schema=resthooks", NULL);
}
