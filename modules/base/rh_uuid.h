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
 * Make a UUIDv7 with the current time. Those of one process sort in the order of the calls
 * (a counter in rand_a, RFC 9562 §6.2 method 1). Thread-safe.
 * @param text receives RH_UUID_LEN characters and a NUL
 */
void rh_uuid_make(char text[RH_UUID_LEN + 1]);

/** Difference to another clock, in microseconds, below which this host's clock is good enough. */
#define RH_UUID_CLOCK_TOLERANCE apr_time_from_sec(60)

/**
 * Set the time of the system that stores the ids, which may differ from this host's clock. Beyond
 * the tolerance, ids follow that clock from then on, whatever happens to this host's: rows are
 * stored and removed by the time in their ids. Thread-safe.
 * @return how far this host's clock is ahead, in microseconds, if that has just become relevant;
 * else 0
 */
apr_interval_time_t rh_uuid_follow_clock(apr_time_t now);

/** Return the smallest UUIDv7 of a time, for range queries by id. `time` in microseconds. */
void rh_uuid_floor(apr_time_t time, char text[RH_UUID_LEN + 1]);

/** Make the UUIDv8 (RFC 9562 §5.8) of a text: the beginning of its SHA-256. @return false if
 * OpenSSL fails */
bool rh_uuid_digest(const char *data, apr_size_t len, char text[RH_UUID_LEN + 1]);

/** True for canonical text of any UUID in lower case. */
bool rh_uuid_valid(const char *text, apr_size_t len);

/** Return the time in a UUIDv7's text, in microseconds (whole milliseconds). The text must be
 * valid. */
apr_time_t rh_uuid_time(const char *text);

#endif
