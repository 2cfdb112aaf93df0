/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* /event-types: the catalogue and its samples. */
#include "rh_api.h"

#include "rh_format.h"
#include "rh_uuid.h"

#include <http_protocol.h>

/** The data of a type without a sample file. */
static const char made_up[] = "{\"id\":\"1\",\"sample\":true}";

const rh_catalogue_type_t *rh_api_find_type(const rh_server_config_t *config, const char *type)
{
    int found = rh_catalogue_find(config, type);

    return found < 0 ? NULL
                     : APR_ARRAY_IDX(config->settings.types, found, const rh_catalogue_type_t *);
}

rh_bytes_t rh_api_sample(const rh_server_config_t *config, const char *type)
{
    const rh_catalogue_type_t *entry = rh_api_find_type(config, type);
    rh_bytes_t sample = {made_up, sizeof(made_up) - 1};

    if (entry && entry->sample) {
        sample.data = entry->sample;
        sample.len = entry->sample_len;
    }
    return sample;
}

static struct json_object *type_json(rh_api_t *api, const rh_catalogue_type_t *entry)
{
    struct json_object *tree = json_object_new_object();
    const char *path = apr_pstrcat(api->r->pool, "/event-types/", entry->type, NULL);
    const char *sample = apr_pstrcat(api->r->pool, path, "/sample", NULL);
    const char *schema = apr_pstrcat(api->r->pool, path, "/schema", NULL);

    json_object_object_add(tree, "type", json_object_new_string(entry->type));
    json_object_object_add(tree, "description", json_object_new_string(entry->description));
    json_object_object_add(tree, "captured", json_object_new_boolean(entry->captured));
    json_object_object_add(tree, "sample_url", json_object_new_string(rh_api_url(api, sample)));
    json_object_object_add(tree, "schema_url", json_object_new_string(rh_api_url(api, schema)));
    return tree;
}

int rh_api_event_types_list(rh_api_t *api)
{
    struct json_object *array = json_object_new_array();
    int i;

    for (i = 0; i < api->config->settings.types->nelts; i++) {
        json_object_array_add(array, type_json(api, APR_ARRAY_IDX(api->config->settings.types, i,
                                                                  rh_catalogue_type_t *)));
    }
    return rh_api_json(api, HTTP_OK, array);
}

static int no_such_type(rh_api_t *api)
{
    return rh_api_error(api, 404, "This server has no such event type.");
}

/**
 * Add how many requests the type's rules matched but did not capture, by reason, in all processes.
 */
static struct json_object *misses_json(rh_api_t *api, const char *type)
{
    struct json_object *tree = json_object_new_object();
    const apr_array_header_t *rules = api->config->settings.rules;
    int rule, reason;

    for (reason = 0; reason < RH_MISS_COUNT; reason++) {
        apr_uint64_t count = 0;

        for (rule = 0; rule < rules->nelts; rule++) {
            if (strcmp(APR_ARRAY_IDX(rules, rule, const rh_rule_t *)->type, type) == 0) {
                count += rh_metrics_read_miss(api->config->metrics, rule, reason);
            }
        }
        if (count > 0) {
            json_object_object_add(tree, rh_miss_name((rh_miss_t)reason),
                                   json_object_new_int64((apr_int64_t)count));
        }
    }
    return tree;
}

int rh_api_event_type_get(rh_api_t *api)
{
    const rh_catalogue_type_t *entry = rh_api_find_type(api->config, api->parameter);
    struct json_object *tree;

    if (!entry) {
        return no_such_type(api);
    }
    tree = type_json(api, entry);
    if (entry->captured) {
        json_object_object_add(tree, "not_captured", misses_json(api, entry->type));
    }
    return rh_api_json(api, HTTP_OK, tree);
}

/** Make an event from the sample, as if it had happened now. */
static rh_event_t make_sample(rh_api_t *api, const rh_catalogue_type_t *entry)
{
    char *id = apr_palloc(api->r->pool, RH_UUID_LEN + 1);
    rh_event_t event = {.type = entry->type, .time = apr_time_now()};

    rh_uuid_make(id);
    event.id = id;
    event.data = rh_api_sample(api->config, entry->type);
    return event;
}

int rh_api_event_type_sample(rh_api_t *api)
{
    apr_pool_t *pool = api->r->pool;
    const rh_catalogue_type_t *entry = rh_api_find_type(api->config, api->parameter);
    const char *name = apr_table_get(api->query, "format");
    rh_format_t format = RH_FORMAT_ARRAY;
    rh_event_t event;
    rh_bytes_t body;

    if (!entry) {
        return no_such_type(api);
    }
    if (name && !rh_format_parse(name, &format)) {
        return rh_api_error(
            api, 400,
            apr_psprintf(pool, "The parameter format must be one of %s.", rh_format_names(pool)));
    }
    event = make_sample(api, entry);
    body = rh_format_body(pool, format, &event, rh_api_canonical_url(api, ""));
    return rh_api_text(api, HTTP_OK, rh_format_content_type(format), body.data, body.len);
}
