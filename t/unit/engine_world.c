/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "engine_world.h"

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

int event_number(const char *id)
{
    return atoi(id + 24);
}

void store_event(world_t *world, rh_commit_t *item, const rh_claim_t *claim,
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

apr_status_t world_commit(rh_queue_t *self, rh_commit_t **items, int count, const rh_claim_t *claim,
                          apr_pool_t *scratch, apr_array_header_t *jobs, int *waiting)
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

/** Claim the due deliveries of one subscription. */
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

apr_status_t world_claim(rh_queue_t *self, rh_claim_t *claim, apr_pool_t *scratch,
                         apr_array_header_t *jobs)
{
    world_t *world = ((front_t *)self)->world;
    apr_status_t status = APR_SUCCESS;

    (void)scratch;
    pthread_mutex_lock(&world->mutex);
    world->claims_begun++;
    while (world->hold_claims) {
        pthread_cond_wait(&world->changed, &world->mutex);
    }
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

void settle_one(world_t *world, const rh_settle_t *outcome)
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

apr_status_t world_settle(rh_queue_t *self, rh_settle_t *const *outcomes, int count,
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

apr_status_t world_maintain(rh_queue_t *self, apr_interval_time_t retention, apr_pool_t *scratch)
{
    world_t *world = ((front_t *)self)->world;

    (void)retention;
    (void)scratch;
    pthread_mutex_lock(&world->mutex);
    world->maintained++;
    pthread_mutex_unlock(&world->mutex);
    return APR_SUCCESS;
}

apr_status_t world_backlog(rh_queue_t *self, apr_pool_t *scratch, rh_backlog_t *backlog)
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

apr_status_t world_release(rh_queue_t *self, apr_int64_t lease, apr_pool_t *scratch)
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

void world_log(void *baton, rh_log_level_t level, apr_status_t status, const char *tag,
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

int logged(world_t *world, const char *tag)
{
    int count = 0;

    pthread_mutex_lock(&world->mutex);
    for (int i = 0; i < world->tag_count; i++) {
        count += strcmp(world->tags[i], tag) == 0;
    }
    pthread_mutex_unlock(&world->mutex);
    return count;
}
