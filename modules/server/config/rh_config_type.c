/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The catalogue of event types, and their samples. */
#include "rh_config_private.h"

#include "rh_event_type.h"

#include <apr_file_io.h>
#include <apr_lib.h>

#include <stdlib.h>

/** Largest description of a type, bytes. */
#define MAX_DESCRIPTION 1000

/** Read a sample file; white space around the JSON text does not belong to it. */
static const char *read_sample(cmd_parms *cmd, const char *name, rh_catalogue_type_t *type)
{
    const char *path = ap_server_root_relative(cmd->pool, name);
    rh_json_error_t error;
    apr_file_t *file;
    apr_finfo_t info;
    apr_status_t status;
    char reason[120], *text;
    apr_size_t len;

    if (!path) {
        return rh_complaint(cmd, "%s: no valid path", name);
    }
    status = apr_file_open(&file, path, APR_READ | APR_BINARY, APR_OS_DEFAULT, cmd->temp_pool);
    if (status != APR_SUCCESS) {
        return rh_complaint(cmd, "%s: %s", path, apr_strerror(status, reason, sizeof(reason)));
    }
    status = apr_file_info_get(&info, APR_FINFO_SIZE | APR_FINFO_TYPE, file);
    if (status != APR_SUCCESS || info.filetype != APR_REG || info.size > RH_LARGEST_DATA) {
        apr_file_close(file);
        return rh_complaint(cmd, "%s: no file of at most %d bytes", path, RH_LARGEST_DATA);
    }
    len = (apr_size_t)info.size;
    text = apr_palloc(cmd->pool, len + 1);
    status = apr_file_read_full(file, text, len, &len);
    apr_file_close(file);
    if (status != APR_SUCCESS && status != APR_EOF) {
        return rh_complaint(cmd, "%s: %s", path, apr_strerror(status, reason, sizeof(reason)));
    }
    while (len > 0 && apr_isspace(text[len - 1])) {
        len--;
    }
    while (len > 0 && apr_isspace(*text)) {
        text++;
        len--;
    }
    text[len] = '\0';
    if (rh_json_check(text, len, &error) != APR_SUCCESS) {
        return rh_complaint(cmd, "%s: no JSON: %s at byte %" APR_SIZE_T_FMT, path, error.reason,
                            error.offset);
    }
    type->sample = text;
    type->sample_len = len;
    return NULL;
}

const char *rh_event_type_directive(cmd_parms *cmd, void *dir_config, const char *name,
                                    const char *description, const char *sample)
{
    rh_server_config_t *config = rh_server_config(cmd->server);
    rh_catalogue_type_t *type = apr_pcalloc(cmd->pool, sizeof(*type));
    const char *complaint;
    int i;

    (void)dir_config;
    if (!rh_event_type_valid(name, strlen(name))) {
        return rh_complaint(cmd, "\"%s\" is no event type like employee.created", name);
    }
    if (strlen(description) > MAX_DESCRIPTION || !rh_utf8_valid(description, strlen(description))) {
        return rh_complaint(cmd, "the description is not at most %d bytes of UTF-8",
                            MAX_DESCRIPTION);
    }
    for (i = 0; i < config->types->nelts; i++) {
        if (!strcmp(APR_ARRAY_IDX(config->types, i, rh_catalogue_type_t *)->type, name)) {
            return rh_complaint(cmd, "%s is described twice", name);
        }
    }
    type->type = name;
    type->description = description;
    if (sample && (complaint = read_sample(cmd, sample, type)) != NULL) {
        return complaint;
    }
    APR_ARRAY_PUSH(config->types, rh_catalogue_type_t *) = type;
    return NULL;
}

static int compare_types(const void *a, const void *b)
{
    const rh_catalogue_type_t *const *left = a, *const *right = b;

    return strcmp((*left)->type, (*right)->type);
}

/** Add a type unless it is there. @return the one that is there now */
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

    for (i = 0; i < config->types->nelts; i++) {
        add_type(catalogue, seen, APR_ARRAY_IDX(config->types, i, rh_catalogue_type_t *));
    }
    for (i = 0; i < config->rules->nelts; i++) {
        rh_catalogue_type_t type = {.description = ""};

        type.type = APR_ARRAY_IDX(config->rules, i, rh_rule_t *)->type;
        add_type(catalogue, seen, &type)->captured = true;
    }
    qsort(catalogue->elts, catalogue->nelts, catalogue->elt_size, compare_types);
    return catalogue;
}
