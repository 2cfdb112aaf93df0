/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Read the log of events for the API. */
#include "rh_store_private.h"
#include "rh_uuid.h"

rh_event_source_t rh_store_read_source(const char *name)
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
    event->source = rh_store_read_source(row->source);
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

bool rh_store_is_search(const rh_search_t *search)
{
    return search->key || search->sources || search->text;
}

/** A request for a page of events. */
typedef struct listing_t {
    const char *tenant;
    const rh_event_filter_t *filter;
    const rh_page_t *page;
    const char *lowest, *end; /**< its range of ids */
    const char *stopped;
    apr_array_header_t *rows;
} listing_t;

/** Find where the page has to end, and set its end. */
static apr_status_t bound_events(rh_db_t *db, listing_t *listing, apr_pool_t *pool)
{
    const rh_event_filter_t *filter = listing->filter;
    const char *rows =
        rh_store_number(pool, filter->unmatched ? RH_MOST_UNMATCHED : RH_MOST_SEARCHED);
    const char *bytes = rh_store_number(pool, RH_MOST_SEARCHED_BYTES);
    const char *tenant = listing->tenant, *text = filter->search.text;
    apr_array_header_t *found;
    apr_status_t status =
        filter->type
            ? rh_db_fetch(db,
                          RH_QUERY(event_stop_type, .tenant = tenant, .lowest = listing->lowest,
                                   .end = listing->end, .rows = rows, .bytes = bytes, .text = text,
                                   .type = filter->type),
                          pool, &found)
            : rh_db_fetch(db,
                          RH_QUERY(event_stop, .tenant = tenant, .lowest = listing->lowest,
                                   .end = listing->end, .rows = rows, .bytes = bytes, .text = text),
                          pool, &found);

    if (status == APR_SUCCESS && found->nelts > 0) {
        listing->stopped = listing->lowest = RH_ROW(event_stop, found, 0)->id;
    }
    return status;
}

/** Arguments of the statements that search. */
#define SEARCH_OF(listing, limit)                                                                  \
    .tenant = (listing)->tenant, .lowest = (listing)->lowest, .end = (listing)->end,               \
    .limit = (limit), .unmatched = (listing)->filter->unmatched ? "1" : NULL,                      \
    .key = (listing)->filter->search.key, .sources = (listing)->filter->search.sources,            \
    .text = (listing)->filter->search.text

static apr_status_t search_events(rh_db_t *db, listing_t *listing, const char *limit,
                                  apr_pool_t *pool)
{
    const char *type = listing->filter->type;
    apr_status_t status = bound_events(db, listing, pool);

    if (status != APR_SUCCESS) {
        return status;
    }
    return type ? rh_db_fetch(
                      db,
                      RH_QUERY(event_list_type_filtered, .type = type, SEARCH_OF(listing, limit)),
                      pool, &listing->rows)
                : rh_db_fetch(db, RH_QUERY(event_list_filtered, SEARCH_OF(listing, limit)), pool,
                              &listing->rows);
}

/** Fetch a page with the simplest statement that supports all of the filter's conditions. */
static apr_status_t list_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    listing_t *listing = baton;
    const rh_event_filter_t *filter = listing->filter;
    const char *limit = rh_store_number(pool, listing->page->limit);

    rh_store_range(pool, filter->from, filter->to, listing->page->before, &listing->lowest,
                   &listing->end);
    if (rh_store_is_search(&filter->search) || filter->unmatched) {
        return search_events(db, listing, limit, pool);
    }
    if (filter->type) {
        return rh_db_fetch(db,
                           RH_QUERY(event_list_type, .tenant = listing->tenant,
                                    .lowest = listing->lowest, .end = listing->end, .limit = limit,
                                    .type = filter->type),
                           pool, &listing->rows);
    }
    return rh_db_fetch(db,
                       RH_QUERY(event_list, .tenant = listing->tenant, .lowest = listing->lowest,
                                .end = listing->end, .limit = limit),
                       pool, &listing->rows);
}

apr_status_t rh_store_event_list(rh_store_t *store, const char *tenant,
                                 const rh_event_filter_t *filter, const rh_page_t *page,
                                 apr_pool_t *pool, apr_array_header_t **events,
                                 const char **stopped)
{
    listing_t listing = {.tenant = tenant, .filter = filter, .page = page};
    apr_status_t status = rh_store_run(store->source, false, list_work, &listing, pool);

    if (status != APR_SUCCESS) {
        return status;
    }
    *events = apr_array_make(pool, listing.rows->nelts + 1, sizeof(rh_event_t *));
    for (int i = 0; i < listing.rows->nelts; i++) {
        APR_ARRAY_PUSH(*events, rh_event_t *) =
            read_event(RH_ROW(event_get, listing.rows, i), pool);
    }
    if (stopped) {
        *stopped = listing.stopped;
    }
    return APR_SUCCESS;
}
