/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_spool_file.h
 * @brief One file of the spool: opening and locking it, reading and writing its records.
 */
#ifndef RH_SPOOL_FILE_H
#define RH_SPOOL_FILE_H

#include "rh_event.h"

#include <sys/types.h>

/** One open and locked file; fd -1: none. */
typedef struct rh_spool_file_t {
    int fd;
    apr_pool_t *pool; /**< of the path */
    const char *path;
    off_t end;     /**< position of the next record to append */
    off_t read_at; /**< position of the first record that is not forgotten */
    off_t next_at; /**< end of the record that was read last */
} rh_spool_file_t;

/** The result of reading a record. */
typedef enum {
    RH_RECORD_OK,
    RH_RECORD_END,     /**< the file ends, perhaps within a record */
    RH_RECORD_DAMAGED, /**< the record differs from what was written */
    RH_RECORD_ERROR    /**< the system failed to read */
} rh_spool_record_t;

/**
 * Open and lock a file, in a subpool of `pool`.
 * @param flags of open(2)
 * @return EWOULDBLOCK: another process holds it; or the system's error
 */
apr_status_t rh_spool_file_open(rh_spool_file_t *file, apr_pool_t *pool, const char *path,
                                int flags);
/** Close a file, which releases its lock. Does nothing if it is closed. */
void rh_spool_file_close(rh_spool_file_t *file);
/** Remove and close a file that was read to its end. */
void rh_spool_file_remove(rh_spool_file_t *file, const rh_log_t *log);

/** Write all bytes at a position. */
apr_status_t rh_spool_write_all(int fd, const void *data, apr_size_t len, off_t at);
/** Make the names of a directory's new files as durable as their bytes. */
apr_status_t rh_spool_sync(const char *folder);

/** True if the file begins like a file of the spool. */
bool rh_spool_file_is_ours(const rh_spool_file_t *file);
/** Read the record at next_at, and advance past it. @param status set on RH_RECORD_ERROR */
rh_spool_record_t rh_spool_file_read(rh_spool_file_t *file, apr_pool_t *pool, rh_event_t *event,
                                     apr_status_t *status);
/**
 * True if a complete record follows the incomplete one. If so, the process did not die while it
 * appended: the length field is corrupt, and what follows was acknowledged.
 */
bool rh_spool_file_follows(const rh_spool_file_t *file, apr_pool_t *pool);

#endif
