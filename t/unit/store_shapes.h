/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file store_shapes.h
 * @brief Deliveries in each shape that the tables may have them in, beside a model of them in
 * memory.
 */
#ifndef STORE_SHAPES_H
#define STORE_SHAPES_H

#include "store_databases.h"

/** How a delivery is stored. */
typedef enum {
    SHAPE_QUEUED,    /**< in the queue alone, before its first attempt */
    SHAPE_RETRYING,  /**< in the queue alone, after two attempts */
    SHAPE_AGAIN,     /**< in the queue, and in the log from before */
    SHAPE_DELIVERED, /**< in the log, with its only attempt */
    SHAPE_FAILED,    /**< in the log, with three attempts of their own */
    SHAPE_CANCELLED, /**< in the log, without an attempt */
    SHAPE_NONE,      /**< an event without a delivery */
    SHAPE_COUNT
} shape_t;

/** Events of each shape. */
#define SHAPE_ROUNDS 4
#define SHAPE_EVENTS (SHAPE_ROUNDS * SHAPE_COUNT)

/** An event, and its delivery. */
typedef struct shaped_t {
    shape_t shape;
    const char *event_id, *id, *subscription_id;
    const char *type, *key, *source, *data;
    rh_delivery_state_t state;
    int attempts, status;
} shaped_t;

/**
 * Store SHAPE_EVENTS events of a tenant that has two subscriptions, the oldest first.
 * @return them, in `pool`
 */
shaped_t *store_shapes(rh_db_source_t *source, const char *tenant, const char *const two[2]);

#endif
