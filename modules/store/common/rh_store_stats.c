/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Read statistics in buckets of time. If buckets are whole hours, they are read from stat_hour and
 * stat_change; otherwise, and while the log is still being counted after an upgrade, from the logs.
 */
#include "rh_rows.h"
#include "rh_store_private.h"
#include "rh_uuid.h"

#include <apr_lib.h>

/** Number of counters of durations: one per millisecond up to 100 ms, then per value of two digits,
 * then per second. */
#define DURATIONS 1024

/** Return the counter of a duration that is rounded as the statements do it. */
static int duration_index(apr_int64_t ms)
{
    apr_int64_t i = ms < 100     ? ms
                    : ms < 1000  ? 100 + (ms - 100) / 10
                    : ms < 10000 ? 190 + (ms - 1000) / 100
                                 : 280 + (ms - 10000) / 1000;

    return i < 0 ? 0 : i < DURATIONS ? (int)i : DURATIONS - 1;
}

/** Return the duration that a counter stands for. */
static int duration_of(int i)
{
    return i < 100   ? i
           : i < 190 ? 100 + (i - 100) * 10
           : i < 280 ? 1000 + (i - 190) * 100
                     : 10000 + (i - 280) * 1000;
}

/** A request for statistics, and the arguments that its statements have in common. */
typedef struct stats_t {
    const rh_stats_range_t *range;
    const char *tenant;
    const char *counted_id;     /**< of the rows of stat_hour; RH_NO_ID: all subscriptions */
    const char *first, *last;   /**< ids of subscriptions */
    const char *from, *until;   /**< milliseconds */
    const char *step;           /**< milliseconds */
    const char *lowest, *end;   /**< ids of deliveries and attempts in the range */
    const char *earliest;       /**< id of deliveries that may have an attempt in the range */
    const char *ranges;         /**< ids of the buckets, as JSON */
    bool hours;                 /**< hours are counted, and the buckets are whole hours */
    rh_stats_bucket_t *buckets; /**< receives the numbers */
    apr_int64_t **durations;    /**< by bucket: DURATIONS counters, or NULL */
    apr_array_header_t *by_subscription; /**< receives rows */
} stats_t;

/** Return the buckets' ranges of ids as an argument of the statements. */
static const char *bucket_rows(apr_pool_t *pool, const rh_stats_range_t *range)
{
    char low[RH_UUID_LEN + 1], high[RH_UUID_LEN + 1];
    rh_rows_t rows;

    rh_rows_begin(&rows, pool);
    for (int i = 0; i < range->count; i++) {
        rh_uuid_floor(range->from + i * range->step, low);
        rh_uuid_floor(i + 1 < range->count ? range->from + (i + 1) * range->step : range->to, high);
        rh_rows_next(&rows);
        rh_rows_number(&rows, "n", i);
        rh_rows_text(&rows, "low", low);
        rh_rows_text(&rows, "high", high);
    }
    return rh_rows_end(&rows);
}

bool rh_stats_whole_hours(const rh_stats_range_t *range)
{
    return range->from % RH_STATS_HOUR == 0 && range->to % RH_STATS_HOUR == 0 &&
           range->step % RH_STATS_HOUR == 0;
}

static void begin_stats(stats_t *stats, const char *tenant, const char *subscription_id,
                        const rh_stats_range_t *range, apr_pool_t *pool)
{
    const char *unused;

    memset(stats, 0, sizeof(*stats));
    stats->range = range;
    stats->tenant = tenant;
    stats->counted_id = stats->first = subscription_id ? subscription_id : RH_NO_ID;
    stats->last = subscription_id ? subscription_id : RH_LAST_ID;
    stats->from = rh_store_number(pool, rh_store_ms(range->from));
    stats->until = rh_store_number(pool, rh_store_ms(range->to));
    stats->step = rh_store_number(pool, rh_store_ms(range->step));
    rh_store_range(pool, range->from, range->to, NULL, &stats->lowest, &stats->end);
    rh_store_range(pool, range->from - (range->to - range->from), 0, NULL, &stats->earliest,
                   &unused);
}

/** Decide which tables the numbers come from. */
static apr_status_t choose_source(rh_db_t *db, stats_t *stats, apr_pool_t *pool)
{
    apr_array_header_t *rows;
    apr_status_t status = APR_SUCCESS;

    stats->hours = rh_stats_whole_hours(stats->range);
    if (stats->hours) {
        status = rh_db_fetch(db, RH_QUERY(setting_get, .name = RH_STATS_RECOUNT), pool, &rows);
        stats->hours = status == APR_SUCCESS && rows->nelts == 0;
    }
    if (status == APR_SUCCESS && !stats->hours) {
        stats->ranges = bucket_rows(pool, stats->range);
    }
    return status;
}

/** Return the bucket of a number; -1: outside of the range. */
static int bucket_of(const stats_t *stats, apr_int64_t n)
{
    return n >= 0 && n < stats->range->count ? (int)n : -1;
}

static void add_duration(stats_t *stats, int n, apr_int64_t ms, apr_int64_t attempts,
                         apr_pool_t *pool)
{
    if (!stats->durations[n]) {
        stats->durations[n] = apr_pcalloc(pool, DURATIONS * sizeof(**stats->durations));
    }
    stats->durations[n][duration_index(ms)] += attempts;
    stats->buckets[n].attempts += attempts;
}

/** Add durations from a JSON object of numbers: milliseconds with how many attempts. */
static void add_durations(stats_t *stats, int n, const char *json, apr_pool_t *pool)
{
    apr_int64_t numbers[2];
    int found = 0;

    while (*json) {
        if (*json == '-' || apr_isdigit(*json)) {
            char *end;

            numbers[found++] = apr_strtoi64(json, &end, 10);
            json = end > json ? end : json + 1;
        } else {
            json++;
        }
        if (found == 2) {
            add_duration(stats, n, numbers[0], numbers[1], pool);
            found = 0;
        }
    }
}

/** Return the rank-th smallest duration (nearest-rank percentile). */
static int duration_at(const apr_int64_t *counters, apr_int64_t rank)
{
    int i = 0;

    while (i < DURATIONS - 1 && rank > counters[i]) {
        rank -= counters[i++];
    }
    return duration_of(i);
}

static void set_percentiles(rh_stats_bucket_t *bucket, const apr_int64_t *counters)
{
    apr_int64_t all = bucket->attempts;

    bucket->p50 = bucket->p90 = bucket->p99 = -1;
    if (all > 0) {
        bucket->p50 = duration_at(counters, (all * 50 + 99) / 100);
        bucket->p90 = duration_at(counters, (all * 90 + 99) / 100);
        bucket->p99 = duration_at(counters, (all * 99 + 99) / 100);
    }
}

/** Arguments of the statements that count deliveries. */
#define RANGE_OF(stats)                                                                            \
    .tenant = (stats)->tenant, .first = (stats)->first, .last = (stats)->last,                     \
    .from = (stats)->from, .lowest = (stats)->lowest, .end = (stats)->end

static apr_status_t read_hours(rh_db_t *db, stats_t *stats, apr_pool_t *pool)
{
    apr_array_header_t *rows;
    apr_status_t status =
        rh_db_fetch(db,
                    RH_QUERY(stats_hours, RANGE_OF(stats), .counted_id = stats->counted_id,
                             .until = stats->until),
                    pool, &rows);

    for (int i = 0; status == APR_SUCCESS && i < rows->nelts; i++) {
        const rh_stats_hours_row_t *row = RH_ROW(stats_hours, rows, i);
        apr_int64_t after = rh_db_number(row->hour) * 1000 - stats->range->from;
        int n = bucket_of(stats, after / stats->range->step);

        if (n >= 0) {
            apr_int64_t *deliveries = stats->buckets[n].deliveries;

            deliveries[RH_DELIVERY_DELIVERED] += rh_db_number(row->delivered);
            deliveries[RH_DELIVERY_FAILED] += rh_db_number(row->failed);
            deliveries[RH_DELIVERY_CANCELLED] += rh_db_number(row->cancelled);
            deliveries[RH_DELIVERY_PENDING] += rh_db_number(row->pending);
            add_durations(stats, n, row->durations, pool);
        }
    }
    return status;
}

/** Read the rows of two statements, for a tenant or for one subscription. */
static apr_status_t fetch_log(rh_db_t *db, const stats_t *stats, apr_pool_t *pool,
                              apr_array_header_t **states, apr_array_header_t **durations)
{
    bool all = stats->first != stats->last;
    apr_status_t status = rh_db_fetch(
        db,
        all ? RH_QUERY(stats_states, RANGE_OF(stats), .ranges = stats->ranges, .step = stats->step)
            : RH_QUERY(stats_states_subscription, RANGE_OF(stats), .ranges = stats->ranges,
                       .step = stats->step),
        pool, states);

    if (status != APR_SUCCESS) {
        return status;
    }
    return rh_db_fetch(
        db,
        all ? RH_QUERY(stats_durations, .tenant = stats->tenant, .ranges = stats->ranges,
                       .from = stats->from, .step = stats->step, .earliest = stats->earliest,
                       .lowest = stats->lowest, .end = stats->end)
            : RH_QUERY(stats_durations_subscription, .tenant = stats->tenant,
                       .ranges = stats->ranges, .first = stats->first, .from = stats->from,
                       .step = stats->step, .earliest = stats->earliest, .lowest = stats->lowest,
                       .end = stats->end),
        pool, durations);
}

static apr_status_t read_log(rh_db_t *db, stats_t *stats, apr_pool_t *pool)
{
    apr_array_header_t *states, *durations;
    apr_status_t status = fetch_log(db, stats, pool, &states, &durations);
    rh_delivery_state_t state;

    for (int i = 0; status == APR_SUCCESS && i < states->nelts; i++) {
        const rh_stats_states_row_t *row = RH_ROW(stats_states, states, i);
        int n = bucket_of(stats, rh_db_number(row->n));

        if (n >= 0 && rh_delivery_state_parse(row->state, &state)) {
            stats->buckets[n].deliveries[state] += rh_db_number(row->count);
        }
    }
    for (int i = 0; status == APR_SUCCESS && i < durations->nelts; i++) {
        const rh_stats_durations_row_t *row = RH_ROW(stats_durations, durations, i);
        int n = bucket_of(stats, rh_db_number(row->n));

        if (n >= 0) {
            add_duration(stats, n, rh_db_number(row->rounded), rh_db_number(row->count), pool);
        }
    }
    return status;
}

static apr_status_t stats_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    stats_t *stats = baton;
    apr_size_t count = (apr_size_t)stats->range->count;
    apr_status_t status = choose_source(db, stats, pool);

    stats->buckets = apr_pcalloc(pool, count * sizeof(*stats->buckets));
    stats->durations = apr_pcalloc(pool, count * sizeof(*stats->durations));
    if (status == APR_SUCCESS) {
        status = stats->hours ? read_hours(db, stats, pool) : read_log(db, stats, pool);
    }
    return status;
}

apr_status_t rh_store_stats(rh_store_t *store, const char *tenant, const char *subscription_id,
                            const rh_stats_range_t *range, apr_pool_t *pool,
                            rh_stats_bucket_t **buckets)
{
    apr_status_t status;
    stats_t stats;

    begin_stats(&stats, tenant, subscription_id, range, pool);
    status = rh_store_run(store->source, false, stats_work, &stats, pool);
    if (status != APR_SUCCESS) {
        return status;
    }
    for (int n = 0; n < range->count; n++) {
        set_percentiles(&stats.buckets[n], stats.durations[n]);
    }
    *buckets = stats.buckets;
    return APR_SUCCESS;
}

static apr_status_t subscriptions_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    stats_t *stats = baton;
    const char *limit =
        rh_store_number(pool, (apr_int64_t)stats->range->count * RH_STATS_SUBSCRIPTIONS);
    apr_status_t status = choose_source(db, stats, pool);

    if (status != APR_SUCCESS) {
        return status;
    }
    return rh_db_fetch(db,
                       stats->hours
                           ? RH_QUERY(stats_hours_subscriptions, RANGE_OF(stats),
                                      .until = stats->until, .step = stats->step, .limit = limit)
                           : RH_QUERY(stats_subscriptions, RANGE_OF(stats), .ranges = stats->ranges,
                                      .step = stats->step, .limit = limit),
                       pool, &stats->by_subscription);
}

apr_status_t rh_store_stats_subscriptions(rh_store_t *store, const char *tenant,
                                          const rh_stats_range_t *range, apr_pool_t *pool,
                                          apr_array_header_t **rows)
{
    apr_size_t bytes = (apr_size_t)range->count * sizeof(apr_int64_t);
    rh_stats_subscription_t *last = NULL;
    apr_status_t status;
    stats_t stats;

    begin_stats(&stats, tenant, NULL, range, pool);
    status = rh_store_run(store->source, false, subscriptions_work, &stats, pool);
    if (status != APR_SUCCESS) {
        return status;
    }
    *rows = apr_array_make(pool, 16, sizeof(rh_stats_subscription_t *));
    for (int i = 0; i < stats.by_subscription->nelts; i++) {
        const rh_stats_hours_subscriptions_row_t *row =
            RH_ROW(stats_hours_subscriptions, stats.by_subscription, i);
        int n = bucket_of(&stats, rh_db_number(row->n));

        if (!last || strcmp(last->id, row->subscription_id) != 0) {
            if ((*rows)->nelts == RH_STATS_SUBSCRIPTIONS) {
                break;
            }
            last = apr_pcalloc(pool, sizeof(*last));
            last->id = row->subscription_id;
            last->delivered = apr_pcalloc(pool, bytes);
            last->failed = apr_pcalloc(pool, bytes);
            APR_ARRAY_PUSH(*rows, rh_stats_subscription_t *) = last;
        }
        if (n >= 0) {
            last->delivered[n] = rh_db_number(row->delivered);
            last->failed[n] = rh_db_number(row->failed);
        }
    }
    return APR_SUCCESS;
}
