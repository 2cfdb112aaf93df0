/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Redeliver one delivery, replay a range of events, or send a test event. */
#include "rh_matching.h"
#include "rh_rows.h"
#include "rh_store_private.h"
#include "rh_uuid.h"

/** The event to send, and its receivers. */
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
    const char *tenant = what->tenant, *id = what->id;
    apr_array_header_t *rows;
    const rh_query_t *const log_steps[] = {
        RH_QUERY(redeliver_attempt, .tenant = tenant, .delivery_id = id),
        RH_QUERY(redeliver_count, .tenant = tenant, .delivery_id = id),
        RH_QUERY(redeliver_delivery, .tenant = tenant, .delivery_id = id)};
    int affected = 0;
    apr_status_t status =
        rh_db_fetch(db, RH_QUERY(delivery_subscription, .tenant = tenant, .id = id), pool, &rows);

    if (status == APR_SUCCESS) {
        status = rows->nelts == 0 ? APR_NOTFOUND
                                  : check_active(RH_ROW(delivery_subscription, rows, 0)->state);
    }
    if (status == APR_SUCCESS) {
        status = rh_db_change(db, RH_QUERY(redeliver_queue, .tenant = tenant, .delivery_id = id),
                              pool, &affected);
    }
    if (status == APR_SUCCESS && affected == 0) {
        return APR_NOTFOUND; /* the event is past retention */
    }
    return status == APR_SUCCESS
               ? rh_db_change_all(db, log_steps, (int)RH_COUNT_OF(log_steps), pool)
               : status;
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
    apr_array_header_t *rows;
    apr_status_t status = rh_db_fetch(
        db, RH_QUERY(subscription_state, .tenant = what->tenant, .id = what->id), pool, &rows);

    if (status != APR_SUCCESS) {
        return status;
    }
    return rows->nelts == 0 ? APR_NOTFOUND
                            : check_active(RH_ROW(subscription_state, rows, 0)->state);
}

/** Return the states of the deliveries that a replay sends. */
static const char *replayed_states(const send_t *what)
{
    return what->any ? "[\"failed\",\"delivered\",\"cancelled\"]" : "[\"failed\"]";
}

/** Lock out other replays of the subscription: two at once would find the same events missing, and
 * each would make a delivery for them. */
static apr_status_t wait_for_others(rh_db_t *db, const send_t *what, apr_pool_t *pool)
{
    apr_array_header_t *rows;

    return rh_db_fetch(db,
                       RH_QUERY(replay_lock, .tenant = what->tenant, .subscription_id = what->id),
                       pool, &rows);
}

apr_status_t rh_store_begin_send(rh_db_t *db, const char *tenant, const char *subscription_id,
                                 apr_pool_t *pool)
{
    send_t what = {.tenant = tenant, .id = subscription_id};
    apr_status_t status = wait_for_others(db, &what, pool);

    return status == APR_SUCCESS ? subscription_active(db, &what, pool) : status;
}

/** Return the sources of events for which a replay makes deliveries, as JSON. */
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

/** Add the number that a statement returns. */
static apr_status_t count(rh_db_t *db, send_t *what, const rh_query_t *query, apr_pool_t *pool)
{
    apr_array_header_t *rows;
    apr_status_t status = rh_db_fetch(db, query, pool, &rows);

    if (status == APR_SUCCESS && rows->nelts == 1) {
        what->queued += rh_db_number(RH_ROW(replay_count_missing, rows, 0)->count);
    }
    return status;
}

static apr_status_t count_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    send_t *what = baton;
    const char *sources = NULL, *types = NULL;
    apr_status_t status = subscription_active(db, what, pool);

    what->queued = 0;
    if (status == APR_SUCCESS && what->any) {
        status = rh_store_replayed(db, what->tenant, what->id, pool, &sources, &types);
    }
    if (status == APR_SUCCESS && what->any) {
        status = count(db, what,
                       RH_QUERY(replay_count_missing, .tenant = what->tenant,
                                .subscription_id = what->id, .lowest = what->lowest,
                                .end = what->end, .sources = sources, .types = types),
                       pool);
    }
    if (status == APR_SUCCESS) {
        status = count(db, what,
                       RH_QUERY(replay_count, .tenant = what->tenant, .subscription_id = what->id,
                                .lowest = what->lowest, .end = what->end,
                                .states = replayed_states(what)),
                       pool);
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

static apr_status_t insert_test_event(rh_db_t *db, const rh_event_t *event, apr_pool_t *pool)
{
    return rh_db_change(db,
                        RH_QUERY(test_event, .tenant = event->tenant, .id = event->id,
                                 .type = event->type, .key = event->key,
                                 .traceparent = event->traceparent,
                                 .time = rh_store_number(pool, rh_store_ms(event->time)),
                                 .data = apr_pstrmemdup(pool, event->data.data, event->data.len)),
                        pool, NULL);
}

/** Store a test event and its delivery. what->id is the subscription's id, *what->end the
 * delivery's. */
static apr_status_t test_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    const send_t *what = baton;
    const rh_event_t *event = what->event;
    apr_status_t status = subscription_active(db, what, pool);

    if (status == APR_SUCCESS) {
        status = insert_test_event(db, event, pool);
    }
    if (status == APR_SUCCESS) {
        status = rh_db_change(db,
                              RH_QUERY(test_delivery, .tenant = event->tenant, .id = what->end,
                                       .event_id = event->id, .subscription_id = what->id),
                              pool, NULL);
    }
    return status;
}

apr_status_t rh_store_test(rh_store_t *store, const rh_event_t *event, const char *subscription_id,
                           apr_pool_t *pool, const char **delivery_id)
{
    char *id = apr_palloc(pool, RH_UUID_LEN + 1);
    send_t what = {.tenant = event->tenant, .id = subscription_id, .event = event};

    /* Like that of any delivery, the id begins with the first 64 bits of the event's id. */
    rh_uuid_make(id);
    memcpy(id, event->id, 18);
    what.end = id;
    *delivery_id = id;
    return rh_store_run(store->source, true, test_work, &what, pool);
}
