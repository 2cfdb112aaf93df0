/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_spool.h"

#include "rh_spool_dir.h"
#include "rh_spool_file.h"
#include "rh_spool_record.h"
#include "rh_uuid.h"

#include <apr_file_info.h>
#include <apr_lib.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/** Number of tries to create the file, in case other processes adopt it before it is locked. */
#define CREATE_TRIES 10
struct rh_spool_t {
    apr_pool_t *pool;
    const char *folder;
    const rh_spool_owner_t *owner;
    const rh_log_t *log;
    rh_spool_file_t own;     /**< the file to which this process appends */
    rh_spool_file_t adopted; /**< a file of a dead process, while it is being read */
    rh_spool_file_t *reading;
    const char *refused; /**< path of the file for refused events; NULL: none was refused */
};

static apr_status_t spool_cleanup(void *data)
{
    rh_spool_t *spool = data;

    rh_spool_file_close(&spool->own);
    rh_spool_file_close(&spool->adopted);
    return APR_SUCCESS;
}

rh_spool_t *rh_spool_make(apr_pool_t *pool, const char *folder, const rh_spool_owner_t *owner,
                          const rh_log_t *log)
{
    rh_spool_t *spool = apr_pcalloc(pool, sizeof(*spool));

    spool->pool = pool;
    spool->folder = apr_pstrdup(pool, folder);
    spool->owner = owner;
    spool->log = log;
    spool->own.fd = spool->adopted.fd = -1;
    /* The files' pools are below this one and are destroyed before its ordinary cleanups. */
    apr_pool_pre_cleanup_register(pool, spool, spool_cleanup);
    return spool;
}

/**
 * Create and lock this process's file. Before it is locked it is empty and looks abandoned, so a
 * process that looks for such files may adopt and remove it. If so, create another.
 */
static apr_status_t own_open(rh_spool_t *spool)
{
    char id[RH_UUID_LEN + 1];
    apr_pool_t *scratch;
    const char *path;
    struct stat info;
    apr_status_t status = APR_SUCCESS;
    int i;

    apr_pool_create(&scratch, spool->pool);
    for (i = 0; i < CREATE_TRIES; i++) {
        rh_uuid_make(id);
        path = apr_pstrcat(scratch, spool->folder, "/", spool->owner->database, ".", id,
                           RH_SPOOL_SUFFIX, NULL);
        status = rh_spool_file_open(&spool->own, spool->pool, path, O_RDWR | O_CREAT | O_EXCL);
        if (status == APR_SUCCESS && fstat(spool->own.fd, &info) == 0 && info.st_nlink == 0) {
            rh_spool_file_close(&spool->own);
            status = APR_EAGAIN;
        }
        if (!APR_STATUS_IS_EAGAIN(status)) {
            break;
        }
    }
    apr_pool_destroy(scratch);
    return status;
}

static apr_status_t own_create(rh_spool_t *spool)
{
    apr_status_t status = own_open(spool);

    if (status != APR_SUCCESS) {
        return status;
    }
    status = rh_spool_write_all(spool->own.fd, RH_SPOOL_MAGIC, RH_SPOOL_MAGIC_LEN, 0);
    if (status == APR_SUCCESS) {
        spool->own.end = RH_SPOOL_MAGIC_LEN;
        status = rh_spool_sync(spool->folder);
    }
    if (status != APR_SUCCESS) {
        rh_spool_file_remove(&spool->own, spool->log);
    }
    return status;
}

apr_status_t rh_spool_append(rh_spool_t *spool, const rh_event_t *const *events, int count)
{
    apr_size_t size = 0;
    unsigned char *records, *at;
    apr_status_t status = APR_SUCCESS;

    for (int i = 0; i < count; i++) {
        apr_size_t one = rh_spool_record_size(events[i]);

        if (one > RH_SPOOL_MAX_RECORD) {
            return APR_EINVAL;
        }
        size += one;
    }
    if (spool->own.fd < 0) {
        status = own_create(spool);
        if (status != APR_SUCCESS) {
            return status;
        }
    }
    at = records = malloc(size ? size : 1);
    if (!records) {
        return APR_ENOMEM;
    }
    for (int i = 0; i < count; i++) {
        rh_spool_record_write(events[i], at);
        at += rh_spool_record_size(events[i]);
    }
    status = rh_spool_write_all(spool->own.fd, records, size, spool->own.end);
    free(records);
    if (status == APR_SUCCESS && fdatasync(spool->own.fd) != 0) {
        status = errno;
    }
    if (status == APR_SUCCESS) {
        spool->own.end += (off_t)size;
        return APR_SUCCESS;
    }
    if (ftruncate(spool->own.fd, spool->own.end) != 0) {
        rh_log(spool->log, RH_LOG_ERR, errno, "RH0192",
               "can't undo a failed write to the spool file %s: what was written may be "
               "delivered though it was reported as lost",
               spool->own.path);
    }
    if (!rh_spool_pending(spool)) {
        rh_spool_file_remove(&spool->own, spool->log);
    }
    return status;
}

bool rh_spool_pending(const rh_spool_t *spool)
{
    return spool->own.fd >= 0 && spool->own.end > spool->own.read_at;
}

apr_off_t rh_spool_bytes(const rh_spool_t *spool)
{
    return rh_spool_pending(spool) ? spool->own.end - spool->own.read_at : 0;
}

/** Rename a damaged file, so that a person can inspect it. */
static void set_aside(rh_spool_t *spool, rh_spool_file_t *file)
{
    const char *aside = apr_pstrcat(file->pool, file->path, ".damaged", NULL);
    apr_status_t status = rename(file->path, aside) == 0 ? APR_SUCCESS : errno;

    rh_log(spool->log, RH_LOG_CRIT, status, "RH0193",
           "the spool file %s is damaged at byte %" APR_OFF_T_FMT
           ": its events from there on are not stored; kept as %s",
           file->path, (apr_off_t)file->next_at, aside);
    rh_spool_file_close(file);
}

bool rh_spool_waits(const rh_spool_t *spool, apr_pool_t *scratch)
{
    apr_array_header_t *names;

    return rh_spool_list(spool->folder, spool->owner, scratch, &names) == APR_SUCCESS &&
           names->nelts > 0;
}

/** Adopt the oldest file that no process holds. */
static apr_status_t adopt_file(rh_spool_t *spool)
{
    apr_array_header_t *names;
    apr_pool_t *scratch;
    apr_status_t status;

    apr_pool_create(&scratch, spool->pool);
    status = rh_spool_list(spool->folder, spool->owner, scratch, &names);
    for (int i = 0; status == APR_SUCCESS && i < names->nelts && spool->adopted.fd < 0; i++) {
        const char *name = APR_ARRAY_IDX(names, i, const char *);
        const char *path = apr_pstrcat(scratch, spool->folder, "/", name, NULL);

        if (spool->own.fd >= 0 && strcmp(path, spool->own.path) == 0) {
            continue;
        }
        if (rh_spool_file_open(&spool->adopted, spool->pool, path, O_RDWR) != APR_SUCCESS) {
            continue; /* held by a living process, or just removed by one */
        }
        if (access(path, F_OK) != 0 || spool->adopted.end == 0) {
            if (spool->adopted.end == 0) {
                unlink(path);
            }
            rh_spool_file_close(&spool->adopted);
        } else if (!rh_spool_file_is_ours(&spool->adopted)) {
            spool->adopted.next_at = 0;
            set_aside(spool, &spool->adopted);
        } else {
            rh_log(spool->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0194",
                   "taking over the spool file %s, %" APR_OFF_T_FMT " bytes", path,
                   (apr_off_t)spool->adopted.end);
        }
    }
    apr_pool_destroy(scratch);
    return status;
}

apr_status_t rh_spool_read(rh_spool_t *spool, bool adopt, int max, apr_size_t max_bytes,
                           apr_pool_t *pool, apr_array_header_t **events)
{
    apr_status_t status = APR_SUCCESS;
    rh_spool_file_t *file;
    apr_size_t bytes = 0;

    *events = apr_array_make(pool, 16, sizeof(rh_event_t *));
    for (;;) {
        rh_spool_record_t record = RH_RECORD_OK;

        if (spool->adopted.fd < 0 && adopt) {
            status = adopt_file(spool);
            if (status != APR_SUCCESS) {
                return status;
            }
        }
        file = spool->adopted.fd >= 0 ? &spool->adopted : &spool->own;
        if (file->fd < 0) {
            return APR_SUCCESS;
        }
        spool->reading = file;
        file->next_at = file->read_at;
        while ((*events)->nelts < max && bytes < max_bytes) {
            rh_event_t *event = apr_pcalloc(pool, sizeof(*event));

            record = rh_spool_file_read(file, pool, event, &status);
            if (record != RH_RECORD_OK) {
                break;
            }
            APR_ARRAY_PUSH(*events, rh_event_t *) = event;
            bytes += event->data.len;
        }
        if ((*events)->nelts > 0) {
            return APR_SUCCESS; /* the next read finds out again why the file ends here */
        }
        if (record == RH_RECORD_ERROR) {
            return status;
        }
        /* Appends of this process are complete, so a file that ends early while events are pending
         * was modified.
         */
        if (record == RH_RECORD_DAMAGED || rh_spool_file_follows(file, pool) ||
            (file != &spool->adopted && rh_spool_pending(spool))) {
            set_aside(spool, file);
        } else if (file == &spool->adopted) {
            rh_spool_file_remove(file, spool->log);
        } else {
            return APR_SUCCESS;
        }
    }
}

apr_status_t rh_spool_forget(rh_spool_t *spool)
{
    rh_spool_file_t *file = spool->reading;

    if (!file || file->fd < 0) {
        return APR_SUCCESS;
    }
    file->read_at = file->next_at;
    if (file->read_at >= file->end) {
        rh_spool_file_remove(file, spool->log);
    }
    return APR_SUCCESS;
}

apr_status_t rh_spool_refuse(rh_spool_t *spool, const rh_event_t *event)
{
    apr_size_t size = rh_spool_record_size(event);
    rh_spool_file_t file = {0};
    unsigned char *record;
    apr_status_t status;

    if (!spool->refused) {
        char id[RH_UUID_LEN + 1];

        rh_uuid_make(id);
        spool->refused = apr_pstrcat(spool->pool, spool->folder, "/", spool->owner->database, ".",
                                     id, RH_SPOOL_REFUSED, NULL);
    }
    /* Opened for each event, because a person may have removed the file. */
    status = rh_spool_file_open(&file, spool->pool, spool->refused, O_RDWR | O_CREAT);
    if (status != APR_SUCCESS) {
        return status;
    }
    record = malloc(size);
    if (!record) {
        rh_spool_file_close(&file);
        return APR_ENOMEM;
    }
    rh_spool_record_write(event, record);
    if (file.end < RH_SPOOL_MAGIC_LEN) {
        status = rh_spool_write_all(file.fd, RH_SPOOL_MAGIC, RH_SPOOL_MAGIC_LEN, 0);
        file.end = RH_SPOOL_MAGIC_LEN;
    }
    if (status == APR_SUCCESS) {
        status = rh_spool_write_all(file.fd, record, size, file.end);
    }
    if (status == APR_SUCCESS && fdatasync(file.fd) != 0) {
        status = errno;
    }
    if (status == APR_SUCCESS) {
        status = rh_spool_sync(spool->folder);
    } else if (ftruncate(file.fd, file.end) != 0) {
        status = errno;
    }
    free(record);
    rh_spool_file_close(&file);
    return status;
}

apr_status_t rh_spool_scan(const char *path, apr_pool_t *pool, rh_spool_visit_t *visit, void *baton,
                           bool *whole)
{
    rh_spool_file_t file = {0};
    rh_spool_record_t record = RH_RECORD_OK;
    apr_status_t status = APR_SUCCESS;
    apr_pool_t *scratch;
    struct stat info;

    *whole = false;
    file.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (file.fd < 0 || fstat(file.fd, &info) != 0) {
        status = errno;
    }
    if (status == APR_SUCCESS) {
        file.end = info.st_size;
        file.next_at = RH_SPOOL_MAGIC_LEN;
        status = rh_spool_file_is_ours(&file) ? APR_SUCCESS : APR_EINVAL;
    }
    apr_pool_create(&scratch, pool);
    while (status == APR_SUCCESS && record == RH_RECORD_OK) {
        rh_event_t event = {0};

        apr_pool_clear(scratch);
        record = rh_spool_file_read(&file, scratch, &event, &status);
        if (record == RH_RECORD_OK) {
            visit(baton, &event, scratch);
        }
    }
    *whole = status == APR_SUCCESS && record == RH_RECORD_END && file.next_at == file.end;
    apr_pool_destroy(scratch);
    if (file.fd >= 0) {
        close(file.fd);
    }
    return status;
}
