/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_json_schema.h
 * @brief JSON Schema 2020-12: check data against a schema, and infer one from samples.
 *
 * Of the vocabularies these keywords are checked: type, enum, const, minimum, maximum,
 * exclusiveMinimum, exclusiveMaximum, multipleOf, minLength, maxLength, pattern, prefixItems,
 * items, contains, minContains, maxContains, minItems, maxItems, uniqueItems, properties,
 * patternProperties, additionalProperties, propertyNames, required, dependentRequired,
 * minProperties, maxProperties, allOf, anyOf, oneOf, not, if, then, else, and $ref within the
 * document ("#", "#/$defs/address"). Other keywords are ignored, as the specification says (Core
 * §6.5); format is an annotation (Validation §7.2.1).
 *
 * A compiled schema is immutable: threads may share it. A check is bounded in steps and depth.
 */
#ifndef RH_JSON_SCHEMA_H
#define RH_JSON_SCHEMA_H

#include "rh_json_tree.h"

/** Maximum number of steps of one check: visited values, and comparisons weighted by their size. */
#define RH_JSON_SCHEMA_STEPS 1000000

typedef struct rh_json_schema_t rh_json_schema_t;

/**
 * Compile a schema: values of keywords, patterns, references.
 * @param pool keeps the schema; `text` must live as long
 * @param reason receives what is wrong and where, in `pool`: "$['type'] is not the name of a type"
 * @return APR_SUCCESS or APR_EINVAL
 */
apr_status_t rh_json_schema_compile(apr_pool_t *pool, const char *text, apr_size_t len,
                                    rh_json_schema_t **schema, const char **reason);

/**
 * Check a value.
 * @param breach receives NULL for a valid one, else where it breaks which keyword, in `pool`:
 * "$['age'] minimum"
 * @return APR_SUCCESS; APR_TIMEUP: it takes more than RH_JSON_SCHEMA_STEPS or recurses too deeply
 */
apr_status_t rh_json_schema_check(const rh_json_schema_t *schema, const rh_json_tree_t *tree,
                                  apr_pool_t *pool, const char **breach);

/** State of an inference: what the samples so far have in common. */
typedef struct rh_json_inference_t rh_json_inference_t;

/** Begin to infer a schema. Everything lives in `pool`. */
rh_json_inference_t *rh_json_inference_make(apr_pool_t *pool);

/** Add one sample, which may be freed after the call. @return false: no more samples are used */
bool rh_json_inference_add(rh_json_inference_t *inference, const rh_json_tree_t *tree);

/**
 * Make the schema of the samples: types, required members, formats date-time, date and uuid, and
 * enum for few words that occur repeatedly. It contains no other value of a sample.
 * @param title the schema's title
 * @return JSON text in the inference's pool
 */
const char *rh_json_inference_schema(const rh_json_inference_t *inference, const char *title);

#endif
