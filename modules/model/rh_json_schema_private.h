/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_json_schema_private.h
 * @brief The keywords of a schema, shared by compiling and checking.
 *
 * Checking is recursive, as schemas are: rh_json_schema_check.c looks up a keyword's rule, and the
 * rules of keywords that hold schemas (rh_json_schema_rules.c) check against those.
 */
#ifndef RH_JSON_SCHEMA_PRIVATE_H
#define RH_JSON_SCHEMA_PRIVATE_H

#include "rh_iregexp.h"
#include "rh_json_schema.h"

/** Maximum nesting of schemas through $ref, in a schema and in a check. */
#define RH_JSON_SCHEMA_DEPTH 200

struct rh_json_schema_t {
    const rh_json_tree_t *tree; /**< the schema as JSON; its root is node 0 */
    rh_iregexp_t **patterns;    /**< by node: compiled "pattern" and names of patternProperties */
    int *refs;                  /**< by node: the target of a $ref */
};

/** One check of one document. */
typedef struct rh_schema_check_t {
    const rh_json_schema_t *schema;
    const rh_json_tree_t *tree;
    int steps; /**< remaining steps */
    int depth;
    int trials;          /**< above 0: within anyOf and similar, where a breach does not decide */
    int breach;          /**< the value that first broke a keyword; RH_JSON_NO_NODE: none */
    const char *keyword; /**< the keyword that it broke */
} rh_schema_check_t;

/**
 * Check a value against one keyword.
 * @param object the schema that has the keyword
 * @param value the keyword's value
 * @param node the value in the document
 */
typedef bool rh_schema_rule_t(rh_schema_check_t *check, int object, int value, int node);

/** The kind of a keyword's value. */
typedef enum {
    RH_SCHEMA_IS_ANY,
    RH_SCHEMA_IS_SCHEMA,
    RH_SCHEMA_IS_LIST,     /**< non-empty array of schemas */
    RH_SCHEMA_IS_MAP,      /**< object of schemas by name */
    RH_SCHEMA_IS_PATTERNS, /**< object of schemas by pattern */
    RH_SCHEMA_IS_PATTERN,
    RH_SCHEMA_IS_REF,
    RH_SCHEMA_IS_TYPE,    /**< name of a type, or an array of them */
    RH_SCHEMA_IS_ARRAY,   /**< array of any values */
    RH_SCHEMA_IS_NAMES,   /**< array of strings */
    RH_SCHEMA_IS_NAMINGS, /**< object of arrays of strings */
    RH_SCHEMA_IS_COUNT,   /**< non-negative integer */
    RH_SCHEMA_IS_NUMBER,
    RH_SCHEMA_IS_BOOLEAN
} rh_schema_value_t;

typedef struct rh_schema_keyword_t {
    const char *name;
    rh_schema_value_t value;
    unsigned int kinds; /**< kinds of values that it applies to, one bit of rh_json_kind_t each;
                             0: another keyword's rule reads it */
    rh_schema_rule_t *rule;
} rh_schema_keyword_t;

/** Find a keyword by name (rh_json_schema_rules.c). @return NULL: unknown */
const rh_schema_keyword_t *rh_schema_keyword(rh_bytes_t name);

/** Check a value against a schema (rh_json_schema_check.c). */
bool rh_schema_fits(rh_schema_check_t *check, int schema, int node);

/** Check likewise, but do not record a breach: for trying an alternative. */
bool rh_schema_try(rh_schema_check_t *check, int schema, int node);

/** Use up steps. @return false: none are left, and the check ends */
bool rh_schema_step(rh_schema_check_t *check, apr_size_t steps);

/** True if a number is an integer, including 1.0 and 1e3 (Validation §6.1.1). */
bool rh_schema_is_integer(rh_bytes_t number);

/**
 * Parse the name of a type: a bit for each kind of value, and RH_SCHEMA_INTEGER.
 * @return 0: not the name of a type
 */
unsigned int rh_schema_type(rh_bytes_t name);

#define RH_SCHEMA_KIND(kind) (1U << (kind))
/** The type "integer", which is not a separate kind of value. */
#define RH_SCHEMA_INTEGER (1U << 16)

#endif
