/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_format.h
 * @brief The formats of a POST's body, one row per format.
 *
 * To add a format: a row here, its writer in rh_format.c, conf/openapi.json (Format, and
 * where a subscription has one), docs/receivers.md. The database stores the name.
 */
#ifndef RH_FORMAT_H
#define RH_FORMAT_H

#include "rh_base.h"
#include "rh_event.h"

/** ROW(constant, name, content type); the first one is the default. */
#define RH_FORMATS(ROW)                                                                            \
    ROW(ARRAY, array, "application/json")                                                          \
    ROW(ENVELOPE, envelope, "application/json")                                                    \
    ROW(CLOUDEVENTS, cloudevents, "application/cloudevents+json")                                  \
    ROW(SKINNY, skinny, "application/json")

#define RH_FORMAT_CONSTANT(constant, name, content_type) RH_FORMAT_##constant,
typedef enum { RH_FORMATS(RH_FORMAT_CONSTANT) RH_FORMAT_COUNT } rh_format_t;

const char *rh_format_name(rh_format_t format);
bool rh_format_parse(const char *name, rh_format_t *format);
/** Return all names, comma-separated, for messages; in `pool`. */
const char *rh_format_names(apr_pool_t *pool);
const char *rh_format_content_type(rh_format_t format);
/** True if the body shows event->previous, so that no header needs to name what changed. */
bool rh_format_shows_previous(rh_format_t format);

/**
 * The body, in `pool`: array `[data]` byte for byte; envelope (Standard Webhooks
 * {"type","timestamp","data"}, and "previous" where the event has it); cloudevents (1.0 JSON
 * structured mode: specversion, id, source = base_url, type, time, subject = key, datacontenttype,
 * data); skinny [{"id","type","key","url"}] with url = base_url/events/id.
 * @param base_url absolute URL of the API; NULL: unknown
 */
rh_bytes_t rh_format_body(apr_pool_t *pool, rh_format_t format, const rh_event_t *event,
                          const char *base_url);

#endif
