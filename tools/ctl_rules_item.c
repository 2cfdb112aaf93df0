/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Finds the resource in the bodies of a description. */
#include "ctl_rules.h"

#include "rh_text.h"

#include <apr_strings.h>

/** Maximum length of a chain of references. */
#define MAX_HOPS 20

/** Decode one reference token (RFC 6901 §4). */
static const char *decode_token(apr_pool_t *pool, const char *text, apr_size_t len)
{
    char *token = apr_pstrmemdup(pool, text, len), *to = token;

    for (const char *at = token; *at; at++) {
        bool escape = at[0] == '~' && (at[1] == '0' || at[1] == '1');

        *to++ = escape ? (at[1] == '0' ? '~' : '/') : *at;
        at += escape ? 1 : 0;
    }
    *to = '\0';
    return token;
}

/** Resolve a reference like "#/components/schemas/Order"; NULL: it leads nowhere. */
static struct json_object *find_reference(ctl_rules_t *rules, const char *ref)
{
    struct json_object *node = rules->doc;

    if (ref[0] != '#' || ref[1] != '/') {
        return NULL;
    }
    for (ref += 2; node && *ref;) {
        apr_size_t len = strcspn(ref, "/");
        const char *token = decode_token(rules->ctl->pool, ref, len);

        if (!json_object_is_type(node, json_type_object) ||
            !json_object_object_get_ex(node, token, &node)) {
            return NULL;
        }
        ref += len + (ref[len] == '/');
    }
    return node;
}

struct json_object *ctl_rules_resolve(ctl_rules_t *rules, struct json_object *node)
{
    struct json_object *ref;

    for (int hops = 0; hops < MAX_HOPS; hops++) {
        if (--rules->steps < 0) {
            return NULL;
        }
        if (!json_object_is_type(node, json_type_object) ||
            !json_object_object_get_ex(node, "$ref", &ref) ||
            !json_object_is_type(ref, json_type_string)) {
            return node;
        }
        node = find_reference(rules, json_object_get_string(ref));
    }
    return NULL;
}

struct json_object *ctl_rules_get(ctl_rules_t *rules, struct json_object *object, const char *name)
{
    struct json_object *member;

    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, name, &member)) {
        return NULL;
    }
    return ctl_rules_resolve(rules, member);
}

static void add_properties(ctl_rules_t *rules, struct json_object *schema,
                           struct json_object *properties, int depth)
{
    struct json_object *own = ctl_rules_get(rules, schema, "properties");
    struct json_object *parts = ctl_rules_get(rules, schema, "allOf");

    if (depth > CTL_RULES_DEPTH) {
        return;
    }
    if (json_object_is_type(own, json_type_object)) {
        json_object_object_foreach(own, name, member)
        {
            json_object_object_add(properties, name, json_object_get(member));
        }
    }
    for (size_t i = 0; json_object_is_type(parts, json_type_array) &&
                       i < json_object_array_length(parts) && rules->steps > 0;
         i++) {
        add_properties(rules, ctl_rules_resolve(rules, json_object_array_get_idx(parts, i)),
                       properties, depth + 1);
    }
}

struct json_object *ctl_rules_properties(ctl_rules_t *rules, struct json_object *schema)
{
    struct json_object *properties = json_object_new_object();

    add_properties(rules, schema, properties, 0);
    return properties;
}

/** True for a schema of the type, even if only implied: one with "properties" is an object's. */
static bool has_type(ctl_rules_t *rules, struct json_object *schema, const char *type,
                     const char *member)
{
    struct json_object *given = ctl_rules_get(rules, schema, "type");

    for (size_t i = 0;
         json_object_is_type(given, json_type_array) && i < json_object_array_length(given); i++) {
        if (strcmp(json_object_get_string(json_object_array_get_idx(given, i)), type) == 0) {
            return true;
        }
    }
    return json_object_is_type(given, json_type_string)
               ? strcmp(json_object_get_string(given), type) == 0
               : ctl_rules_get(rules, schema, member) != NULL;
}

static bool is_object(ctl_rules_t *rules, struct json_object *schema)
{
    return has_type(rules, schema, "object", "properties") ||
           ctl_rules_get(rules, schema, "allOf") || ctl_rules_get(rules, schema, "oneOf") ||
           ctl_rules_get(rules, schema, "anyOf");
}

/** Names of members that wrappers have beside the resource. */
static bool is_envelope(const char *name)
{
    static const char *const names[] = {
        "meta",       "links",       "_links", "status",    "success",     "ok",       "message",
        "messages",   "msg",         "code",   "error",     "errors",      "detail",   "paging",
        "pagination", "page",        "total",  "count",     "included",    "jsonapi",  "warnings",
        "timestamp",  "request_id",  "next",   "next_page", "previous",    "has_more", "cursor",
        "limit",      "offset",      "size",   "per_page",  "status_code", "version",  "path",
        "pages",      "result_info", NULL};

    return ctl_word_in(name, names);
}

/** Return the query of a member: "$.data", or "$['first name']" if the name needs quotes. */
static const char *query_of(apr_pool_t *pool, const char *name)
{
    const char *at = name;

    while (rh_is_alphanumeric(*at) || *at == '_') {
        at++;
    }
    if (!*at && *name && !rh_is_digit(*name)) {
        return apr_pstrcat(pool, "$.", name, NULL);
    }
    return strpbrk(name, "'\\\"") ? NULL : apr_pstrcat(pool, "$['", name, "']", NULL);
}

/**
 * Find the only member of a wrapper that is a resource, or an array of them.
 * @param message receives true if all members (at least one) belong to an envelope
 * @return NULL if the object is the resource itself
 */
static const char *find_wrapped(ctl_rules_t *rules, struct json_object *properties, bool *message)
{
    const char *found = NULL;
    int others = 0, members = 0;

    json_object_object_foreach(properties, name, member)
    {
        struct json_object *schema = ctl_rules_resolve(rules, member);

        members++;
        if (is_envelope(ctl_words(rules->ctl->pool, name, strlen(name)))) {
            continue;
        }
        others++;
        if (is_object(rules, schema) || has_type(rules, schema, "array", "items")) {
            found = name;
        }
    }
    *message = members > 0 && others == 0;
    return others == 1 ? found : NULL;
}

/** Return the first example of a body, or of its schema. */
static struct json_object *find_example(ctl_rules_t *rules, struct json_object *media,
                                        struct json_object *schema)
{
    struct json_object *example = ctl_rules_get(rules, media, "example");
    struct json_object *examples = ctl_rules_get(rules, media, "examples");

    if (!example && json_object_is_type(examples, json_type_object)) {
        json_object_object_foreach(examples, name, one)
        {
            (void)name;
            example =
                example ? example : ctl_rules_get(rules, ctl_rules_resolve(rules, one), "value");
        }
    }
    return example ? example : ctl_rules_get(rules, schema, "example");
}

/** Fill in an item from a body's schema. @return false: the body is only a message */
static bool read_body(ctl_rules_t *rules, struct json_object *media, ctl_rules_item_t *item)
{
    struct json_object *schema = ctl_rules_get(rules, media, "schema"), *properties;
    bool message = false;
    const char *wrapped;

    memset(item, 0, sizeof(*item));
    item->example = find_example(rules, media, schema);
    item->schema = schema;
    properties = ctl_rules_properties(rules, schema);
    wrapped = find_wrapped(rules, properties, &message);
    if (wrapped && (item->query = query_of(rules->ctl->pool, wrapped)) != NULL) {
        item->schema = ctl_rules_get(rules, properties, wrapped);
        item->example = ctl_rules_get(rules, item->example, wrapped);
    }
    json_object_put(properties);
    if (has_type(rules, item->schema, "array", "items")) {
        item->each = true;
        item->schema = ctl_rules_get(rules, item->schema, "items");
        item->example = json_object_is_type(item->example, json_type_array)
                            ? json_object_array_get_idx(item->example, 0)
                            : NULL;
    }
    return !message && schema != NULL;
}

/** Return the JSON of a body's content, by media type; NULL: none. */
static struct json_object *find_json(ctl_rules_t *rules, struct json_object *content)
{
    struct json_object *found = NULL;

    if (!json_object_is_type(content, json_type_object)) {
        return NULL;
    }
    json_object_object_foreach(content, type, media)
    {
        if (!found && (strstr(type, "json") || strcmp(type, "*/*") == 0)) {
            found = ctl_rules_resolve(rules, media);
        }
    }
    return found;
}

bool ctl_rules_response(ctl_rules_t *rules, struct json_object *operation, ctl_rules_item_t *item)
{
    struct json_object *responses = ctl_rules_get(rules, operation, "responses"), *best = NULL;
    const char *code = "3";

    if (!json_object_is_type(responses, json_type_object)) {
        return false;
    }
    json_object_object_foreach(responses, name, response)
    {
        if (*name == '2' && strcmp(name, code) < 0) {
            code = name;
            best = ctl_rules_resolve(rules, response);
        }
    }
    if (!best) {
        return false;
    }
    /* Swagger 2.0 has the schema in the response object. */
    return read_body(rules,
                     ctl_rules_get(rules, best, "schema")
                         ? best
                         : find_json(rules, ctl_rules_get(rules, best, "content")),
                     item);
}

bool ctl_rules_request(ctl_rules_t *rules, struct json_object *operation, ctl_rules_item_t *item)
{
    struct json_object *body = ctl_rules_get(rules, operation, "requestBody");
    struct json_object *parameters = ctl_rules_get(rules, operation, "parameters");
    struct json_object *media = find_json(rules, ctl_rules_get(rules, body, "content"));

    for (size_t i = 0; !media && json_object_is_type(parameters, json_type_array) &&
                       i < json_object_array_length(parameters);
         i++) {
        struct json_object *parameter =
            ctl_rules_resolve(rules, json_object_array_get_idx(parameters, i));
        struct json_object *in = ctl_rules_get(rules, parameter, "in");

        if (in && strcmp(json_object_get_string(in), "body") == 0) {
            media = parameter;
        }
    }
    return media && read_body(rules, media, item);
}
