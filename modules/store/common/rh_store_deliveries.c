/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * Read deliveries and their attempts for the API.
 *
 * A page of a list takes about as long whatever is in the tables: where conditions have no index,
 * what is looked at is bounded, and the page says where it stopped.
 */
#include "rh_rows.h"
#include "rh_sent.h"
#include "rh_store_private.h"
#include "rh_uuid.h"

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
    delivery->event.source = rh_store_read_source(row->source);
    delivery->event.traceparent = rh_db_text(row->traceparent);
    delivery->created_at = rh_uuid_time(delivery->id);
    return delivery;
}

static apr_array_header_t *read_deliveries(const apr_array_header_t *rows, apr_pool_t *pool)
{
    apr_array_header_t *deliveries = apr_array_make(pool, rows->nelts + 1, sizeof(rh_delivery_t *));

    for (int i = 0; i < rows->nelts; i++) {
        APR_ARRAY_PUSH(deliveries, rh_delivery_t *) =
            read_delivery(RH_ROW(delivery_list, rows, i), pool);
    }
    return deliveries;
}

/** A filter's conditions as arguments of a statement. */
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

/** True if there are conditions that no index supports. */
static bool is_filtered(const rh_delivery_filter_t *filter)
{
    return filter->type || filter->state >= 0 || filter->status_from > 0 ||
           filter->status_end > 0 || rh_store_is_search(&filter->search);
}

/** True if the conditions exclude delivered ones, whose last status code is 2xx. */
static bool is_undelivered(const rh_delivery_filter_t *filter)
{
    return filter->state == RH_DELIVERY_FAILED || filter->state == RH_DELIVERY_CANCELLED ||
           filter->status_from >= 300 || (filter->status_end > 0 && filter->status_end <= 200);
}

/** Arguments of the statements that list deliveries. */
#define PAGE_OF(tenant_id, filter, is)                                                             \
    .tenant = (tenant_id), .type = (filter)->type, .state = (is).state, .lowest = (is).lowest,     \
    .end = (is).end, .status_from = (is).status_from, .status_end = (is).status_end,               \
    .subscription_id = (filter)->subscription_id, .key = (filter)->search.key,                     \
    .sources = (filter)->search.sources, .text = (filter)->search.text
/** Arguments of the statements that find where a page has to end. */
#define RANGE_OF(tenant_id, is, most)                                                              \
    .tenant = (tenant_id), .state = (is).state, .lowest = (is).lowest, .end = (is).end,            \
    .rows = (most)

/** Find where a page has to end. @param rows receives one row, or none; not set if nothing limits
 * it */
static apr_status_t find_stop(rh_db_t *db, const char *tenant, const rh_delivery_filter_t *filter,
                              const conditions_t *is, apr_pool_t *pool, apr_array_header_t **rows)
{
    bool filtered = is_filtered(filter);
    const char *most = rh_store_number(
        pool, rh_store_is_search(&filter->search) ? RH_MOST_LOOKED_UP : RH_MOST_FILTERED);

    if (is_undelivered(filter)) {
        return rh_db_fetch(db, RH_QUERY(delivery_stop_undelivered, RANGE_OF(tenant, *is, most)),
                           pool, rows);
    }
    if (filter->subscription_id) {
        return rh_db_fetch(db,
                           RH_QUERY(delivery_stop_subscription,
                                    .subscription_id = filter->subscription_id,
                                    .filtered = filtered ? "1" : NULL, RANGE_OF(tenant, *is, most)),
                           pool, rows);
    }
    return filtered
               ? rh_db_fetch(db, RH_QUERY(delivery_stop, RANGE_OF(tenant, *is, most)), pool, rows)
               : APR_SUCCESS;
}

static apr_status_t fetch_page(rh_db_t *db, const char *tenant, const rh_delivery_filter_t *filter,
                               const conditions_t *is, const char *limit, apr_pool_t *pool,
                               apr_array_header_t **rows)
{
    if (is_undelivered(filter)) {
        return rh_db_fetch(
            db, RH_QUERY(delivery_list_undelivered, .limit = limit, PAGE_OF(tenant, filter, *is)),
            pool, rows);
    }
    if (filter->subscription_id) {
        return rh_db_fetch(
            db, RH_QUERY(delivery_list_subscription, .limit = limit, PAGE_OF(tenant, filter, *is)),
            pool, rows);
    }
    return rh_db_fetch(db, RH_QUERY(delivery_list, .limit = limit, PAGE_OF(tenant, filter, *is)),
                       pool, rows);
}

apr_status_t rh_store_delivery_rows(rh_db_t *db, const char *tenant,
                                    const rh_delivery_filter_t *filter, const rh_page_t *page,
                                    apr_pool_t *pool, apr_array_header_t **rows,
                                    const char **stopped)
{
    conditions_t is = read_filter(filter, page->before, pool);
    const char *limit = rh_store_number(pool, page->limit);
    apr_status_t status;

    *stopped = NULL;
    *rows = apr_array_make(pool, 1, sizeof(const char **));
    status = find_stop(db, tenant, filter, &is, pool, rows);
    if (status == APR_SUCCESS && (*rows)->nelts > 0) {
        *stopped = is.lowest = RH_ROW(delivery_stop, *rows, 0)->id;
    }
    return status == APR_SUCCESS ? fetch_page(db, tenant, filter, &is, limit, pool, rows) : status;
}

/** A request for a page of a list of deliveries. */
typedef struct listing_t {
    const char *tenant;
    const rh_delivery_filter_t *filter;
    const rh_page_t *page;
    const char *stopped;
    apr_array_header_t *rows;
} listing_t;

static apr_status_t list_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    listing_t *listing = baton;

    return rh_store_delivery_rows(db, listing->tenant, listing->filter, listing->page, pool,
                                  &listing->rows, &listing->stopped);
}

apr_status_t rh_store_delivery_list(rh_store_t *store, const char *tenant,
                                    const rh_delivery_filter_t *filter, const rh_page_t *page,
                                    apr_pool_t *pool, apr_array_header_t **deliveries,
                                    const char **stopped)
{
    listing_t listing = {.tenant = tenant, .filter = filter, .page = page};
    apr_status_t status = rh_store_run(store->source, false, list_work, &listing, pool);

    if (status != APR_SUCCESS) {
        return status;
    }
    *deliveries = read_deliveries(listing.rows, pool);
    if (stopped) {
        *stopped = listing.stopped;
    }
    return APR_SUCCESS;
}

apr_status_t rh_store_event_deliveries(rh_store_t *store, const char *tenant,
                                       const apr_array_header_t *ids, int limit, apr_pool_t *pool,
                                       apr_array_header_t **deliveries)
{
    apr_array_header_t *rows;
    apr_status_t status = rh_store_fetch(store->source,
                                         RH_QUERY(delivery_list_events, .tenant = tenant,
                                                  .events = rh_rows_strings(pool, ids),
                                                  .limit = rh_store_number(pool, limit)),
                                         pool, &rows);

    if (status == APR_SUCCESS) {
        *deliveries = read_deliveries(rows, pool);
    }
    return status;
}

apr_status_t rh_store_delivery_count(rh_store_t *store, const char *tenant,
                                     const rh_delivery_filter_t *filter, apr_pool_t *pool,
                                     apr_int64_t *count)
{
    conditions_t is = read_filter(filter, NULL, pool);
    apr_array_header_t *rows;
    apr_status_t status = rh_store_fetch(
        store->source, RH_QUERY(delivery_count, PAGE_OF(tenant, filter, is)), pool, &rows);

    if (status == APR_SUCCESS) {
        *count = rh_db_number(RH_ROW(delivery_count, rows, 0)->count);
    }
    return status;
}

/** Return the request that was sent, from its template and the values. Rows of versions before 4
 * contain it whole. */
static const char *read_sent(const rh_attempt_list_row_t *row, const rh_event_t *event,
                             apr_pool_t *pool)
{
    const char *template = rh_db_text(row->template), *sent = rh_db_text(row->sent);

    if (!rh_db_text(row->template_id)) {
        return sent;
    }
    return template && sent ? rh_sent_join(pool, template, sent, event) : NULL;
}

static rh_attempt_t *read_attempt(const rh_attempt_list_row_t *row, const rh_event_t *event,
                                  apr_pool_t *pool)
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
    attempt->sent = read_sent(row, event, pool);
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
            read_attempt(RH_ROW(attempt_list, get.attempts, i), &delivery->event, pool);
    }
    set_sent_url(delivery, pool);
    /* Rows are newest first, so this is the last attempt. Attempts of versions before 2 have no
     * format. */
    format = get.attempts->nelts > 0 ? RH_ROW(attempt_list, get.attempts, 0)->format : NULL;
    if (rh_db_text(format)) {
        rh_format_parse(format, &delivery->format);
    }
    *row = delivery;
    return APR_SUCCESS;
}
