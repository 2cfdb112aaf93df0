/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_http1.h"

/** Size of the header of an HTTP/2 frame. */
#define HTTP2_HEAD_BYTES 9

/** States of the reader. Up to TRAILER it reads lines, after that runs of bytes. */
enum {
    STATUS,
    FIELD,
    CHUNK_SIZE,
    CHUNK_END,
    TRAILER,
    CHUNK_DATA,
    BODY,
    BODY_TO_THE_END,
    DONE,
    BAD
};

static rh_http1_result_t fail_with(rh_http1_t *answer, const char *error)
{
    answer->state = BAD;
    answer->error = error;
    answer->reusable = false;
    return RH_HTTP1_BAD;
}

static rh_http1_result_t finish_response(rh_http1_t *answer, bool whole)
{
    answer->state = DONE;
    answer->reusable =
        whole && !answer->close && (!answer->http10 || answer->keep_alive) && !answer->tunnel;
    return RH_HTTP1_DONE;
}

/** Begin a header section. Counters of earlier sections are kept. */
static void begin_header(rh_http1_t *answer)
{
    apr_table_clear(answer->headers);
    answer->status_code = 0;
    answer->state = STATUS;
    answer->http10 = answer->close = answer->keep_alive = false;
    answer->encoded = answer->chunked = false;
    answer->content_length = -1;
    answer->idle_seconds = -1;
}

void rh_http1_begin(rh_http1_t *answer, apr_pool_t *pool, bool tunnel)
{
    memset(answer, 0, sizeof(*answer));
    answer->pool = pool;
    answer->tunnel = tunnel;
    answer->line.pool = answer->body.pool = pool;
    answer->headers = apr_table_make(pool, 16);
    answer->max_kept = RH_MAX_ANSWER;
    answer->max_read = RH_HTTP1_MAX_BODY;
    begin_header(answer);
}

void rh_http1_keep(rh_http1_t *answer, apr_size_t most)
{
    answer->max_kept = most;
    answer->max_read = most > RH_HTTP1_MAX_BODY / 2 ? 2 * most : RH_HTTP1_MAX_BODY;
}

/* ---- fields ---- */

/** RFC 9112 §6.3: repeated equal lengths count as one. */
static bool read_content_length(rh_http1_t *answer, rh_bytes_t value)
{
    rh_bytes_t item;
    bool any = false;

    while (rh_list_next(&value, &item)) {
        apr_int64_t length = rh_number_of(item);

        if (length < 0 || (answer->content_length >= 0 && answer->content_length != length)) {
            return false;
        }
        answer->content_length = length;
        any = true;
    }
    return any;
}

/**
 * RFC 9112 §6.1: chunked delimits a body only as the last coding and only once. `identity` used to
 * mean no coding (RFC 2616 §3.6), so Content-Length applies.
 */
static bool read_transfer_encoding(rh_http1_t *answer, rh_bytes_t value)
{
    rh_bytes_t item;

    while (rh_list_next(&value, &item)) {
        if (rh_equals_word(item, "identity")) {
            continue;
        }
        answer->encoded = true;
        if (rh_equals_word(item, "chunked")) {
            if (answer->chunked) {
                return false;
            }
            answer->chunked = true;
        } else {
            answer->chunked = false;
        }
    }
    return true;
}

static void read_connection(rh_http1_t *answer, rh_bytes_t value)
{
    rh_bytes_t item;

    while (rh_list_next(&value, &item)) {
        answer->close = answer->close || rh_equals_word(item, "close");
        answer->keep_alive = answer->keep_alive || rh_equals_word(item, "keep-alive");
    }
}

static void read_keep_alive(rh_http1_t *answer, rh_bytes_t value)
{
    rh_bytes_t item;

    while (rh_list_next(&value, &item)) {
        if (item.len > 8 && strncasecmp(item.data, "timeout=", 8) == 0) {
            item.data += 8;
            item.len -= 8;
            answer->idle_seconds = rh_number_of(item);
        }
    }
}

/** Read one field whose folded lines were joined (RFC 9112 §5). */
static rh_http1_result_t read_field(rh_http1_t *answer, rh_bytes_t line)
{
    const char *colon = memchr(line.data, ':', line.len);
    rh_bytes_t name, value;

    if (++answer->fields > RH_HTTP1_MAX_FIELDS) {
        return fail_with(answer, "its header has over 256 fields");
    }
    if (!colon) {
        return fail_with(answer, "a line of its header has no colon");
    }
    name.data = line.data;
    name.len = (apr_size_t)(colon - line.data);
    value.data = colon + 1;
    value.len = line.len - name.len - 1;
    value = rh_trimmed(value);
    if (!rh_is_token(name)) {
        return fail_with(answer, "a field of its header has a bad name");
    }
    if (memchr(value.data, '\0', value.len) || memchr(value.data, '\r', value.len)) {
        return fail_with(answer, "a field of its header has a bad value");
    }
    if (answer->state == TRAILER) {
        return RH_HTTP1_MORE;
    }
    apr_table_addn(answer->headers, apr_pstrmemdup(answer->pool, name.data, name.len),
                   apr_pstrmemdup(answer->pool, value.data, value.len));
    if (rh_equals_word(name, "Content-Length")) {
        if (!read_content_length(answer, value)) {
            return fail_with(answer, "its Content-Length is wrong or contradicts itself");
        }
    } else if (rh_equals_word(name, "Transfer-Encoding")) {
        if (!read_transfer_encoding(answer, value)) {
            return fail_with(answer, "its Transfer-Encoding is chunked twice");
        }
    } else if (rh_equals_word(name, "Connection")) {
        read_connection(answer, value);
    } else if (rh_equals_word(name, "Keep-Alive")) {
        read_keep_alive(answer, value);
    }
    return RH_HTTP1_MORE;
}

/* ---- lines ---- */

/** RFC 9112 §4. The reason phrase and the blank before it are optional here. */
static rh_http1_result_t read_status(rh_http1_t *answer, rh_bytes_t line)
{
    const char *text = line.data;

    if (line.len < 12 || memcmp(text, "HTTP/1.", 7) != 0 || !rh_is_digit(text[7]) ||
        text[8] != ' ' || text[9] < '1' || !rh_is_digit(text[9]) || !rh_is_digit(text[10]) ||
        !rh_is_digit(text[11]) || (line.len > 12 && text[12] != ' ') ||
        memchr(text, '\r', line.len)) {
        return fail_with(answer, "its status line is malformed");
    }
    answer->http10 = text[7] == '0';
    answer->status_code = (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
    answer->state = FIELD;
    return RH_HTTP1_MORE;
}

/** Decide what follows the header (RFC 9112 §6.3). */
static rh_http1_result_t end_header(rh_http1_t *answer)
{
    if (answer->status_code == 101) {
        return fail_with(answer, "it switches to a protocol that was not asked for");
    }
    if (answer->status_code < 200) {
        begin_header(answer);
        return RH_HTTP1_MORE;
    }
    answer->header_done = true;
    if (answer->status_code == 204 && (answer->encoded || answer->content_length > 0)) {
        /* A server that announces a body where none is allowed may send it (RFC 9110 §8.6). */
        answer->close = true;
    }
    if ((answer->tunnel && answer->status_code < 300) || answer->status_code == 204 ||
        answer->status_code == 304) {
        return finish_response(answer, true);
    }
    if (answer->encoded) {
        /*
         * With both lengths, or with HTTP/1.0 and a coding, the framing is doubtful: do not reuse.
         */
        answer->close = answer->close || answer->content_length >= 0 || answer->http10;
        answer->state = answer->chunked ? CHUNK_SIZE : BODY_TO_THE_END;
    } else if (answer->content_length == 0) {
        return finish_response(answer, true);
    } else if (answer->content_length > 0) {
        answer->left = (apr_uint64_t)answer->content_length;
        answer->state = BODY;
    } else {
        answer->state = BODY_TO_THE_END;
    }
    return RH_HTTP1_MORE;
}

/** RFC 9112 §7.1. Extensions are ignored. */
static rh_http1_result_t read_chunk_size(rh_http1_t *answer, rh_bytes_t line)
{
    apr_uint64_t size = 0;
    apr_size_t i;

    for (i = 0; i < line.len && rh_hex_value(line.data[i]) >= 0; i++) {
        if (size >> 56) {
            return fail_with(answer, "a chunk is too large");
        }
        size = size * 16 + (apr_uint64_t)rh_hex_value(line.data[i]);
    }
    if (i == 0) {
        return fail_with(answer, "a chunk has no size");
    }
    while (i < line.len && rh_is_blank(line.data[i])) {
        i++;
    }
    if (i < line.len && line.data[i] != ';') {
        return fail_with(answer, "a chunk's size is malformed");
    }
    answer->left = size;
    answer->state = size ? CHUNK_DATA : TRAILER;
    return RH_HTTP1_MORE;
}

static rh_http1_result_t read_line(rh_http1_t *answer, rh_bytes_t line)
{
    switch (answer->state) {
    case STATUS:
        return read_status(answer, line);
    case FIELD:
        return line.len ? read_field(answer, line) : end_header(answer);
    case TRAILER:
        return line.len ? read_field(answer, line) : finish_response(answer, true);
    case CHUNK_END:
        if (line.len) {
            return fail_with(answer, "a chunk is longer than its size");
        }
        answer->state = CHUNK_SIZE;
        return RH_HTTP1_MORE;
    default:
        return read_chunk_size(answer, line);
    }
}

static rh_bytes_t without_cr(const char *line, apr_size_t len)
{
    rh_bytes_t bytes = {line, len};

    if (len && line[len - 1] == '\r') {
        bytes.len--;
    }
    return bytes;
}

static rh_http1_result_t flush_line(rh_http1_t *answer)
{
    rh_bytes_t line = without_cr(answer->line.data, answer->line.len);

    answer->line.len = 0;
    answer->line_ended = false;
    return read_line(answer, line);
}

static bool is_field_state(const rh_http1_t *answer)
{
    return answer->state == FIELD || answer->state == TRAILER;
}

/** Count read bytes. False: a limit is exceeded, and the response is now bad. */
static bool count_line(rh_http1_t *answer, apr_size_t len)
{
    if (answer->state == CHUNK_SIZE || answer->state == CHUNK_END) {
        answer->body_bytes += len;
        if (answer->line.len + len > RH_HTTP1_MAX_CHUNK_LINE) {
            (void)fail_with(answer, "a chunk's extensions are over 4 KiB");
            return false;
        }
        return true;
    }
    answer->header_bytes += len;
    if (answer->header_bytes > RH_HTTP1_MAX_HEADER) {
        (void)fail_with(answer, "its header is over 64 KiB");
        return false;
    }
    return true;
}

/** True while the line may become a status line; any other line is refused before its end. */
static bool begins_well(const rh_http1_t *answer)
{
    apr_size_t len = answer->line.len < 7 ? answer->line.len : 7;

    return memcmp(answer->line.data, "HTTP/1.", len) == 0;
}

/**
 * True while the line may be the first frame of a server that speaks only HTTP/2: SETTINGS or
 * GOAWAY on stream 0 (RFC 9113 sections 3.4, 4.1).
 */
static bool begins_as_http2(const rh_buffer_t *line)
{
    for (apr_size_t i = 0; i < line->len && i < HTTP2_HEAD_BYTES; i++) {
        bool type_valid = i != 3 || line->data[i] == 4 || line->data[i] == 7;

        if (((i == 0 || i > 4) && line->data[i] != 0) || !type_valid) {
            return false;
        }
    }
    return true;
}

/**
 * Take bytes up to the end of a line. A field's line is complete only after the next byte: a blank
 * continues it (obs-fold, RFC 9112 §5.2), and the line break becomes a blank.
 */
static rh_http1_result_t take_line(rh_http1_t *answer, const char *data, apr_size_t len,
                                   apr_size_t *used)
{
    const char *end;
    apr_size_t taken;

    *used = 0;
    if (answer->line_ended) {
        if (!rh_is_blank(data[0])) {
            return flush_line(answer);
        }
        answer->line_ended = false;
        answer->line.len = without_cr(answer->line.data, answer->line.len).len;
        answer->line.data[answer->line.len++] = ' ';
    }
    end = memchr(data, '\n', len);
    taken = end ? (apr_size_t)(end - data) : len;
    *used = end ? taken + 1 : taken;
    if (!count_line(answer, *used)) {
        return RH_HTTP1_BAD;
    }
    /* One byte more than the line, for the blank that replaces a fold. */
    memcpy(rh_buffer_reserve(&answer->line, taken + 1), data, taken);
    answer->line.len += taken;
    if (answer->state == STATUS && !begins_well(answer)) {
        if (!begins_as_http2(&answer->line)) {
            return fail_with(answer, "it is not HTTP/1.x");
        }
        if (answer->line.len >= HTTP2_HEAD_BYTES) {
            return fail_with(answer, "it is HTTP/2; HTTP/1.1 is needed");
        }
    }
    if (!end) {
        return RH_HTTP1_MORE;
    }
    if (is_field_state(answer) && without_cr(answer->line.data, answer->line.len).len) {
        answer->line_ended = true;
        return RH_HTTP1_MORE;
    }
    return flush_line(answer);
}

/* ---- body ---- */

static rh_http1_result_t take_body(rh_http1_t *answer, const char *data, apr_size_t len,
                                   apr_size_t *used)
{
    apr_size_t room = answer->max_kept - answer->body.len, keep;

    if (answer->state != BODY_TO_THE_END && len > answer->left) {
        len = (apr_size_t)answer->left;
    }
    *used = len;
    keep = len < room ? len : room;
    rh_buffer_add(&answer->body, data, keep);
    answer->body_bytes += len;
    if (answer->state == BODY_TO_THE_END) {
        return RH_HTTP1_MORE;
    }
    answer->left -= len;
    if (answer->left == 0) {
        if (answer->state == BODY) {
            return finish_response(answer, true);
        }
        answer->state = CHUNK_END;
    }
    return RH_HTTP1_MORE;
}

rh_http1_result_t rh_http1_feed(rh_http1_t *answer, const char *data, apr_size_t len,
                                apr_size_t *used)
{
    rh_http1_result_t result = answer->state == DONE  ? RH_HTTP1_DONE
                               : answer->state == BAD ? RH_HTTP1_BAD
                                                      : RH_HTTP1_MORE;
    apr_size_t at = 0, step;

    while (result == RH_HTTP1_MORE && at < len) {
        if (answer->state <= TRAILER) {
            result = take_line(answer, data + at, len - at, &step);
        } else {
            result = take_body(answer, data + at, len - at, &step);
        }
        at += step;
        if (result == RH_HTTP1_MORE && answer->body_bytes >= answer->max_read) {
            result = finish_response(answer, false);
        }
    }
    *used = at;
    return result;
}

rh_http1_result_t rh_http1_end(rh_http1_t *answer)
{
    if (answer->state == DONE) {
        return RH_HTTP1_DONE;
    }
    if (answer->state == BAD) {
        return RH_HTTP1_BAD;
    }
    if (answer->state == BODY_TO_THE_END) {
        return finish_response(answer, false);
    }
    answer->error = answer->header_done    ? "the connection was closed before the answer was whole"
                    : answer->header_bytes ? "the connection was closed within the answer's header"
                                           : "the connection was closed without an answer";
    return RH_HTTP1_CUT;
}
