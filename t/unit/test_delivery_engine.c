/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "engine_targets.h"

#define SOON apr_time_from_sec(15)

/** Stop normally: no line for the administrator was logged. */
static void end_quietly(world_t *world)
{
    rh_engine_stop(world->engine, SOON);
    is_int(world->warnings, 0, "no warning was logged");
    is_int(world->lost_leases, 0, "no lease was lost");
    end_world(world);
}

static void test_one(void)
{
    world_t *world = make_world(1);
    rh_commit_t items[2] = {{0}};
    rh_site_t stranger;

    start_engine(world);
    items[0].event = make_event(world->pool, NULL);
    items[0].status = APR_EGENERAL;
    is_int(rh_engine_commit(world->engine, &world->site, items, 1, SOON, world->pool), APR_SUCCESS,
           "an event is committed");
    ok(items[0].status == APR_SUCCESS && !items[0].duplicate, "and stored");
    is(items[0].stored_id, items[0].event->id, "it has its own id");
    ok(wait_delivered(world, 1), "it is delivered");
    is_int(count_up(world).sent_most, 1, "once");
    is_int(get(world, &world->claimed), 0, "the commit handed it over, so it was not claimed");
    is_int(rh_engine_commit(world->engine, &world->site, items, 1, SOON, world->pool), APR_SUCCESS,
           "the same event again");
    ok(items[0].duplicate && count_up(world).attempts == 1, "it is known and not sent again");
    is_int(rh_engine_commit(world->engine, &world->site, items, 0, SOON, world->pool), APR_SUCCESS,
           "a call without events succeeds");
    stranger = world->site;
    is_int(rh_engine_commit(world->engine, &stranger, items, 1, SOON, world->pool), APR_EINVAL,
           "a site that the engine does not know is refused");
    ok(wait_for(world, &world->maintained, 1), "housekeeping is done");
    end_quietly(world);
}

/** While a claim is under way, which reserves memory, a commit still hands over its deliveries. */
static void test_commit_beside_claim(void)
{
    world_t *world = make_world(1);

    world->hold_claims = true;
    start_engine(world);
    ok(wait_for(world, &world->claims_begun, 1), "the engine's first claim takes long");
    is_int(commit_events(world, NULL, world->site.endpoint_concurrency, SOON), APR_SUCCESS,
           "events are committed before it ends");
    ok(wait_for(world, &world->subscriptions[0].attempts, world->site.endpoint_concurrency),
       "they are sent while it lasts");
    hold_claims(world, false);
    ok(wait_delivered(world, world->site.endpoint_concurrency), "and are delivered");
    is_int(count_up(world).sent_most, 1, "once");
    is_int(get(world, &world->claimed), 0, "none of them was claimed");
    end_quietly(world);
}

static void test_refused(void)
{
    world_t *world = make_world(1);
    rh_commit_t items[20];
    rh_event_t *event;
    bool others = true;

    world->refused_type = "employee.strange";
    start_engine(world);
    memset(items, 0, sizeof(items));
    for (int i = 0; i < 20; i++) {
        items[i].event = event = make_event(world->pool, NULL);
        if (i == 13) {
            event->type = world->refused_type;
        }
    }
    is_int(rh_engine_commit(world->engine, &world->site, items, 20, SOON, world->pool), APR_SUCCESS,
           "twenty events, one of which the store refuses");
    for (int i = 0; i < 20; i++) {
        others = others && (i == 13) == (items[i].status != APR_SUCCESS);
    }
    ok(others, "that event alone fails");
    ok(wait_delivered(world, 19) && count_up(world).sent_most == 1, "the others are delivered");
    end_quietly(world);
}

#define THREADS 12
#define CALLS 40

static void *commit_many(void *data)
{
    for (int i = 0; i < CALLS; i++) {
        if (commit_events(data, NULL, 1, SOON) != APR_SUCCESS) {
            return data;
        }
    }
    return NULL;
}

static void test_threads(void)
{
    world_t *world = make_world(2);
    pthread_t threads[THREADS];
    void *failed, *any = NULL;

    world->commit_takes = MSEC(3);
    start_engine(world);
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, commit_many, world);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &failed);
        any = failed ? failed : any;
    }
    ok(!any && get(world, &world->stored) == THREADS * CALLS, "many threads commit at once");
    ok(get(world, &world->commits) < THREADS * CALLS * 2 / 3,
       "they share commits: %d for %d events", get(world, &world->commits), THREADS * CALLS);
    ok(wait_delivered(world, 2 * THREADS * CALLS),
       "all events are delivered to both subscriptions");
    is_int(count_up(world).sent_most, 1, "once");
    end_quietly(world);
}

static void test_bounds(void)
{
    world_t *world = make_world(4);

    world->config.concurrency = 8;
    world->site.endpoint_concurrency = 3;
    for (int i = 0; i < 4; i++) {
        world->subscriptions[i].delay = MSEC(1);
    }
    start_engine(world);
    is_int(commit_events(world, NULL, 300, SOON), APR_SUCCESS,
           "more events at once than the engine holds in memory");
    ok(wait_delivered(world, 1200), "all are delivered");
    is_int(count_up(world).sent_most, 1, "once");
    ok(world->most_in_flight <= 8, "there are never more attempts at once than allowed (%d)",
       world->most_in_flight);
    for (int i = 0; i < 4; i++) {
        ok(world->subscriptions[i].most_in_flight <= 3, "nor to one endpoint (%d)",
           world->subscriptions[i].most_in_flight);
    }
    ok(get(world, &world->claimed) > 0,
       "deliveries that a commit could not hand over were claimed");
    end_quietly(world);
}

static void test_answers(void)
{
    world_t *world = make_world(4);
    tally_t tally;

    world->subscriptions[0].fail_first = 2;
    world->subscriptions[1].code = 500;
    world->subscriptions[2].code = 410;
    world->subscriptions[3].code = 0;
    start_engine(world);
    commit_events(world, NULL, 1, SOON);
    ok(wait_delivered(world, 1), "a delivery that fails twice is retried until it succeeds");
    for (int i = 0; i < 12000 && count_up(world).failed < 3; i++) {
        usleep(10000);
    }
    tally = count_up(world);
    ok(tally.delivered == 1 && tally.failed == 3 && tally.pending == 0,
       "the others fail in the end");
    is_int(world->deliveries[0].sent, 3, "the first one after its third attempt");
    is_int(world->deliveries[1].sent, 4, "500 is retried until the schedule is used up");
    is_int(world->deliveries[2].sent, 1, "410 at once");
    is_int(world->deliveries[3].sent, 4, "so is a refused connection");
    ok(world->deliveries[0].attempt_count == 3 && world->deliveries[1].attempt_count == 4,
       "every attempt is recorded");
    is(world->deliveries[3].error, "connect: connection refused", "it has the error");
    is_int(logged(world, "RH0301"), 1, "that a subscription is gone is recorded");
    end_quietly(world);
}

static void test_unsettleable(void)
{
    world_t *world = make_world(3);

    world->refused_answer = "poison";
    world->subscriptions[1].answer = "poison";
    world->subscriptions[2].answer = "fine";
    start_engine(world);
    commit_events(world, NULL, 5, SOON);
    ok(wait_delivered(world, 15), "a response that the store refuses does not fail its delivery");
    is_int(count_up(world).sent_most, 1, "none is sent again");
    is(world->deliveries[1].error, "the response could not be stored", "the log says so");
    is(world->deliveries[2].error, "", "only for that delivery");
    end_quietly(world);
}

static void test_starvation(void)
{
    world_t *world = make_world(3);
    int flood, before;

    world->config.concurrency = 16;
    for (int i = 0; i < 3; i++) {
        world->subscriptions[i].delay = MSEC(1);
    }
    store_events(world, "sub-0", 10000);
    store_events(world, "sub-1", 30);
    start_engine(world);
    ok(wait_for(world, &world->subscriptions[1].delivered, 30),
       "30 deliveries that are due after another subscription's 10,000 are made");
    flood = get(world, &world->subscriptions[0].delivered);
    ok(flood < 8000, "they are made before those (%d of them)", flood);
    commit_events(world, "sub-2", 20, SOON);
    ok(wait_for(world, &world->subscriptions[2].delivered, 20), "so are new ones");
    before = get(world, &world->subscriptions[0].delivered);
    ok(before < 10000, "those continue (%d)", before);
    ok(wait_for(world, &world->subscriptions[0].delivered, before + 100), "and on");
    is_int(count_up(world).sent_most, 1, "none is sent twice");
    end_quietly(world);
}

static void test_hanging_targets(void)
{
    world_t *world = make_world(41);

    world->config.concurrency = 16;
    for (int i = 1; i < 41; i++) {
        world->subscriptions[i].hangs = true;
    }
    start_engine(world);
    commit_events(world, "sub-0", 1, SOON);
    ok(wait_delivered(world, 1), "a target is known to respond");
    store_events(world, NULL, 20);
    rh_engine_wake(world->engine, &world->site);
    ok(wait_for(world, &world->subscriptions[0].delivered, 21),
       "forty hanging targets do not delay its deliveries");
    ok(get(world, &world->in_flight) <= 12, "they use no more than their share of slots");
    for (int i = 1; i < 41; i++) {
        let_hang(world, i, false);
    }
    ok(wait_delivered(world, 41 * 20 + 1), "their deliveries are made when they respond");
    is_int(count_up(world).sent_most, 1, "once");
    end_quietly(world);
}

static void test_wake(void)
{
    world_t *world = make_world(1);

    world->config.poll = apr_time_from_sec(3600);
    start_engine(world);
    ok(wait_for(world, &world->claims, 1), "the engine looks for due deliveries when it starts");
    store_events(world, NULL, 3);
    usleep(300000);
    ok(count_up(world).attempts == 0,
       "between claims it does not see what another process makes due");
    rh_engine_wake(world->engine, &world->site);
    ok(wait_delivered(world, 3), "unless the engine is woken");
    end_quietly(world);
}

static void test_two_sites(void)
{
    world_t *one = make_world(1), *other = make_world(2);
    apr_array_header_t *sites = apr_array_make(one->pool, 2, sizeof(rh_site_t *));

    /* The second engine's targets are in the first one's world, whose tables lack its deliveries.
     */
    other->down = DOWN_ALL;
    APR_ARRAY_PUSH(sites, rh_site_t *) = &other->site;
    APR_ARRAY_PUSH(sites, rh_site_t *) = &one->site;
    is_int(rh_engine_start(&one->config, sites, &one->engine), APR_SUCCESS,
           "an engine for two sites");
    other->engine = one->engine;
    is_int(commit_events(one, NULL, 5, SOON), APR_SUCCESS,
           "one site's database stores events while the other's is down");
    ok(wait_delivered(one, 5), "they are delivered");
    ok(commit_events(other, NULL, 1, SOON) != APR_SUCCESS,
       "the other site's events are not stored");
    rh_engine_stop(one->engine, MSEC(200));
    is_int(other->stored, 0, "nothing of one site went to the other");
    is_int(one->warnings, 0, "the first site has no outage");
    is_int(logged(other, "RH0309"), 1, "the other's is logged once");
    end_world(other);
    end_world(one);
}

int main(void)
{
    static void (*const tests[])(void) = {
        test_one,      test_commit_beside_claim, test_refused,    test_threads,         test_bounds,
        test_answers,  test_unsettleable,        test_starvation, test_hanging_targets, test_wake,
        test_two_sites};

    apr_initialize();
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        tests[i]();
    }
    apr_terminate();
    return done_testing();
}
