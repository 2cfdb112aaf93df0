/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * Directives of other modules that are overheard. httpd calls every module that has a directive's
 * name in its table, so their owners still get them. These functions must not refuse what the owner
 * accepts, except where it concerns mod_resthooks itself.
 */
#include "rh_config_private.h"

#include <apr_fnmatch.h>
#include <apr_lib.h>
#include <http_core.h>

/** Maximum number of edits by which a misspelt handler is recognised. */
#define MAX_EDITS 2
#define HANDLER "resthooks"
#define HANDLER_LEN (sizeof(HANDLER) - 1)

/** Return the section around a directive; NULL: only the server or virtual host. */
static const ap_directive_t *find_section(const cmd_parms *cmd)
{
    const ap_directive_t *parent = cmd->directive ? cmd->directive->parent : NULL;

    return parent && strncasecmp(parent->directive, "<VirtualHost", 12) ? parent : NULL;
}

/** True if a section matches by a regular expression: LocationMatch, or Location with a tilde. */
static bool is_regex(apr_pool_t *scratch, const ap_directive_t *location)
{
    const char *args = location->args;

    return !strcasecmp(location->directive, "<LocationMatch") ||
           !strcmp(ap_getword_conf(scratch, &args), "~");
}

/**
 * Return the number of insertions, deletions and substitutions from `word` to the handler's name.
 */
static int count_edits(const char *word)
{
    int row[HANDLER_LEN + 1], i, j;

    for (j = 0; j <= (int)HANDLER_LEN; j++) {
        row[j] = j;
    }
    for (i = 1; word[i - 1]; i++) {
        int diagonal = row[0];

        row[0] = i;
        for (j = 1; j <= (int)HANDLER_LEN; j++) {
            int best = diagonal + (apr_tolower(word[i - 1]) != HANDLER[j - 1]);

            diagonal = row[j];
            best = best < row[j] + 1 ? best : row[j] + 1;
            row[j] = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
        }
    }
    return row[HANDLER_LEN];
}

/** True if SetHandler names something that is nearly the handler's name. */
static bool is_misspelt(const char *handler)
{
    static const char prefix[] = "mod_";

    if (!strncasecmp(handler, prefix, sizeof(prefix) - 1)) {
        handler += sizeof(prefix) - 1;
    } else if (!strcasecmp(handler, HANDLER)) {
        return false;
    }
    return strlen(handler) <= HANDLER_LEN + MAX_EDITS && count_edits(handler) <= MAX_EDITS;
}

const char *rh_overhear_handler(cmd_parms *cmd, void *dir_config, const char *handler)
{
    rh_dir_config_t *config = dir_config;
    const ap_directive_t *location = find_section(cmd);
    apr_size_t len;

    config->handler_set = true;
    config->base = NULL;
    config->base_regex = NULL;
    if (strcasecmp(handler, HANDLER)) {
        config->misspelt = is_misspelt(handler) ? handler : NULL;
        return NULL;
    }
    if (!cmd->path) {
        config->base = "";
        return NULL;
    }
    if (!location || strncasecmp(location->directive, "<Location", 9) ||
        ap_check_cmd_context(cmd, NOT_IN_HTACCESS)) {
        return rh_complaint(cmd, "%s must be set in <Location> or <LocationMatch>", handler);
    }
    if (is_regex(cmd->temp_pool, location)) {
        config->base_regex = ap_pregcomp(cmd->pool, cmd->path, AP_REG_EXTENDED);
        return config->base_regex ? NULL
                                  : rh_complaint(cmd, "%s is not a regular expression", cmd->path);
    }
    if (apr_fnmatch_test(cmd->path)) {
        return rh_complaint(cmd,
                            "%s: <Location \"%s\"> matches no path below it: use "
                            "<LocationMatch>",
                            handler, cmd->path);
    }
    len = strlen(cmd->path);
    while (len > 0 && cmd->path[len - 1] == '/') {
        len--;
    }
    config->base = apr_pstrmemdup(cmd->pool, cmd->path, len);
    return NULL;
}

const char *rh_need_module(cmd_parms *cmd, const char *name)
{
    return ap_find_linked_module(apr_pstrcat(cmd->temp_pool, name, ".c", NULL))
               ? NULL
               : rh_complaint(cmd, "%s is not loaded", name);
}

/** Return the kind of a Require by its first word; an unknown provider is assumed to need a user.
 */
static int classify_require(apr_pool_t *scratch, const char *args)
{
    static const char *const of_request[] = {"all",         "env",   "expr", "host",
                                             "forward-dns", "local", "ip",   "method"};
    const char *word = ap_getword_conf(scratch, &args);
    bool negated = !strcasecmp(word, "not");
    apr_size_t i;

    if (negated) {
        word = ap_getword_conf(scratch, &args);
    }
    if (!negated && !strcasecmp(word, "all") &&
        !strcasecmp(ap_getword_conf(scratch, &args), "granted")) {
        return RH_REQUIRE_NOTHING;
    }
    for (i = 0; i < RH_COUNT_OF(of_request); i++) {
        if (!strcasecmp(word, of_request[i])) {
            return RH_REQUIRE_REQUEST;
        }
    }
    return RH_REQUIRE_USER;
}

const char *rh_overhear_require(cmd_parms *cmd, void *dir_config, const char *args)
{
    ((rh_dir_config_t *)dir_config)->requires |= classify_require(cmd->temp_pool, args);
    return rh_need_module(cmd, "mod_authz_core");
}

const char *rh_overhear_auth_type(cmd_parms *cmd, void *dir_config, const char *type)
{
    ((rh_dir_config_t *)dir_config)->auth_type = strcasecmp(type, "none") != 0;
    return rh_need_module(cmd, "mod_authn_core");
}
