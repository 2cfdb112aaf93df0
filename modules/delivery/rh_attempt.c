/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_attempt.h"

#include "rh_format.h"
#include "rh_header.h"
#include "rh_json.h"
#include "rh_sent.h"
#include "rh_uuid.h"

/** Maximum total length of the names and values of a header section that the log keeps. */
#define MAX_HEADER_BYTES 16384
/** Maximum length of an attempt's error text, in bytes. */
#define MAX_ERROR_BYTES 1000

/** Return the fields of a header section, up to MAX_HEADER_BYTES; repeated ones are joined by ", ".
 */
static const apr_array_header_t *merge_fields(apr_pool_t *pool, const apr_table_t *headers)
{
    const apr_array_header_t *fields = apr_table_elts(headers);
    apr_table_t *once = apr_table_make(pool, fields->nelts);
    apr_size_t bytes = 0;

    for (int i = 0; i < fields->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(fields, i, apr_table_entry_t);

        bytes += strlen(field->key) + strlen(field->val);
        if (bytes > MAX_HEADER_BYTES) {
            break;
        }
        apr_table_mergen(once, field->key, field->val);
    }
    return apr_table_elts(once);
}

/** Format a header section as the text of a JSON object. */
static const char *headers_text(apr_pool_t *pool, const apr_table_t *headers)
{
    const apr_array_header_t *fields = merge_fields(pool, headers);
    rh_buffer_t text = {.pool = pool};

    rh_buffer_add(&text, "{", 1);
    for (int i = 0; i < fields->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(fields, i, apr_table_entry_t);

        rh_buffer_add(&text, ",", i > 0);
        rh_json_add_text(&text, field->key);
        rh_buffer_add(&text, ":", 1);
        rh_json_add_text(&text, field->val);
    }
    rh_buffer_add(&text, "}", sizeof("}"));
    return text.data;
}

/** Add a request's header section, with secret values masked. */
static void add_headers(rh_sent_t *sent, apr_pool_t *pool, const apr_table_t *headers)
{
    const apr_array_header_t *fields = merge_fields(pool, headers);

    for (int i = 0; i < fields->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(fields, i, apr_table_entry_t);

        rh_sent_add(sent, i > 0 ? "," : "");
        rh_sent_add_field(sent, field->key,
                          rh_header_secret(field->key) ? RH_HEADER_MASK : field->val);
    }
}

static void add_ms(rh_sent_t *sent, apr_pool_t *pool, apr_interval_time_t time)
{
    rh_sent_add_value(sent, apr_psprintf(pool, "%.1f", (double)time / 1000.0));
}

/** Add the times of an exchange's parts, without those that it did not have. */
static void add_times(rh_sent_t *sent, apr_pool_t *pool, const rh_exchange_t *exchange)
{
    const struct {
        const char *name;
        apr_interval_time_t time;
    } parts[] = {{"\"resolve_ms\":", exchange->times.resolve},
                 {"\"connect_ms\":", exchange->times.connect},
                 {"\"tls_ms\":", exchange->times.tls},
                 {"\"first_byte_ms\":", exchange->times.first_byte}};

    for (int i = 0; i < (int)RH_COUNT_OF(parts); i++) {
        if (parts[i].time >= 0) {
            rh_sent_add(sent, parts[i].name);
            add_ms(sent, pool, parts[i].time);
            rh_sent_add(sent, ",");
        }
    }
    rh_sent_add(sent, "\"total_ms\":");
    add_ms(sent, pool, exchange->duration);
}

void rh_attempt_describe(rh_attempt_t *attempt, const rh_job_t *job, const rh_exchange_t *exchange,
                         apr_pool_t *pool)
{
    rh_sent_t sent;

    if (!exchange->headers) {
        return;
    }
    rh_sent_begin(&sent, pool, &job->event);
    rh_sent_add(&sent, "{\"url\":");
    rh_sent_add_string(&sent, exchange->url);
    rh_sent_add(&sent, ",\"format\":");
    rh_sent_add_string(&sent, rh_format_name(job->format));
    rh_sent_add(&sent, ",\"headers\":{");
    add_headers(&sent, pool, exchange->headers);
    rh_sent_add(&sent, "},\"address\":");
    if (*exchange->address) {
        rh_sent_add_value_string(&sent, exchange->address);
    } else {
        rh_sent_add(&sent, "null");
    }
    rh_sent_add(&sent, ",\"times\":{");
    add_times(&sent, pool, exchange);
    rh_sent_add(&sent, "}}");
    attempt->template = rh_sent_template(&sent);
    attempt->sent = rh_sent_values(&sent);
}

void rh_attempt_fill(rh_attempt_t *attempt, const rh_job_t *job, const rh_exchange_t *exchange,
                     apr_pool_t *pool)
{
    char id[RH_UUID_LEN + 1];
    apr_size_t len;

    rh_uuid_make(id);
    attempt->id = apr_pstrdup(pool, id);
    attempt->number = job->attempt_count + 1;
    attempt->started_at = exchange->started_at;
    attempt->duration = exchange->duration;
    attempt->status_code = exchange->status_code;
    attempt->headers =
        exchange->answer_headers ? headers_text(pool, exchange->answer_headers) : NULL;
    attempt->answer = NULL;
    attempt->error = NULL;
    attempt->format = job->format;
    attempt->template = NULL;
    attempt->sent = NULL;
    if (exchange->answer.len > 0) {
        len = exchange->answer.len < RH_MAX_ANSWER ? exchange->answer.len : RH_MAX_ANSWER;
        attempt->answer = rh_utf8_clean(pool, exchange->answer.data, len, len);
    }
    if (exchange->error) {
        attempt->error =
            rh_utf8_clean(pool, exchange->error, strlen(exchange->error), MAX_ERROR_BYTES);
    }
}

rh_count_t rh_attempt_result(const rh_exchange_t *exchange)
{
    static const rh_count_t errors[] = {
        [RH_EXCHANGE_OK] = RH_COUNT_ATTEMPT_PROTOCOL, /* a status outside of 2xx-5xx */
        [RH_EXCHANGE_BAD_URL] = RH_COUNT_ATTEMPT_REFUSED_ADDRESS,
        [RH_EXCHANGE_RESOLVE] = RH_COUNT_ATTEMPT_DNS,
        [RH_EXCHANGE_REFUSED_ADDRESS] = RH_COUNT_ATTEMPT_REFUSED_ADDRESS,
        [RH_EXCHANGE_CONNECT] = RH_COUNT_ATTEMPT_CONNECT,
        [RH_EXCHANGE_TLS] = RH_COUNT_ATTEMPT_TLS,
        [RH_EXCHANGE_SEND] = RH_COUNT_ATTEMPT_RESET,
        [RH_EXCHANGE_PROTOCOL] = RH_COUNT_ATTEMPT_PROTOCOL,
        [RH_EXCHANGE_RESET] = RH_COUNT_ATTEMPT_RESET,
        [RH_EXCHANGE_TIMEOUT] = RH_COUNT_ATTEMPT_TIMEOUT,
        [RH_EXCHANGE_CANCELLED] = RH_COUNT_ATTEMPT_RESET,
    };
    int class = exchange->status_code / 100;

    return exchange->result == RH_EXCHANGE_OK && class >= 2 && class <= 5
               ? RH_COUNT_ATTEMPT_2XX + (rh_count_t)(class - 2)
               : errors[exchange->result];
}
