/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_header.h
 * @brief Header fields that a subscription adds to its POSTs: which it may set, which are secret.
 */
#ifndef RH_HEADER_H
#define RH_HEADER_H

#include "rh_base.h"

/** Maximum length of a field's name and value, in bytes. */
#define RH_HEADER_MAX_NAME_BYTES 100
#define RH_HEADER_MAX_VALUE_BYTES 8190
/**
 * Replaces a secret value when it is shown. Sent back by a client, it stands for the stored value.
 */
#define RH_HEADER_MASK "********"

/** True for a token (RFC 9110 section 5.6.2) of at most RH_HEADER_MAX_NAME_BYTES. */
bool rh_header_name_valid(const char *name);
/** True for at most RH_HEADER_MAX_VALUE_BYTES without control characters other than tabs. */
bool rh_header_value_valid(const char *value);
/**
 * True for fields that a subscription cannot set: those of the connection (RFC 9110 section 7.6.1),
 * of the message, of this module, and names with an underscore, which many receivers do not
 * distinguish from a hyphen.
 */
bool rh_header_reserved(const char *name);
/** True for fields whose values are credentials: they are stored and sent, but never shown. */
bool rh_header_secret(const char *name);

#endif
