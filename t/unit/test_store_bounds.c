/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* A page of a list looks at so much and no more, and the next ones reach the rest: on SQLite, and
 * on PostgreSQL where $RH_PGSQL names a cluster. */
#include "store_shapes.h"

#include "rh_store_open.h"
#include "rh_store_private.h"

#include <string.h>

/** More than a page looks at. */
#define MANY (RH_MOST_FILTERED + 100)
#define MANY_EVENTS (RH_MOST_SEARCHED + 100)
#define OLD 3

static const char *database;
static rh_db_source_t *source[2];
static rh_store_t *store;

/** SQL of an id that ends with the number that `n` is. @param part the second of its five parts */
static const char *id_of(const char *part, const char *n)
{
    return strcmp(database, "pgsql") == 0
               ? apr_psprintf(pool, "('018f0000-%s-7000-9000-' || lpad((%s)::text, 12, '0'))::uuid",
                              part, n)
               : apr_psprintf(pool, "printf('018f0000-%s-7000-9000-%%012d', %s)", part, n);
}

/** Fill a table. @param columns @param values of each row, where `n` counts from 1 */
static void fill(const char *table, int count, const char *columns, const char *values)
{
    run_script(
        source[1],
        apr_psprintf(pool,
                     "INSERT INTO @%s (tenant, %s) WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL"
                     " SELECT n + 1 FROM s WHERE n < %d) SELECT 'acme', %s FROM s",
                     table, columns, count, values));
}

/** Fill a table with an event's deliveries. @param part of their ids: the greater, the newer */
static void fill_deliveries(const char *table, const char *part, int count,
                            const char *subscription, const char *more)
{
    bool queue = strcmp(table, "queue") == 0;
    const char *cast = strcmp(database, "pgsql") == 0 ? "::uuid" : "";

    fill("event", 1, "id, type, key, time, source, data",
         apr_psprintf(pool, "%s, '%s', '%s', 0, 'sql', '{}'", id_of(part, "0"), more, part));
    fill(table, count,
         queue ? "delivery_id, event_id, subscription_id, due_at"
               : "id, event_id, subscription_id, type, state, last_status_code",
         apr_psprintf(pool, "%s, %s, '%s'%s, %s", id_of(part, "n"), id_of(part, "0"), subscription,
                      cast,
                      queue ? "4000000000000"
                            : apr_psprintf(pool, "'%s', '%s', %d", more,
                                           strcmp(more, "x.y") ? "delivered" : "failed",
                                           strcmp(more, "x.y") ? 200 : 500)));
}

/** Follow a list to its end. @param pages receives how many it took @return number of rows */
static int follow(const rh_delivery_filter_t *filter, int *pages)
{
    rh_page_t page = {50, NULL};
    const char *stopped = NULL, *last = RH_LAST_ID;
    apr_array_header_t *found;
    int count = 0;

    *pages = 0;
    do {
        if (rh_store_delivery_list(store, "acme", filter, &page, pool, &found, &stopped) !=
            APR_SUCCESS) {
            return -1;
        }
        (*pages)++;
        for (int i = 0; i < found->nelts; i++) {
            const char *id = APR_ARRAY_IDX(found, i, rh_delivery_t *)->id;

            if (strcmp(id, last) >= 0) {
                ok(false, "%s: %s comes after %s", database, id, last);
            }
            last = id;
            count++;
        }
        page.before = found->nelts == page.limit ? last : stopped;
    } while (page.before && *pages < 500);
    return count;
}

static void check(const char *name, rh_delivery_filter_t filter, int expected, int most_pages,
                  int least_pages)
{
    int pages, count = follow(&filter, &pages);

    is_int(count, expected, apr_psprintf(pool, "%s: %s", database, name));
    ok(pages <= most_pages && pages >= least_pages, "%s: in %d to %d pages (%d)", database,
       least_pages, most_pages, pages);
}

static void test_deliveries(const char *mine, const char *others)
{
    fill_deliveries("delivery", "0001", OLD, mine, "x.y");
    fill_deliveries("queue", "0002", OLD, mine, "x.y");
    check("a few are found at once", (rh_delivery_filter_t){.state = -1, .type = "x.y"}, 2 * OLD, 1,
          1);
    fill_deliveries("delivery", "0003", MANY, others, "a.b");
    check("old ones of a type after many of the log",
          (rh_delivery_filter_t){.state = -1, .type = "x.y"}, 2 * OLD, 2, 2);
    check("old ones of a key", (rh_delivery_filter_t){.state = -1, .search = {.key = "0001"}}, OLD,
          MANY / RH_MOST_LOOKED_UP + 1, 3);
    check("failed ones have an index", (rh_delivery_filter_t){.state = RH_DELIVERY_FAILED}, OLD, 1,
          1);
    check("so have status codes other than 2xx",
          (rh_delivery_filter_t){.state = -1, .status_from = 500, .status_end = 600}, OLD, 1, 1);
    check("and those of a subscription",
          (rh_delivery_filter_t){.state = RH_DELIVERY_FAILED, .subscription_id = mine}, OLD, 1, 1);
    check("a subscription has one", (rh_delivery_filter_t){.state = -1, .subscription_id = mine},
          2 * OLD, 1, 1);
    check("with conditions as well",
          (rh_delivery_filter_t){.state = -1, .subscription_id = mine, .type = "x.y"}, 2 * OLD, 1,
          1);
    check("nothing is pending but this", (rh_delivery_filter_t){.state = RH_DELIVERY_PENDING}, OLD,
          1, 1);
    fill_deliveries("queue", "0004", MANY, others, "a.b");
    check("old ones of a type after many of the queue",
          (rh_delivery_filter_t){.state = -1, .type = "x.y"}, 2 * OLD, 4, 3);
    check("the same, pending", (rh_delivery_filter_t){.state = RH_DELIVERY_PENDING, .type = "x.y"},
          OLD, 2, 2);
    check("a subscription's few pending ones among them",
          (rh_delivery_filter_t){.state = -1, .subscription_id = mine}, 2 * OLD, 1, 1);
}

/** A job comes to the end of what a page does not reach. */
static void test_job(void)
{
    rh_delivery_filter_t filter = {.state = -1, .type = "x.y"};
    rh_store_job_t job = {
        .tenant = "acme", .kind = RH_JOB_REDELIVER, .filter = "{}", .created_by = "test"};
    rh_store_job_t *done = NULL;
    bool running = true;
    apr_int64_t count = 0;

    rh_store_delivery_count(store, "acme", &filter, pool, &count);
    is_int(count, 2 * OLD, "a count includes all matching deliveries");
    rh_store_job_create(store, &job, &filter, false, pool);
    while (running && rh_store_job_work(store, "acme", job.id, pool, &running) == APR_SUCCESS) {
    }
    rh_store_job_get(store, "acme", job.id, pool, &done);
    is(done->state, "done", "a job ends");
    is_int(done->done, 2 * OLD, "a job redelivers all matching deliveries");
}

/** Follow a list of events. @return number of rows */
static int follow_events(const rh_event_filter_t *filter, int *pages)
{
    rh_page_t page = {50, NULL};
    const char *stopped = NULL;
    apr_array_header_t *found;
    int count = 0;

    *pages = 0;
    do {
        if (rh_store_event_list(store, "acme", filter, &page, pool, &found, &stopped) !=
            APR_SUCCESS) {
            return -1;
        }
        (*pages)++;
        count += found->nelts;
        page.before = found->nelts == page.limit
                          ? APR_ARRAY_IDX(found, page.limit - 1, rh_event_t *)->id
                          : stopped;
    } while (page.before && *pages < 500);
    return count;
}

static void check_events(const char *name, rh_event_filter_t filter, int expected, int most_pages,
                         int least_pages)
{
    int pages, count = follow_events(&filter, &pages);

    is_int(count, expected, apr_psprintf(pool, "%s: %s", database, name));
    ok(pages <= most_pages && pages >= least_pages, "%s: in %d to %d pages (%d)", database,
       least_pages, most_pages, pages);
}

static void test_events(const char *mine)
{
    const char *large = "'\"' || %s || ' Straße K\"'";
    const char *hundred = strcmp(database, "pgsql") == 0
                              ? "repeat('0123456789', 10000)"
                              : "replace(hex(zeroblob(50000)), '00', '01')";

    run_script(source[1], "DELETE FROM @queue");
    run_script(source[1], "DELETE FROM @delivery");
    run_script(source[1], "DELETE FROM @event");
    fill(
        "event", OLD, "id, type, key, time, source, data",
        apr_psprintf(pool, "%s, 'x.y', 'old', 0, 'sql', '{\"n\":\"Needle\"}'", id_of("0001", "n")));
    fill("event", MANY_EVENTS, "id, type, key, time, source, data",
         apr_psprintf(pool, "%s, 'a.b', 'k', 0, 'capture', '{}'", id_of("0002", "n")));
    fill("delivery", MANY_EVENTS, "id, event_id, subscription_id, type, state",
         apr_psprintf(pool, "%s, %s, '%s'%s, 'a.b', 'delivered'", id_of("0002", "n"),
                      id_of("0002", "n"), mine, strcmp(database, "pgsql") == 0 ? "::uuid" : ""));
    check_events("events of a key", (rh_event_filter_t){.search = {.key = "old"}}, OLD, 2, 2);
    check_events("events of a source", (rh_event_filter_t){.search = {.sources = "[\"sql\"]"}}, OLD,
                 2, 2);
    check_events("events with a text", (rh_event_filter_t){.search = {.text = "needle"}}, OLD, 2,
                 2);
    check_events("events without a delivery", (rh_event_filter_t){.unmatched = true}, OLD,
                 MANY_EVENTS / RH_MOST_UNMATCHED + 1, 3);
    check_events("a type has an index",
                 (rh_event_filter_t){.type = "x.y", .search = {.text = "NEEDLE"}}, OLD, 1, 1);
    fill("event", 12, "id, type, time, source, data",
         apr_psprintf(pool, "%s, 'x.y', 0, 'capture', %s", id_of("0003", "n"),
                      apr_psprintf(pool, large, hundred)));
    check_events("a text in much data",
                 (rh_event_filter_t){.type = "x.y", .search = {.text = "needle"}}, OLD, 2, 2);
    check_events("other conditions don't read the data",
                 (rh_event_filter_t){.type = "x.y", .search = {.key = "old"}}, OLD, 1, 1);
    check_events("ASCII in any case", (rh_event_filter_t){.search = {.text = " k\""}}, 12, 4, 2);
    check_events("and other letters", (rh_event_filter_t){.search = {.text = "straße"}}, 12, 4, 2);
}

static void run(const char *driver, const char *params)
{
    const char *mine, *others;

    database = driver;
    if (!open_sources(driver, params, source, 2)) {
        return;
    }
    store = rh_store_make(pool, source[0]);
    mine = subscribe_to(store, "acme", "*")->id;
    others = subscribe_to(store, "acme", "*")->id;
    test_deliveries(mine, others);
    test_job();
    test_events(mine);
}

int main(void)
{
    return test_databases("rh_bounds", run);
}
