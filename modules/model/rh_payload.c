/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_payload.h"

#include "rh_header.h"

#include "rh_signature.h"
#include "rh_time.h"

const char *rh_payload_content_type(rh_format_t format)
{
    return format == RH_FORMAT_CLOUDEVENTS ? "application/cloudevents+json" : "application/json";
}

static const char *quote(apr_pool_t *pool, const char *text)
{
    return text ? rh_json_quote(pool, text, strlen(text)) : "null";
}

/** `head`, the data byte for byte, `tail`. */
static rh_bytes_t around_data(apr_pool_t *pool, const char *head, const rh_event_t *event,
                              const char *tail)
{
    apr_size_t head_len = strlen(head), tail_len = strlen(tail);
    char *text = apr_palloc(pool, head_len + event->data.len + tail_len + 1);
    rh_bytes_t body = {text, head_len + event->data.len + tail_len};

    memcpy(text, head, head_len);
    if (event->data.len) {
        memcpy(text + head_len, event->data.data, event->data.len);
    }
    memcpy(text + head_len + event->data.len, tail, tail_len + 1);
    return body;
}

static rh_bytes_t envelope(apr_pool_t *pool, const rh_event_t *event)
{
    const char *head =
        apr_pstrcat(pool, "{\"type\":", quote(pool, event->type), ",\"timestamp\":\"",
                    rh_time_format(pool, event->time), "\",\"data\":", NULL);

    return around_data(pool, head, event, "}");
}

/** CloudEvents 1.0, JSON event format §3. */
static rh_bytes_t cloudevent(apr_pool_t *pool, const rh_event_t *event, const char *base_url)
{
    const char *subject =
        event->key ? apr_pstrcat(pool, ",\"subject\":", quote(pool, event->key), NULL) : "";
    const char *head = apr_pstrcat(pool, "{\"specversion\":\"1.0\",\"id\":", quote(pool, event->id),
                                   ",\"source\":", quote(pool, base_url ? base_url : "/"),
                                   ",\"type\":", quote(pool, event->type), ",\"time\":\"",
                                   rh_time_format(pool, event->time), "\"", subject,
                                   ",\"datacontenttype\":\"application/json\",\"data\":", NULL);

    return around_data(pool, head, event, "}");
}

static rh_bytes_t skinny(apr_pool_t *pool, const rh_event_t *event, const char *base_url)
{
    const char *url = base_url ? apr_pstrcat(pool, base_url, "/events/", event->id, NULL) : NULL;
    rh_bytes_t body;

    body.data = apr_pstrcat(
        pool, "[{\"id\":", quote(pool, event->id), ",\"type\":", quote(pool, event->type),
        ",\"key\":", quote(pool, event->key), ",\"url\":", quote(pool, url), "}]", NULL);
    body.len = strlen(body.data);
    return body;
}

rh_bytes_t rh_payload_body(apr_pool_t *pool, rh_format_t format, const rh_event_t *event,
                           const char *base_url)
{
    switch (format) {
    case RH_FORMAT_ENVELOPE:
        return envelope(pool, event);
    case RH_FORMAT_CLOUDEVENTS:
        return cloudevent(pool, event, base_url);
    case RH_FORMAT_SKINNY:
        return skinny(pool, event, base_url);
    case RH_FORMAT_ARRAY:
        break;
    }
    return around_data(pool, "[", event, "]");
}

/** The subscription's own fields. They were checked when it was stored. */
static void own_headers(apr_pool_t *pool, const char *text, apr_table_t *headers)
{
    apr_size_t cursor = 0, len = text ? strlen(text) : 0;
    rh_json_span_t span;

    while (len && rh_json_next(text, len, &cursor, &span)) {
        rh_bytes_t quoted = {span.name.data - 1, span.name.len + 2};
        const char *name = rh_json_string(pool, quoted);
        const char *value = rh_json_string(pool, span.value);

        /* What was stored before a name became reserved is not sent. */
        if (name && value && !rh_header_reserved(name)) {
            apr_table_addn(headers, name, value);
        }
    }
}

apr_status_t rh_payload_headers(apr_pool_t *pool, const rh_job_t *job, apr_int64_t timestamp,
                                rh_bytes_t body, apr_table_t **headers)
{
    apr_table_t *table = apr_table_make(pool, 12);
    const char *signature, *old;
    apr_status_t status = rh_signature_make(pool, job->secret, job->event.id, timestamp, body.data,
                                            body.len, &signature);

    if (status != APR_SUCCESS) {
        return status;
    }
    if (job->old_secret && rh_signature_make(pool, job->old_secret, job->event.id, timestamp,
                                             body.data, body.len, &old) == APR_SUCCESS) {
        signature = apr_pstrcat(pool, signature, " ", old, NULL);
    }
    own_headers(pool, job->headers, table);
    apr_table_setn(table, "Content-Type", rh_payload_content_type(job->format));
    apr_table_setn(table, "User-Agent", "mod_resthooks/" RH_VERSION);
    apr_table_setn(table, "webhook-id", job->event.id);
    apr_table_setn(table, "webhook-timestamp", apr_psprintf(pool, "%" APR_INT64_T_FMT, timestamp));
    apr_table_setn(table, "webhook-signature", signature);
    apr_table_setn(table, "X-Hook-Event", job->event.type);
    apr_table_setn(table, "X-Hook-Subscription", job->subscription_id);
    if (job->event.traceparent) {
        apr_table_setn(table, "traceparent", job->event.traceparent);
    }
    *headers = table;
    return APR_SUCCESS;
}
