/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_spool_record.h"

#include "rh_event_type.h"
#include "rh_json.h"
#include "rh_uuid.h"

#include <string.h>
#include <zlib.h>

#define NO_FIELD 0xffffffffU
#define NUMBER_SIZE 24
/** A number above the hop count of any event. */
#define MAX_HOPS 1000000

enum {
    FIELD_ID,
    FIELD_TENANT,
    FIELD_TYPE,
    FIELD_KEY,
    FIELD_CLIENT_ID,
    FIELD_TRACEPARENT,
    FIELD_TIME,
    FIELD_SOURCE,
    FIELD_DATA,
    FIELD_OF_0_1, /**< number of fields that version 0.1 wrote */
    FIELD_PREVIOUS = FIELD_OF_0_1,
    FIELD_REASON,
    FIELD_HOPS,
    FIELD_COUNT
};

/** The fields of an event; a NULL data means that the field is missing. */
typedef struct fields_t {
    rh_bytes_t field[FIELD_COUNT];
    char time[NUMBER_SIZE];
    char source[NUMBER_SIZE];
    char hops[NUMBER_SIZE];
} fields_t;

static rh_bytes_t text_field(const char *text)
{
    rh_bytes_t field = {text, text ? strlen(text) : 0};

    return field;
}

static void lay_out(const rh_event_t *event, fields_t *fields)
{
    apr_snprintf(fields->time, sizeof(fields->time), "%" APR_TIME_T_FMT, event->time);
    apr_snprintf(fields->source, sizeof(fields->source), "%d", (int)event->source);
    fields->field[FIELD_ID] = text_field(event->id);
    fields->field[FIELD_TENANT] = text_field(event->tenant);
    fields->field[FIELD_TYPE] = text_field(event->type);
    fields->field[FIELD_KEY] = text_field(event->key);
    fields->field[FIELD_CLIENT_ID] = text_field(event->client_id);
    fields->field[FIELD_TRACEPARENT] = text_field(event->traceparent);
    fields->field[FIELD_TIME] = text_field(fields->time);
    fields->field[FIELD_SOURCE] = text_field(fields->source);
    fields->field[FIELD_DATA] = event->data;
    fields->field[FIELD_PREVIOUS] = event->previous;
    fields->field[FIELD_REASON] = text_field(event->reason);
    apr_snprintf(fields->hops, sizeof(fields->hops), "%d", event->hops);
    fields->field[FIELD_HOPS] = text_field(fields->hops);
}

static void put32(unsigned char *to, apr_uint32_t value)
{
    to[0] = (unsigned char)(value >> 24);
    to[1] = (unsigned char)(value >> 16);
    to[2] = (unsigned char)(value >> 8);
    to[3] = (unsigned char)value;
}

static apr_uint32_t get32(const unsigned char *from)
{
    return (apr_uint32_t)from[0] << 24 | (apr_uint32_t)from[1] << 16 | (apr_uint32_t)from[2] << 8 |
           (apr_uint32_t)from[3];
}

apr_uint32_t rh_spool_record_crc(const void *body, apr_size_t len)
{
    return (apr_uint32_t)crc32(crc32(0, NULL, 0), body, (uInt)len);
}

apr_size_t rh_spool_record_size(const rh_event_t *event)
{
    fields_t fields;
    apr_size_t size = RH_SPOOL_HEAD;

    lay_out(event, &fields);
    for (int i = 0; i < FIELD_COUNT; i++) {
        size += 4 + fields.field[i].len;
    }
    return size;
}

void rh_spool_record_write(const rh_event_t *event, unsigned char *to)
{
    fields_t fields;
    unsigned char *at = to + RH_SPOOL_HEAD;
    apr_size_t len;

    lay_out(event, &fields);
    for (int i = 0; i < FIELD_COUNT; i++) {
        const rh_bytes_t *field = &fields.field[i];

        put32(at, field->data ? (apr_uint32_t)field->len : NO_FIELD);
        at += 4;
        if (field->data && field->len) {
            memcpy(at, field->data, field->len);
            at += field->len;
        }
    }
    len = (apr_size_t)(at - to) - RH_SPOOL_HEAD;
    put32(to, (apr_uint32_t)len);
    put32(to + 4, rh_spool_record_crc(to + RH_SPOOL_HEAD, len));
}

void rh_spool_record_head(const unsigned char head[RH_SPOOL_HEAD], apr_uint32_t *len,
                          apr_uint32_t *crc)
{
    *len = get32(head);
    *crc = get32(head + 4);
}

/** Split a body into its fields: all, or those of version 0.1. False when the lengths don't add up.
 */
static bool split(const char *body, apr_size_t len, rh_bytes_t field[FIELD_COUNT])
{
    apr_size_t at = 0;

    for (int i = 0; i < FIELD_COUNT; i++) {
        apr_uint32_t size;

        if (i == FIELD_OF_0_1 && at == len) {
            memset(&field[i], 0, (FIELD_COUNT - FIELD_OF_0_1) * sizeof(*field));
            return true;
        }
        if (len - at < 4) {
            return false;
        }
        size = get32((const unsigned char *)body + at);
        at += 4;
        if (size == NO_FIELD) {
            field[i].data = NULL;
            field[i].len = 0;
            continue;
        }
        if (size > len - at) {
            return false;
        }
        field[i].data = body + at;
        field[i].len = size;
        at += size;
    }
    return at == len;
}

/** Read a decimal number of at most 18 digits; false for any other text. */
static bool number(rh_bytes_t field, apr_int64_t *value)
{
    if (!field.data || field.len == 0 || field.len > 18) {
        return false;
    }
    *value = 0;
    for (apr_size_t i = 0; i < field.len; i++) {
        if (field.data[i] < '0' || field.data[i] > '9') {
            return false;
        }
        *value = *value * 10 + (field.data[i] - '0');
    }
    return true;
}

static bool optional_name(rh_bytes_t field)
{
    return !field.data || rh_name_valid(field.data, field.len);
}

static const char *copy(apr_pool_t *pool, rh_bytes_t field)
{
    return field.data ? apr_pstrmemdup(pool, field.data, field.len) : NULL;
}

apr_status_t rh_spool_decode(const char *body, apr_size_t len, apr_pool_t *pool, rh_event_t *event)
{
    rh_bytes_t field[FIELD_COUNT];
    apr_int64_t time, source, hops = 0;

    if (!split(body, len, field) || !number(field[FIELD_TIME], &time) ||
        !number(field[FIELD_SOURCE], &source) || source >= RH_SOURCE_COUNT ||
        !field[FIELD_ID].data || !rh_uuid_valid(field[FIELD_ID].data, field[FIELD_ID].len) ||
        !field[FIELD_TENANT].data ||
        !rh_name_valid(field[FIELD_TENANT].data, field[FIELD_TENANT].len) ||
        !field[FIELD_TYPE].data ||
        !rh_event_type_valid(field[FIELD_TYPE].data, field[FIELD_TYPE].len) ||
        !optional_name(field[FIELD_KEY]) || !optional_name(field[FIELD_CLIENT_ID]) ||
        !optional_name(field[FIELD_TRACEPARENT]) || !field[FIELD_DATA].data ||
        rh_json_check(field[FIELD_DATA].data, field[FIELD_DATA].len, NULL) != APR_SUCCESS ||
        (field[FIELD_PREVIOUS].data &&
         rh_json_check(field[FIELD_PREVIOUS].data, field[FIELD_PREVIOUS].len, NULL) !=
             APR_SUCCESS) ||
        (field[FIELD_REASON].data &&
         !rh_utf8_valid(field[FIELD_REASON].data, field[FIELD_REASON].len)) ||
        (field[FIELD_HOPS].data && (!number(field[FIELD_HOPS], &hops) || hops > MAX_HOPS))) {
        return APR_EINVAL;
    }
    event->id = copy(pool, field[FIELD_ID]);
    event->tenant = copy(pool, field[FIELD_TENANT]);
    event->type = copy(pool, field[FIELD_TYPE]);
    event->key = copy(pool, field[FIELD_KEY]);
    event->client_id = copy(pool, field[FIELD_CLIENT_ID]);
    event->traceparent = copy(pool, field[FIELD_TRACEPARENT]);
    event->time = time;
    event->source = (rh_event_source_t)source;
    event->data = field[FIELD_DATA];
    event->previous = field[FIELD_PREVIOUS];
    event->reason = copy(pool, field[FIELD_REASON]);
    event->hops = (int)hops;
    return APR_SUCCESS;
}
