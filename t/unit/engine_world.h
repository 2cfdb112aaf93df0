/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file engine_world.h
 * @brief The world of an engine under test: a store in memory and a log; targets are in
 * engine_targets.h.
 *
 * Each event concerns every subscription, or the one that its key names. All of it is guarded by
 * one mutex; what a test sets before it starts an engine needs none.
 */
#ifndef RH_ENGINE_WORLD_H
#define RH_ENGINE_WORLD_H

#include "rh_engine.h"
#include "rh_time.h"

#include "tap.h"

#include <apr_general.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_SUBSCRIPTIONS 64
#define MAX_EVENTS 20000

/** Upper bound of every wait, also on a busy machine. */
#define MAX_WAIT apr_time_from_sec(120)
#define MSEC(number) apr_time_from_msec(number)

/** Operations of the store that can be made to fail. */
enum {
    DOWN_COMMIT = 1,
    DOWN_CLAIM = 2,
    DOWN_SETTLE = 4,
    DOWN_RELEASE = 8,
    DOWN_ALL = 15,
    DOWN_DRAIN = 16 /**< commits of the dispatcher only */
};

typedef struct subscription_t {
    char id[16];
    apr_interval_time_t delay; /**< duration of its target's responses */
    int code;                  /**< 0: it refuses connections */
    int fail_first;            /**< number of requests that get 500 first */
    bool hangs;                /**< it accepts requests and does not respond */
    const char *answer;
    apr_time_t paused_until;
    int cursor; /**< deliveries with a smaller index are finished */
    int attempts, in_flight, most_in_flight, delivered;
} subscription_t;

typedef struct delivery_t {
    int event, subscription;
    rh_delivery_state_t state;
    int tries, attempt_count;
    apr_int64_t lease;
    apr_time_t due_at; /**< with a lease: when that ends */
    int sent;          /**< requests that its target received */
    char error[64];    /**< error of the last attempt that was stored */
} delivery_t;

struct world_t;

typedef struct front_t {
    rh_queue_t queue;
    struct world_t *world;
} front_t;

typedef struct world_t {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    front_t intake, dispatch;
    subscription_t subscriptions[MAX_SUBSCRIPTIONS];
    int subscription_count, turn;
    delivery_t *deliveries;
    int delivery_count, delivery_room;
    int first_of[MAX_EVENTS], count_of[MAX_EVENTS]; /**< deliveries of an event; 0: not stored */
    int order[MAX_EVENTS], stored; /**< events in the order in which they were stored */
    int down;
    int commit_failures; /**< number of commits that fail before one succeeds */
    bool hold_commits;   /**< commits hang until it is false */
    bool holding;        /**< a commit hangs now */
    bool hold_claims;    /**< claims hang until it is false */
    int claims_begun;
    apr_interval_time_t commit_takes;
    const char *refused_type;   /**< type of an event whose commit it refuses */
    const char *refused_answer; /**< body of a response whose settlement it refuses */
    int commits, claims, claimed, settles, settle_failures, released, maintained, duplicates,
        lost_leases;
    int in_flight, most_in_flight;
    rh_log_t log;
    int warnings; /**< number of log lines of that level or worse */
    char tags[64][8];
    int tag_count;
    rh_site_t site;
    rh_retry_policy_t retry;
    rh_engine_config_t config;
    rh_engine_t *engine;
    apr_pool_t *pool;
} world_t;

int event_number(const char *id);

void store_event(world_t *world, rh_commit_t *item, const rh_claim_t *claim,
                 apr_array_header_t *jobs, int *waiting);

apr_status_t world_commit(rh_queue_t *self, rh_commit_t **items, int count, const rh_claim_t *claim,
                          apr_pool_t *scratch, apr_array_header_t *jobs, int *waiting);

apr_status_t world_claim(rh_queue_t *self, rh_claim_t *claim, apr_pool_t *scratch,
                         apr_array_header_t *jobs);

void settle_one(world_t *world, const rh_settle_t *outcome);

apr_status_t world_settle(rh_queue_t *self, rh_settle_t *const *outcomes, int count,
                          apr_pool_t *scratch);

apr_status_t world_maintain(rh_queue_t *self, apr_interval_time_t retention, apr_pool_t *scratch);

apr_status_t world_backlog(rh_queue_t *self, apr_pool_t *scratch, rh_backlog_t *backlog);

apr_status_t world_release(rh_queue_t *self, apr_int64_t lease, apr_pool_t *scratch);

void world_log(void *baton, rh_log_level_t level, apr_status_t status, const char *tag,
               const char *message);

/** Count the lines of the log with a tag. */
int logged(world_t *world, const char *tag);

#endif
