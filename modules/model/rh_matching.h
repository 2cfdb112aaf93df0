/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_matching.h
 * @brief Decides which subscriptions get an event.
 *
 * An event of a tenant is delivered to a subscription of the same tenant if
 *
 *   - the event is sent at all (rh_matching_sends),
 *   - a pattern of the subscription covers the event's type (rh_matching_covers), and
 *   - the subscription is active when the event is stored.
 *
 * The store looks subscriptions up by the patterns that cover a type, through an index, so it is
 * given those patterns (rh_matching_patterns) and whether each event is sent; only the state, which
 * other processes change, is checked by SQL. resthooks.publish() is one statement and derives the
 * patterns itself (resthooks.patterns), and the page marks patterns while they are edited
 * (htdocs/patterns.js): tests hold both against t/unit/matching_cases.inc, like these functions.
 *
 * A condition on an event's data would belong here too: it can be evaluated once the store has
 * returned the subscriptions that the patterns reach.
 */
#ifndef RH_MATCHING_H
#define RH_MATCHING_H

#include "rh_event.h"

/** The reason of an event that is recorded but not sent, because it is part of a loop. */
#define RH_REASON_HOPS "hops"

/** True unless the event is only recorded: observed by a rule, or part of a loop. */
bool rh_matching_sends(const rh_event_t *event);

/** True if the pattern covers the type: `*` covers all, `a.*` each type that begins with `a.`. */
bool rh_matching_covers(const char *pattern, const char *type);

/**
 * All patterns that cover a type, the most specific first: "a.b.c" gives
 * "a.b.c", "a.b.*", "a.*", "*".
 * @return array of const char *, in `pool`
 */
apr_array_header_t *rh_matching_patterns(apr_pool_t *pool, const char *type);

/** True for the sources of events that a replay makes deliveries of, if there are none yet. */
bool rh_matching_replays(rh_event_source_t source);

/**
 * The types that a pattern covers, as a range of bytes: from *from, inclusive, up to *end,
 * exclusive; either in `pool`, static, or `pattern` itself. A replay looks up stored events by it.
 */
void rh_matching_range(apr_pool_t *pool, const char *pattern, const char **from, const char **end);

#endif
