/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * Warnings at start about the sections of the configuration: a misspelt handler, the API where
 * RestHooks is Off or where nothing asks for a login, a tenant that is the same for all.
 *
 * What httpd merges per request is merged here for a section's own path: directories from the root
 * to DocumentRoot, then Locations in their order. A section that matches by a regular expression is
 * assumed to apply where the path is not known, so that no warning is wrong.
 */
#include "rh_config_private.h"

#include <apr_fnmatch.h>
#include <apr_strings.h>
#include <http_core.h>

#define HANDLER "resthooks"

/** The location of the API in one virtual host. */
typedef struct place_t {
    server_rec *server;
    const core_dir_config *core; /**< path of the section; NULL: the whole host */
    const rh_dir_config_t *config;
} place_t;

static const core_server_config *core_of(const server_rec *server)
{
    return ap_get_core_module_config(server->module_config);
}

static const rh_dir_config_t *section_config(ap_conf_vector_t *section)
{
    return ap_get_module_config(section, &resthooks_module);
}

/** True if a section for `prefix` also applies to `path`, which is below it. */
static bool covers(const core_dir_config *section, const char *path)
{
    apr_size_t len;

    if (section->r) {
        return path == NULL || ap_regexec(section->r, path, 0, NULL, 0) == 0;
    }
    if (!path || !section->d) {
        return section->d && !strcmp(section->d, "/");
    }
    if (section->d_is_fnmatch) {
        return apr_fnmatch(section->d, path, APR_FNM_PATHNAME) == APR_SUCCESS;
    }
    for (len = strlen(section->d); len > 0 && section->d[len - 1] == '/'; len--) {
    }
    return !strncmp(path, section->d, len) && (path[len] == '\0' || path[len] == '/');
}

/** Merge the sections of an array that apply to a path, or that are the location itself. */
static const rh_dir_config_t *merge_sections(apr_pool_t *scratch,
                                             const apr_array_header_t *sections, const char *path,
                                             const place_t *place, const rh_dir_config_t *merged)
{
    int i;

    for (i = 0; sections && i < sections->nelts; i++) {
        ap_conf_vector_t *section = APR_ARRAY_IDX(sections, i, ap_conf_vector_t *);
        const core_dir_config *core = ap_get_core_module_config(section);
        const rh_dir_config_t *add = section_config(section);

        if (core && add && (core == place->core || covers(core, path))) {
            merged =
                rh_dir_config_merge(scratch, (void *)(uintptr_t)merged, (void *)(uintptr_t)add);
        }
    }
    return merged;
}

/** Return the configuration of requests to a location, as far as it is known now. */
static const rh_dir_config_t *merge_place(apr_pool_t *scratch, const place_t *place)
{
    const core_server_config *core = core_of(place->server);
    const rh_dir_config_t *merged = section_config(place->server->lookup_defaults);

    merged = merge_sections(scratch, core->sec_dir, core->ap_document_root, place, merged);
    return merge_sections(scratch, core->sec_url, place->config->base, place, merged);
}

static const char *describe(apr_pool_t *scratch, const place_t *place)
{
    const char *host = rh_server_name(scratch, place->server);

    return place->core ? apr_psprintf(scratch, "<Location %s>, host %s", place->core->d, host)
                       : apr_psprintf(scratch, "host %s", host);
}

static bool is_handler(const rh_dir_config_t *config)
{
    return config && config->handler_set && (config->base || config->base_regex);
}

/** Warn of a tenant expression that is the same for all requests; NULL: there is none. */
static void warn_constant_tenant(const rh_log_t *log, const char *text, const char *where)
{
    if (text && rh_expression_is_constant(text)) {
        rh_log(log, RH_LOG_WARN, APR_SUCCESS, "RH0414",
               RH_NAME_TENANT
               " %s: the expression has no variable, so all requests share one tenant "
               "(%%{REMOTE_USER} is the login; %s)",
               text, where);
    }
}

static void warn_place(apr_pool_t *scratch, const place_t *place)
{
    const rh_log_t *log = &rh_server_config(place->server)->log;
    const char *where = describe(scratch, place);
    const rh_dir_config_t *merged;

    if (place->config->misspelt) {
        rh_log(log, RH_LOG_WARN, APR_SUCCESS, "RH0420",
               "SetHandler %s: the handler of mod_resthooks is called " HANDLER " (%s)",
               place->config->misspelt, where);
    }
    warn_constant_tenant(log, place->config->tenant_text, where);
    if (!is_handler(place->config)) {
        return;
    }
    if (!rh_server_config(place->server)->settings.enabled) {
        rh_log(log, RH_LOG_WARN, APR_SUCCESS, "RH0417",
               "SetHandler " HANDLER ": RestHooks is Off here, so the API responds with 404 (%s)",
               where);
        return;
    }
    merged = merge_place(scratch, place);
    /* Without a verified client certificate these variables are empty, and so is the tenant. */
    if (!(merged->requires & ~RH_REQUIRE_NOTHING) &&
        !(merged->tenant_text && strstr(merged->tenant_text, "SSL_CLIENT_"))) {
        rh_log(log, RH_LOG_WARN, APR_SUCCESS, "RH0418",
               "SetHandler " HANDLER ": no Require asks for a login, so the API is open to every "
               "client that has a tenant (%s)",
               where);
    }
}

/** Remember a location unless it is known; one in a host where RestHooks is On has priority. */
static void add_place(apr_hash_t *places, apr_array_header_t *order, const place_t *place)
{
    place_t *known = apr_hash_get(places, &place->config, sizeof(place->config));

    if (!known) {
        known = apr_pmemdup(order->pool, place, sizeof(*place));
        APR_ARRAY_PUSH(order, place_t *) = known;
        apr_hash_set(places, &known->config, sizeof(known->config), known);
    } else if (!rh_server_config(known->server)->settings.enabled) {
        known->server = place->server;
    }
}

static void add_sections(apr_hash_t *places, apr_array_header_t *order, server_rec *server,
                         const apr_array_header_t *sections)
{
    int i;

    for (i = 0; sections && i < sections->nelts; i++) {
        ap_conf_vector_t *section = APR_ARRAY_IDX(sections, i, ap_conf_vector_t *);
        place_t place = {server, ap_get_core_module_config(section), section_config(section)};

        if (place.core && place.config) {
            add_place(places, order, &place);
        }
    }
}

void rh_warn_sections(apr_pool_t *scratch, server_rec *server)
{
    apr_hash_t *places = apr_hash_make(scratch);
    apr_array_header_t *order = apr_array_make(scratch, 16, sizeof(place_t *));
    server_rec *each;
    int i;

    for (each = server; each; each = each->next) {
        place_t host = {each, NULL, section_config(each->lookup_defaults)};

        if (host.config) {
            add_place(places, order, &host);
        }
        add_sections(places, order, each, core_of(each)->sec_dir);
        add_sections(places, order, each, core_of(each)->sec_url);
    }
    for (i = 0; i < order->nelts; i++) {
        warn_place(scratch, APR_ARRAY_IDX(order, i, const place_t *));
    }
}
