/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_capture.h"

#include <string.h>

#define FIRST_SIZE 4096

void rh_copy_append(rh_copy_t *copy, apr_pool_t *pool, const char *data, apr_size_t len,
                    apr_size_t cap)
{
    if (copy->over || len == 0)
        return;
    if (len > cap - copy->len) {
        copy->over = true;
        return;
    }
    if (len > copy->size - copy->len) {
        apr_size_t size = copy->size ? copy->size * 2 : FIRST_SIZE;
        while (size < copy->len + len)
            size *= 2;
        if (size > cap)
            size = cap;
        char *larger = apr_palloc(pool, size);
        if (copy->len > 0)
            memcpy(larger, copy->data, copy->len);
        copy->data = larger;
        copy->size = size;
    }
    memcpy(copy->data + copy->len, data, len);
    copy->len += len;
}

rh_body_t rh_copy_body(const rh_copy_t *copy, bool complete, const char *content_encoding)
{
    rh_body_t body = {RH_BODY_WHOLE, {copy->data, copy->len}, rh_coding_parse(content_encoding)};

    if (copy->over || !complete)
        body.state = RH_BODY_CUT;
    else if (copy->len == 0)
        body.state = RH_BODY_ABSENT;
    return body;
}

void rh_body_settle(const rh_capture_t *capture, rh_body_t *body, const char *what)
{
    const rh_log_t *log = &capture->config->log;
    rh_json_error_t error = {0};
    apr_status_t status;

    if (body->state != RH_BODY_WHOLE)
        return;
    if (body->coding == RH_CODING_UNKNOWN) {
        rh_log(log, RH_LOG_INFO, APR_SUCCESS, "RH0606",
               "the %s to %s %s has a content coding that can't be undone; events get only their "
               "key",
               what, capture->r->method, capture->r->uri);
        body->state = RH_BODY_ABSENT;
        return;
    }
    if (body->coding == RH_CODING_ZLIB) {
        status = rh_inflate(capture->r->pool, body->bytes, rh_capture_cap(capture), &body->bytes);
        if (status == APR_ENOSPC || status == APR_INCOMPLETE) {
            body->state = RH_BODY_CUT;
            return;
        }
        if (status != APR_SUCCESS) {
            rh_log(log, RH_LOG_INFO, status, "RH0607",
                   "the %s to %s %s can't be inflated; events get only their key", what,
                   capture->r->method, capture->r->uri);
            body->state = RH_BODY_ABSENT;
            return;
        }
        body->coding = RH_CODING_NONE;
    }
    status = rh_json_check(body->bytes.data, body->bytes.len, &error);
    if (status == APR_SUCCESS)
        return;
    rh_log(log, RH_LOG_INFO, APR_SUCCESS, "RH0608",
           "the %s to %s %s is not JSON (%s at byte %" APR_SIZE_T_FMT
           "); events get only their key",
           what, capture->r->method, capture->r->uri, error.reason ? error.reason : "malformed",
           error.offset);
    body->state = RH_BODY_ABSENT;
}
