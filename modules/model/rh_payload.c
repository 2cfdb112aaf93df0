/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_payload.h"

#include "rh_header.h"
#include "rh_signature.h"

/** Maximum length of the header that names what changed, in bytes. */
#define MAX_CHANGED_BYTES 1000

/** A list of JSON Pointers that grows up to a limit. */
typedef struct pointers_t {
    char text[MAX_CHANGED_BYTES + 1];
    apr_size_t len;
    bool full;
} pointers_t;

/**
 * Encode a member's name as a reference token (RFC 6901 section 3). All bytes that are not allowed
 * in a header or in a comma-separated list are percent-encoded, as in section 6.
 */
static const char *encode_token(apr_pool_t *pool, const char *name)
{
    char *token = apr_palloc(pool, 3 * strlen(name) + 1), *out = token;

    for (; *name; name++) {
        unsigned char byte = (unsigned char)*name;

        if (byte == '~' || byte == '/') {
            *out++ = '~';
            *out++ = byte == '~' ? '0' : '1';
        } else if (byte <= ' ' || byte >= 0x7f || strchr("%,\"", byte)) {
            apr_snprintf(out, 4, "%%%02X", byte);
            out += 3;
        } else {
            *out++ = *name;
        }
    }
    *out = '\0';
    return token;
}

/** Append a pointer unless it would exceed the limit; then the list ends before it. */
static void add_pointer(pointers_t *pointers, const char *pointer)
{
    apr_size_t len = strlen(pointer), comma = pointers->len ? 1 : 0;

    if (pointers->full || pointers->len + comma + len > MAX_CHANGED_BYTES) {
        pointers->full = true;
        return;
    }
    if (comma) {
        pointers->text[pointers->len++] = ',';
    }
    memcpy(pointers->text + pointers->len, pointer, len + 1);
    pointers->len += len;
}

/**
 * Add the leaves of a merge patch: members of objects, down to values that are not objects or are
 * empty.
 */
static void add_leaves(apr_pool_t *pool, rh_bytes_t patch, const char *prefix, pointers_t *pointers)
{
    apr_size_t cursor = 0;
    rh_json_span_t span;

    while (!pointers->full && rh_json_next(patch.data, patch.len, &cursor, &span)) {
        rh_bytes_t quoted = {span.name.data - 1, span.name.len + 2};
        const char *name = rh_json_string(pool, quoted), *pointer;
        apr_size_t inner = 0;
        rh_json_span_t first;

        if (!name) {
            continue; /* A name with U+0000 cannot stand in a header. */
        }
        pointer = apr_pstrcat(pool, prefix, "/", encode_token(pool, name), NULL);
        if (span.value.len && *span.value.data == '{' &&
            rh_json_next(span.value.data, span.value.len, &inner, &first)) {
            add_leaves(pool, span.value, pointer, pointers);
        } else {
            add_pointer(pointers, pointer);
        }
    }
}

const char *rh_payload_changed(apr_pool_t *pool, const rh_event_t *event)
{
    pointers_t pointers = {.len = 0};

    if (event->previous.data) {
        add_leaves(pool, event->previous, "", &pointers);
    }
    return pointers.len ? apr_pstrmemdup(pool, pointers.text, pointers.len) : NULL;
}

/** Add the subscription's own fields. They were checked when the subscription was stored. */
static void add_own_headers(apr_pool_t *pool, const char *text, apr_table_t *headers)
{
    apr_size_t cursor = 0, len = text ? strlen(text) : 0;
    rh_json_span_t span;

    while (len && rh_json_next(text, len, &cursor, &span)) {
        rh_bytes_t quoted = {span.name.data - 1, span.name.len + 2};
        const char *name = rh_json_string(pool, quoted);
        const char *value = rh_json_string(pool, span.value);

        /* Fields that were stored before their name became reserved are not sent. */
        if (name && value && !rh_header_reserved(name)) {
            apr_table_addn(headers, name, value);
        }
    }
}

apr_status_t rh_payload_headers(apr_pool_t *pool, const rh_job_t *job, apr_int64_t timestamp,
                                rh_bytes_t body, apr_table_t **headers)
{
    apr_table_t *table = apr_table_make(pool, 13);
    const char *signature, *old, *changed;
    apr_status_t status = rh_signature_make(pool, job->secret, job->event.id, timestamp, body.data,
                                            body.len, &signature);

    if (status != APR_SUCCESS) {
        return status;
    }
    if (job->old_secret && rh_signature_make(pool, job->old_secret, job->event.id, timestamp,
                                             body.data, body.len, &old) == APR_SUCCESS) {
        signature = apr_pstrcat(pool, signature, " ", old, NULL);
    }
    add_own_headers(pool, job->headers, table);
    apr_table_setn(table, "Content-Type", rh_format_content_type(job->format));
    apr_table_setn(table, "Accept", "*/*");
    apr_table_setn(table, "User-Agent", "mod_resthooks/" RH_VERSION);
    apr_table_setn(table, "webhook-id", job->event.id);
    apr_table_setn(table, "webhook-timestamp", apr_psprintf(pool, "%" APR_INT64_T_FMT, timestamp));
    apr_table_setn(table, "webhook-signature", signature);
    apr_table_setn(table, "X-Hook-Event", job->event.type);
    apr_table_setn(table, "X-Hook-Subscription", job->subscription_id);
    if (job->event.traceparent) {
        apr_table_setn(table, "traceparent", job->event.traceparent);
    }
    changed = rh_format_shows_previous(job->format) ? NULL : rh_payload_changed(pool, &job->event);
    if (changed) {
        apr_table_setn(table, "X-Hook-Changed", changed);
    }
    *headers = table;
    return APR_SUCCESS;
}
