/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_payload.h
 * @brief What a target receives: body by the subscription's format, and headers.
 */
#ifndef RH_PAYLOAD_H
#define RH_PAYLOAD_H

#include "rh_base.h"
#include "rh_delivery.h"

/** "application/json", or CloudEvents' own. */
const char *rh_payload_content_type(rh_format_t format);

/**
 * The body: array `[data]` byte for byte; envelope (Standard Webhooks {"type","timestamp","data"});
 * cloudevents (1.0 JSON structured mode: specversion, id, source = base_url, type, time,
 * subject = key, datacontenttype, data); skinny [{"id","type","key","url"}] with url =
 * base_url/events/id.
 */
rh_bytes_t rh_payload_body(apr_pool_t *pool, rh_format_t format, const rh_event_t *event,
                           const char *base_url);

/**
 * Header lines of an attempt, in order, without Host and Content-Length: the subscription's own
 * first, then Content-Type, User-Agent, webhook-id (the event's id), webhook-timestamp,
 * webhook-signature (two while old_secret signs), X-Hook-Event (the type),
 * X-Hook-Subscription, traceparent where the event has one.
 * @param timestamp seconds, of this attempt
 * @param headers receives a table in `pool`
 */
apr_status_t rh_payload_headers(apr_pool_t *pool, const rh_job_t *job, apr_int64_t timestamp,
                                rh_bytes_t body, apr_table_t **headers);

#endif
