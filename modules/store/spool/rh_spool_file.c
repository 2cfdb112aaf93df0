/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_spool_file.h"

#include "rh_spool_dir.h"
#include "rh_spool_record.h"
#include "rh_uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/** Beginning of a body: the id's length, the id. */
#define BEGINNING "\0\0\0\x24"
#define BEGINNING_LEN 4
/** Number of bytes that are searched at once for the beginning of a record. */
#define SCAN_WINDOW_BYTES 16384

apr_status_t rh_spool_file_open(rh_spool_file_t *file, apr_pool_t *pool, const char *path,
                                int flags)
{
    struct stat info;

    apr_pool_create(&file->pool, pool);
    file->path = apr_pstrdup(file->pool, path);
    file->fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file->fd < 0 || flock(file->fd, LOCK_EX | LOCK_NB) != 0 || fstat(file->fd, &info) != 0) {
        apr_status_t status = errno;

        if (file->fd >= 0) {
            close(file->fd);
        }
        file->fd = -1;
        apr_pool_destroy(file->pool);
        return status;
    }
    file->end = info.st_size;
    file->read_at = file->next_at = RH_SPOOL_MAGIC_LEN;
    return APR_SUCCESS;
}

void rh_spool_file_close(rh_spool_file_t *file)
{
    if (file->fd >= 0) {
        close(file->fd);
        file->fd = -1;
        apr_pool_destroy(file->pool);
    }
}

void rh_spool_file_remove(rh_spool_file_t *file, const rh_log_t *log)
{
    if (unlink(file->path) != 0) {
        rh_log(log, RH_LOG_WARN, errno, "RH0191",
               "can't remove the spool file %s, whose events are stored", file->path);
    }
    rh_spool_file_close(file);
}

apr_status_t rh_spool_write_all(int fd, const void *data, apr_size_t len, off_t at)
{
    const char *from = data;

    while (len) {
        ssize_t done = pwrite(fd, from, len, at);

        if (done < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        from += done;
        at += done;
        len -= (apr_size_t)done;
    }
    return APR_SUCCESS;
}

static apr_status_t read_all(int fd, void *data, apr_size_t len, off_t at)
{
    char *to = data;

    while (len) {
        ssize_t done = pread(fd, to, len, at);

        if (done < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        if (done == 0) {
            return APR_EOF;
        }
        to += done;
        at += done;
        len -= (apr_size_t)done;
    }
    return APR_SUCCESS;
}

apr_status_t rh_spool_sync(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    apr_status_t status = APR_SUCCESS;

    if (fd < 0) {
        return errno;
    }
    if (fsync(fd) != 0) {
        status = errno;
    }
    close(fd);
    return status;
}

rh_spool_record_t rh_spool_file_read(rh_spool_file_t *file, apr_pool_t *pool, rh_event_t *event,
                                     apr_status_t *status)
{
    unsigned char head[RH_SPOOL_HEAD];
    apr_uint32_t len, crc;
    off_t left = file->end - file->next_at;
    char *body;

    if (left < RH_SPOOL_HEAD) {
        return RH_RECORD_END;
    }
    *status = read_all(file->fd, head, RH_SPOOL_HEAD, file->next_at);
    if (*status != APR_SUCCESS) {
        return RH_RECORD_ERROR;
    }
    left -= RH_SPOOL_HEAD;
    rh_spool_record_head(head, &len, &crc);
    if ((off_t)len > left) {
        return RH_RECORD_END; /* incomplete because the process that wrote it ended */
    }
    if (len > RH_SPOOL_MAX_RECORD) {
        return RH_RECORD_DAMAGED;
    }
    body = apr_palloc(pool, len ? len : 1);
    *status = read_all(file->fd, body, len, file->next_at + RH_SPOOL_HEAD);
    if (*status != APR_SUCCESS) {
        return RH_RECORD_ERROR;
    }
    if (rh_spool_record_crc(body, len) != crc) {
        return (off_t)len == left ? RH_RECORD_END : RH_RECORD_DAMAGED;
    }
    if (rh_spool_decode(body, len, pool, event) != APR_SUCCESS) {
        return RH_RECORD_DAMAGED;
    }
    file->next_at += RH_SPOOL_HEAD + (off_t)len;
    return RH_RECORD_OK;
}

bool rh_spool_file_follows(const rh_spool_file_t *file, apr_pool_t *pool)
{
    const off_t least = RH_SPOOL_HEAD + BEGINNING_LEN + RH_UUID_LEN;
    char *window = apr_palloc(pool, SCAN_WINDOW_BYTES);
    off_t at = file->next_at + 1;

    while (file->end - at >= least) {
        apr_size_t size =
            file->end - at < SCAN_WINDOW_BYTES ? (apr_size_t)(file->end - at) : SCAN_WINDOW_BYTES;

        if (read_all(file->fd, window, size, at) != APR_SUCCESS) {
            return true;
        }
        for (const char *head = window; head + least <= window + size; head++) {
            rh_spool_file_t there = *file;
            apr_status_t status;
            rh_event_t event;

            there.next_at = at + (head - window);
            if (memcmp(head + RH_SPOOL_HEAD, BEGINNING, BEGINNING_LEN) == 0 &&
                rh_uuid_valid(head + RH_SPOOL_HEAD + BEGINNING_LEN, RH_UUID_LEN) &&
                rh_spool_file_read(&there, pool, &event, &status) == RH_RECORD_OK) {
                return true;
            }
        }
        at += (off_t)size - least + 1;
    }
    return false;
}

bool rh_spool_file_is_ours(const rh_spool_file_t *file)
{
    char magic[RH_SPOOL_MAGIC_LEN];

    return file->end >= RH_SPOOL_MAGIC_LEN &&
           read_all(file->fd, magic, RH_SPOOL_MAGIC_LEN, 0) == APR_SUCCESS &&
           memcmp(magic, RH_SPOOL_MAGIC, RH_SPOOL_MAGIC_LEN) == 0;
}
