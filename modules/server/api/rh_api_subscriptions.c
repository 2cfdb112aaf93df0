/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* /subscriptions and /subscriptions/{id}. */
#include "rh_api.h"

#include "rh_event_type.h"
#include "rh_signature.h"
#include "rh_uuid.h"

#include <http_protocol.h>

/** How often a change without If-Match is retried if it conflicts with another one. */
#define MAX_TRIES 40

bool rh_api_uuid_parameter(rh_api_t *api)
{
    if (rh_uuid_valid(api->parameter, strlen(api->parameter))) {
        return true;
    }
    rh_problem_set(api->problem, 404, "No resource with this id.");
    return false;
}

bool rh_api_find_subscription(rh_api_t *api, rh_subscription_t **subscription)
{
    apr_status_t status;

    if (!rh_api_uuid_parameter(api)) {
        return false;
    }
    status = rh_store_subscription_get(api->store, api->tenant, api->parameter, api->r->pool,
                                       subscription);
    if (status != APR_SUCCESS) {
        rh_api_store_problem(api, status);
    }
    return status == APR_SUCCESS;
}

/* ---- checks against the configuration ---- */

static bool type_known(void *baton, const char *type)
{
    const rh_server_config_t *config = baton;

    return config->settings.types->nelts == 0 || rh_api_find_type(config, type);
}

/** Names are checked when a connection is made; a literal address can be refused at once. */
static bool address_allowed(void *baton, const rh_url_t *url)
{
    const rh_egress_policy_t *policy = ((const rh_server_config_t *)baton)->net.policy;
    rh_address_t address;

    if (rh_egress_denies_host(policy, url->host)) {
        return false;
    }
    return !rh_address_read(url->host, &address) || rh_egress_allows(policy, url->host, &address);
}

static rh_subscription_rules_t rules_of(rh_api_t *api)
{
    rh_subscription_rules_t rules = {api->config->settings.https_only == 1, type_known,
                                     address_allowed, api->config};

    return rules;
}

/* ---- responses ---- */

static void set_etag(rh_api_t *api, const rh_subscription_t *subscription)
{
    apr_table_setn(api->r->headers_out, "ETag",
                   apr_psprintf(api->r->pool, "\"%" APR_INT64_T_FMT "\"", subscription->revision));
}

static int answer(rh_api_t *api, int status, const rh_subscription_t *subscription, bool secret)
{
    set_etag(api, subscription);
    return rh_api_json(api, status, rh_subscription_json(subscription, secret, api->r->pool));
}

int rh_api_subscriptions_list(rh_api_t *api)
{
    const char *event = apr_table_get(api->query, "event");
    const char *active = apr_table_get(api->query, "active");
    rh_page_t page = rh_api_page(api);
    const rh_subscription_t *last = NULL;
    struct json_object *array;
    apr_array_header_t *rows;
    apr_status_t status;
    int i, wanted = -1;

    if (event && !rh_event_pattern_valid(event, strlen(event))) {
        rh_problem_set(api->problem, 400, "The parameter event must be an event type or pattern.");
    }
    if (active) {
        wanted = strcmp(active, "true") == 0;
        if (!wanted && strcmp(active, "false") != 0) {
            rh_problem_set(api->problem, 400, "The parameter active must be true or false.");
        }
    }
    if (rh_problem_is(api->problem)) {
        return rh_api_problem(api);
    }
    status = rh_store_subscription_list(api->store, api->tenant, event, wanted, &page, api->r->pool,
                                        &rows);
    if (status != APR_SUCCESS) {
        return rh_api_store_error(api, status);
    }
    array = json_object_new_array();
    for (i = 0; i < rows->nelts && i < page.limit - 1; i++) {
        last = APR_ARRAY_IDX(rows, i, rh_subscription_t *);
        json_object_array_add(array, rh_subscription_json(last, false, api->r->pool));
    }
    return rh_api_list(api, array, last && rows->nelts == page.limit ? last->id : NULL);
}

int rh_api_subscriptions_create(rh_api_t *api)
{
    apr_pool_t *pool = api->r->pool;
    rh_subscription_rules_t rules = rules_of(api);
    rh_subscription_t *subscription = apr_pcalloc(pool, sizeof(*subscription));
    char *id = apr_palloc(pool, RH_UUID_LEN + 1);
    struct json_object *body;
    apr_status_t status;
    bool generated;

    rh_api_read_json(api, false, &body);
    subscription->tenant = api->tenant;
    if (!rh_problem_is(api->problem)) {
        rh_subscription_read(subscription, body, RH_READ_CREATE, &rules, pool, api->problem);
    }
    if (rh_problem_is(api->problem)) {
        return rh_api_problem(api);
    }
    generated = !subscription->secret;
    if (generated && rh_secret_make(pool, &subscription->secret) != APR_SUCCESS) {
        return rh_api_error(api, 500, "Could not generate a secret (random source failed).");
    }
    rh_uuid_make(id);
    subscription->id = id;
    subscription->base_url = rh_api_canonical_url(api, "");
    status = rh_store_subscription_create(api->store, subscription,
                                          api->config->settings.max_subscriptions, pool);
    if (status == APR_ENOSPC) {
        return rh_api_error(api, 403,
                            apr_psprintf(pool, "The tenant has the maximum of %d subscriptions.",
                                         api->config->settings.max_subscriptions));
    }
    if (status != APR_SUCCESS) {
        return rh_api_store_error(api, status);
    }
    apr_table_setn(api->r->headers_out, "Location",
                   rh_api_url(api, apr_pstrcat(pool, "/subscriptions/", id, NULL)));
    return answer(api, HTTP_CREATED, subscription, generated);
}

int rh_api_subscription_get(rh_api_t *api)
{
    rh_subscription_t *subscription;

    return rh_api_find_subscription(api, &subscription) ? answer(api, HTTP_OK, subscription, false)
                                                        : rh_api_problem(api);
}

/** Respond with 412, because If-Match does not match. */
static int send_mismatch(rh_api_t *api)
{
    return rh_api_error(api, 412, "The subscription was changed since; read it again.");
}

int rh_api_subscription_change(rh_api_t *api, rh_api_change_t *change, void *baton,
                               rh_subscription_t **result)
{
    int tries;

    if (!rh_api_uuid_parameter(api)) {
        return rh_api_problem(api);
    }
    for (tries = 0; tries < MAX_TRIES; tries++) {
        apr_status_t status = rh_store_subscription_get(api->store, api->tenant, api->parameter,
                                                        api->r->pool, result);

        if (status == APR_SUCCESS && !rh_api_if_match(api, (*result)->revision)) {
            return send_mismatch(api);
        }
        if (status == APR_SUCCESS) {
            change(api, *result, baton);
            if (rh_problem_is(api->problem)) {
                return rh_api_problem(api);
            }
            status = rh_store_subscription_update(api->store, *result, api->r->pool);
        }
        if (status == APR_SUCCESS) {
            /* The subscription may have become active, or unordered. */
            rh_server_wake(api->r);
            return OK;
        }
        if (status != APR_EEXIST) {
            return rh_api_store_error(api, status);
        }
        if (rh_api_has_if_match(api)) {
            return send_mismatch(api);
        }
    }
    return rh_api_error(api, 409, "The subscription is being modified concurrently; try again.");
}

/** A request body, and how to read it. */
typedef struct reading_t {
    struct json_object *body;
    rh_read_mode_t mode;
} reading_t;

static void apply_body(rh_api_t *api, rh_subscription_t *subscription, void *baton)
{
    const reading_t *reading = baton;
    rh_subscription_rules_t rules = rules_of(api);

    subscription->base_url = rh_api_canonical_url(api, "");
    rh_subscription_read(subscription, reading->body, reading->mode, &rules, api->r->pool,
                         api->problem);
}

static int change_by_body(rh_api_t *api, rh_read_mode_t mode)
{
    reading_t reading = {NULL, mode};
    rh_subscription_t *subscription;
    int answered;

    rh_api_read_json(api, false, &reading.body);
    if (rh_problem_is(api->problem)) {
        return rh_api_problem(api);
    }
    answered = rh_api_subscription_change(api, apply_body, &reading, &subscription);
    if (rh_problem_is(api->problem)) {
        return answered;
    }
    return answer(api, HTTP_OK, subscription, false);
}

int rh_api_subscription_put(rh_api_t *api)
{
    return change_by_body(api, RH_READ_REPLACE);
}

int rh_api_subscription_patch(rh_api_t *api)
{
    return change_by_body(api, RH_READ_PATCH);
}

int rh_api_subscription_delete(rh_api_t *api)
{
    rh_subscription_t *subscription;
    apr_int64_t revision = 0;
    apr_status_t status = APR_SUCCESS;

    if (!rh_api_uuid_parameter(api)) {
        return rh_api_problem(api);
    }
    if (rh_api_has_if_match(api)) {
        status = rh_store_subscription_get(api->store, api->tenant, api->parameter, api->r->pool,
                                           &subscription);
        if (status == APR_SUCCESS && !rh_api_if_match(api, subscription->revision)) {
            return send_mismatch(api);
        }
        revision = status == APR_SUCCESS ? subscription->revision : 0;
    }
    if (status == APR_SUCCESS) {
        status = rh_store_subscription_delete(api->store, api->tenant, api->parameter, revision,
                                              api->r->pool);
    }
    if (status == APR_EEXIST) {
        return send_mismatch(api);
    }
    if (status != APR_SUCCESS) {
        return rh_api_store_error(api, status);
    }
    return rh_api_text(api, HTTP_NO_CONTENT, NULL, "", 0);
}
