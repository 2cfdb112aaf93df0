/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_json.h
 * @brief JSON: a strict scanner over bytes (RFC 8259), and json-c bound to pools.
 *
 * Events are kept byte for byte, so their data is never parsed into a tree and written again:
 * the scanner validates and finds the spans of members. json-c is used where a tree is needed.
 */
#ifndef RH_JSON_H
#define RH_JSON_H

#include "rh_base.h"

#include <json-c/json.h>

/** Maximum nesting that the scanner accepts. */
#define RH_JSON_DEPTH 64

/** Why a text is not JSON, and at which byte. */
typedef struct rh_json_error_t {
    const char *reason; /**< static text, e.g. "control character in a string" */
    apr_size_t offset;
} rh_json_error_t;

/**
 * Validate one JSON text: RFC 8259 grammar, well-formed UTF-8, depth at most RH_JSON_DEPTH,
 * no NaN, comments, or trailing commas; white space around it is allowed.
 * @param error may be NULL
 * @return APR_SUCCESS or APR_EINVAL
 */
apr_status_t rh_json_check(const char *data, apr_size_t len, rh_json_error_t *error);

/** One member of an object or item of an array, as spans of the text that was scanned. */
typedef struct rh_json_span_t {
    rh_bytes_t name;  /**< raw, between the quotes, escapes not decoded; empty in arrays */
    rh_bytes_t value; /**< raw, without the white space around it */
} rh_json_span_t;

/**
 * Walk the members of the object, or the items of the array, that a valid text (rh_json_check)
 * holds: start with *cursor 0.
 * @return true and *span set; false at the end, or when the text is neither object nor array
 */
bool rh_json_next(const char *data, apr_size_t len, apr_size_t *cursor, rh_json_span_t *span);

/** Find a member by its plain (unescaped ASCII) name at the top level; the last one wins. */
bool rh_json_member(const char *data, apr_size_t len, const char *name, rh_bytes_t *value);

/**
 * Decode a JSON string's span (with its quotes) to a NUL-terminated C string in `pool`.
 * @return NULL if it is not a string or contains U+0000
 */
const char *rh_json_string(apr_pool_t *pool, rh_bytes_t value);

/** True for bytes that a string contains only as escapes: controls, the quote, the backslash. */
extern const bool rh_json_special[256];

/** Append bytes as a JSON string, with the quotes. Input must be UTF-8. */
void rh_json_add_quoted(rh_buffer_t *buffer, const char *data, apr_size_t len);

/** Append text as a JSON string, with the quotes. Bytes that are not UTF-8 are replaced. */
void rh_json_add_text(rh_buffer_t *buffer, const char *text);

/** Quote bytes as a JSON string, with the quotes, in `pool`. Input must be UTF-8. */
const char *rh_json_quote(apr_pool_t *pool, const char *data, apr_size_t len);

/**
 * Parse a text into a json-c tree that lives as long as `pool` (a cleanup puts it). Strict:
 * rh_json_check is applied first. Repeated member names are an error.
 * @return APR_SUCCESS, or APR_EINVAL and *error filled
 */
apr_status_t rh_json_parse(apr_pool_t *pool, const char *data, apr_size_t len,
                           struct json_object **tree, rh_json_error_t *error);

/** Tie a tree's only reference to a pool: clearing the pool frees it. @return the tree */
struct json_object *rh_json_own(apr_pool_t *pool, struct json_object *tree);

/** Make a string; NULL gives NULL, which is JSON's null. The caller owns the reference. */
struct json_object *rh_json_new_text(const char *text);

/** Make a json-c object that prints as the given raw JSON text, which must outlive it. */
struct json_object *rh_json_raw(const char *data, apr_size_t len);

/** Return the compact text of a tree, in `pool`; slashes are not escaped. */
const char *rh_json_text(apr_pool_t *pool, struct json_object *tree, apr_size_t *len);

#endif
