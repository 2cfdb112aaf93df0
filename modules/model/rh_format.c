/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The table of formats, and the function that writes each. */
#include "rh_format.h"

#include "rh_time.h"

/** A format: its name, its content type, its writer. */
typedef struct format_t {
    const char *name, *content_type;
    rh_bytes_t (*write)(apr_pool_t *pool, const rh_event_t *event, const char *base_url);
} format_t;

static const char *quote(apr_pool_t *pool, const char *text)
{
    return text ? rh_json_quote(pool, text, strlen(text)) : "null";
}

/** Join `head`, the data byte for byte, and `tail`. */
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

static rh_bytes_t write_array(apr_pool_t *pool, const rh_event_t *event, const char *base_url)
{
    (void)base_url;
    return around_data(pool, "[", event, "]");
}

static rh_bytes_t write_envelope(apr_pool_t *pool, const rh_event_t *event, const char *base_url)
{
    const rh_bytes_t *previous = &event->previous;
    const char *tail = previous->data ? apr_psprintf(pool, ",\"previous\":%.*s}",
                                                     (int)previous->len, previous->data)
                                      : "}";
    const char *head =
        apr_pstrcat(pool, "{\"type\":", quote(pool, event->type), ",\"timestamp\":\"",
                    rh_time_format(pool, event->time), "\",\"data\":", NULL);

    (void)base_url;
    return around_data(pool, head, event, tail);
}

/** CloudEvents 1.0, JSON event format section 3. */
static rh_bytes_t write_cloudevents(apr_pool_t *pool, const rh_event_t *event, const char *base_url)
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

static rh_bytes_t write_skinny(apr_pool_t *pool, const rh_event_t *event, const char *base_url)
{
    const char *url = base_url ? apr_pstrcat(pool, base_url, "/events/", event->id, NULL) : NULL;
    rh_bytes_t body;

    body.data = apr_pstrcat(
        pool, "[{\"id\":", quote(pool, event->id), ",\"type\":", quote(pool, event->type),
        ",\"key\":", quote(pool, event->key), ",\"url\":", quote(pool, url), "}]", NULL);
    body.len = strlen(body.data);
    return body;
}

#define MAKE_ROW(constant, name, content_type) {#name, content_type, write_##name},

static const format_t formats[RH_FORMAT_COUNT] = {RH_FORMATS(MAKE_ROW)};

const char *rh_format_name(rh_format_t format)
{
    return formats[format].name;
}

bool rh_format_parse(const char *name, rh_format_t *format)
{
    for (int i = 0; i < RH_FORMAT_COUNT; i++) {
        if (strcmp(formats[i].name, name) == 0) {
            *format = (rh_format_t)i;
            return true;
        }
    }
    return false;
}

const char *rh_format_names(apr_pool_t *pool)
{
    const char *names = formats[0].name;

    for (int i = 1; i < RH_FORMAT_COUNT; i++) {
        names = apr_pstrcat(pool, names, ", ", formats[i].name, NULL);
    }
    return names;
}

const char *rh_format_content_type(rh_format_t format)
{
    return formats[format].content_type;
}

bool rh_format_shows_previous(rh_format_t format)
{
    return format == RH_FORMAT_ENVELOPE;
}

rh_bytes_t rh_format_body(apr_pool_t *pool, rh_format_t format, const rh_event_t *event,
                          const char *base_url)
{
    return formats[format].write(pool, event, base_url);
}
