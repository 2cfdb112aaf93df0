/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_event.h"

#include "rh_event_type.h"
#include "rh_time.h"
#include "rh_uuid.h"

/** Maximum number of members of an item that are read; seven are known. */
#define MAX_MEMBERS 50
/** Maximum length of an unknown member's name in an error, in bytes. */
#define MAX_SHOWN 100

static const char *const source_names[] = {RH_EVENT_SOURCES(RH_ROW_NAME)};

static rh_bytes_t copy_bytes(apr_pool_t *pool, rh_bytes_t bytes)
{
    if (bytes.data) {
        bytes.data = apr_pstrmemdup(pool, bytes.data, bytes.len);
    }
    return bytes;
}

rh_event_t *rh_event_copy(apr_pool_t *pool, const rh_event_t *event)
{
    rh_event_t *copy = apr_pmemdup(pool, event, sizeof(*event));

    copy->id = apr_pstrdup(pool, event->id);
    copy->tenant = apr_pstrdup(pool, event->tenant);
    copy->type = apr_pstrdup(pool, event->type);
    copy->key = apr_pstrdup(pool, event->key);
    copy->client_id = apr_pstrdup(pool, event->client_id);
    copy->traceparent = apr_pstrdup(pool, event->traceparent);
    copy->reason = apr_pstrdup(pool, event->reason);
    copy->data = copy_bytes(pool, event->data);
    copy->previous = copy_bytes(pool, event->previous);
    return copy;
}

const char *rh_event_source_name(rh_event_source_t source)
{
    return source_names[source];
}

bool rh_event_source_parse(const char *name, rh_event_source_t *source)
{
    int found = rh_word_index(source_names, RH_SOURCE_COUNT, name);

    if (found >= 0) {
        *source = (rh_event_source_t)found;
    }
    return found >= 0;
}

const char *rh_event_key(apr_pool_t *pool, const char *data, apr_size_t len)
{
    rh_bytes_t value;
    const char *key = NULL;

    if (!rh_json_member(data, len, "id", &value) || value.len == 0) {
        return NULL;
    }
    if (*value.data == '"') {
        key = rh_json_string(pool, value);
    } else if (*value.data == '-' || rh_is_digit(*value.data)) {
        key = apr_pstrmemdup(pool, value.data, value.len);
    }
    return key && rh_name_valid(key, strlen(key)) ? key : NULL;
}

bool rh_traceparent_valid(const char *text)
{
    static const int parts[] = {2, 32, 16, 2};
    const char *at = text;
    bool zero = true;

    for (int part = 0; part < 4; part++) {
        zero = true;
        for (int i = 0; i < parts[part]; i++, at++) {
            if (!rh_is_hex(*at) || *at != rh_lower(*at)) {
                return false;
            }
            zero = zero && *at == '0';
        }
        if ((part == 0 && !zero) || ((part == 1 || part == 2) && zero)) {
            return false;
        }
        if (part < 3 && *at++ != '-') {
            return false;
        }
    }
    return *at == '\0';
}

/** State of reading one body. */
typedef struct reading_t {
    const char *tenant;
    apr_size_t max_data;
    apr_pool_t *pool;
    rh_problem_t *problem;
    const char *prefix; /**< prefix of field names: "" or "[3]." */
    rh_event_t *event;
    bool type_given, data_given;
} reading_t;

/** Report a field; "" is the item itself: "[3]" in a batch. */
static void report_field(reading_t *reading, const char *field, const char *detail)
{
    const char *path = apr_pstrcat(reading->pool, reading->prefix, field, NULL);

    if (!*field && *path) {
        path = apr_pstrndup(reading->pool, path, strlen(path) - 1);
    }
    rh_problem_field(reading->problem, path, "%s", detail);
}

/** Read a string of 1-255 bytes. @return NULL after a field error */
static const char *read_name(reading_t *reading, const char *field, rh_bytes_t value)
{
    const char *text = rh_json_string(reading->pool, value);

    if (!text || !rh_name_valid(text, strlen(text))) {
        report_field(reading, field, "must be a string of 1-255 bytes without control characters");
        return NULL;
    }
    return text;
}

static void read_type(reading_t *reading, rh_bytes_t value)
{
    const char *text = rh_json_string(reading->pool, value);

    reading->type_given = true;
    if (!text || !rh_event_type_valid(text, strlen(text))) {
        report_field(reading, "type", "must be an event type such as employee.created");
        return;
    }
    reading->event->type = text;
}

static void read_data(reading_t *reading, rh_bytes_t value)
{
    reading->data_given = true;
    if (value.len > reading->max_data) {
        rh_problem_set(reading->problem, 413, "%sdata is larger than %lu bytes.", reading->prefix,
                       (unsigned long)reading->max_data);
    }
    reading->event->data = value;
}

static void read_previous(reading_t *reading, rh_bytes_t value)
{
    if (*value.data != '{') {
        report_field(reading, "previous", "must be an object: the members that changed");
    } else if (value.len > reading->max_data) {
        rh_problem_set(reading->problem, 413, "%sprevious is larger than %lu bytes.",
                       reading->prefix, (unsigned long)reading->max_data);
    }
    reading->event->previous = value;
}

static void read_time(reading_t *reading, rh_bytes_t value)
{
    const char *text = rh_json_string(reading->pool, value);

    if (!text || rh_time_parse(text, strlen(text), &reading->event->time) != APR_SUCCESS) {
        report_field(reading, "time", "must be an RFC 3339 date-time");
    }
}

static void read_tenant(reading_t *reading, rh_bytes_t value)
{
    const char *text = read_name(reading, "tenant", value);

    if (text) {
        reading->event->tenant = text;
    }
}

static void read_id(reading_t *reading, rh_bytes_t value)
{
    reading->event->client_id = read_name(reading, "id", value);
}

static void read_key(reading_t *reading, rh_bytes_t value)
{
    reading->event->key = read_name(reading, "key", value);
}

static const struct {
    const char *name;
    void (*read)(reading_t *reading, rh_bytes_t value);
    bool nullable; /**< null means the same as leaving it out */
} members[] = {
    {"type", read_type, false},        {"data", read_data, false}, {"id", read_id, true},
    {"key", read_key, true},           {"time", read_time, true},  {"tenant", read_tenant, true},
    {"previous", read_previous, true},
};

#define MEMBER_COUNT ((int)RH_COUNT_OF(members))

/** Decode the escapes of a member's name; one that holds U+0000 is returned as written. */
static const char *member_name(reading_t *reading, rh_bytes_t name)
{
    rh_bytes_t quoted = {name.data - 1, name.len + 2};
    const char *text = rh_json_string(reading->pool, quoted);

    return text ? text : apr_pstrmemdup(reading->pool, name.data, name.len);
}

/** @param seen one bit for each member that the item has had so far */
static void read_member(reading_t *reading, const rh_json_span_t *span, unsigned int *seen)
{
    const char *name = member_name(reading, span->name);

    for (int i = 0; i < MEMBER_COUNT; i++) {
        if (strcmp(name, members[i].name) != 0) {
            continue;
        }
        if (*seen & 1U << i) {
            report_field(reading, name, "is named twice");
        } else if (!members[i].nullable || *span->value.data != 'n') {
            members[i].read(reading, span->value);
        }
        *seen |= 1U << i;
        return;
    }
    report_field(reading, apr_pstrndup(reading->pool, name, MAX_SHOWN),
                 "is not a field of an event");
}

static rh_event_t *read_item(reading_t *reading, rh_bytes_t item)
{
    apr_size_t cursor = 0;
    rh_json_span_t span;
    rh_event_t *event = apr_pcalloc(reading->pool, sizeof(*event));
    char id[RH_UUID_LEN + 1];
    int count = 0;
    unsigned int seen = 0;

    reading->event = event;
    reading->type_given = reading->data_given = false;
    event->source = RH_SOURCE_PUBLISH;
    event->time = apr_time_now();
    event->tenant = reading->tenant;
    if (*item.data != '{') {
        report_field(reading, "", "must be an object");
        return event;
    }
    while (rh_json_next(item.data, item.len, &cursor, &span)) {
        if (++count > MAX_MEMBERS) {
            report_field(reading, "", "has too many fields");
            return event;
        }
        read_member(reading, &span, &seen);
    }
    if (!reading->type_given) {
        report_field(reading, "type", "is required");
    }
    if (!reading->data_given) {
        report_field(reading, "data", "is required");
    }
    if (!event->tenant) {
        report_field(reading, "tenant", "is required");
    }
    if (!event->key && event->data.data) {
        event->key = rh_event_key(reading->pool, event->data.data, event->data.len);
    }
    rh_uuid_make(id);
    event->id = apr_pstrdup(reading->pool, id);
    return event;
}

void rh_event_read(const char *body, apr_size_t len, const char *tenant, apr_size_t max_data,
                   apr_pool_t *pool, apr_array_header_t **events, bool *batch,
                   rh_problem_t *problem)
{
    reading_t reading = {tenant, max_data, pool, problem, "", NULL, false, false};
    rh_bytes_t whole = {body, len};
    rh_json_error_t error;
    rh_json_span_t span;
    apr_size_t cursor = 0;

    *events = apr_array_make(pool, 1, sizeof(rh_event_t *));
    *batch = false;
    if (rh_json_check(body, len, &error) != APR_SUCCESS) {
        rh_problem_set(problem, 400, "The body is not JSON: %s at byte %lu.", error.reason,
                       (unsigned long)error.offset);
        return;
    }
    while (whole.len && strchr(" \t\r\n", *whole.data)) {
        whole.data++;
        whole.len--;
    }
    *batch = *whole.data == '[';
    if (!*batch) {
        APR_ARRAY_PUSH(*events, rh_event_t *) = read_item(&reading, whole);
        return;
    }
    while (rh_json_next(whole.data, whole.len, &cursor, &span)) {
        if ((*events)->nelts >= RH_MAX_BATCH) {
            rh_problem_set(problem, 413, "At most %d events in one call.", RH_MAX_BATCH);
            return;
        }
        reading.prefix = apr_psprintf(pool, "[%d].", (*events)->nelts);
        APR_ARRAY_PUSH(*events, rh_event_t *) = read_item(&reading, span.value);
    }
    if ((*events)->nelts == 0) {
        rh_problem_field(problem, "", "must hold at least one event");
    }
}
