/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "store_shapes.h"

#include <string.h>

/** What each shape shows. */
static const struct {
    rh_delivery_state_t state;
    int attempts, status;
} shown[SHAPE_COUNT] = {
    [SHAPE_QUEUED] = {RH_DELIVERY_PENDING, 0, 0},
    [SHAPE_RETRYING] = {RH_DELIVERY_PENDING, 2, 500},
    [SHAPE_AGAIN] = {RH_DELIVERY_PENDING, 1, 503},
    [SHAPE_DELIVERED] = {RH_DELIVERY_DELIVERED, 1, 200},
    [SHAPE_FAILED] = {RH_DELIVERY_FAILED, 3, 404},
    [SHAPE_CANCELLED] = {RH_DELIVERY_CANCELLED, 0, 0},
};

static void insert_queued(rh_db_source_t *source, const char *tenant, const shaped_t *row)
{
    run_script(source,
               apr_psprintf(pool,
                            "INSERT INTO @queue (tenant, delivery_id, subscription_id, event_id,"
                            " due_at, tries, attempt_count, last_status_code)"
                            " VALUES ('%s', '%s', '%s', '%s', 4000000000000, %d, %d, %d)",
                            tenant, row->id, row->subscription_id, row->event_id, row->attempts,
                            row->attempts, row->status));
}

static void insert_logged(rh_db_source_t *source, const char *tenant, const shaped_t *row)
{
    bool with_attempt = row->shape == SHAPE_DELIVERED;

    run_script(source,
               apr_psprintf(pool,
                            "INSERT INTO @delivery (tenant, id, event_id, subscription_id, type,"
                            " state, attempt_count, last_status_code, attempt_id, started_at, ms,"
                            " format, headers, answer, sent)"
                            " VALUES ('%s', '%s', '%s', '%s', '%s', '%s', %d, %d, %s)",
                            tenant, row->id, row->event_id, row->subscription_id, row->type,
                            rh_delivery_state_name(row->state), row->attempts, row->status,
                            with_attempt
                                ? apr_psprintf(pool,
                                               "'%s', 1700000000001, 12, 'skinny', '{\"A\":\"1\"}',"
                                               " 'yes', '{\"url\":\"https://example.com/then\"}'",
                                               row->event_id)
                                : "NULL, NULL, NULL, NULL, NULL, NULL, NULL"));
}

static void insert_attempts(rh_db_source_t *source, const char *tenant, const shaped_t *row)
{
    for (int i = 1; i <= row->attempts; i++) {
        run_script(source,
                   apr_psprintf(pool,
                                "INSERT INTO @attempt (tenant, id, delivery_id, number, started_at,"
                                " ms, status_code, format, answer)"
                                " VALUES ('%s', '%s-%d%s', '%s', %d, 17000000000%02d, 5, %d,"
                                " 'array', 'no')",
                                tenant, apr_pstrmemdup(pool, row->id, 18), i, row->id + 20, row->id,
                                i, i, row->status));
    }
}

static void store_shaped(rh_db_source_t *source, const char *tenant, const shaped_t *row)
{
    run_script(source,
               apr_psprintf(pool,
                            "INSERT INTO @event (tenant, id, type, key, time, source, data)"
                            " VALUES ('%s', '%s', '%s', '%s', 1700000000000, '%s', '%s')",
                            tenant, row->event_id, row->type, row->key, row->source, row->data));
    if (row->shape == SHAPE_NONE) {
        return;
    }
    if (row->state == RH_DELIVERY_PENDING) {
        insert_queued(source, tenant, row);
    }
    if (row->state != RH_DELIVERY_PENDING || row->shape == SHAPE_AGAIN) {
        insert_logged(source, tenant, row);
    }
    if (row->shape != SHAPE_DELIVERED) {
        insert_attempts(source, tenant, row);
    }
}

shaped_t *store_shapes(rh_db_source_t *source, const char *tenant, const char *const two[2])
{
    shaped_t *rows = apr_pcalloc(pool, SHAPE_EVENTS * sizeof(*rows));

    for (int i = 0; i < SHAPE_EVENTS; i++) {
        shaped_t *row = &rows[i];

        row->shape = (shape_t)(i % SHAPE_COUNT);
        row->event_id = apr_psprintf(pool, "018f0000-%04d-7000-8000-000000000000", i);
        row->id = apr_psprintf(pool, "018f0000-%04d-7000-9000-00000000000a", i);
        row->subscription_id = two[i / SHAPE_COUNT % 2];
        row->type = i % 2 ? "a.b" : "a.c";
        row->key = apr_psprintf(pool, "k%d", i % 3);
        row->source = i % 4 < 2 ? "capture" : "publish";
        row->data = i % 5 ? "{\"n\":1}" : "{\"n\":\"Needle\"}";
        row->state = shown[row->shape].state;
        row->attempts = shown[row->shape].attempts;
        row->status = shown[row->shape].status;
        store_shaped(source, tenant, row);
    }
    return rows;
}
