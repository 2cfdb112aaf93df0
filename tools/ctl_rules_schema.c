/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * Converts the schemas of a description to self-contained JSON Schema 2020-12, and makes samples.
 */
#include "ctl_rules.h"

#include "rh_text.h"

#include <apr_strings.h>

typedef struct converter_t {
    ctl_rules_t *rules;
    struct json_object *defs; /**< schemas that are referred to */
    int depth;
} converter_t;

static struct json_object *convert(converter_t *converter, struct json_object *schema);

/** Members of OpenAPI's schemas that JSON Schema does not have. */
static bool is_foreign(const char *name)
{
    static const char *const names[] = {
        "xml",       "discriminator", "externalDocs", "nullable", "example",
        "writeOnly", "$id",           "$schema",      "$anchor",  NULL};

    return strncmp(name, "x-", 2) == 0 || ctl_word_in(name, names);
}

static bool is_true(struct json_object *schema, const char *name)
{
    struct json_object *member;

    return json_object_is_type(schema, json_type_object) &&
           json_object_object_get_ex(schema, name, &member) && json_object_get_boolean(member);
}

/** Return a reference to a schema of $defs, which is converted on its first use. */
static struct json_object *convert_reference(converter_t *converter, struct json_object *schema,
                                             const char *ref)
{
    apr_pool_t *pool = converter->rules->ctl->pool;
    const char *name = strrchr(ref, '/');
    struct json_object *target = ctl_rules_resolve(converter->rules, schema);
    struct json_object *made = json_object_new_object();

    if (!name || !target) {
        return made; /* the schema that accepts everything */
    }
    name = ctl_safe(pool, name + 1, strlen(name + 1), false);
    json_object_object_add(made, "$ref",
                           json_object_new_string(apr_pstrcat(pool, "#/$defs/", name, NULL)));
    if (!json_object_object_get_ex(converter->defs, name, NULL)) {
        /* Add it before converting its content, which may refer to it. */
        json_object_object_add(converter->defs, name, json_object_new_boolean(true));
        json_object_object_add(converter->defs, name, convert(converter, target));
    }
    return made;
}

/** Convert an object of schemas, without those that responses do not contain. */
static struct json_object *convert_map(converter_t *converter, struct json_object *map)
{
    struct json_object *made = json_object_new_object();

    if (json_object_is_type(map, json_type_object)) {
        json_object_object_foreach(map, name, schema)
        {
            if (!is_true(ctl_rules_resolve(converter->rules, schema), "writeOnly")) {
                json_object_object_add(made, name, convert(converter, schema));
            }
        }
    }
    return made;
}

static struct json_object *convert_list(converter_t *converter, struct json_object *list)
{
    struct json_object *made = json_object_new_array();

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object_array_add(made, convert(converter, json_object_array_get_idx(list, i)));
    }
    return made;
}

/** Convert the list of required names, without those that responses do not contain. */
static struct json_object *convert_required(converter_t *converter, struct json_object *list,
                                            struct json_object *properties)
{
    struct json_object *made = json_object_new_array();

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *name = json_object_array_get_idx(list, i);
        const char *text = json_object_get_string(name);

        if (text && !is_true(ctl_rules_get(converter->rules, properties, text), "writeOnly")) {
            json_object_array_add(made, json_object_get(name));
        }
    }
    return made;
}

/** The kind of a member's value: schemas, or data. */
static struct json_object *convert_member(converter_t *converter, struct json_object *schema,
                                          const char *name, struct json_object *value)
{
    static const char *const maps[] = {"properties", "patternProperties", "dependentSchemas",
                                       "$defs",      "definitions",       NULL};
    static const char *const lists[] = {"allOf", "anyOf", "oneOf", "prefixItems", NULL};
    static const char *const schemas[] = {
        "items",    "additionalProperties", "not", "if", "then", "else",
        "contains", "propertyNames",        NULL};

    if (ctl_word_in(name, maps)) {
        return convert_map(converter, value);
    }
    if (ctl_word_in(name, lists) && json_object_is_type(value, json_type_array)) {
        return convert_list(converter, value);
    }
    if (ctl_word_in(name, schemas) && json_object_is_type(value, json_type_object)) {
        return convert(converter, value);
    }
    if (strcmp(name, "required") == 0 && json_object_is_type(value, json_type_array)) {
        return convert_required(converter, value,
                                ctl_rules_get(converter->rules, schema, "properties"));
    }
    return json_object_get(value);
}

/** OpenAPI 3.0: with "exclusiveMinimum": true, "minimum" is exclusive. */
static void convert_exclusive(struct json_object *made, const char *bound, const char *exclusive)
{
    struct json_object *flag, *limit;

    if (json_object_object_get_ex(made, exclusive, &flag) &&
        json_object_is_type(flag, json_type_boolean)) {
        bool is_exclusive = json_object_get_boolean(flag);

        json_object_object_del(made, exclusive);
        if (is_exclusive && json_object_object_get_ex(made, bound, &limit)) {
            json_object_object_add(made, exclusive, json_object_get(limit));
            json_object_object_del(made, bound);
        }
    }
}

/** OpenAPI 3.0: with "nullable": true, null is allowed, too. */
static struct json_object *add_null(struct json_object *made)
{
    struct json_object *type, *either, *null;

    if (json_object_object_get_ex(made, "type", &type) &&
        json_object_is_type(type, json_type_string) &&
        !json_object_object_get_ex(made, "enum", NULL)) {
        either = json_object_new_array();
        json_object_array_add(either, json_object_get(type));
        json_object_array_add(either, json_object_new_string("null"));
        json_object_object_add(made, "type", either);
        return made;
    }
    null = json_object_new_object();
    json_object_object_add(null, "type", json_object_new_string("null"));
    either = json_object_new_array();
    json_object_array_add(either, made);
    json_object_array_add(either, null);
    made = json_object_new_object();
    json_object_object_add(made, "anyOf", either);
    return made;
}

static struct json_object *convert_object(converter_t *converter, struct json_object *schema)
{
    struct json_object *made = json_object_new_object();

    json_object_object_foreach(schema, name, value)
    {
        if (!is_foreign(name)) {
            json_object_object_add(made, name, convert_member(converter, schema, name, value));
        }
    }
    convert_exclusive(made, "minimum", "exclusiveMinimum");
    convert_exclusive(made, "maximum", "exclusiveMaximum");
    return is_true(schema, "nullable") ? add_null(made) : made;
}

static struct json_object *convert(converter_t *converter, struct json_object *schema)
{
    struct json_object *ref, *made;

    if (converter->depth >= CTL_RULES_DEPTH || --converter->rules->steps < 0) {
        return json_object_new_object();
    }
    if (!json_object_is_type(schema, json_type_object)) {
        return json_object_get(schema);
    }
    converter->depth++;
    made = json_object_object_get_ex(schema, "$ref", &ref) &&
                   json_object_is_type(ref, json_type_string)
               ? convert_reference(converter, schema, json_object_get_string(ref))
               : convert_object(converter, schema);
    converter->depth--;
    return made;
}

struct json_object *ctl_rules_schema(ctl_rules_t *rules, struct json_object *schema)
{
    converter_t converter = {rules, json_object_new_object(), 0};
    struct json_object *made = convert(&converter, schema), *first;

    if (!json_object_is_type(made, json_type_object)) {
        json_object_put(converter.defs);
        return made;
    }
    first = json_object_new_object();
    json_object_object_add(first, "$schema",
                           json_object_new_string("https://json-schema.org/draft/2020-12/schema"));
    json_object_object_foreach(made, name, value)
    {
        json_object_object_add(first, name, json_object_get(value));
    }
    json_object_put(made);
    if (json_object_object_length(converter.defs) > 0) {
        json_object_object_add(first, "$defs", converter.defs);
    } else {
        json_object_put(converter.defs);
    }
    return first;
}

/* ---- samples ---- */

/** Make a value of a schema. @param examples receives the number of examples used */
static struct json_object *make_value(ctl_rules_t *rules, struct json_object *schema, int depth,
                                      int *examples);

static struct json_object *make_object(ctl_rules_t *rules, struct json_object *schema, int depth,
                                       int *examples)
{
    struct json_object *properties = ctl_rules_properties(rules, schema);
    struct json_object *made = json_object_new_object();

    json_object_object_foreach(properties, name, member)
    {
        struct json_object *resolved = ctl_rules_resolve(rules, member);

        if (!is_true(resolved, "writeOnly")) {
            json_object_object_add(made, name, make_value(rules, resolved, depth + 1, examples));
        }
    }
    json_object_put(properties);
    return made;
}

/** Make a placeholder value of a type without an example. */
static struct json_object *make_placeholder(const char *type)
{
    return strcmp(type, "integer") == 0 || strcmp(type, "number") == 0 ? json_object_new_int(1)
           : strcmp(type, "boolean") == 0 ? json_object_new_boolean(true)
           : strcmp(type, "array") == 0   ? json_object_new_array()
           : strcmp(type, "string") == 0  ? json_object_new_string("string")
                                          : NULL;
}

static struct json_object *make_value(ctl_rules_t *rules, struct json_object *schema, int depth,
                                      int *examples)
{
    static const char *const names[] = {"example", "examples", "const", "default", "enum"};
    struct json_object *value, *type;

    if (depth > CTL_RULES_DEPTH || --rules->steps < 0 ||
        !json_object_is_type(schema, json_type_object)) {
        return NULL;
    }
    for (size_t i = 0; i < RH_COUNT_OF(names); i++) {
        bool list = i == 1 || i == 4;

        if (!json_object_object_get_ex(schema, names[i], &value) || !value) {
            continue;
        }
        if (list && json_object_is_type(value, json_type_array)) {
            value = json_object_array_get_idx(value, 0);
        }
        *examples += i < 2;
        return json_object_get(value);
    }
    value = ctl_rules_get(rules, schema, "anyOf");
    value = value ? value : ctl_rules_get(rules, schema, "oneOf");
    if (json_object_is_type(value, json_type_array) && json_object_array_length(value) > 0) {
        value = ctl_rules_resolve(rules, json_object_array_get_idx(value, 0));
        return make_value(rules, value, depth + 1, examples);
    }
    type = ctl_rules_get(rules, schema, "type");
    if (json_object_is_type(type, json_type_array)) {
        type = json_object_array_get_idx(type, 0);
    }
    if (!type || strcmp(json_object_get_string(type), "object") == 0) {
        return make_object(rules, schema, depth, examples);
    }
    return make_placeholder(json_object_get_string(type));
}

struct json_object *ctl_rules_sample(ctl_rules_t *rules, struct json_object *schema)
{
    int examples = 0;
    struct json_object *made = make_value(rules, schema, 0, &examples);

    if (examples == 0) {
        json_object_put(made);
        return NULL;
    }
    return made;
}
