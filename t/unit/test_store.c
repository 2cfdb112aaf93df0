/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The store on SQLite, and on PostgreSQL where $RH_PGSQL is the conninfo of a cluster. */
#include "store_databases.h"

#include "rh_signature.h"
#include "rh_store_open.h"
#include "rh_uuid.h"

static rh_store_t *store;
static rh_queue_t *writer, *worker;
static const char *database;

#define SEC(n) apr_time_from_sec(n)

static bool succeeded(apr_status_t status, const char *name)
{
    char text[100];

    return ok(status == APR_SUCCESS, "%s: %s%s%s", database, name, status ? ": " : "",
              status ? apr_strerror(status, text, sizeof(text)) : "");
}

static rh_subscription_t *subscribe(const char *tenant, const char *pattern, bool ordered,
                                    int rate_limit)
{
    rh_subscription_t *subscription = apr_pcalloc(pool, sizeof(*subscription));

    subscription->tenant = tenant;
    subscription->id = make_id();
    subscription->target_url = "https://example.com/in";
    subscription->events = apr_array_make(pool, 1, sizeof(const char *));
    APR_ARRAY_PUSH(subscription->events, const char *) = pattern;
    subscription->description = "a \"quoted\" one";
    subscription->headers = "{\"X-A\":\"b\"}";
    subscription->ordered = ordered;
    subscription->rate_limit = rate_limit;
    subscription->base_url = "https://api.example.com/hooks";
    rh_secret_make(pool, &subscription->secret);
    succeeded(rh_store_subscription_create(store, subscription, 100000, pool),
              "a subscription is made");
    return subscription;
}

static rh_subscription_t *reread(const rh_subscription_t *subscription)
{
    rh_subscription_t *row = NULL;

    rh_store_subscription_get(store, subscription->tenant, subscription->id, pool, &row);
    return row;
}

static rh_event_t *make_event(const char *tenant, const char *type, const char *key,
                              const char *client_id)
{
    rh_event_t *event = apr_pcalloc(pool, sizeof(*event));

    event->id = make_id();
    event->tenant = tenant;
    event->type = type;
    event->key = key;
    event->client_id = client_id;
    event->time = apr_time_now();
    event->data.data = "{\"name\":\"J\\u00f6rg \\\"x\\\"\\u0000\", \"n\": 1.50}";
    event->data.len = strlen(event->data.data);
    event->source = RH_SOURCE_CAPTURE;
    return event;
}

static rh_claim_t a_claim(int limit, apr_interval_time_t lease_for)
{
    rh_claim_t claim = {0};

    claim.limit = limit;
    claim.per_subscription = 16;
    claim.lease = 4711;
    claim.lease_for = lease_for;
    return claim;
}

/** Commit one event; its jobs and the number that waits. */
static apr_array_header_t *commit_one(const rh_event_t *event, int limit, int *waiting,
                                      rh_commit_t *item)
{
    rh_commit_t own = {0}, *items[1];
    rh_claim_t claim = a_claim(limit, SEC(30));
    apr_array_header_t *jobs = apr_array_make(pool, 4, sizeof(rh_job_t *));

    items[0] = item ? item : &own;
    items[0]->event = event;
    *waiting = 0;
    if (writer->commit(writer, items, 1, &claim, pool, jobs, waiting) != APR_SUCCESS) {
        ok(false, "%s: an event is committed", database);
    }
    return jobs;
}

static apr_array_header_t *claim_by(rh_claim_t claim, apr_interval_time_t *again)
{
    apr_array_header_t *jobs = apr_array_make(pool, 4, sizeof(rh_job_t *));

    if (worker->claim(worker, &claim, pool, jobs) != APR_SUCCESS) {
        ok(false, "%s: a claim works", database);
    }
    if (again) {
        *again = claim.again;
    }
    return jobs;
}

static apr_array_header_t *claim_jobs(int limit, apr_interval_time_t lease_for,
                                      apr_interval_time_t *again)
{
    return claim_by(a_claim(limit, lease_for), again);
}

/** How many a claim takes that leaves those alone whose lease ended. */
static int claim_sparing(void)
{
    rh_claim_t claim = a_claim(10, SEC(30));

    claim.spare_leased = true;
    return claim_by(claim, NULL)->nelts;
}

#define JOB(jobs, i) APR_ARRAY_IDX(jobs, i, rh_job_t *)

static void drop_jobs(apr_array_header_t *jobs)
{
    for (int i = 0; i < jobs->nelts; i++) {
        rh_job_destroy(JOB(jobs, i));
    }
}

static rh_settle_t outcome_of(const rh_job_t *job, rh_settle_kind_t kind, int status_code)
{
    rh_settle_t settle = {0};

    settle.kind = kind;
    settle.tenant = job->tenant;
    settle.delivery_id = job->delivery_id;
    settle.event_id = job->event.id;
    settle.subscription_id = job->subscription_id;
    settle.type = job->event.type;
    settle.lease = job->lease;
    settle.attempt.id = make_id();
    settle.attempt.number = job->attempt_count + 1;
    settle.attempt.started_at = apr_time_now();
    settle.attempt.duration = 12000;
    settle.attempt.status_code = status_code;
    settle.attempt.headers = "{\"Server\":\"x\"}";
    settle.attempt.answer = "it's \"fine\"";
    return settle;
}

static void settle_one(const rh_settle_t *settle)
{
    rh_settle_t copy = *settle, *outcomes[1] = {&copy};

    if (worker->settle(worker, outcomes, 1, pool) != APR_SUCCESS) {
        ok(false, "%s: an outcome is settled", database);
    }
}

static rh_delivery_t *delivery_of(const rh_job_t *job)
{
    rh_delivery_t *delivery = NULL;

    rh_store_delivery_get(store, job->tenant, job->delivery_id, pool, &delivery);
    return delivery;
}

static void check_state(const rh_job_t *job, rh_delivery_state_t state, const char *name)
{
    rh_delivery_t *delivery = delivery_of(job);

    is(delivery ? rh_delivery_state_name(delivery->state) : NULL, rh_delivery_state_name(state),
       apr_psprintf(pool, "%s: %s", database, name));
}

static void test_subscriptions(void)
{
    rh_subscription_t *mine = subscribe("subs", "employee.created", false, 0), *row;
    apr_array_header_t *rows;
    rh_page_t page = {10, NULL};

    row = reread(mine);
    is(row->description, mine->description, "a subscription's text is read as it was written");
    is(APR_ARRAY_IDX(row->events, 0, const char *), "employee.created",
       "its event patterns are read");
    is_int(row->created_at, mine->created_at, "its time of creation is read");
    ok(!row->old_secret && !row->state_reason, "missing values are read as null");
    ok(rh_store_subscription_get(store, "other", mine->id, pool, &row) == APR_NOTFOUND,
       "%s: another tenant does not see it", database);
    subscribe("subs", "employee.*", true, 5);
    subscribe("subs", "invoice.paid", false, 0);
    rh_store_subscription_list(store, "subs", NULL, -1, &page, pool, &rows);
    is_int(rows->nelts, 3, "a list has all subscriptions of the tenant");
    rh_store_subscription_list(store, "subs", "employee.created", 1, &page, pool, &rows);
    is_int(rows->nelts, 2, "a list by event includes subscriptions with a matching pattern");
    rh_store_subscription_list(store, "subs", NULL, 0, &page, pool, &rows);
    is_int(rows->nelts, 0, "a list of inactive subscriptions is empty");
    page.limit = 2;
    rh_store_subscription_list(store, "subs", NULL, -1, &page, pool, &rows);
    page.before = APR_ARRAY_IDX(rows, 1, rh_subscription_t *)->id;
    rh_store_subscription_list(store, "subs", NULL, -1, &page, pool, &rows);
    ok(rows->nelts == 1 && !strcmp(APR_ARRAY_IDX(rows, 0, rh_subscription_t *)->id, mine->id),
       "%s: the second page continues after the first", database);

    row = reread(mine);
    row->state = RH_SUBSCRIPTION_PAUSED;
    row->old_secret = row->secret;
    row->old_secret_until = apr_time_now() + SEC(60);
    APR_ARRAY_PUSH(row->events, const char *) = "*";
    succeeded(rh_store_subscription_update(store, row, pool), "a change is written");
    row = reread(mine);
    ok(row->revision == 2 && row->state == RH_SUBSCRIPTION_PAUSED && row->events->nelts == 2 &&
           row->old_secret,
       "%s: the change is read", database);
    mine->revision = 1;
    ok(rh_store_subscription_update(store, mine, pool) == APR_EEXIST,
       "%s: a change of an older revision is refused", database);
    ok(rh_store_subscription_delete(store, "subs", mine->id, 1, pool) == APR_EEXIST,
       "%s: a removal with an older revision is refused", database);
    succeeded(rh_store_subscription_delete(store, "subs", mine->id, 2, pool),
              "a subscription is removed");
    ok(rh_store_subscription_delete(store, "subs", mine->id, 0, pool) == APR_NOTFOUND,
       "%s: a removed subscription is not found", database);
}

static void test_hand_over(void)
{
    rh_subscription_t *one = subscribe("hand", "a.b", false, 0), *row;
    rh_event_t *event = make_event("hand", "a.b", "7", NULL), *stored = NULL;
    apr_array_header_t *jobs;
    rh_delivery_t *delivery;
    rh_settle_t settle;
    int waiting;

    subscribe("other", "*", false, 0);
    jobs = commit_one(event, 10, &waiting, NULL);
    ok(jobs->nelts == 1 && waiting == 0, "%s: a commit hands its delivery over", database);
    if (jobs->nelts != 1) {
        return;
    }
    is(JOB(jobs, 0)->target_url, one->target_url, "the job has the subscription's target");
    is(JOB(jobs, 0)->secret, one->secret, "the job has the subscription's secret");
    ok(JOB(jobs, 0)->event.data.len == event->data.len &&
           !memcmp(JOB(jobs, 0)->event.data.data, event->data.data, event->data.len),
       "%s: the job has the event's data, byte for byte", database);
    is_int(claim_jobs(10, SEC(30), NULL)->nelts, 0,
           "a delivery that was handed over is not claimed");
    rh_store_event_get(store, "hand", event->id, pool, &stored);
    ok(stored && stored->data.len == event->data.len &&
           !memcmp(stored->data.data, event->data.data, event->data.len),
       "%s: the log has the event's data, byte for byte", database);
    is(stored->key, "7", "the log has the event's key");

    settle = outcome_of(JOB(jobs, 0), RH_SETTLE_RETRY, 500);
    settle.attempt.error = "status 500";
    settle_one(&settle);
    check_state(JOB(jobs, 0), RH_DELIVERY_PENDING,
                "a delivery that is to be tried again is pending");
    row = reread(one);
    ok(row->stats.last_status_code == 500 && row->stats.pending == 1 && row->stats.failed == 0,
       "%s: the statistics contain the attempt", database);
    drop_jobs(jobs);
    jobs = claim_jobs(10, SEC(30), NULL);
    is_int(jobs->nelts, 1, "a delivery is claimed when it is due");
    is_int(JOB(jobs, 0)->tries, 1, "the job shows one earlier try");
    ok(JOB(jobs, 0)->failing_for > 0,
       "%s: the job shows how long the subscription has been failing", database);
    settle = outcome_of(JOB(jobs, 0), RH_SETTLE_DELIVERED, 204);
    settle_one(&settle);
    settle_one(&settle); /* as after a lost connection */
    delivery = delivery_of(JOB(jobs, 0));
    ok(delivery->state == RH_DELIVERY_DELIVERED && delivery->attempts->nelts == 2 &&
           delivery->attempt_count == 2,
       "%s: the delivery is delivered and has two attempts", database);
    is(APR_ARRAY_IDX(delivery->attempts, 0, rh_attempt_t *)->error, "status 500",
       "the first attempt comes first");
    is(APR_ARRAY_IDX(delivery->attempts, 1, rh_attempt_t *)->answer, "it's \"fine\"",
       "the second attempt has the response");
    row = reread(one);
    is_int(row->stats.delivered, 1, "an outcome that is settled twice counts once");
    is_int(row->stats.pending, 0, "a settled delivery is not pending");
    drop_jobs(jobs);

    jobs = commit_one(event, 10, &waiting, NULL);
    is_int(jobs->nelts + waiting, 0, "an event that is stored already is not sent again");

    jobs = commit_one(make_event("hand", "a.b", NULL, NULL), 0, &waiting, NULL);
    ok(jobs->nelts == 0 && waiting == 1, "%s: a delivery waits if the process has no capacity",
       database);
    jobs = claim_jobs(10, SEC(-1), NULL);
    is_int(jobs->nelts, 1, "a delivery that waits can be claimed");
    drop_jobs(jobs);
    is_int(claim_sparing(), 0,
           "after an outage a delivery with an expired lease is not claimed at first");
    jobs = claim_jobs(10, SEC(30), NULL);
    is_int(jobs->nelts, 1, "a delivery is claimed again after its lease has ended");
    succeeded(worker->release(worker, 4711, pool), "leases are given back");
    drop_jobs(jobs);
    jobs = claim_jobs(10, SEC(30), NULL);
    is_int(jobs->nelts, 1, "deliveries whose leases were given back can be claimed");
    settle = outcome_of(JOB(jobs, 0), RH_SETTLE_GONE, 410);
    settle.reason = "the target answered 410";
    drop_jobs(commit_one(make_event("hand", "a.b", NULL, NULL), 0, &waiting, NULL));
    settle_one(&settle);
    row = reread(one);
    is(rh_subscription_state_name(row->state), "gone",
       "a 410 response deactivates the subscription");
    is(row->state_reason, "the target answered 410",
       "the subscription has the reason of its state");
    is_int(row->stats.pending, 0, "its other deliveries are no longer pending");
    {
        rh_delivery_filter_t filter = {.subscription_id = one->id, .state = RH_DELIVERY_CANCELLED};
        rh_page_t page = {10, NULL};
        apr_array_header_t *rows;

        rh_store_delivery_list(store, "hand", &filter, &page, pool, &rows, NULL);
        is_int(rows->nelts, 1, "its other deliveries are cancelled");
    }
    drop_jobs(jobs);
}

static void test_idempotency(void)
{
    rh_commit_t first = {0}, second = {0};
    int waiting;

    subscribe("idem", "a.b", false, 0);
    drop_jobs(commit_one(make_event("idem", "a.b", NULL, "k1"), 5, &waiting, &first));
    ok(!first.duplicate && !strcmp(first.stored_id, first.event->id), "%s: a new key is stored",
       database);
    is_int(commit_one(make_event("idem", "a.b", NULL, "k1"), 5, &waiting, &second)->nelts, 0,
           "an event with a known key is not sent");
    ok(second.duplicate, "%s: an event with a known key is a duplicate", database);
    is(second.stored_id, first.event->id, "a duplicate has the id of the first event");
    {
        rh_commit_t three[3] = {{0}}, *items[3] = {&three[0], &three[1], &three[2]};
        rh_claim_t claim = a_claim(10, SEC(30));
        apr_array_header_t *jobs = apr_array_make(pool, 4, sizeof(rh_job_t *));

        three[0].event = make_event("idem", "a.b", NULL, "k2");
        three[1].event = make_event("idem", "a.b", NULL, "k2");
        three[2].event = make_event("idem2", "a.b", NULL, "k1");
        succeeded(writer->commit(writer, items, 3, &claim, pool, jobs, &waiting), "a batch");
        ok(!three[0].duplicate && three[1].duplicate && !three[2].duplicate,
           "%s: keys repeat within a batch, not across tenants", database);
        is_int(jobs->nelts, 1, "only one event per key is sent");
        drop_jobs(jobs);
    }
}

static void test_order(void)
{
    rh_subscription_t *one = subscribe("order", "*", true, 0);
    rh_event_t *events[4];
    apr_array_header_t *jobs;
    rh_settle_t settle;
    int waiting;

    for (int i = 0; i < 4; i++) {
        events[i] = make_event("order", "a.b", i < 3 ? "same" : "other", NULL);
        is_int(commit_one(events[i], 5, &waiting, NULL)->nelts, 0,
               "a commit does not hand over ordered deliveries");
    }
    for (int i = 0; i < 3; i++) {
        jobs = claim_jobs(10, SEC(30), NULL);
        is_int(jobs->nelts, i == 0 ? 2 : 1,
               "a claim takes the first delivery of each key, one at a time");
        if (i == 2) {
            settle = outcome_of(JOB(jobs, 0), RH_SETTLE_RELEASE, 0);
            settle_one(&settle);
            drop_jobs(jobs);
            drop_jobs(claim_jobs(10, SEC(-1), NULL));
            drop_jobs(commit_one(make_event("order", "a.b", "same", NULL), 5, &waiting, NULL));
            is_int(claim_sparing(), 0,
                   "a delivery that is not claimed blocks the others of its key");
            jobs = claim_jobs(10, SEC(30), NULL);
            is_int(jobs->nelts, 1, "a claim takes one delivery of a key");
        }
        is(JOB(jobs, 0)->event.id, events[i]->id, "ordered deliveries are claimed in order");
        if (i == 0) {
            drop_jobs(claim_jobs(10, SEC(30), NULL));
            settle = outcome_of(JOB(jobs, 1), RH_SETTLE_DELIVERED, 200);
            settle_one(&settle);
            settle = outcome_of(JOB(jobs, 0), RH_SETTLE_RETRY, 500);
            settle.delay = 0;
            settle_one(&settle);
            drop_jobs(jobs);
            jobs = claim_jobs(10, SEC(30), NULL);
            ok(jobs->nelts == 1 && !strcmp(JOB(jobs, 0)->event.id, events[0]->id),
               "%s: a delivery that failed stays the first of its key", database);
        }
        settle = outcome_of(JOB(jobs, 0), RH_SETTLE_DELIVERED, 200);
        settle_one(&settle);
        drop_jobs(jobs);
    }
    jobs = claim_jobs(10, SEC(30), NULL);
    is_int(jobs->nelts, 1, "the last delivery of a key is claimed");
    settle = outcome_of(JOB(jobs, 0), RH_SETTLE_DELIVERED, 200);
    settle_one(&settle);
    drop_jobs(jobs);
    is_int(reread(one)->stats.delivered, 5, "all ordered deliveries are delivered");
    is_int(claim_jobs(10, SEC(30), NULL)->nelts, 0, "no delivery is left to claim");
}

static void test_fairness(void)
{
    apr_array_header_t *jobs;
    rh_event_t *late;
    apr_interval_time_t again;
    int waiting, found = 0, limited = 0, i;

    subscribe("fair1", "*", false, 0);
    subscribe("fair2", "*", false, 0);
    subscribe("fair3", "*", false, 10);
    for (i = 0; i < 60; i++) {
        drop_jobs(commit_one(make_event("fair1", "a.b", NULL, NULL), 0, &waiting, NULL));
    }
    for (i = 0; i < 5; i++) {
        drop_jobs(commit_one(make_event("fair3", "a.b", NULL, NULL), 5, &waiting, NULL));
    }
    late = make_event("fair2", "a.b", NULL, NULL);
    drop_jobs(commit_one(late, 0, &waiting, NULL));
    jobs = claim_jobs(40, SEC(30), &again);
    for (i = 0; i < jobs->nelts; i++) {
        found += !strcmp(JOB(jobs, i)->event.id, late->id);
        limited += !strcmp(JOB(jobs, i)->tenant, "fair3");
    }
    is_int(found, 1, "one delivery does not wait for sixty of another tenant");
    is_int(limited, 1, "a rate limit of 10 per second allows one delivery at a time");
    is_int(jobs->nelts, 18, "a claim is shared between the tenants");
    ok(again > 0 && again <= 100000, "%s: a claim returns when the next delivery is due", database);
    drop_jobs(jobs);
    jobs = claim_jobs(40, SEC(30), NULL);
    for (i = limited = 0; i < jobs->nelts; i++) {
        limited += !strcmp(JOB(jobs, i)->tenant, "fair3");
    }
    is_int(limited, 0, "the rate limit holds for the next claim");
    drop_jobs(jobs);
}

static void test_again(void)
{
    rh_subscription_t *one = subscribe("again", "a.*", false, 0), *row;
    apr_array_header_t *jobs, *rows;
    const char *failed, *test;
    rh_settle_t settle;
    rh_event_t *event;
    apr_int64_t queued = -1;
    apr_time_t began = apr_time_now() - SEC(1);
    rh_page_t page = {10, NULL};
    int waiting;

    jobs = commit_one(make_event("again", "a.b", NULL, NULL), 5, &waiting, NULL);
    failed = apr_pstrdup(pool, JOB(jobs, 0)->delivery_id);
    settle = outcome_of(JOB(jobs, 0), RH_SETTLE_FAILED, 500);
    settle_one(&settle);
    check_state(JOB(jobs, 0), RH_DELIVERY_FAILED, "a delivery without further attempts has failed");
    drop_jobs(jobs);
    ok(rh_store_redeliver(store, "other", failed, pool) == APR_NOTFOUND,
       "%s: another tenant can't redeliver it", database);
    succeeded(rh_store_redeliver(store, "again", failed, pool), "its tenant redelivers it");
    jobs = claim_jobs(5, SEC(30), NULL);
    ok(jobs->nelts == 1 && JOB(jobs, 0)->attempt_count == 1 && JOB(jobs, 0)->tries == 0,
       "%s: a redelivery starts the schedule again", database);
    settle = outcome_of(JOB(jobs, 0), RH_SETTLE_FAILED, 500);
    settle_one(&settle);
    drop_jobs(jobs);
    succeeded(replay_all(store, "again", one->id, false, began, pool, &queued),
              "a replay of failed deliveries starts");
    is_int(queued, 1, "a replay queues the failed delivery");
    jobs = claim_jobs(5, SEC(30), NULL);
    is_int(jobs->nelts, 1, "a replayed delivery is due");
    settle = outcome_of(JOB(jobs, 0), RH_SETTLE_DELIVERED, 200);
    settle_one(&settle);
    drop_jobs(jobs);

    row = reread(one);
    row->state = RH_SUBSCRIPTION_PAUSED;
    rh_store_subscription_update(store, row, pool);
    jobs = commit_one(make_event("again", "a.c", NULL, NULL), 5, &waiting, NULL);
    is_int(jobs->nelts + waiting, 0, "a paused subscription gets no delivery");
    commit_one(make_event("again", "x.c", NULL, NULL), 5, &waiting, NULL);
    ok(replay_all(store, "again", one->id, true, began, pool, &queued) == APR_EEXIST,
       "%s: a replay to a paused subscription is refused", database);
    ok(rh_store_redeliver(store, "again", failed, pool) == APR_EEXIST,
       "%s: a redelivery to a paused subscription is refused", database);
    row->state = RH_SUBSCRIPTION_ACTIVE;
    rh_store_subscription_update(store, row, pool);
    succeeded(replay_all(store, "again", one->id, true, began, pool, &queued),
              "a replay of all events starts");
    is_int(queued, 2, "it queues the delivered event and the missed one");
    succeeded(replay_all(store, "again", one->id, true, began, pool, &queued),
              "a second replay of all events starts");
    is_int(queued, 0, "a second replay queues no delivery that is pending");
    jobs = claim_jobs(5, SEC(30), NULL);
    is_int(jobs->nelts, 2, "both replayed deliveries are claimed");
    drop_jobs(jobs);

    event = make_event("again", "a.b", NULL, NULL);
    event->source = RH_SOURCE_TEST;
    succeeded(rh_store_test(store, event, one->id, pool, &test), "a test event is stored");
    jobs = claim_jobs(5, SEC(30), NULL);
    ok(jobs->nelts == 1 && !strcmp(JOB(jobs, 0)->delivery_id, test),
       "%s: a test delivery is due at once", database);
    succeeded(rh_store_subscription_delete(store, "again", one->id, 0, pool),
              "a subscription with a pending delivery is removed");
    check_state(JOB(jobs, 0), RH_DELIVERY_CANCELLED,
                "removing a subscription cancels its pending deliveries");
    drop_jobs(jobs);
    rh_store_event_list(store, "again", &(rh_event_filter_t){.from = began}, &page, pool, &rows,
                        NULL);
    is_int(rows->nelts, 4, "removing a subscription keeps its events");
    rh_store_event_list(store, "again", &(rh_event_filter_t){.type = "a.b"}, &page, pool, &rows,
                        NULL);
    is_int(rows->nelts, 2, "the log lists the events of one type");
}

static void test_housekeeping(void)
{
    rh_event_t *event = make_event("keep", "a.b", NULL, NULL), *row;
    apr_array_header_t *jobs;
    int waiting;

    subscribe("keep", "*", false, 0);
    jobs = commit_one(event, 5, &waiting, NULL);
    succeeded(worker->maintain(worker, SEC(3600), pool), "housekeeping");
    succeeded(rh_store_event_get(store, "keep", event->id, pool, &row),
              "housekeeping keeps events within retention");
    if (strcmp(database, "sqlite3") == 0) {
        apr_sleep(20000);
        succeeded(worker->maintain(worker, 1000, pool), "housekeeping without retention");
        ok(rh_store_event_get(store, "keep", event->id, pool, &row) == APR_NOTFOUND,
           "%s: housekeeping removes events past retention", database);
        ok(!delivery_of(JOB(jobs, 0)), "%s: housekeeping removes deliveries past retention",
           database);
        worker->release(worker, 4711, pool);
        is_int(claim_jobs(100, SEC(30), NULL)->nelts, 0, "a removed delivery is not claimed");
    }
    drop_jobs(jobs);
}

static void run_all(const char *driver, const char *params)
{
    rh_db_source_t *source[3];
    const char *problem;

    database = driver;
    for (int i = 0; i < 3; i++) {
        if (!succeeded(rh_db_source_dedicated(pool, driver, params, &failing_log, &source[i]),
                       "a source of connections")) {
            return;
        }
    }
    ok(rh_schema_ensure(source[0], false, pool, &problem) == APR_EMISMATCH,
       "%s: a new database has no tables", database);
    if (!succeeded(rh_schema_ensure(source[0], true, pool, &problem), "the tables are made")) {
        printf("# %s\n", problem);
        return;
    }
    succeeded(rh_schema_ensure(source[1], false, pool, &problem),
              "the tables are found by another connection");
    store = rh_store_make(pool, source[0]);
    writer = rh_queue_make(pool, source[1]);
    worker = rh_queue_make(pool, source[2]);
    succeeded(rh_store_ping(store, pool, &problem), "the store answers");
    test_subscriptions();
    test_hand_over();
    test_idempotency();
    test_order();
    test_again();
    test_housekeeping();
    test_fairness();
}

int main(void)
{
    return test_databases("rh_unit", run_all);
}
