/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Checks events against the schemas of their types. Those that violate one are sent nevertheless.
 */
#include "rh_server.h"

/** Prefix of the reason of an event that breaks its schema. */
#define PREFIX "schema: "
/** Maximum length of the message about a breach, in bytes. */
#define MAX_BREACH_BYTES 200

/**
 * Check one event. Its tree, which may be large, is freed afterwards.
 * @return the breach, in `pool`; NULL: none, or it could not be checked
 */
static const char *find_breach(const rh_json_schema_t *schema, const rh_event_t *event,
                               apr_pool_t *pool)
{
    const char *breach = NULL, *kept = NULL;
    rh_json_tree_t *tree;
    apr_pool_t *scratch;
    apr_status_t status;

    apr_pool_create(&scratch, pool);
    status = rh_json_tree_parse(scratch, event->data.data, event->data.len, &tree, NULL);
    if (status == APR_SUCCESS) {
        status = rh_json_schema_check(schema, tree, scratch, &breach);
    }
    if (status != APR_SUCCESS) {
        kept = "not checked, too large";
    } else if (breach) {
        kept = rh_utf8_clean(pool, breach, strlen(breach), MAX_BREACH_BYTES);
    }
    apr_pool_destroy(scratch);
    return kept;
}

void rh_server_check_schemas(request_rec *r, rh_commit_t *items, int count)
{
    const rh_server_config_t *config = rh_server_config(r->server);

    for (int i = 0; i < count; i++) {
        int found = rh_catalogue_find(config, items[i].event->type);
        const rh_json_schema_t *schema =
            found < 0
                ? NULL
                : APR_ARRAY_IDX(config->settings.types, found, const rh_catalogue_type_t *)->rules;
        rh_event_t *copy;
        const char *breach;

        /* An event with a reason has other data than its schema describes. */
        if (!schema || items[i].event->reason) {
            continue;
        }
        breach = find_breach(schema, items[i].event, r->pool);
        if (breach) {
            copy = apr_pmemdup(r->pool, items[i].event, sizeof(*copy));
            copy->reason = apr_pstrcat(r->pool, PREFIX, breach, NULL);
            items[i].event = copy;
        }
    }
}

bool rh_server_breaks_schema(const rh_event_t *event)
{
    return event->reason && strncmp(event->reason, PREFIX, sizeof(PREFIX) - 1) == 0;
}
