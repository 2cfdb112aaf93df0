/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_problem.h
 * @brief RFC 9457 problem details: errors of a request.
 */
#ifndef RH_PROBLEM_H
#define RH_PROBLEM_H

#include "rh_base.h"
#include "rh_json.h"

typedef struct rh_problem_t {
    apr_pool_t *pool;
    int status;                 /**< HTTP status; 0: no problem so far */
    const char *detail;         /**< one sentence for the user */
    apr_array_header_t *errors; /**< of rh_field_error_t */
} rh_problem_t;

typedef struct rh_field_error_t {
    const char *field; /**< "events[1]", "headers.Host"; "" for the whole body */
    const char *detail;
} rh_field_error_t;

/** Make an empty problem; its texts are allocated from `pool`. */
rh_problem_t *rh_problem_make(apr_pool_t *pool);

/** Set status and detail; only the first call has an effect. */
void rh_problem_set(rh_problem_t *problem, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** Add an invalid field, and set the status 422 unless one is set. At most 100 are kept. */
void rh_problem_field(rh_problem_t *problem, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** True if a status is set. */
bool rh_problem_is(const rh_problem_t *problem);

/** Write it as application/problem+json, in `pool`: type ("about:blank"), title (of the status),
 * status, detail, errors. */
const char *rh_problem_text(const rh_problem_t *problem, apr_pool_t *pool, apr_size_t *len);

#endif
