/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Tenants take turns at commits while more waits than one commit holds. */
#include "engine_targets.h"

#include "rh_engine_test.h"

/** Calls of a tenant with many, and the events of each: together more than ten commits. */
#define CALLS 50
#define EACH 64

typedef struct call_t {
    world_t *world;
    const char *tenant, *key;
    int count;
    int first; /**< number of its first event */
    apr_status_t status;
    pthread_t thread;
} call_t;

static void *commit_call(void *data)
{
    call_t *call = data;
    rh_commit_t items[EACH] = {{0}};
    apr_pool_t *pool;

    apr_pool_create_unmanaged_ex(&pool, NULL, NULL);
    for (int i = 0; i < call->count; i++) {
        rh_event_t *event = make_event(pool, call->key);

        event->tenant = call->tenant;
        items[i].event = event;
        if (i == 0) {
            call->first = event_number(event->id);
        }
    }
    call->status = rh_engine_commit(call->world->engine, &call->world->site, items, call->count,
                                    MAX_WAIT, pool);
    apr_pool_destroy(pool);
    return NULL;
}

/** Begin a call, and wait until the engine has it. */
static void begin(call_t *call, int queued)
{
    apr_time_t until = apr_time_now() + MAX_WAIT;

    pthread_create(&call->thread, NULL, commit_call, call);
    while (rh_engine_queued(call->world->engine) < queued && apr_time_now() < until) {
        apr_sleep(1000);
    }
}

/** Wait until a commit hangs. */
static bool is_held(world_t *world)
{
    apr_time_t until = apr_time_now() + MAX_WAIT;
    bool holding = false;

    while (!holding && apr_time_now() < until) {
        apr_sleep(1000);
        pthread_mutex_lock(&world->mutex);
        holding = world->holding;
        pthread_mutex_unlock(&world->mutex);
    }
    return holding;
}

/** @return the position of an event among those that were stored; -1: it was not stored */
static int position_of(world_t *world, int number)
{
    for (int i = 0; i < world->stored; i++) {
        if (world->order[i] == number) {
            return i;
        }
    }
    return -1;
}

static void test_turns(void)
{
    world_t *world = make_world(1);
    call_t held = {world, "noisy", NULL, 1, 0, 0, 0}, many[CALLS];
    call_t small = {world, "small", "k", 1, 0, 0, 0}, next = small;
    call_t late = {world, "noisy", "same", 1, 0, 0, 0};
    int queued = 0, first, second;
    bool stored = true;

    world->hold_commits = true;
    start_engine(world);
    begin(&held, 0);
    ok(is_held(world), "a commit hangs");
    for (int i = 0; i < CALLS; i++) {
        many[i] = (call_t){world, "noisy", "same", EACH, 0, 0, 0};
        begin(&many[i], queued += EACH);
    }
    begin(&late, queued += 1);
    begin(&small, queued += 1);
    begin(&next, queued += 1);
    pthread_mutex_lock(&world->mutex);
    world->hold_commits = false;
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->mutex);
    pthread_join(held.thread, NULL);
    pthread_join(small.thread, NULL);
    pthread_join(next.thread, NULL);
    pthread_join(late.thread, NULL);
    for (int i = 0; i < CALLS; i++) {
        pthread_join(many[i].thread, NULL);
        stored = stored && many[i].status == APR_SUCCESS && position_of(world, many[i].first) >= 0;
    }
    first = position_of(world, small.first);
    second = position_of(world, next.first);
    ok(first > 0 && first <= 256 + 1,
       "a tenant's event is in the next commit, after %d of another (%d)", CALLS * EACH, first);
    ok(second > first, "the next event of its key is not stored before it");
    ok(stored && small.status == APR_SUCCESS && next.status == APR_SUCCESS,
       "every call is stored, although many waited");
    ok(position_of(world, late.first) > position_of(world, many[CALLS - 1].first),
       "a call that would fit does not overtake one of its key that does not");
    is_int(world->stored, CALLS * EACH + 4, "each event is stored once");
    rh_engine_stop(world->engine, MAX_WAIT);
    is_int(world->warnings, 0, "no warning was logged");
    end_world(world);
}

int main(void)
{
    apr_initialize();
    test_turns();
    apr_terminate();
    return done_testing();
}
