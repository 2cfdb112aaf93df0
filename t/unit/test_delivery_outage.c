/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "engine_targets.h"
#include "rh_engine_test.h"
#include "rh_slot.h"
#include "rh_spool.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

#define SOON apr_time_from_sec(15)

static const rh_spool_owner_t spool_owner = {"pgsql-0123456789abcdef", NULL, false};
static char folder[] = "/tmp/rh-outage-XXXXXX";

static int count_files(void)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int count = 0;

    while ((entry = readdir(dir)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

static void end(world_t *world)
{
    rh_engine_stop(world->engine, SOON);
    end_world(world);
}

/** True if each subscription's events were stored in the order in which they were made. */
static bool in_order(world_t *world)
{
    int last[MAX_SUBSCRIPTIONS] = {0};
    bool right = true;

    pthread_mutex_lock(&world->mutex);
    for (int i = 0; i < world->delivery_count; i++) {
        const delivery_t *delivery = &world->deliveries[i];

        right = right && delivery->event > last[delivery->subscription];
        last[delivery->subscription] = delivery->event;
    }
    pthread_mutex_unlock(&world->mutex);
    return right;
}

/** Wait until the log has a number of lines with a tag. */
static bool wait_logged(world_t *world, const char *tag, int count)
{
    apr_time_t until = apr_time_now() + MAX_WAIT;

    while (logged(world, tag) < count && apr_time_now() < until) {
        usleep(5000);
    }
    return logged(world, tag) == count;
}

/* ---- outages ---- */

static void test_restart(void)
{
    world_t *world = make_world(1);

    world->commit_failures = 1;
    start_engine(world);
    is_int(commit_events(world, NULL, 2, SOON), APR_SUCCESS,
           "a restart of the database fails no request");
    ok(wait_delivered(world, 2) && count_up(world).sent_most == 1, "everything is delivered once");
    is_int(world->warnings, 0, "no warning was logged");
    end(world);
}

static void test_outage(void)
{
    world_t *world = make_world(1);

    world->down = DOWN_ALL;
    start_engine(world);
    ok(APR_STATUS_IS_EAGAIN(commit_events(world, NULL, 2, SOON)),
       "without a spool callers learn of an outage");
    ok(APR_STATUS_IS_EAGAIN(commit_events(world, NULL, 2, SOON)), "again");
    is_int(logged(world, "RH0309"), 1, "it is logged once");
    set_down(world, 0);
    is_int(commit_events(world, NULL, 2, SOON), APR_SUCCESS, "then commits succeed again");
    ok(wait_delivered(world, 2), "deliveries are made, too");
    ok(world->stored == 2 && count_up(world).attempts == 2, "only of stored events");
    ok(wait_logged(world, "RH0308", 1), "the end of the outage is logged");
    is_int(world->warnings, 1, "nothing else is logged");
    end(world);
}

static void test_outcomes(void)
{
    world_t *world = make_world(3);

    world->subscriptions[2].code = 500;
    for (int i = 0; i < 3; i++) {
        world->subscriptions[i].hangs = true;
    }
    start_engine(world);
    commit_events(world, NULL, 1, SOON);
    ok(wait_for(world, &world->in_flight, 3), "three attempts are in flight");
    set_down(world, DOWN_ALL);
    for (int i = 0; i < 3; i++) {
        let_hang(world, i, false);
    }
    ok(wait_for(world, &world->settle_failures, 3), "they end during an outage");
    ok(count_up(world).delivered == 0 && count_up(world).sent_most == 1, "and wait");
    set_down(world, 0);
    ok(wait_delivered(world, 2), "they are settled after it");
    for (int i = 0; i < 12000 && count_up(world).failed < 1; i++) {
        usleep(10000);
    }
    ok(world->deliveries[0].attempt_count == 1 && world->deliveries[0].sent == 1 &&
           world->deliveries[1].attempt_count == 1,
       "each has one attempt");
    ok(world->deliveries[2].attempt_count == 4 && world->deliveries[2].sent == 4,
       "the failed one continues with its schedule");
    ok(logged(world, "RH0309") == 1 && wait_logged(world, "RH0308", 1), "it is logged once");
    is_int(world->lost_leases, 0, "no lease was lost");
    end(world);
}

static void test_spool(void)
{
    world_t *world = make_world(2);
    bool taken = true;

    world->site.spool = folder;
    world->site.spool_owner = &spool_owner;
    world->down = DOWN_ALL;
    start_engine(world);
    for (int i = 0; i < 5; i++) {
        taken = taken && commit_events(world, NULL, 2, SOON) == APR_SUCCESS;
    }
    ok(taken && get(world, &world->stored) == 0, "with a spool no request fails in an outage");
    is_int(count_files(), 1, "its events wait there");
    set_down(world, DOWN_DRAIN);
    ok(commit_events(world, NULL, 2, SOON) == APR_SUCCESS && get(world, &world->stored) == 0,
       "later events wait after them");
    set_down(world, 0);
    ok(wait_delivered(world, 24), "then all are delivered");
    is_int(commit_events(world, NULL, 1, SOON), APR_SUCCESS, "so are new ones");
    ok(wait_delivered(world, 26), "too");
    ok(count_up(world).sent_most == 1 && world->duplicates == 0, "once");
    ok(in_order(world), "in order");
    is_int(count_files(), 0, "the spool is empty");
    is_int(logged(world, "RH0309"), 1, "the outage is logged once");
    end(world);
}

/** The disk is full when the database is back. */
static void test_full_spool(void)
{
    world_t *world = make_world(1);
    struct rlimit limit = {0, 0}, saved;

    world->site.spool = folder;
    world->site.spool_owner = &spool_owner;
    world->down = DOWN_ALL;
    start_engine(world);
    is_int(commit_events(world, NULL, 2, SOON), APR_SUCCESS, "events are spooled in an outage");
    getrlimit(RLIMIT_FSIZE, &saved);
    limit.rlim_max = saved.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    ok(commit_events(world, NULL, 1, SOON) != APR_SUCCESS, "then the disk is full");
    set_down(world, DOWN_DRAIN);
    is_int(commit_events(world, NULL, 1, SOON), APR_SUCCESS,
           "the database is back: it stores events that the spool can't, though that is not empty");
    ok(get(world, &world->stored) == 1, "at once");
    setrlimit(RLIMIT_FSIZE, &saved);
    set_down(world, 0);
    ok(wait_delivered(world, 3) && count_up(world).sent_most == 1, "everything is delivered once");
    ok(logged(world, "RH0330") >= 1, "the full spool is logged");
    end(world);
    is_int(count_files(), 0, "the spool is empty");
}

/** With fewer slots than processes, a process that stops lets another deliver at once. */
static void test_slot_of_a_stopping_process(void)
{
    world_t *world = make_world(1);
    apr_time_t until = apr_time_now() + MAX_WAIT;
    int slot = RH_NO_SLOT;

    world->config.deliverers = 1;
    world->config.slots = folder;
    world->subscriptions[0].hangs = true;
    start_engine(world);
    while (!rh_engine_delivers(world->engine) && apr_time_now() < until) {
        usleep(5000);
    }
    ok(APR_STATUS_IS_EAGAIN(rh_slot_take(folder, 1, world->pool, &slot)),
       "a process has the only slot");
    commit_events(world, NULL, 1, SOON);
    ok(wait_for(world, &world->in_flight, 1), "it waits for a hanging target");
    rh_engine_stopping(world->engine);
    while (rh_slot_take(folder, 1, world->pool, &slot) != APR_SUCCESS && apr_time_now() < until) {
        usleep(5000);
    }
    ok(slot != RH_NO_SLOT && get(world, &world->in_flight) == 1,
       "when it is told to stop, another one may deliver already");
    rh_slot_give_back(&slot);
    let_hang(world, 0, false);
    unlink(apr_pstrcat(world->pool, folder, "/deliver.0.lock", NULL));
    end(world);
}

static void test_writer_hangs(void)
{
    world_t *world = make_world(1);

    world->hold_commits = true;
    start_engine(world);
    ok(APR_STATUS_IS_TIMEUP(commit_events(world, NULL, 1, MSEC(2000))),
       "the database hangs: the call times out, and its event may still be stored");
    ok(APR_STATUS_IS_EAGAIN(commit_events(world, NULL, 1, MSEC(300))),
       "the next call, which no writer has begun, is not stored");
    hold_commits(world, false);
    ok(wait_delivered(world, 1), "the first call's event is stored");
    is_int(commit_events(world, NULL, 1, SOON), APR_SUCCESS, "then the database works");
    ok(wait_delivered(world, 2) && world->stored == 2,
       "the second call's event was never delivered");
    end(world);

    world = make_world(1);
    world->hold_commits = true;
    world->site.spool = folder;
    world->site.spool_owner = &spool_owner;
    start_engine(world);
    is_int(commit_events(world, NULL, 1, MSEC(300)), APR_SUCCESS,
           "with a spool the request's own thread writes into it");
    is_int(commit_events(world, NULL, 1, MSEC(300)), APR_SUCCESS, "again");
    hold_commits(world, false);
    ok(wait_delivered(world, 2), "both are delivered");
    is_int(commit_events(world, NULL, 1, SOON), APR_SUCCESS, "so are new ones");
    ok(wait_delivered(world, 3) && count_up(world).attempts == 3,
       "each once, although the writer stored one as well");
    end(world);
    is_int(count_files(), 0, "the spool is empty");
}

#define THREADS 4
#define CALLS 40

typedef struct caller_t {
    world_t *world;
    pthread_t thread;
    int number, calls;
    apr_status_t status;
} caller_t;

/** Commit events for a subscription of its own. */
static void *call(void *data)
{
    caller_t *caller = data;
    char key[16];

    snprintf(key, sizeof(key), "sub-%d", caller->number);
    for (int i = 0; i < caller->calls; i++) {
        apr_status_t status = commit_events(caller->world, key, 1, SOON);

        caller->status = status == APR_SUCCESS ? caller->status : status;
    }
    return NULL;
}

static void start_callers(world_t *world, caller_t *callers, int count, int calls)
{
    for (int i = 0; i < count; i++) {
        callers[i].world = world;
        callers[i].number = i;
        callers[i].calls = calls;
        callers[i].status = APR_SUCCESS;
        pthread_create(&callers[i].thread, NULL, call, &callers[i]);
    }
}

/** Join the threads. @return the number of those whose calls all succeeded */
static int join_callers(caller_t *callers, int count)
{
    int well = 0;

    for (int i = 0; i < count; i++) {
        pthread_join(callers[i].thread, NULL);
        well += callers[i].status == APR_SUCCESS;
    }
    return well;
}

static void test_flapping(void)
{
    world_t *world = make_world(THREADS);
    caller_t callers[THREADS];

    world->site.spool = folder;
    world->site.spool_owner = &spool_owner;
    world->commit_takes = MSEC(2);
    start_engine(world);
    start_callers(world, callers, THREADS, CALLS);
    for (int i = 0; i < 6; i++) {
        set_down(world, DOWN_ALL);
        usleep(i % 2 ? 50000 : 1200000);
        set_down(world, 0);
        usleep(50000);
    }
    is_int(join_callers(callers, THREADS), THREADS,
           "threads continue to commit while the database fails and returns");
    ok(wait_delivered(world, THREADS * CALLS), "everything is delivered");
    ok(world->stored == THREADS * CALLS && count_up(world).sent_most == 1, "once");
    ok(in_order(world), "each thread's events were stored in order");
    end(world);
    is_int(count_files(), 0, "the spool is empty");
}

static void test_spool_across_a_stop(void)
{
    world_t *world = make_world(1);

    world->site.spool = folder;
    world->site.spool_owner = &spool_owner;
    world->down = DOWN_ALL;
    start_engine(world);
    is_int(commit_events(world, NULL, 3, SOON), APR_SUCCESS, "events are spooled in an outage");
    rh_engine_stop(world->engine, MSEC(200));
    ok(count_files() == 1 && world->stored == 0, "the process ends during the outage");
    set_down(world, 0);
    start_engine(world);
    ok(wait_delivered(world, 3), "the next process delivers them");
    ok(count_up(world).sent_most == 1 && in_order(world), "once, in order");
    end(world);
    is_int(count_files(), 0, "the spool is empty");
}

/* ---- the end ---- */

static void *stop(void *data)
{
    rh_engine_stop(((world_t *)data)->engine, SOON);
    return NULL;
}

static void test_graceful_stop(void)
{
    world_t *world = make_world(4);
    pthread_t stopper;
    tally_t tally;

    for (int i = 0; i < 4; i++) {
        world->subscriptions[i].hangs = true;
    }
    start_engine(world);
    commit_events(world, NULL, 30, SOON);
    ok(wait_for(world, &world->in_flight, 12),
       "a dozen attempts are in flight, and many jobs wait");
    rh_engine_stopping(world->engine);
    rh_engine_stopping(world->engine);
    is_int(commit_events(world, NULL, 5, SOON), APR_SUCCESS,
           "while it stops it still stores events");
    pthread_create(&stopper, NULL, stop, world);
    usleep(100000);
    ok(count_up(world).delivered == 0, "attempts in flight are waited for");
    for (int i = 0; i < 4; i++) {
        let_hang(world, i, false);
    }
    pthread_join(stopper, NULL);
    tally = count_up(world);
    ok(tally.delivered >= 12 && tally.attempts == tally.delivered,
       "it ends, and its delivery counts");
    is_int(tally.pending, 140 - tally.delivered, "the rest is pending");
    is_int(tally.leased, 0, "without leases");
    ok(world->released == 1 && world->lost_leases == 0, "the rest was released at the end");
    is_int(tally.sent_most, 1, "nothing was attempted twice");
    is_int(world->warnings, 0, "no warning was logged");
    start_engine(world);
    ok(wait_delivered(world, 140), "the next process delivers the rest");
    is_int(count_up(world).sent_most, 1, "each still once");
    end(world);
}

static void test_hanging_stop(void)
{
    world_t *world = make_world(2);
    apr_time_t begin;
    tally_t tally;
    int attempts = 0;

    world->subscriptions[0].hangs = world->subscriptions[1].hangs = true;
    start_engine(world);
    commit_events(world, NULL, 20, SOON);
    ok(wait_for(world, &world->in_flight, 4), "targets hang");
    begin = apr_time_now();
    rh_engine_stop(world->engine, MSEC(300));
    ok(apr_time_now() - begin < MAX_WAIT, "hanging attempts do not delay the end of the process");
    tally = count_up(world);
    ok(tally.delivered == 0 && tally.pending == 40 && tally.leased == 0,
       "the cancelled delivery is pending, and its lease was released");
    for (int i = 0; i < 40; i++) {
        attempts += world->deliveries[i].attempt_count + world->deliveries[i].tries;
    }
    ok(attempts == 0 && world->in_flight == 0, "it does not count as an attempt");
    is_int(world->warnings, 0, "no warning was logged");
    let_hang(world, 0, false);
    let_hang(world, 1, false);
    start_engine(world);
    ok(wait_delivered(world, 40), "the next process delivers it");
    end(world);
}

static void test_stop_in_an_outage(void)
{
    world_t *world = make_world(2);
    apr_time_t begin;

    world->subscriptions[0].hangs = true;
    start_engine(world);
    commit_events(world, NULL, 2, SOON);
    ok(wait_for(world, &world->in_flight, 2), "attempts are in flight");
    set_down(world, DOWN_ALL);
    begin = apr_time_now();
    rh_engine_stop(world->engine, MSEC(300));
    ok(apr_time_now() - begin < MAX_WAIT, "an outage does not delay the end of the process");
    is_int(world->in_flight, 0, "no attempt is left");
    is_int(world->released, 0, "leases then end by themselves");
    end_world(world);
}

static void test_stop_stores_what_is_queued(void)
{
    world_t *world = make_world(6);
    caller_t callers[6];
    pthread_t stopper;
    tally_t tally;
    int queued = 0, well;

    world->hold_commits = true;
    start_engine(world);
    start_callers(world, callers, 6, 1);
    for (int i = 0; i < 12000 && rh_engine_callers(world->engine) < 6; i++) {
        usleep(10000);
    }
    ok(rh_engine_callers(world->engine) == 6, "calls wait for a commit that hangs");
    queued = rh_engine_queued(world->engine);
    pthread_create(&stopper, NULL, stop, world);
    usleep(100000);
    hold_commits(world, false);
    well = join_callers(callers, 6);
    pthread_join(stopper, NULL);
    is_int(world->stored, well, "a stop lets some calls be stored, and the others fail");
    tally = count_up(world);
    ok(world->stored >= queued, "queued calls were stored (%d)", world->stored);
    is_int(tally.leased, 0, "no lease is left");
    ok(tally.sent_most <= 1 && tally.attempts == tally.delivered, "no call is incomplete");
    end_world(world);
}

int main(void)
{
    static void (*const tests[])(void) = {test_restart,
                                          test_outage,
                                          test_outcomes,
                                          test_spool,
                                          test_full_spool,
                                          test_slot_of_a_stopping_process,
                                          test_writer_hangs,
                                          test_flapping,
                                          test_spool_across_a_stop,
                                          test_graceful_stop,
                                          test_hanging_stop,
                                          test_stop_in_an_outage,
                                          test_stop_stores_what_is_queued};

    apr_initialize();
    if (!mkdtemp(folder)) {
        return 1;
    }
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        tests[i]();
    }
    ok(rmdir(folder) == 0, "nothing is left in the folder");
    apr_terminate();
    return done_testing();
}
