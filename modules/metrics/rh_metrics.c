/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_metrics.h"

/** Interval between two counts of a backlog. */
#define BACKLOG_SPACING apr_time_from_sec(5)
/** How long after the last read it is still counted. */
#define BACKLOG_WANTED apr_time_from_sec(180)
/** Age from which a count is not reported any more. */
#define BACKLOG_OLD apr_time_from_sec(30)

#define MSEC(number) ((number)*APR_INT64_C(1000))
#define SEC(number) ((number)*APR_INT64_C(1000000))

static const apr_int64_t attempt_bounds[] = {MSEC(5),   MSEC(10),  MSEC(25), MSEC(50),   MSEC(100),
                                             MSEC(250), MSEC(500), SEC(1),   MSEC(2500), SEC(5),
                                             SEC(10),   SEC(15),   SEC(30),  SEC(60)};
static const apr_int64_t age_bounds[] = {MSEC(1),   MSEC(5),  MSEC(10), MSEC(50),  MSEC(100),
                                         MSEC(500), SEC(1),   SEC(5),   SEC(10),   SEC(30),
                                         SEC(60),   SEC(300), SEC(900), SEC(3600), SEC(14400)};
static const apr_int64_t commit_bounds[] = {500,       MSEC(1),   MSEC(2),  MSEC(5),
                                            MSEC(10),  MSEC(25),  MSEC(50), MSEC(100),
                                            MSEC(250), MSEC(500), SEC(1),   SEC(5)};
static const apr_int64_t batch_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};

/** A row of the table for each member of the enum, since one list makes both. */
#define FAMILY_ROW(name, label, help) {name, label, help, NULL, RH_COUNT_COUNT},
#define COUNTER_ROW(id, value) {NULL, NULL, NULL, value, RH_COUNT_##id},
static const rh_counter_row_t counter_rows[] = {RH_COUNTERS(FAMILY_ROW, COUNTER_ROW)};

#define GAUGE_ROW(id, name, help) {name, help},
static const struct {
    const char *name, *help;
} gauges[] = {RH_GAUGES(GAUGE_ROW)};

#define HISTOGRAM_ROW(id, name, unit, bounds, help)                                                \
    {name, unit, help, bounds, (int)RH_COUNT_OF(bounds)},
static const struct {
    const char *name, *unit, *help;
    const apr_int64_t *bounds;
    int count;
} histograms[] = {RH_HISTOGRAMS(HISTOGRAM_ROW)};

#define CHECK_BOUNDS(id, name, unit, bounds, help)                                                 \
    RH_STATIC_ASSERT(RH_COUNT_OF(bounds) <= RH_MAX_BOUNDS, bounds_of_##id);
RH_HISTOGRAMS(CHECK_BOUNDS)

#define ADD(variable, number) __atomic_fetch_add(&(variable), (number), __ATOMIC_RELAXED)
#define GET(variable) __atomic_load_n(&(variable), __ATOMIC_RELAXED)
#define SET(variable, value) __atomic_store_n(&(variable), (value), __ATOMIC_RELAXED)

const rh_counter_row_t *rh_counter_rows(int *count)
{
    *count = (int)RH_COUNT_OF(counter_rows);
    return counter_rows;
}

const char *rh_gauge_name(rh_gauge_t gauge, const char **help)
{
    *help = gauges[gauge].help;
    return gauges[gauge].name;
}

const char *rh_histogram_name(rh_histogram_t histogram, const char **unit, const char **help)
{
    *unit = histograms[histogram].unit;
    *help = histograms[histogram].help;
    return histograms[histogram].name;
}

const apr_int64_t *rh_histogram_bounds(rh_histogram_t histogram, int *count)
{
    *count = histograms[histogram].count;
    return histograms[histogram].bounds;
}

void rh_metrics_add(const rh_metrics_t *metrics, rh_count_t counter, apr_uint64_t count)
{
    if (metrics && count > 0) {
        ADD(metrics->host->counters[counter], count);
    }
}

void rh_metrics_move(const rh_metrics_t *metrics, rh_gauge_t gauge, int by)
{
    if (metrics && metrics->gauges && by != 0) {
        ADD(metrics->gauges[gauge], by);
    }
}

void rh_metrics_observe(const rh_metrics_t *metrics, rh_histogram_t histogram, apr_int64_t value)
{
    const apr_int64_t *bounds = histograms[histogram].bounds;
    int count = histograms[histogram].count, i = 0;
    rh_buckets_t *buckets;

    if (!metrics) {
        return;
    }
    if (value < 0) {
        value = 0; /* The clock was set back. */
    }
    while (i < count && value > bounds[i]) {
        i++;
    }
    buckets = &metrics->host->histograms[histogram];
    ADD(buckets->in[i], 1);
    ADD(buckets->sum, (apr_uint64_t)value);
}

static apr_uint64_t *event_counter(const rh_metrics_t *metrics, int type, int source)
{
    if (type < 0 || type > metrics->types) {
        type = metrics->types;
    }
    return &metrics->events[type * metrics->sources + source];
}

void rh_metrics_event(const rh_metrics_t *metrics, int type, int source)
{
    if (metrics && source >= 0 && source < metrics->sources) {
        ADD(*event_counter(metrics, type, source), 1);
    }
}

static bool has_miss(const rh_metrics_t *metrics, int rule, int reason)
{
    return metrics && rule >= 0 && rule < metrics->rules && reason >= 0 &&
           reason < metrics->reasons;
}

void rh_metrics_miss(const rh_metrics_t *metrics, int rule, int reason)
{
    if (has_miss(metrics, rule, reason)) {
        ADD(metrics->missed[rule * metrics->reasons + reason], 1);
    }
}

apr_uint64_t rh_metrics_read_miss(const rh_metrics_t *metrics, int rule, int reason)
{
    return has_miss(metrics, rule, reason) ? GET(metrics->missed[rule * metrics->reasons + reason])
                                           : 0;
}

apr_uint64_t rh_metrics_read(const rh_metrics_t *metrics, rh_count_t counter)
{
    return GET(metrics->host->counters[counter]);
}

apr_uint64_t rh_metrics_read_family(const rh_metrics_t *metrics, rh_count_t counter)
{
    apr_uint64_t sum = 0;
    bool found = false;

    for (int i = 0; i < (int)RH_COUNT_OF(counter_rows); i++) {
        const rh_counter_row_t *row = &counter_rows[i];

        if (row->name && found) {
            break;
        }
        sum = row->name ? 0 : sum + rh_metrics_read(metrics, row->counter);
        found = found || (!row->name && row->counter == counter);
    }
    return sum;
}

apr_uint64_t rh_metrics_read_event(const rh_metrics_t *metrics, int type, int source)
{
    return GET(*event_counter(metrics, type, source));
}

apr_uint64_t rh_metrics_read_histogram(const rh_metrics_t *metrics, rh_histogram_t histogram,
                                       rh_buckets_t *buckets)
{
    const rh_buckets_t *from = &metrics->host->histograms[histogram];
    apr_uint64_t count = 0;
    int i;

    buckets->sum = GET(from->sum);
    for (i = 0; i <= RH_MAX_BOUNDS; i++) {
        buckets->in[i] = GET(from->in[i]);
        count += buckets->in[i];
    }
    return count;
}

bool rh_metrics_backlog_read(const rh_metrics_t *metrics, apr_time_t now, rh_backlog_t *backlog)
{
    rh_metrics_host_t *host = metrics->host;

    SET(host->backlog_wanted, now);
    backlog->counted_at = __atomic_load_n(&host->backlog.counted_at, __ATOMIC_ACQUIRE);
    backlog->pending = GET(host->backlog.pending);
    backlog->due = GET(host->backlog.due);
    backlog->oldest = GET(host->backlog.oldest);
    return backlog->counted_at != 0 && backlog->counted_at + BACKLOG_OLD > now;
}

bool rh_metrics_backlog_due(const rh_metrics_t *metrics, apr_time_t now)
{
    rh_metrics_host_t *host;
    apr_time_t next;

    if (!metrics) {
        return false;
    }
    host = metrics->host;
    next = GET(host->backlog_next);
    /* Also when the clock was set back. */
    if (GET(host->backlog_wanted) + BACKLOG_WANTED < now ||
        (now < next && next <= now + BACKLOG_SPACING)) {
        return false;
    }
    return __atomic_compare_exchange_n(&host->backlog_next, &next, now + BACKLOG_SPACING, false,
                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void rh_metrics_backlog_set(const rh_metrics_t *metrics, const rh_backlog_t *backlog)
{
    rh_backlog_t *to = &metrics->host->backlog;

    SET(to->pending, backlog->pending);
    SET(to->due, backlog->due);
    SET(to->oldest, backlog->oldest);
    __atomic_store_n(&to->counted_at, backlog->counted_at, __ATOMIC_RELEASE);
}
