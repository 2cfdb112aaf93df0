/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_iregexp.h
 * @brief I-Regexp (RFC 9485) on PCRE2, bounded in time and memory.
 *
 * Outside of classes, ^ and $ are anchors, as the JSONPath compliance suite requires, though RFC
 * 9485 makes them ordinary characters.
 */
#ifndef RH_IREGEXP_H
#define RH_IREGEXP_H

#include "rh_base.h"

/** Maximum length of a pattern, in bytes. */
#define RH_IREGEXP_MAX_LEN 1000

typedef struct rh_iregexp_t rh_iregexp_t;

/**
 * Compile a pattern. It is freed with `pool`. Threads may share it.
 * @return APR_EINVAL: it does not conform to RFC 9485, or is too large
 */
apr_status_t rh_iregexp_compile(apr_pool_t *pool, rh_bytes_t pattern, rh_iregexp_t **regexp);

/**
 * Compile a regular expression of ECMA-262, as far as PCRE2 agrees with it: JSON Schema's
 * "pattern" (Core section 6.4). It can only match parts of texts. Pool, threads and errors as
 * above.
 */
apr_status_t rh_iregexp_compile_ecma(apr_pool_t *pool, rh_bytes_t pattern, rh_iregexp_t **regexp);

/**
 * Match a text, which should be UTF-8.
 * @param whole true: the whole text must match; false: any part of it
 * @return false if it does not match, is not UTF-8, or exceeds the limits
 */
bool rh_iregexp_match(const rh_iregexp_t *regexp, rh_bytes_t text, bool whole);

#endif
