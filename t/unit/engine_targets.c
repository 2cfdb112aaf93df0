/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "engine_targets.h"

static int last_event; /**< number of the event made last, atomic */

static subscription_t *target_of(world_t *world, const rh_exchange_t *exchange)
{
    return &world->subscriptions[atoi(exchange->reuse_key + 4)];
}

static void targets_send(rh_transport_t *self, rh_exchange_t *exchange)
{
    targets_t *targets = (targets_t *)self;
    world_t *world = targets->world;
    flight_t *flight = calloc(1, sizeof(*flight));
    subscription_t *target;
    int event = event_number(apr_table_get(exchange->headers, "webhook-id"));

    flight->exchange = exchange;
    flight->sent_at = exchange->started_at = apr_time_now();
    flight->next = targets->flights;
    targets->flights = flight;
    pthread_mutex_lock(&world->mutex);
    target = target_of(world, exchange);
    target->attempts++;
    target->in_flight++;
    if (target->in_flight > target->most_in_flight) {
        target->most_in_flight = target->in_flight;
    }
    if (++world->in_flight > world->most_in_flight) {
        world->most_in_flight = world->in_flight;
    }
    for (int i = 0; i < world->count_of[event]; i++) {
        delivery_t *delivery = &world->deliveries[world->first_of[event] + i];

        delivery->sent += &world->subscriptions[delivery->subscription] == target;
    }
    pthread_mutex_unlock(&world->mutex);
}

/** Check whether a target has responded by now; fill in its response. */
static bool has_answered(world_t *world, flight_t *flight, bool cancel)
{
    rh_exchange_t *exchange = flight->exchange;
    subscription_t *target;
    bool answered;

    pthread_mutex_lock(&world->mutex);
    target = target_of(world, exchange);
    exchange->duration = apr_time_now() - flight->sent_at;
    answered = cancel || (!target->hangs && exchange->duration >= target->delay);
    if (answered) {
        target->in_flight--;
        world->in_flight--;
        exchange->result = cancel              ? RH_EXCHANGE_CANCELLED
                           : target->code == 0 ? RH_EXCHANGE_CONNECT
                                               : RH_EXCHANGE_OK;
        exchange->error = target->code == 0 ? "connect: connection refused" : NULL;
    }
    if (answered && exchange->result == RH_EXCHANGE_OK) {
        exchange->status_code = target->fail_first > 0 ? 500 : target->code;
        target->fail_first -= target->fail_first > 0;
        exchange->answer_headers = apr_table_make(exchange->pool, 1);
        apr_table_setn(exchange->answer_headers, "Server", "test");
        exchange->answer.data = target->answer;
        exchange->answer.len = target->answer ? strlen(target->answer) : 0;
    }
    pthread_mutex_unlock(&world->mutex);
    return answered;
}

static void let_answer(targets_t *targets, bool cancel)
{
    flight_t **link = &targets->flights, *done = NULL;

    while (*link) {
        flight_t *flight = *link;

        if (has_answered(targets->world, flight, cancel)) {
            *link = flight->next;
            flight->next = done;
            done = flight;
        } else {
            link = &flight->next;
        }
    }
    while (done) {
        flight_t *flight = done;
        rh_exchange_t *exchange = flight->exchange;

        done = flight->next;
        free(flight);
        exchange->done(exchange, exchange->baton);
    }
}

static apr_status_t targets_poll(rh_transport_t *self, apr_interval_time_t timeout)
{
    targets_t *targets = (targets_t *)self;
    apr_interval_time_t longest = targets->flights ? 1000 : MSEC(50);
    apr_time_t until = apr_time_now() + (timeout < longest ? timeout : longest);
    struct timespec at = {until / APR_USEC_PER_SEC, until % APR_USEC_PER_SEC * 1000};

    pthread_mutex_lock(&targets->mutex);
    while (!targets->woken && apr_time_now() < until) {
        pthread_cond_timedwait(&targets->cond, &targets->mutex, &at);
    }
    targets->woken = false;
    pthread_mutex_unlock(&targets->mutex);
    let_answer(targets, false);
    return APR_SUCCESS;
}

static void targets_wakeup(rh_transport_t *self)
{
    targets_t *targets = (targets_t *)self;

    pthread_mutex_lock(&targets->mutex);
    targets->woken = true;
    pthread_cond_signal(&targets->cond);
    pthread_mutex_unlock(&targets->mutex);
}

static void targets_cancel(rh_transport_t *self)
{
    let_answer((targets_t *)self, true);
}

static apr_status_t make_targets(apr_pool_t *pool, const rh_log_t *log, void *baton,
                                 rh_transport_t **transport)
{
    targets_t *targets = apr_pcalloc(pool, sizeof(*targets));

    (void)log;
    targets->transport.send = targets_send;
    targets->transport.poll = targets_poll;
    targets->transport.wakeup = targets_wakeup;
    targets->transport.cancel_all = targets_cancel;
    targets->world = baton;
    pthread_mutex_init(&targets->mutex, NULL);
    pthread_cond_init(&targets->cond, NULL);
    *transport = &targets->transport;
    return APR_SUCCESS;
}

/* ---- the life of a test ---- */

static const apr_interval_time_t world_waits[] = {MSEC(20), MSEC(20), MSEC(20)};

static const int world_gone[] = {410, 409};

world_t *make_world(int subscriptions)
{
    world_t *world = calloc(1, sizeof(*world));

    pthread_mutex_init(&world->mutex, NULL);
    pthread_cond_init(&world->changed, NULL);
    world->intake.queue = (rh_queue_t){.commit = world_commit,
                                       .claim = world_claim,
                                       .settle = world_settle,
                                       .maintain = world_maintain,
                                       .backlog = world_backlog,
                                       .release = world_release};
    world->dispatch.queue = world->intake.queue;
    world->intake.world = world->dispatch.world = world;
    world->subscription_count = subscriptions;
    for (int i = 0; i < subscriptions; i++) {
        snprintf(world->subscriptions[i].id, sizeof(world->subscriptions[i].id), "sub-%d", i);
        world->subscriptions[i].code = 200;
    }
    world->log = (rh_log_t){world_log, world, RH_LOG_DEBUG};
    world->site.name = "site";
    world->site.log = &world->log;
    world->site.intake_queue = &world->intake.queue;
    world->site.dispatch_queue = &world->dispatch.queue;
    world->site.retry = (rh_retry_policy_t){world_waits, 3, world_gone, 2, RH_NEVER};
    world->site.timeout = apr_time_from_sec(30);
    world->site.connect_timeout = apr_time_from_sec(5);
    world->site.endpoint_concurrency = 4;
    world->site.retention = apr_time_from_sec(3600);
    world->config.threads = 2;
    world->config.concurrency = 32;
    world->config.poll = MSEC(100);
    world->config.make_transport = make_targets;
    world->config.baton = world;
    world->config.log = &world->log;
    apr_pool_create_unmanaged_ex(&world->pool, NULL, NULL);
    return world;
}

void start_engine(world_t *world)
{
    apr_array_header_t *sites = apr_array_make(world->pool, 1, sizeof(rh_site_t *));

    APR_ARRAY_PUSH(sites, rh_site_t *) = &world->site;
    if (rh_engine_start(&world->config, sites, &world->engine) != APR_SUCCESS) {
        ok(false, "an engine starts");
        exit(1);
    }
}

void end_world(world_t *world)
{
    apr_pool_destroy(world->pool);
    free(world->deliveries);
    free(world);
}

rh_event_t *make_event(apr_pool_t *pool, const char *key)
{
    rh_event_t *event = apr_pcalloc(pool, sizeof(*event));

    event->id = apr_psprintf(pool, "00000000-0000-7000-8000-%012d",
                             __atomic_add_fetch(&last_event, 1, __ATOMIC_RELAXED) % MAX_EVENTS);
    event->tenant = "acme";
    event->type = "employee.created";
    event->key = key;
    event->time = apr_time_now();
    event->data.data = "{}";
    event->data.len = 2;
    return event;
}

apr_status_t commit_events(world_t *world, const char *key, int count, apr_interval_time_t timeout)
{
    rh_commit_t *items;
    apr_status_t status;
    apr_pool_t *pool;

    apr_pool_create_unmanaged_ex(&pool, NULL, NULL);
    items = apr_pcalloc(pool, count * sizeof(*items));
    for (int i = 0; i < count; i++) {
        items[i].event = make_event(pool, key);
    }
    status = rh_engine_commit(world->engine, &world->site, items, count, timeout, pool);
    for (int i = 0; i < count && status == APR_SUCCESS; i++) {
        status = items[i].status;
    }
    apr_pool_destroy(pool);
    return status;
}

void store_events(world_t *world, const char *key, int count)
{
    apr_pool_t *pool;

    apr_pool_create_unmanaged_ex(&pool, NULL, NULL);
    pthread_mutex_lock(&world->mutex);
    for (int i = 0; i < count; i++) {
        rh_commit_t item = {0};
        int waiting = 0;

        item.event = make_event(pool, key);
        store_event(world, &item, NULL, NULL, &waiting);
    }
    pthread_mutex_unlock(&world->mutex);
    apr_pool_destroy(pool);
}

tally_t count_up(world_t *world)
{
    tally_t tally = {0};

    pthread_mutex_lock(&world->mutex);
    for (int i = 0; i < world->delivery_count; i++) {
        const delivery_t *delivery = &world->deliveries[i];
        bool pending = delivery->state == RH_DELIVERY_PENDING;

        tally.pending += pending;
        tally.delivered += delivery->state == RH_DELIVERY_DELIVERED;
        tally.failed += delivery->state == RH_DELIVERY_FAILED;
        tally.leased += pending && delivery->lease != 0;
        tally.sent_unheld += pending && delivery->sent > 0;
        tally.attempts += delivery->sent;
        if (delivery->sent > tally.sent_most) {
            tally.sent_most = delivery->sent;
        }
    }
    pthread_mutex_unlock(&world->mutex);
    return tally;
}

bool wait_for(world_t *world, const int *number, int least)
{
    apr_time_t until = apr_time_now() + MAX_WAIT;
    int now;

    for (;;) {
        pthread_mutex_lock(&world->mutex);
        now = *number;
        pthread_mutex_unlock(&world->mutex);
        if (now >= least || apr_time_now() >= until) {
            return now >= least;
        }
        usleep(2000);
    }
}

bool wait_delivered(world_t *world, int count)
{
    apr_time_t until = apr_time_now() + MAX_WAIT;

    while (count_up(world).delivered < count && apr_time_now() < until) {
        usleep(5000);
    }
    return count_up(world).delivered >= count;
}

void set_down(world_t *world, int what)
{
    pthread_mutex_lock(&world->mutex);
    world->down = what;
    pthread_mutex_unlock(&world->mutex);
}

static void hold(world_t *world, bool *what, bool held)
{
    pthread_mutex_lock(&world->mutex);
    *what = held;
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->mutex);
}

void hold_commits(world_t *world, bool held)
{
    hold(world, &world->hold_commits, held);
}

void hold_claims(world_t *world, bool held)
{
    hold(world, &world->hold_claims, held);
}

void let_hang(world_t *world, int subscription, bool hang)
{
    pthread_mutex_lock(&world->mutex);
    world->subscriptions[subscription].hangs = hang;
    pthread_mutex_unlock(&world->mutex);
}

int get(world_t *world, const int *number)
{
    int value;

    pthread_mutex_lock(&world->mutex);
    value = *number;
    pthread_mutex_unlock(&world->mutex);
    return value;
}
