/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Subscriptions: what the API reads and changes of them. */
#include "rh_event_type.h"
#include "rh_queue_private.h"
#include "rh_rows.h"

/** Columns of rh_sql_subscription_get and _list. */
static rh_subscription_t *read_row(const char **row, apr_pool_t *pool)
{
    rh_subscription_t *subscription = apr_pcalloc(pool, sizeof(*subscription));
    rh_bytes_t patterns = {row[3] ? row[3] : "[]", row[3] ? strlen(row[3]) : 2};
    apr_size_t cursor = 0;
    rh_json_span_t span;

    subscription->tenant = row[0];
    subscription->id = row[1];
    subscription->target_url = row[2];
    subscription->events = apr_array_make(pool, 4, sizeof(const char *));
    while (rh_json_next(patterns.data, patterns.len, &cursor, &span)) {
        APR_ARRAY_PUSH(subscription->events, const char *) = rh_json_string(pool, span.value);
    }
    subscription->description = row[4] ? row[4] : "";
    rh_format_parse(row[5], &subscription->format);
    subscription->headers = row[6];
    subscription->ordered = rh_db_number(row[7]) != 0;
    subscription->rate_limit = (int)rh_db_number(row[8]);
    rh_subscription_state_parse(row[9], &subscription->state);
    subscription->state_reason = rh_db_text(row[10]);
    subscription->secret = row[11];
    subscription->old_secret = rh_db_text(row[12]);
    subscription->old_secret_until = rh_db_number(row[13]) * 1000;
    subscription->base_url = row[14] ? row[14] : "";
    subscription->created_at = rh_db_number(row[15]) * 1000;
    subscription->updated_at = rh_db_number(row[16]) * 1000;
    subscription->revision = rh_db_number(row[17]);
    subscription->stats.delivered = rh_db_number(row[18]);
    subscription->stats.failed = rh_db_number(row[19]);
    subscription->stats.last_status_code = (int)rh_db_number(row[20]);
    subscription->stats.last_attempt_at = rh_db_number(row[21]) * 1000;
    subscription->stats.pending = rh_db_number(row[22]);
    return subscription;
}

static apr_status_t insert_events(rh_db_t *db, const rh_subscription_t *subscription,
                                  apr_pool_t *pool)
{
    const char *args[] = {subscription->tenant, subscription->id,
                          rh_rows_strings(pool, subscription->events)};

    return rh_db_execute(db, &rh_sql_subscription_events_insert, 3, args, pool, NULL);
}

/** A subscription to insert, and how many the tenant may have. */
typedef struct creation_t {
    const rh_subscription_t *subscription;
    int max;
} creation_t;

/** Let no other process insert one of this tenant until the end of the transaction. A writing
 * transaction of SQLite has no other beside it. */
static apr_status_t lock_tenant(rh_db_t *db, const char *tenant, apr_pool_t *pool)
{
    const char *args[] = {tenant, "subscriptions"};
    apr_array_header_t *rows;

    return db->dialect == RH_DIALECT_PGSQL
               ? rh_db_select(db, &rh_sql_replay_lock, 2, args, pool, &rows)
               : APR_SUCCESS;
}

/** Check the number of the tenant's subscriptions, the new one included. */
static apr_status_t check_count(rh_db_t *db, const creation_t *creation, apr_pool_t *pool)
{
    const char *args[] = {creation->subscription->tenant};
    apr_array_header_t *rows;
    apr_status_t status = rh_db_select(db, &rh_sql_subscription_count, 1, args, pool, &rows);

    if (status == APR_SUCCESS && rh_db_number(rh_row(rows, 0)[0]) > creation->max) {
        status = APR_ENOSPC;
    }
    return status;
}

static apr_status_t create_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    const creation_t *creation = baton;
    const rh_subscription_t *subscription = creation->subscription;
    const char *now = rh_store_number(pool, rh_store_ms(subscription->created_at));
    const char *args[] = {subscription->tenant,
                          subscription->id,
                          subscription->target_url,
                          subscription->description,
                          rh_format_name(subscription->format),
                          subscription->headers,
                          subscription->ordered ? "1" : "0",
                          rh_store_number(pool, subscription->rate_limit),
                          rh_subscription_state_name(subscription->state),
                          subscription->state_reason,
                          subscription->secret,
                          subscription->base_url,
                          now,
                          now};
    apr_status_t status = lock_tenant(db, subscription->tenant, pool);

    if (status == APR_SUCCESS) {
        status = rh_db_execute(db, &rh_sql_subscription_insert, 14, args, pool, NULL);
    }
    if (status == APR_SUCCESS) {
        status = check_count(db, creation, pool);
    }
    if (status == APR_SUCCESS) {
        status = rh_db_execute(db, &rh_sql_subscription_stat_insert, 2, args, pool, NULL);
    }
    if (status == APR_SUCCESS) {
        status = insert_events(db, subscription, pool);
    }
    return status;
}

apr_status_t rh_store_subscription_create(rh_store_t *store, rh_subscription_t *subscription,
                                          int max, apr_pool_t *pool)
{
    creation_t creation = {subscription, max};

    /* As the row will show it. */
    subscription->created_at = subscription->updated_at = rh_store_ms(apr_time_now()) * 1000;
    subscription->revision = 1;
    return rh_store_run(store->source, true, create_work, &creation, pool);
}

apr_status_t rh_store_subscription_get(rh_store_t *store, const char *tenant, const char *id,
                                       apr_pool_t *pool, rh_subscription_t **subscription)
{
    const char *args[] = {tenant, id};
    apr_array_header_t *rows;
    apr_status_t status =
        rh_store_select(store->source, &rh_sql_subscription_get, 2, args, pool, &rows);

    if (status == APR_SUCCESS && rows->nelts == 0) {
        status = APR_NOTFOUND;
    }
    if (status == APR_SUCCESS) {
        *subscription = read_row(rh_row(rows, 0), pool);
    }
    return status;
}

apr_status_t rh_store_subscription_list(rh_store_t *store, const char *tenant, const char *event,
                                        int active, const rh_page_t *page, apr_pool_t *pool,
                                        apr_array_header_t **subscriptions)
{
    const char *patterns = NULL, *wanted = active < 0 ? NULL : active ? "1" : "0";
    apr_array_header_t *rows;
    apr_status_t status;
    int i;

    if (event && rh_event_type_valid(event, strlen(event))) {
        patterns = rh_rows_strings(pool, rh_event_type_patterns(pool, event));
    } else if (event) {
        apr_array_header_t *one = apr_array_make(pool, 1, sizeof(const char *));

        APR_ARRAY_PUSH(one, const char *) = event;
        patterns = rh_rows_strings(pool, one);
    }
    {
        const char *args[] = {
            tenant, page->before ? page->before : RH_LAST_ID, patterns, patterns, wanted,
            wanted, rh_store_number(pool, page->limit)};

        status = rh_store_select(store->source, &rh_sql_subscription_list, 7, args, pool, &rows);
    }
    if (status != APR_SUCCESS) {
        return status;
    }
    *subscriptions = apr_array_make(pool, rows->nelts + 1, sizeof(rh_subscription_t *));
    for (i = 0; i < rows->nelts; i++) {
        APR_ARRAY_PUSH(*subscriptions, rh_subscription_t *) = read_row(rh_row(rows, i), pool);
    }
    return APR_SUCCESS;
}

/** Lock the subscription and its deliveries against changes by other connections. */
static apr_status_t lock_subscription(rh_db_t *db, const char *tenant, const char *id,
                                      apr_pool_t *pool)
{
    const char *args[] = {tenant, id};
    apr_array_header_t *rows;

    return db->dialect == RH_DIALECT_PGSQL
               ? rh_db_select(db, &rh_sql_subscription_lock, 2, args, pool, &rows)
               : APR_SUCCESS;
}

/** Find out why an update changed no row. */
static apr_status_t explain_unchanged(rh_db_t *db, const char *tenant, const char *id,
                                      apr_pool_t *pool)
{
    const char *args[] = {tenant, id};
    apr_array_header_t *rows;
    apr_status_t status = rh_db_select(db, &rh_sql_subscription_state, 2, args, pool, &rows);

    if (status != APR_SUCCESS) {
        return status;
    }
    return rows->nelts > 0 ? APR_EEXIST : APR_NOTFOUND;
}

/** What follows from a change: other patterns, a fresh start, no more waiting for others. */
static apr_status_t follow_up(rh_db_t *db, const rh_subscription_t *subscription, apr_pool_t *pool)
{
    const char *args[] = {subscription->tenant, subscription->id};
    apr_status_t status =
        rh_db_execute(db, &rh_sql_subscription_events_delete, 2, args, pool, NULL);

    if (status == APR_SUCCESS) {
        status = insert_events(db, subscription, pool);
    }
    if (status == APR_SUCCESS && !subscription->ordered) {
        status = rh_db_execute(db, &rh_sql_subscription_unpark, 2, args, pool, NULL);
    }
    return status;
}

/** Pauses and failures are of the target, and of the time before it was revived. */
static bool starts_afresh(const rh_subscription_t *subscription, const char *const *before)
{
    return subscription->state == RH_SUBSCRIPTION_ACTIVE &&
           (strcmp(before[0], "active") != 0 || strcmp(before[1], subscription->target_url) != 0);
}

static apr_status_t update_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    const rh_subscription_t *subscription = baton;
    const char *args[] = {subscription->target_url,
                          subscription->description,
                          rh_format_name(subscription->format),
                          subscription->headers,
                          subscription->ordered ? "1" : "0",
                          rh_store_number(pool, subscription->rate_limit),
                          rh_subscription_state_name(subscription->state),
                          subscription->state_reason,
                          subscription->secret,
                          subscription->old_secret,
                          rh_store_number(pool, rh_store_ms(subscription->old_secret_until)),
                          subscription->base_url,
                          rh_store_number(pool, rh_store_ms(subscription->updated_at)),
                          subscription->tenant,
                          subscription->id,
                          rh_store_number(pool, subscription->revision)};
    const char *key[] = {subscription->tenant, subscription->id};
    apr_array_header_t *rows;
    int affected;
    apr_status_t status = lock_subscription(db, key[0], key[1], pool);

    if (status == APR_SUCCESS) {
        status = rh_db_select(db, &rh_sql_subscription_state, 2, key, pool, &rows);
    }
    if (status == APR_SUCCESS && rows->nelts == 0) {
        return APR_NOTFOUND;
    }
    if (status == APR_SUCCESS) {
        status = rh_db_execute(db, &rh_sql_subscription_update, 16, args, pool, &affected);
    }
    if (status == APR_SUCCESS && affected == 0) {
        return APR_EEXIST;
    }
    if (status == APR_SUCCESS && starts_afresh(subscription, rh_row(rows, 0))) {
        status = rh_db_execute(db, &rh_sql_subscription_stat_clear, 2, key, pool, NULL);
    }
    return status == APR_SUCCESS ? follow_up(db, subscription, pool) : status;
}

apr_status_t rh_store_subscription_update(rh_store_t *store, rh_subscription_t *subscription,
                                          apr_pool_t *pool)
{
    apr_status_t status;

    subscription->updated_at = rh_store_ms(apr_time_now()) * 1000;
    if (subscription->state == RH_SUBSCRIPTION_ACTIVE) {
        subscription->state_reason = NULL;
    }
    status = rh_store_run(store->source, true, update_work, subscription, pool);
    if (status == APR_SUCCESS) {
        subscription->revision++;
    }
    return status;
}

typedef struct delete_t {
    const char *tenant, *id;
    apr_int64_t revision;
} delete_t;

static apr_status_t delete_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    const delete_t *what = baton;
    const char *revision = rh_store_number(pool, what->revision);
    const char *args[] = {what->tenant, what->id, revision, revision};
    apr_status_t status = lock_subscription(db, what->tenant, what->id, pool);
    int affected;

    if (status == APR_SUCCESS) {
        status = rh_db_execute(db, &rh_sql_subscription_delete, 4, args, pool, &affected);
    }
    if (status == APR_SUCCESS && affected == 0) {
        return explain_unchanged(db, what->tenant, what->id, pool);
    }
    /* Some at once: claimers cancel the others. */
    return status == APR_SUCCESS ? rh_queue_cancel(db, what->tenant, what->id, pool, NULL) : status;
}

apr_status_t rh_store_subscription_delete(rh_store_t *store, const char *tenant, const char *id,
                                          apr_int64_t revision, apr_pool_t *pool)
{
    delete_t what = {tenant, id, revision};

    return rh_store_run(store->source, true, delete_work, &what, pool);
}
