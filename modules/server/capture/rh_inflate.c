/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_inflate.h"

#include <string.h>
#include <zlib.h>

static const char *const zlib_codings[] = {"gzip", "x-gzip", "deflate"};

static bool is_zlib(rh_bytes_t token)
{
    for (apr_size_t i = 0; i < RH_COUNT_OF(zlib_codings); i++) {
        if (rh_equals_word(token, zlib_codings[i])) {
            return true;
        }
    }
    return false;
}

rh_coding_t rh_coding_parse(const char *field)
{
    rh_coding_t coding = RH_CODING_NONE;
    rh_bytes_t list = rh_bytes_of(field ? field : ""), item;

    while (rh_list_next(&list, &item)) {
        if (rh_equals_word(item, "identity")) {
            continue;
        }
        if (coding != RH_CODING_NONE || !is_zlib(item)) {
            return RH_CODING_UNKNOWN;
        }
        coding = RH_CODING_ZLIB;
    }
    return coding;
}

/** True for a weight of zero, `;q=0` or `; Q=0.00`: the coding is refused. */
static bool is_refusal(rh_bytes_t item)
{
    const char *semicolon = memchr(item.data, ';', item.len);
    const char *end = item.data + item.len;

    if (!semicolon) {
        return false;
    }
    rh_bytes_t weight = rh_trimmed((rh_bytes_t){semicolon + 1, (apr_size_t)(end - semicolon - 1)});
    if (weight.len < 3 || (*weight.data != 'q' && *weight.data != 'Q') || weight.data[1] != '=') {
        return false;
    }
    for (apr_size_t i = 2; i < weight.len; i++) {
        if (weight.data[i] != '0' && weight.data[i] != '.') {
            return false;
        }
    }
    return true;
}

const char *rh_coding_accept(apr_pool_t *pool, const char *field)
{
    rh_bytes_t cursor;
    bool changed = false, identity_refused = false, acceptable = false;
    rh_bytes_t item;

    for (cursor = rh_bytes_of(field); rh_list_next(&cursor, &item);) {
        const char *semicolon = memchr(item.data, ';', item.len);
        rh_bytes_t coding = rh_trimmed(
            (rh_bytes_t){item.data, semicolon ? (apr_size_t)(semicolon - item.data) : item.len});
        bool refusal = is_refusal(item);
        bool keep = refusal || is_zlib(coding) || rh_equals_word(coding, "identity");

        changed = changed || !keep;
        acceptable = acceptable || (keep && !refusal);
        if (refusal && (rh_equals_word(coding, "identity") || rh_equals_word(coding, "*"))) {
            identity_refused = true;
        }
    }
    if (!changed || (identity_refused && !acceptable)) {
        return field;
    }

    const char *kept = NULL;
    for (cursor = rh_bytes_of(field); rh_list_next(&cursor, &item);) {
        const char *semicolon = memchr(item.data, ';', item.len);
        rh_bytes_t coding = rh_trimmed(
            (rh_bytes_t){item.data, semicolon ? (apr_size_t)(semicolon - item.data) : item.len});
        if (!is_refusal(item) && !is_zlib(coding) && !rh_equals_word(coding, "identity")) {
            continue;
        }
        const char *text = apr_pstrmemdup(pool, item.data, item.len);
        kept = kept ? apr_pstrcat(pool, kept, ", ", text, NULL) : text;
    }
    if (!acceptable) {
        kept = kept ? apr_pstrcat(pool, kept, ", identity", NULL) : "identity";
    }
    return kept;
}

/**
 * Inflate with one kind of framing. The output doubles in `pool`, so it uses at most twice `cap`.
 */
static apr_status_t inflate_as(apr_pool_t *pool, rh_bytes_t body, int window_bits, apr_size_t cap,
                               rh_bytes_t *content)
{
    z_stream stream = {0};
    apr_size_t size = body.len < cap / 4 ? body.len * 4 + 64 : cap + 1;
    apr_size_t len = 0;
    apr_status_t status = APR_SUCCESS;
    bool ended = false;
    char *data;

    if (inflateInit2(&stream, window_bits) != Z_OK) {
        return APR_ENOMEM;
    }
    if (size > cap + 1) {
        size = cap + 1;
    }
    data = apr_palloc(pool, size);
    stream.next_in = (unsigned char *)(uintptr_t)body.data;
    stream.avail_in = (uInt)body.len;
    for (;;) {
        stream.next_out = (unsigned char *)data + len;
        stream.avail_out = (uInt)(size - len);
        int rc = inflate(&stream, Z_NO_FLUSH);
        len = size - stream.avail_out;
        ended = rc == Z_STREAM_END;
        if (len > cap) {
            status = APR_ENOSPC;
            break;
        }
        if (ended) {
            /* A gzip file may consist of several members (RFC 1952 §2.2). */
            if (stream.avail_in < 2 || stream.next_in[0] != 0x1f || stream.next_in[1] != 0x8b) {
                break;
            }
            if (inflateReset(&stream) != Z_OK) {
                status = APR_ENOMEM;
                break;
            }
        } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
            status = APR_EINVAL;
            break;
        } else if (stream.avail_out == 0) {
            apr_size_t larger = size > cap / 2 ? cap + 1 : size * 2;
            char *copy = apr_palloc(pool, larger);
            memcpy(copy, data, len);
            data = copy;
            size = larger;
        } else {
            status = APR_INCOMPLETE;
            break;
        }
    }
    inflateEnd(&stream);
    if (status == APR_SUCCESS) {
        *content = (rh_bytes_t){data, len};
    }
    return status;
}

apr_status_t rh_inflate(apr_pool_t *pool, rh_bytes_t body, apr_size_t cap, rh_bytes_t *content)
{
    /* 32 makes zlib detect gzip and zlib; many servers send raw deflate for `deflate`. */
    apr_status_t status = inflate_as(pool, body, MAX_WBITS + 32, cap, content);
    if (status == APR_EINVAL) {
        status = inflate_as(pool, body, -MAX_WBITS, cap, content);
    }
    return status;
}
