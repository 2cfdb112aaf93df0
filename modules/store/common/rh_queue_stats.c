/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Keep statistics. One process at a time adds changes up to hours. After an upgrade from tables
 * without statistics, the hours of the log are counted, tenant by tenant, backwards from the hour
 * of the upgrade. Each chunk is a transaction of its own, so if a process dies, another one does
 * the rest. */
#include "rh_queue_private.h"

#include <stdlib.h>

/** Number of changes that are added up at once. */
#define CHANGES_CHUNK "10000"
/** Duration before a range in which deliveries may have been made that have an attempt in it. */
#define ATTEMPT_WAIT apr_time_from_sec(86400)

/** Progress of the counting. */
typedef struct recount_t {
    apr_time_t until;   /**< hours before this one are counted */
    apr_time_t before;  /**< hours of the tenant before this one are not counted yet */
    const char *tenant; /**< tenant that is being counted; "" before the first one */
} recount_t;

/** Parse the setting, "UNTIL BEFORE TENANT" with times in milliseconds. */
static recount_t parse_recount(const char *value)
{
    recount_t recount;
    char *end;

    recount.until = apr_strtoi64(value, &end, 10) * 1000;
    recount.before = apr_strtoi64(end, &end, 10) * 1000;
    recount.tenant = *end ? end + 1 : end;
    return recount;
}

/** Find the hour that a tenant's next chunk begins with. @param from receives it; 0: of all */
static apr_status_t find_chunk(rh_db_t *db, const recount_t *recount, apr_pool_t *pool,
                               apr_time_t *from)
{
    char end[RH_UUID_LEN + 1];
    apr_array_header_t *rows;
    apr_status_t status;

    rh_uuid_floor(recount->before, end);
    status = rh_db_fetch(db, RH_QUERY(stats_recount_from, .tenant = recount->tenant, .end = end),
                         pool, &rows);
    *from = 0;
    if (status == APR_SUCCESS && rows->nelts > 0) {
        *from = rh_uuid_time(RH_ROW(stats_recount_from, rows, 0)->id);
        *from -= *from % RH_STATS_HOUR;
    }
    return status;
}

/** Count one chunk of the tenant's hours. */
static apr_status_t count_chunk(rh_db_t *db, recount_t *recount, apr_pool_t *pool)
{
    const char *lowest, *end, *earliest, *unused;
    apr_time_t from;
    apr_status_t status = find_chunk(db, recount, pool, &from);

    if (status != APR_SUCCESS) {
        return status;
    }
    rh_store_range(pool, from, recount->before, NULL, &lowest, &end);
    rh_store_range(pool, from - ATTEMPT_WAIT, 0, NULL, &earliest, &unused);
    status = rh_db_change(db,
                          RH_QUERY(stats_recount, .tenant = recount->tenant, .lowest = lowest,
                                   .end = end, .earliest = earliest,
                                   .from = rh_store_number(pool, rh_store_ms(from)),
                                   .until = rh_store_number(pool, rh_store_ms(recount->before))),
                          pool, NULL);
    recount->before = from;
    return status;
}

/** Count one chunk of the log, if any is left. @param more receives whether there may be more */
static apr_status_t recount_log(rh_db_t *db, apr_pool_t *pool, bool *more)
{
    apr_array_header_t *rows;
    recount_t recount;
    apr_status_t status =
        rh_db_fetch(db, RH_QUERY(setting_get, .name = RH_STATS_RECOUNT), pool, &rows);

    if (status != APR_SUCCESS || rows->nelts == 0) {
        return status;
    }
    *more = true;
    recount = parse_recount(RH_ROW(setting_get, rows, 0)->value);
    if (!*recount.tenant || recount.before <= 0) {
        status =
            rh_db_fetch(db, RH_QUERY(stats_recount_tenant, .after = recount.tenant), pool, &rows);
        if (status != APR_SUCCESS || rows->nelts == 0) {
            return status == APR_SUCCESS ? rh_db_change(db, RH_QUERY(stats_recount_end), pool, NULL)
                                         : status;
        }
        recount.tenant = RH_ROW(stats_recount_tenant, rows, 0)->tenant;
        recount.before = recount.until;
    }
    status = count_chunk(db, &recount, pool);
    return status == APR_SUCCESS
               ? rh_db_change(db,
                              RH_QUERY(stats_recount_note,
                                       .value = apr_psprintf(
                                           pool, "%" APR_INT64_T_FMT " %" APR_INT64_T_FMT " %s",
                                           rh_store_ms(recount.until), rh_store_ms(recount.before),
                                           recount.tenant)),
                              pool, NULL)
               : status;
}

/** Runs in a transaction: its end releases the lock that keeps other processes from adding up. */
static apr_status_t add_up_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    bool *more = baton;
    apr_array_header_t *rows;
    int added = 0, removed = 0;
    apr_status_t status = rh_db_fetch(db, RH_QUERY(stats_turn), pool, &rows);

    *more = false;
    if (status != APR_SUCCESS || rows->nelts == 0) {
        return status;
    }
    status = rh_db_change(db, RH_QUERY(stats_add_up, .limit = CHANGES_CHUNK), pool, &added);
    if (status == APR_SUCCESS) {
        status = rh_db_change(db, RH_QUERY(stats_changes_remove, .limit = CHANGES_CHUNK), pool,
                              &removed);
    }
    if (status != APR_SUCCESS) {
        return status;
    }
    *more = added >= atoi(CHANGES_CHUNK) || removed >= atoi(CHANGES_CHUNK);
    return *more ? APR_SUCCESS : recount_log(db, pool, more);
}

apr_status_t rh_queue_add_up(rh_queue_t *self, apr_pool_t *scratch, bool *more)
{
    rh_queue_impl_t *queue = (rh_queue_impl_t *)self;

    *more = false;
    return rh_store_run(queue->source, true, add_up_work, more, scratch);
}
