/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* What a person sends: again, a range of events again, a test. */
#include "rh_matching.h"
#include "rh_rows.h"
#include "rh_store_private.h"
#include "rh_uuid.h"

/** One event that is sent, and its receivers. */
typedef struct send_t {
    const char *tenant, *id;
    bool any;
    const char *lowest, *end;
    const rh_event_t *event;
    apr_int64_t queued;
} send_t;

/** @return APR_EEXIST where the subscription can't be sent anything now */
static apr_status_t check_active(const char *state)
{
    return state && strcmp(state, "active") == 0 ? APR_SUCCESS : APR_EEXIST;
}

static apr_status_t redeliver_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    const send_t *what = baton;
    const char *args[] = {what->tenant, what->id};
    apr_array_header_t *rows;
    int affected = 0;
    apr_status_t status = rh_db_select(db, &rh_sql_delivery_subscription, 2, args, pool, &rows);

    if (status == APR_SUCCESS) {
        status = rows->nelts == 0 ? APR_NOTFOUND : check_active(rh_row(rows, 0)[1]);
    }
    if (status == APR_SUCCESS) {
        status = rh_db_execute(db, &rh_sql_redeliver_queue, 2, args, pool, &affected);
    }
    if (status == APR_SUCCESS) {
        /* Its event may be past retention already. */
        status = affected == 0 ? APR_NOTFOUND
                               : rh_db_execute(db, &rh_sql_redeliver_delivery, 2, args, pool, NULL);
    }
    return status;
}

apr_status_t rh_store_send_again(rh_db_t *db, const char *tenant, const char *id, apr_pool_t *pool)
{
    send_t what = {.tenant = tenant, .id = id};

    return redeliver_work(db, &what, pool);
}

apr_status_t rh_store_redeliver(rh_store_t *store, const char *tenant, const char *id,
                                apr_pool_t *pool)
{
    send_t what = {.tenant = tenant, .id = id};

    return rh_store_run(store->source, true, redeliver_work, &what, pool);
}

static apr_status_t subscription_active(rh_db_t *db, const send_t *what, apr_pool_t *pool)
{
    const char *args[] = {what->tenant, what->id};
    apr_array_header_t *rows;
    apr_status_t status = rh_db_select(db, &rh_sql_subscription_state, 2, args, pool, &rows);

    if (status != APR_SUCCESS) {
        return status;
    }
    return rows->nelts == 0 ? APR_NOTFOUND : check_active(rh_row(rows, 0)[0]);
}

/** Which deliveries a replay takes. */
static const char *replayed_states(const send_t *what)
{
    return what->any ? "[\"failed\",\"delivered\",\"cancelled\"]" : "[\"failed\"]";
}

/**
 * Two replays at once would each find the same events missing, and each make a delivery of them.
 * On SQLite a transaction that writes has no other beside it.
 */
static apr_status_t wait_for_others(rh_db_t *db, const send_t *what, apr_pool_t *pool)
{
    const char *args[] = {what->tenant, what->id};
    apr_array_header_t *rows;

    return db->dialect == RH_DIALECT_PGSQL
               ? rh_db_select(db, &rh_sql_replay_lock, 2, args, pool, &rows)
               : APR_SUCCESS;
}

apr_status_t rh_store_begin_send(rh_db_t *db, const char *tenant, const char *subscription_id,
                                 apr_pool_t *pool)
{
    send_t what = {.tenant = tenant, .id = subscription_id};
    apr_status_t status = wait_for_others(db, &what, pool);

    return status == APR_SUCCESS ? subscription_active(db, &what, pool) : status;
}

/** The sources of events that a replay makes deliveries of, as JSON. */
static const char *replayed_sources(apr_pool_t *pool)
{
    apr_array_header_t *sources = apr_array_make(pool, RH_SOURCE_COUNT, sizeof(const char *));

    for (int i = 0; i < RH_SOURCE_COUNT; i++) {
        if (rh_matching_replays((rh_event_source_t)i)) {
            APR_ARRAY_PUSH(sources, const char *) = rh_event_source_name((rh_event_source_t)i);
        }
    }
    return rh_rows_strings(pool, sources);
}

apr_status_t rh_store_replayed(rh_db_t *db, const char *tenant, const char *subscription_id,
                               apr_pool_t *pool, const char **sources, const char **types)
{
    apr_array_header_t *rows;
    rh_rows_t ranges;
    apr_status_t status = rh_db_fetch(
        db, RH_QUERY(subscription_patterns, .tenant = tenant, .id = subscription_id), pool, &rows);

    if (status != APR_SUCCESS) {
        return status;
    }
    rh_rows_begin(&ranges, pool);
    for (int i = 0; i < rows->nelts; i++) {
        const char *low, *high;

        rh_matching_range(pool, RH_ROW(subscription_patterns, rows, i)->pattern, &low, &high);
        rh_rows_next(&ranges);
        rh_rows_text(&ranges, "low", low);
        rh_rows_text(&ranges, "high", high);
    }
    *types = rh_rows_end(&ranges);
    *sources = replayed_sources(pool);
    return APR_SUCCESS;
}

/** Add what a statement counts. */
static apr_status_t count(rh_db_t *db, send_t *what, const rh_statement_t *statement, int n,
                          const char *const *args, apr_pool_t *pool)
{
    apr_array_header_t *rows;
    apr_status_t status = rh_db_select(db, statement, n, args, pool, &rows);

    if (status == APR_SUCCESS && rows->nelts == 1) {
        what->queued += rh_db_number(rh_row(rows, 0)[0]);
    }
    return status;
}

static apr_status_t count_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    send_t *what = baton;
    const char *missing[] = {what->tenant, what->id, what->lowest, what->end, NULL, NULL};
    const char *args[] = {what->tenant, what->id,  what->lowest,
                          what->lowest, what->end, replayed_states(what)};
    apr_status_t status = subscription_active(db, what, pool);

    what->queued = 0;
    if (status == APR_SUCCESS && what->any) {
        status = rh_store_replayed(db, what->tenant, what->id, pool, &missing[4], &missing[5]);
    }
    if (status == APR_SUCCESS && what->any) {
        status = count(db, what, &rh_sql_replay_count_missing, 6, missing, pool);
    }
    if (status == APR_SUCCESS) {
        status = count(db, what, &rh_sql_replay_count, 6, args, pool);
    }
    return status;
}

apr_status_t rh_store_replay_count(rh_store_t *store, const char *tenant,
                                   const char *subscription_id, bool any, apr_time_t from,
                                   apr_time_t to, apr_pool_t *pool, apr_int64_t *matching)
{
    send_t what = {.tenant = tenant, .id = subscription_id, .any = any};
    apr_status_t status;

    rh_store_range(pool, from, to, NULL, &what.lowest, &what.end);
    status = rh_store_run(store->source, false, count_work, &what, pool);
    *matching = what.queued;
    return status;
}

/** what->id is the subscription's, *what->end the delivery's. */
static apr_status_t test_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    const send_t *what = baton;
    const rh_event_t *event = what->event;
    const char *data = apr_pstrmemdup(pool, event->data.data, event->data.len);
    const char *event_args[] = {
        event->tenant, event->id,          event->type,
        event->key,    event->traceparent, rh_store_number(pool, rh_store_ms(event->time)),
        data};
    const char *delivery_args[] = {event->tenant, what->end, event->id, what->id, event->type};
    const char *queue_args[] = {event->tenant, what->end};
    apr_status_t status = subscription_active(db, what, pool);

    if (status == APR_SUCCESS) {
        status = rh_db_execute(db, &rh_sql_test_event, 7, event_args, pool, NULL);
    }
    if (status == APR_SUCCESS) {
        status = rh_db_execute(db, &rh_sql_test_delivery, 5, delivery_args, pool, NULL);
    }
    if (status == APR_SUCCESS) {
        status = rh_db_execute(db, &rh_sql_redeliver_queue, 2, queue_args, pool, NULL);
    }
    return status;
}

apr_status_t rh_store_test(rh_store_t *store, const rh_event_t *event, const char *subscription_id,
                           apr_pool_t *pool, const char **delivery_id)
{
    char *id = apr_palloc(pool, RH_UUID_LEN + 1);
    send_t what = {.tenant = event->tenant, .id = subscription_id, .event = event};

    rh_uuid_make(id);
    what.end = id;
    *delivery_id = id;
    return rh_store_run(store->source, true, test_work, &what, pool);
}
