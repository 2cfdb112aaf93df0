/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_delivery.h"

#include "rh_payload.h"
#include "rh_pool.h"
#include "rh_time.h"

static const char *const state_names[] = {RH_DELIVERY_STATES(RH_ROW_NAME)};

#define KIND_NAME(id, name, counter) name,
static const char *const kind_names[] = {RH_SETTLE_KINDS(KIND_NAME)};

const char *rh_settle_kind_name(rh_settle_kind_t kind)
{
    return kind_names[kind];
}

const char *rh_delivery_state_name(rh_delivery_state_t state)
{
    return state_names[state];
}

bool rh_delivery_state_parse(const char *name, rh_delivery_state_t *state)
{
    int found = rh_word_index(state_names, RH_DELIVERY_STATE_COUNT, name);

    if (found >= 0) {
        *state = (rh_delivery_state_t)found;
    }
    return found >= 0;
}

rh_job_t *rh_job_make(void)
{
    apr_pool_t *pool;
    rh_job_t *job;

    if (rh_passing_pool_make(&pool) != APR_SUCCESS) {
        return NULL;
    }
    job = apr_pcalloc(pool, sizeof(*job));
    job->pool = pool;
    return job;
}

void rh_job_destroy(rh_job_t *job)
{
    if (job) {
        apr_pool_destroy(job->pool);
    }
}

static struct json_object *code_or_null(int code)
{
    return code ? json_object_new_int(code) : NULL;
}

static struct json_object *attempt_json(const rh_attempt_t *attempt, apr_pool_t *pool)
{
    struct json_object *tree = json_object_new_object();

    json_object_object_add(tree, "id", json_object_new_string(attempt->id));
    json_object_object_add(tree, "number", json_object_new_int(attempt->number));
    json_object_object_add(tree, "time",
                           json_object_new_string(rh_time_format(pool, attempt->started_at)));
    json_object_object_add(tree, "ms", json_object_new_int64(apr_time_as_msec(attempt->duration)));
    json_object_object_add(tree, "status_code", code_or_null(attempt->status_code));
    json_object_object_add(
        tree, "headers",
        attempt->headers ? rh_json_raw(attempt->headers, strlen(attempt->headers)) : NULL);
    json_object_object_add(tree, "answer", rh_json_new_text(attempt->answer));
    json_object_object_add(tree, "error", rh_json_new_text(attempt->error));
    json_object_object_add(
        tree, "sent", attempt->sent ? rh_json_raw(attempt->sent, strlen(attempt->sent)) : NULL);
    return tree;
}

/** The body as a JSON value; the bodies of all formats are JSON. */
static struct json_object *payload_json(const rh_delivery_t *delivery, apr_pool_t *pool)
{
    rh_bytes_t body = rh_format_body(pool, delivery->format, &delivery->event, delivery->base_url);

    return rh_json_raw(body.data, body.len);
}

struct json_object *rh_delivery_json(const rh_delivery_t *delivery, apr_pool_t *pool)
{
    struct json_object *tree = json_object_new_object();

    json_object_object_add(tree, "id", json_object_new_string(delivery->id));
    json_object_object_add(tree, "event_id", rh_json_new_text(delivery->event.id));
    json_object_object_add(tree, "subscription_id",
                           json_object_new_string(delivery->subscription_id));
    json_object_object_add(tree, "type", rh_json_new_text(delivery->event.type));
    json_object_object_add(tree, "key", rh_json_new_text(delivery->event.key));
    json_object_object_add(tree, "state",
                           json_object_new_string(rh_delivery_state_name(delivery->state)));
    json_object_object_add(tree, "target_url", rh_json_new_text(delivery->target_url));
    json_object_object_add(tree, "attempt_count", json_object_new_int(delivery->attempt_count));
    json_object_object_add(tree, "last_status_code", code_or_null(delivery->last_status_code));
    json_object_object_add(tree, "created_at",
                           json_object_new_string(rh_time_format(pool, delivery->created_at)));
    json_object_object_add(tree, "next_attempt_at",
                           rh_json_new_text(delivery->next_attempt_at
                                                ? rh_time_format(pool, delivery->next_attempt_at)
                                                : NULL));
    json_object_object_add(tree, "waiting_for", rh_json_new_text(delivery->waiting_for));
    if (delivery->event.data.data) {
        json_object_object_add(tree, "payload", payload_json(delivery, pool));
    }
    if (delivery->attempts) {
        struct json_object *attempts = json_object_new_array();

        for (int i = 0; i < delivery->attempts->nelts; i++) {
            json_object_array_add(
                attempts, attempt_json(APR_ARRAY_IDX(delivery->attempts, i, rh_attempt_t *), pool));
        }
        json_object_object_add(tree, "attempts", attempts);
    }
    return tree;
}
