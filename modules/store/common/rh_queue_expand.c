/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Make the deliveries of events that many subscriptions want. The commit of such an event makes the
 * first ones and inserts a row into `expansion`. The others are made here, one chunk per
 * transaction, which also advances the row. So a process that dies leaves no incomplete chunk, and
 * another one continues; and callers that wait for the commit do not wait for thousands of rows. */
#include "rh_matching.h"
#include "rh_queue_private.h"
#include "rh_rows.h"

typedef struct expand_t {
    rh_queue_impl_t *queue;
    bool found;
} expand_t;

/** Make a chunk's deliveries. @param end receives where it ends; NULL: it is the last one */
static apr_status_t make_chunk(rh_db_t *db, const rh_expand_next_row_t *row, apr_pool_t *pool,
                               const char **end)
{
    const char *patterns = rh_rows_strings(pool, rh_matching_patterns(pool, row->type)), *last;
    apr_array_header_t *rows;
    apr_status_t status =
        rh_db_fetch(db,
                    RH_QUERY(expand_end, .patterns = patterns, .tenant = row->tenant,
                             .after = row->after_id, .until = row->until_id),
                    pool, &rows);

    if (status != APR_SUCCESS) {
        return status;
    }
    *end = rows->nelts > 0 ? RH_ROW(expand_end, rows, 0)->subscription_id : NULL;
    last = *end ? *end : row->until_id;
    return rh_db_change(db,
                        RH_QUERY(expand, .tenant = row->tenant, .event_id = row->event_id,
                                 .created_at = row->created_at, .patterns = patterns,
                                 .after = row->after_id, .end = last),
                        pool, NULL);
}

/** Find the next event to expand, which belongs to the first tenant after the last one's. */
static apr_status_t find_next(rh_db_t *db, rh_queue_impl_t *queue, apr_pool_t *pool,
                              apr_array_header_t **rows)
{
    apr_status_t status =
        rh_db_fetch(db, RH_QUERY(expand_next, .tenant = queue->expanded), pool, rows);

    if (status == APR_SUCCESS && (*rows)->nelts == 0 && *queue->expanded) {
        status = rh_db_fetch(db, RH_QUERY(expand_next, .tenant = ""), pool, rows);
    }
    return status;
}

static apr_status_t expand_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    expand_t *expand = baton;
    apr_array_header_t *rows;
    const rh_expand_next_row_t *row;
    const char *end = NULL;
    apr_status_t status = find_next(db, expand->queue, pool, &rows);

    expand->found = status == APR_SUCCESS && rows->nelts > 0;
    if (!expand->found) {
        return status;
    }
    row = RH_ROW(expand_next, rows, 0);
    apr_cpystrn(expand->queue->expanded, row->tenant, sizeof(expand->queue->expanded));
    if (rh_db_text(row->type)) {
        status = make_chunk(db, row, pool, &end);
    }
    if (status != APR_SUCCESS) {
        return status;
    }
    return end ? rh_db_change(db,
                              RH_QUERY(expand_move, .tenant = row->tenant,
                                       .event_id = row->event_id, .end = end),
                              pool, NULL)
               : rh_db_change(
                     db, RH_QUERY(expand_close, .tenant = row->tenant, .event_id = row->event_id),
                     pool, NULL);
}

apr_status_t rh_queue_expand(rh_queue_t *self, apr_pool_t *scratch, bool *found)
{
    rh_queue_impl_t *queue = (rh_queue_impl_t *)self;
    expand_t expand = {.queue = queue};
    apr_status_t status = rh_store_run(queue->source, true, expand_work, &expand, scratch);

    *found = status == APR_SUCCESS && expand.found;
    return status;
}
