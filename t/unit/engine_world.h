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
/** Nothing here takes so long, however busy the machine is. */
#define PATIENCE apr_time_from_sec(20)
#define MSEC(number) apr_time_from_msec(number)
#define WORLD_HELPER __attribute__((unused)) static

/** What the store can be unable to do. */
enum {
    DOWN_COMMIT = 1,
    DOWN_CLAIM = 2,
    DOWN_SETTLE = 4,
    DOWN_RELEASE = 8,
    DOWN_ALL = 15,
    DOWN_DRAIN = 16 /**< commits of the dispatcher alone */
};

typedef struct subscription_t {
    char id[16];
    apr_interval_time_t delay; /**< of its target's answers */
    int code;                  /**< 0: it refuses connections */
    int fail_first;            /**< so many attempts get 500 before */
    bool hangs;                /**< it takes requests and says nothing */
    const char *answer;
    apr_time_t paused_until;
    int cursor; /**< deliveries before it are done */
    int attempts, in_flight, most_in_flight, delivered;
} subscription_t;

typedef struct delivery_t {
    int event, subscription;
    rh_delivery_state_t state;
    int tries, attempt_count;
    apr_int64_t lease;
    apr_time_t due_at; /**< with a lease: its end */
    int sent;          /**< requests that its target saw */
    char error[64];    /**< of the last attempt that was stored */
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
    int order[MAX_EVENTS], stored;                  /**< events as they were stored */
    int down;
    int commit_failures; /**< commits that fail before one succeeds */
    bool hold_commits;   /**< a commit hangs until that ends */
    bool holding;        /**< one does now */
    apr_interval_time_t commit_takes;
    const char *refused_type;   /**< of an event that makes it refuse a commit */
    const char *refused_answer; /**< that makes it refuse a settle */
    int commits, claims, claimed, settles, settle_failures, released, maintained, duplicates,
        lost_leases;
    int in_flight, most_in_flight;
    rh_log_t log;
    int warnings; /**< lines of the log at that level or worse */
    char tags[64][8];
    int tag_count;
    rh_site_t site;
    rh_retry_policy_t retry;
    rh_engine_config_t config;
    rh_engine_t *engine;
    apr_pool_t *pool;
} world_t;

/* ---- the store ---- */

static bool concerns(const rh_event_t *event, const subscription_t *subscription)
{
    return !event->key || strcmp(event->key, subscription->id) == 0;
}

static delivery_t *add_delivery(world_t *world, int event, int subscription)
{
    delivery_t *delivery;

    if (world->delivery_count == world->delivery_room) {
        world->delivery_room = world->delivery_room ? 2 * world->delivery_room : 256;
        world->deliveries =
            realloc(world->deliveries, world->delivery_room * sizeof(*world->deliveries));
    }
    delivery = &world->deliveries[world->delivery_count++];
    memset(delivery, 0, sizeof(*delivery));
    delivery->event = event;
    delivery->subscription = subscription;
    return delivery;
}

/** Lease a delivery and make its job. */
static void push_job(world_t *world, int index, const rh_claim_t *claim, apr_array_header_t *jobs)
{
    delivery_t *delivery = &world->deliveries[index];
    rh_job_t *job = rh_job_make();

    delivery->lease = claim->lease;
    delivery->due_at = apr_time_now() + claim->lease_for;
    job->tenant = "acme";
    job->delivery_id = apr_itoa(job->pool, index);
    job->subscription_id = apr_pstrdup(job->pool, world->subscriptions[delivery->subscription].id);
    job->event.id = apr_psprintf(job->pool, "00000000-0000-7000-8000-%012d", delivery->event);
    job->event.tenant = "acme";
    job->event.type = "employee.created";
    job->event.time = apr_time_now();
    job->event.data.data = "{}";
    job->event.data.len = 2;
    job->target_url = "https://target.example/";
    job->headers = "{}";
    job->secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";
    job->base_url = "https://api.example/hooks";
    job->format = RH_FORMAT_ARRAY;
    job->tries = delivery->tries;
    job->attempt_count = delivery->attempt_count;
    job->lease = claim->lease;
    job->lease_until = delivery->due_at;
    APR_ARRAY_PUSH(jobs, rh_job_t *) = job;
}

static int event_number(const char *id)
{
    return atoi(id + 24);
}

static void store_event(world_t *world, rh_commit_t *item, const rh_claim_t *claim,
                        apr_array_header_t *jobs, int *waiting)
{
    int number = event_number(item->event->id);

    item->status = APR_SUCCESS;
    item->stored_id = item->event->id;
    if (world->count_of[number] > 0) {
        item->duplicate = true;
        world->duplicates++;
        return;
    }
    world->order[world->stored++] = number;
    world->first_of[number] = world->delivery_count;
    for (int i = 0; i < world->subscription_count; i++) {
        if (concerns(item->event, &world->subscriptions[i])) {
            add_delivery(world, number, i);
            world->count_of[number]++;
            if (jobs && jobs->nelts < claim->limit) {
                push_job(world, world->delivery_count - 1, claim, jobs);
            } else {
                *waiting = *waiting + 1;
            }
        }
    }
}

static apr_status_t world_commit(rh_queue_t *self, rh_commit_t **items, int count,
                                 const rh_claim_t *claim, apr_pool_t *scratch,
                                 apr_array_header_t *jobs, int *waiting)
{
    world_t *world = ((front_t *)self)->world;
    apr_status_t status = APR_SUCCESS;

    (void)scratch;
    if (world->commit_takes > 0) {
        apr_sleep(world->commit_takes);
    }
    pthread_mutex_lock(&world->mutex);
    world->commits++;
    while (world->hold_commits) {
        world->holding = true;
        pthread_cond_wait(&world->changed, &world->mutex);
    }
    world->holding = false;
    if ((world->down & DOWN_COMMIT) || world->commit_failures > 0 ||
        ((world->down & DOWN_DRAIN) && self == &world->dispatch.queue)) {
        world->commit_failures -= world->commit_failures > 0;
        status = APR_EAGAIN;
    }
    for (int i = 0; i < count; i++) {
        if (world->refused_type && strcmp(items[i]->event->type, world->refused_type) == 0) {
            status = status == APR_SUCCESS ? APR_EGENERAL : status;
        }
    }
    *waiting = 0;
    for (int i = 0; status == APR_SUCCESS && i < count; i++) {
        store_event(world, items[i], claim, jobs, waiting);
    }
    pthread_mutex_unlock(&world->mutex);
    return status;
}

/** Claim what one subscription has due. */
static void claim_of(world_t *world, int which, const rh_claim_t *claim, apr_array_header_t *jobs)
{
    subscription_t *subscription = &world->subscriptions[which];
    apr_time_t now = apr_time_now();
    int got = 0;

    if (subscription->paused_until > now) {
        return;
    }
    for (int i = subscription->cursor; i < world->delivery_count; i++) {
        delivery_t *delivery = &world->deliveries[i];

        if (got >= claim->per_subscription || jobs->nelts >= claim->limit) {
            return;
        }
        if (delivery->subscription == which && delivery->state == RH_DELIVERY_PENDING &&
            delivery->due_at <= now && (delivery->lease == 0 || !claim->spare_leased)) {
            push_job(world, i, claim, jobs);
            got++;
        }
    }
}

static apr_status_t world_claim(rh_queue_t *self, rh_claim_t *claim, apr_pool_t *scratch,
                                apr_array_header_t *jobs)
{
    world_t *world = ((front_t *)self)->world;
    apr_status_t status = APR_SUCCESS;

    (void)scratch;
    pthread_mutex_lock(&world->mutex);
    if (world->down & DOWN_CLAIM) {
        status = APR_EAGAIN;
    }
    for (int i = 0; status == APR_SUCCESS && i < world->subscription_count; i++) {
        world->turn = (world->turn + 1) % world->subscription_count;
        claim_of(world, world->turn, claim, jobs);
    }
    world->claims++;
    world->claimed += jobs->nelts;
    pthread_mutex_unlock(&world->mutex);
    return status;
}

static void settle_one(world_t *world, const rh_settle_t *outcome)
{
    delivery_t *delivery = &world->deliveries[atoi(outcome->delivery_id)];
    subscription_t *subscription = &world->subscriptions[delivery->subscription];
    apr_time_t now = apr_time_now();

    if (outcome->kind != RH_SETTLE_RELEASE) {
        delivery->attempt_count++;
        apr_cpystrn(delivery->error, outcome->attempt.error ? outcome->attempt.error : "",
                    sizeof(delivery->error));
    }
    if (delivery->lease != outcome->lease) {
        world->lost_leases++;
        return;
    }
    delivery->lease = 0;
    delivery->due_at = now + outcome->delay;
    if (outcome->pause > 0) {
        subscription->paused_until = now + outcome->pause;
    }
    switch (outcome->kind) {
    case RH_SETTLE_DELIVERED:
        delivery->state = RH_DELIVERY_DELIVERED;
        subscription->delivered++;
        break;
    case RH_SETTLE_RETRY:
        delivery->tries++;
        break;
    case RH_SETTLE_RELEASE:
        break;
    default:
        delivery->state = RH_DELIVERY_FAILED;
    }
    while (subscription->cursor < world->delivery_count &&
           (world->deliveries[subscription->cursor].state != RH_DELIVERY_PENDING ||
            &world->subscriptions[world->deliveries[subscription->cursor].subscription] !=
                subscription)) {
        subscription->cursor++;
    }
}

static apr_status_t world_settle(rh_queue_t *self, rh_settle_t *const *outcomes, int count,
                                 apr_pool_t *scratch)
{
    world_t *world = ((front_t *)self)->world;
    apr_status_t status = APR_SUCCESS;

    (void)scratch;
    pthread_mutex_lock(&world->mutex);
    world->settles++;
    if (world->down & DOWN_SETTLE) {
        status = APR_EAGAIN;
    }
    for (int i = 0; i < count && world->refused_answer; i++) {
        const char *answer = outcomes[i]->attempt.answer;

        if (outcomes[i]->kind != RH_SETTLE_RELEASE && answer &&
            strcmp(answer, world->refused_answer) == 0) {
            status = status == APR_SUCCESS ? APR_EGENERAL : status;
        }
    }
    for (int i = 0; status == APR_SUCCESS && i < count; i++) {
        settle_one(world, outcomes[i]);
    }
    world->settle_failures += status != APR_SUCCESS;
    pthread_mutex_unlock(&world->mutex);
    return status;
}

static apr_status_t world_maintain(rh_queue_t *self, apr_interval_time_t retention,
                                   apr_pool_t *scratch)
{
    world_t *world = ((front_t *)self)->world;

    (void)retention;
    (void)scratch;
    pthread_mutex_lock(&world->mutex);
    world->maintained++;
    pthread_mutex_unlock(&world->mutex);
    return APR_SUCCESS;
}

static apr_status_t world_backlog(rh_queue_t *self, apr_pool_t *scratch, rh_backlog_t *backlog)
{
    world_t *world = ((front_t *)self)->world;

    (void)scratch;
    pthread_mutex_lock(&world->mutex);
    memset(backlog, 0, sizeof(*backlog));
    for (int i = 0; i < world->delivery_count; i++) {
        backlog->pending += world->deliveries[i].state == RH_DELIVERY_PENDING;
    }
    pthread_mutex_unlock(&world->mutex);
    return APR_SUCCESS;
}

static apr_status_t world_release(rh_queue_t *self, apr_int64_t lease, apr_pool_t *scratch)
{
    world_t *world = ((front_t *)self)->world;
    apr_status_t status = APR_SUCCESS;

    (void)scratch;
    pthread_mutex_lock(&world->mutex);
    if (world->down & DOWN_RELEASE) {
        status = APR_EAGAIN;
    } else {
        world->released++;
        for (int i = 0; i < world->delivery_count; i++) {
            delivery_t *delivery = &world->deliveries[i];

            if (delivery->lease == lease && delivery->state == RH_DELIVERY_PENDING) {
                delivery->lease = 0;
                delivery->due_at = 0;
            }
        }
    }
    pthread_mutex_unlock(&world->mutex);
    return status;
}

/* ---- the log ---- */

static void world_log(void *baton, rh_log_level_t level, apr_status_t status, const char *tag,
                      const char *message)
{
    world_t *world = baton;

    (void)status;
    (void)message;
    pthread_mutex_lock(&world->mutex);
    world->warnings += level <= RH_LOG_WARN;
    if (level <= RH_LOG_NOTICE && world->tag_count < 64) {
        apr_cpystrn(world->tags[world->tag_count++], tag, sizeof(world->tags[0]));
    }
    pthread_mutex_unlock(&world->mutex);
}

/** Lines of the log with a tag. */
WORLD_HELPER int logged(world_t *world, const char *tag)
{
    int count = 0;

    pthread_mutex_lock(&world->mutex);
    for (int i = 0; i < world->tag_count; i++) {
        count += strcmp(world->tags[i], tag) == 0;
    }
    pthread_mutex_unlock(&world->mutex);
    return count;
}

#endif
