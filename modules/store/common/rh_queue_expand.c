/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * Deliveries of events that many subscriptions want. The commit of such an event makes the first
 * ones and leaves a row in `expansion`; the others are made here, a chunk per transaction, which
 * also moves the row on. So a process that dies in between leaves no chunk half made, and another
 * one goes on; and what waits for the commit is not made to wait for thousands of rows.
 */
#include "rh_matching.h"
#include "rh_queue_private.h"
#include "rh_rows.h"

/** Columns of rh_sql_expand_next. */
enum { NEXT_TENANT, NEXT_EVENT, NEXT_AFTER, NEXT_UNTIL, NEXT_CREATED_AT, NEXT_TYPE };

typedef struct expand_t {
    rh_queue_impl_t *queue;
    bool found;
} expand_t;

/** Make a chunk's deliveries. @param end receives where it ends; NULL: it is the last one */
static apr_status_t make_chunk(rh_db_t *db, const char **row, apr_pool_t *pool, const char **end)
{
    const char *tenant = row[NEXT_TENANT], *event = row[NEXT_EVENT], *after = row[NEXT_AFTER];
    const char *patterns = rh_rows_strings(pool, rh_matching_patterns(pool, row[NEXT_TYPE]));
    const char *bounds[] = {patterns, tenant, after, row[NEXT_UNTIL]};
    apr_array_header_t *rows;
    apr_status_t status = rh_db_select(db, &rh_sql_expand_end, 4, bounds, pool, &rows);
    const char *last;

    if (status != APR_SUCCESS) {
        return status;
    }
    *end = rows->nelts > 0 ? rh_row(rows, 0)[0] : NULL;
    last = *end ? *end : row[NEXT_UNTIL];
    {
        const char *args[] = {event, row[NEXT_CREATED_AT], tenant, patterns, tenant, after, last};
        const char *queue[] = {tenant, event, after, last};

        status = rh_db_execute(db, &rh_sql_expand, 7, args, pool, NULL);
        if (status == APR_SUCCESS && db->dialect == RH_DIALECT_SQLITE) {
            status = rh_db_execute(db, &rh_sql_expand_queue, 4, queue, pool, NULL);
        }
    }
    return status;
}

/** Find the event whose turn it is: of the first tenant after the last one's. */
static apr_status_t find_next(rh_db_t *db, rh_queue_impl_t *queue, apr_pool_t *pool,
                              apr_array_header_t **rows)
{
    const char *after = queue->expanded;
    apr_status_t status = rh_db_select(db, &rh_sql_expand_next, 1, &after, pool, rows);

    if (status == APR_SUCCESS && (*rows)->nelts == 0 && *after) {
        after = "";
        status = rh_db_select(db, &rh_sql_expand_next, 1, &after, pool, rows);
    }
    return status;
}

static apr_status_t expand_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    expand_t *expand = baton;
    apr_array_header_t *rows;
    const char **row, *end = NULL;
    apr_status_t status = find_next(db, expand->queue, pool, &rows);

    expand->found = status == APR_SUCCESS && rows->nelts > 0;
    if (!expand->found) {
        return status;
    }
    row = rh_row(rows, 0);
    apr_cpystrn(expand->queue->expanded, row[NEXT_TENANT], sizeof(expand->queue->expanded));
    if (rh_db_text(row[NEXT_TYPE])) {
        status = make_chunk(db, row, pool, &end);
    }
    if (status == APR_SUCCESS) {
        const char *move[] = {end, row[NEXT_TENANT], row[NEXT_EVENT]};

        status = end ? rh_db_execute(db, &rh_sql_expand_move, 3, move, pool, NULL)
                     : rh_db_execute(db, &rh_sql_expand_close, 2, move + 1, pool, NULL);
    }
    return status;
}

apr_status_t rh_queue_expand(rh_queue_t *self, apr_pool_t *scratch, bool *found)
{
    rh_queue_impl_t *queue = (rh_queue_impl_t *)self;
    expand_t expand = {.queue = queue};
    apr_status_t status = rh_store_run(queue->source, true, expand_work, &expand, scratch);

    *found = status == APR_SUCCESS && expand.found;
    return status;
}
