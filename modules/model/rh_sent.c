/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_sent.h"

#include "rh_json.h"

#include <string.h>
#include <strings.h>

/** Begins a gap of a template, and separates values. */
#define GAP '\n'
#define GAP_TEXT "\n"

/** What follows GAP. */
typedef enum { GAP_VALUE = 'v', GAP_ID = 'i', GAP_TYPE = 't' } gap_t;

/** Header fields whose values differ from one attempt or event to the next. */
static const char *const varying_fields[] = {"webhook-id",        "webhook-timestamp",
                                             "webhook-signature", "X-Hook-Event",
                                             "X-Hook-Changed",    "traceparent"};

void rh_sent_begin(rh_sent_t *sent, apr_pool_t *pool, const rh_event_t *event)
{
    memset(sent, 0, sizeof(*sent));
    sent->template.pool = pool;
    sent->values.pool = pool;
    sent->event = event;
}

void rh_sent_add(rh_sent_t *sent, const char *text)
{
    rh_buffer_add(&sent->template, text, strlen(text));
}

static void add_gap(rh_sent_t *sent, gap_t kind)
{
    char gap[] = {GAP, (char)kind};

    rh_buffer_add(&sent->template, gap, sizeof(gap));
}

static void add_value(rh_sent_t *sent, const char *text, apr_size_t len)
{
    add_gap(sent, GAP_VALUE);
    rh_buffer_add(&sent->values, GAP_TEXT, sent->has_values);
    rh_buffer_add(&sent->values, text, len);
    sent->has_values = true;
}

void rh_sent_add_value(rh_sent_t *sent, const char *text)
{
    add_value(sent, text, strlen(text));
}

void rh_sent_add_string(rh_sent_t *sent, const char *text)
{
    rh_json_add_text(&sent->template, text);
}

void rh_sent_add_value_string(rh_sent_t *sent, const char *text)
{
    rh_sent_add(sent, "\"");
    if (strcmp(text, sent->event->id) == 0) {
        add_gap(sent, GAP_ID);
    } else if (strcmp(text, sent->event->type) == 0) {
        add_gap(sent, GAP_TYPE);
    } else {
        rh_buffer_t quoted = {.pool = sent->values.pool};

        rh_json_add_text(&quoted, text);
        add_value(sent, quoted.data + 1, quoted.len - 2);
    }
    rh_sent_add(sent, "\"");
}

void rh_sent_add_field(rh_sent_t *sent, const char *name, const char *value)
{
    bool varies = false;

    for (int i = 0; i < (int)RH_COUNT_OF(varying_fields) && !varies; i++) {
        varies = strcasecmp(name, varying_fields[i]) == 0;
    }
    rh_sent_add_string(sent, name);
    rh_sent_add(sent, ":");
    if (varies) {
        rh_sent_add_value_string(sent, value);
    } else {
        rh_sent_add_string(sent, value);
    }
}

static const char *end_text(rh_buffer_t *buffer)
{
    rh_buffer_add(buffer, "", 1);
    buffer->len--;
    return buffer->data;
}

const char *rh_sent_template(rh_sent_t *sent)
{
    return end_text(&sent->template);
}

const char *rh_sent_values(rh_sent_t *sent)
{
    return end_text(&sent->values);
}

/** Where the values go on; NULL: there are no more. */
static const char *take_value(rh_buffer_t *text, const char *values)
{
    const char *end = values + strcspn(values, GAP_TEXT);

    rh_buffer_add(text, values, (apr_size_t)(end - values));
    return *end ? end + 1 : NULL;
}

const char *rh_sent_join(apr_pool_t *pool, const char *template, const char *values,
                         const rh_event_t *event)
{
    rh_buffer_t text = {.pool = pool};

    while (true) {
        apr_size_t len = strcspn(template, GAP_TEXT);

        rh_buffer_add(&text, template, len);
        template += len;
        if (!*template) {
            break;
        }
        switch (*++template) {
        case GAP_ID:
            rh_buffer_add(&text, event->id, strlen(event->id));
            break;
        case GAP_TYPE:
            rh_buffer_add(&text, event->type, strlen(event->type));
            break;
        case GAP_VALUE:
            if (!values) {
                return NULL;
            }
            values = take_value(&text, values);
            break;
        default:
            return NULL; /* of a later version */
        }
        template ++;
    }
    return end_text(&text);
}
