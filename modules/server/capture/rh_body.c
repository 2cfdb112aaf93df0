/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_body.h"

#include "rh_form.h"

#include <string.h>

#define FIRST_SIZE 4096

/** Prefixes of content types that are never JSON. */
static const struct {
    const char *begin;
    bool endless;
} stream_types[] = {{"text/event-stream", true},
                    {"multipart/", true},
                    {"application/x-ndjson", false},
                    {"application/ndjson", false},
                    {"application/json-seq", false},
                    {"application/grpc", true},
                    {"audio/", true},
                    {"video/", true}};

static int find_stream_type(const char *content_type)
{
    int count = (int)RH_COUNT_OF(stream_types);

    for (int i = 0; content_type && i < count; i++) {
        if (strncasecmp(content_type, stream_types[i].begin, strlen(stream_types[i].begin)) == 0) {
            return i;
        }
    }
    return -1;
}

bool rh_body_is_stream(const char *content_type)
{
    return find_stream_type(content_type) >= 0;
}

bool rh_body_is_endless(const char *content_type)
{
    int i = find_stream_type(content_type);

    return i >= 0 && stream_types[i].endless;
}

void rh_copy_append(rh_copy_t *copy, apr_pool_t *pool, const char *data, apr_size_t len,
                    apr_size_t cap)
{
    if (copy->over || len == 0) {
        return;
    }
    if (len > cap - copy->len) {
        copy->over = true;
        return;
    }
    if (len > copy->size - copy->len) {
        apr_size_t size = copy->size ? copy->size * 2 : FIRST_SIZE;
        while (size < copy->len + len) {
            size *= 2;
        }
        if (size > cap) {
            size = cap;
        }
        char *larger = apr_palloc(pool, size);
        if (copy->len > 0) {
            memcpy(larger, copy->data, copy->len);
        }
        copy->data = larger;
        copy->size = size;
    }
    memcpy(copy->data + copy->len, data, len);
    copy->len += len;
}

rh_body_t rh_copy_body(const rh_copy_t *copy, bool complete, const char *content_encoding)
{
    rh_body_t body = {.state = RH_BODY_WHOLE,
                      .bytes = {copy->data, copy->len},
                      .coding = rh_coding_parse(content_encoding)};

    if (copy->over || !complete) {
        body.state = RH_BODY_CUT;
        body.reason = RH_REASON_TRUNCATED;
    } else if (copy->len == 0) {
        body.state = RH_BODY_ABSENT;
    }
    return body;
}

/** Skip the byte order mark that some servers and editors write before JSON. */
static void skip_byte_order_mark(rh_bytes_t *bytes)
{
    if (bytes->len >= 3 && memcmp(bytes->data, "\xef\xbb\xbf", 3) == 0) {
        bytes->data += 3;
        bytes->len -= 3;
    }
}

/** Undo the content coding. @return false if the body cannot be used; its state then says why */
static bool decode_body(const rh_body_use_t *use, rh_body_t *body)
{
    apr_status_t status;

    if (body->coding == RH_CODING_UNKNOWN) {
        rh_log(use->log, RH_LOG_INFO, APR_SUCCESS, "RH0606",
               "the %s to %s %s has a content coding that is not supported; events get only their "
               "key",
               use->what, use->method, use->uri);
        body->state = RH_BODY_ABSENT;
        body->reason = RH_REASON_NOT_JSON;
        return false;
    }
    if (body->coding == RH_CODING_NONE) {
        return true;
    }
    status = rh_inflate(use->pool, body->bytes, use->cap, &body->bytes);
    if (status == APR_ENOSPC || status == APR_INCOMPLETE) {
        body->state = RH_BODY_CUT;
        body->reason = RH_REASON_TRUNCATED;
        return false;
    }
    if (status != APR_SUCCESS) {
        rh_log(use->log, RH_LOG_INFO, status, "RH0607",
               "cannot inflate the %s to %s %s; events get only their key", use->what, use->method,
               use->uri);
        body->state = RH_BODY_ABSENT;
        body->reason = RH_REASON_NOT_JSON;
        return false;
    }
    body->coding = RH_CODING_NONE;
    return true;
}

/**
 * Turn a body that is not JSON into JSON. @return false: it claims to be JSON, or its type is
 * unknown
 */
static bool convert_body(const rh_body_use_t *use, rh_body_t *body)
{
    rh_bytes_t form;

    if (!body->content_type || rh_form_type_is_json(body->content_type)) {
        return false;
    }
    form = rh_form_read(use->pool, body->content_type, body->bytes);
    body->bytes = form.data ? form : rh_form_wrap(use->pool, body->content_type, body->bytes);
    if (body->bytes.len > use->cap) {
        body->state = RH_BODY_CUT;
        body->reason = RH_REASON_TRUNCATED;
    }
    return true;
}

void rh_body_settle(const rh_body_use_t *use, rh_body_t *body)
{
    rh_json_error_t error = {0};

    if (body->settled || body->state != RH_BODY_WHOLE) {
        return;
    }
    body->settled = true;
    if (!decode_body(use, body)) {
        return;
    }
    skip_byte_order_mark(&body->bytes);
    if (rh_json_check(body->bytes.data, body->bytes.len, &error) == APR_SUCCESS ||
        convert_body(use, body)) {
        return;
    }
    rh_log(
        use->log, RH_LOG_INFO, APR_SUCCESS, "RH0608",
        "the %s to %s %s is not JSON (%s at byte %" APR_SIZE_T_FMT "); events get only their key",
        use->what, use->method, use->uri, error.reason ? error.reason : "malformed", error.offset);
    body->state = RH_BODY_ABSENT;
    body->reason = RH_REASON_NOT_JSON;
}

const rh_json_tree_t *rh_body_tree(const rh_body_use_t *use, rh_body_t *body)
{
    if (!body->parsed) {
        body->parsed = true;
        if (rh_json_tree_parse(use->pool, body->bytes.data, body->bytes.len, &body->tree, NULL) !=
            APR_SUCCESS) {
            body->tree = NULL;
        }
    }
    return body->tree;
}
