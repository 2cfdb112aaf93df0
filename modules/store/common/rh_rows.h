/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_rows.h
 * @brief Writes the values of many rows as one JSON array of objects, which is a parameter of a
 * statement.
 */
#ifndef RH_ROWS_H
#define RH_ROWS_H

#include "rh_base.h"

typedef struct rh_rows_t {
    rh_buffer_t text;
    bool in_row, in_value;
} rh_rows_t;

/** Begin an empty array, in `pool`. */
void rh_rows_begin(rh_rows_t *rows, apr_pool_t *pool);
/** Begin the next row. */
void rh_rows_next(rh_rows_t *rows);
/** Add a member to the row; NULL text is null. Text must be UTF-8. */
void rh_rows_text(rh_rows_t *rows, const char *name, const char *text);
/**
 * Add a member to the row, or leave it out if text is NULL: shorter, if readers treat both alike.
 */
void rh_rows_optional(rh_rows_t *rows, const char *name, const char *text);
void rh_rows_bytes(rh_rows_t *rows, const char *name, const char *data, apr_size_t len);
void rh_rows_number(rh_rows_t *rows, const char *name, apr_int64_t number);
/** Add a member that is JSON already. */
void rh_rows_raw(rh_rows_t *rows, const char *name, const char *json);
/** Return the text of the array, NUL-terminated. */
const char *rh_rows_end(rh_rows_t *rows);

/** Make a JSON array of strings. */
const char *rh_rows_strings(apr_pool_t *pool, const apr_array_header_t *strings);

#endif
