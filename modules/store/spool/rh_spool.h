/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_spool.h
 * @brief Keeps events, fsynced, while the database can't be reached.
 *
 * A process appends to a file of its own, `DATABASE.UUIDv7.spool`, under an exclusive flock that
 * ends with the process. A file that is not locked belongs to the first process of that database
 * that locks it: so a child takes over what a killed one left, oldest first. DATABASE is what
 * rh_db_file_name makes of the connection's parameters, so virtual hosts may come, go and change
 * their order. Version 0.1 named files by the first virtual host that used the database.
 *
 * Events that the database refuses permanently are moved to `DATABASE.UUIDv7.refused`, in the same
 * format, for a person: `resthooksctl spool`.
 *
 * File: the eight bytes "RHSPOOL1", then records: length of the body (4 bytes, big endian), CRC-32
 * of the body (4 bytes, big endian; ISO-HDLC, as zlib's), body. Body: the fields id, tenant, type,
 * key, client id, traceparent, time (decimal microseconds), source (decimal), data, previous,
 * reason, hops (decimal), each as length (4 bytes, big endian; 0xffffffff: none) and bytes. Records
 * of version 0.1 end with data.
 *
 * How far a file was read is kept in memory only: after a crash it is read again from its
 * start, and the store drops events whose id it has. An incomplete last record was never
 * acknowledged and is skipped; a damaged file is set aside as `….damaged` for a person, and logged.
 *
 * One spool serves one thread.
 */
#ifndef RH_SPOOL_H
#define RH_SPOOL_H

#include "rh_base.h"
#include "rh_event.h"

typedef struct rh_spool_t rh_spool_t;

/** Maximum length of a record's body, in bytes; a longer one in a file is damage. */
#define RH_SPOOL_MAX_RECORD (64 * 1024 * 1024)

/** The database whose files a spool has. Outlives the spools it is given to. */
typedef struct rh_spool_owner_t {
    const char *database; /**< of rh_db_file_name */
    /** Of const char *: hosts ("name:port") by which version 0.1 named this database's files; NULL:
     * none */
    apr_array_header_t *former;
    bool any_former; /**< this is the only database, so it owns every file of version 0.1 */
} rh_spool_owner_t;

/** Make a spool in a directory. Creates no file before the first append. Closed with `pool`. */
rh_spool_t *rh_spool_make(apr_pool_t *pool, const char *folder, const rh_spool_owner_t *owner,
                          const rh_log_t *log);

/**
 * Append events and fsync. All or nothing: after an error the file is as it was.
 * @param events array of const rh_event_t *
 * @return APR_SUCCESS, or the system's error (ENOSPC, EACCES, …)
 */
apr_status_t rh_spool_append(rh_spool_t *spool, const rh_event_t *const *events, int count);

/** True while this process's own file holds events that were not forgotten. Does no I/O. */
bool rh_spool_pending(const rh_spool_t *spool);

/**
 * True while a file of this database, of any process, waits in the directory. Only reads the
 * directory, so any thread may call it.
 */
bool rh_spool_waits(const rh_spool_t *spool, apr_pool_t *scratch);

/**
 * Read the next events in order: first those of files of ended processes (looked for if `adopt`),
 * then our own. Returns the same ones again until rh_spool_forget.
 * @param max maximum number of events; @param max_bytes stop after this many bytes of data
 * @param events receives rh_event_t *, in `pool`; empty if the spool is
 */
apr_status_t rh_spool_read(rh_spool_t *spool, bool adopt, int max, apr_size_t max_bytes,
                           apr_pool_t *pool, apr_array_header_t **events);

/**
 * Advance past the result of the last rh_spool_read, which has been stored; remove a file read to
 * its end.
 */
apr_status_t rh_spool_forget(rh_spool_t *spool);

/**
 * Keep an event that the database refuses in a file for a person to inspect, fsynced.
 * @return APR_SUCCESS, or the system's error: then the event must not be forgotten
 */
apr_status_t rh_spool_refuse(rh_spool_t *spool, const rh_event_t *event);

/** Called for each event of a file. @param event its strings live in `scratch` */
typedef void rh_spool_visit_t(void *baton, const rh_event_t *event, apr_pool_t *scratch);

/**
 * Read all events of a file, whatever its suffix, without changing it.
 * @param whole receives false when it ends in the middle of a record or is damaged there
 * @return APR_EINVAL: it is not a file of a spool
 */
apr_status_t rh_spool_scan(const char *path, apr_pool_t *pool, rh_spool_visit_t *visit, void *baton,
                           bool *whole);

/** For tests: return the number of bytes that wait in this process's own file. */
apr_off_t rh_spool_bytes(const rh_spool_t *spool);

/**
 * Read one record's body; for rh_spool_read and the fuzzer. Strings are copied to `pool`, data
 * points into `body`.
 * @return APR_EINVAL when it is damaged
 */
apr_status_t rh_spool_decode(const char *body, apr_size_t len, apr_pool_t *pool, rh_event_t *event);

#endif
