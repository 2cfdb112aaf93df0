/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_metrics.h"
#include "rh_openmetrics.h"

#include "tap.h"

#include <apr_general.h>
#include <pthread.h>
#include <stdlib.h>

#define THREADS 4
#define ROUNDS 20000
#define SECONDS(number) apr_time_from_sec(number)

static rh_metrics_host_t host;
static apr_uint64_t events[3 * 2];
static apr_int64_t gauges[RH_GAUGE_COUNT];
static const rh_metrics_t metrics = {
    .host = &host, .events = events, .types = 2, .sources = 2, .gauges = gauges};
static apr_pool_t *pool;

static void *count_many(void *data)
{
    for (int i = 0; i < ROUNDS; i++) {
        rh_metrics_count(&metrics, RH_COUNT_CLAIMS);
        rh_metrics_observe(&metrics, RH_HISTOGRAM_EVENTS, 3);
        rh_metrics_move(&metrics, RH_GAUGE_QUEUED, i % 2 ? -1 : 1);
    }
    return data;
}

static void test_counting(void)
{
    pthread_t threads[THREADS];
    rh_buckets_t buckets;

    rh_metrics_count(NULL, RH_COUNT_CLAIMS);
    rh_metrics_move(NULL, RH_GAUGE_QUEUED, 1);
    rh_metrics_observe(NULL, RH_HISTOGRAM_ATTEMPT, 1);
    rh_metrics_event(NULL, 0, 0);
    ok(!rh_metrics_backlog_due(NULL, 1), "without metrics nothing is counted, and nothing fails");
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, count_many, NULL);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    is_int((long long)rh_metrics_read(&metrics, RH_COUNT_CLAIMS), THREADS * ROUNDS,
           "counts of many threads are not lost");
    is_int((long long)rh_metrics_read_histogram(&metrics, RH_HISTOGRAM_EVENTS, &buckets),
           THREADS * ROUNDS, "neither are those of histograms");
    is_int((long long)buckets.sum, 3 * THREADS * ROUNDS, "nor their sums");
    is_int(gauges[RH_GAUGE_QUEUED], 0, "gauges go up and down");
    rh_metrics_event(&metrics, 0, 0);
    rh_metrics_event(&metrics, 1, 1);
    rh_metrics_event(&metrics, 1, 1);
    rh_metrics_event(&metrics, 7, 0);
    rh_metrics_event(&metrics, -1, 0);
    rh_metrics_event(&metrics, 0, 2);
    rh_metrics_event(&metrics, 0, -1);
    ok(events[0] == 1 && events[1] == 0 && events[3] == 2 && events[4] == 2,
       "events are counted by type and source, unknown types as others");
}

static void test_buckets(void)
{
    int count;
    bool rising = true;

    for (int h = 0; h < RH_HISTOGRAM_COUNT; h++) {
        const apr_int64_t *bounds = rh_histogram_bounds((rh_histogram_t)h, &count);
        rh_buckets_t buckets;
        bool placed = true;

        memset(&host, 0, sizeof(host));
        rising = rising && count > 3 && count <= RH_MAX_BOUNDS && bounds[0] > 0;
        for (int i = 0; i < count; i++) {
            rising = rising && (i == 0 || bounds[i] > bounds[i - 1]);
            rh_metrics_observe(&metrics, (rh_histogram_t)h, bounds[i]);
            rh_metrics_observe(&metrics, (rh_histogram_t)h, bounds[i] + 1);
        }
        rh_metrics_observe(&metrics, (rh_histogram_t)h, -5);
        rh_metrics_read_histogram(&metrics, (rh_histogram_t)h, &buckets);
        for (int i = 0; i <= count; i++) {
            placed = placed && buckets.in[i] == (i == count ? 1 : 2);
        }
        ok(placed, "histogram %d: a bound belongs to its bucket, the next value to the next bucket",
           h);
    }
    ok(rising, "bounds rise");
}

static void test_backlog(void)
{
    rh_backlog_t backlog, counted = {30, 20, 5000000, 0};
    apr_time_t now = SECONDS(1000);

    memset(&host, 0, sizeof(host));
    ok(!rh_metrics_backlog_due(&metrics, now), "a backlog that no process asks for is not counted");
    ok(!rh_metrics_backlog_read(&metrics, now, &backlog), "at first it is unknown");
    ok(rh_metrics_backlog_due(&metrics, now + 1), "after a request one process should count it");
    ok(!rh_metrics_backlog_due(&metrics, now + SECONDS(4)),
       "only one should, and not again at once");
    counted.counted_at = now + 10;
    rh_metrics_backlog_set(&metrics, &counted);
    ok(rh_metrics_backlog_read(&metrics, now + SECONDS(5), &backlog) && backlog.pending == 30 &&
           backlog.due == 20 && backlog.oldest == 5000000,
       "the count can be read");
    ok(rh_metrics_backlog_due(&metrics, now + SECONDS(6)),
       "after five seconds it should be counted again");
    ok(!rh_metrics_backlog_read(&metrics, now + SECONDS(60), &backlog),
       "an old count is not returned");
    ok(rh_metrics_backlog_due(&metrics, now + SECONDS(200)), "counting continues for some minutes");
    ok(!rh_metrics_backlog_due(&metrics, now + SECONDS(300)), "then it ends");
    rh_metrics_backlog_read(&metrics, now, &backlog);
    ok(rh_metrics_backlog_due(&metrics, now), "a clock that is set back does not stop it");
}

static const char *whole(rh_openmetrics_t *out)
{
    rh_bytes_t text = rh_openmetrics_end(out);

    return apr_pstrmemdup(pool, text.data, text.len);
}

static void put_all(rh_openmetrics_t *out)
{
    static const apr_int64_t bounds[] = {2500, 1000000};
    static const apr_uint64_t in[] = {1, 0, 2};
    const char *none[] = {NULL};
    const char *strange[] = {"host", "a\\b\"c\nd", "type", "", NULL};

    rh_openmetrics_family(out, "x_build", RH_FAMILY_INFO, NULL, "About \"it\"");
    rh_openmetrics_sample(out, none, 1);
    rh_openmetrics_family(out, "x_events", RH_FAMILY_COUNTER, NULL, "Lines\nand \\");
    rh_openmetrics_sample(out, strange, 7);
    rh_openmetrics_family(out, "x_age_seconds", RH_FAMILY_GAUGE, "seconds", "Age");
    rh_openmetrics_seconds(out, NULL, -1500000);
    rh_openmetrics_family(out, "x_took_seconds", RH_FAMILY_HISTOGRAM, "seconds", "Took");
    rh_openmetrics_histogram(out, NULL, bounds, 2, in, 3000001, true);
}

static void test_text(void)
{
    rh_openmetrics_t out;

    rh_openmetrics_begin(&out, pool, false);
    put_all(&out);
    is(whole(&out),
       "# HELP x_build About \\\"it\\\"\n# TYPE x_build info\nx_build_info 1\n"
       "# HELP x_events Lines\\nand \\\\\n# TYPE x_events counter\n"
       "x_events_total{host=\"a\\\\b\\\"c\\nd\",type=\"\"} 7\n"
       "# HELP x_age_seconds Age\n# TYPE x_age_seconds gauge\n# UNIT x_age_seconds seconds\n"
       "x_age_seconds -1.5\n"
       "# HELP x_took_seconds Took\n# TYPE x_took_seconds histogram\n"
       "# UNIT x_took_seconds seconds\n"
       "x_took_seconds_bucket{le=\"0.0025\"} 1\nx_took_seconds_bucket{le=\"1.0\"} 1\n"
       "x_took_seconds_bucket{le=\"+Inf\"} 3\nx_took_seconds_count 3\n"
       "x_took_seconds_sum 3.000001\n# EOF\n",
       "OpenMetrics, with special characters escaped");
    rh_openmetrics_begin(&out, pool, true);
    put_all(&out);
    is(whole(&out),
       "# HELP x_build_info About \"it\"\n# TYPE x_build_info gauge\nx_build_info 1\n"
       "# HELP x_events_total Lines\\nand \\\\\n# TYPE x_events_total counter\n"
       "x_events_total{host=\"a\\\\b\\\"c\\nd\",type=\"\"} 7\n"
       "# HELP x_age_seconds Age\n# TYPE x_age_seconds gauge\nx_age_seconds -1.5\n"
       "# HELP x_took_seconds Took\n# TYPE x_took_seconds histogram\n"
       "x_took_seconds_bucket{le=\"0.0025\"} 1\nx_took_seconds_bucket{le=\"1.0\"} 1\n"
       "x_took_seconds_bucket{le=\"+Inf\"} 3\nx_took_seconds_count 3\n"
       "x_took_seconds_sum 3.000001\n",
       "the older text format");
    rh_openmetrics_begin(&out, pool, false);
    rh_openmetrics_family(&out, "x", RH_FAMILY_GAUGE, NULL, "Many");
    for (int i = 0; i < 20000; i++) {
        rh_openmetrics_sample(&out, NULL, i);
    }
    is_int((long long)rh_openmetrics_end(&out).len,
           14 + 15 + 10 * 4 + 90 * 5 + 900 * 6 + 9000 * 7 + 10000 * 8 + 6,
           "a long text has the right length");
}

static void test_accept(void)
{
    static const struct {
        const char *accept;
        bool prometheus;
    } cases[] = {
        {NULL, false},
        {"", false},
        {"*/*", false},
        {"text/html,application/xhtml+xml,*/*;q=0.8", false},
        {"text/plain", true},
        {"TEXT/PLAIN;version=0.0.4;q=0.5,*/*;q=0.1", true},
        {"application/openmetrics-text;version=1.0.0;q=0.7,text/plain;version=0.0.4;q=0.3", false},
        {"text/plain;q=0.3, application/openmetrics-text", false},
        {"text/plainer", false},
        {"a/text/plain", false},
        {"application/json , text/plain", true},
    };
    bool right = true;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        right = right && rh_openmetrics_prefers_prometheus(cases[i].accept) == cases[i].prometheus;
    }
    ok(right, "Accept chooses the format");
}

int main(void)
{
    apr_initialize();
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    test_counting();
    test_buckets();
    test_backlog();
    test_text();
    test_accept();
    apr_pool_destroy(pool);
    return done_testing();
}
