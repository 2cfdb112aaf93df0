/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file ctl_rules.h
 * @brief resthooksctl rules: what its parts share. An OpenAPI description (3.0, 3.1, or Swagger
 * 2.0) becomes capture rules and event types.
 */
#ifndef CTL_RULES_H
#define CTL_RULES_H

#include "ctl.h"

/** Maximum number of nodes of the description that are looked at, repeatedly or not. */
#define CTL_RULES_STEPS 5000000
/** Maximum nesting of schemas. */
#define CTL_RULES_DEPTH 40

typedef struct ctl_rules_t {
    ctl_t *ctl;
    struct json_object *doc;
    struct json_object *paths;
    const char *prefix;    /**< of every path as httpd sees it: "/v1", or "" */
    const char *directory; /**< absolute, where samples and schemas are written; NULL: nowhere */
    int steps;             /**< that are left of CTL_RULES_STEPS */
    apr_array_header_t *rules; /**< of ctl_rule_t *, in the order of the description */
    apr_array_header_t *notes; /**< of const char *: what has no rule, and why */
} ctl_rules_t;

/** What a path is about. */
typedef struct ctl_rules_path_t {
    const char *text;       /**< as in the description: "/orders/{id}/cancel" */
    const char *regex;      /**< with groups for its parameters, the prefix and anchors */
    const char *noun;       /**< "order" */
    const char *parent;     /**< noun of the resource that this belongs to; NULL: none */
    const char *collection; /**< the path as far as the noun; parameters are "{}" */
    const char *action;     /**< "cancel"; NULL: none */
    const char *resource; /**< path in the description of what an action is about; NULL: unknown */
    const char *url;      /**< the same as an expression of httpd; NULL: unknown */
    bool has_key;         /**< it names one resource: the group key */
} ctl_rules_path_t;

/** What a response holds. */
typedef struct ctl_rules_item_t {
    const char *query;           /**< where: "$.data"; NULL: it is the whole */
    bool each;                   /**< that is an array of items */
    struct json_object *schema;  /**< of one item, as in the description; NULL: unknown */
    struct json_object *example; /**< of one item; NULL: none */
} ctl_rules_item_t;

typedef struct ctl_rule_t {
    const ctl_rules_path_t *path;
    const char *type, *methods, *options, *description;
    ctl_rules_item_t item;
} ctl_rule_t;

/* ---- ctl_rules.c ---- */

/** Add to the notes why something has no rule. */
void ctl_rules_note(ctl_rules_t *rules, const char *method, const char *path, const char *why);

/* ---- ctl_rules_write.c ---- */

/** Print the rules and types as directives; write samples and schemas if there is a directory. */
void ctl_rules_write(ctl_rules_t *rules);

/* ---- ctl_yaml.c ---- */

/** Parse YAML 1.1 as far as it is JSON's: mappings with scalar keys, sequences, scalars, aliases.
 * @param reason what is wrong and where @return the tree, owned by ctl->pool; NULL: see reason */
struct json_object *ctl_yaml_parse(ctl_t *ctl, rh_bytes_t text, const char **reason);

/* ---- ctl_rules_words.c ---- */

/** Words in lower case with "_" between them: "lineItems" is "line_items". */
const char *ctl_words(apr_pool_t *pool, const char *text, apr_size_t len);
/** The singular of an English noun, of its last word. */
const char *ctl_singular(apr_pool_t *pool, const char *noun);
/** What happened by a verb: "cancelled". A phrase stays as it is. */
const char *ctl_participle(apr_pool_t *pool, const char *verb);
/** True if a word is in a list that ends with NULL. */
bool ctl_word_in(const char *word, const char *const *list);

/* ---- ctl_rules_path.c ---- */

/** Find out what a path is about, for one method. */
ctl_rules_path_t *ctl_rules_path(ctl_rules_t *rules, const char *text, const char *method);

/* ---- ctl_rules_item.c ---- */

/** A member of an object, references resolved; NULL: none. */
struct json_object *ctl_rules_get(ctl_rules_t *rules, struct json_object *object, const char *name);
/** A node, or what it refers to within the description. */
struct json_object *ctl_rules_resolve(ctl_rules_t *rules, struct json_object *node);
/** Find the item in the JSON of an operation's successful response.
 * @return false: it has none, or nothing but a message */
bool ctl_rules_response(ctl_rules_t *rules, struct json_object *operation, ctl_rules_item_t *item);
/** Likewise in its request. */
bool ctl_rules_request(ctl_rules_t *rules, struct json_object *operation, ctl_rules_item_t *item);
/** The properties of a schema, also those of its allOf; the caller's reference. */
struct json_object *ctl_rules_properties(ctl_rules_t *rules, struct json_object *schema);

/* ---- ctl_rules_schema.c ---- */

/** The JSON Schema (2020-12) of an item, complete in itself; the caller's reference. */
struct json_object *ctl_rules_schema(ctl_rules_t *rules, struct json_object *schema);
/** A sample made of a schema's examples; NULL: it has none. The caller's reference. */
struct json_object *ctl_rules_sample(ctl_rules_t *rules, struct json_object *schema);

#endif
