/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_spool_record.h
 * @brief Writes and reads an event as a record of a spool file. Format: rh_spool.h.
 */
#ifndef RH_SPOOL_RECORD_H
#define RH_SPOOL_RECORD_H

#include "rh_spool.h"

/** Size of the length and CRC before a body. */
#define RH_SPOOL_HEAD 8

/** Size of an event's record, including its head. */
apr_size_t rh_spool_record_size(const rh_event_t *event);

/** Write the record to `to`, which has rh_spool_record_size bytes. */
void rh_spool_record_write(const rh_event_t *event, unsigned char *to);

/** Read the length and CRC from a record's head. */
void rh_spool_record_head(const unsigned char head[RH_SPOOL_HEAD], apr_uint32_t *len,
                          apr_uint32_t *crc);

/** Compute the CRC-32 of a body. */
apr_uint32_t rh_spool_record_crc(const void *body, apr_size_t len);

#endif
