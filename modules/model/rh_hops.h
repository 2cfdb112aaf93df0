/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_hops.h
 * @brief How many deliveries led to a request: the header field X-Hook-Hops, so that loops end.
 *
 * A target may be the API that is captured itself, or a service that calls it. Then a delivery
 * causes an event, whose delivery causes the next one, without end. Like CDN-Loop for caches (RFC
 * 8586), a header field of each POST says how often that has happened:
 *
 *   X-Hook-Hops: 2.9f86d081884c7d659a2feaa0c55ad015
 *
 * The value is the number and a truncated HMAC-SHA256 of it, under a key that the processes of one
 * database share. Without the key it can't be forged, so a client can neither get another client's
 * events dropped nor choose a number of its own. A target may repeat a value it received, or leave
 * the field out: the number only affects the request that carries it, so that it harms only itself.
 */
#ifndef RH_HOPS_H
#define RH_HOPS_H

#include "rh_base.h"

#define RH_HOPS_FIELD "X-Hook-Hops"
#define RH_HOP_KEY_BYTES 32
/** Maximum number that is sent; larger ones are sent as this. */
#define RH_HOPS_MAX 999
/** Size of the longest value: the number, a point, 32 digits of the HMAC, the NUL. */
#define RH_HOPS_VALUE_BYTES 37

/** The value made last, for reuse. Zero-initialised: none. */
typedef struct rh_hops_last_t {
    unsigned char key[RH_HOP_KEY_BYTES];
    int hops;
    char text[RH_HOPS_VALUE_BYTES];
} rh_hops_last_t;

/**
 * Make the field's value for a number of hops from 1 on, in `pool`; NULL if OpenSSL fails. Most of
 * the cost is the HMAC, and most deliveries of a loop have the same value as the last one.
 */
const char *rh_hops_make(apr_pool_t *pool, rh_hops_last_t *last,
                         const unsigned char key[RH_HOP_KEY_BYTES], int hops);

/**
 * Read the field of a request; several values are separated by commas.
 * @param value NULL: no such field
 * @return the largest number among the genuine values, 0: none
 */
int rh_hops_read(const unsigned char key[RH_HOP_KEY_BYTES], const char *value);

#endif
