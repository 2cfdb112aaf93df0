/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_attempt.h
 * @brief Makes the log's record of an attempt from a finished exchange.
 */
#ifndef RH_ATTEMPT_H
#define RH_ATTEMPT_H

#include "rh_delivery.h"
#include "rh_metrics.h"
#include "rh_transport.h"

/** Fill in the log's record of an attempt, except what was sent. Results live in `pool`. */
void rh_attempt_fill(rh_attempt_t *attempt, const rh_job_t *job, const rh_exchange_t *exchange,
                     apr_pool_t *pool);

/**
 * Describe what was sent, to where, and how long its parts took, as the template and the values
 * (rh_sent.h) of a JSON object; neither if no request was made:
 *
 *   {"url","format","headers":{name: value},"address","times":{"resolve_ms","connect_ms","tls_ms",
 *    "first_byte_ms","total_ms"}}
 *
 * Values of secret header fields are masked. The time of a part that the attempt did not have is
 * left out; the address is null if no connection was made, or only by a proxy.
 */
void rh_attempt_describe(rh_attempt_t *attempt, const rh_job_t *job, const rh_exchange_t *exchange,
                         apr_pool_t *pool);

/** Return the counter of an attempt, by the class of its status or by its error. */
rh_count_t rh_attempt_result(const rh_exchange_t *exchange);

#endif
