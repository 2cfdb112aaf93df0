/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_engine.h"

#include "rh_engine_test.h"
#include "rh_intake.h"
#include "rh_loop.h"
#include "rh_pool.h"

#include <apr_general.h>
#include <apr_thread_pool.h>
#include <signal.h>

/**
 * How long threads may take after the grace period before they are given up: a database may hang.
 */
#define JOIN_MARGIN apr_time_from_sec(6)
/** How long rh_engine_stop waits for calls of rh_engine_commit to return. */
#define CALLERS_WAIT apr_time_from_msec(500)

/** One site, with its writers and its dispatcher. */
typedef struct site_t {
    rh_site_parts_t parts;
    apr_pool_t *spool_pool; /**< pool of the spooler */
    rh_dispatcher_t *dispatcher;
    rh_intake_t *intake;
} site_t;

struct rh_engine_t {
    apr_pool_t *pool; /**< a pool of its own, with a mutex: made before the threads, destroyed
                           after them */
    const rh_log_t *log;
    rh_parts_t parts;
    apr_pool_t *hosts_pool;
    rh_hosts_t *hosts;
    int site_count, loop_count;
    site_t *sites;
    rh_dispatcher_t **dispatchers; /**< those of the sites */
    rh_loop_t **loops;
    apr_thread_pool_t *threads;
};

static apr_int64_t lease_token(void)
{
    apr_uint64_t token = 0;

    if (apr_generate_random_bytes((unsigned char *)&token, sizeof(token)) != APR_SUCCESS) {
        token = (apr_uint64_t)apr_time_now();
    }
    token &= APR_UINT64_C(0x7fffffffffffffff);
    return token ? (apr_int64_t)token : 1;
}

/* ---- wake-ups between the parts ---- */

static void wake_all(void *baton)
{
    rh_engine_t *engine = baton;
    int i;

    rh_inboxes_wake_all(engine->parts.inboxes);
    for (i = 0; i < engine->site_count; i++) {
        rh_dispatcher_signal(engine->dispatchers[i]);
    }
}

/** A host's slot for which a loop waited was given back. */
static void wake_loop(void *baton, int loop)
{
    rh_engine_t *engine = baton;

    rh_inboxes_wake(engine->parts.inboxes, loop);
}

/* ---- making and destroying ---- */

static apr_status_t make_site(rh_engine_t *engine, const rh_site_t *site, int index)
{
    site_t *made = &engine->sites[index];
    apr_status_t status = APR_SUCCESS;

    made->parts.all = &engine->parts;
    made->parts.site = site;
    made->parts.index = index;
    made->parts.lease = lease_token();
    made->parts.outage = rh_outage_make(engine->pool, site->name, site->log, site->metrics);
    if (site->spool) {
        status = rh_root_pool_make(&made->spool_pool, RH_POOL_KEEP, false);
        if (status == APR_SUCCESS) {
            status = rh_spooler_make(made->spool_pool, site->spool, site->spool_owner, site->log,
                                     site->metrics, &made->parts.spooler);
        }
    }
    if (status == APR_SUCCESS) {
        status = rh_dispatcher_make(engine->pool, &made->parts, &made->dispatcher);
        engine->dispatchers[index] = made->dispatcher;
    }
    if (status == APR_SUCCESS) {
        status = rh_intake_make(engine->pool, &made->parts, made->dispatcher, &made->intake);
    }
    return status;
}

static apr_status_t make_hosts(rh_engine_t *engine)
{
    apr_status_t status = rh_root_pool_make(&engine->hosts_pool, RH_POOL_KEEP, false);

    if (status == APR_SUCCESS) {
        status = rh_hosts_make(engine->hosts_pool, wake_loop, engine, &engine->hosts);
    }
    return status;
}

static apr_status_t make_loops(rh_engine_t *engine, const rh_engine_config_t *config,
                               int concurrency)
{
    apr_status_t status = APR_SUCCESS;
    int i, count = engine->loop_count;

    for (i = 0; i < count && status == APR_SUCCESS; i++) {
        rh_loop_config_t parts = {
            .parts = &engine->parts,
            .number = i,
            .slots = concurrency / count + (i < concurrency % count),
            .memory = rh_capacity_max(engine->parts.capacity) / count,
            .hosts = engine->hosts,
            .dispatchers = engine->dispatchers,
            .dispatcher_count = engine->site_count,
            .log = config->log,
            .make_transport = config->make_transport,
            .baton = config->baton,
        };

        status = rh_loop_make(&parts, &engine->loops[i]);
    }
    return status;
}

/** Free everything. No thread may be running any more. */
static void destroy(rh_engine_t *engine)
{
    int i;

    rh_duty_end(engine->parts.duty);
    for (i = 0; i < engine->loop_count; i++) {
        rh_loop_destroy(engine->loops[i]);
    }
    if (engine->hosts_pool) {
        apr_pool_destroy(engine->hosts_pool);
    }
    for (i = 0; i < engine->site_count; i++) {
        rh_intake_destroy(engine->sites[i].intake);
        rh_dispatcher_destroy(engine->sites[i].dispatcher);
        if (engine->sites[i].spool_pool) {
            apr_pool_destroy(engine->sites[i].spool_pool);
        }
    }
    apr_pool_destroy(engine->pool);
}

/** Return the number of loops to run, at most one per attempt in flight. */
static int count_loops(int threads, int concurrency)
{
    int count = threads < RH_MAX_LOOPS ? threads : RH_MAX_LOOPS;

    count = count < concurrency ? count : concurrency;
    return count > 0 ? count : 1;
}

static apr_status_t make_parts(rh_engine_t *engine, const rh_engine_config_t *config,
                               int concurrency)
{
    apr_pool_t *pool = engine->pool;
    rh_parts_t *parts = &engine->parts;
    apr_status_t status;

    parts->poll = config->poll;
    parts->capacity = rh_capacity_make(pool, 2 * concurrency);
    parts->duty = rh_duty_make(pool, config->slots, config->deliverers, config->log);
    status = rh_shutdown_make(pool, wake_all, engine, &parts->shutdown);
    if (status == APR_SUCCESS) {
        status = rh_inboxes_make(pool, engine->loop_count, &parts->inboxes);
    }
    return status == APR_SUCCESS ? make_hosts(engine) : status;
}

/* ---- threads ---- */

static void *APR_THREAD_FUNC loop_thread(apr_thread_t *thread, void *data)
{
    (void)thread;
    rh_loop_run(data);
    return NULL;
}

static void *APR_THREAD_FUNC dispatcher_thread(apr_thread_t *thread, void *data)
{
    (void)thread;
    rh_dispatcher_run(data);
    return NULL;
}

static void *APR_THREAD_FUNC writer_thread(apr_thread_t *thread, void *data)
{
    (void)thread;
    rh_writer_run(data);
    return NULL;
}

/**
 * Make the pool of threads. They inherit a mask that blocks every signal. httpd's signal handlers
 * must run in httpd's own threads, because they end in rh_engine_stop, which waits for these.
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

/**
 * Announce every thread before the first one starts, so that none sees a count of zero too soon.
 * @return their number
 */
static int expect_threads(rh_engine_t *engine)
{
    rh_shutdown_t *shutdown = engine->parts.shutdown;
    int i, writers = 0;

    for (i = 0; i < engine->site_count; i++) {
        writers += rh_intake_writer_count(engine->sites[i].intake);
    }
    rh_shutdown_expect(shutdown, RH_ROLE_LOOP, engine->loop_count);
    rh_shutdown_expect(shutdown, RH_ROLE_CLAIM, engine->site_count);
    rh_shutdown_expect(shutdown, RH_ROLE_WRITE, writers);
    return engine->loop_count + engine->site_count + writers;
}

/** A thread's task, and what is called when it ends. */
typedef struct task_t {
    apr_thread_start_t body;
    void *data;
    rh_shutdown_t *shutdown;
} task_t;

static void *APR_THREAD_FUNC run_task(apr_thread_t *thread, void *data)
{
    const task_t *task = data;

    task->body(thread, task->data);
    rh_shutdown_thread_ended(task->shutdown);
    return NULL;
}

/** Start one announced thread. Keeps the first error. */
static void start_thread(rh_engine_t *engine, apr_thread_start_t body, void *data, rh_role_t role,
                         apr_status_t *first)
{
    task_t *task = apr_palloc(engine->pool, sizeof(*task));
    apr_status_t status;

    *task = (task_t){body, data, engine->parts.shutdown};
    status = apr_thread_pool_push(engine->threads, run_task, task, APR_THREAD_TASK_PRIORITY_NORMAL,
                                  engine);
    if (status != APR_SUCCESS) {
        rh_shutdown_leave(engine->parts.shutdown, role);
        rh_shutdown_thread_ended(engine->parts.shutdown);
        *first = *first == APR_SUCCESS ? status : *first;
    }
}

/** Start all threads. Continues after an error, so that the counts are right for rh_engine_stop. */
static apr_status_t start_all(rh_engine_t *engine)
{
    apr_status_t first = APR_SUCCESS;
    int i, j;

    for (i = 0; i < engine->loop_count; i++) {
        start_thread(engine, loop_thread, engine->loops[i], RH_ROLE_LOOP, &first);
    }
    for (i = 0; i < engine->site_count; i++) {
        site_t *site = &engine->sites[i];

        start_thread(engine, dispatcher_thread, site->dispatcher, RH_ROLE_CLAIM, &first);
        for (j = 0; j < rh_intake_writer_count(site->intake); j++) {
            start_thread(engine, writer_thread, rh_intake_writer(site->intake, j), RH_ROLE_WRITE,
                         &first);
        }
    }
    return first;
}

apr_status_t rh_engine_start(const rh_engine_config_t *config, const apr_array_header_t *sites,
                             rh_engine_t **result)
{
    int concurrency = config->concurrency > 0 ? config->concurrency : 1, i;
    rh_engine_t *engine;
    apr_pool_t *pool;
    apr_status_t status = rh_root_pool_make(&pool, RH_POOL_KEEP, true);

    *result = NULL;
    if (status != APR_SUCCESS) {
        return status;
    }
    engine = apr_pcalloc(pool, sizeof(*engine));
    engine->pool = pool;
    engine->log = config->log;
    engine->site_count = sites->nelts;
    engine->loop_count = count_loops(config->threads, concurrency);
    engine->sites = apr_pcalloc(pool, engine->site_count * sizeof(*engine->sites));
    engine->dispatchers = apr_pcalloc(pool, engine->site_count * sizeof(*engine->dispatchers));
    engine->loops = apr_pcalloc(pool, engine->loop_count * sizeof(*engine->loops));
    status = make_parts(engine, config, concurrency);
    for (i = 0; i < engine->site_count && status == APR_SUCCESS; i++) {
        status = make_site(engine, APR_ARRAY_IDX(sites, i, const rh_site_t *), i);
    }
    if (status == APR_SUCCESS) {
        status = make_loops(engine, config, concurrency);
    }
    if (status == APR_SUCCESS) {
        status = make_threads(engine, expect_threads(engine));
    }
    if (status != APR_SUCCESS) {
        destroy(engine);
        return status;
    }
    status = start_all(engine);
    if (status != APR_SUCCESS) {
        rh_engine_stop(engine, 0);
        return status;
    }
    *result = engine;
    return APR_SUCCESS;
}

/* ---- for the server layer ---- */

static site_t *find_site(const rh_engine_t *engine, const rh_site_t *site)
{
    int i;

    for (i = 0; i < engine->site_count; i++) {
        if (engine->sites[i].parts.site == site) {
            return &engine->sites[i];
        }
    }
    return NULL;
}

apr_status_t rh_engine_commit(rh_engine_t *engine, const rh_site_t *site, rh_commit_t *items,
                              int count, apr_interval_time_t timeout, apr_pool_t *pool)
{
    site_t *found = find_site(engine, site);
    apr_status_t status;

    if (!found || count < 0) {
        return APR_EINVAL;
    }
    if (count == 0) {
        return APR_SUCCESS;
    }
    rh_shutdown_enter(engine->parts.shutdown);
    status = rh_intake_commit(found->intake, items, count, timeout, pool);
    rh_shutdown_exit(engine->parts.shutdown);
    return status;
}

void rh_engine_wake(rh_engine_t *engine, const rh_site_t *site)
{
    site_t *found = find_site(engine, site);

    if (found) {
        rh_dispatcher_wake(found->dispatcher, true);
    }
}

bool rh_engine_delivers(const rh_engine_t *engine)
{
    return rh_duty_has(engine->parts.duty);
}

int rh_engine_callers(const rh_engine_t *engine)
{
    return rh_shutdown_callers(engine->parts.shutdown);
}

int rh_engine_queued(rh_engine_t *engine)
{
    return rh_intake_queued(engine->sites[0].intake);
}

void rh_engine_stopping(rh_engine_t *engine)
{
    rh_shutdown_begin(engine->parts.shutdown);
}

void rh_engine_stop(rh_engine_t *engine, apr_interval_time_t grace)
{
    rh_shutdown_t *shutdown = engine->parts.shutdown;
    apr_time_t now = apr_time_now(), until = now + grace + JOIN_MARGIN;
    int left, i;

    rh_shutdown_begin(shutdown);
    rh_shutdown_set_deadline(shutdown, now + grace);
    for (i = 0; i < engine->site_count; i++) {
        rh_intake_close(engine->sites[i].intake);
    }
    rh_shutdown_begin(shutdown); /* Wake again, now that there is a deadline. */
    left = rh_shutdown_wait(shutdown, until);
    if (left > 0) {
        rh_log(engine->log, RH_LOG_WARN, APR_TIMEUP, "RH0310",
               "%d delivery threads did not end in time; what they hold is taken up again when "
               "its lease ends",
               left);
        return;
    }
    apr_thread_pool_destroy(engine->threads);
    until = apr_time_now() + CALLERS_WAIT;
    while (rh_shutdown_callers(shutdown) > 0) {
        if (apr_time_now() >= until) {
            return; /* A call still uses the engine, so keep it until the process ends. */
        }
        apr_sleep(apr_time_from_msec(5));
    }
    destroy(engine);
}
