/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_json_schema_private.h
 * @brief What compiling a schema and checking against it share: the keywords.
 */
#ifndef RH_JSON_SCHEMA_PRIVATE_H
#define RH_JSON_SCHEMA_PRIVATE_H

#include "rh_iregexp.h"
#include "rh_json_schema.h"

/** Maximum nesting of schemas through $ref, in a schema and in a check. */
#define RH_JSON_SCHEMA_DEPTH 200

struct rh_json_schema_t {
    const rh_json_tree_t *tree; /**< the schema as JSON; its root is node 0 */
    rh_iregexp_t **patterns;    /**< by node: of "pattern", and of patternProperties' members */
    int *refs;                  /**< by node: what a $ref refers to */
};

/** One check of one document. */
typedef struct rh_schema_check_t {
    const rh_json_schema_t *schema;
    const rh_json_tree_t *tree;
    int steps; /**< that are left */
    int depth;
    int trials; /**< above 0: within anyOf and the like, where a breach is not the result */
    int breach; /**< the value that broke a keyword first; RH_JSON_NO_NODE: none */
    const char *keyword; /**< that it broke */
} rh_schema_check_t;

/**
 * Check a value against one keyword.
 * @param object the schema that has the keyword
 * @param value the keyword's value
 * @param node the value in the document
 */
typedef bool rh_schema_rule_t(rh_schema_check_t *check, int object, int value, int node);

/** What a keyword's value is. */
typedef enum {
    RH_SCHEMA_IS_ANY,
    RH_SCHEMA_IS_SCHEMA,
    RH_SCHEMA_IS_LIST,     /**< of schemas, not empty */
    RH_SCHEMA_IS_MAP,      /**< of schemas by name */
    RH_SCHEMA_IS_PATTERNS, /**< of schemas by pattern */
    RH_SCHEMA_IS_PATTERN,
    RH_SCHEMA_IS_REF,
    RH_SCHEMA_IS_TYPE,    /**< name of a type, or an array of them */
    RH_SCHEMA_IS_ARRAY,   /**< of any values */
    RH_SCHEMA_IS_NAMES,   /**< array of strings */
    RH_SCHEMA_IS_NAMINGS, /**< object of arrays of strings */
    RH_SCHEMA_IS_COUNT,   /**< integer, not negative */
    RH_SCHEMA_IS_NUMBER,
    RH_SCHEMA_IS_BOOLEAN
} rh_schema_value_t;

typedef struct rh_schema_keyword_t {
    const char *name;
    rh_schema_value_t value;
    unsigned int kinds; /**< of rh_json_kind_t, one bit each: values that it applies to; 0: it is
                             read by another keyword's rule */
    rh_schema_rule_t *rule;
} rh_schema_keyword_t;

/** Find a keyword by name; NULL: none that is known (rh_json_schema_rules.c). */
const rh_schema_keyword_t *rh_schema_keyword(rh_bytes_t name);

/** Check a value against a schema (rh_json_schema_check.c). */
bool rh_schema_fits(rh_schema_check_t *check, int schema, int node);

/** Likewise, but do not record a breach: for trying an alternative. */
bool rh_schema_try(rh_schema_check_t *check, int schema, int node);

/** Take steps from what is left. @return false: none are left, and the check ends */
bool rh_schema_step(rh_schema_check_t *check, apr_size_t steps);

/** True if a number is an integer, also as 1.0 or 1e3 (Validation §6.1.1). */
bool rh_schema_is_integer(rh_bytes_t number);

/** The name of a type, as "type" has it: a bit for each kind of value, and RH_SCHEMA_INTEGER.
 * @return 0: not the name of a type */
unsigned int rh_schema_type(rh_bytes_t name);

#define RH_SCHEMA_KIND(kind) (1U << (kind))
/** The type "integer", which is not a kind of its own. */
#define RH_SCHEMA_INTEGER (1U << 16)

/** A node's child by its name; RH_JSON_NO_NODE: none. */
int rh_schema_member(const rh_json_tree_t *tree, int object, const char *name);

#endif
