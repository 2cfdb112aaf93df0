/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_sql.h
 * @brief Every statement of both dialects. Parameters are text, in the order that is noted; times
 * are milliseconds, lists of rows are JSON (rh_rows.h).
 *
 * A statement that PostgreSQL runs alone (one round trip, one snapshot) may be several for SQLite,
 * whose transaction keeps everybody else out: then the one has a NULL text for the other.
 */
#ifndef RH_SQL_H
#define RH_SQL_H

#include "rh_db.h"
#include "rh_query.h"

/** SQLite's clock, in milliseconds since the epoch. PostgreSQL has resthooks.now_ms(). */
#define RH_SQLITE_NOW "CAST((julianday('now') - 2440587.5) * 86400000 AS integer)"

/* ---- rh_sql_schema.c ---- */

/** Scripts: at n - 1 what makes tables of version n those of n + 1, and says so in them. */
extern const rh_statement_t rh_sql_upgrades[];

/* ---- rh_sql_log.c ---- */

/** (tenant, id): rows: the subscription's id, its state or NULL */
extern const rh_statement_t rh_sql_delivery_subscription;
/** (tenant, subscription): rows: state, target URL */
extern const rh_statement_t rh_sql_subscription_state;
/** (tenant, delivery) */
extern const rh_statement_t rh_sql_redeliver_queue, rh_sql_redeliver_delivery;
/** Events that never were on their way to the subscription get a delivery, its state `cancelled`
 * until it is queued: (tenant, subscription, lowest event id, event id to end before,
 * sources, ranges of types) */
extern const rh_statement_t rh_sql_replay_missing;
/** Likewise; rows: how many there are. */
extern const rh_statement_t rh_sql_replay_count_missing;
/** Wait for other replays of the subscription: (tenant, subscription). PostgreSQL only. */
extern const rh_statement_t rh_sql_replay_lock;
/** Count deliveries: (tenant, subscription, lowest delivery id, lowest event id, event id to end
 * before, states as a JSON array); rows: how many would be queued. */
extern const rh_statement_t rh_sql_replay_count;
/** (tenant, id, type, key, traceparent, time, data) */
extern const rh_statement_t rh_sql_test_event;
/** (tenant, id, event id, subscription, type) */
extern const rh_statement_t rh_sql_test_delivery;
/** rows: version */
/* ---- rh_sql_job.c; rows as rh_store_job.c reads them ---- */

extern const rh_statement_t rh_sql_job_insert, rh_sql_job_get, rh_sql_job_list, rh_sql_job_cancel,
    rh_sql_job_next, rh_sql_job_take, rh_sql_job_progress, rh_sql_job_old, rh_sql_job_chunk_end,
    rh_sql_job_chunk_queue, rh_sql_job_chunk_pending;

extern const rh_statement_t rh_sql_version;
/** (name); rows: value */
extern const rh_statement_t rh_sql_setting_get;

/* ---- rh_sql_commit.c ---- */

/** Subscriptions that get their deliveries within the commit of an event; and one more. */
#define RH_COMMIT_FANOUT 64
#define RH_COMMIT_FANOUT_MORE 65
/** (items, tenants with types and patterns, limit, lease, lease for); PostgreSQL only. Rows as
 * rh_queue_commit.c reads them. */
extern const rh_statement_t rh_sql_commit;
/** SQLite's steps: (now, items), (items), (items, patterns), (limit, leased until, now, limit,
 * lease, now, items) */
extern const rh_statement_t rh_sql_commit_keys, rh_sql_commit_events, rh_sql_commit_deliveries,
    rh_sql_commit_queue;
/** SQLite: (patterns); a row if more subscriptions may want the events than their commit serves.
 * Then there is a step before the events, (patterns, now, items), and another one for the
 * deliveries, (patterns, items). */
extern const rh_statement_t rh_sql_commit_is_wide, rh_sql_commit_expansions,
    rh_sql_commit_deliveries_wide;
/** (items, lease); rows: tenant, delivery, waits; SQLite only */
extern const rh_statement_t rh_sql_commit_leased;
/** (tenant, client id); rows: event id */
extern const rh_statement_t rh_sql_idempotency_get;

/* ---- rh_sql_claim.c ---- */

/** Maximum number of due deliveries that a claim reads, the oldest first. */
#define RH_CLAIM_LOOK 512
/** Subscriptions owning due deliveries. Parameters (SQLite only): now, now. Rows: tenant, id, how
 * many of the deliveries are due, state, ordered, rate limit, pause left, whether it is failing; a
 * row without a tenant: there are events to expand. */
extern const rh_statement_t rh_sql_claim_due;
/** Subscriptions with deliveries in the queue, after a position. Parameters: tenant, subscription,
 * steps, now, maximum of one subscription, now (times: SQLite only). Rows as before. */
extern const rh_statement_t rh_sql_claim_candidates;
/** Lease what is due of candidates: (candidates, spare, lease, lease for); rows: tenant, delivery.
 * `spare`: "1" for nothing whose lease ended, else "0". PostgreSQL only. */
extern const rh_statement_t rh_sql_claim, rh_sql_claim_ordered;
/** SQLite, of one subscription: (now, tenant, subscription, now, most); rows: delivery,
 * milliseconds that it has been due */
extern const rh_statement_t rh_sql_claim_late;
/** SQLite, of one subscription: (lease, leased until, tenant, subscription, now, spare, most) */
extern const rh_statement_t rh_sql_claim_one, rh_sql_claim_one_ordered;
/** SQLite, of one subscription: (until, tenant, subscription), (until, tenant, subscription, now,
 * most) */
extern const rh_statement_t rh_sql_claim_pace, rh_sql_claim_park, rh_sql_claim_unpark;
/** All that a job needs, of leased deliveries: (tenants and deliveries, lease) */
extern const rh_statement_t rh_sql_claim_jobs;
/** Take deliveries of a subscription out of the queue as cancelled: (tenant, subscription, limit).
 * rh_sql_cancel is PostgreSQL's, the others are SQLite's, in their order. */
extern const rh_statement_t rh_sql_cancel, rh_sql_cancel_delivery, rh_sql_cancel_queue;
/** (now, lease): due now, no lease. The time is SQLite's alone. */
extern const rh_statement_t rh_sql_release;
/** What waits: (rows that are looked at); one row: pending, due, milliseconds that the oldest of
 * these has been due */
extern const rh_statement_t rh_sql_backlog;
/** Housekeeping: (retention); PostgreSQL only */
extern const rh_statement_t rh_sql_partitions_make, rh_sql_partitions_drop;
/** Make the partitions that a row found missing. PostgreSQL only. */
extern const rh_statement_t rh_sql_partitions_mend;
/** Housekeeping: (time to keep from, limit) */
extern const rh_statement_t rh_sql_old_keys;
/** Housekeeping: (lowest id that is kept, limit); SQLite only */
extern const rh_statement_t rh_sql_old_events, rh_sql_old_deliveries, rh_sql_old_attempts;

/* ---- rh_sql_expand.c ---- */

/** The oldest open expansion of the first tenant after one: (tenant). Rows: tenant, event, after,
 * until, created at, type (NULL: the event is gone). PostgreSQL locks it. */
extern const rh_statement_t rh_sql_expand_next;
/** Subscriptions of a chunk. */
#define RH_EXPAND_CHUNK 256
/** Where a chunk ends: (patterns as a JSON array, tenant, after, until); no row: it is the last. */
extern const rh_statement_t rh_sql_expand_end;
/** Make a chunk's deliveries, and queue them: (event, created at, tenant, patterns, tenant, after,
 * end). On SQLite two steps, of which the second is (tenant, event, after, end). */
extern const rh_statement_t rh_sql_expand, rh_sql_expand_queue;
/** (end, tenant, event) and (tenant, event) */
extern const rh_statement_t rh_sql_expand_move, rh_sql_expand_close;

#endif
