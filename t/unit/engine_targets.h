/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file engine_targets.h
 * @brief Scripted targets, and what tests do with an engine and its world.
 */
#ifndef RH_ENGINE_TARGETS_H
#define RH_ENGINE_TARGETS_H

#include "engine_world.h"

typedef struct flight_t {
    struct flight_t *next;
    rh_exchange_t *exchange;
    apr_time_t sent_at;
} flight_t;

typedef struct targets_t {
    rh_transport_t transport;
    world_t *world;
    flight_t *flights; /**< owned by the loop */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool woken; /**< guarded by mutex */
} targets_t;

/** Make a world with a number of subscriptions, whose targets respond with 200 at once. */
world_t *make_world(int subscriptions);

void start_engine(world_t *world);

void end_world(world_t *world);

/** Make an event for all subscriptions, or with a `key` for one. */
rh_event_t *make_event(apr_pool_t *pool, const char *key);

/** Commit some events in one call. @return its status, or that of the first event that failed */
apr_status_t commit_events(world_t *world, const char *key, int count, apr_interval_time_t timeout);

/** Put events into the store without the engine, due now. */
void store_events(world_t *world, const char *key, int count);

/** The states of the deliveries of a world. */
typedef struct tally_t {
    int pending, delivered, failed;
    int leased;      /**< pending, with a lease */
    int sent_most;   /**< maximum of requests for one delivery */
    int sent_unheld; /**< number of pending deliveries with requests */
    int attempts;    /**< requests in total */
} tally_t;

tally_t count_up(world_t *world);

/** Wait until a number, read under the world's mutex, is at least `least`. */
bool wait_for(world_t *world, const int *number, int least);

/** Wait until a number of deliveries are delivered. */
bool wait_delivered(world_t *world, int count);

void set_down(world_t *world, int what);

void hold_commits(world_t *world, bool held);

void hold_claims(world_t *world, bool held);

void let_hang(world_t *world, int subscription, bool hang);

int get(world_t *world, const int *number);

#endif
