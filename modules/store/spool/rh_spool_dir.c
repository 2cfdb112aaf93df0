/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_spool_dir.h"

#include "rh_uuid.h"

#include <apr_file_info.h>
#include <apr_lib.h>
#include <stdlib.h>
#include <string.h>

/** Maximum length of a prefix that version 0.1 used. */
#define FORMER_LEN 100

static const char *const suffixes[] = {RH_SPOOL_SUFFIX, RH_SPOOL_REFUSED, RH_SPOOL_DAMAGED};
#define SUFFIX_COUNT ((int)RH_COUNT_OF(suffixes))

bool rh_spool_name_parse(apr_pool_t *pool, const char *file, rh_spool_name_t *name)
{
    const char *dot = strchr(file, '.');

    if (!dot || dot == file || strlen(dot) <= RH_UUID_LEN || !rh_uuid_valid(dot + 1, RH_UUID_LEN)) {
        return false;
    }
    for (int i = 0; i < SUFFIX_COUNT; i++) {
        if (strcmp(dot + 1 + RH_UUID_LEN, suffixes[i]) == 0) {
            name->prefix = apr_pstrmemdup(pool, file, (apr_size_t)(dot - file));
            name->suffix = suffixes[i];
            return true;
        }
    }
    return false;
}

/** True if a name has the form of rh_db_file_name: a driver, "-", 16 hexadecimal digits. */
static bool is_database(const char *prefix)
{
    const char *dash = strrchr(prefix, '-');

    return dash && dash > prefix && strlen(dash + 1) == 16 &&
           strspn(dash + 1, "0123456789abcdef") == 16;
}

/** True if version 0.1 used this prefix for the files of this host. */
static bool is_former(const char *host, const char *prefix)
{
    apr_size_t len = strlen(host);

    len = len < FORMER_LEN ? len : FORMER_LEN;
    if (strlen(prefix) != len) {
        return false;
    }
    for (apr_size_t i = 0; i < len; i++) {
        if (prefix[i] != (apr_isalnum(host[i]) || host[i] == '-' ? host[i] : '_')) {
            return false;
        }
    }
    return true;
}

bool rh_spool_owns(const rh_spool_owner_t *owner, const char *prefix)
{
    if (strcmp(owner->database, prefix) == 0) {
        return true;
    }
    if (is_database(prefix)) {
        return false;
    }
    for (int i = 0; owner->former && i < owner->former->nelts; i++) {
        if (is_former(APR_ARRAY_IDX(owner->former, i, const char *), prefix)) {
            return true;
        }
    }
    return owner->any_former;
}

/** Called for each file of a spool. */
typedef void visit_t(void *baton, const rh_spool_name_t *name, const apr_finfo_t *info);

/** Visit every file of a spool in a directory. A missing directory counts as empty. */
static apr_status_t visit_files(const char *folder, apr_pool_t *scratch, visit_t *visit,
                                void *baton)
{
    apr_finfo_t info;
    apr_dir_t *dir;
    apr_status_t status = apr_dir_open(&dir, folder, scratch);

    if (status != APR_SUCCESS) {
        return APR_STATUS_IS_ENOENT(status) ? APR_SUCCESS : status;
    }
    while ((status = apr_dir_read(&info, APR_FINFO_NAME | APR_FINFO_SIZE, dir)) == APR_SUCCESS ||
           status == APR_INCOMPLETE) {
        rh_spool_name_t name;

        if (rh_spool_name_parse(scratch, info.name, &name)) {
            visit(baton, &name, &info);
        }
    }
    apr_dir_close(dir);
    return APR_SUCCESS;
}

/** Compare by the UUIDv7 in the name, which has the time when a file was created. */
static int compare_ages(const void *a, const void *b)
{
    return strcmp(strchr(*(const char *const *)a, '.'), strchr(*(const char *const *)b, '.'));
}

/** Selects the files to collect. */
typedef struct collection_t {
    const rh_spool_owner_t *owner;    /**< only this owner's files; NULL: see `owners` */
    const apr_array_header_t *owners; /**< files that none of these owns */
    apr_pool_t *pool;
    apr_array_header_t *names;
} collection_t;

static bool is_owned(const apr_array_header_t *owners, const char *prefix)
{
    for (int i = 0; i < owners->nelts; i++) {
        if (rh_spool_owns(APR_ARRAY_IDX(owners, i, const rh_spool_owner_t *), prefix)) {
            return true;
        }
    }
    return false;
}

static void collect(void *baton, const rh_spool_name_t *name, const apr_finfo_t *info)
{
    collection_t *collection = baton;
    bool wanted = collection->owner ? rh_spool_owns(collection->owner, name->prefix)
                                    : !is_owned(collection->owners, name->prefix);

    if (wanted && strcmp(name->suffix, RH_SPOOL_SUFFIX) == 0) {
        APR_ARRAY_PUSH(collection->names, const char *) = apr_pstrdup(collection->pool, info->name);
    }
}

static apr_status_t collect_files(const char *folder, collection_t *collection,
                                  apr_array_header_t **names)
{
    apr_status_t status;

    *names = collection->names = apr_array_make(collection->pool, 8, sizeof(const char *));
    status = visit_files(folder, collection->pool, collect, collection);
    qsort((*names)->elts, (size_t)(*names)->nelts, sizeof(const char *), compare_ages);
    return status;
}

apr_status_t rh_spool_list(const char *folder, const rh_spool_owner_t *owner, apr_pool_t *pool,
                           apr_array_header_t **names)
{
    collection_t collection = {owner, NULL, pool, NULL};

    return collect_files(folder, &collection, names);
}

apr_status_t rh_spool_orphans(const char *folder, const apr_array_header_t *owners,
                              apr_pool_t *pool, apr_array_header_t **names)
{
    collection_t collection = {NULL, owners, pool, NULL};

    return collect_files(folder, &collection, names);
}

/** The counts, and the owner whose files are counted. */
typedef struct counting_t {
    const rh_spool_owner_t *owner;
    rh_spool_usage_t *usage;
} counting_t;

static void count_file(void *baton, const rh_spool_name_t *name, const apr_finfo_t *info)
{
    const counting_t *counting = baton;
    rh_spool_usage_t *usage = counting->usage;
    apr_off_t bytes = (info->valid & APR_FINFO_SIZE) ? info->size - RH_SPOOL_MAGIC_LEN : 0;

    if (!rh_spool_owns(counting->owner, name->prefix)) {
        return;
    }
    if (strcmp(name->suffix, RH_SPOOL_DAMAGED) == 0) {
        usage->damaged++;
    } else if (strcmp(name->suffix, RH_SPOOL_REFUSED) == 0) {
        usage->refused++;
        usage->refused_bytes += bytes > 0 ? bytes : 0;
    } else if (bytes > 0) {
        usage->files++;
        usage->bytes += bytes;
    }
}

apr_status_t rh_spool_usage(const char *folder, const rh_spool_owner_t *owner, apr_pool_t *scratch,
                            rh_spool_usage_t *usage)
{
    counting_t counting = {owner, usage};

    memset(usage, 0, sizeof(*usage));
    return visit_files(folder, scratch, count_file, &counting);
}
