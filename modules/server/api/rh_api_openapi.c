/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* /openapi.json: conf/openapi.json with the base path, and webhooks from the catalogue. */
#include "rh_api.h"

/** Placeholder for the base path in the text. */
#define BASE_MARK "@BASE@"
/** Prefix of the names of the types' components. */
#define COMPONENT "event."

/** Header fields of every delivery, as parameters of a webhook. */
static const struct {
    const char *name, *description;
} fields[] = {{"webhook-id", "The same on every attempt"},
              {"webhook-timestamp", "Seconds since 1970, of this attempt"},
              {"webhook-signature", "Standard Webhooks: v1, and base64 of an HMAC-SHA256"},
              {"X-Hook-Event", "The event's type"},
              {"X-Hook-Subscription", "The subscription's id"}};

static struct json_object *object_of(const char *name, struct json_object *value)
{
    struct json_object *object = json_object_new_object();

    json_object_object_add(object, name, value);
    return object;
}

static struct json_object *parameters_json(void)
{
    struct json_object *array = json_object_new_array();

    for (size_t i = 0; i < RH_COUNT_OF(fields); i++) {
        struct json_object *field = object_of("name", json_object_new_string(fields[i].name));

        json_object_object_add(field, "in", json_object_new_string("header"));
        json_object_object_add(field, "required", json_object_new_boolean(true));
        json_object_object_add(field, "description", json_object_new_string(fields[i].description));
        json_object_object_add(field, "schema",
                               object_of("type", json_object_new_string("string")));
        json_object_array_add(array, field);
    }
    return array;
}

/** Make the schema of format `array`: an array with one item, of any type without a schema. */
static struct json_object *body_json(apr_pool_t *pool, const rh_catalogue_type_t *type)
{
    struct json_object *schema = object_of("type", json_object_new_string("array"));
    struct json_object *media = object_of("schema", schema);
    struct json_object *body = object_of("required", json_object_new_boolean(true));
    const char *ref = apr_pstrcat(pool, "#/components/schemas/" COMPONENT, type->type, NULL);

    json_object_object_add(schema, "items",
                           type->schema ? object_of("$ref", json_object_new_string(ref))
                                        : json_object_new_object());
    json_object_object_add(schema, "minItems", json_object_new_int(1));
    json_object_object_add(schema, "maxItems", json_object_new_int(1));
    if (type->sample) {
        struct json_object *example = json_object_new_array();

        json_object_array_add(example, rh_json_raw(type->sample, type->sample_len));
        json_object_object_add(media, "example", example);
    }
    json_object_object_add(body, "content", object_of("application/json", media));
    return body;
}

static struct json_object *responses_json(void)
{
    static const char *const responses[][2] = {
        {"2XX", "Delivered"}, {"410", "Ends the subscription"}, {"default", "Tried again later"}};
    struct json_object *tree = json_object_new_object();

    for (size_t i = 0; i < RH_COUNT_OF(responses); i++) {
        json_object_object_add(tree, responses[i][0],
                               object_of("description", json_object_new_string(responses[i][1])));
    }
    return tree;
}

static struct json_object *webhook_json(apr_pool_t *pool, const rh_catalogue_type_t *type)
{
    struct json_object *post = json_object_new_object();
    char *id = apr_pstrcat(pool, "on_", type->type, NULL);

    for (char *at = id; *at; at++) {
        *at = *at == '.' ? '_' : *at;
    }
    json_object_object_add(post, "operationId", json_object_new_string(id));
    json_object_object_add(
        post, "summary",
        json_object_new_string(*type->description ? type->description : type->type));
    json_object_object_add(post, "parameters", parameters_json());
    json_object_object_add(post, "requestBody", body_json(pool, type));
    json_object_object_add(post, "responses", responses_json());
    return object_of("post", post);
}

/**
 * Make the references within a schema, which is a document of its own, point to its position in
 * this document. Recursive as deep as the parser allows.
 */
static void move_references(struct json_object *node, const char *place, apr_pool_t *pool)
{
    struct json_object *ref;

    if (json_object_is_type(node, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(node); i++) {
            move_references(json_object_array_get_idx(node, i), place, pool);
        }
        return;
    }
    if (!json_object_is_type(node, json_type_object)) {
        return;
    }
    if (json_object_object_get_ex(node, "$ref", &ref) &&
        json_object_is_type(ref, json_type_string) && *json_object_get_string(ref) == '#') {
        const char *moved = apr_pstrcat(pool, place, json_object_get_string(ref) + 1, NULL);

        json_object_object_add(node, "$ref", json_object_new_string(moved));
    }
    json_object_object_foreach(node, name, member)
    {
        /* Values are not schemas, and an "$id" would change the base of references. */
        if (strcmp(name, "const") != 0 && strcmp(name, "enum") != 0) {
            move_references(member, place, pool);
        }
    }
}

/** @return false: json-c cannot read the schema */
static bool add_component(struct json_object *schemas, const rh_catalogue_type_t *type,
                          apr_pool_t *pool)
{
    const char *name = apr_pstrcat(pool, COMPONENT, type->type, NULL);
    const char *place = apr_pstrcat(pool, "#/components/schemas/", name, NULL);
    struct json_object *schema;
    rh_json_error_t error;

    if (rh_json_parse(pool, type->schema, type->schema_len, &schema, &error) != APR_SUCCESS) {
        return false;
    }
    if (json_object_is_type(schema, json_type_object)) {
        json_object_object_del(schema, "$id");
        move_references(schema, place, pool);
    }
    json_object_object_add(schemas, name, json_object_get(schema));
    return true;
}

/** Add the catalogue's webhooks to the description. @return the text, or `text` after an error */
static const char *add_webhooks(rh_api_t *api, const char *text)
{
    apr_pool_t *pool = api->r->pool;
    const apr_array_header_t *types = api->config->settings.types;
    struct json_object *tree, *components, *schemas, *webhooks = json_object_new_object();
    rh_json_error_t error;
    apr_size_t len;

    rh_json_own(pool, webhooks);
    if (rh_json_parse(pool, text, strlen(text), &tree, &error) != APR_SUCCESS ||
        !json_object_object_get_ex(tree, "components", &components) ||
        !json_object_object_get_ex(components, "schemas", &schemas)) {
        return text;
    }
    for (int i = 0; i < types->nelts; i++) {
        rh_catalogue_type_t type = *APR_ARRAY_IDX(types, i, const rh_catalogue_type_t *);

        if (type.schema && !add_component(schemas, &type, pool)) {
            type.schema = NULL;
        }
        json_object_object_add(webhooks, type.type, webhook_json(pool, &type));
    }
    json_object_object_add(tree, "webhooks", json_object_get(webhooks));
    return rh_json_text(pool, tree, &len);
}

int rh_api_openapi_get(rh_api_t *api)
{
    const char *at = strstr(rh_openapi_json, BASE_MARK), *text;
    apr_size_t before = at ? (apr_size_t)(at - rh_openapi_json) : strlen(rh_openapi_json);

    text = apr_pstrcat(api->r->pool, apr_pstrmemdup(api->r->pool, rh_openapi_json, before),
                       at ? *api->base ? api->base : "/" : "", at ? at + sizeof(BASE_MARK) - 1 : "",
                       NULL);
    if (api->config->settings.types->nelts > 0) {
        text = add_webhooks(api, text);
    }
    return rh_api_text(api, HTTP_OK, "application/json", text, strlen(text));
}
