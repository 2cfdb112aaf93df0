/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Schemas of event types: configured, or inferred from the events that the tenant had. */
#include "rh_api.h"

#include "rh_event_type.h"
#include "rh_matching.h"

#define SCHEMA_TYPE "application/schema+json"
/** Maximum numbers of the newest events, and of their bytes, from which a schema is inferred. */
#define MAX_SAMPLES 100
#define MAX_SAMPLE_BYTES (4 * 1024 * 1024)

/**
 * Add an event's data, unless it does not show what happened. @return false: no more is accepted
 */
static bool add_sample(rh_api_t *api, rh_json_inference_t *inference, const rh_event_t *event)
{
    rh_json_tree_t *tree;
    apr_pool_t *scratch;
    bool more = true;

    if (event->source == RH_SOURCE_TEST || (event->reason && !rh_server_breaks_schema(event) &&
                                            strcmp(event->reason, RH_REASON_HOPS) != 0)) {
        return true;
    }
    apr_pool_create(&scratch, api->r->pool);
    if (rh_json_tree_parse(scratch, event->data.data, event->data.len, &tree, NULL) ==
        APR_SUCCESS) {
        more = rh_json_inference_add(inference, tree);
    }
    apr_pool_destroy(scratch);
    return more;
}

/** Respond with a schema inferred from the newest events of the type. */
static int answer_inferred(rh_api_t *api)
{
    rh_json_inference_t *inference = rh_json_inference_make(api->r->pool);
    rh_event_filter_t filter = {.type = api->parameter};
    rh_page_t page = {MAX_SAMPLES, NULL};
    apr_size_t bytes = 0;
    apr_array_header_t *rows;
    apr_status_t status;
    const char *text;

    status =
        rh_store_event_list(api->store, api->tenant, &filter, &page, api->r->pool, &rows, NULL);
    if (status != APR_SUCCESS) {
        return rh_api_store_error(api, status);
    }
    if (rows->nelts == 0) {
        return rh_api_error(api, 404, "This type has no schema, and no event to infer one from.");
    }
    for (int i = 0; i < rows->nelts && bytes < MAX_SAMPLE_BYTES; i++) {
        const rh_event_t *event = APR_ARRAY_IDX(rows, i, const rh_event_t *);

        bytes += event->data.len;
        if (!add_sample(api, inference, event)) {
            break;
        }
    }
    text = rh_json_inference_schema(inference, api->parameter);
    return rh_api_text(api, HTTP_OK, SCHEMA_TYPE, text, strlen(text));
}

int rh_api_event_type_schema(rh_api_t *api)
{
    const rh_catalogue_type_t *entry = rh_api_find_type(api->config, api->parameter);

    if (entry && entry->schema) {
        return rh_api_text(api, HTTP_OK, SCHEMA_TYPE, entry->schema, entry->schema_len);
    }
    if (!rh_event_type_valid(api->parameter, strlen(api->parameter)) ||
        (!entry && api->config->settings.types->nelts > 0)) {
        return rh_api_error(api, 404, "This server has no such event type.");
    }
    return answer_inferred(api);
}
