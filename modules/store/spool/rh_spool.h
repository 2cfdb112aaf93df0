/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_spool.h
 * @brief Where events wait, fsynced, while the database can't be reached.
 *
 * A process appends to a file of its own, `SITE.UUIDv7.spool`, under an exclusive flock that ends
 * with the process. A file that nobody holds belongs to whoever locks it first: so a child takes
 * over what a killed one left behind, oldest name first.
 *
 * File: the eight bytes "RHSPOOL1", then records: length of the body (4 bytes, big endian), CRC-32
 * of the body (4 bytes, big endian; ISO-HDLC, as zlib's), body. Body: the fields id, tenant, type,
 * key, client id, traceparent, time (decimal microseconds), source (decimal), data, each as length
 * (4 bytes, big endian; 0xffffffff: none) and bytes.
 *
 * How far a file was read is kept in memory only: after a crash it is read again from its
 * start, and the store drops events whose id it has. A torn last record was never acknowledged and
 * is passed over; a damaged file is set aside as `….damaged` for a person, and logged.
 *
 * One spool serves one thread.
 */
#ifndef RH_SPOOL_H
#define RH_SPOOL_H

#include "rh_base.h"
#include "rh_event.h"

typedef struct rh_spool_t rh_spool_t;

/** Largest body of a record, bytes; a longer one in a file is damage. */
#define RH_SPOOL_MAX_RECORD (64 * 1024 * 1024)

/**
 * A spool in a folder, for a site (a name that is made safe for a file name). Nothing is created
 * before the first append. Closed with `pool`.
 */
rh_spool_t *rh_spool_make(apr_pool_t *pool, const char *folder, const char *site,
                          const rh_log_t *log);

/**
 * Append events and fsync. All or nothing: after an error the file is as it was.
 * @param events array of const rh_event_t *
 * @return APR_SUCCESS, or the system's error (ENOSPC, EACCES, …)
 */
apr_status_t rh_spool_append(rh_spool_t *spool, const rh_event_t *const *events, int count);

/** True while this process's own file holds something that was not forgotten yet. No I/O. */
bool rh_spool_pending(const rh_spool_t *spool);

/**
 * True while a file of this site waits in the folder, of whatever process. Looks at the folder
 * alone, so any thread may ask.
 */
bool rh_spool_waits(const rh_spool_t *spool, apr_pool_t *scratch);

/** What lies in a folder for one site. */
typedef struct rh_spool_usage_t {
    int files;       /**< that wait */
    apr_off_t bytes; /**< of these, with what was read already of a file that is being read */
    int damaged;     /**< files that were set aside */
} rh_spool_usage_t;

/** Look at a folder: any process may. A folder that is not there holds nothing. */
apr_status_t rh_spool_usage(const char *folder, const char *site, apr_pool_t *scratch,
                            rh_spool_usage_t *usage);

/**
 * Read the next events in order: of files left behind first (looked for when `adopt`), then of our
 * own. The same ones again until rh_spool_forget.
 * @param max events at most; @param max_bytes stop after so many bytes of data
 * @param events receives rh_event_t *, in `pool`; empty: there is nothing to read
 */
apr_status_t rh_spool_read(rh_spool_t *spool, bool adopt, int max, apr_size_t max_bytes,
                           apr_pool_t *pool, apr_array_header_t **events);

/** What rh_spool_read gave last is stored: go on behind it; a file read to its end is removed. */
apr_status_t rh_spool_forget(rh_spool_t *spool);

/** Bytes of our own file that wait. */
apr_off_t rh_spool_bytes(const rh_spool_t *spool);

/**
 * Read one record's body; for rh_spool_read and the fuzzer. Strings are copied to `pool`, data
 * points into `body`.
 * @return APR_EINVAL when it is damaged
 */
apr_status_t rh_spool_decode(const char *body, apr_size_t len, apr_pool_t *pool, rh_event_t *event);

#endif
