/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* What the API tells of itself: health, the index, its description. */
#include "rh_api.h"
#include "rh_gate.h"

#include <http_protocol.h>
#include <util_script.h>

#define WELL "ok"
#define UNWELL "fail"

/** Add one check. @param problem what is wrong, NULL: nothing. @return whether all is well */
static bool add_check(struct json_object *checks, const char *name, const char *problem)
{
    struct json_object *check = json_object_new_object();

    json_object_object_add(check, "status", json_object_new_string(problem ? UNWELL : WELL));
    json_object_object_add(check, "detail", rh_json_new_text(problem));
    json_object_object_add(checks, name, check);
    return !problem;
}

int rh_api_health_get(rh_api_t *api)
{
    struct json_object *tree = json_object_new_object(), *checks = json_object_new_object();
    const void *engine = __atomic_load_n(&api->config->engine, __ATOMIC_ACQUIRE);
    const char *problem = NULL;
    bool well;

    if (rh_store_ping(api->store, api->r->pool, &problem) == APR_SUCCESS) {
        problem = NULL;
    } else if (rh_gate_problem(api->config->gate)) {
        problem = rh_gate_problem(api->config->gate);
    } else if (!problem) {
        problem = "the database does not answer as it should";
    }
    well = add_check(checks, "database", problem);
    well = add_check(checks, "delivery", engine ? NULL : "this process does not deliver") && well;
    json_object_object_add(tree, "status", json_object_new_string(well ? WELL : UNWELL));
    json_object_object_add(tree, "checks", checks);
    if (!well) {
        apr_table_setn(api->r->headers_out, "Retry-After", RH_API_RETRY_AFTER);
    }
    return rh_api_json(api, well ? HTTP_OK : HTTP_SERVICE_UNAVAILABLE, tree);
}

int rh_api_index_get(rh_api_t *api)
{
    static const char *const resources[] = {"subscriptions", "deliveries",  "event-types",
                                            "events",        "stats",       "health",
                                            "metrics",       "openapi.json"};
    struct json_object *tree = json_object_new_object();
    bool admin = rh_request_is_admin(api->r);
    bool publisher = admin || rh_request_is_publisher(api->r);
    apr_size_t i;

    for (i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
        const char *path = apr_pstrcat(api->r->pool, "/", resources[i], NULL);

        json_object_object_add(tree, resources[i], json_object_new_string(rh_api_url(api, path)));
    }
    json_object_object_add(tree, "version", json_object_new_string(RH_VERSION));
    json_object_object_add(tree, "tenant", rh_json_new_text(api->tenant));
    json_object_object_add(tree, "publisher", json_object_new_boolean(publisher));
    json_object_object_add(tree, "admin", json_object_new_boolean(admin));
    return rh_api_json(api, HTTP_OK, tree);
}

int rh_api_openapi_get(rh_api_t *api)
{
    static const char mark[] = "@BASE@";
    const char *at = strstr(rh_openapi_json, mark), *text;
    apr_size_t before = at ? (apr_size_t)(at - rh_openapi_json) : strlen(rh_openapi_json);

    text =
        apr_pstrcat(api->r->pool, apr_pstrmemdup(api->r->pool, rh_openapi_json, before),
                    at ? *api->base ? api->base : "/" : "", at ? at + sizeof(mark) - 1 : "", NULL);
    return rh_api_text(api, HTTP_OK, "application/json", text, strlen(text));
}
