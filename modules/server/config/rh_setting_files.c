/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Kinds of settings: files, directories, the log, and directives of mod_dbd that are overheard. */
#include "rh_config_private.h"
#include "rh_settings.h"

#include <apr_file_io.h>

static const char *parse_file(cmd_parms *cmd, const rh_setting_t *setting, void *record, int argc,
                              char *const argv[])
{
    const char *path = ap_server_root_relative(cmd->pool, argv[0]);
    apr_finfo_t info;
    apr_file_t *file;
    apr_status_t status;
    char reason[120];

    (void)argc;
    if (!path) {
        return rh_complaint(cmd, "%s: not a valid path", argv[0]);
    }
    status = apr_file_open(&file, path, APR_READ, APR_OS_DEFAULT, cmd->temp_pool);
    if (status != APR_SUCCESS) {
        return rh_complaint(cmd, "%s: %s", path, apr_strerror(status, reason, sizeof(reason)));
    }
    status = apr_file_info_get(&info, APR_FINFO_TYPE, file);
    apr_file_close(file);
    if (status != APR_SUCCESS || info.filetype == APR_DIR) {
        return rh_complaint(cmd, "%s: not a regular file", path);
    }
    RH_MEMBER(record, setting, const char *) = path;
    return NULL;
}

/** A certificate and its key belong together. */
static void merge_key(apr_pool_t *pool, const rh_setting_t *setting, void *merged, const void *base,
                      const void *add)
{
    const rh_settings_t *own = add;

    (void)pool;
    RH_MEMBER(merged, setting, const char *) =
        RH_MEMBER(own->tls_certificate || own->tls_key ? add : base, setting, const char *);
}

const rh_setting_kind_t rh_kind_file = {
    1, 1, parse_file, NULL, rh_merge_pointer, rh_same_text, rh_pointer_is_set};
const rh_setting_kind_t rh_kind_key_file = {
    1, 1, parse_file, NULL, merge_key, rh_same_text, rh_pointer_is_set};

/** A directory that is created at start if it does not exist. */
static const char *parse_directory(cmd_parms *cmd, const rh_setting_t *setting, void *record,
                                   int argc, char *const argv[])
{
    const char *path = ap_server_root_relative(cmd->pool, argv[0]);
    apr_finfo_t info;

    (void)argc;
    if (!path || !*argv[0]) {
        return rh_complaint(cmd, "\"%s\": not a valid path", argv[0]);
    }
    if (apr_stat(&info, path, APR_FINFO_TYPE, cmd->temp_pool) == APR_SUCCESS &&
        info.filetype != APR_DIR) {
        return rh_complaint(cmd, "%s: not a directory", path);
    }
    RH_MEMBER(record, setting, const char *) = path;
    return NULL;
}

static const char *parse_page(cmd_parms *cmd, const rh_setting_t *setting, void *record, int argc,
                              char *const argv[])
{
    bool off = strcasecmp(argv[0], "off") == 0;
    const char *path = off ? "" : ap_server_root_relative(cmd->pool, argv[0]);
    apr_finfo_t info;

    (void)argc;
    if (!path || !*argv[0]) {
        return rh_complaint(cmd, "\"%s\": not a valid path", argv[0]);
    }
    if (!off && (apr_stat(&info, path, APR_FINFO_TYPE, cmd->temp_pool) != APR_SUCCESS ||
                 info.filetype != APR_DIR)) {
        return rh_complaint(cmd, "%s: not a directory", path);
    }
    RH_MEMBER(record, setting, const char *) = path;
    return NULL;
}

const rh_setting_kind_t rh_kind_directory = {
    1, 1, parse_directory, NULL, rh_merge_pointer, rh_same_text, rh_pointer_is_set};
const rh_setting_kind_t rh_kind_page = {
    1, 1, parse_page, NULL, rh_merge_pointer, rh_same_text, rh_pointer_is_set};

static const char *parse_log(cmd_parms *cmd, const rh_setting_t *setting, void *record, int argc,
                             char *const argv[])
{
    rh_settings_t *settings = record;
    const char *name = argv[0], *text = argc > 1 ? argv[1] : RH_LOG_FORMAT, *complaint, *path;
    rh_log_format_t *parsed;

    (void)setting;
    settings->log_format = NULL;
    if (!strcasecmp(name, "none")) {
        settings->log_name = "none";
        return argc > 1 ? rh_complaint(cmd, "none takes no format") : NULL;
    }
    complaint = rh_log_format_parse(cmd->temp_pool, text, &parsed);
    if (complaint) {
        return rh_complaint(cmd, "\"%s\": %s", text, complaint);
    }
    path = *name == '|' ? name : ap_server_root_relative(cmd->pool, name);
    if (!*name || !strcmp(name, "|") || !path) {
        return rh_complaint(cmd, "\"%s\": not a valid path or program", name);
    }
    settings->log_name = path;
    settings->log_format = text;
    return NULL;
}

/** A file and the format of its lines belong together. */
static void merge_log(apr_pool_t *pool, const rh_setting_t *setting, void *merged, const void *base,
                      const void *add)
{
    const rh_settings_t *from = rh_pointer_is_set(setting, add) ? add : base;
    rh_settings_t *to = merged;

    (void)pool;
    to->log_name = from->log_name;
    to->log_format = from->log_format;
}

static bool same_log(const rh_setting_t *setting, const void *one, const void *other)
{
    const rh_settings_t *a = one, *b = other;

    (void)setting;
    return rh_texts_equal(a->log_name, b->log_name) && rh_texts_equal(a->log_format, b->log_format);
}

const rh_setting_kind_t rh_kind_log = {1,         2,        parse_log,        NULL,
                                       merge_log, same_log, rh_pointer_is_set};

/** A directive of mod_dbd, which reads it too. */
static const char *parse_overheard(cmd_parms *cmd, const rh_setting_t *setting, void *record,
                                   int argc, char *const argv[])
{
    (void)argc;
    RH_MEMBER(record, setting, const char *) = argv[0];
    return rh_need_module(cmd, "mod_dbd");
}

const rh_setting_kind_t rh_kind_overheard = {
    1, 1, parse_overheard, NULL, rh_merge_pointer, rh_same_text, rh_pointer_is_set};

/** A directive of mod_dbd that may be repeated. */
static const char *parse_overheard_list(cmd_parms *cmd, const rh_setting_t *setting, void *record,
                                        int argc, char *const argv[])
{
    apr_array_header_t **list = &RH_MEMBER(record, setting, apr_array_header_t *);

    (void)argc;
    if (!*list) {
        *list = apr_array_make(cmd->pool, 2, sizeof(const char *));
    }
    APR_ARRAY_PUSH(*list, const char *) = argv[0];
    return rh_need_module(cmd, "mod_dbd");
}

/** In mod_dbd's order: those of the virtual host, then those of the server. */
static void merge_overheard_list(apr_pool_t *pool, const rh_setting_t *setting, void *merged,
                                 const void *base, const void *add)
{
    apr_array_header_t *first = RH_MEMBER(add, setting, apr_array_header_t *);
    apr_array_header_t *second = RH_MEMBER(base, setting, apr_array_header_t *);

    RH_MEMBER(merged, setting, apr_array_header_t *) = first && second
                                                           ? apr_array_append(pool, first, second)
                                                       : first ? first
                                                               : second;
}

static bool same_overheard_list(const rh_setting_t *setting, const void *a, const void *b)
{
    return rh_lists_equal(RH_MEMBER(a, setting, apr_array_header_t *),
                          RH_MEMBER(b, setting, apr_array_header_t *));
}

const rh_setting_kind_t rh_kind_overheard_list = {
    1, 1, parse_overheard_list, NULL, merge_overheard_list, same_overheard_list, rh_pointer_is_set};
