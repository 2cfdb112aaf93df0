/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file ctl_rules.h
 * @brief What the parts of `resthooksctl rules` share. An OpenAPI description (3.0, 3.1, or Swagger
 * 2.0) becomes capture rules and event types.
 */
#ifndef CTL_RULES_H
#define CTL_RULES_H

#include "ctl.h"

/** Maximum number of visits to nodes of the description. */
#define CTL_RULES_STEPS 5000000
/** Maximum nesting of schemas. */
#define CTL_RULES_DEPTH 40

typedef struct ctl_rules_t {
    ctl_t *ctl;
    struct json_object *doc;
    struct json_object *paths;
    const char *prefix;        /**< prefix of every path as httpd sees it: "/v1", or "" */
    const char *directory;     /**< absolute path for samples and schemas; NULL: write none */
    int steps;                 /**< the rest of CTL_RULES_STEPS */
    apr_array_header_t *rules; /**< of ctl_rule_t *, in the order of the description */
    apr_array_header_t *notes; /**< of const char *: paths without a rule, with the reason */
} ctl_rules_t;

/** What a path stands for. */
typedef struct ctl_rules_path_t {
    const char *text;       /**< as written in the description: "/orders/{id}/cancel" */
    const char *regex;      /**< including the prefix, anchors, and groups for the parameters */
    const char *noun;       /**< "order" */
    const char *parent;     /**< noun of the resource that this one belongs to; NULL: none */
    const char *collection; /**< the path up to the noun; parameters are "{}" */
    const char *action;     /**< "cancel"; NULL: none */
    const char *resource;   /**< path of the resource that an action applies to; NULL: unknown */
    const char *url;        /**< the same path as an expression of httpd; NULL: unknown */
    bool has_key;           /**< it identifies one resource by the group key */
} ctl_rules_path_t;

/** The item in a response. */
typedef struct ctl_rules_item_t {
    const char *query;           /**< query that selects it: "$.data"; NULL: the whole body */
    bool each;                   /**< the query selects an array of items */
    struct json_object *schema;  /**< schema of one item, as in the description; NULL: unknown */
    struct json_object *example; /**< example of one item; NULL: none */
} ctl_rules_item_t;

typedef struct ctl_rule_t {
    const ctl_rules_path_t *path;
    const char *type, *methods, *options, *description;
    ctl_rules_item_t item;
} ctl_rule_t;

/* ---- ctl_rules_write.c ---- */

/** Add a note that something has no rule, and why. */
void ctl_rules_note(ctl_rules_t *rules, const char *method, const char *path, const char *why);

/** Print the rules and types as directives; write samples and schemas if there is a directory. */
void ctl_rules_write(ctl_rules_t *rules);

/* ---- ctl_yaml.c ---- */

/**
 * Parse YAML 1.1 within the limits of JSON: mappings with scalar keys, sequences, scalars, aliases.
 * @param reason receives what is wrong, and where
 * @return the tree, owned by ctl->pool; NULL: see reason
 */
struct json_object *ctl_yaml_parse(ctl_t *ctl, rh_bytes_t text, const char **reason);

/* ---- ctl_rules_words.c ---- */

/** Convert words to lower case with "_" between them: "lineItems" becomes "line_items". */
const char *ctl_words(apr_pool_t *pool, const char *text, apr_size_t len);
/** Return the singular of an English noun phrase. */
const char *ctl_singular(apr_pool_t *pool, const char *noun);
/** Return the past participle of a verb: "cancelled". A phrase is returned unchanged. */
const char *ctl_participle(apr_pool_t *pool, const char *verb);
/** True if a word is in a list that ends with NULL. */
bool ctl_word_in(const char *word, const char *const *list);

/* ---- ctl_rules_path.c ---- */

/** Find out what a path stands for, with one method. */
ctl_rules_path_t *ctl_rules_path(ctl_rules_t *rules, const char *text, const char *method);

/* ---- ctl_rules_item.c ---- */

/** Return a member of an object, with references resolved; NULL: none. */
struct json_object *ctl_rules_get(ctl_rules_t *rules, struct json_object *object, const char *name);
/** Return a node, or the node that it refers to within the description. */
struct json_object *ctl_rules_resolve(ctl_rules_t *rules, struct json_object *node);
/**
 * Find the item in the JSON of an operation's successful response.
 * @return false: the body is not JSON, or only a message
 */
bool ctl_rules_response(ctl_rules_t *rules, struct json_object *operation, ctl_rules_item_t *item);
/** Find the item in the JSON of an operation's request. @return likewise */
bool ctl_rules_request(ctl_rules_t *rules, struct json_object *operation, ctl_rules_item_t *item);
/** Return the properties of a schema, including those of its allOf; the caller's reference. */
struct json_object *ctl_rules_properties(ctl_rules_t *rules, struct json_object *schema);

/* ---- ctl_rules_schema.c ---- */

/** Make the self-contained JSON Schema (2020-12) of an item; the caller's reference. */
struct json_object *ctl_rules_schema(ctl_rules_t *rules, struct json_object *schema);
/** Make a sample from a schema's examples; NULL: it has none. The caller's reference. */
struct json_object *ctl_rules_sample(ctl_rules_t *rules, struct json_object *schema);

#endif
