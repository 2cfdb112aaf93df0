/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_json_diff.h
 * @brief Compares two JSON values, as a merge patch (RFC 7396).
 */
#ifndef RH_JSON_DIFF_H
#define RH_JSON_DIFF_H

#include "rh_json_tree.h"

/**
 * The merge patch that leads from one object to another: applied to `from` it gives `to`. Members
 * that are equal as JSON values are left out, values are byte for byte those of `to`, and members
 * that only `from` has are null. A member of `to` that is null itself looks like a missing one:
 * RFC 7396 does not distinguish the two.
 * @param pool keeps the result
 * @return a JSON object, "{}" where nothing changed; data NULL: one of the two is not an object
 */
rh_bytes_t rh_json_diff(apr_pool_t *pool, const rh_json_tree_t *from, int from_node,
                        const rh_json_tree_t *to, int to_node);

#endif
