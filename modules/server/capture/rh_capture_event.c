/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_capture.h"

#include "rh_json_diff.h"
#include "rh_uuid.h"

#include <string.h>

/** Make the data of an event without data of its own: {"key":…}. */
static rh_bytes_t make_stand_in(apr_pool_t *pool, const char *key, bool truncated)
{
    const char *quoted = key ? rh_json_quote(pool, key, strlen(key)) : "null";
    const char *text =
        apr_pstrcat(pool, "{\"key\":", quoted, truncated ? ",\"truncated\":true}" : "}", NULL);
    return (rh_bytes_t){text, strlen(text)};
}

/** The inputs for judging an item and making its event. */
typedef struct making_t {
    rh_capture_t *capture;
    request_rec *r; /**< the request that expressions evaluate */
    rh_match_t *match;
    rh_item_t *item;
    int index; /**< index of the item among those of the match */
    const char *key, *tenant;
    const rh_json_tree_t *before; /**< its earlier state; NULL: none, or unknown */
} making_t;

/**
 * Return the value of an option that is a query on the item; NULL: it is not, or selects nothing.
 */
static const char *query_item(const making_t *making, const rh_rule_value_t *value)
{
    return value->query ? rh_item_text(making->capture, rh_item_tree(making->capture, making->item),
                                       value->query)
                        : NULL;
}

/**
 * Judge an item, and find tenant and key of its event. @return false and *why: it gives none
 */
static bool judge_item(making_t *making, rh_miss_t *why)
{
    const rh_rule_t *rule = making->match->rule;
    rh_capture_t *capture = making->capture;
    rh_item_t *item = making->item;
    const rh_json_tree_t *tree;

    if (rule->by_item && !rh_match_when(capture, making->match, making->r, why)) {
        return false;
    }
    *why = RH_MISS_NO_TENANT;
    making->tenant = making->match->tenant;
    if (!making->tenant) {
        making->tenant =
            rh_match_tenant(capture, making->match, making->r, query_item(making, &rule->tenant));
        if (!making->tenant) {
            return false;
        }
    }
    making->key = rh_match_key(capture, making->match, making->r, query_item(making, &rule->key));
    if (!making->key && item->data.data) {
        making->key = rh_event_key(capture->r->pool, item->data.data, item->data.len);
    }
    if (!rule->with_before && !rule->unless_unchanged) {
        return true;
    }
    tree = rh_item_tree(capture, item);
    if (!tree || !rh_item_before(capture, making->match, making->key, &making->before)) {
        return true;
    }
    *why = RH_MISS_UNCHANGED;
    return !rule->unless_unchanged || !rh_json_same(tree, 0, making->before, 0);
}

/** True if an earlier match has given its event the same idempotency key. */
static bool is_second_id(const rh_capture_t *capture, const rh_match_t *match)
{
    for (int i = 0; i < capture->matches->nelts; i++) {
        const rh_match_t *other = &APR_ARRAY_IDX(capture->matches, i, rh_match_t);

        if (other == match) {
            break;
        }
        if (other->rule->id.expression || other->rule->id.query) {
            return true;
        }
    }
    return false;
}

/**
 * Return the idempotency key. If a request makes several events, the key of each one after the
 * first ends with its type or the number of its item, so that a repeated request yields the same
 * keys.
 */
static const char *find_id(const making_t *making)
{
    const rh_rule_t *rule = making->match->rule;
    apr_pool_t *pool = making->capture->r->pool;
    const char *id = query_item(making, &rule->id), *error = NULL;

    if (rule->id.expression) {
        id = ap_expr_str_exec(making->r, rule->id.expression, &error);
    }
    if (!id || !*id || error) {
        return NULL;
    }
    if (is_second_id(making->capture, making->match)) {
        id = apr_pstrcat(pool, id, "/", rule->type, NULL);
    }
    if (rule->each && rule->id.expression && making->index > 0) {
        id = apr_psprintf(pool, "%s/%d", id, making->index);
    }
    if (rh_name_valid(id, strlen(id))) {
        return id;
    }
    rh_log(&making->capture->config->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0614",
           "%s: the id of a %s is not a valid name; the event has none", rule->type,
           making->capture->r->method);
    return NULL;
}

static void make_event(const making_t *making, rh_event_t *event)
{
    rh_capture_t *capture = making->capture;
    apr_pool_t *pool = capture->r->pool;
    const rh_rule_t *rule = making->match->rule;
    rh_item_t *item = making->item;
    char *id = apr_palloc(pool, RH_UUID_LEN + 1);

    rh_uuid_make(id);
    event->id = id;
    event->tenant = making->tenant;
    event->type = rule->type;
    event->key = making->key;
    event->client_id = find_id(making);
    event->traceparent = rh_request_traceparent(capture->r);
    event->time = apr_time_now();
    event->source = rule->observe ? RH_SOURCE_OBSERVED : RH_SOURCE_CAPTURE;
    event->reason = item->reason;
    event->data = item->data;
    rh_server_count_hops(capture->r, event);
    if (rule->with_before && making->before && item->tree) {
        event->previous = rh_json_diff(pool, item->tree, 0, making->before, 0);
    }
    if (!event->data.data) {
        bool truncated = item->reason && strcmp(item->reason, RH_REASON_TRUNCATED) == 0;

        event->data = make_stand_in(pool, event->key, truncated);
        if (truncated) {
            rh_log(&capture->config->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0611",
                   "event %s (%s): the data is larger than RestHooksMaxData, too slow or broke "
                   "off; the event has only its key",
                   event->id, event->type);
        }
    }
}

static void log_lost(const rh_capture_t *capture, const rh_event_t *event, apr_status_t status)
{
    if (event->source == RH_SOURCE_OBSERVED) {
        rh_log(&capture->config->log, RH_LOG_NOTICE, status, "RH0613",
               "what a rule for %s observed could not be recorded", event->type);
        return;
    }
    rh_metrics_count(capture->config->metrics, RH_COUNT_EVENTS_LOST);
    rh_log(&capture->config->log, RH_LOG_EMERG, status, "RH0612",
           "event %s is lost: type %s, tenant %s, key %s: it could not be stored", event->id,
           event->type, event->tenant, event->key ? event->key : "(none)");
}

/** Name the events that will be sent in the response header, if RestHooksExposeEventId is On. */
static void expose_ids(const rh_capture_t *capture, request_rec *r, const rh_commit_t *items,
                       int count)
{
    const char *ids = NULL;

    if (rh_dir_config(capture->r)->expose_event_id != 1) {
        return;
    }
    for (int i = 0; i < count; i++) {
        if (items[i].status == APR_SUCCESS && items[i].event->source != RH_SOURCE_OBSERVED) {
            ids = ids ? apr_pstrcat(r->pool, ids, ", ", items[i].stored_id, NULL)
                      : items[i].stored_id;
        }
    }
    if (ids) {
        apr_table_setn(r->headers_out, "X-Hook-Event-Id", ids);
    }
}

/**
 * Store captured events. This is the only way in which they reach the store. The client gets its
 * response whether or not this succeeds.
 */
static void store_events(const rh_capture_t *capture, request_rec *r, rh_commit_t *items, int count)
{
    apr_status_t status = rh_server_commit(capture->r, items, count);

    for (int i = 0; i < count; i++) {
        apr_status_t own = status != APR_SUCCESS ? status : items[i].status;
        if (own != APR_SUCCESS) {
            log_lost(capture, items[i].event, own);
        }
    }
    if (status == APR_SUCCESS) {
        expose_ids(capture, r, items, count);
    }
}

/** Make the events of one match. @param items of rh_commit_t, appended to */
static void make_events(rh_capture_t *capture, rh_match_t *match, request_rec *r,
                        apr_array_header_t *items)
{
    apr_array_header_t *selected = rh_items_select(capture, match);
    const char **hidden = rh_match_enter(match, r);

    if (selected->nelts == 0) {
        rh_match_miss(capture, match, RH_MISS_NO_ITEM);
    }
    capture->item_match = match;
    for (int i = 0; i < selected->nelts; i++) {
        making_t making = {.capture = capture,
                           .r = r,
                           .match = match,
                           .item = &APR_ARRAY_IDX(selected, i, rh_item_t),
                           .index = i};
        rh_miss_t why;

        capture->item = making.item;
        if (!judge_item(&making, &why)) {
            rh_match_miss(capture, match, why);
        } else {
            rh_event_t *event = apr_pcalloc(capture->r->pool, sizeof(*event));
            rh_commit_t *item = apr_array_push(items);

            make_event(&making, event);
            item->event = event;
        }
    }
    capture->item_match = NULL;
    capture->item = NULL;
    rh_match_leave(match, r, hidden);
}

void rh_capture_finish(rh_capture_t *capture, request_rec *answered)
{
    apr_array_header_t *items = apr_array_make(capture->r->pool, 1, sizeof(rh_commit_t));
    request_rec *r = rh_capture_merged(capture, answered);

    capture->answered = answered;
    capture->request = rh_copy_body(&capture->request_copy, capture->request_complete,
                                    apr_table_get(capture->r->headers_in, "Content-Encoding"));
    capture->request.content_type = apr_table_get(capture->r->headers_in, "Content-Type");
    for (int i = 0; i < capture->matches->nelts; i++) {
        rh_match_t *match = &APR_ARRAY_IDX(capture->matches, i, rh_match_t);

        if (match->live) {
            make_events(capture, match, r, items);
        }
    }
    if (items->nelts > 0) {
        store_events(capture, answered, (rh_commit_t *)(void *)items->elts, items->nelts);
    }
}
