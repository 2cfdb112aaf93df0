/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The catalogue of event types with their samples and schemas. */
#include "rh_config_private.h"

#include "rh_event_type.h"

#include <apr_file_io.h>
#include <apr_lib.h>

#include <stdlib.h>

/** Maximum length of a type's description, in bytes. */
#define MAX_DESCRIPTION_BYTES 1000

const char *rh_read_text_file(cmd_parms *cmd, const char *name, apr_size_t max_len,
                              const char **path, const char **text, apr_size_t *text_len)
{
    apr_file_t *file;
    apr_finfo_t info;
    apr_status_t status;
    char reason[120], *buffer;
    apr_size_t len;

    *path = ap_server_root_relative(cmd->pool, name);
    if (!*path) {
        return rh_complaint(cmd, "%s: not a valid path", name);
    }
    status = apr_file_open(&file, *path, APR_READ | APR_BINARY, APR_OS_DEFAULT, cmd->temp_pool);
    if (status != APR_SUCCESS) {
        return rh_complaint(cmd, "%s: %s", *path, apr_strerror(status, reason, sizeof(reason)));
    }
    status = apr_file_info_get(&info, APR_FINFO_SIZE | APR_FINFO_TYPE, file);
    if (status != APR_SUCCESS || info.filetype != APR_REG || info.size > (apr_off_t)max_len) {
        apr_file_close(file);
        return rh_complaint(cmd, "%s: not a regular file of at most %" APR_SIZE_T_FMT " bytes",
                            *path, max_len);
    }
    len = (apr_size_t)info.size;
    buffer = apr_palloc(cmd->pool, len + 1);
    status = apr_file_read_full(file, buffer, len, &len);
    apr_file_close(file);
    if (status != APR_SUCCESS && status != APR_EOF) {
        return rh_complaint(cmd, "%s: %s", *path, apr_strerror(status, reason, sizeof(reason)));
    }
    while (len > 0 && apr_isspace(buffer[len - 1])) {
        len--;
    }
    while (len > 0 && apr_isspace(*buffer)) {
        buffer++;
        len--;
    }
    buffer[len] = '\0';
    *text = buffer;
    *text_len = len;
    return NULL;
}

/** Read a file with one JSON text; white space around it is dropped. */
static const char *read_json(cmd_parms *cmd, const char *name, const char **text, apr_size_t *len)
{
    const char *path, *complaint;
    rh_json_error_t error;

    complaint = rh_read_text_file(cmd, name, RH_LARGEST_DATA, &path, text, len);
    if (complaint) {
        return complaint;
    }
    if (rh_json_check(*text, *len, &error) != APR_SUCCESS) {
        return rh_complaint(cmd, "%s: invalid JSON: %s at byte %" APR_SIZE_T_FMT, path,
                            error.reason, error.offset);
    }
    return NULL;
}

/** Read and compile a schema; rh_json_schema.h says what of JSON Schema is known. */
static const char *read_schema(cmd_parms *cmd, const char *name, rh_catalogue_type_t *type)
{
    const char *complaint = read_json(cmd, name, &type->schema, &type->schema_len), *reason;

    if (complaint) {
        return complaint;
    }
    if (rh_json_schema_compile(cmd->pool, type->schema, type->schema_len, &type->rules, &reason) !=
        APR_SUCCESS) {
        return rh_complaint(cmd, "schema=%s: %s", name, reason);
    }
    return NULL;
}

/** Read the arguments after the description: a sample file and schema=file, each at most once. */
static const char *read_files(cmd_parms *cmd, int argc, char *const argv[],
                              rh_catalogue_type_t *type)
{
    static const char prefix[] = "schema=";
    const char *complaint = NULL;
    int i;

    for (i = 0; i < argc && !complaint; i++) {
        if (!strncasecmp(argv[i], prefix, sizeof(prefix) - 1)) {
            complaint = type->schema ? rh_complaint(cmd, "schema= is given twice")
                                     : read_schema(cmd, argv[i] + sizeof(prefix) - 1, type);
        } else {
            complaint = type->sample ? rh_complaint(cmd, "\"%s\": a second sample file", argv[i])
                                     : read_json(cmd, argv[i], &type->sample, &type->sample_len);
        }
    }
    return complaint;
}

const char *rh_parse_event_type(cmd_parms *cmd, const struct rh_setting_t *setting, void *record,
                                int argc, char *const argv[])
{
    rh_settings_t *settings = record;
    rh_catalogue_type_t *type = apr_pcalloc(cmd->pool, sizeof(*type));
    const char *name = argv[0], *description = argv[1], *complaint;
    int i;

    (void)setting;
    if (!rh_event_type_valid(name, strlen(name))) {
        return rh_complaint(cmd, "\"%s\" is not an event type like employee.created", name);
    }
    if (strlen(description) > MAX_DESCRIPTION_BYTES ||
        !rh_utf8_valid(description, strlen(description))) {
        return rh_complaint(cmd, "the description is not UTF-8 of at most %d bytes",
                            MAX_DESCRIPTION_BYTES);
    }
    for (i = 0; i < settings->types->nelts; i++) {
        if (!strcmp(APR_ARRAY_IDX(settings->types, i, rh_catalogue_type_t *)->type, name)) {
            return rh_complaint(cmd, "%s is described twice", name);
        }
    }
    type->type = name;
    type->description = description;
    complaint = read_files(cmd, argc - 2, argv + 2, type);
    if (complaint) {
        return complaint;
    }
    APR_ARRAY_PUSH(settings->types, rh_catalogue_type_t *) = type;
    return NULL;
}

static int compare_types(const void *a, const void *b)
{
    const rh_catalogue_type_t *const *left = a, *const *right = b;

    return strcmp((*left)->type, (*right)->type);
}

int rh_catalogue_find(const rh_server_config_t *config, const char *type)
{
    const apr_array_header_t *types = config->settings.types;
    int low = 0, high = types->nelts;

    while (low < high) {
        int middle = (low + high) / 2;
        int order = strcmp(APR_ARRAY_IDX(types, middle, const rh_catalogue_type_t *)->type, type);

        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return -1;
}

/** Add a type unless the catalogue has it. @return the catalogue's entry */
static rh_catalogue_type_t *add_type(apr_array_header_t *catalogue, apr_hash_t *seen,
                                     const rh_catalogue_type_t *type)
{
    rh_catalogue_type_t *copy = apr_hash_get(seen, type->type, APR_HASH_KEY_STRING);

    if (!copy) {
        copy = apr_pmemdup(catalogue->pool, type, sizeof(*type));
        apr_hash_set(seen, copy->type, APR_HASH_KEY_STRING, copy);
        APR_ARRAY_PUSH(catalogue, rh_catalogue_type_t *) = copy;
    }
    return copy;
}

apr_array_header_t *rh_catalogue_make(apr_pool_t *pool, const rh_server_config_t *config)
{
    apr_array_header_t *catalogue = apr_array_make(pool, 8, sizeof(rh_catalogue_type_t *));
    apr_hash_t *seen = apr_hash_make(pool);
    int i;

    for (i = 0; i < config->settings.types->nelts; i++) {
        add_type(catalogue, seen, APR_ARRAY_IDX(config->settings.types, i, rh_catalogue_type_t *));
    }
    for (i = 0; i < config->settings.rules->nelts; i++) {
        rh_catalogue_type_t type = {.description = ""};

        type.type = APR_ARRAY_IDX(config->settings.rules, i, rh_rule_t *)->type;
        add_type(catalogue, seen, &type)->captured = true;
    }
    qsort(catalogue->elts, catalogue->nelts, catalogue->elt_size, compare_types);
    return catalogue;
}
