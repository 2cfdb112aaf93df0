/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_capture.h"

#include <http_connection.h>
#include <http_protocol.h>
#include <string.h>

/** Approximate overhead of a held bucket and a held brigade, in bytes. */
#define BUCKET_COST 128

/** Result of walking over a brigade. */
typedef enum {
    PART_MORE,   /**< all of it is set aside, and the response continues */
    PART_END,    /**< all of it is set aside, including the end of the response */
    PART_BROKEN, /**< the response breaks off */
    PART_RESET,  /**< the program closed its socket without reading its request: possibly the end */
    PART_OVER,   /**< too much to be held, or held for too long; not all is set aside */
    PART_STREAM  /**< nothing is set aside, as it may never end */
} part_t;

void rh_capture_rewind(rh_capture_t *capture)
{
    if (capture->held) {
        for (int i = 0; i < capture->held->nelts; i++) {
            apr_brigade_destroy(APR_ARRAY_IDX(capture->held, i, apr_bucket_brigade *));
        }
        apr_array_clear(capture->held);
    }
    capture->held_bytes = capture->held_cost = 0;
    capture->held_since = 0;
    capture->waiting = NULL;
    capture->judged = capture->passing = false;
}

void rh_capture_limit_codings(rh_capture_t *capture, request_rec *r)
{
    const char *field = apr_table_get(r->headers_in, "Accept-Encoding");
    const char *accept = field ? rh_coding_accept(r->pool, field) : NULL;

    if (accept == field) {
        return;
    }
    capture->accept_encoding = field;
    apr_table_setn(r->headers_in, "Accept-Encoding", accept);
}

/** Let DEFLATE and BROTLI below this filter compress for the client as they would without it. */
static void restore_codings(rh_capture_t *capture, request_rec *r)
{
    if (capture->accept_encoding) {
        apr_table_setn(r->headers_in, "Accept-Encoding", capture->accept_encoding);
    }
    capture->accept_encoding = NULL;
}

/**
 * True if an error or the end of the connection comes before any byte of a body. Then there is no
 * response, and the one that httpd sends instead comes through insert_error_filter.
 */
static bool is_no_answer(const apr_bucket_brigade *brigade)
{
    for (apr_bucket *e = APR_BRIGADE_FIRST(brigade); e != APR_BRIGADE_SENTINEL(brigade);
         e = APR_BUCKET_NEXT(e)) {
        if (AP_BUCKET_IS_ERROR(e) || AP_BUCKET_IS_EOC(e)) {
            return true;
        }
        if (APR_BUCKET_IS_EOS(e) || !APR_BUCKET_IS_METADATA(e)) {
            return false;
        }
    }
    return false;
}

static bool is_overdue(const rh_capture_t *capture)
{
    return capture->held_since != 0 && apr_time_now() - capture->held_since > RH_LONGEST_HOLD;
}

/** Keep one bucket beyond this call, and count its length. */
static apr_status_t set_bucket_aside(rh_capture_t *capture, apr_bucket *e)
{
    apr_status_t status;
    const char *data;
    apr_size_t len;

    capture->held_cost += BUCKET_COST;
    if (APR_BUCKET_IS_METADATA(e)) {
        return APR_SUCCESS;
    }
    if (e->length == (apr_size_t)-1) {
        status = is_overdue(capture) ? APR_TIMEUP : apr_bucket_read(e, &data, &len, APR_BLOCK_READ);
        if (status != APR_SUCCESS) {
            return status;
        }
    }
    if (e->length > 0 && capture->held_since == 0) {
        capture->held_since = apr_time_now();
    }
    capture->held_bytes += e->length;
    capture->held_cost += e->length;
    if (capture->held_bytes > rh_capture_cap(capture)) {
        return APR_ENOSPC;
    }
    status = apr_bucket_setaside(e, capture->r->pool);
    if (APR_STATUS_IS_ENOTIMPL(status)) {
        status = apr_bucket_read(e, &data, &len, APR_BLOCK_READ);
        if (status == APR_SUCCESS) {
            status = apr_bucket_setaside(e, capture->r->pool);
        }
    }
    return status;
}

static part_t set_brigade_aside(rh_capture_t *capture, apr_bucket_brigade *brigade)
{
    /* A slow response consists of many brigades that hold almost nothing. */
    apr_size_t most = rh_capture_cap(capture) * 2 + 65536;
    apr_status_t status;
    bool broken = false;

    capture->held_cost += BUCKET_COST;
    for (apr_bucket *e = APR_BRIGADE_FIRST(brigade); e != APR_BRIGADE_SENTINEL(brigade);
         e = APR_BUCKET_NEXT(e)) {
        if (AP_BUCKET_IS_ERROR(e) || AP_BUCKET_IS_EOC(e)) {
            broken = true;
        }
        if (APR_BUCKET_IS_EOS(e)) {
            return broken ? PART_BROKEN : PART_END;
        }
        status = set_bucket_aside(capture, e);
        if (APR_STATUS_IS_ECONNRESET(status)) {
            return PART_RESET;
        }
        if (status != APR_SUCCESS || capture->held_cost > most) {
            return PART_OVER;
        }
    }
    if (broken) {
        return PART_BROKEN;
    }
    return is_overdue(capture) ? PART_OVER : PART_MORE;
}

static apr_status_t append_brigade(rh_capture_t *capture, rh_copy_t *copy,
                                   const apr_bucket_brigade *brigade)
{
    for (apr_bucket *e = APR_BRIGADE_FIRST(brigade); e != APR_BRIGADE_SENTINEL(brigade);
         e = APR_BUCKET_NEXT(e)) {
        const char *data;
        apr_size_t len;
        apr_status_t status;

        if (APR_BUCKET_IS_EOS(e)) {
            break;
        }
        if (APR_BUCKET_IS_METADATA(e)) {
            continue;
        }
        if (e->length == (apr_size_t)-1) {
            break; /* this follows a reset: reading again would return an end */
        }
        status = apr_bucket_read(e, &data, &len, APR_BLOCK_READ);
        if (status != APR_SUCCESS) {
            return status;
        }
        rh_copy_append(copy, capture->r->pool, data, len, rh_capture_cap(capture));
    }
    return APR_SUCCESS;
}

/** Return the bytes of everything held and of the last brigade. */
static rh_body_t gather(rh_capture_t *capture, request_rec *r, const apr_bucket_brigade *last)
{
    rh_copy_t copy = {0};
    apr_status_t status = APR_SUCCESS;
    const char *coding = apr_table_get(r->headers_out, "Content-Encoding");
    rh_body_t body;

    if (capture->held_bytes > 0) {
        copy.data = apr_palloc(capture->r->pool, capture->held_bytes);
        copy.size = capture->held_bytes;
    }
    for (int i = 0; capture->held && i < capture->held->nelts && status == APR_SUCCESS; i++) {
        status =
            append_brigade(capture, &copy, APR_ARRAY_IDX(capture->held, i, apr_bucket_brigade *));
    }
    if (status == APR_SUCCESS) {
        status = append_brigade(capture, &copy, last);
    }
    body = rh_copy_body(&copy, status == APR_SUCCESS && r->status != HTTP_PARTIAL_CONTENT,
                        coding ? coding : r->content_encoding);
    body.content_type = r->content_type;
    return body;
}

/**
 * A response whose end is uncertain is whole only if it is complete JSON. Its end is uncertain if
 * the client hung up (as HTTP/2 streams do at once; mod_proxy then stops reading), or if a CGI
 * program did not read its request, so that its socket reports a reset instead of the end.
 */
static void doubt_end(rh_capture_t *capture, rh_body_t *body)
{
    if (body->state != RH_BODY_WHOLE) {
        return;
    }
    body->content_type = NULL; /* other types do not show whether they are complete */
    rh_capture_settle(capture, body, "response");
    if (body->state == RH_BODY_ABSENT) {
        body->state = RH_BODY_CUT;
        body->reason = RH_REASON_TRUNCATED;
    }
}

/** Return a field of the response, or of those that survive errors and redirects. */
static const char *find_field(const request_rec *r, const char *name)
{
    const char *value = apr_table_get(r->headers_out, name);

    return value ? value : apr_table_get(r->err_headers_out, name);
}

/**
 * Return the URI of the resource that the client's request made or changed: where the response
 * points (RFC 9110 §10.2.2, §8.7), else the request's own.
 * @return NULL: it is on another host, or unknown: a POST's own URI does not show what it made
 */
static const char *find_changed(const rh_capture_t *capture, request_rec *r)
{
    const char *place = NULL;

    if (r->status == HTTP_CREATED || r->status == HTTP_SEE_OTHER) {
        place = find_field(r, "Location");
    }
    if (!place && r->status >= 200 && r->status < 300) {
        place = find_field(r, "Content-Location");
    }
    if (place) {
        return rh_capture_location(r, place);
    }
    if (r->status == HTTP_CREATED && strcmp(capture->r->method, "PUT") != 0) {
        return NULL;
    }
    return r->status == HTTP_SEE_OTHER ? NULL : rh_capture_self(capture);
}

/** Fetch the resources that rules with `after` need. */
static void fetch_after(rh_capture_t *capture, request_rec *r)
{
    for (int i = 0; i < capture->matches->nelts; i++) {
        rh_match_t *match = &APR_ARRAY_IDX(capture->matches, i, rh_match_t);
        const char *uri;

        if (!match->live || !match->rule->needs[RH_DATA_AFTER]) {
            continue;
        }
        uri = match->rule->url ? rh_match_url(capture, match, rh_capture_merged(capture, r))
                               : find_changed(capture, r);
        match->after = uri ? rh_capture_resource(capture, capture->r, 1, uri) : NULL;
        if (!uri) {
            rh_log(&capture->config->log, RH_LOG_INFO, APR_SUCCESS, "RH0609",
                   "the response to %s %s names no resource of this host (Location, "
                   "Content-Location); events get only their key",
                   capture->r->method, capture->r->uri);
        }
    }
}

/** Give up on `after` because the backend is still sending. */
static void give_up_after(rh_capture_t *capture)
{
    rh_resource_t *cut = apr_pcalloc(capture->r->pool, sizeof(*cut));

    cut->body = (rh_body_t){.state = RH_BODY_CUT, .reason = RH_REASON_TRUNCATED};
    for (int i = 0; i < capture->matches->nelts; i++) {
        APR_ARRAY_IDX(capture->matches, i, rh_match_t).after = cut;
    }
}

static bool needs_data(const rh_capture_t *capture, rh_data_source_t source)
{
    for (int i = 0; i < capture->matches->nelts; i++) {
        const rh_match_t *match = &APR_ARRAY_IDX(capture->matches, i, rh_match_t);
        if (match->live && match->rule->needs[source]) {
            return true;
        }
    }
    return false;
}

/** The response is complete, or as much of it as is needed: commit. */
static void finish_response(rh_capture_t *capture, request_rec *r, part_t part,
                            const apr_bucket_brigade *last)
{
    bool ended = part == PART_END || part == PART_RESET;

    capture->done = true;
    capture->response.state = part == PART_STREAM ? RH_BODY_ABSENT : RH_BODY_CUT;
    capture->response.reason = part == PART_STREAM ? RH_REASON_NOT_JSON : RH_REASON_TRUNCATED;
    if (ended && needs_data(capture, RH_DATA_RESPONSE)) {
        capture->response = gather(capture, r, last);
        if (part == PART_RESET || r->connection->aborted) {
            doubt_end(capture, &capture->response);
        }
    }
    /* Do not wait while the backend still sends, because its connection is held until then. */
    if (needs_data(capture, RH_DATA_AFTER)) {
        if (ended || capture->passing) {
            fetch_after(capture, r);
        } else {
            give_up_after(capture);
        }
    }
    rh_capture_finish(capture, r);
}

/**
 * Pass on what was held, brigade by brigade, because the way the response came in decides whether
 * httpd sets a Content-Length or sends chunks. The filter stays in place until then: filters below
 * may remove themselves after a brigade (as BYTERANGE does after one without an end), and only
 * f->next knows.
 */
static apr_status_t release_held(rh_capture_t *capture, ap_filter_t *f)
{
    request_rec *r = f->r;
    apr_status_t status = APR_SUCCESS;
    int no_cache = r->no_cache;

    /*
     * If the response broke off later, no_cache has been set since and would add Expires to the
     * header.
     */
    r->no_cache = capture->no_cache;
    for (int i = 0; capture->held && i < capture->held->nelts && status == APR_SUCCESS; i++) {
        apr_bucket_brigade *brigade = APR_ARRAY_IDX(capture->held, i, apr_bucket_brigade *);
        status = ap_pass_brigade(f->next, brigade);
        apr_brigade_cleanup(brigade);
    }
    if (capture->held) {
        apr_array_clear(capture->held);
    }
    r->no_cache = no_cache;
    return status;
}

/** Pass on what was held and the last brigade, and leave the filter chain. */
static apr_status_t release_filter(rh_capture_t *capture, ap_filter_t *f, apr_bucket_brigade *last)
{
    apr_status_t status = release_held(capture, f);
    ap_filter_t *next = f->next;

    rh_capture_rewind(capture);
    ap_remove_output_filter(f);
    return status == APR_SUCCESS ? ap_pass_brigade(next, last) : status;
}

static void hold_brigade(rh_capture_t *capture, apr_bucket_brigade *brigade)
{
    apr_bucket_brigade *held = apr_brigade_create(capture->r->pool, brigade->bucket_alloc);

    if (!capture->held) {
        capture->held = apr_array_make(capture->r->pool, 4, sizeof(apr_bucket_brigade *));
    }
    APR_BRIGADE_CONCAT(held, brigade);
    APR_ARRAY_PUSH(capture->held, apr_bucket_brigade *) = held;
}

/**
 * Find the bucket that ends a response. @return NULL: it continues. Sets `lengths_known` for the
 * buckets before it.
 */
static apr_bucket *find_end(const apr_bucket_brigade *brigade, bool *lengths_known)
{
    *lengths_known = true;
    for (apr_bucket *e = APR_BRIGADE_FIRST(brigade); e != APR_BRIGADE_SENTINEL(brigade);
         e = APR_BUCKET_NEXT(e)) {
        if (APR_BUCKET_IS_EOS(e) || AP_BUCKET_IS_EOC(e) || AP_BUCKET_IS_ERROR(e)) {
            return e;
        }
        *lengths_known = *lengths_known && e->length != (apr_size_t)-1;
    }
    return NULL;
}

/**
 * Handle a response that is too long to be held when only its end matters, for `after`: pass it on
 * except for the brigade with its end, which waits for the commit. If a bucket has no length yet,
 * only the end itself waits, because everything before it would have to be read.
 */
static apr_status_t pass_until_end(rh_capture_t *capture, ap_filter_t *f,
                                   apr_bucket_brigade *brigade)
{
    ap_filter_t *next = f->next;
    request_rec *r = f->r;
    bool lengths_known;
    apr_status_t status = APR_SUCCESS;
    apr_bucket_brigade *last = brigade;
    apr_bucket *end = find_end(brigade, &lengths_known);

    if (!end) {
        return ap_pass_brigade(next, brigade);
    }
    if (!lengths_known) {
        last = apr_brigade_split_ex(brigade, end, NULL);
        status = ap_pass_brigade(next, brigade);
    } else if (capture->in_handler) {
        last = NULL;
        status = ap_save_brigade(f, &last, &brigade, capture->r->pool);
    }
    if (status == APR_SUCCESS && capture->in_handler) {
        hold_brigade(capture, last);
        capture->waiting = f;
        return APR_SUCCESS;
    }
    finish_response(capture, r, capture->passing_part, last);
    if (status != APR_SUCCESS) {
        ap_remove_output_filter(f);
        return status;
    }
    return release_filter(capture, f, last);
}

static apr_status_t begin_passing(rh_capture_t *capture, ap_filter_t *f, part_t part,
                                  apr_bucket_brigade *brigade)
{
    apr_status_t status;

    capture->passing = true;
    capture->passing_part = (int)part;
    status = release_held(capture, f);
    return status == APR_SUCCESS ? pass_until_end(capture, f, brigade) : status;
}

/** True if the response, except its end, may be passed on before its events are stored. */
static bool may_pass_on(const rh_capture_t *capture, const request_rec *r, part_t part)
{
    if (!needs_data(capture, RH_DATA_AFTER) || needs_data(capture, RH_DATA_RESPONSE)) {
        return false;
    }
    return part == PART_OVER || (part == PART_STREAM && !rh_body_is_endless(r->content_type));
}

apr_status_t rh_capture_output(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    rh_capture_t *capture = f->ctx;
    request_rec *r = f->r;
    ap_filter_t *next = f->next;
    part_t part = PART_MORE;

    if (capture->done || (!capture->judged && is_no_answer(brigade))) {
        restore_codings(capture, r);
        ap_remove_output_filter(f);
        return ap_pass_brigade(next, brigade);
    }
    if (capture->passing) {
        return pass_until_end(capture, f, brigade);
    }
    if (!capture->judged) {
        if (APR_BRIGADE_EMPTY(brigade)) {
            return ap_pass_brigade(next, brigade);
        }
        restore_codings(capture, r);
        capture->judged = true;
        capture->no_cache = r->no_cache;
        if (rh_rules_judge(capture, r) == 0) {
            capture->done = true;
            ap_remove_output_filter(f);
            return ap_pass_brigade(next, brigade);
        }
    }
    if (needs_data(capture, RH_DATA_RESPONSE) || needs_data(capture, RH_DATA_AFTER)) {
        part =
            rh_body_is_stream(r->content_type) ? PART_STREAM : set_brigade_aside(capture, brigade);
        if (part == PART_MORE) {
            hold_brigade(capture, brigade);
            return APR_SUCCESS;
        }
        if (may_pass_on(capture, r, part)) {
            return begin_passing(capture, f, part, brigade);
        }
    }
    if ((part == PART_END || part == PART_RESET) && capture->in_handler &&
        needs_data(capture, RH_DATA_AFTER)) {
        hold_brigade(capture, brigade);
        capture->waiting = f;
        capture->passing_part = (int)part;
        return APR_SUCCESS;
    }
    finish_response(capture, r, part, brigade);
    return release_filter(capture, f, brigade);
}

void rh_capture_handled(rh_capture_t *capture, request_rec *r)
{
    ap_filter_t *f = capture->waiting;
    apr_bucket_brigade *last;

    if (!f) {
        /* The handler stopped before the end, for example because the client hung up. */
        if (capture->passing && !capture->done) {
            finish_response(capture, r, (part_t)capture->passing_part, NULL);
        }
        return;
    }
    last = *(apr_bucket_brigade **)apr_array_pop(capture->held);
    finish_response(capture, f->r, (part_t)capture->passing_part, last);
    /*
     * The handler's own calls returned success. As with any buffered response, it notices late that
     * a client has gone.
     */
    (void)release_filter(capture, f, last);
}
