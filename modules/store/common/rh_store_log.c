/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The logs of events, deliveries and attempts: what the API reads of them. */
#include "rh_store_private.h"
#include "rh_uuid.h"

static rh_event_source_t read_source(const char *name)
{
    for (int i = RH_SOURCE_CAPTURE; name && i < RH_SOURCE_COUNT; i++) {
        if (strcmp(rh_event_source_name((rh_event_source_t)i), name) == 0) {
            return (rh_event_source_t)i;
        }
    }
    return RH_SOURCE_SQL;
}

static rh_event_t *read_event(const char **row, apr_pool_t *pool)
{
    rh_event_t *event = apr_pcalloc(pool, sizeof(*event));

    event->id = row[0];
    event->tenant = row[1];
    event->type = row[2];
    event->key = rh_db_text(row[3]);
    event->client_id = rh_db_text(row[4]);
    event->traceparent = rh_db_text(row[5]);
    event->time = rh_db_number(row[6]) * 1000;
    event->source = read_source(row[7]);
    event->data.data = row[8] ? row[8] : "null";
    event->data.len = strlen(event->data.data);
    event->data_bytes = (apr_size_t)rh_db_number(row[9]);
    if (rh_db_text(row[10])) {
        event->previous.data = row[10];
        event->previous.len = strlen(row[10]);
    }
    event->reason = rh_db_text(row[11]);
    event->hops = (int)rh_db_number(row[12]);
    return event;
}

apr_status_t rh_store_event_get(rh_store_t *store, const char *tenant, const char *id,
                                apr_pool_t *pool, rh_event_t **event)
{
    const char *args[] = {tenant, id};
    apr_array_header_t *rows;
    apr_status_t status = rh_store_select(store->source, &rh_sql_event_get, 2, args, pool, &rows);

    if (status == APR_SUCCESS && rows->nelts == 0) {
        status = APR_NOTFOUND;
    }
    if (status == APR_SUCCESS) {
        *event = read_event(rh_row(rows, 0), pool);
    }
    return status;
}

apr_status_t rh_store_event_list(rh_store_t *store, const char *tenant,
                                 const rh_event_filter_t *filter, const rh_page_t *page,
                                 apr_pool_t *pool, apr_array_header_t **events)
{
    bool plain = !filter->key && !filter->sources && !filter->unmatched && !filter->text;
    const rh_statement_t *statement = !plain         ? &rh_sql_event_list_filtered
                                      : filter->type ? &rh_sql_event_list_type
                                                     : &rh_sql_event_list;
    const char *args[13];
    apr_array_header_t *rows;
    apr_status_t status;
    int i, n = 3;

    args[0] = tenant;
    rh_store_range(pool, filter->from, filter->to, page->before, &args[1], &args[2]);
    if (!plain) {
        args[n++] = filter->type;
        args[n++] = filter->type;
        args[n++] = filter->key;
        args[n++] = filter->key;
        args[n++] = filter->sources;
        args[n++] = filter->sources;
        args[n++] = filter->unmatched ? "1" : NULL;
        args[n++] = filter->text;
        args[n++] = filter->text;
    } else if (filter->type) {
        args[n++] = filter->type;
    }
    args[n++] = rh_store_number(pool, page->limit);
    status = rh_store_select(store->source, statement, n, args, pool, &rows);
    if (status != APR_SUCCESS) {
        return status;
    }
    *events = apr_array_make(pool, rows->nelts + 1, sizeof(rh_event_t *));
    for (i = 0; i < rows->nelts; i++) {
        APR_ARRAY_PUSH(*events, rh_event_t *) = read_event(rh_row(rows, i), pool);
    }
    return APR_SUCCESS;
}

static rh_delivery_t *read_delivery(const char **row, apr_pool_t *pool)
{
    rh_delivery_t *delivery = apr_pcalloc(pool, sizeof(*delivery));

    delivery->id = row[0];
    delivery->tenant = delivery->event.tenant = row[1];
    delivery->event.id = row[2];
    delivery->subscription_id = row[3];
    delivery->event.type = row[4];
    rh_delivery_state_parse(row[5], &delivery->state);
    delivery->attempt_count = (int)rh_db_number(row[6]);
    delivery->last_status_code = (int)rh_db_number(row[7]);
    delivery->next_attempt_at = rh_db_number(row[8]) * 1000;
    delivery->waiting_for = rh_db_text(row[9]);
    if (row[10]) {
        rh_format_parse(row[10], &delivery->format);
    }
    delivery->target_url = rh_db_text(row[11]);
    delivery->base_url = row[12] ? row[12] : "";
    delivery->event.key = rh_db_text(row[13]);
    delivery->event.time = rh_db_number(row[14]) * 1000;
    delivery->event.source = read_source(row[15]);
    delivery->event.traceparent = rh_db_text(row[16]);
    delivery->created_at = rh_uuid_time(delivery->id);
    return delivery;
}

apr_status_t rh_store_delivery_rows(rh_db_t *db, const char *tenant,
                                    const rh_delivery_filter_t *filter, const rh_page_t *page,
                                    apr_pool_t *pool, apr_array_header_t **rows)
{
    const char *of = filter->subscription_id ? filter->subscription_id : filter->event_id;
    const rh_statement_t *statement = filter->subscription_id ? &rh_sql_delivery_list_subscription
                                      : of                    ? &rh_sql_delivery_list_event
                                                              : &rh_sql_delivery_list;
    const char *args[11], *state;
    int n = 0;

    state = filter->state < 0 ? NULL : rh_delivery_state_name((rh_delivery_state_t)filter->state);
    args[n++] = tenant;
    if (of) {
        args[n++] = of;
    }
    rh_store_range(pool, filter->from, filter->to, page->before, &args[n], &args[n + 1]);
    n += 2;
    args[n++] = filter->type;
    args[n++] = filter->type;
    args[n++] = state;
    args[n++] = state;
    args[n++] = rh_store_number(pool, filter->status_from);
    args[n++] = rh_store_number(pool, filter->status_end > 0 ? filter->status_end : 1000);
    args[n++] = rh_store_number(pool, page->limit);
    *rows = apr_array_make(pool, 1, sizeof(const char **));
    return rh_db_select(db, statement, n, args, pool, rows);
}

/** A page of a list of deliveries that is to be read. */
typedef struct listing_t {
    const char *tenant;
    const rh_delivery_filter_t *filter;
    const rh_page_t *page;
    apr_array_header_t *rows;
} listing_t;

static apr_status_t list_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    listing_t *listing = baton;

    return rh_store_delivery_rows(db, listing->tenant, listing->filter, listing->page, pool,
                                  &listing->rows);
}

apr_status_t rh_store_delivery_list(rh_store_t *store, const char *tenant,
                                    const rh_delivery_filter_t *filter, const rh_page_t *page,
                                    apr_pool_t *pool, apr_array_header_t **deliveries)
{
    listing_t listing = {tenant, filter, page, NULL};
    apr_status_t status = rh_store_run(store->source, false, list_work, &listing, pool);

    if (status != APR_SUCCESS) {
        return status;
    }
    *deliveries = apr_array_make(pool, listing.rows->nelts + 1, sizeof(rh_delivery_t *));
    for (int i = 0; i < listing.rows->nelts; i++) {
        APR_ARRAY_PUSH(*deliveries, rh_delivery_t *) = read_delivery(rh_row(listing.rows, i), pool);
    }
    return APR_SUCCESS;
}

apr_status_t rh_store_delivery_count(rh_store_t *store, const char *tenant,
                                     const rh_delivery_filter_t *filter, apr_pool_t *pool,
                                     apr_int64_t *count)
{
    const char *state =
        filter->state < 0 ? NULL : rh_delivery_state_name((rh_delivery_state_t)filter->state);
    const char *args[] = {
        tenant,
        filter->subscription_id,
        filter->subscription_id,
        NULL,
        NULL,
        filter->type,
        filter->type,
        state,
        state,
        rh_store_number(pool, filter->status_from),
        rh_store_number(pool, filter->status_end > 0 ? filter->status_end : 1000)};
    apr_array_header_t *rows;
    apr_status_t status;

    rh_store_range(pool, filter->from, filter->to, NULL, &args[3], &args[4]);
    status = rh_store_select(store->source, &rh_sql_delivery_count, 11, args, pool, &rows);
    if (status == APR_SUCCESS) {
        *count = rh_db_number(rh_row(rows, 0)[0]);
    }
    return status;
}

static rh_attempt_t *read_attempt(const char **row, apr_pool_t *pool)
{
    rh_attempt_t *attempt = apr_pcalloc(pool, sizeof(*attempt));

    attempt->id = row[0];
    attempt->number = (int)rh_db_number(row[1]);
    attempt->started_at = rh_db_number(row[2]) * 1000;
    attempt->duration = rh_db_number(row[3]) * 1000;
    attempt->status_code = (int)rh_db_number(row[4]);
    attempt->headers = rh_db_text(row[5]);
    attempt->answer = row[6];
    attempt->error = rh_db_text(row[7]);
    attempt->sent = rh_db_text(row[9]);
    return attempt;
}

typedef struct get_t {
    const char *tenant, *id;
    apr_array_header_t *delivery, *attempts;
} get_t;

static apr_status_t get_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    get_t *get = baton;
    const char *args[] = {get->tenant, get->id};
    apr_status_t status = rh_db_select(db, &rh_sql_delivery_get, 2, args, pool, &get->delivery);

    if (status == APR_SUCCESS) {
        status = rh_db_select(db, &rh_sql_attempt_list, 2, args, pool, &get->attempts);
    }
    return status;
}

/** Show where the last attempt went, whatever the subscription's target is now. */
static void set_sent_url(rh_delivery_t *delivery, apr_pool_t *pool)
{
    const rh_attempt_t *last =
        delivery->attempts->nelts
            ? APR_ARRAY_IDX(delivery->attempts, delivery->attempts->nelts - 1, rh_attempt_t *)
            : NULL;
    rh_bytes_t url;

    if (delivery->state != RH_DELIVERY_PENDING && last && last->sent &&
        rh_json_member(last->sent, strlen(last->sent), "url", &url)) {
        const char *text = rh_json_string(pool, url);

        delivery->target_url = text ? text : delivery->target_url;
    }
}

apr_status_t rh_store_delivery_get(rh_store_t *store, const char *tenant, const char *id,
                                   apr_pool_t *pool, rh_delivery_t **row)
{
    get_t get = {tenant, id, NULL, NULL};
    apr_status_t status = rh_store_run(store->source, false, get_work, &get, pool);
    rh_delivery_t *delivery;
    int i;

    if (status == APR_SUCCESS && get.delivery->nelts == 0) {
        status = APR_NOTFOUND;
    }
    if (status != APR_SUCCESS) {
        return status;
    }
    delivery = read_delivery(rh_row(get.delivery, 0), pool);
    delivery->event.data.data = rh_row(get.delivery, 0)[17];
    if (delivery->event.data.data) {
        delivery->event.data.len = strlen(delivery->event.data.data);
    }
    delivery->attempts = apr_array_make(pool, get.attempts->nelts + 1, sizeof(rh_attempt_t *));
    for (i = get.attempts->nelts - 1; i >= 0; i--) {
        APR_ARRAY_PUSH(delivery->attempts, rh_attempt_t *) =
            read_attempt(rh_row(get.attempts, i), pool);
    }
    set_sent_url(delivery, pool);
    /* The last one: rows are newest first. Attempts of before version 2 don't tell. */
    if (get.attempts->nelts > 0 && rh_db_text(rh_row(get.attempts, 0)[8])) {
        rh_format_parse(rh_row(get.attempts, 0)[8], &delivery->format);
    }
    *row = delivery;
    return APR_SUCCESS;
}
