/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The logs of events, deliveries and attempts: what the API reads of them. */
#include "rh_store_private.h"
#include "rh_uuid.h"

static rh_event_source_t read_source(const char *name)
{
    rh_event_source_t source = RH_SOURCE_SQL;

    if (name) {
        rh_event_source_parse(name, &source);
    }
    return source;
}

static rh_event_t *read_event(const rh_event_get_row_t *row, apr_pool_t *pool)
{
    rh_event_t *event = apr_pcalloc(pool, sizeof(*event));

    event->id = row->id;
    event->tenant = row->tenant;
    event->type = row->type;
    event->key = rh_db_text(row->key);
    event->client_id = rh_db_text(row->client_id);
    event->traceparent = rh_db_text(row->traceparent);
    event->time = rh_db_number(row->time) * 1000;
    event->source = read_source(row->source);
    event->data.data = row->data ? row->data : "null";
    event->data.len = strlen(event->data.data);
    event->data_bytes = (apr_size_t)rh_db_number(row->data_bytes);
    if (rh_db_text(row->previous)) {
        event->previous.data = row->previous;
        event->previous.len = strlen(row->previous);
    }
    event->reason = rh_db_text(row->reason);
    event->hops = (int)rh_db_number(row->hops);
    return event;
}

apr_status_t rh_store_event_get(rh_store_t *store, const char *tenant, const char *id,
                                apr_pool_t *pool, rh_event_t **event)
{
    apr_array_header_t *rows;
    apr_status_t status =
        rh_store_fetch(store->source, RH_QUERY(event_get, .tenant = tenant, .id = id), pool, &rows);

    if (status == APR_SUCCESS && rows->nelts == 0) {
        status = APR_NOTFOUND;
    }
    if (status == APR_SUCCESS) {
        *event = read_event(RH_ROW(event_get, rows, 0), pool);
    }
    return status;
}

static bool is_search(const rh_search_t *search)
{
    return search->key || search->sources || search->text;
}

/** What the fragment event_search takes. */
#define SEARCH_OF(filter)                                                                          \
    .key = (filter)->search.key, .sources = (filter)->search.sources, .text = (filter)->search.text

/** Fetch a page by the plainest statement that has all of the filter's conditions. */
static apr_status_t fetch_events(rh_store_t *store, const char *tenant,
                                 const rh_event_filter_t *filter, const rh_page_t *page,
                                 apr_pool_t *pool, apr_array_header_t **rows)
{
    const char *limit = rh_store_number(pool, page->limit), *lowest, *end;

    rh_store_range(pool, filter->from, filter->to, page->before, &lowest, &end);
    if (is_search(&filter->search) || filter->unmatched) {
        return rh_store_fetch(store->source,
                              RH_QUERY(event_list_filtered, .tenant = tenant, .lowest = lowest,
                                       .end = end, .limit = limit, .type = filter->type,
                                       .unmatched = filter->unmatched ? "1" : NULL,
                                       SEARCH_OF(filter)),
                              pool, rows);
    }
    if (filter->type) {
        return rh_store_fetch(store->source,
                              RH_QUERY(event_list_type, .tenant = tenant, .lowest = lowest,
                                       .end = end, .limit = limit, .type = filter->type),
                              pool, rows);
    }
    return rh_store_fetch(
        store->source,
        RH_QUERY(event_list, .tenant = tenant, .lowest = lowest, .end = end, .limit = limit), pool,
        rows);
}

apr_status_t rh_store_event_list(rh_store_t *store, const char *tenant,
                                 const rh_event_filter_t *filter, const rh_page_t *page,
                                 apr_pool_t *pool, apr_array_header_t **events)
{
    apr_array_header_t *rows;
    apr_status_t status = fetch_events(store, tenant, filter, page, pool, &rows);

    if (status != APR_SUCCESS) {
        return status;
    }
    *events = apr_array_make(pool, rows->nelts + 1, sizeof(rh_event_t *));
    for (int i = 0; i < rows->nelts; i++) {
        APR_ARRAY_PUSH(*events, rh_event_t *) = read_event(RH_ROW(event_get, rows, i), pool);
    }
    return APR_SUCCESS;
}

static rh_delivery_t *read_delivery(const rh_delivery_list_row_t *row, apr_pool_t *pool)
{
    rh_delivery_t *delivery = apr_pcalloc(pool, sizeof(*delivery));

    delivery->id = row->id;
    delivery->tenant = delivery->event.tenant = row->tenant;
    delivery->event.id = row->event_id;
    delivery->subscription_id = row->subscription_id;
    delivery->event.type = row->type;
    rh_delivery_state_parse(row->state, &delivery->state);
    delivery->attempt_count = (int)rh_db_number(row->attempt_count);
    delivery->last_status_code = (int)rh_db_number(row->last_status_code);
    delivery->next_attempt_at = rh_db_number(row->next_attempt_at) * 1000;
    delivery->waiting_for = rh_db_text(row->waiting_for);
    if (row->format) {
        rh_format_parse(row->format, &delivery->format);
    }
    delivery->target_url = rh_db_text(row->target_url);
    delivery->base_url = row->base_url ? row->base_url : "";
    delivery->event.key = rh_db_text(row->key);
    delivery->event.time = rh_db_number(row->time) * 1000;
    delivery->event.source = read_source(row->source);
    delivery->event.traceparent = rh_db_text(row->traceparent);
    delivery->created_at = rh_uuid_time(delivery->id);
    return delivery;
}

/** What a filter's conditions are to a statement. */
typedef struct conditions_t {
    const char *lowest, *end;
    const char *state;
    const char *status_from, *status_end;
} conditions_t;

static conditions_t read_filter(const rh_delivery_filter_t *filter, const char *before,
                                apr_pool_t *pool)
{
    conditions_t is = {0};

    rh_store_range(pool, filter->from, filter->to, before, &is.lowest, &is.end);
    is.state =
        filter->state < 0 ? NULL : rh_delivery_state_name((rh_delivery_state_t)filter->state);
    is.status_from = rh_store_number(pool, filter->status_from);
    is.status_end = rh_store_number(pool, filter->status_end > 0 ? filter->status_end : 1000);
    return is;
}

/** What the fragment delivery_page takes. */
#define PAGE_OF(filter, is)                                                                        \
    .type = (filter)->type, .state = (is).state, .lowest = (is).lowest, .end = (is).end,           \
    .status_from = (is).status_from, .status_end = (is).status_end

apr_status_t rh_store_delivery_rows(rh_db_t *db, const char *tenant,
                                    const rh_delivery_filter_t *filter, const rh_page_t *page,
                                    apr_pool_t *pool, apr_array_header_t **rows)
{
    conditions_t is = read_filter(filter, page->before, pool);
    const char *limit = rh_store_number(pool, page->limit);

    *rows = apr_array_make(pool, 1, sizeof(const char **));
    if (is_search(&filter->search)) {
        return rh_db_fetch(db,
                           RH_QUERY(delivery_list_searched, .tenant = tenant, .limit = limit,
                                    .subscription_id = filter->subscription_id, PAGE_OF(filter, is),
                                    SEARCH_OF(filter)),
                           pool, rows);
    }
    if (filter->subscription_id) {
        return rh_db_fetch(db,
                           RH_QUERY(delivery_list_subscription, .tenant = tenant, .limit = limit,
                                    .subscription_id = filter->subscription_id,
                                    PAGE_OF(filter, is)),
                           pool, rows);
    }
    if (filter->event_id) {
        return rh_db_fetch(db,
                           RH_QUERY(delivery_list_event, .tenant = tenant, .limit = limit,
                                    .event_id = filter->event_id, PAGE_OF(filter, is)),
                           pool, rows);
    }
    return rh_db_fetch(
        db, RH_QUERY(delivery_list, .tenant = tenant, .limit = limit, PAGE_OF(filter, is)), pool,
        rows);
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
        APR_ARRAY_PUSH(*deliveries, rh_delivery_t *) =
            read_delivery(RH_ROW(delivery_list, listing.rows, i), pool);
    }
    return APR_SUCCESS;
}

apr_status_t rh_store_delivery_count(rh_store_t *store, const char *tenant,
                                     const rh_delivery_filter_t *filter, apr_pool_t *pool,
                                     apr_int64_t *count)
{
    conditions_t is = read_filter(filter, NULL, pool);
    apr_array_header_t *rows;
    apr_status_t status = rh_store_fetch(store->source,
                                         RH_QUERY(delivery_count, .tenant = tenant,
                                                  .subscription_id = filter->subscription_id,
                                                  PAGE_OF(filter, is), SEARCH_OF(filter)),
                                         pool, &rows);

    if (status == APR_SUCCESS) {
        *count = rh_db_number(RH_ROW(delivery_count, rows, 0)->count);
    }
    return status;
}

static rh_attempt_t *read_attempt(const rh_attempt_list_row_t *row, apr_pool_t *pool)
{
    rh_attempt_t *attempt = apr_pcalloc(pool, sizeof(*attempt));

    attempt->id = row->id;
    attempt->number = (int)rh_db_number(row->number);
    attempt->started_at = rh_db_number(row->started_at) * 1000;
    attempt->duration = rh_db_number(row->ms) * 1000;
    attempt->status_code = (int)rh_db_number(row->status_code);
    attempt->headers = rh_db_text(row->headers);
    attempt->answer = row->answer;
    attempt->error = rh_db_text(row->error);
    attempt->sent = rh_db_text(row->sent);
    return attempt;
}

typedef struct get_t {
    const char *tenant, *id;
    apr_array_header_t *delivery, *attempts;
} get_t;

static apr_status_t get_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    get_t *get = baton;
    apr_status_t status = rh_db_fetch(
        db, RH_QUERY(delivery_get, .tenant = get->tenant, .id = get->id), pool, &get->delivery);

    if (status == APR_SUCCESS) {
        status =
            rh_db_fetch(db, RH_QUERY(attempt_list, .tenant = get->tenant, .delivery_id = get->id),
                        pool, &get->attempts);
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
    const char *data, *format;
    rh_delivery_t *delivery;

    if (status == APR_SUCCESS && get.delivery->nelts == 0) {
        status = APR_NOTFOUND;
    }
    if (status != APR_SUCCESS) {
        return status;
    }
    delivery = read_delivery(RH_ROW(delivery_list, get.delivery, 0), pool);
    data = RH_ROW(delivery_get, get.delivery, 0)->data;
    delivery->event.data.data = data;
    delivery->event.data.len = data ? strlen(data) : 0;
    delivery->attempts = apr_array_make(pool, get.attempts->nelts + 1, sizeof(rh_attempt_t *));
    for (int i = get.attempts->nelts - 1; i >= 0; i--) {
        APR_ARRAY_PUSH(delivery->attempts, rh_attempt_t *) =
            read_attempt(RH_ROW(attempt_list, get.attempts, i), pool);
    }
    set_sent_url(delivery, pool);
    /* The last one: rows are newest first. Attempts of before version 2 don't tell. */
    format = get.attempts->nelts > 0 ? RH_ROW(attempt_list, get.attempts, 0)->format : NULL;
    if (rh_db_text(format)) {
        rh_format_parse(format, &delivery->format);
    }
    *row = delivery;
    return APR_SUCCESS;
}
