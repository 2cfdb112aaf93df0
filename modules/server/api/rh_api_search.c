/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Parameters of lists: what is searched for in events, and which deliveries are shown. */
#include "rh_api.h"

#include "rh_event_type.h"
#include "rh_time.h"
#include "rh_uuid.h"

/** Maximum period that is searched. */
#define MAX_SEARCH apr_time_from_sec(7 * 86400)

/**
 * Return the sources of the parameter `source` as a JSON array; observed events are also captured.
 */
static const char *read_sources(rh_api_t *api, const char *source)
{
    static const char *const names[] = {"publish", "sql", "test"};

    if (strcmp(source, "capture") == 0) {
        return "[\"capture\",\"observed\"]";
    }
    for (apr_size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(source, names[i]) == 0) {
            return apr_pstrcat(api->r->pool, "[\"", names[i], "\"]", NULL);
        }
    }
    rh_problem_set(api->problem, 400,
                   "The parameter source must be capture, publish, sql or test.");
    return NULL;
}

bool rh_api_read_search(rh_api_t *api, rh_search_t *search)
{
    const char *source = apr_table_get(api->query, "source");
    const char *text = apr_table_get(api->query, "q");

    search->key = apr_table_get(api->query, "key");
    search->sources = source ? read_sources(api, source) : NULL;
    search->text = text && *text ? text : NULL;
    return rh_store_is_search(search);
}

void rh_api_bound_search(apr_time_t *from, apr_time_t *to)
{
    apr_time_t now = apr_time_now();

    if (*to == 0 || *to > now) {
        *to = now + apr_time_from_sec(60);
    }
    if (*from < *to - MAX_SEARCH) {
        *from = *to - MAX_SEARCH;
    }
}

void rh_api_name_searched(rh_api_t *api, const rh_page_t *page, apr_time_t from, apr_time_t to,
                          const char *next)
{
    apr_time_t until = to > 0 ? to : apr_time_now();
    apr_time_t before = page->before ? rh_uuid_time(page->before) : until;

    apr_table_setn(
        api->r->headers_out, "X-Hook-Searched",
        apr_pstrcat(api->r->pool, rh_time_format(api->r->pool, next ? rh_uuid_time(next) : from),
                    "/", rh_time_format(api->r->pool, before < until ? before : until), NULL));
}

/** Read the parameter `status` of a list: a code, a class such as 5xx, or none. */
static void read_status(rh_api_t *api, rh_delivery_filter_t *filter)
{
    const char *text = apr_table_get(api->query, "status");

    if (!text) {
        return;
    }
    if (strcmp(text, "none") == 0) {
        filter->status_end = 1;
    } else if (strlen(text) == 3 && *text >= '1' && *text <= '9' && strcmp(text + 1, "xx") == 0) {
        filter->status_from = (*text - '0') * 100;
        filter->status_end = filter->status_from + 100;
    } else if (strlen(text) == 3 && strspn(text, "0123456789") == 3 && *text != '0') {
        filter->status_from = atoi(text);
        filter->status_end = filter->status_from + 1;
    } else {
        rh_problem_set(api->problem, 400, "The parameter status must be like 404 or 5xx, or none.");
    }
}

void rh_api_read_delivery_filter(rh_api_t *api, rh_delivery_filter_t *filter)
{
    const char *state = apr_table_get(api->query, "state");
    rh_delivery_state_t parsed;

    if (!filter->subscription_id) {
        filter->subscription_id = apr_table_get(api->query, "subscription");
    }
    filter->type = apr_table_get(api->query, "event");
    filter->from = rh_api_time(api, "from");
    filter->to = rh_api_time(api, "to");
    filter->state = -1;
    read_status(api, filter);
    if (filter->subscription_id &&
        !rh_uuid_valid(filter->subscription_id, strlen(filter->subscription_id))) {
        rh_problem_set(api->problem, 400, "The parameter subscription must be an id.");
    }
    if (state && !rh_delivery_state_parse(state, &parsed)) {
        rh_problem_set(api->problem, 400,
                       "The parameter state must be pending, delivered, failed or cancelled.");
    } else if (state) {
        filter->state = (int)parsed;
    }
    if (filter->type && !rh_event_type_valid(filter->type, strlen(filter->type))) {
        rh_problem_set(api->problem, 400, "The parameter event must be an event type.");
    }
    if (rh_api_read_search(api, &filter->search)) {
        rh_api_bound_search(&filter->from, &filter->to);
    }
}
