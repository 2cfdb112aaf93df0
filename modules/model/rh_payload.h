/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_payload.h
 * @brief What a target receives: the headers of an attempt. The body is rh_format.h's.
 */
#ifndef RH_PAYLOAD_H
#define RH_PAYLOAD_H

#include "rh_base.h"
#include "rh_delivery.h"

/**
 * List what changed, for X-Hook-Changed: JSON Pointers (RFC 6901) of the members for which
 * event->previous has an earlier value, comma-separated, up to 1,000 bytes. Bytes that a header or
 * the list cannot hold are percent-encoded.
 * @return text in `pool`; NULL: no change is known
 */
const char *rh_payload_changed(apr_pool_t *pool, const rh_event_t *event);

/**
 * Header lines of an attempt, in order, without Host and Content-Length: the subscription's own
 * first, then Content-Type, User-Agent, webhook-id (the event's id), webhook-timestamp,
 * webhook-signature (two while old_secret signs), X-Hook-Event (the type),
 * X-Hook-Subscription, traceparent where the event has one, X-Hook-Changed where the event knows
 * what changed and the format does not show it.
 * @param timestamp seconds, of this attempt
 * @param headers receives a table in `pool`
 */
apr_status_t rh_payload_headers(apr_pool_t *pool, const rh_job_t *job, apr_int64_t timestamp,
                                rh_bytes_t body, apr_table_t **headers);

#endif
