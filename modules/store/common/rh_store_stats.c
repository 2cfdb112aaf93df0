/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Statistics from the logs, in buckets of time. */
#include "rh_rows.h"
#include "rh_store_private.h"
#include "rh_uuid.h"

/** The buckets' ranges of ids, as the statements take them. */
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

/** Return the bucket of a row; -1: outside of the range. */
static int bucket_of(const rh_stats_range_t *range, const char *text)
{
    apr_int64_t n = rh_db_number(text);

    return n >= 0 && n < range->count ? (int)n : -1;
}

static apr_int64_t count_of(const apr_array_header_t *durations, int i)
{
    return rh_db_number(RH_ROW(stats_durations, durations, i)->count);
}

/** The rank-th smallest duration (nearest rank) of one bucket's rows, which are in order. */
static int duration_at(apr_array_header_t *rows, int first, int end, apr_int64_t rank)
{
    int i = first;

    while (i < end - 1 && rank > count_of(rows, i)) {
        rank -= count_of(rows, i++);
    }
    return (int)rh_db_number(RH_ROW(stats_durations, rows, i)->rounded);
}

/** Percentiles of one bucket, from its rows. */
static void set_durations(rh_stats_bucket_t *bucket, apr_array_header_t *rows, int first, int end)
{
    apr_int64_t all = 0;

    for (int i = first; i < end; i++) {
        all += count_of(rows, i);
    }
    bucket->attempts = all;
    bucket->p50 = duration_at(rows, first, end, (all * 50 + 99) / 100);
    bucket->p90 = duration_at(rows, first, end, (all * 90 + 99) / 100);
    bucket->p99 = duration_at(rows, first, end, (all * 99 + 99) / 100);
}

/** Parameters shared by the two statements. */
typedef struct stats_t {
    const char *tenant, *subscription; /**< NULL: the whole tenant */
    const char *buckets, *lowest, *end;
    apr_array_header_t *states, *durations;
} stats_t;

static apr_status_t read_subscription(rh_db_t *db, stats_t *stats, apr_pool_t *pool)
{
    apr_status_t status =
        rh_db_fetch(db,
                    RH_QUERY(stats_states_subscription, .tenant = stats->tenant,
                             .subscription_id = stats->subscription, .ranges = stats->buckets),
                    pool, &stats->states);

    if (status == APR_SUCCESS) {
        status =
            rh_db_fetch(db,
                        RH_QUERY(stats_durations_subscription, .tenant = stats->tenant,
                                 .subscription_id = stats->subscription, .ranges = stats->buckets,
                                 .lowest = stats->lowest, .end = stats->end),
                        pool, &stats->durations);
    }
    return status;
}

static apr_status_t stats_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    stats_t *stats = baton;
    apr_status_t status;

    if (stats->subscription) {
        return read_subscription(db, stats, pool);
    }
    status =
        rh_db_fetch(db, RH_QUERY(stats_states, .tenant = stats->tenant, .ranges = stats->buckets),
                    pool, &stats->states);
    if (status == APR_SUCCESS) {
        status = rh_db_fetch(
            db, RH_QUERY(stats_durations, .tenant = stats->tenant, .ranges = stats->buckets), pool,
            &stats->durations);
    }
    return status;
}

apr_status_t rh_store_stats(rh_store_t *store, const char *tenant, const char *subscription_id,
                            const rh_stats_range_t *range, apr_pool_t *pool,
                            rh_stats_bucket_t **buckets)
{
    stats_t stats = {tenant, subscription_id, bucket_rows(pool, range), NULL, NULL, NULL, NULL};
    apr_time_t from = range->from - (range->to - range->from);
    apr_status_t status;
    rh_delivery_state_t state;
    int i, end, n;

    rh_store_range(pool, from, range->to, NULL, &stats.lowest, &stats.end);
    status = rh_store_run(store->source, false, stats_work, &stats, pool);
    if (status != APR_SUCCESS) {
        return status;
    }
    *buckets = apr_pcalloc(pool, (apr_size_t)range->count * sizeof(**buckets));
    for (i = 0; i < range->count; i++) {
        (*buckets)[i].p50 = (*buckets)[i].p90 = (*buckets)[i].p99 = -1;
    }
    for (i = 0; i < stats.states->nelts; i++) {
        const rh_stats_states_row_t *row = RH_ROW(stats_states, stats.states, i);

        n = bucket_of(range, row->n);
        if (n >= 0 && rh_delivery_state_parse(row->state, &state)) {
            (*buckets)[n].deliveries[state] = rh_db_number(row->count);
        }
    }
    for (i = 0; i < stats.durations->nelts; i = end) {
        n = bucket_of(range, RH_ROW(stats_durations, stats.durations, i)->n);
        for (end = i + 1; end < stats.durations->nelts; end++) {
            if (bucket_of(range, RH_ROW(stats_durations, stats.durations, end)->n) != n) {
                break;
            }
        }
        if (n >= 0) {
            set_durations(&(*buckets)[n], stats.durations, i, end);
        }
    }
    return APR_SUCCESS;
}

apr_status_t rh_store_stats_subscriptions(rh_store_t *store, const char *tenant,
                                          const rh_stats_range_t *range, apr_pool_t *pool,
                                          apr_array_header_t **rows)
{
    const apr_int64_t limit = (apr_int64_t)range->count * RH_STATS_SUBSCRIPTIONS;
    rh_stats_subscription_t *last = NULL;
    apr_array_header_t *found;
    apr_status_t status = rh_store_fetch(store->source,
                                         RH_QUERY(stats_subscriptions, .tenant = tenant,
                                                  .ranges = bucket_rows(pool, range),
                                                  .limit = rh_store_number(pool, limit)),
                                         pool, &found);
    int i, n;

    if (status != APR_SUCCESS) {
        return status;
    }
    *rows = apr_array_make(pool, 16, sizeof(rh_stats_subscription_t *));
    for (i = 0; i < found->nelts; i++) {
        const rh_stats_subscriptions_row_t *row = RH_ROW(stats_subscriptions, found, i);

        if (!last || strcmp(last->id, row->subscription_id) != 0) {
            if ((*rows)->nelts == RH_STATS_SUBSCRIPTIONS) {
                break;
            }
            last = apr_pcalloc(pool, sizeof(*last));
            last->id = row->subscription_id;
            last->delivered = apr_pcalloc(pool, (apr_size_t)range->count * sizeof(apr_int64_t));
            last->failed = apr_pcalloc(pool, (apr_size_t)range->count * sizeof(apr_int64_t));
            APR_ARRAY_PUSH(*rows, rh_stats_subscription_t *) = last;
        }
        n = bucket_of(range, row->n);
        if (n >= 0) {
            last->delivered[n] = rh_db_number(row->delivered);
            last->failed[n] = rh_db_number(row->failed);
        }
    }
    return APR_SUCCESS;
}
