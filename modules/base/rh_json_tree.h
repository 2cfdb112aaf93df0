/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_json_tree.h
 * @brief A JSON text as a tree of nodes that know their bytes in the text.
 *
 * What a query selects is passed on byte for byte, so a node has the span of the original text.
 * Nodes are numbers: 0 is the root, RH_JSON_NO_NODE none. They stand in document order: a smaller
 * number begins earlier in the text. Of members with the same name only the last one is in the tree
 * (RFC 8259 §4 leaves it open; rh_json_member does the same).
 */
#ifndef RH_JSON_TREE_H
#define RH_JSON_TREE_H

#include "rh_json.h"

#define RH_JSON_NO_NODE (-1)
/** Maximum number of nodes of a tree; a larger text is refused. */
#define RH_JSON_MAX_NODES 500000

typedef enum {
    RH_JSON_NULL,
    RH_JSON_FALSE,
    RH_JSON_TRUE,
    RH_JSON_NUMBER,
    RH_JSON_STRING,
    RH_JSON_ARRAY,
    RH_JSON_OBJECT
} rh_json_kind_t;

typedef struct rh_json_node_t {
    rh_json_kind_t kind;
    rh_bytes_t text;   /**< its span of the document */
    rh_bytes_t string; /**< of a string: decoded UTF-8, may contain U+0000; a lone surrogate becomes
                          its three bytes */
    rh_bytes_t name;   /**< of an object's member: decoded likewise; data NULL: not a member */
    int parent;        /**< RH_JSON_NO_NODE: the root */
    int first, next;   /**< first child, next sibling; RH_JSON_NO_NODE: none */
    int index;         /**< position within its array or object */
    int count;         /**< number of children */
} rh_json_node_t;

typedef struct rh_json_tree_t {
    rh_json_node_t *nodes;
    int count;
} rh_json_tree_t;

/**
 * Parse a text. Everything lives in `pool`, spans point into `data`, which must outlive the tree.
 * @param error may be NULL
 * @return APR_EINVAL: not JSON (rh_json_check); APR_ENOSPC: more than RH_JSON_MAX_NODES nodes
 */
apr_status_t rh_json_tree_parse(apr_pool_t *pool, const char *data, apr_size_t len,
                                rh_json_tree_t **tree, rh_json_error_t *error);

/** Return the node that follows `node` in a walk of the tree below `top`, parents first;
 * RH_JSON_NO_NODE after the last one. */
int rh_json_tree_walk(const rh_json_tree_t *tree, int top, int node);

/** Find the member of an object by its decoded name; RH_JSON_NO_NODE: none. */
int rh_json_tree_member(const rh_json_tree_t *tree, int object, rh_bytes_t name);

/**
 * Decode the inside of a JSON string, without its quotes, in `pool`. The text must be valid.
 * @return UTF-8, NUL-terminated beyond its length
 */
rh_bytes_t rh_json_decode(apr_pool_t *pool, const char *raw, apr_size_t len);

/** Return the double nearest to a JSON number, in any locale; infinite if it is out of range. */
double rh_json_double(rh_bytes_t number);

/** Compare two JSON numbers exactly if both are integers, else as doubles (RFC 8259 §6).
 * @return less than, equal to, or greater than 0 */
int rh_json_compare_numbers(rh_bytes_t a, rh_bytes_t b);

/** True if two nodes are the same JSON value: members in any order, numbers by value. */
bool rh_json_same(const rh_json_tree_t *left, int a, const rh_json_tree_t *right, int b);

#endif
