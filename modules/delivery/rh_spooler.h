/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_spooler.h
 * @brief One site's spool: events go in when the database can't take them, and enter the database
 * in order, exactly once by id, when it can.
 *
 * Any thread may append: the writer for calls that share an fsync, a request's own thread when the
 * writer hangs. The dispatcher drains, so no request waits for that. As long as this process's file
 * holds events, new ones are appended to it too, which keeps their order.
 */
#ifndef RH_SPOOLER_H
#define RH_SPOOLER_H

#include "rh_metrics.h"
#include "rh_spool.h"
#include "rh_store.h"

typedef struct rh_spooler_t rh_spooler_t;

/**
 * @param pool used by the spooler only; has an allocator of its own
 * @param folder RestHooksSpool
 * @param owner names the files
 * @param metrics may be NULL
 */
apr_status_t rh_spooler_make(apr_pool_t *pool, const char *folder, const rh_spool_owner_t *owner,
                             const rh_log_t *log, const rh_metrics_t *metrics,
                             rh_spooler_t **spooler);

/**
 * True while new events go into the spool: its own file holds events, or it stores those of ended
 * processes, which come before any new ones.
 */
bool rh_spooler_pending(rh_spooler_t *spooler);

/** True while events of this site, from this process or another, wait in the folder. */
bool rh_spooler_waits(const rh_spooler_t *spooler, apr_pool_t *scratch);

/**
 * Append the events of items, all or none, with fsync. Sets their status, and stored_id to their
 * own id: a repeated idempotency key is only detected when the database stores the events.
 */
apr_status_t rh_spooler_append(rh_spooler_t *spooler, rh_commit_t **items, int count);

/**
 * Store some events in the database, including those of processes that have ended, whose files are
 * searched for every few seconds. Called by one thread. Events that the database refuses for good
 * are set aside (rh_spool_refuse).
 * @param stored receives how many events are now in the database, 0: there was nothing to do
 * @return APR_EAGAIN: the database cannot take them now; another error: a refused event could not
 * be set aside and stays
 */
apr_status_t rh_spooler_drain(rh_spooler_t *spooler, rh_queue_t *queue, apr_int64_t lease,
                              apr_pool_t *scratch, int *stored);

#endif
