/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Read and change subscriptions for the API. */
#include "rh_event_type.h"
#include "rh_matching.h"
#include "rh_queue_private.h"
#include "rh_rows.h"

/* How a member of each kind becomes an argument, and how it is read from a row. */
#define ARGUMENT_text(member) .member = subscription->member,
#define ARGUMENT_optional_text(member) .member = subscription->member,
#define ARGUMENT_number(member) .member = rh_store_number(pool, subscription->member),
#define ARGUMENT_flag(member) .member = subscription->member ? "1" : "0",
#define ARGUMENT_format(member) .member = rh_format_name(subscription->member),
#define ARGUMENT_state(member) .member = rh_subscription_state_name(subscription->member),
#define ARGUMENT_APART(member, kind)
#define ARGUMENT_OPTION(member, kind)
#define ARGUMENT_COLUMN(member, kind) ARGUMENT_##kind(member)
#define ARGUMENT(member, kind, how, stored, ...) ARGUMENT_##stored(member, kind)

#define READ_text(member) subscription->member = row->member ? row->member : "";
#define READ_optional_text(member) subscription->member = rh_db_text(row->member);
#define READ_number(member) RH_READ_number(subscription, member)
#define READ_flag(member) RH_READ_flag(subscription, member)
#define READ_format(member) RH_READ_format(subscription, member)
#define READ_state(member) rh_subscription_state_parse(row->member, &subscription->member);
#define READ_APART(member, kind)
#define READ_OPTION(member, kind)
#define READ_COLUMN(member, kind) READ_##kind(member)
#define READ(member, kind, how, stored, ...) READ_##stored(member, kind)

static rh_subscription_t *read_row(const rh_subscription_get_row_t *row, apr_pool_t *pool)
{
    rh_subscription_t *subscription = apr_pcalloc(pool, sizeof(*subscription));
    const char *patterns = row->events ? row->events : "[]";
    apr_size_t cursor = 0;
    rh_json_span_t span;

    subscription->tenant = row->tenant;
    subscription->id = row->id;
    subscription->events = apr_array_make(pool, 4, sizeof(const char *));
    while (rh_json_next(patterns, strlen(patterns), &cursor, &span)) {
        APR_ARRAY_PUSH(subscription->events, const char *) = rh_json_string(pool, span.value);
    }
    RH_MEMBERS(READ)
    rh_subscription_set_options(subscription, row->options, pool);
    subscription->old_secret = rh_db_text(row->old_secret);
    subscription->old_secret_until = rh_db_number(row->old_secret_until) * 1000;
    subscription->base_url = row->base_url ? row->base_url : "";
    subscription->created_at = rh_db_number(row->created_at) * 1000;
    subscription->updated_at = rh_db_number(row->updated_at) * 1000;
    subscription->revision = rh_db_number(row->revision);
    subscription->stats.delivered = rh_db_number(row->delivered);
    subscription->stats.failed = rh_db_number(row->failed);
    subscription->stats.last_status_code = (int)rh_db_number(row->last_status_code);
    subscription->stats.last_attempt_at = rh_db_number(row->last_attempt_at) * 1000;
    subscription->stats.pending = rh_db_number(row->pending);
    return subscription;
}

static apr_status_t insert_events(rh_db_t *db, const rh_subscription_t *subscription,
                                  apr_pool_t *pool)
{
    return rh_db_change(db,
                        RH_QUERY(subscription_events_insert, .tenant = subscription->tenant,
                                 .id = subscription->id,
                                 .patterns = rh_rows_strings(pool, subscription->events)),
                        pool, NULL);
}

/** A subscription to insert, and the tenant's maximum number of them. */
typedef struct creation_t {
    const rh_subscription_t *subscription;
    int max;
} creation_t;

/** Check the number of the tenant's subscriptions, the new one included. */
static apr_status_t check_count(rh_db_t *db, const creation_t *creation, apr_pool_t *pool)
{
    apr_array_header_t *rows;
    apr_status_t status = rh_db_fetch(
        db, RH_QUERY(subscription_count, .tenant = creation->subscription->tenant), pool, &rows);

    if (status == APR_SUCCESS &&
        rh_db_number(RH_ROW(subscription_count, rows, 0)->count) > creation->max) {
        status = APR_ENOSPC;
    }
    return status;
}

static apr_status_t insert_row(rh_db_t *db, const rh_subscription_t *subscription, apr_pool_t *pool)
{
    const char *now = rh_store_number(pool, rh_store_ms(subscription->created_at));

    return rh_db_change(
        db,
        RH_QUERY(subscription_insert, .tenant = subscription->tenant, .id = subscription->id,
                 .base_url = subscription->base_url, .created_at = now, .updated_at = now,
                 .options = rh_subscription_options(subscription, pool), RH_MEMBERS(ARGUMENT)),
        pool, NULL);
}

static apr_status_t create_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    const creation_t *creation = baton;
    const rh_subscription_t *subscription = creation->subscription;
    apr_array_header_t *rows;
    apr_status_t status =
        rh_db_fetch(db, RH_QUERY(tenant_lock, .tenant = subscription->tenant), pool, &rows);

    if (status == APR_SUCCESS) {
        status = insert_row(db, subscription, pool);
    }
    if (status == APR_SUCCESS) {
        status = check_count(db, creation, pool);
    }
    if (status == APR_SUCCESS) {
        status = rh_db_change(db,
                              RH_QUERY(subscription_stat_insert, .tenant = subscription->tenant,
                                       .id = subscription->id),
                              pool, NULL);
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

    /* Set the values that the stored row will have. */
    subscription->created_at = subscription->updated_at = rh_store_ms(apr_time_now()) * 1000;
    subscription->revision = 1;
    return rh_store_run(store->source, true, create_work, &creation, pool);
}

apr_status_t rh_store_subscription_get(rh_store_t *store, const char *tenant, const char *id,
                                       apr_pool_t *pool, rh_subscription_t **subscription)
{
    apr_array_header_t *rows;
    apr_status_t status = rh_store_fetch(
        store->source, RH_QUERY(subscription_get, .tenant = tenant, .id = id), pool, &rows);

    if (status == APR_SUCCESS && rows->nelts == 0) {
        status = APR_NOTFOUND;
    }
    if (status == APR_SUCCESS) {
        *subscription = read_row(RH_ROW(subscription_get, rows, 0), pool);
    }
    return status;
}

/** Return the patterns that cover a type, as JSON. A pattern is covered by itself. */
static const char *patterns_json(apr_pool_t *pool, const char *event)
{
    apr_array_header_t *one;

    if (rh_event_type_valid(event, strlen(event))) {
        return rh_rows_strings(pool, rh_matching_patterns(pool, event));
    }
    one = apr_array_make(pool, 1, sizeof(const char *));
    APR_ARRAY_PUSH(one, const char *) = event;
    return rh_rows_strings(pool, one);
}

apr_status_t rh_store_subscription_list(rh_store_t *store, const char *tenant, const char *event,
                                        int active, const rh_page_t *page, apr_pool_t *pool,
                                        apr_array_header_t **subscriptions)
{
    apr_array_header_t *rows;
    apr_status_t status =
        rh_store_fetch(store->source,
                       RH_QUERY(subscription_list, .tenant = tenant,
                                .before = page->before ? page->before : RH_LAST_ID,
                                .patterns = event ? patterns_json(pool, event) : NULL,
                                .active = active < 0 ? NULL
                                          : active   ? "1"
                                                     : "0",
                                .limit = rh_store_number(pool, page->limit)),
                       pool, &rows);

    if (status != APR_SUCCESS) {
        return status;
    }
    *subscriptions = apr_array_make(pool, rows->nelts + 1, sizeof(rh_subscription_t *));
    for (int i = 0; i < rows->nelts; i++) {
        APR_ARRAY_PUSH(*subscriptions, rh_subscription_t *) =
            read_row(RH_ROW(subscription_get, rows, i), pool);
    }
    return APR_SUCCESS;
}

/** Lock the subscription and its deliveries against changes by other connections. */
static apr_status_t lock_subscription(rh_db_t *db, const char *tenant, const char *id,
                                      apr_pool_t *pool)
{
    apr_array_header_t *rows;

    return rh_db_fetch(db, RH_QUERY(subscription_lock, .tenant = tenant, .id = id), pool, &rows);
}

/** Find out why an update changed no row. */
static apr_status_t explain_unchanged(rh_db_t *db, const char *tenant, const char *id,
                                      apr_pool_t *pool)
{
    apr_array_header_t *rows;
    apr_status_t status =
        rh_db_fetch(db, RH_QUERY(subscription_state, .tenant = tenant, .id = id), pool, &rows);

    if (status != APR_SUCCESS) {
        return status;
    }
    return rows->nelts > 0 ? APR_EEXIST : APR_NOTFOUND;
}

/** Replace the patterns, and wake parked deliveries if the subscription is no longer ordered. */
static apr_status_t follow_up(rh_db_t *db, const rh_subscription_t *subscription, apr_pool_t *pool)
{
    const char *tenant = subscription->tenant, *id = subscription->id;
    apr_status_t status = rh_db_change(
        db, RH_QUERY(subscription_events_delete, .tenant = tenant, .id = id), pool, NULL);

    if (status == APR_SUCCESS) {
        status = insert_events(db, subscription, pool);
    }
    if (status == APR_SUCCESS && !subscription->ordered) {
        status =
            rh_db_change(db, RH_QUERY(subscription_unpark, .tenant = tenant, .id = id), pool, NULL);
    }
    return status;
}

/** Pauses and failures belong to the old target, or to the time before the subscription was
 * reactivated. */
static bool starts_afresh(const rh_subscription_t *subscription,
                          const rh_subscription_state_row_t *before)
{
    return subscription->state == RH_SUBSCRIPTION_ACTIVE &&
           (strcmp(before->state, "active") != 0 ||
            strcmp(before->target_url, subscription->target_url) != 0);
}

/** Write the row. @return APR_EEXIST: it has another revision by now */
static apr_status_t update_row(rh_db_t *db, const rh_subscription_t *subscription, apr_pool_t *pool)
{
    const char *until = rh_store_number(pool, rh_store_ms(subscription->old_secret_until));
    const char *now = rh_store_number(pool, rh_store_ms(subscription->updated_at));
    int affected;
    apr_status_t status = rh_db_change(
        db,
        RH_QUERY(subscription_update, .tenant = subscription->tenant, .id = subscription->id,
                 .old_secret = subscription->old_secret, .old_secret_until = until,
                 .base_url = subscription->base_url, .updated_at = now,
                 .options = rh_subscription_options(subscription, pool),
                 .revision = rh_store_number(pool, subscription->revision), RH_MEMBERS(ARGUMENT)),
        pool, &affected);

    return status == APR_SUCCESS && affected == 0 ? APR_EEXIST : status;
}

static apr_status_t update_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    const rh_subscription_t *subscription = baton;
    const char *tenant = subscription->tenant, *id = subscription->id;
    apr_array_header_t *rows;
    apr_status_t status = lock_subscription(db, tenant, id, pool);

    if (status == APR_SUCCESS) {
        status =
            rh_db_fetch(db, RH_QUERY(subscription_state, .tenant = tenant, .id = id), pool, &rows);
    }
    if (status == APR_SUCCESS && rows->nelts == 0) {
        return APR_NOTFOUND;
    }
    if (status == APR_SUCCESS) {
        status = update_row(db, subscription, pool);
    }
    if (status == APR_SUCCESS && starts_afresh(subscription, RH_ROW(subscription_state, rows, 0))) {
        status = rh_db_change(db, RH_QUERY(subscription_stat_clear, .tenant = tenant, .id = id),
                              pool, NULL);
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
    apr_status_t status = lock_subscription(db, what->tenant, what->id, pool);
    int affected;

    if (status == APR_SUCCESS) {
        status = rh_db_change(db,
                              RH_QUERY(subscription_delete, .tenant = what->tenant, .id = what->id,
                                       .revision = rh_store_number(pool, what->revision)),
                              pool, &affected);
    }
    if (status == APR_SUCCESS && affected == 0) {
        return explain_unchanged(db, what->tenant, what->id, pool);
    }
    /* Cancel some deliveries at once; claims cancel the others. */
    return status == APR_SUCCESS ? rh_queue_cancel(db, what->tenant, what->id, pool, NULL) : status;
}

apr_status_t rh_store_subscription_delete(rh_store_t *store, const char *tenant, const char *id,
                                          apr_int64_t revision, apr_pool_t *pool)
{
    delete_t what = {tenant, id, revision};

    return rh_store_run(store->source, true, delete_work, &what, pool);
}
