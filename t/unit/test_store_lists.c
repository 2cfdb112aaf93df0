/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Lists of deliveries, of which some are in the queue alone and some in the log: on SQLite, and on
 * PostgreSQL where $RH_PGSQL names a cluster. */
#include "store_shapes.h"

#include "rh_store_open.h"
#include "rh_uuid.h"

#include <string.h>

#define MANY 1300

static const char *database;
static rh_db_source_t *source[2];
static rh_store_t *store;
static const char *two[2];
static shaped_t *rows;

/** A filter, and what it is called. */
typedef struct case_t {
    const char *name;
    rh_delivery_filter_t filter;
} case_t;

static bool fits(const shaped_t *row, const rh_delivery_filter_t *filter)
{
    const rh_search_t *search = &filter->search;
    int end = filter->status_end > 0 ? filter->status_end : 1000;

    return row->shape != SHAPE_NONE &&
           (!filter->subscription_id ||
            strcmp(filter->subscription_id, row->subscription_id) == 0) &&
           (!filter->type || strcmp(filter->type, row->type) == 0) &&
           (filter->state < 0 || filter->state == (int)row->state) &&
           row->status >= filter->status_from && row->status < end &&
           (!search->key || strcmp(search->key, row->key) == 0) &&
           (!search->sources || strstr(search->sources, row->source)) &&
           (!search->text || strstr(row->data, "Needle")) &&
           (filter->from == 0 || rh_uuid_time(row->id) >= filter->from) &&
           (filter->to == 0 || rh_uuid_time(row->id) < filter->to);
}

/** The ids that a filter should find, newest first. */
static const char *expect_ids(const rh_delivery_filter_t *filter, int *count)
{
    const char *ids = "";

    *count = 0;
    for (int i = SHAPE_EVENTS - 1; i >= 0; i--) {
        if (fits(&rows[i], filter)) {
            ids = apr_pstrcat(pool, ids, rows[i].id, " ", NULL);
            (*count)++;
        }
    }
    return ids;
}

/** The ids of all pages of a list. @param limit of one page */
static const char *list_ids(const char *tenant, const rh_delivery_filter_t *filter, int limit)
{
    rh_page_t page = {limit, NULL};
    const char *ids = "";
    apr_array_header_t *found;

    do {
        if (rh_store_delivery_list(store, tenant, filter, &page, pool, &found, NULL) !=
            APR_SUCCESS) {
            return "failed";
        }
        for (int i = 0; i < found->nelts; i++) {
            page.before = APR_ARRAY_IDX(found, i, rh_delivery_t *)->id;
            ids = apr_pstrcat(pool, ids, page.before, " ", NULL);
        }
    } while (found->nelts > 0);
    return ids;
}

static void check_filter(const case_t *one)
{
    apr_int64_t counted = -1;
    int expected;
    const char *ids = expect_ids(&one->filter, &expected);

    for (int limit = 1; limit <= 100; limit += 4 + 90 * (limit > 5)) {
        is(list_ids("acme", &one->filter, limit), ids,
           apr_psprintf(pool, "%s: %s, by pages of %d", database, one->name, limit));
    }
    rh_store_delivery_count(store, "acme", &one->filter, pool, &counted);
    is_int(counted, expected, apr_psprintf(pool, "%s: %s, counted", database, one->name));
}

static void test_filters(void)
{
    const apr_time_t middle = rh_uuid_time(rows[SHAPE_EVENTS / 2].id);
    const case_t cases[] = {
        {"all", {.state = -1}},
        {"pending", {.state = RH_DELIVERY_PENDING}},
        {"delivered", {.state = RH_DELIVERY_DELIVERED}},
        {"failed", {.state = RH_DELIVERY_FAILED}},
        {"cancelled", {.state = RH_DELIVERY_CANCELLED}},
        {"of a type", {.state = -1, .type = "a.b"}},
        {"of another type", {.state = -1, .type = "x.y"}},
        {"5xx", {.state = -1, .status_from = 500, .status_end = 600}},
        {"404", {.state = -1, .status_from = 404, .status_end = 405}},
        {"no response", {.state = -1, .status_end = 1}},
        {"of a subscription", {.state = -1, .subscription_id = two[1]}},
        {"of a key", {.state = -1, .search = {.key = "k1"}}},
        {"of a source", {.state = -1, .search = {.sources = "[\"publish\"]"}}},
        {"with a text", {.state = -1, .search = {.text = "needle"}}},
        {"from then on", {.state = -1, .from = middle}},
        {"up to then", {.state = -1, .to = middle}},
        {"pending of a type", {.state = RH_DELIVERY_PENDING, .type = "a.c"}},
        {"pending with 500", {.state = RH_DELIVERY_PENDING, .status_from = 500, .status_end = 501}},
        {"of a subscription with 503",
         {.state = -1, .subscription_id = two[0], .status_from = 503, .status_end = 504}},
        {"failed of a subscription", {.state = RH_DELIVERY_FAILED, .subscription_id = two[0]}},
        {"pending of a key", {.state = RH_DELIVERY_PENDING, .search = {.key = "k0"}}},
        {"of a subscription and a key",
         {.state = -1, .subscription_id = two[1], .search = {.key = "k2"}}},
    };

    for (int i = 0; i < (int)RH_COUNT_OF(cases); i++) {
        check_filter(&cases[i]);
    }
}

static void check_row(const shaped_t *row, const rh_delivery_t *shown, const char *where)
{
    is(rh_delivery_state_name(shown->state), rh_delivery_state_name(row->state), where);
    is_int(shown->attempt_count, row->attempts, "a delivery shows its number of attempts");
    is_int(shown->last_status_code, row->status, "a delivery shows its last status code");
    is(shown->event.type, row->type, "a delivery shows the type of its event");
    is(shown->event.key, row->key, "a delivery shows the key of its event");
    is(shown->waiting_for, row->state == RH_DELIVERY_PENDING ? "schedule" : NULL,
       "a delivery shows what it waits for");
}

/** What a list and a single delivery show of each shape. */
static void test_rows(void)
{
    rh_delivery_filter_t filter = {.state = -1};
    rh_page_t page = {SHAPE_EVENTS, NULL};
    apr_array_header_t *found;
    int at = 0;

    rh_store_delivery_list(store, "acme", &filter, &page, pool, &found, NULL);
    for (int i = SHAPE_EVENTS - 1; i >= 0 && at < found->nelts; i--) {
        rh_delivery_t *one = NULL;
        const char *name = apr_psprintf(pool, "%s: shape %d", database, rows[i].shape);

        if (rows[i].shape == SHAPE_NONE) {
            continue;
        }
        check_row(&rows[i], APR_ARRAY_IDX(found, at++, rh_delivery_t *), name);
        if (rh_store_delivery_get(store, "acme", rows[i].id, pool, &one) != APR_SUCCESS) {
            ok(false, "%s is found by its id", name);
            continue;
        }
        check_row(&rows[i], one, name);
        is_int(one->attempts->nelts, rows[i].attempts, "a delivery has all its attempts");
        for (int n = 0; n < one->attempts->nelts; n++) {
            is_int(APR_ARRAY_IDX(one->attempts, n, rh_attempt_t *)->number, n + 1, "in order");
        }
    }
    is_int(at, SHAPE_EVENTS - SHAPE_ROUNDS, "the list has no other deliveries");
}

/** Events with their deliveries, in the order in which they were asked for. */
static void test_events(void)
{
    const int order[] = {SHAPE_FAILED, SHAPE_QUEUED,    SHAPE_NONE,     SHAPE_AGAIN,
                         SHAPE_COUNT,  SHAPE_DELIVERED, SHAPE_CANCELLED};
    apr_array_header_t *ids = apr_array_make(pool, 8, sizeof(const char *)), *found = NULL;
    int at = 0;

    for (int i = 0; i < (int)RH_COUNT_OF(order); i++) {
        APR_ARRAY_PUSH(ids, const char *) = rows[order[i]].event_id;
    }
    rh_store_event_deliveries(store, "acme", ids, 10, pool, &found);
    for (int i = 0; i < (int)RH_COUNT_OF(order); i++) {
        const shaped_t *row = &rows[order[i]];

        if (row->shape != SHAPE_NONE && at < found->nelts) {
            check_row(row, APR_ARRAY_IDX(found, at++, rh_delivery_t *), "an event's delivery");
            is(APR_ARRAY_IDX(found, at - 1, rh_delivery_t *)->id, row->id,
               "it is the expected delivery");
        }
    }
    is_int(at, (int)RH_COUNT_OF(order) - 1, "all events with a delivery have theirs in the list");
    is_int(found->nelts, at, "the list has deliveries of no other events");
}

static void test_only_attempt(void)
{
    rh_delivery_t *one = NULL;
    const rh_attempt_t *attempt;

    rh_store_delivery_get(store, "acme", rows[SHAPE_DELIVERED].id, pool, &one);
    if (!one || one->attempts->nelts == 0) {
        ok(false, "%s: there is an attempt", database);
        return;
    }
    attempt = APR_ARRAY_IDX(one->attempts, 0, rh_attempt_t *);
    is(attempt->id, rows[SHAPE_DELIVERED].event_id, "the attempt in the log has its id");
    is_int(attempt->status_code, 200, "the attempt has its status code");
    is_int(attempt->duration, 12000, "the attempt has its duration");
    is(attempt->headers, "{\"A\":\"1\"}", "the attempt has the response's headers");
    is(attempt->answer, "yes", "the attempt has the response");
    is(one->target_url, "https://example.com/then", "the delivery shows where it went");
    is(rh_format_name(one->format), "skinny", "the delivery shows its format");
}

static void test_unmatched(void)
{
    rh_event_filter_t filter = {.unmatched = true};
    rh_page_t page = {100, NULL};
    apr_array_header_t *found;

    rh_store_event_list(store, "acme", &filter, &page, pool, &found, NULL);
    is_int(found->nelts, SHAPE_ROUNDS, "all events without a delivery are listed");
    for (int i = 0; i < found->nelts; i++) {
        is(APR_ARRAY_IDX(found, i, rh_event_t *)->id,
           rows[(SHAPE_ROUNDS - i) * SHAPE_COUNT - 1].event_id,
           "an event without a delivery is listed");
    }
}

/** How many deliveries of a state statistics count. */
static int count_stats(const char *subscription, rh_delivery_state_t state)
{
    apr_time_t from = rh_uuid_time(rows[0].id), to = rh_uuid_time(rows[SHAPE_EVENTS - 1].id);
    rh_stats_range_t range = {from, to + 1000, (to + 1000 - from) / 4 + 1000, 4};
    rh_stats_bucket_t *buckets;
    int count = 0;

    if (rh_store_stats(store, "acme", subscription, &range, pool, &buckets) != APR_SUCCESS) {
        return -1;
    }
    for (int i = 0; i < range.count; i++) {
        count += (int)buckets[i].deliveries[state];
    }
    return count;
}

static void test_stats(void)
{
    is_int(count_stats(NULL, RH_DELIVERY_PENDING), 3 * SHAPE_ROUNDS,
           "statistics count pending deliveries");
    is_int(count_stats(NULL, RH_DELIVERY_FAILED), SHAPE_ROUNDS,
           "statistics count failed deliveries once");
    is_int(count_stats(two[0], RH_DELIVERY_PENDING), 3 * SHAPE_ROUNDS / 2,
           "statistics count pending deliveries of one subscription");
    is_int(count_stats(two[0], RH_DELIVERY_DELIVERED), SHAPE_ROUNDS / 2,
           "statistics count delivered ones of one subscription");
}

/** One subscription has very many pending deliveries, another of the tenant a few older ones. */
static void test_many(void)
{
    rh_subscription_t *most = subscribe_to(store, "many", "*"),
                      *few = subscribe_to(store, "many", "*");
    rh_delivery_filter_t filter = {.state = -1};
    const char *number =
        strcmp(database, "pgsql") == 0 ? "lpad(n::text, 12, '0'))::uuid" : "printf('%012d', n))";
    apr_array_header_t *events = apr_array_make(pool, 1, sizeof(const char *)), *found;
    const char *ids;

    run_script(source[1],
               "INSERT INTO @event (tenant, id, type, time, source, data) VALUES"
               " ('many', '018f0000-0001-7000-8000-000000000000', 'a.b', 0, 'sql', '{}')");
    run_script(source[1],
               apr_psprintf(
                   pool,
                   "INSERT INTO @queue (tenant, delivery_id, subscription_id, event_id,"
                   " due_at) WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1"
                   " FROM s WHERE n < %d) SELECT 'many', ('018f0000-0001-7000-9000-' || %s,"
                   " CASE WHEN n <= 3 THEN '%s' ELSE '%s' END%s,"
                   " '018f0000-0001-7000-8000-000000000000'%s, 5000 - n FROM s",
                   MANY, number, few->id, most->id, strcmp(database, "pgsql") == 0 ? "::uuid" : "",
                   strcmp(database, "pgsql") == 0 ? "::uuid" : ""));
    ids = list_ids("many", &filter, 500);
    is_int((int)strlen(ids), MANY * (RH_UUID_LEN + 1), "very many deliveries are all listed");
    filter.subscription_id = most->id;
    is(list_ids("many", &filter, 100), apr_pstrmemdup(pool, ids, (MANY - 3) * (RH_UUID_LEN + 1)),
       "the deliveries of one subscription are listed in order");
    filter.subscription_id = few->id;
    is(list_ids("many", &filter, 2), ids + (MANY - 3) * (RH_UUID_LEN + 1),
       "the few deliveries of the other subscription are listed in order");
    APR_ARRAY_PUSH(events, const char *) = "018f0000-0001-7000-8000-000000000000";
    rh_store_event_deliveries(store, "many", events, 7, pool, &found);
    is_int(found->nelts, 7, "an event has no more deliveries than are asked for");
    for (int i = 0; i < found->nelts; i++) {
        is(APR_ARRAY_IDX(found, i, rh_delivery_t *)->id,
           apr_pstrmemdup(pool, ids + i * (RH_UUID_LEN + 1), RH_UUID_LEN), "the newest ones");
    }
}

static void run(const char *driver, const char *params)
{
    database = driver;
    if (!open_sources(driver, params, source, 2)) {
        return;
    }
    store = rh_store_make(pool, source[0]);
    two[0] = subscribe_to(store, "acme", "*")->id;
    two[1] = subscribe_to(store, "acme", "*")->id;
    /* Another tenant has rows of the same ids. */
    store_shapes(source[1], "other", two);
    rows = store_shapes(source[1], "acme", two);
    test_filters();
    test_rows();
    test_events();
    test_only_attempt();
    test_unmatched();
    test_stats();
    test_many();
}

int main(void)
{
    return test_databases("rh_lists", run);
}
