/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_capture.h"

#include "rh_uuid.h"

#include <string.h>

/** The data of an event whose own data is not there: {"key":…}. */
static rh_bytes_t stand_in(apr_pool_t *pool, const char *key, bool truncated)
{
    const char *quoted = key ? rh_json_quote(pool, key, strlen(key)) : "null";
    const char *text =
        apr_pstrcat(pool, "{\"key\":", quoted, truncated ? ",\"truncated\":true}" : "}", NULL);
    return (rh_bytes_t){text, strlen(text)};
}

static void make_event(const rh_capture_t *capture, const rh_match_t *match, const rh_body_t *body,
                       rh_event_t *event)
{
    apr_pool_t *pool = capture->r->pool;
    char *id = apr_palloc(pool, RH_UUID_LEN + 1);

    rh_uuid_make(id);
    event->id = id;
    event->tenant = match->tenant;
    event->type = match->rule->type;
    event->key = rh_match_key(capture, match);
    event->traceparent = rh_request_traceparent(capture->r);
    event->time = apr_time_now();
    event->source = match->rule->observe ? RH_SOURCE_OBSERVED : RH_SOURCE_CAPTURE;
    rh_server_count_hops(capture->r, event);
    if (body->state == RH_BODY_WHOLE) {
        event->data = body->bytes;
        if (!event->key) {
            event->key = rh_event_key(pool, body->bytes.data, body->bytes.len);
        }
        return;
    }
    event->data = stand_in(pool, event->key, body->state == RH_BODY_CUT);
    if (body->state == RH_BODY_CUT) {
        rh_log(&capture->config->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0611",
               "event %s (%s): the data is larger than RestHooksMaxData, too slow or broke off; "
               "the event has only its key",
               event->id, event->type);
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

/** Name the events that will be sent in the answer's header, where RestHooksExposeEventId is On. */
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

/** The one place through which captured events go to the store. The client is served whatever
 * comes of it. */
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

void rh_capture_finish(rh_capture_t *capture, request_rec *r, rh_body_t *response, rh_body_t *after)
{
    rh_body_t request = rh_copy_body(&capture->request_copy, capture->request_complete,
                                     apr_table_get(capture->r->headers_in, "Content-Encoding"));
    rh_body_t *bodies[] = {[RH_DATA_RESPONSE] = response,
                           [RH_DATA_REQUEST] = &request,
                           [RH_DATA_BEFORE] = &capture->before,
                           [RH_DATA_AFTER] = after};
    static const char *const names[] = {[RH_DATA_RESPONSE] = "response",
                                        [RH_DATA_REQUEST] = "request",
                                        [RH_DATA_BEFORE] = "GET before",
                                        [RH_DATA_AFTER] = "GET after"};
    bool settled[4] = {false};
    int most = capture->matches->nelts, count = 0;
    rh_commit_t *items = apr_pcalloc(r->pool, sizeof(*items) * (apr_size_t)most);
    rh_event_t *events = apr_pcalloc(r->pool, sizeof(*events) * (apr_size_t)most);

    for (int i = 0; i < most; i++) {
        const rh_match_t *match = &APR_ARRAY_IDX(capture->matches, i, rh_match_t);
        rh_data_source_t source = match->rule->data;
        if (!match->live) {
            continue;
        }
        if (!settled[source]) {
            rh_capture_settle(capture, bodies[source], names[source]);
        }
        settled[source] = true;
        make_event(capture, match, bodies[source], &events[count]);
        items[count].event = &events[count];
        count++;
    }
    if (count > 0) {
        store_events(capture, r, items, count);
    }
}
