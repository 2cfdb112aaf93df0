/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_uuid.h
 * @brief UUIDv7 (RFC 9562 §5.7) in lower-case canonical text.
 */
#ifndef RH_UUID_H
#define RH_UUID_H

#include "rh_base.h"

/** Length of the canonical text, without the NUL. */
#define RH_UUID_LEN 36

/**
 * Make a UUIDv7 of now. Those made by one process sort in the order of the calls
 * (a counter in rand_a, RFC 9562 §6.2 method 1). Thread-safe.
 * @param text receives RH_UUID_LEN characters and a NUL
 */
void rh_uuid_make(char text[RH_UUID_LEN + 1]);

/** The smallest UUIDv7 of a time, for range queries by id. `time` in microseconds. */
void rh_uuid_floor(apr_time_t time, char text[RH_UUID_LEN + 1]);

/** True for canonical text of any UUID in lower case. */
bool rh_uuid_valid(const char *text, apr_size_t len);

/** Time in a UUIDv7's text, microseconds (whole milliseconds). The text must be valid. */
apr_time_t rh_uuid_time(const char *text);

#endif
