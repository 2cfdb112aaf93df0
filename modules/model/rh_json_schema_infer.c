/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Infers a schema from samples. Keeps copies of strings only for enums. */
#include "rh_json_schema_private.h"

#include "rh_time.h"
#include "rh_uuid.h"

#include <apr_hash.h>

/** Maximum number of shapes, one per position in the samples. */
#define MAX_SHAPES 2000
/** Maximum number of different members in one object; with more it counts as a map. */
#define MAX_MEMBERS 100
/** Maximum number of values that are read, in all samples together. */
#define MAX_VALUES 200000
/** Maximum number of different words of an enum, and maximum length of each in bytes. */
#define MAX_WORDS 6
#define MAX_WORD_BYTES 32
/** Minimum occurrences of an enum's words: of all, of each, and on average. */
#define MIN_SEEN 20
#define MIN_SEEN_EACH 2
#define MIN_SEEN_PER_WORD 4

/** Possible formats of strings; a bit stays set while all strings seen so far have the format. */
enum { FORM_DATE_TIME = 1, FORM_DATE = 2, FORM_UUID = 4, FORM_WORD = 8, FORM_ALL = 15 };

typedef struct word_t {
    const char *text;
    int seen;
} word_t;

/** What the values at one position have in common. */
typedef struct shape_t {
    unsigned int types; /**< as rh_schema_type */
    int forms;          /**< common formats of all strings so far */
    int strings, objects;
    word_t words[MAX_WORDS];
    int word_count;              /**< above MAX_WORDS: too many for an enum */
    apr_array_header_t *members; /**< of member_t; NULL: none yet, or a map */
    apr_hash_t *by_name;         /**< of int: index in members plus 1 */
    struct shape_t *items;       /**< shape of an array's items; NULL: none yet */
    struct shape_t *values;      /**< shape of a map's values; NULL: the members are
                                      distinguished */
} shape_t;

typedef struct member_t {
    rh_bytes_t name;
    shape_t *shape;
    int seen; /**< number of objects that have it */
} member_t;

struct rh_json_inference_t {
    apr_pool_t *pool;
    shape_t *root;
    int samples, shapes, values;
};

static shape_t *make_shape(rh_json_inference_t *inference)
{
    shape_t *shape;

    if (inference->shapes >= MAX_SHAPES) {
        return NULL;
    }
    inference->shapes++;
    shape = apr_pcalloc(inference->pool, sizeof(*shape));
    shape->forms = FORM_ALL;
    return shape;
}

rh_json_inference_t *rh_json_inference_make(apr_pool_t *pool)
{
    rh_json_inference_t *inference = apr_pcalloc(pool, sizeof(*inference));

    inference->pool = pool;
    inference->root = make_shape(inference);
    return inference;
}

/* ---- strings ---- */

/** A word like "paid" or "IN_TRANSIT": letters, with "_", "-" and "." between them. */
static bool is_word(rh_bytes_t text)
{
    bool between = true;

    if (text.len == 0 || text.len > MAX_WORD_BYTES) {
        return false;
    }
    for (apr_size_t i = 0; i < text.len; i++) {
        char c = (char)(text.data[i] | 0x20);

        if (c >= 'a' && c <= 'z') {
            between = false;
        } else if (between || !strchr("_-.", text.data[i])) {
            return false;
        } else {
            between = true;
        }
    }
    return !between;
}

static bool is_date(rh_bytes_t text)
{
    static const char form[] = "dddd-dd-dd";

    for (apr_size_t i = 0; text.len == sizeof(form) - 1 && i < text.len; i++) {
        if (form[i] == 'd' ? text.data[i] < '0' || text.data[i] > '9' : text.data[i] != form[i]) {
            return false;
        }
    }
    return text.len == sizeof(form) - 1;
}

static bool is_date_time(rh_bytes_t text)
{
    apr_time_t time;

    return rh_time_parse(text.data, text.len, &time) == APR_SUCCESS;
}

static int forms_of(rh_bytes_t text)
{
    int forms = 0;

    forms |= is_date_time(text) ? FORM_DATE_TIME : 0;
    forms |= is_date(text) ? FORM_DATE : 0;
    forms |= rh_uuid_valid(text.data, text.len) ? FORM_UUID : 0;
    forms |= is_word(text) ? FORM_WORD : 0;
    return forms;
}

static void count_word(rh_json_inference_t *inference, shape_t *shape, rh_bytes_t text)
{
    int i = 0;

    while (i < shape->word_count && i < MAX_WORDS &&
           (strlen(shape->words[i].text) != text.len ||
            memcmp(shape->words[i].text, text.data, text.len) != 0)) {
        i++;
    }
    if (i >= MAX_WORDS) {
        shape->word_count = MAX_WORDS + 1;
        return;
    }
    if (i == shape->word_count) {
        shape->words[i].text = apr_pstrmemdup(inference->pool, text.data, text.len);
        shape->word_count++;
    }
    shape->words[i].seen++;
}

static void add_string(rh_json_inference_t *inference, shape_t *shape, rh_bytes_t text)
{
    shape->strings++;
    shape->forms &= forms_of(text);
    if ((shape->forms & FORM_WORD) && shape->word_count <= MAX_WORDS) {
        count_word(inference, shape, text);
    }
}

static bool is_enum(const shape_t *shape)
{
    if (!(shape->forms & FORM_WORD) || shape->word_count > MAX_WORDS || shape->strings < MIN_SEEN ||
        shape->strings < shape->word_count * MIN_SEEN_PER_WORD) {
        return false;
    }
    for (int i = 0; i < shape->word_count; i++) {
        if (shape->words[i].seen < MIN_SEEN_EACH) {
            return false;
        }
    }
    return true;
}

/* ---- arrays and objects ---- */

static bool add_value(rh_json_inference_t *inference, shape_t *shape, const rh_json_tree_t *tree,
                      int node);

/** Find or make the member of a shape. @return NULL: there are too many */
static member_t *find_member(rh_json_inference_t *inference, shape_t *shape, rh_bytes_t name)
{
    member_t member = {{NULL, 0}, NULL, 0};
    const int *found;
    int *position;

    if (!shape->members) {
        shape->members = apr_array_make(inference->pool, 8, sizeof(member_t));
        shape->by_name = apr_hash_make(inference->pool);
    }
    found = apr_hash_get(shape->by_name, name.data, (apr_ssize_t)name.len);
    if (found) {
        return &APR_ARRAY_IDX(shape->members, *found, member_t);
    }
    if (shape->members->nelts >= MAX_MEMBERS) {
        return NULL;
    }
    member.name.data = apr_pstrmemdup(inference->pool, name.data, name.len);
    member.name.len = name.len;
    member.shape = make_shape(inference);
    if (!member.shape) {
        return NULL;
    }
    position = apr_palloc(inference->pool, sizeof(*position));
    *position = shape->members->nelts;
    apr_hash_set(shape->by_name, member.name.data, (apr_ssize_t)name.len, position);
    APR_ARRAY_PUSH(shape->members, member_t) = member;
    return &APR_ARRAY_IDX(shape->members, *position, member_t);
}

static bool add_members(rh_json_inference_t *inference, shape_t *shape, const rh_json_tree_t *tree,
                        int node)
{
    shape->objects++;
    for (int child = tree->nodes[node].first; child != RH_JSON_NO_NODE;
         child = tree->nodes[child].next) {
        member_t *member =
            shape->values ? NULL : find_member(inference, shape, tree->nodes[child].name);

        if (!member && !shape->values) {
            /* The names are data, such as ids, so only the type of the values is useful. */
            shape->values = make_shape(inference);
        }
        if (member) {
            member->seen++;
        }
        if (!member && !shape->values) {
            return false;
        }
        if (!add_value(inference, member ? member->shape : shape->values, tree, child)) {
            return false;
        }
    }
    return true;
}

static bool add_items(rh_json_inference_t *inference, shape_t *shape, const rh_json_tree_t *tree,
                      int node)
{
    for (int child = tree->nodes[node].first; child != RH_JSON_NO_NODE;
         child = tree->nodes[child].next) {
        if (!shape->items) {
            shape->items = make_shape(inference);
        }
        if (!shape->items || !add_value(inference, shape->items, tree, child)) {
            return false;
        }
    }
    return true;
}

/** Recursive as deep as the tree. @return false: a limit is reached */
static bool add_value(rh_json_inference_t *inference, shape_t *shape, const rh_json_tree_t *tree,
                      int node)
{
    const rh_json_node_t *value = &tree->nodes[node];

    if (++inference->values > MAX_VALUES) {
        return false;
    }
    shape->types |= value->kind == RH_JSON_NUMBER && rh_schema_is_integer(value->text)
                        ? RH_SCHEMA_INTEGER
                        : RH_SCHEMA_KIND(value->kind);
    switch (value->kind) {
    case RH_JSON_STRING:
        add_string(inference, shape, value->string);
        return true;
    case RH_JSON_ARRAY:
        return add_items(inference, shape, tree, node);
    case RH_JSON_OBJECT:
        return add_members(inference, shape, tree, node);
    default:
        return true;
    }
}

bool rh_json_inference_add(rh_json_inference_t *inference, const rh_json_tree_t *tree)
{
    inference->samples++;
    return add_value(inference, inference->root, tree, 0);
}

/* ---- the schema ---- */

static struct json_object *shape_json(const shape_t *shape);

static void put_types(struct json_object *tree, unsigned int types)
{
    static const char *const names[] = {"null",   "boolean", "integer", "number",
                                        "string", "array",   "object"};
    struct json_object *list = json_object_new_array();

    if (types & RH_SCHEMA_KIND(RH_JSON_NUMBER)) {
        types &= ~RH_SCHEMA_INTEGER; /* a number may be an integer */
    }
    for (size_t i = 0; i < RH_COUNT_OF(names); i++) {
        rh_bytes_t name = {names[i], strlen(names[i])};

        if (types & rh_schema_type(name)) {
            json_object_array_add(list, json_object_new_string(names[i]));
        }
    }
    if (json_object_array_length(list) == 1) {
        struct json_object *only = json_object_get(json_object_array_get_idx(list, 0));

        json_object_put(list);
        list = only;
    }
    json_object_object_add(tree, "type", list);
}

static void put_string_rules(struct json_object *tree, const shape_t *shape)
{
    const char *format = shape->forms & FORM_DATE_TIME ? "date-time"
                         : shape->forms & FORM_DATE    ? "date"
                         : shape->forms & FORM_UUID    ? "uuid"
                                                       : NULL;

    if (shape->strings == 0) {
        return;
    }
    if (format) {
        json_object_object_add(tree, "format", json_object_new_string(format));
    }
    /* An enum applies to values of every type, so it is only used if all values are strings. */
    if (shape->types == RH_SCHEMA_KIND(RH_JSON_STRING) && is_enum(shape)) {
        struct json_object *list = json_object_new_array();

        for (int i = 0; i < shape->word_count; i++) {
            json_object_array_add(list, json_object_new_string(shape->words[i].text));
        }
        json_object_object_add(tree, "enum", list);
    }
}

static void put_object_rules(struct json_object *tree, const shape_t *shape)
{
    struct json_object *properties, *required;

    if (shape->values) {
        json_object_object_add(tree, "additionalProperties", json_object_new_object());
        return;
    }
    if (!shape->members) {
        return;
    }
    properties = json_object_new_object();
    required = json_object_new_array();
    for (int i = 0; i < shape->members->nelts; i++) {
        const member_t *member = &APR_ARRAY_IDX(shape->members, i, member_t);

        /* A name that contains NUL or a lone surrogate cannot be written. */
        if (memchr(member->name.data, '\0', member->name.len) ||
            !rh_utf8_valid(member->name.data, member->name.len)) {
            continue;
        }
        json_object_object_add(properties, member->name.data, shape_json(member->shape));
        if (member->seen == shape->objects) {
            json_object_array_add(required, json_object_new_string(member->name.data));
        }
    }
    json_object_object_add(tree, "properties", properties);
    json_object_object_add(tree, "required", required);
}

/** Recursive as deep as the samples. */
static struct json_object *shape_json(const shape_t *shape)
{
    struct json_object *tree = json_object_new_object();

    if (shape->types == 0) {
        return tree;
    }
    put_types(tree, shape->types);
    put_string_rules(tree, shape);
    put_object_rules(tree, shape);
    if (shape->items) {
        json_object_object_add(tree, "items", shape_json(shape->items));
    }
    return tree;
}

const char *rh_json_inference_schema(const rh_json_inference_t *inference, const char *title)
{
    struct json_object *tree = json_object_new_object(), *shape = shape_json(inference->root);
    const char *comment = apr_psprintf(inference->pool, "Inferred from %d event%s.",
                                       inference->samples, inference->samples == 1 ? "" : "s");
    apr_size_t len;

    json_object_object_add(tree, "$schema",
                           json_object_new_string("https://json-schema.org/draft/2020-12/schema"));
    json_object_object_add(tree, "title", json_object_new_string(title));
    json_object_object_add(tree, "$comment", json_object_new_string(comment));
    json_object_object_foreach(shape, name, value)
    {
        json_object_object_add(tree, name, json_object_get(value));
    }
    json_object_put(shape);
    return rh_json_text(inference->pool, rh_json_own(inference->pool, tree), &len);
}
