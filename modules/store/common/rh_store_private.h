/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_store_private.h
 * @brief How the parts of the store use connections.
 */
#ifndef RH_STORE_PRIVATE_H
#define RH_STORE_PRIVATE_H

#include "rh_db_private.h"
#include "rh_query.h"
#include "rh_store_open.h"

/** Less than every id. */
#define RH_NO_ID "00000000-0000-0000-0000-000000000000"
/** Greater than every id. */
#define RH_LAST_ID "ffffffff-ffff-ffff-ffff-ffffffffffff"

/** Number of pending deliveries of a subscription that a list collects and sorts. */
#define RH_FEW_PENDING 1000

/**
 * Most that a page of a list looks at where no index leads to its rows: rows of the log or of the
 * queue; deliveries whose events are looked up; events; those whose deliveries are looked for; and
 * size of the data in which a text is looked for.
 */
#define RH_MOST_FILTERED 3000
#define RH_MOST_LOOKED_UP 1500
#define RH_MOST_SEARCHED 3000
#define RH_MOST_UNMATCHED 500
#define RH_MOST_SEARCHED_BYTES 1000000

/** Name of the setting that exists while the hours of the log are being counted; see
 * rh_queue_stats.c. */
#define RH_STATS_RECOUNT "stats_recount"

struct rh_store_t {
    rh_db_source_t *source;
};

/** What is done with a connection. @return what rh_store_run then returns */
typedef apr_status_t rh_store_work_t(rh_db_t *db, void *baton, apr_pool_t *pool);

/**
 * Take a connection, do the work, give it back. In a transaction where `writes`, which is
 * tried once more when the session turned out to be lost before it began anything.
 */
apr_status_t rh_store_run(rh_db_source_t *source, bool writes, rh_store_work_t *work, void *baton,
                          apr_pool_t *pool);

/** Acquire a connection and fetch a statement's rows. */
apr_status_t rh_store_fetch(rh_db_source_t *source, const rh_query_t *query, apr_pool_t *pool,
                            apr_array_header_t **rows);

/** Run one changing statement in a transaction of its own. @param affected may be NULL */
apr_status_t rh_store_change(rh_db_source_t *source, const rh_query_t *query, apr_pool_t *pool,
                             int *affected);

/** Rows of a list of deliveries, as `delivery_list` returns them. @param stopped as of
 * rh_store_delivery_list */
apr_status_t rh_store_delivery_rows(rh_db_t *db, const char *tenant,
                                    const rh_delivery_filter_t *filter, const rh_page_t *page,
                                    apr_pool_t *pool, apr_array_header_t **rows,
                                    const char **stopped);

/** Return the source of an event by its name. NULL stands for an unknown one. */
rh_event_source_t rh_store_read_source(const char *name);

/** Make one delivery due now, in a transaction. @return as rh_store_redeliver */
apr_status_t rh_store_send_again(rh_db_t *db, const char *tenant, const char *id, apr_pool_t *pool);

/**
 * Begin to replay a range of events to a subscription, in a transaction, which only one caller does
 * at a time. @return APR_NOTFOUND, or APR_EEXIST: it is not active
 */
apr_status_t rh_store_begin_send(rh_db_t *db, const char *tenant, const char *subscription_id,
                                 apr_pool_t *pool);

/**
 * What a replay looks for to make deliveries that a subscription never had, as JSON for SQL:
 * @param sources receives names of events' sources
 * @param types receives ranges of types, [{"low", "high"}], that its patterns cover
 */
apr_status_t rh_store_replayed(rh_db_t *db, const char *tenant, const char *subscription_id,
                               apr_pool_t *pool, const char **sources, const char **types);

/** Return a number as decimal text. */
const char *rh_store_number(apr_pool_t *pool, apr_int64_t number);

/** Return a time in milliseconds, rounded down, or a duration, rounded up. */
apr_int64_t rh_store_ms(apr_time_t time);
apr_int64_t rh_store_ms_up(apr_interval_time_t duration);

/** Set the bounds of ids for a range of times, where 0 is open. `before` may lower the upper bound.
 */
void rh_store_range(apr_pool_t *pool, apr_time_t from, apr_time_t to, const char *before,
                    const char **lowest, const char **end);

#endif
