/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* What was sent is kept once per version: on SQLite, and on PostgreSQL where $RH_PGSQL names a
 * cluster. */
#include "store_databases.h"

#include "rh_delivery.h"
#include "rh_store_open.h"

#define DAY_MS "86400000"
#define FORTY_DAYS_MS "3456000000"
#define RETENTION_MS "2592000000"
#define RETENTION (30 * apr_time_from_sec(86400))

static const char *database;
static rh_db_source_t *source[3];
static rh_store_t *store;
static rh_queue_t *queue;
static rh_queue_t *failing_queue; /**< may report errors */

static bool on_pgsql(void)
{
    return strcmp(database, "pgsql") == 0;
}

static int count_templates(void)
{
    return (int)select_number(source[2], "SELECT count(*) FROM @sent_template", "");
}

/** Commit an event of a tenant and claim its delivery. */
static rh_job_t *make_job(const char *tenant)
{
    rh_claim_t claim = {
        .limit = 1, .per_subscription = 1, .lease_for = apr_time_from_sec(300), .lease = 7};
    apr_array_header_t *jobs = apr_array_make(pool, 1, sizeof(rh_job_t *));

    store_unclaimed(queue, tenant, "a.b", NULL, 1);
    ok(queue->claim(queue, &claim, pool, jobs) == APR_SUCCESS && jobs->nelts == 1,
       "%s: a delivery is claimed", database);
    return APR_ARRAY_IDX(jobs, 0, rh_job_t *);
}

/** Settle an attempt, with `by` as the process that made it. */
static apr_status_t settle(rh_queue_t *by, const rh_job_t *job, rh_settle_kind_t kind, int number,
                           const char *template, const char *sent)
{
    rh_settle_t outcome = {.kind = kind,
                           .tenant = job->tenant,
                           .delivery_id = job->delivery_id,
                           .event_id = job->event.id,
                           .type = job->event.type,
                           .subscription_id = job->subscription_id,
                           .lease = job->lease},
                *outcomes[] = {&outcome};

    outcome.attempt.id = make_id();
    outcome.attempt.number = number;
    outcome.attempt.started_at = apr_time_now();
    outcome.attempt.status_code = kind == RH_SETTLE_DELIVERED ? 200 : 500;
    outcome.attempt.template = template;
    outcome.attempt.sent = sent;
    return by->settle(by, outcomes, 1, pool);
}

static const char *shown(const rh_job_t *job, int i)
{
    rh_delivery_t *delivery;

    if (rh_store_delivery_get(store, job->tenant, job->delivery_id, pool, &delivery) !=
            APR_SUCCESS ||
        delivery->attempts->nelts <= i) {
        return "no such attempt";
    }
    return APR_ARRAY_IDX(delivery->attempts, i, rh_attempt_t *)->sent;
}

/** Make and settle a delivery by its first attempt. */
static rh_job_t *deliver(rh_queue_t *by, const char *tenant, const char *template, const char *sent)
{
    rh_job_t *job = make_job(tenant);

    ok(settle(by, job, RH_SETTLE_DELIVERED, 1, template, sent) == APR_SUCCESS,
       "%s: an attempt is settled", database);
    return job;
}

#define TEMPLATE "{\"id\":\"\ni\",\"type\":\"\nt\",\"at\":\nv}"

static const char *expected(const rh_job_t *job, const char *at)
{
    return apr_pstrcat(pool, "{\"id\":\"", job->event.id, "\",\"type\":\"a.b\",\"at\":", at, "}",
                       NULL);
}

static void test_one_template(void)
{
    rh_job_t *first = deliver(queue, "acme", TEMPLATE, "1");
    rh_job_t *second = deliver(queue, "acme", TEMPLATE, "2");

    is(shown(first, 0), expected(first, "1"), "an attempt shows what it sent");
    is(shown(second, 0), expected(second, "2"),
       "another attempt with the same template shows what it sent");
    is_int(count_templates(), 1, "a template is stored once");
    deliver(queue, "acme", "{\"other\":\nv}", "3");
    is_int(count_templates(), 2, "another version of a template is stored as well");
    first = deliver(rh_queue_make(pool, source[0]), "acme", TEMPLATE, "4");
    is(shown(first, 0), expected(first, "4"), "an attempt of another process shows what it sent");
    is_int(count_templates(), 2, "two processes store a template once");
}

static void test_several_attempts(void)
{
    rh_job_t *job = make_job("acme");

    ok(settle(queue, job, RH_SETTLE_RETRY, 1, TEMPLATE, "1") == APR_SUCCESS, "%s: an attempt fails",
       database);
    run_script(source[2], "UPDATE @queue SET lease = 7");
    ok(settle(queue, job, RH_SETTLE_DELIVERED, 2, "{\"second\":\nv}", "2") == APR_SUCCESS,
       "%s: the next attempt succeeds", database);
    is(shown(job, 0), expected(job, "1"), "the first attempt shows what it sent");
    is(shown(job, 1), "{\"second\":2}", "the second attempt shows what it sent");
}

static void test_tenants(void)
{
    int before = count_templates();
    rh_job_t *job;

    subscribe_to(store, "zeal", "*");
    job = deliver(queue, "zeal", TEMPLATE, "5");
    is(shown(job, 0), expected(job, "5"), "an attempt of another tenant shows what it sent");
    is_int(count_templates(), before + 1, "each tenant has its own templates");
}

static void test_whole(void)
{
    rh_job_t *job = deliver(queue, "acme", NULL, "{\"url\":\"as in version 3\"}");

    is(shown(job, 0), "{\"url\":\"as in version 3\"}",
       "an attempt without a template has its whole request");
    job = deliver(queue, "acme", NULL, NULL);
    ok(shown(job, 0) == NULL, "an attempt without a recorded request shows none");
}

static void test_forgetting(void)
{
    rh_job_t *job = make_job("acme");

    deliver(failing_queue, "acme", TEMPLATE, "6");
    run_script(source[2],
               on_pgsql()
                   ? "ALTER TABLE @sent_template ADD CONSTRAINT closed CHECK (false) NOT VALID"
                   : "CREATE TRIGGER closed BEFORE INSERT ON @sent_template "
                     "BEGIN SELECT RAISE(ABORT, 'closed'); END");
    ok(settle(failing_queue, job, RH_SETTLE_DELIVERED, 1, "{\"new\":\nv}", "6") != APR_SUCCESS,
       "%s: without its template no attempt is settled", database);
    run_script(source[2], on_pgsql() ? "ALTER TABLE @sent_template DROP CONSTRAINT closed"
                                     : "DROP TRIGGER closed");
    run_script(source[2], "DELETE FROM @sent_template");
    ok(settle(failing_queue, job, RH_SETTLE_DELIVERED, 1, TEMPLATE, "6") == APR_SUCCESS,
       "%s: the attempt is settled once its template can be stored", database);
    is(shown(job, 0), expected(job, "6"), "after an error, templates are stored again");
    run_script(source[2], "DELETE FROM @sent_template");
    ok(shown(job, 0) == NULL, "an attempt whose template was removed shows no request");
}

static void set_age(const char *ms_ago)
{
    run_script(source[2],
               apr_pstrcat(pool, "UPDATE @sent_template SET seen_at = ",
                           on_pgsql()
                               ? "resthooks.now_ms()"
                               : "CAST((julianday('now') - 2440587.5) * 86400000 AS integer)",
                           " - ", ms_ago, NULL));
}

/** True if the template is noted as seen within the last minutes. */
static bool just_seen(void)
{
    apr_int64_t seen = select_number(source[2], "SELECT max(seen_at) FROM @sent_template", "");

    return seen > apr_time_as_msec(apr_time_now() - apr_time_from_sec(600));
}

static void test_use(void)
{
    queue = rh_queue_make(pool, source[0]);
    deliver(queue, "acme", TEMPLATE, "7");
    set_age(DAY_MS " / 2");
    deliver(rh_queue_make(pool, source[0]), "acme", TEMPLATE, "7");
    ok(!just_seen(), "%s: within a day the use of a template is not noted again", database);
    set_age(DAY_MS " * 2");
    deliver(queue, "acme", TEMPLATE, "7");
    ok(!just_seen(), "%s: a process that has just stored a template does not note its use",
       database);
    deliver(rh_queue_make(pool, source[0]), "acme", TEMPLATE, "7");
    ok(just_seen(), "%s: another process notes the use of a template", database);
}

static void maintain(void)
{
    ok(queue->maintain(queue, RETENTION, pool) == APR_SUCCESS, "%s: housekeeping is done",
       database);
}

/** What is removed: by age on SQLite, on PostgreSQL by that of the oldest partition. */
static void set_age_past_limit(const char *ms)
{
    if (on_pgsql()) {
        run_script(source[2],
                   apr_pstrcat(pool,
                               "UPDATE @sent_template SET seen_at = (SELECT min(from_ms) FROM "
                               "@partitions) - 2 * " DAY_MS " - ",
                               ms, NULL));
    } else {
        set_age(apr_pstrcat(pool, RETENTION_MS " - 2 * " DAY_MS " - ", ms, NULL));
    }
}

static void test_housekeeping(void)
{
    rh_job_t *job = deliver(queue, "acme", TEMPLATE, "8");

    if (on_pgsql()) {
        set_age(FORTY_DAYS_MS);
        maintain();
        is(shown(job, 0), expected(job, "8"),
           "a template is kept while there is a partition of old");
        if (select_number(source[2], "SELECT resthooks.drop_partitions(1)", "") < 0) {
            ok(false, "old partitions are dropped");
        }
    }
    set_age_past_limit("-60000");
    maintain();
    is(shown(job, 0), expected(job, "8"), "a template that an attempt may use is kept");
    set_age_past_limit("60000");
    maintain();
    is_int(count_templates(), 0, "later it is removed");
}

static void run(const char *driver, const char *params)
{
    rh_log_t *quiet = apr_pcalloc(pool, sizeof(*quiet));
    rh_db_source_t *failing_source;

    database = driver;
    if (!open_sources(driver, params, source, 3) ||
        rh_db_source_dedicated(pool, driver, params, quiet, &failing_source) != APR_SUCCESS) {
        return;
    }
    store = rh_store_make(pool, source[1]);
    queue = rh_queue_make(pool, source[0]);
    failing_queue = rh_queue_make(pool, failing_source);
    subscribe_to(store, "acme", "*");
    test_one_template();
    test_several_attempts();
    test_tenants();
    test_whole();
    test_forgetting();
    test_use();
    test_housekeeping();
}

int main(void)
{
    return test_databases("rh_sent", run);
}
