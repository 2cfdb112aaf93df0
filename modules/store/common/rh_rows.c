/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_rows.h"

#include "rh_json.h"

/** Initial size of the text. */
#define FIRST_BYTES 2048

static void put(rh_rows_t *rows, const char *text, apr_size_t len)
{
    rh_buffer_add(&rows->text, text, len);
}

static void put_name(rh_rows_t *rows, const char *name)
{
    put(rows, rows->in_value ? ",\"" : "\"", rows->in_value ? 2 : 1);
    put(rows, name, strlen(name));
    put(rows, "\":", 2);
    rows->in_value = true;
}

void rh_rows_begin(rh_rows_t *rows, apr_pool_t *pool)
{
    memset(rows, 0, sizeof(*rows));
    rows->text.pool = pool;
    (void)rh_buffer_reserve(&rows->text, FIRST_BYTES);
    put(rows, "[", 1);
}

void rh_rows_next(rh_rows_t *rows)
{
    put(rows, rows->in_row ? "},{" : "{", rows->in_row ? 3 : 1);
    rows->in_row = true;
    rows->in_value = false;
}

void rh_rows_text(rh_rows_t *rows, const char *name, const char *text)
{
    if (text) {
        rh_rows_bytes(rows, name, text, strlen(text));
    } else {
        rh_rows_raw(rows, name, "null");
    }
}

void rh_rows_optional(rh_rows_t *rows, const char *name, const char *text)
{
    if (text) {
        rh_rows_bytes(rows, name, text, strlen(text));
    }
}

void rh_rows_bytes(rh_rows_t *rows, const char *name, const char *data, apr_size_t len)
{
    put_name(rows, name);
    rh_json_add_quoted(&rows->text, data, len);
}

void rh_rows_number(rh_rows_t *rows, const char *name, apr_int64_t number)
{
    char text[24];

    put_name(rows, name);
    put(rows, text, apr_snprintf(text, sizeof(text), "%" APR_INT64_T_FMT, number));
}

void rh_rows_raw(rh_rows_t *rows, const char *name, const char *json)
{
    put_name(rows, name);
    put(rows, json, strlen(json));
}

const char *rh_rows_end(rh_rows_t *rows)
{
    put(rows, rows->in_row ? "}]" : "]", rows->in_row ? 2 : 1);
    *rh_buffer_reserve(&rows->text, 1) = '\0';
    return rows->text.data;
}

const char *rh_rows_strings(apr_pool_t *pool, const apr_array_header_t *strings)
{
    rh_rows_t rows;

    rh_rows_begin(&rows, pool);
    for (int i = 0; i < strings->nelts; i++) {
        const char *text = APR_ARRAY_IDX(strings, i, const char *);

        put(&rows, ",", i > 0);
        rh_json_add_quoted(&rows.text, text, strlen(text));
    }
    return rh_rows_end(&rows);
}
