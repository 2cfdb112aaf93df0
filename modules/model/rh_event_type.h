/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_event_type.h
 * @brief Event types (`employee.created`) and the patterns by which subscriptions name them.
 */
#ifndef RH_EVENT_TYPE_H
#define RH_EVENT_TYPE_H

#include "rh_base.h"

/** True for `noun.verb`: [a-z0-9_.], 1-RH_MAX_TYPE bytes, at least one dot, no empty segment. */
bool rh_event_type_valid(const char *type, apr_size_t len);

/** True for a type, `*`, or a prefix of whole segments and a star: `employee.*`. */
bool rh_event_pattern_valid(const char *pattern, apr_size_t len);

#endif
