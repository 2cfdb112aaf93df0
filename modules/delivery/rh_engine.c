/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_engine_private.h"

#include <apr_allocator.h>
#include <apr_general.h>
#include <signal.h>
#include <stdlib.h>

/** What an allocator of calls keeps for the next ones. */
#define SHARED_MAX_FREE (4 * 1024 * 1024)
/** More event loops than that help nobody. */
#define MAX_LOOPS 64
/** What threads get beyond the grace before they are given up: a database that hangs. */
#define JOIN_MARGIN apr_time_from_sec(6)
/** How long rh_engine_stop waits for calls of rh_engine_commit to return. */
#define CALLERS_WAIT apr_time_from_msec(500)

apr_status_t rh_shared_allocator_make(apr_pool_t *pool, apr_allocator_t **allocator)
{
    apr_thread_mutex_t *mutex;
    apr_status_t status = apr_allocator_create(allocator);

    if (status != APR_SUCCESS) {
        return status;
    }
    status = apr_thread_mutex_create(&mutex, APR_THREAD_MUTEX_DEFAULT, pool);
    if (status != APR_SUCCESS) {
        apr_allocator_destroy(*allocator);
        *allocator = NULL;
        return status;
    }
    apr_allocator_mutex_set(*allocator, mutex);
    apr_allocator_max_free_set(*allocator, SHARED_MAX_FREE);
    return APR_SUCCESS;
}

apr_uint32_t rh_random_next(apr_uint32_t *state)
{
    apr_uint32_t x = *state;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

static apr_uint32_t random_seed(void)
{
    apr_uint32_t seed = 0;

    if (apr_generate_random_bytes((unsigned char *)&seed, sizeof(seed)) != APR_SUCCESS) {
        seed = (apr_uint32_t)apr_time_now();
    }
    return seed ? seed : 1;
}

static apr_int64_t lease_token(void)
{
    apr_uint64_t token = 0;

    if (apr_generate_random_bytes((unsigned char *)&token, sizeof(token)) != APR_SUCCESS) {
        token = (apr_uint64_t)apr_time_now();
    }
    token &= APR_UINT64_C(0x7fffffffffffffff);
    return token ? (apr_int64_t)token : 1;
}

/* ---- what is shared by the threads ---- */

int rh_engine_reserve(rh_engine_t *engine, int wanted)
{
    int jobs = rh_atomic_get(engine->jobs), got;

    do {
        got = engine->capacity - jobs < wanted ? engine->capacity - jobs : wanted;
        if (got <= 0) {
            return 0;
        }
    } while (!__atomic_compare_exchange_n(&engine->jobs, &jobs, jobs + got, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST));
    return got;
}

void rh_engine_jobs_gone(rh_engine_t *engine, int count)
{
    rh_atomic_add(engine->jobs, -count);
}

void rh_engine_hand_over(rh_dispatcher_t *dispatcher, apr_array_header_t *jobs, bool handed)
{
    rh_engine_t *engine = dispatcher->engine;
    const rh_site_t *site = dispatcher->site;
    struct rh_work_head_t heads[MAX_LOOPS];
    apr_time_t now = apr_time_now();
    int i;

    for (i = 0; i < engine->loop_count; i++) {
        APR_RING_INIT(&heads[i], rh_work_t, link);
    }
    rh_metrics_move(site->metrics, RH_GAUGE_QUEUED, jobs->nelts);
    for (i = 0; i < jobs->nelts; i++) {
        rh_job_t *job = APR_ARRAY_IDX(jobs, i, rh_job_t *);
        rh_work_t *work = apr_pcalloc(job->pool, sizeof(*work));
        apr_ssize_t len = APR_HASH_KEY_STRING;
        unsigned int hash = apr_hashfunc_default(job->subscription_id, &len);

        APR_RING_ELEM_INIT(work, link);
        work->job = job;
        work->handed = handed;
        work->metrics = site->metrics;
        if (handed && job->due_at == 0) {
            job->due_at = now;
        }
        work->concurrency = site->endpoint_concurrency > 0 ? site->endpoint_concurrency : 1;
        work->per_host = site->host_concurrency;
        work->start_by = job->lease_until - site->timeout - RH_LEASE_SPARE;
        work->site = dispatcher;
        APR_RING_INSERT_TAIL(&heads[hash % engine->loop_count], work, rh_work_t, link);
    }
    apr_array_clear(jobs);
    for (i = 0; i < engine->loop_count; i++) {
        if (!APR_RING_EMPTY(&heads[i], rh_work_t, link)) {
            rh_loop_push(&engine->loops[i], &heads[i]);
        }
    }
}

void rh_engine_wake_loops(rh_engine_t *engine)
{
    int i;

    for (i = 0; i < engine->loop_count; i++) {
        engine->loops[i].transport->wakeup(engine->loops[i].transport);
    }
}

void rh_engine_wake_dispatchers(rh_engine_t *engine)
{
    int i;

    for (i = 0; i < engine->site_count; i++) {
        apr_thread_cond_signal(engine->dispatchers[i].cond);
    }
}

void rh_engine_store_is(rh_dispatcher_t *dispatcher, int who, apr_status_t status)
{
    int *down = &dispatcher->engine->down[dispatcher->index], before;

    if (status == APR_SUCCESS) {
        if ((rh_atomic_get(*down) & who) &&
            __atomic_fetch_and(down, ~who, __ATOMIC_SEQ_CST) == who) {
            rh_metrics_move(dispatcher->site->metrics, RH_GAUGE_DOWN, -1);
            rh_log(dispatcher->site->log, RH_LOG_NOTICE, APR_SUCCESS, "RH0308",
                   "the database of %s answers again", dispatcher->site->name);
        }
        return;
    }
    rh_atomic_set(dispatcher->spare_until, apr_time_now() + RH_SPARE_LEASES);
    before = __atomic_fetch_or(down, who, __ATOMIC_SEQ_CST);
    if (before == 0) {
        rh_metrics_move(dispatcher->site->metrics, RH_GAUGE_DOWN, 1);
        rh_log(dispatcher->site->log, RH_LOG_ERR, status, "RH0309",
               "the database of %s can't be reached; trying again until it answers",
               dispatcher->site->name);
    }
}

bool rh_engine_overdue(rh_engine_t *engine, apr_interval_time_t extra)
{
    apr_time_t deadline = rh_atomic_get(engine->deadline);

    return deadline != 0 && apr_time_now() >= deadline + extra;
}

/* ---- threads ---- */

static void thread_ended(rh_engine_t *engine)
{
    apr_thread_mutex_lock(engine->mutex);
    engine->threads_left--;
    apr_thread_cond_signal(engine->ended);
    apr_thread_mutex_unlock(engine->mutex);
}

static void *APR_THREAD_FUNC loop_thread(apr_thread_t *thread, void *data)
{
    rh_loop_t *loop = data;
    rh_engine_t *engine = loop->engine;

    (void)thread;
    rh_loop_run(loop);
    if (rh_atomic_add(engine->loops_left, -1) == 0) {
        rh_engine_wake_dispatchers(engine);
    }
    thread_ended(engine);
    return NULL;
}

static void *APR_THREAD_FUNC dispatcher_thread(apr_thread_t *thread, void *data)
{
    rh_dispatcher_t *dispatcher = data;

    (void)thread;
    rh_dispatcher_run(dispatcher);
    thread_ended(dispatcher->engine);
    return NULL;
}

static void *APR_THREAD_FUNC intake_thread(apr_thread_t *thread, void *data)
{
    rh_writer_t *writer = data;
    rh_engine_t *engine = writer->intake->engine;

    (void)thread;
    rh_intake_run(writer);
    if (rh_atomic_add(engine->writers_left, -1) == 0) {
        rh_engine_wake_loops(engine);
    }
    thread_ended(engine);
    return NULL;
}

static apr_status_t make_loop(rh_engine_t *engine, rh_loop_t *loop, int slots)
{
    apr_status_t status;
    int i;

    loop->engine = engine;
    loop->random = random_seed();
    APR_RING_INIT(&loop->inbox, rh_work_t, link);
    status = apr_thread_mutex_create(&loop->mutex, APR_THREAD_MUTEX_DEFAULT, engine->pool);
    if (status == APR_SUCCESS) {
        status = rh_root_pool_make(&loop->pool, RH_POOL_KEEP, false);
    }
    if (status != APR_SUCCESS) {
        return status;
    }
    loop->finished = apr_pcalloc(loop->pool, engine->site_count * sizeof(*loop->finished));
    for (i = 0; i < engine->site_count; i++) {
        APR_RING_INIT(&loop->finished[i], rh_work_t, link);
    }
    loop->lines = apr_pcalloc(loop->pool, engine->site_count * sizeof(*loop->lines));
    for (i = 0; i < engine->site_count; i++) {
        if (engine->dispatchers[i].site->log_attempts) {
            loop->lines[i] = apr_pcalloc(loop->pool, sizeof(**loop->lines));
        }
    }
    loop->schedule = rh_schedule_make(loop->pool, slots, engine->capacity,
                                      engine->capacity / engine->loop_count, RH_ENDPOINTS_KEPT);
    rh_schedule_share_hosts(loop->schedule, engine->hosts, (int)(loop - engine->loops));
    return engine->config.make_transport(loop->pool, engine->config.log, engine->config.baton,
                                         &loop->transport);
}

/** A slot was given back that a loop waited for. */
static void wake_loop(void *baton, int loop)
{
    rh_engine_t *engine = baton;

    engine->loops[loop].transport->wakeup(engine->loops[loop].transport);
}

static apr_status_t make_hosts(rh_engine_t *engine)
{
    apr_status_t status = rh_root_pool_make(&engine->hosts_pool, RH_POOL_KEEP, false);

    if (status == APR_SUCCESS) {
        status = rh_hosts_make(engine->hosts_pool, wake_loop, engine, &engine->hosts);
    }
    return status;
}

static apr_status_t make_writers(rh_engine_t *engine, rh_intake_t *intake)
{
    apr_status_t status = APR_SUCCESS;
    int i;

    intake->turns = rh_turns_make(engine->pool);
    intake->writers = apr_pcalloc(engine->pool, 2 * sizeof(*intake->writers));
    for (i = 0; i < intake->writer_count && status == APR_SUCCESS; i++) {
        intake->writers[i].intake = intake;
        intake->writers[i].queue = i == 0 ? intake->site->intake_queue : intake->site->helper_queue;
        status = rh_root_pool_make(&intake->writers[i].pool, RH_POOL_KEEP, false);
    }
    return status;
}

static apr_status_t make_site(rh_engine_t *engine, const rh_site_t *site, int index)
{
    rh_dispatcher_t *dispatcher = &engine->dispatchers[index];
    rh_intake_t *intake = &engine->intakes[index];
    apr_status_t status;

    dispatcher->engine = engine;
    dispatcher->site = site;
    dispatcher->index = index;
    dispatcher->lease = lease_token();
    dispatcher->random = random_seed();
    APR_RING_INIT(&dispatcher->outcomes, rh_work_t, link);
    intake->engine = engine;
    intake->site = site;
    intake->dispatcher = dispatcher;
    if ((status = rh_root_pool_make(&dispatcher->pool, RH_POOL_KEEP, false)) != APR_SUCCESS ||
        (status = make_writers(engine, intake)) != APR_SUCCESS ||
        (status = apr_thread_mutex_create(&dispatcher->mutex, APR_THREAD_MUTEX_DEFAULT,
                                          engine->pool)) != APR_SUCCESS ||
        (status = apr_thread_cond_create(&dispatcher->cond, engine->pool)) != APR_SUCCESS ||
        (status = apr_thread_mutex_create(&intake->mutex, APR_THREAD_MUTEX_DEFAULT,
                                          engine->pool)) != APR_SUCCESS) {
        return status;
    }
    status = apr_thread_cond_create(&intake->cond, engine->pool);
    if (status == APR_SUCCESS) {
        status = rh_shared_allocator_make(engine->pool, &intake->allocator);
    }
    if (status == APR_SUCCESS && site->spool) {
        status = rh_root_pool_make(&dispatcher->spool_pool, RH_POOL_KEEP, false);
    }
    if (status == APR_SUCCESS && site->spool) {
        status = rh_spooler_make(dispatcher->spool_pool, site->spool, site->spool_owner, site->log,
                                 site->metrics, &dispatcher->spooler);
    }
    return status;
}

/** Free everything; no thread may run any more. */
static void destroy(rh_engine_t *engine)
{
    int i, j;

    rh_slot_give_back(&engine->slot);
    for (i = 0; i < engine->loop_count; i++) {
        if (engine->loops[i].schedule) {
            rh_schedule_destroy(engine->loops[i].schedule);
        }
        if (engine->loops[i].pool) {
            apr_pool_destroy(engine->loops[i].pool);
        }
    }
    if (engine->hosts_pool) {
        apr_pool_destroy(engine->hosts_pool);
    }
    for (i = 0; i < engine->site_count; i++) {
        if (engine->dispatchers[i].pool) {
            apr_pool_destroy(engine->dispatchers[i].pool);
        }
        if (engine->dispatchers[i].spool_pool) {
            apr_pool_destroy(engine->dispatchers[i].spool_pool);
        }
        for (j = 0; engine->intakes[i].writers && j < engine->intakes[i].writer_count; j++) {
            if (engine->intakes[i].writers[j].pool) {
                apr_pool_destroy(engine->intakes[i].writers[j].pool);
            }
        }
        if (engine->intakes[i].allocator) {
            apr_allocator_destroy(engine->intakes[i].allocator);
        }
    }
    apr_pool_destroy(engine->pool);
}

/**
 * Make the pool of threads. They inherit a mask that blocks every signal: httpd's handlers must
 * run in httpd's own threads, because they end in rh_engine_stop, which waits for these.
 */
static apr_status_t make_threads(rh_engine_t *engine, int count)
{
    sigset_t all, before;
    apr_status_t status;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    status = apr_thread_pool_create(&engine->threads, count, count, engine->pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

/** Start one thread's task, which is counted already in `counter` (NULL: none of its own). */
static apr_status_t run(rh_engine_t *engine, apr_thread_start_t body, void *data, int *counter)
{
    apr_status_t status =
        apr_thread_pool_push(engine->threads, body, data, APR_THREAD_TASK_PRIORITY_NORMAL, engine);

    if (status != APR_SUCCESS) {
        rh_atomic_add(*counter, -1);
        thread_ended(engine);
    }
    return status;
}

/** Start all; goes on after an error so that the counters are right for rh_engine_stop. */
static apr_status_t run_all(rh_engine_t *engine)
{
    apr_status_t status, first = APR_SUCCESS;
    int i, j;

    for (i = 0; i < engine->loop_count; i++) {
        status = run(engine, loop_thread, &engine->loops[i], &engine->loops_left);
        first = first == APR_SUCCESS ? status : first;
    }
    for (i = 0; i < engine->site_count; i++) {
        status = run(engine, dispatcher_thread, &engine->dispatchers[i], &engine->claimers_left);
        first = first == APR_SUCCESS ? status : first;
        for (j = 0; j < engine->intakes[i].writer_count; j++) {
            status =
                run(engine, intake_thread, &engine->intakes[i].writers[j], &engine->writers_left);
            first = first == APR_SUCCESS ? status : first;
        }
    }
    return first;
}

apr_status_t rh_engine_start(apr_pool_t *pool, const rh_engine_config_t *config,
                             const apr_array_header_t *sites, rh_engine_t **result)
{
    int concurrency = config->concurrency > 0 ? config->concurrency : 1;
    apr_pool_t *own;
    rh_engine_t *engine;
    apr_status_t status;
    int i;

    (void)pool;
    *result = NULL;
    status = rh_root_pool_make(&own, RH_POOL_KEEP, true);
    if (status != APR_SUCCESS) {
        return status;
    }
    engine = apr_pcalloc(own, sizeof(*engine));
    engine->pool = own;
    engine->config = *config;
    engine->capacity = 2 * concurrency;
    engine->slot = RH_NO_SLOT;
    engine->delivers = config->deliverers <= 0 || !config->slots;
    engine->site_count = sites->nelts;
    engine->loop_count = config->threads < 1 ? 1 : config->threads;
    if (engine->loop_count > MAX_LOOPS) {
        engine->loop_count = MAX_LOOPS;
    }
    if (engine->loop_count > concurrency) {
        engine->loop_count = concurrency;
    }
    engine->loops = apr_pcalloc(own, engine->loop_count * sizeof(*engine->loops));
    engine->dispatchers = apr_pcalloc(own, engine->site_count * sizeof(*engine->dispatchers));
    engine->intakes = apr_pcalloc(own, engine->site_count * sizeof(*engine->intakes));
    engine->down = apr_pcalloc(own, engine->site_count * sizeof(*engine->down));
    engine->loops_left = engine->loop_count;
    engine->claimers_left = engine->site_count;
    for (i = 0; i < engine->site_count; i++) {
        engine->intakes[i].writer_count =
            APR_ARRAY_IDX(sites, i, const rh_site_t *)->helper_queue ? 2 : 1;
        engine->writers_left += engine->intakes[i].writer_count;
    }
    engine->threads_left = engine->loop_count + engine->site_count + engine->writers_left;
    status = apr_thread_mutex_create(&engine->mutex, APR_THREAD_MUTEX_DEFAULT, own);
    if (status == APR_SUCCESS) {
        status = apr_thread_cond_create(&engine->ended, own);
    }
    if (status == APR_SUCCESS) {
        status = make_hosts(engine);
    }
    for (i = 0; i < engine->site_count && status == APR_SUCCESS; i++) {
        status = make_site(engine, APR_ARRAY_IDX(sites, i, const rh_site_t *), i);
    }
    for (i = 0; i < engine->loop_count && status == APR_SUCCESS; i++) {
        int slots = concurrency / engine->loop_count + (i < concurrency % engine->loop_count);

        status = make_loop(engine, &engine->loops[i], slots);
    }
    if (status == APR_SUCCESS) {
        status = make_threads(engine, engine->threads_left);
    }
    if (status != APR_SUCCESS) {
        destroy(engine);
        return status;
    }
    status = run_all(engine);
    if (status != APR_SUCCESS) {
        rh_engine_stop(engine, 0);
        return status;
    }
    *result = engine;
    return APR_SUCCESS;
}

/* ---- for the server layer ---- */

static int site_index(const rh_engine_t *engine, const rh_site_t *site)
{
    int i;

    for (i = 0; i < engine->site_count; i++) {
        if (engine->dispatchers[i].site == site) {
            return i;
        }
    }
    return -1;
}

apr_status_t rh_engine_commit(rh_engine_t *engine, const rh_site_t *site, rh_commit_t *items,
                              int count, apr_interval_time_t timeout, apr_pool_t *pool)
{
    int index = site_index(engine, site);
    apr_status_t status;

    if (index < 0 || count < 0) {
        return APR_EINVAL;
    }
    if (count == 0) {
        return APR_SUCCESS;
    }
    rh_atomic_add(engine->callers, 1);
    status = rh_intake_commit(&engine->intakes[index], items, count, timeout, pool);
    rh_atomic_add(engine->callers, -1);
    return status;
}

void rh_engine_wake(rh_engine_t *engine, const rh_site_t *site)
{
    int index = site_index(engine, site);

    if (index >= 0) {
        rh_dispatcher_wake(&engine->dispatchers[index], true);
    }
}

void rh_engine_stats(const rh_engine_t *engine, rh_engine_stats_t *stats)
{
    int jobs = rh_atomic_get(engine->jobs);

    stats->in_flight = __atomic_load_n(&engine->counters.in_flight, __ATOMIC_RELAXED);
    stats->queued = jobs > (int)stats->in_flight ? jobs - stats->in_flight : 0;
    stats->commits = __atomic_load_n(&engine->counters.commits, __ATOMIC_RELAXED);
    stats->committed_events = __atomic_load_n(&engine->counters.committed_events, __ATOMIC_RELAXED);
    stats->attempts = __atomic_load_n(&engine->counters.attempts, __ATOMIC_RELAXED);
    stats->delivered = __atomic_load_n(&engine->counters.delivered, __ATOMIC_RELAXED);
    stats->failed = __atomic_load_n(&engine->counters.failed, __ATOMIC_RELAXED);
}

void rh_engine_stopping(rh_engine_t *engine)
{
    rh_atomic_set(engine->stopping, 1);
    rh_engine_wake_loops(engine);
    rh_engine_wake_dispatchers(engine);
}

void rh_engine_stop(rh_engine_t *engine, apr_interval_time_t grace)
{
    apr_time_t now = apr_time_now(), until = now + grace + JOIN_MARGIN;
    int left, i;

    rh_engine_stopping(engine);
    rh_atomic_set(engine->deadline, now + grace);
    for (i = 0; i < engine->site_count; i++) {
        rh_intake_close(&engine->intakes[i]);
    }
    rh_engine_stopping(engine);
    apr_thread_mutex_lock(engine->mutex);
    while (engine->threads_left > 0 && (now = apr_time_now()) < until) {
        apr_thread_cond_timedwait(engine->ended, engine->mutex,
                                  until - now < RH_LONGEST_SLEEP ? until - now : RH_LONGEST_SLEEP);
    }
    left = engine->threads_left;
    apr_thread_mutex_unlock(engine->mutex);
    if (left > 0) {
        rh_log(engine->config.log, RH_LOG_WARN, APR_TIMEUP, "RH0310",
               "%d delivery threads did not end in time; what they hold is taken up again when "
               "its lease ends",
               left);
        return;
    }
    apr_thread_pool_destroy(engine->threads);
    until = apr_time_now() + CALLERS_WAIT;
    while (rh_atomic_get(engine->callers) > 0) {
        if (apr_time_now() >= until) {
            return; /* A call still looks at the engine: leave it to the end of the process. */
        }
        apr_sleep(apr_time_from_msec(5));
    }
    destroy(engine);
}
