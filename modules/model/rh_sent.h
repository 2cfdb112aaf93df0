/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_sent.h
 * @brief What an attempt sent, as a template that many attempts share and the values of one.
 *
 * The JSON text that describes a request is the same for all attempts of a subscription, but for a
 * few values: the timestamp, the signature, the address, times. So the store keeps the text once,
 * with a gap for each value, and with an attempt its values:
 *
 *   template   {"url":"https://…","headers":{"webhook-id":"\ni","webhook-timestamp":"\nv"},…}
 *   values     1795878507
 *
 * A gap is a line feed, which JSON text on one line does not contain, and a letter: `v` for the
 * next value, `i` for the event's id and `t` for its type, which the delivery knows anyway. Values
 * are separated by line feeds. A template depends on nothing but the subscription and on which
 * parts an attempt had, so there are a few per subscription.
 */
#ifndef RH_SENT_H
#define RH_SENT_H

#include "rh_base.h"
#include "rh_event.h"

/** A description that is being written. */
typedef struct rh_sent_t {
    rh_buffer_t template, values;
    bool has_values;
    const rh_event_t *event;
} rh_sent_t;

/** Begin an empty description, in `pool`. Of the event, id and type are used. */
void rh_sent_begin(rh_sent_t *sent, apr_pool_t *pool, const rh_event_t *event);
/** Add JSON text without a line feed to the template. */
void rh_sent_add(rh_sent_t *sent, const char *json);
/** Add a JSON string to the template. Bytes that are not UTF-8 are replaced. */
void rh_sent_add_string(rh_sent_t *sent, const char *text);
/** Add JSON text without a line feed as a value of this attempt. */
void rh_sent_add_value(rh_sent_t *sent, const char *json);
/** Add a JSON string as a value of this attempt. Bytes that are not UTF-8 are replaced. */
void rh_sent_add_value_string(rh_sent_t *sent, const char *text);
/** Add `"name":"value"` of a header field, whose name tells whether the value is the attempt's. */
void rh_sent_add_field(rh_sent_t *sent, const char *name, const char *value);

/** Return the template, NUL-terminated, in the description's pool. */
const char *rh_sent_template(rh_sent_t *sent);
/** Return the values, likewise. */
const char *rh_sent_values(rh_sent_t *sent);

/**
 * Put a description together again.
 * @return text in `pool`; NULL: the values do not fit the template, or a later version made it
 */
const char *rh_sent_join(apr_pool_t *pool, const char *template, const char *values,
                         const rh_event_t *event);

#endif
