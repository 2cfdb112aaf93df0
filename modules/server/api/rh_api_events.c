/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* /events: the log of events, and publishing. */
#include "rh_api.h"

#include "rh_event_type.h"
#include "rh_time.h"

#include <http_protocol.h>

/** Maximum number of deliveries shown per event. */
#define MAX_DELIVERIES 100

/** Number of events whose deliveries are read first. */
#define FIRST_EVENTS 4

/** Approximate maximum size of a page of the list, and maximum number of deliveries in it, which
 * take most of the time; the next page continues. */
#define MAX_PAGE_BYTES (1024 * 1024)
#define MAX_PAGE_DELIVERIES 600
/** Approximate size of an event without its data, and of each of its deliveries. */
#define EVENT_BYTES 500
#define DELIVERY_BYTES 450

static struct json_object *event_json(const rh_event_t *event, apr_pool_t *pool)
{
    struct json_object *tree = json_object_new_object();
    bool observed = event->source == RH_SOURCE_OBSERVED;
    rh_event_source_t source = observed ? RH_SOURCE_CAPTURE : event->source;

    json_object_object_add(tree, "id", json_object_new_string(event->id));
    json_object_object_add(tree, "type", json_object_new_string(event->type));
    json_object_object_add(tree, "key", rh_json_new_text(event->key));
    json_object_object_add(tree, "time", json_object_new_string(rh_time_format(pool, event->time)));
    json_object_object_add(tree, "source", json_object_new_string(rh_event_source_name(source)));
    json_object_object_add(tree, "observed", json_object_new_boolean(observed));
    json_object_object_add(tree, "traceparent", rh_json_new_text(event->traceparent));
    json_object_object_add(tree, "reason", rh_json_new_text(event->reason));
    json_object_object_add(tree, "hops", json_object_new_int(event->hops));
    json_object_object_add(tree, "data_bytes",
                           json_object_new_int64((apr_int64_t)event->data_bytes));
    if (event->data.len < event->data_bytes) {
        json_object_object_add(tree, "data", NULL);
        json_object_object_add(tree, "preview",
                               json_object_new_string_len(event->data.data, (int)event->data.len));
    } else {
        json_object_object_add(tree, "data", rh_json_raw(event->data.data, event->data.len));
    }
    json_object_object_add(
        tree, "previous",
        event->previous.data ? rh_json_raw(event->previous.data, event->previous.len) : NULL);
    return tree;
}

/** Events whose JSON is made, in their order. */
typedef struct showing_t {
    rh_api_t *api;
    const apr_array_header_t *events;
    apr_array_header_t *deliveries; /**< of those that were read last */
    int read;                       /**< number of events whose deliveries were read */
    int at;                         /**< next of the deliveries */
    apr_size_t bytes;               /**< approximate size so far */
    apr_size_t shown;               /**< number of deliveries so far */
} showing_t;

static bool has_room(const showing_t *showing)
{
    return showing->bytes < MAX_PAGE_BYTES && showing->shown < MAX_PAGE_DELIVERIES;
}

/** Estimate how many more events the page has room for, by those that it has. */
static int estimate_room(const showing_t *showing)
{
    apr_size_t read = (apr_size_t)showing->read, by_bytes, by_number;

    if (read == 0) {
        return FIRST_EVENTS;
    }
    by_bytes = (MAX_PAGE_BYTES - showing->bytes) * read / showing->bytes;
    by_number = (MAX_PAGE_DELIVERIES - showing->shown) * read / (showing->shown + 1);
    return (int)(by_bytes < by_number ? by_bytes : by_number) + 1;
}

static apr_status_t read_more(showing_t *showing)
{
    apr_pool_t *pool = showing->api->r->pool;
    int end = showing->read + estimate_room(showing);
    apr_array_header_t *ids = apr_array_make(pool, FIRST_EVENTS, sizeof(const char *));

    while (showing->read < end && showing->read < showing->events->nelts) {
        APR_ARRAY_PUSH(ids, const char *) =
            APR_ARRAY_IDX(showing->events, showing->read, rh_event_t *)->id;
        showing->read++;
    }
    showing->at = 0;
    return rh_store_event_deliveries(showing->api->store, showing->api->tenant, ids, MAX_DELIVERIES,
                                     pool, &showing->deliveries);
}

/** Make the JSON of the i-th event with its deliveries, and add up its size; the caller's
 * reference. */
static apr_status_t full_json(showing_t *showing, int i, struct json_object **tree)
{
    const rh_event_t *event = APR_ARRAY_IDX(showing->events, i, rh_event_t *);
    apr_status_t status = i == showing->read ? read_more(showing) : APR_SUCCESS;
    struct json_object *deliveries;
    apr_size_t count;

    if (status != APR_SUCCESS) {
        return status;
    }
    deliveries = json_object_new_array();
    for (; showing->at < showing->deliveries->nelts; showing->at++) {
        const rh_delivery_t *row = APR_ARRAY_IDX(showing->deliveries, showing->at, rh_delivery_t *);

        if (strcmp(row->event.id, event->id) != 0) {
            break;
        }
        json_object_array_add(deliveries, rh_delivery_json(row, showing->api->r->pool));
    }
    count = json_object_array_length(deliveries);
    showing->shown += count;
    showing->bytes += event->data.len + event->previous.len + EVENT_BYTES + DELIVERY_BYTES * count;
    *tree = event_json(event, showing->api->r->pool);
    json_object_object_add(*tree, "deliveries", deliveries);
    return APR_SUCCESS;
}

/** Read the parameters of the list; an invalid one is a problem 400. */
static void read_event_filter(rh_api_t *api, rh_event_filter_t *filter)
{
    const char *type = apr_table_get(api->query, "type");
    const char *event = apr_table_get(api->query, "event");
    const char *unmatched = apr_table_get(api->query, "unmatched");

    filter->from = rh_api_time(api, "from");
    filter->to = rh_api_time(api, "to");
    filter->type = type ? type : event;
    if (type && event) {
        rh_problem_set(api->problem, 400, "type and event are aliases; give only one.");
    }
    if (filter->type && !rh_event_type_valid(filter->type, strlen(filter->type))) {
        rh_problem_set(api->problem, 400, "The parameter %s must be an event type.",
                       event ? "event" : "type");
    }
    filter->unmatched = unmatched && strcmp(unmatched, "true") == 0;
    if (unmatched && !filter->unmatched && strcmp(unmatched, "false") != 0) {
        rh_problem_set(api->problem, 400, "The parameter unmatched must be true or false.");
    }
    if (rh_api_read_search(api, &filter->search) || filter->unmatched) {
        rh_api_bound_search(&filter->from, &filter->to);
    }
}

int rh_api_events_list(rh_api_t *api)
{
    rh_page_t page = rh_api_page(api);
    rh_event_filter_t filter = {0};
    showing_t showing = {.api = api};
    const char *stopped, *next;
    struct json_object *array;
    apr_array_header_t *rows;
    apr_status_t status;
    int i;

    read_event_filter(api, &filter);
    if (rh_problem_is(api->problem)) {
        return rh_api_problem(api);
    }
    status =
        rh_store_event_list(api->store, api->tenant, &filter, &page, api->r->pool, &rows, &stopped);
    if (status != APR_SUCCESS) {
        return rh_api_store_error(api, status);
    }
    array = rh_json_own(api->r->pool, json_object_new_array());
    showing.events = rows;
    for (i = 0; i < rows->nelts && i < page.limit - 1 && has_room(&showing); i++) {
        struct json_object *tree;

        status = full_json(&showing, i, &tree);
        if (status != APR_SUCCESS) {
            return rh_api_store_error(api, status);
        }
        json_object_array_add(array, tree);
    }
    next = i < rows->nelts ? APR_ARRAY_IDX(rows, i - 1, rh_event_t *)->id : stopped;
    if (stopped || filter.unmatched || rh_store_is_search(&filter.search)) {
        rh_api_name_searched(api, &page, filter.from, filter.to, next);
    }
    return rh_api_list(api, json_object_get(array), next);
}

int rh_api_event_get(rh_api_t *api)
{
    apr_array_header_t *one = apr_array_make(api->r->pool, 1, sizeof(rh_event_t *));
    showing_t showing = {.api = api, .events = one};
    struct json_object *tree;
    apr_status_t status;

    if (!rh_api_uuid_parameter(api)) {
        return rh_api_problem(api);
    }
    status = rh_store_event_get(api->store, api->tenant, api->parameter, api->r->pool,
                                apr_array_push(one));
    if (status == APR_SUCCESS) {
        status = full_json(&showing, 0, &tree);
    }
    return status == APR_SUCCESS ? rh_api_json(api, HTTP_OK, tree)
                                 : rh_api_store_error(api, status);
}

/* ---- publishing ---- */

/** Report types that the catalogue does not have as invalid fields. */
static void check_types(rh_api_t *api, const apr_array_header_t *events, bool batch)
{
    int i;

    for (i = 0; i < events->nelts && api->config->settings.types->nelts > 0; i++) {
        const rh_event_t *event = APR_ARRAY_IDX(events, i, rh_event_t *);

        if (!rh_api_find_type(api->config, event->type)) {
            rh_problem_field(api->problem,
                             batch ? apr_psprintf(api->r->pool, "[%d].type", i) : "type",
                             "is not an event type of this server");
        }
    }
}

/**
 * Respond with the ids of the stored events. The JSON is written by hand, because a tree would cost
 * more than everything else this module does for the response.
 */
static int answer_ids(rh_api_t *api, const rh_commit_t *items, int count, bool batch)
{
    rh_buffer_t text = {.pool = api->r->pool};

    rh_buffer_add(&text, "{", 1);
    if (!batch) {
        rh_buffer_add(&text, "\"id\":", 5);
        rh_json_add_quoted(&text, items[0].stored_id, strlen(items[0].stored_id));
        rh_buffer_add(&text, ",", 1);
    }
    rh_buffer_add(&text, "\"ids\":[", 7);
    for (int i = 0; i < count; i++) {
        rh_buffer_add(&text, ",", i > 0);
        rh_json_add_quoted(&text, items[i].stored_id, strlen(items[i].stored_id));
    }
    rh_buffer_add(&text, "]}", 2);
    return rh_api_text(api, HTTP_ACCEPTED, "application/json", text.data, text.len);
}

int rh_api_events_publish(rh_api_t *api)
{
    const rh_server_config_t *config = api->config;
    apr_pool_t *pool = api->r->pool;
    bool admin = rh_request_is_admin(api->r), batch = false;
    const char *traceparent = rh_request_traceparent(api->r);
    apr_size_t max = RH_API_MAX_EVENTS_BODY;
    rh_bytes_t body = {NULL, 0};
    apr_array_header_t *events;
    rh_commit_t *items;
    apr_status_t status;
    int i;

    if (!admin && !rh_request_is_publisher(api->r)) {
        return rh_api_error(api, 403, "Only publishers may post events.");
    }
    if (max < (apr_size_t)config->settings.max_data + 65536) {
        max = (apr_size_t)config->settings.max_data + 65536;
    }
    rh_api_read_body(api, max, &body);
    if (!rh_problem_is(api->problem)) {
        rh_event_read(body.data, body.len, api->tenant, (apr_size_t)config->settings.max_data, pool,
                      &events, &batch, api->problem);
    }
    if (!rh_problem_is(api->problem)) {
        check_types(api, events, batch);
    }
    if (rh_problem_is(api->problem)) {
        return rh_api_problem(api);
    }
    items = apr_pcalloc(pool, (apr_size_t)(events->nelts + 1) * sizeof(*items));
    for (i = 0; i < events->nelts; i++) {
        rh_event_t *event = APR_ARRAY_IDX(events, i, rh_event_t *);

        event->traceparent = traceparent;
        rh_server_count_hops(api->r, event);
        items[i].event = event;
    }
    status = rh_server_commit(api->r, items, events->nelts);
    for (i = 0; i < events->nelts && status == APR_SUCCESS; i++) {
        status = items[i].status;
    }
    if (status != APR_SUCCESS) {
        return rh_api_store_error(api, status);
    }
    return answer_ids(api, items, events->nelts, batch);
}
