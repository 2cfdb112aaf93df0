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
    is(row->description, mine->description, "text comes back as it went");
    is(APR_ARRAY_IDX(row->events, 0, const char *), "employee.created", "so do its events");
    is_int(row->created_at, mine->created_at, "and its time");
    ok(!row->old_secret && !row->state_reason, "what is null is null");
    ok(rh_store_subscription_get(store, "other", mine->id, pool, &row) == APR_NOTFOUND,
       "%s: another tenant does not see it", database);
    subscribe("subs", "employee.*", true, 5);
    subscribe("subs", "invoice.paid", false, 0);
    rh_store_subscription_list(store, "subs", NULL, -1, &page, pool, &rows);
    is_int(rows->nelts, 3, "all are listed");
    rh_store_subscription_list(store, "subs", "employee.created", 1, &page, pool, &rows);
    is_int(rows->nelts, 2, "by event: patterns count");
    rh_store_subscription_list(store, "subs", NULL, 0, &page, pool, &rows);
    is_int(rows->nelts, 0, "none is inactive");
    page.limit = 2;
    rh_store_subscription_list(store, "subs", NULL, -1, &page, pool, &rows);
    page.before = APR_ARRAY_IDX(rows, 1, rh_subscription_t *)->id;
    rh_store_subscription_list(store, "subs", NULL, -1, &page, pool, &rows);
    ok(rows->nelts == 1 && !strcmp(APR_ARRAY_IDX(rows, 0, rh_subscription_t *)->id, mine->id),
       "%s: the second page goes on behind the first", database);

    row = reread(mine);
    row->state = RH_SUBSCRIPTION_PAUSED;
    row->old_secret = row->secret;
    row->old_secret_until = apr_time_now() + SEC(60);
    APR_ARRAY_PUSH(row->events, const char *) = "*";
    succeeded(rh_store_subscription_update(store, row, pool), "a change is written");
    row = reread(mine);
    ok(row->revision == 2 && row->state == RH_SUBSCRIPTION_PAUSED && row->events->nelts == 2 &&
           row->old_secret,
       "%s: and read", database);
    mine->revision = 1;
    ok(rh_store_subscription_update(store, mine, pool) == APR_EEXIST,
       "%s: a change of an older revision is refused", database);
    ok(rh_store_subscription_delete(store, "subs", mine->id, 1, pool) == APR_EEXIST,
       "%s: so is its removal", database);
    succeeded(rh_store_subscription_delete(store, "subs", mine->id, 2, pool), "removal");
    ok(rh_store_subscription_delete(store, "subs", mine->id, 0, pool) == APR_NOTFOUND,
       "%s: removed is removed", database);
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
    is(JOB(jobs, 0)->target_url, one->target_url, "with its target");
    is(JOB(jobs, 0)->secret, one->secret, "and its secret");
    ok(JOB(jobs, 0)->event.data.len == event->data.len &&
           !memcmp(JOB(jobs, 0)->event.data.data, event->data.data, event->data.len),
       "%s: the data is the same, byte for byte", database);
    is_int(claim_jobs(10, SEC(30), NULL)->nelts, 0, "what is handed over can't be claimed");
    rh_store_event_get(store, "hand", event->id, pool, &stored);
    ok(stored && stored->data.len == event->data.len &&
           !memcmp(stored->data.data, event->data.data, event->data.len),
       "%s: the log has it, byte for byte", database);
    is(stored->key, "7", "with its key");

    settle = outcome_of(JOB(jobs, 0), RH_SETTLE_RETRY, 500);
    settle.attempt.error = "status 500";
    settle_one(&settle);
    check_state(JOB(jobs, 0), RH_DELIVERY_PENDING, "to be tried again is pending");
    row = reread(one);
    ok(row->stats.last_status_code == 500 && row->stats.pending == 1 && row->stats.failed == 0,
       "%s: the statistics know of the attempt", database);
    drop_jobs(jobs);
    jobs = claim_jobs(10, SEC(30), NULL);
    is_int(jobs->nelts, 1, "it is claimed when it is due");
    is_int(JOB(jobs, 0)->tries, 1, "after one try");
    ok(JOB(jobs, 0)->failing_for > 0, "%s: failing since then", database);
    settle = outcome_of(JOB(jobs, 0), RH_SETTLE_DELIVERED, 204);
    settle_one(&settle);
    settle_one(&settle); /* as after a lost connection */
    delivery = delivery_of(JOB(jobs, 0));
    ok(delivery->state == RH_DELIVERY_DELIVERED && delivery->attempts->nelts == 2 &&
           delivery->attempt_count == 2,
       "%s: delivered, with two attempts", database);
    is(APR_ARRAY_IDX(delivery->attempts, 0, rh_attempt_t *)->error, "status 500", "in order");
    is(APR_ARRAY_IDX(delivery->attempts, 1, rh_attempt_t *)->answer, "it's \"fine\"",
       "with the answer");
    row = reread(one);
    is_int(row->stats.delivered, 1, "settled twice counts once");
    is_int(row->stats.pending, 0, "and nothing is pending");
    drop_jobs(jobs);

    jobs = commit_one(event, 10, &waiting, NULL);
    is_int(jobs->nelts + waiting, 0, "an event that is there already is not sent again");

    jobs = commit_one(make_event("hand", "a.b", NULL, NULL), 0, &waiting, NULL);
    ok(jobs->nelts == 0 && waiting == 1, "%s: without room it waits", database);
    jobs = claim_jobs(10, SEC(-1), NULL);
    is_int(jobs->nelts, 1, "and can be claimed");
    drop_jobs(jobs);
    is_int(claim_sparing(), 0, "after an outage one whose lease has ended is left alone at first");
    jobs = claim_jobs(10, SEC(30), NULL);
    is_int(jobs->nelts, 1, "and claimed again when the lease has ended");
    succeeded(worker->release(worker, 4711, pool), "leases are given back");
    drop_jobs(jobs);
    jobs = claim_jobs(10, SEC(30), NULL);
    is_int(jobs->nelts, 1, "then others may claim");
    settle = outcome_of(JOB(jobs, 0), RH_SETTLE_GONE, 410);
    settle.reason = "the target answered 410";
    drop_jobs(commit_one(make_event("hand", "a.b", NULL, NULL), 0, &waiting, NULL));
    settle_one(&settle);
    row = reread(one);
    is(rh_subscription_state_name(row->state), "gone", "Gone deactivates");
    is(row->state_reason, "the target answered 410", "with the reason");
    is_int(row->stats.pending, 0, "the others are pending no more");
    {
        rh_delivery_filter_t filter = {.subscription_id = one->id, .state = RH_DELIVERY_CANCELLED};
        rh_page_t page = {10, NULL};
        apr_array_header_t *rows;

        rh_store_delivery_list(store, "hand", &filter, &page, pool, &rows, NULL);
        is_int(rows->nelts, 1, "but cancelled");
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
           "a seen one is not sent");
    ok(second.duplicate, "%s: it is a duplicate", database);
    is(second.stored_id, first.event->id, "of the first");
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
        is_int(jobs->nelts, 1, "one of them is sent");
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
        is_int(commit_one(events[i], 5, &waiting, NULL)->nelts, 0, "ordered ones wait for a claim");
    }
    for (int i = 0; i < 3; i++) {
        jobs = claim_jobs(10, SEC(30), NULL);
        is_int(jobs->nelts, i == 0 ? 2 : 1, "the first of each key, and one at a time");
        if (i == 2) {
            settle = outcome_of(JOB(jobs, 0), RH_SETTLE_RELEASE, 0);
            settle_one(&settle);
            drop_jobs(jobs);
            drop_jobs(claim_jobs(10, SEC(-1), NULL));
            drop_jobs(commit_one(make_event("order", "a.b", "same", NULL), 5, &waiting, NULL));
            is_int(claim_sparing(), 0, "nothing of its key goes before one that is left alone");
            jobs = claim_jobs(10, SEC(30), NULL);
            is_int(jobs->nelts, 1, "nor together with it");
        }
        is(JOB(jobs, 0)->event.id, events[i]->id, "in order");
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
               "%s: one that failed stays the first", database);
        }
        settle = outcome_of(JOB(jobs, 0), RH_SETTLE_DELIVERED, 200);
        settle_one(&settle);
        drop_jobs(jobs);
    }
    jobs = claim_jobs(10, SEC(30), NULL);
    is_int(jobs->nelts, 1, "the last of its key");
    settle = outcome_of(JOB(jobs, 0), RH_SETTLE_DELIVERED, 200);
    settle_one(&settle);
    drop_jobs(jobs);
    is_int(reread(one)->stats.delivered, 5, "all arrive");
    is_int(claim_jobs(10, SEC(30), NULL)->nelts, 0, "and that is all");
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
    is_int(found, 1, "one delivery does not wait behind another tenant's sixty");
    is_int(limited, 1, "a rate limit gives a tenth of a second's share");
    is_int(jobs->nelts, 18, "and each gets its own");
    ok(again > 0 && again <= 100000, "%s: and says when to come again", database);
    drop_jobs(jobs);
    jobs = claim_jobs(40, SEC(30), NULL);
    for (i = limited = 0; i < jobs->nelts; i++) {
        limited += !strcmp(JOB(jobs, i)->tenant, "fair3");
    }
    is_int(limited, 0, "the next share is not there at once");
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
    check_state(JOB(jobs, 0), RH_DELIVERY_FAILED, "used up is failed");
    drop_jobs(jobs);
    ok(rh_store_redeliver(store, "other", failed, pool) == APR_NOTFOUND,
       "%s: another tenant can't send it again", database);
    succeeded(rh_store_redeliver(store, "again", failed, pool), "its tenant can");
    jobs = claim_jobs(5, SEC(30), NULL);
    ok(jobs->nelts == 1 && JOB(jobs, 0)->attempt_count == 1 && JOB(jobs, 0)->tries == 0,
       "%s: its schedule begins again", database);
    settle = outcome_of(JOB(jobs, 0), RH_SETTLE_FAILED, 500);
    settle_one(&settle);
    drop_jobs(jobs);
    succeeded(replay_all(store, "again", one->id, false, began, pool, &queued), "a replay");
    is_int(queued, 1, "of what failed");
    jobs = claim_jobs(5, SEC(30), NULL);
    is_int(jobs->nelts, 1, "is due");
    settle = outcome_of(JOB(jobs, 0), RH_SETTLE_DELIVERED, 200);
    settle_one(&settle);
    drop_jobs(jobs);

    row = reread(one);
    row->state = RH_SUBSCRIPTION_PAUSED;
    rh_store_subscription_update(store, row, pool);
    jobs = commit_one(make_event("again", "a.c", NULL, NULL), 5, &waiting, NULL);
    is_int(jobs->nelts + waiting, 0, "paused gets nothing");
    commit_one(make_event("again", "x.c", NULL, NULL), 5, &waiting, NULL);
    ok(replay_all(store, "again", one->id, true, began, pool, &queued) == APR_EEXIST,
       "%s: nor a replay", database);
    ok(rh_store_redeliver(store, "again", failed, pool) == APR_EEXIST, "%s: nor a resend",
       database);
    row->state = RH_SUBSCRIPTION_ACTIVE;
    rh_store_subscription_update(store, row, pool);
    succeeded(replay_all(store, "again", one->id, true, began, pool, &queued),
              "a replay of everything");
    is_int(queued, 2, "sends what was delivered and what it missed");
    succeeded(replay_all(store, "again", one->id, true, began, pool, &queued), "once more");
    is_int(queued, 0, "finds it pending");
    jobs = claim_jobs(5, SEC(30), NULL);
    is_int(jobs->nelts, 2, "and both come");
    drop_jobs(jobs);

    event = make_event("again", "a.b", NULL, NULL);
    event->source = RH_SOURCE_TEST;
    succeeded(rh_store_test(store, event, one->id, pool, &test), "a test");
    jobs = claim_jobs(5, SEC(30), NULL);
    ok(jobs->nelts == 1 && !strcmp(JOB(jobs, 0)->delivery_id, test), "%s: is due at once",
       database);
    succeeded(rh_store_subscription_delete(store, "again", one->id, 0, pool), "unsubscribed");
    check_state(JOB(jobs, 0), RH_DELIVERY_CANCELLED, "cancels what is pending");
    drop_jobs(jobs);
    rh_store_event_list(store, "again", &(rh_event_filter_t){.from = began}, &page, pool, &rows,
                        NULL);
    is_int(rows->nelts, 4, "the log of events stays");
    rh_store_event_list(store, "again", &(rh_event_filter_t){.type = "a.b"}, &page, pool, &rows,
                        NULL);
    is_int(rows->nelts, 2, "and can be asked for a type");
}

static void test_housekeeping(void)
{
    rh_event_t *event = make_event("keep", "a.b", NULL, NULL), *row;
    apr_array_header_t *jobs;
    int waiting;

    subscribe("keep", "*", false, 0);
    jobs = commit_one(event, 5, &waiting, NULL);
    succeeded(worker->maintain(worker, SEC(3600), pool), "housekeeping");
    succeeded(rh_store_event_get(store, "keep", event->id, pool, &row), "keeps what is young");
    if (strcmp(database, "sqlite3") == 0) {
        apr_sleep(20000);
        succeeded(worker->maintain(worker, 1000, pool), "housekeeping without retention");
        ok(rh_store_event_get(store, "keep", event->id, pool, &row) == APR_NOTFOUND,
           "%s: removes what is old", database);
        ok(!delivery_of(JOB(jobs, 0)), "%s: and its deliveries", database);
        worker->release(worker, 4711, pool);
        is_int(claim_jobs(100, SEC(30), NULL)->nelts, 0, "which can't be sent any more");
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
       "%s: no tables at first", database);
    if (!succeeded(rh_schema_ensure(source[0], true, pool, &problem), "the tables are made")) {
        printf("# %s\n", problem);
        return;
    }
    succeeded(rh_schema_ensure(source[1], false, pool, &problem), "and found");
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
