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

/** True if the pattern covers the type: `*` covers all, `a.*` each type that begins with `a.`. */
bool rh_event_type_match(const char *pattern, const char *type);

/**
 * All patterns that cover a type, the most specific first: "a.b.c" gives
 * "a.b.c", "a.b.*", "a.*", "*". The store looks up subscriptions by these.
 * @return array of const char *, in `pool`
 */
apr_array_header_t *rh_event_type_patterns(apr_pool_t *pool, const char *type);

#endif
