/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Everything that comes from the table of settings: directives, merging, defaults, sharing. */
#include "rh_settings.h"

#include "rh_config_private.h"

#include <http_core.h>

#define RECORD_GLOBAL rh_settings_t
#define RECORD_HOST rh_settings_t
#define RECORD_DIRECTORY rh_dir_config_t

#define MAKE_ROW(member, name, kind, context, share, fallback, min, max, help)                     \
    {name,                                                                                         \
     &rh_kind_##kind,                                                                              \
     offsetof(RECORD_##context, member),                                                           \
     RH_CONTEXT_##context,                                                                         \
     RH_SHARE_##share,                                                                             \
     fallback,                                                                                     \
     min,                                                                                          \
     max,                                                                                          \
     help},

const rh_setting_t rh_settings[RH_SETTING_COUNT] = {RH_SETTINGS(MAKE_ROW, MAKE_ROW)};

static const char *complain_of_count(cmd_parms *cmd, const rh_setting_kind_t *kind)
{
    if (kind->max_args == RH_ANY_NUMBER) {
        return rh_complaint(cmd, "needs %d or more arguments", kind->min_args);
    }
    if (kind->min_args == kind->max_args) {
        return rh_complaint(cmd, "needs %d argument%s", kind->min_args,
                            kind->min_args == 1 ? "" : "s");
    }
    return rh_complaint(cmd, "needs %d to %d arguments", kind->min_args, kind->max_args);
}

/** Split the arguments of a directive. httpd itself would silently drop those after the 64th. */
static apr_array_header_t *split_args(apr_pool_t *pool, const char *args)
{
    apr_array_header_t *words = apr_array_make(pool, 4, sizeof(char *));

    while (*args) {
        APR_ARRAY_PUSH(words, char *) = ap_getword_conf(pool, &args);
    }
    return words;
}

/** The function of every directive in the table. */
static const char *set_setting(cmd_parms *cmd, void *dir_config, const char *args)
{
    const rh_setting_t *setting = cmd->info;
    const rh_setting_kind_t *kind = setting->kind;
    const apr_array_header_t *words = split_args(cmd->pool, args);
    void *record = setting->context == RH_CONTEXT_DIRECTORY
                       ? dir_config
                       : &rh_server_config(cmd->server)->settings;

    if (setting->context == RH_CONTEXT_GLOBAL) {
        const char *complaint = ap_check_cmd_context(cmd, NOT_IN_VIRTUALHOST);

        if (complaint) {
            return complaint;
        }
    }
    if (words->nelts < kind->min_args || words->nelts > kind->max_args) {
        return complain_of_count(cmd, kind);
    }
    return kind->parse(cmd, setting, record, words->nelts, (char *const *)words->elts);
}

/** RestHooksEvent reads its arguments itself. */
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

#define OVERRIDE_GLOBAL RSRC_CONF
#define OVERRIDE_HOST RSRC_CONF
#define OVERRIDE_DIRECTORY (RSRC_CONF | ACCESS_CONF)

#define MAKE_DIRECTIVE(member, name, kind, context, share, fallback, min, max, help)               \
    AP_INIT_RAW_ARGS(name, set_setting, (void *)(uintptr_t)&rh_settings[RH_SETTING_##member],      \
                     OVERRIDE_##context, help),
#define MAKE_RAW_DIRECTIVE(member, name, kind, context, share, fallback, min, max, help)           \
    AP_INIT_RAW_ARGS(name, add_rule, NULL, OVERRIDE_##context, help),

const command_rec rh_directives[] = {
    RH_SETTINGS(MAKE_DIRECTIVE, MAKE_RAW_DIRECTIVE)
    /* Directives of other modules that are overheard. */
    AP_INIT_TAKE1("SetHandler", rh_overhear_handler, NULL, OR_FILEINFO,
                  "the core's; resthooks: the API of mod_resthooks"),
    AP_INIT_RAW_ARGS("Require", rh_overhear_require, NULL, OR_AUTHCFG, "mod_authz_core's"),
    AP_INIT_TAKE1("AuthType", rh_overhear_auth_type, NULL, OR_AUTHCFG, "mod_authn_core's"),
    {NULL, {NULL}, NULL, 0, RAW_ARGS, NULL},
};

/** True if a row concerns a member of this type of record. */
static bool is_of(const rh_setting_t *setting, bool directory)
{
    return (setting->context == RH_CONTEXT_DIRECTORY) == directory;
}

void rh_settings_clear(apr_pool_t *pool, void *record, bool directory)
{
    int i;

    for (i = 0; i < RH_SETTING_COUNT; i++) {
        if (is_of(&rh_settings[i], directory) && rh_settings[i].kind->clear) {
            rh_settings[i].kind->clear(pool, &rh_settings[i], record);
        }
    }
}

void rh_settings_merge(apr_pool_t *pool, void *merged, const void *base, const void *add,
                       bool directory)
{
    int i;

    for (i = 0; i < RH_SETTING_COUNT; i++) {
        if (is_of(&rh_settings[i], directory)) {
            rh_settings[i].kind->merge(pool, &rh_settings[i], merged, base, add);
        }
    }
}

/** Read a default as if it were in the configuration. */
static void set_default(apr_pool_t *pool, server_rec *server, rh_settings_t *settings, int index)
{
    const rh_setting_t *setting = &rh_settings[index];
    const apr_array_header_t *words = split_args(pool, setting->fallback);
    cmd_parms cmd = {.pool = pool, .temp_pool = pool, .server = server};

    cmd.cmd = &rh_directives[index];
    ap_assert(setting->kind->parse(&cmd, setting, settings, words->nelts,
                                   (char *const *)words->elts) == NULL);
}

void rh_settings_complete(apr_pool_t *pool, server_rec *server, rh_settings_t *settings)
{
    bool connect_timeout_set = settings->connect_timeout != RH_UNSET;
    int i;

    for (i = 0; i < RH_SETTING_COUNT; i++) {
        if (is_of(&rh_settings[i], false) && rh_settings[i].fallback &&
            !rh_settings[i].kind->is_set(&rh_settings[i], settings)) {
            set_default(pool, server, settings, i);
        }
    }
    if (!connect_timeout_set && settings->connect_timeout > settings->timeout) {
        settings->connect_timeout = settings->timeout;
    }
    /* Directories that are known only when the module is built or httpd is started. */
    if (!settings->spool) {
        settings->spool = ap_runtime_dir_relative(pool, "resthooks");
    }
    if (!settings->page) {
        settings->page = RH_PAGE_DIR;
    }
}

bool rh_settings_share(const rh_settings_t *a, const rh_settings_t *b, rh_share_t what)
{
    int i;

    for (i = 0; i < RH_SETTING_COUNT; i++) {
        const rh_setting_t *setting = &rh_settings[i];

        if (is_of(setting, false) && setting->share > what && !setting->kind->same(setting, a, b)) {
            return false;
        }
    }
    return true;
}
