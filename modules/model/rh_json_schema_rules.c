/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The keywords of JSON Schema, one rule each (Validation §6, Core §8.2.3, §10). */
#include "rh_json_schema_private.h"

#include <math.h>

#define KIND RH_SCHEMA_KIND
#define NUMBERS KIND(RH_JSON_NUMBER)
#define STRINGS KIND(RH_JSON_STRING)
#define ARRAYS KIND(RH_JSON_ARRAY)
#define OBJECTS KIND(RH_JSON_OBJECT)
#define ALL (KIND(RH_JSON_OBJECT + 1) - 1)

/** Number of compared bytes that count as one step. */
#define BYTES_PER_STEP 16
/** Steps of one match, which may try its pattern in many ways (rh_iregexp.c). */
#define STEPS_PER_MATCH 50

static const rh_json_node_t *schema_node(const rh_schema_check_t *check, int node)
{
    return &check->schema->tree->nodes[node];
}

static const rh_json_node_t *value_node(const rh_schema_check_t *check, int node)
{
    return &check->tree->nodes[node];
}

static int sibling(const rh_schema_check_t *check, int object, const char *name)
{
    rh_bytes_t bytes = {name, strlen(name)};

    return rh_json_tree_member(check->schema->tree, object, bytes);
}

/* ---- any value ---- */

bool rh_schema_is_integer(rh_bytes_t number)
{
    double value = rh_json_double(number);

    return isfinite(value) ? value == floor(value) : !memchr(number.data, '.', number.len);
}

unsigned int rh_schema_type(rh_bytes_t name)
{
    static const struct {
        const char *name;
        unsigned int bits;
    } types[] = {{"null", KIND(RH_JSON_NULL)},
                 {"boolean", KIND(RH_JSON_TRUE) | KIND(RH_JSON_FALSE)},
                 {"integer", RH_SCHEMA_INTEGER},
                 {"number", NUMBERS},
                 {"string", STRINGS},
                 {"array", ARRAYS},
                 {"object", OBJECTS}};

    for (size_t i = 0; i < RH_COUNT_OF(types); i++) {
        if (rh_bytes_equal(rh_bytes_of(types[i].name), name)) {
            return types[i].bits;
        }
    }
    return 0;
}

static bool check_type(rh_schema_check_t *check, int object, int value, int node)
{
    const rh_json_node_t *types = schema_node(check, value), *it = value_node(check, node);
    unsigned int allowed = 0;

    (void)object;
    if (types->kind == RH_JSON_STRING) {
        allowed = rh_schema_type(types->string);
    }
    for (int i = types->first; i != RH_JSON_NO_NODE; i = schema_node(check, i)->next) {
        allowed |= rh_schema_type(schema_node(check, i)->string);
    }
    return (allowed & KIND(it->kind)) ||
           ((allowed & RH_SCHEMA_INTEGER) && it->kind == RH_JSON_NUMBER &&
            rh_schema_is_integer(it->text));
}

static bool check_const(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    return rh_schema_step(check, value_node(check, node)->text.len / BYTES_PER_STEP) &&
           rh_json_same(check->schema->tree, value, check->tree, node);
}

static bool check_enum(rh_schema_check_t *check, int object, int value, int node)
{
    int one = schema_node(check, value)->first;

    while (one != RH_JSON_NO_NODE && !check_const(check, object, one, node)) {
        if (!rh_schema_step(check, 1)) {
            return false;
        }
        one = schema_node(check, one)->next;
    }
    return one != RH_JSON_NO_NODE;
}

/* ---- numbers ---- */

static int compare(const rh_schema_check_t *check, int value, int node)
{
    return rh_json_compare_numbers(value_node(check, node)->text, schema_node(check, value)->text);
}

static bool check_minimum(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    return compare(check, value, node) >= 0;
}

static bool check_maximum(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    return compare(check, value, node) <= 0;
}

static bool check_exclusive_minimum(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    return compare(check, value, node) > 0;
}

static bool check_exclusive_maximum(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    return compare(check, value, node) < 0;
}

/** Compare to 15 digits: 0.3 is a multiple of 0.1, although this is not true of their doubles. */
static bool check_multiple(rh_schema_check_t *check, int object, int value, int node)
{
    double factor = rh_json_double(schema_node(check, value)->text);
    double quotient = rh_json_double(value_node(check, node)->text) / factor;
    double rest = fabs(quotient - nearbyint(quotient));

    (void)object;
    return isfinite(quotient) && rest <= fabs(quotient) * 1e-15;
}

/* ---- counts: lengths of strings, arrays and objects ---- */

static bool fits_limit(const rh_schema_check_t *check, int value, apr_size_t count, bool minimum)
{
    double limit = rh_json_double(schema_node(check, value)->text);

    return minimum ? (double)count >= limit : (double)count <= limit;
}

/** The length of a string in characters (Validation §6.3.1): code points. */
static apr_size_t count_characters(rh_bytes_t text)
{
    apr_size_t count = 0;

    for (apr_size_t i = 0; i < text.len; i++) {
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    }
    return count;
}

static bool check_min_length(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    return fits_limit(check, value, count_characters(value_node(check, node)->string), true);
}

static bool check_max_length(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    return fits_limit(check, value, count_characters(value_node(check, node)->string), false);
}

static bool check_min_count(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    return fits_limit(check, value, (apr_size_t)value_node(check, node)->count, true);
}

static bool check_max_count(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    return fits_limit(check, value, (apr_size_t)value_node(check, node)->count, false);
}

static bool matches(rh_schema_check_t *check, int pattern, rh_bytes_t text)
{
    return rh_schema_step(check, STEPS_PER_MATCH + text.len / BYTES_PER_STEP) &&
           rh_iregexp_match(check->schema->patterns[pattern], text, false);
}

static bool check_pattern(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    return matches(check, value, value_node(check, node)->string);
}

/* ---- arrays ---- */

static bool check_prefix_items(rh_schema_check_t *check, int object, int value, int node)
{
    int item = value_node(check, node)->first, schema = schema_node(check, value)->first;

    (void)object;
    while (item != RH_JSON_NO_NODE && schema != RH_JSON_NO_NODE) {
        if (!rh_schema_fits(check, schema, item)) {
            return false;
        }
        item = value_node(check, item)->next;
        schema = schema_node(check, schema)->next;
    }
    return true;
}

static bool check_items(rh_schema_check_t *check, int object, int value, int node)
{
    int prefix = sibling(check, object, "prefixItems"), item = value_node(check, node)->first;
    int skip = prefix == RH_JSON_NO_NODE ? 0 : schema_node(check, prefix)->count;

    for (; item != RH_JSON_NO_NODE; item = value_node(check, item)->next) {
        if (value_node(check, item)->index >= skip && !rh_schema_fits(check, value, item)) {
            return false;
        }
    }
    return true;
}

static bool check_contains(rh_schema_check_t *check, int object, int value, int node)
{
    int minimum = sibling(check, object, "minContains");
    int maximum = sibling(check, object, "maxContains");
    apr_size_t count = 0;

    for (int item = value_node(check, node)->first; item != RH_JSON_NO_NODE;
         item = value_node(check, item)->next) {
        count += rh_schema_try(check, value, item);
    }
    return (minimum == RH_JSON_NO_NODE ? count > 0 : fits_limit(check, minimum, count, true)) &&
           (maximum == RH_JSON_NO_NODE || fits_limit(check, maximum, count, false));
}

static bool check_unique(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    if (schema_node(check, value)->kind == RH_JSON_FALSE) {
        return true;
    }
    for (int one = value_node(check, node)->first; one != RH_JSON_NO_NODE;
         one = value_node(check, one)->next) {
        apr_size_t steps = 1 + value_node(check, one)->text.len / BYTES_PER_STEP;

        for (int other = value_node(check, one)->next; other != RH_JSON_NO_NODE;
             other = value_node(check, other)->next) {
            if (!rh_schema_step(check, steps) ||
                rh_json_same(check->tree, one, check->tree, other)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- objects ---- */

/** Find a member of the document's object, counting a step for each member. */
static int find_member(rh_schema_check_t *check, int node, rh_bytes_t name)
{
    return rh_schema_step(check, 1 + (apr_size_t)value_node(check, node)->count)
               ? rh_json_tree_member(check->tree, node, name)
               : RH_JSON_NO_NODE;
}

static bool check_properties(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    for (int schema = schema_node(check, value)->first; schema != RH_JSON_NO_NODE;
         schema = schema_node(check, schema)->next) {
        int member = find_member(check, node, schema_node(check, schema)->name);

        if (member != RH_JSON_NO_NODE && !rh_schema_fits(check, schema, member)) {
            return false;
        }
    }
    return true;
}

static bool check_pattern_properties(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    for (int schema = schema_node(check, value)->first; schema != RH_JSON_NO_NODE;
         schema = schema_node(check, schema)->next) {
        for (int member = value_node(check, node)->first; member != RH_JSON_NO_NODE;
             member = value_node(check, member)->next) {
            if (matches(check, schema, value_node(check, member)->name) &&
                !rh_schema_fits(check, schema, member)) {
                return false;
            }
        }
    }
    return true;
}

/** True if properties or patternProperties of the same schema match a member. */
static bool is_covered(rh_schema_check_t *check, int object, rh_bytes_t name)
{
    int names = sibling(check, object, "properties");
    int patterns = sibling(check, object, "patternProperties");
    int pattern =
        patterns == RH_JSON_NO_NODE ? RH_JSON_NO_NODE : schema_node(check, patterns)->first;

    if (names != RH_JSON_NO_NODE &&
        rh_json_tree_member(check->schema->tree, names, name) != RH_JSON_NO_NODE) {
        return true;
    }
    while (pattern != RH_JSON_NO_NODE && !matches(check, pattern, name)) {
        pattern = schema_node(check, pattern)->next;
    }
    return pattern != RH_JSON_NO_NODE;
}

static bool check_additional(rh_schema_check_t *check, int object, int value, int node)
{
    for (int member = value_node(check, node)->first; member != RH_JSON_NO_NODE;
         member = value_node(check, member)->next) {
        if (!is_covered(check, object, value_node(check, member)->name) &&
            !rh_schema_fits(check, value, member)) {
            return false;
        }
    }
    return true;
}

/** Check a name as a string: a document of its own with one node. */
static bool check_property_names(rh_schema_check_t *check, int object, int value, int node)
{
    const rh_json_tree_t *tree = check->tree;
    bool fits = true;

    (void)object;
    for (int member = value_node(check, node)->first; member != RH_JSON_NO_NODE && fits;
         member = tree->nodes[member].next) {
        rh_json_node_t name = {.kind = RH_JSON_STRING,
                               .text = tree->nodes[member].name,
                               .string = tree->nodes[member].name,
                               .parent = RH_JSON_NO_NODE,
                               .first = RH_JSON_NO_NODE,
                               .next = RH_JSON_NO_NODE};
        rh_json_tree_t document = {&name, 1};

        check->tree = &document;
        fits = rh_schema_try(check, value, 0);
        check->tree = tree;
    }
    return fits;
}

static bool check_required(rh_schema_check_t *check, int object, int value, int node)
{
    int name = schema_node(check, value)->first;

    (void)object;
    while (name != RH_JSON_NO_NODE &&
           find_member(check, node, schema_node(check, name)->string) != RH_JSON_NO_NODE) {
        name = schema_node(check, name)->next;
    }
    return name == RH_JSON_NO_NODE;
}

static bool check_dependent_required(rh_schema_check_t *check, int object, int value, int node)
{
    for (int names = schema_node(check, value)->first; names != RH_JSON_NO_NODE;
         names = schema_node(check, names)->next) {
        if (find_member(check, node, schema_node(check, names)->name) != RH_JSON_NO_NODE &&
            !check_required(check, object, names, node)) {
            return false;
        }
    }
    return true;
}

/* ---- combinations ---- */

static bool check_all_of(rh_schema_check_t *check, int object, int value, int node)
{
    int schema = schema_node(check, value)->first;

    (void)object;
    while (schema != RH_JSON_NO_NODE && rh_schema_fits(check, schema, node)) {
        schema = schema_node(check, schema)->next;
    }
    return schema == RH_JSON_NO_NODE;
}

/** Count the schemas of a list that match. */
static int count_fitting(rh_schema_check_t *check, int list, int node)
{
    int count = 0;

    for (int schema = schema_node(check, list)->first; schema != RH_JSON_NO_NODE;
         schema = schema_node(check, schema)->next) {
        count += rh_schema_try(check, schema, node);
    }
    return count;
}

static bool check_any_of(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    return count_fitting(check, value, node) > 0;
}

static bool check_one_of(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    return count_fitting(check, value, node) == 1;
}

static bool check_not(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    return !rh_schema_try(check, value, node);
}

static bool check_if(rh_schema_check_t *check, int object, int value, int node)
{
    int then = sibling(check, object, rh_schema_try(check, value, node) ? "then" : "else");

    return then == RH_JSON_NO_NODE || rh_schema_fits(check, then, node);
}

static bool check_ref(rh_schema_check_t *check, int object, int value, int node)
{
    (void)object;
    return rh_schema_fits(check, check->schema->refs[value], node);
}

/* ---- the table ---- */

static const rh_schema_keyword_t keywords[] = {
    {"$ref", RH_SCHEMA_IS_REF, ALL, check_ref},
    {"$defs", RH_SCHEMA_IS_MAP, 0, NULL},
    {"type", RH_SCHEMA_IS_TYPE, ALL, check_type},
    {"enum", RH_SCHEMA_IS_ARRAY, ALL, check_enum},
    {"const", RH_SCHEMA_IS_ANY, ALL, check_const},
    {"minimum", RH_SCHEMA_IS_NUMBER, NUMBERS, check_minimum},
    {"maximum", RH_SCHEMA_IS_NUMBER, NUMBERS, check_maximum},
    {"exclusiveMinimum", RH_SCHEMA_IS_NUMBER, NUMBERS, check_exclusive_minimum},
    {"exclusiveMaximum", RH_SCHEMA_IS_NUMBER, NUMBERS, check_exclusive_maximum},
    {"multipleOf", RH_SCHEMA_IS_NUMBER, NUMBERS, check_multiple},
    {"minLength", RH_SCHEMA_IS_COUNT, STRINGS, check_min_length},
    {"maxLength", RH_SCHEMA_IS_COUNT, STRINGS, check_max_length},
    {"pattern", RH_SCHEMA_IS_PATTERN, STRINGS, check_pattern},
    {"prefixItems", RH_SCHEMA_IS_LIST, ARRAYS, check_prefix_items},
    {"items", RH_SCHEMA_IS_SCHEMA, ARRAYS, check_items},
    {"contains", RH_SCHEMA_IS_SCHEMA, ARRAYS, check_contains},
    {"minContains", RH_SCHEMA_IS_COUNT, 0, NULL},
    {"maxContains", RH_SCHEMA_IS_COUNT, 0, NULL},
    {"minItems", RH_SCHEMA_IS_COUNT, ARRAYS, check_min_count},
    {"maxItems", RH_SCHEMA_IS_COUNT, ARRAYS, check_max_count},
    {"uniqueItems", RH_SCHEMA_IS_BOOLEAN, ARRAYS, check_unique},
    {"properties", RH_SCHEMA_IS_MAP, OBJECTS, check_properties},
    {"patternProperties", RH_SCHEMA_IS_PATTERNS, OBJECTS, check_pattern_properties},
    {"additionalProperties", RH_SCHEMA_IS_SCHEMA, OBJECTS, check_additional},
    {"propertyNames", RH_SCHEMA_IS_SCHEMA, OBJECTS, check_property_names},
    {"required", RH_SCHEMA_IS_NAMES, OBJECTS, check_required},
    {"dependentRequired", RH_SCHEMA_IS_NAMINGS, OBJECTS, check_dependent_required},
    {"minProperties", RH_SCHEMA_IS_COUNT, OBJECTS, check_min_count},
    {"maxProperties", RH_SCHEMA_IS_COUNT, OBJECTS, check_max_count},
    {"allOf", RH_SCHEMA_IS_LIST, ALL, check_all_of},
    {"anyOf", RH_SCHEMA_IS_LIST, ALL, check_any_of},
    {"oneOf", RH_SCHEMA_IS_LIST, ALL, check_one_of},
    {"not", RH_SCHEMA_IS_SCHEMA, ALL, check_not},
    {"if", RH_SCHEMA_IS_SCHEMA, ALL, check_if},
    {"then", RH_SCHEMA_IS_SCHEMA, 0, NULL},
    {"else", RH_SCHEMA_IS_SCHEMA, 0, NULL},
};

const rh_schema_keyword_t *rh_schema_keyword(rh_bytes_t name)
{
    for (size_t i = 0; i < RH_COUNT_OF(keywords); i++) {
        if (rh_bytes_equal(rh_bytes_of(keywords[i].name), name)) {
            return &keywords[i];
        }
    }
    return NULL;
}
