/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_sql.h"

#define LOOK RH_SQL_NUMBER(RH_CLAIM_LOOK)

/** Always true; without it PostgreSQL can't tell that the index by subscription has all rows. */
#define HAS_ID "q.subscription_id >= '00000000-0000-0000-0000-000000000000'"

/*
 * What is due for the longest time, by subscription; mostly that is all that is due. The rows of
 * subscriptions are looked up by their key, one by one, also where nothing is known of the tables.
 * A last row without a tenant says that there are events to expand.
 */
#define EXPANDING(S)                                                                               \
    " UNION ALL SELECT NULL, NULL, 0, NULL, 0, 0, 0, 0 WHERE EXISTS (SELECT 1 FROM " S "expansion" \
    ")"

const rh_statement_t rh_sql_claim_due = {
    "claim_due",
    "WITH clock AS MATERIALIZED (SELECT resthooks.now_ms() AS at),"
    " due AS MATERIALIZED (SELECT q.tenant, q.subscription_id, q.due_at FROM resthooks.queue q"
    " WHERE q.due_at <= (SELECT at FROM clock) AND q.lease >= -1"
    " ORDER BY q.due_at LIMIT " LOOK "),"
    " one AS MATERIALIZED (SELECT due.tenant, due.subscription_id AS id, count(*) AS count,"
    " min(due.due_at) AS since FROM due GROUP BY due.tenant, due.subscription_id)"
    " (SELECT one.tenant, one.id, one.count, s.state, CASE WHEN s.ordered THEN 1 ELSE 0 END,"
    " s.rate_limit, greatest(t.paused_until - clock.at, 0),"
    " CASE WHEN t.failing_since IS NULL THEN 0 ELSE 1 END"
    " FROM clock CROSS JOIN one LEFT JOIN LATERAL (SELECT x.* FROM resthooks.subscription x"
    " WHERE x.tenant = one.tenant AND x.id = one.id LIMIT 1) AS s ON true"
    " LEFT JOIN LATERAL (SELECT x.* FROM resthooks.subscription_stat x"
    " WHERE x.tenant = one.tenant AND x.subscription_id = one.id LIMIT 1) AS t ON true"
    " ORDER BY one.since)" EXPANDING("resthooks."),
    "SELECT * FROM (SELECT one.tenant, one.id, one.count, s.state, s.ordered, s.rate_limit,"
    " max(t.paused_until - CAST(%s AS integer), 0), t.failing_since IS NOT NULL"
    " FROM (SELECT due.tenant, due.subscription_id AS id, count(*) AS count,"
    " min(due.due_at) AS since FROM (SELECT q.tenant, q.subscription_id, q.due_at"
    " FROM resthooks_queue q WHERE q.due_at <= CAST(%s AS integer)"
    " ORDER BY q.due_at LIMIT " LOOK ") AS due GROUP BY due.tenant, due.subscription_id) AS one"
    " LEFT JOIN resthooks_subscription s ON s.tenant = one.tenant AND s.id = one.id"
    " LEFT JOIN resthooks_subscription_stat t"
    " ON t.tenant = one.tenant AND t.subscription_id = one.id"
    " ORDER BY one.since)" EXPANDING("resthooks_")};

/*
 * Where more is due, subscriptions are found by walking the index from one to the next, so a
 * backlog costs no more than a single delivery. PostgreSQL reads the next one in a lateral query,
 * SQLite in a scalar one, where a + lets it use all of the index: two columns it would compare by
 * the first one alone. Due deliveries are counted up to the number that one claim may take of one
 * subscription.
 */
const rh_statement_t rh_sql_claim_candidates = {
    "claim_candidates",
    "WITH RECURSIVE clock AS MATERIALIZED (SELECT resthooks.now_ms() AS at),"
    " step(tenant, id, n) AS ((SELECT q.tenant, q.subscription_id, 1 FROM resthooks.queue q"
    " WHERE (q.tenant, q.subscription_id) > (%s, %s::uuid) AND " HAS_ID
    " ORDER BY q.tenant, q.subscription_id LIMIT 1)"
    " UNION ALL SELECT x.tenant, x.subscription_id, step.n + 1 FROM step"
    " CROSS JOIN LATERAL (SELECT q.tenant, q.subscription_id FROM resthooks.queue q"
    " WHERE (q.tenant, q.subscription_id) > (step.tenant, step.id) AND " HAS_ID
    " ORDER BY q.tenant, q.subscription_id LIMIT 1) AS x"
    " WHERE step.n < %s::integer)"
    " SELECT step.tenant, step.id, (SELECT count(*) FROM (SELECT 1 FROM resthooks.queue q"
    " WHERE q.tenant = step.tenant AND q.subscription_id = step.id AND q.due_at <= clock.at"
    " LIMIT %s::integer) AS d), s.state, CASE WHEN s.ordered THEN 1 ELSE 0 END, s.rate_limit,"
    " greatest(t.paused_until - clock.at, 0),"
    " CASE WHEN t.failing_since IS NULL THEN 0 ELSE 1 END"
    " FROM clock CROSS JOIN step"
    " LEFT JOIN resthooks.subscription s ON s.tenant = step.tenant AND s.id = step.id"
    " LEFT JOIN resthooks.subscription_stat t"
    " ON t.tenant = step.tenant AND t.subscription_id = step.id"
    " ORDER BY step.n",
    "WITH RECURSIVE step(tenant, id, n) AS (SELECT * FROM (SELECT q.tenant, q.subscription_id, 1"
    " FROM resthooks_queue q WHERE (q.tenant, q.subscription_id) > (%s, %s)"
    " ORDER BY q.tenant, q.subscription_id LIMIT 1)"
    " UNION ALL SELECT q.tenant, q.subscription_id, step.n + 1 FROM step JOIN resthooks_queue q"
    " ON (q.tenant, q.delivery_id) = (SELECT x.tenant, x.delivery_id FROM resthooks_queue x"
    " WHERE (x.tenant, x.subscription_id) > (+step.tenant, +step.id)"
    " ORDER BY x.tenant, x.subscription_id LIMIT 1)"
    " WHERE step.n < CAST(%s AS integer))"
    " SELECT step.tenant, step.id, (SELECT count(*) FROM (SELECT 1 FROM resthooks_queue q"
    " WHERE q.tenant = step.tenant AND q.subscription_id = step.id"
    " AND q.due_at <= CAST(%s AS integer) LIMIT CAST(%s AS integer))), s.state, s.ordered, "
    "s.rate_limit,"
    " max(t.paused_until - CAST(%s AS integer), 0), t.failing_since IS NOT NULL"
    " FROM step LEFT JOIN resthooks_subscription s ON s.tenant = step.tenant AND s.id = step.id"
    " LEFT JOIN resthooks_subscription_stat t"
    " ON t.tenant = step.tenant AND t.subscription_id = step.id"
    " ORDER BY step.n"};

/*
 * A subscription with a rate limit has its pace in the row that all hosts share: who gets that
 * row takes the share of the coming moment, the others come later.
 */
#define SHARES                                                                                     \
    "clock AS MATERIALIZED (SELECT resthooks.now_ms() AS at),"                                     \
    " candidate AS MATERIALIZED (SELECT * FROM json_to_recordset(%s::json)"                        \
    " AS c(tenant text, id uuid, most integer, pace bigint)),"                                     \
    " share AS MATERIALIZED (SELECT t.tenant, t.subscription_id, c.pace"                           \
    " FROM clock, candidate c JOIN resthooks.subscription_stat t"                                  \
    " ON t.tenant = c.tenant AND t.subscription_id = c.id"                                         \
    " WHERE c.pace > 0 AND t.paused_until <= clock.at FOR UPDATE OF t SKIP LOCKED),"               \
    " pace AS (UPDATE resthooks.subscription_stat t SET paused_until = clock.at + p.pace"          \
    " FROM share p, clock WHERE t.tenant = p.tenant AND t.subscription_id = p.subscription_id)"
#define HAS_SHARE                                                                                  \
    "c.pace = 0 OR EXISTS (SELECT 1 FROM share p"                                                  \
    " WHERE p.tenant = c.tenant AND p.subscription_id = c.id)"

const rh_statement_t rh_sql_claim = {
    "claim",
    "WITH " SHARES
    ", due AS MATERIALIZED (SELECT q.tenant, q.delivery_id, q.due_at FROM clock, candidate c"
    " CROSS JOIN LATERAL (SELECT x.tenant, x.delivery_id, x.due_at FROM resthooks.queue x"
    " WHERE x.tenant = c.tenant AND x.subscription_id = c.id AND x.due_at <= clock.at"
    " AND (%s::integer = 0 OR x.lease <= 0)"
    " ORDER BY x.due_at LIMIT c.most FOR UPDATE SKIP LOCKED) AS q"
    " WHERE " HAS_SHARE ")"
    " UPDATE resthooks.queue q SET lease = %s::bigint, due_at = clock.at + %s::bigint"
    " FROM due d, clock WHERE q.delivery_id = ANY (ARRAY[d.delivery_id])"
    " AND q.tenant IS NOT DISTINCT FROM d.tenant"
    " RETURNING q.tenant, q.delivery_id, clock.at - d.due_at",
    NULL};

/* The row of the queue is read as it was before the function changed it. */
const rh_statement_t rh_sql_claim_ordered = {
    "claim_ordered",
    "WITH " SHARES
    " SELECT c.tenant, o.delivery_id, resthooks.now_ms() - (SELECT q.due_at FROM resthooks.queue q"
    " WHERE q.tenant = c.tenant AND q.delivery_id = o.delivery_id)"
    " FROM (SELECT c.* FROM candidate c WHERE " HAS_SHARE " OFFSET 0) AS c CROSS JOIN LATERAL"
    " resthooks.claim_ordered(c.tenant, c.id, %s::integer <> 0, %s::bigint, %s::bigint, c.most)"
    " AS o",
    NULL};

#define LEASE_ONE                                                                                  \
    "UPDATE resthooks_queue SET lease = CAST(%s AS integer), due_at = CAST(%s AS integer)"         \
    " WHERE (tenant, delivery_id) IN (SELECT q.tenant, q.delivery_id FROM resthooks_queue q"       \
    " WHERE q.tenant = %s AND q.subscription_id = %s AND q.due_at <= CAST(%s AS integer)"          \
    " AND (CAST(%s AS integer) = 0 OR q.lease <= 0)"
#define MOST_OF_ONE " ORDER BY q.due_at LIMIT CAST(%s AS integer)) RETURNING tenant, delivery_id"

/** Another of the key comes first, or is being worked on. Without being told, SQLite would read all
 * that are parked to see the latter. */
#define BLOCKED                                                                                    \
    "(EXISTS (SELECT 1 FROM resthooks_queue f WHERE f.tenant = q.tenant"                           \
    " AND f.subscription_id = q.subscription_id AND f.order_key = q.order_key"                     \
    " AND (f.event_id, f.delivery_id) < (q.event_id, q.delivery_id))"                              \
    " OR EXISTS (SELECT 1 FROM resthooks_queue w INDEXED BY resthooks_queue_order_leased"          \
    " WHERE w.tenant = q.tenant"                                                                   \
    " AND w.subscription_id = q.subscription_id AND w.order_key = q.order_key AND w.lease > 0"     \
    " AND w.delivery_id <> q.delivery_id AND w.due_at > CAST(%s AS integer)))"

/** An earlier event has not been expanded as far as this subscription yet. */
#define AWAITS_EXPANSION                                                                           \
    "EXISTS (SELECT 1 FROM resthooks_expansion x WHERE x.tenant = q.tenant"                        \
    " AND x.event_id < q.event_id AND x.after_id < q.subscription_id"                              \
    " AND x.until_id >= q.subscription_id)"

const rh_statement_t rh_sql_claim_one = {"claim_one", NULL, LEASE_ONE MOST_OF_ONE};

const rh_statement_t rh_sql_claim_late = {
    "claim_late", NULL,
    "SELECT q.delivery_id, CAST(%s AS integer) - q.due_at FROM resthooks_queue q"
    " WHERE q.tenant = %s AND q.subscription_id = %s AND q.due_at <= CAST(%s AS integer)"
    " ORDER BY q.due_at LIMIT CAST(%s AS integer)"};

/* (lease, leased until, tenant, subscription, now, spare, now, most) */
const rh_statement_t rh_sql_claim_one_ordered = {"claim_one_ordered", NULL,
                                                 LEASE_ONE
                                                 " AND (q.order_key IS NULL OR NOT (" BLOCKED
                                                 " OR " AWAITS_EXPANSION "))" MOST_OF_ONE};

const rh_statement_t rh_sql_claim_pace = {
    "claim_pace", NULL,
    "UPDATE resthooks_subscription_stat SET paused_until = CAST(%s AS integer)"
    " WHERE tenant = %s AND subscription_id = %s"};

/* (until, tenant, subscription, now, most, now) */
const rh_statement_t rh_sql_claim_park = {
    "claim_park", NULL,
    "UPDATE resthooks_queue SET lease = -1, due_at = CAST(%s AS integer)"
    " WHERE (tenant, delivery_id) IN (SELECT q.tenant, q.delivery_id FROM (SELECT * FROM"
    " resthooks_queue d WHERE d.tenant = %s AND d.subscription_id = %s"
    " AND d.due_at <= CAST(%s AS integer) ORDER BY d.due_at LIMIT CAST(%s AS integer)) AS q"
    " WHERE q.order_key IS NOT NULL AND " BLOCKED ")"};

/* Wakes a parked delivery that is in the way of one just parked, if none of its key is leased.
 * Parameters: now, tenant, subscription, until when the others are parked, now. */
const rh_statement_t rh_sql_claim_unpark = {
    "claim_unpark", NULL,
    "UPDATE resthooks_queue SET lease = 0, due_at = CAST(%s AS integer)"
    " WHERE lease = -1 AND (tenant, delivery_id) IN (SELECT p.tenant, (SELECT f.delivery_id"
    " FROM resthooks_queue f WHERE f.tenant = p.tenant AND f.subscription_id = p.subscription_id"
    " AND f.order_key = p.order_key ORDER BY f.event_id, f.delivery_id LIMIT 1)"
    " FROM resthooks_queue p INDEXED BY resthooks_queue_due"
    " WHERE p.tenant = %s AND p.subscription_id = %s AND p.due_at = CAST(%s AS integer)"
    " AND p.lease = -1 AND p.order_key IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM resthooks_queue w INDEXED BY resthooks_queue_order_leased"
    " WHERE w.tenant = p.tenant"
    " AND w.subscription_id = p.subscription_id AND w.order_key = p.order_key AND w.lease > 0"
    " AND w.due_at > CAST(%s AS integer)))"};

/*
 * PostgreSQL is told to look the rows up by their key, one by one: while it has no statistics of
 * the queue (a new database, or one that crashed) it would rather read all of a subscription's.
 */
#define JOBS(S, ROWS, AT, GREATEST)                                                                \
    "SELECT q.delivery_id, q.tenant, q.subscription_id, q.event_id, q.tries, q.attempt_count,"     \
    " s.target_url, s.headers, s.secret,"                                                          \
    " CASE WHEN s.old_secret_until > " AT " THEN s.old_secret END, s.base_url, s.format,"          \
    " CASE WHEN s.ordered THEN 1 ELSE 0 END, s.rate_limit,"                                        \
    " CASE WHEN t.failing_since IS NULL THEN 0 ELSE " GREATEST "(" AT                              \
    " - t.failing_since, 1) END,"                                                                  \
    " e.type, e.key, e.traceparent, e.time, e.source, e.data, e.previous, e.hops"                  \
    " FROM " ROWS " JOIN " S "subscription s ON s.tenant = q.tenant AND s.id = q.subscription_id"  \
    " LEFT JOIN " S "subscription_stat t ON t.tenant = s.tenant AND t.subscription_id = s.id"      \
    " LEFT JOIN " S "event e ON e.tenant = q.tenant AND e.id = q.event_id"                         \
    " WHERE q.lease = CAST(%s AS bigint) ORDER BY q.event_id, q.delivery_id"

const rh_statement_t rh_sql_claim_jobs = {
    "claim_jobs",
    JOBS("resthooks.",
         "(SELECT x.* FROM json_to_recordset(%s::json) AS i(tenant text, id uuid)"
         " CROSS JOIN LATERAL (SELECT * FROM resthooks.queue y WHERE y.tenant = i.tenant"
         " AND y.delivery_id = i.id LIMIT 1) AS x OFFSET 0) AS q",
         "resthooks.now_ms()", "greatest"),
    JOBS("resthooks_",
         "(SELECT value ->> 'tenant' AS tenant, value ->> 'id' AS id FROM json_each(%s)) AS i"
         " JOIN resthooks_queue q ON q.tenant = i.tenant AND q.delivery_id = i.id",
         RH_SQLITE_NOW, "max")};

const rh_statement_t rh_sql_cancel = {
    "cancel",
    "WITH waiting AS MATERIALIZED (SELECT q.tenant, q.delivery_id FROM resthooks.queue q"
    " WHERE q.tenant = %s AND q.subscription_id = %s::uuid"
    " ORDER BY q.due_at LIMIT %s::integer FOR UPDATE SKIP LOCKED),"
    " removed AS (DELETE FROM resthooks.queue q USING waiting w WHERE q.tenant = w.tenant"
    " AND q.delivery_id = w.delivery_id RETURNING q.tenant, q.delivery_id)"
    " UPDATE resthooks.delivery d SET state = 'cancelled' FROM removed r"
    " WHERE d.tenant = r.tenant AND d.id = r.delivery_id AND d.state = 'pending'",
    NULL};

#define WAITING                                                                                    \
    "(SELECT q.tenant, q.delivery_id FROM resthooks_queue q WHERE q.tenant = %s"                   \
    " AND q.subscription_id = %s ORDER BY q.due_at, q.delivery_id LIMIT CAST(%s AS integer))"

const rh_statement_t rh_sql_cancel_delivery = {
    "cancel_delivery", NULL,
    "UPDATE resthooks_delivery SET state = 'cancelled'"
    " WHERE state = 'pending' AND (tenant, id) IN " WAITING};

const rh_statement_t rh_sql_cancel_queue = {
    "cancel_queue", NULL, "DELETE FROM resthooks_queue WHERE (tenant, delivery_id) IN " WAITING};

const rh_statement_t rh_sql_release = {
    "release",
    "UPDATE resthooks.queue SET lease = 0, due_at = resthooks.now_ms() WHERE lease = %s::bigint",
    "UPDATE resthooks_queue SET lease = 0,"
    " due_at = " RH_SQLITE_NOW ""
    " WHERE lease = CAST(%s AS integer)"};

/* ---- housekeeping ---- */

/*
 * Due is what somebody could claim: not what waits for its subscription, paused or slowed down.
 * The rows are read from an index alone.
 */
#define BACKLOG(S, NOW, MOST)                                                                      \
    "SELECT coalesce(sum(g.count), 0), coalesce(sum(CASE WHEN " LIVE " THEN g.due END), 0),"       \
    " coalesce(max(CASE WHEN " LIVE " AND g.due > 0 THEN c.at - g.oldest END), 0)"                 \
    " FROM (SELECT " NOW                                                                           \
    " AS at) AS c CROSS JOIN (SELECT r.tenant, r.subscription_id, count(*) AS count,"              \
    " sum(CASE WHEN r.due_at <= n.at THEN 1 ELSE 0 END) AS due, min(r.due_at) AS oldest"           \
    " FROM (SELECT " NOW                                                                           \
    " AS at) AS n CROSS JOIN (SELECT q.tenant, q.subscription_id, q.due_at FROM " S                \
    "queue q WHERE " HAS_ID " LIMIT " MOST ") AS r"                                                \
    " GROUP BY r.tenant, r.subscription_id) AS g"                                                  \
    " LEFT JOIN " S "subscription s ON s.tenant = g.tenant AND s.id = g.subscription_id"           \
    " LEFT JOIN " S "subscription_stat t ON t.tenant = s.tenant AND t.subscription_id = s.id"
#define LIVE "s.state = 'active' AND coalesce(t.paused_until, 0) <= c.at"

const rh_statement_t rh_sql_backlog = {"backlog",
                                       BACKLOG("resthooks.", "resthooks.now_ms()", "%s::integer"),
                                       BACKLOG("resthooks_", RH_SQLITE_NOW, "CAST(%s AS integer)")};

const rh_statement_t rh_sql_partitions_make = {
    "partitions_make", "SELECT resthooks.ensure_partitions(%s::bigint)", NULL};
const rh_statement_t rh_sql_partitions_drop = {
    "partitions_drop", "SELECT resthooks.drop_partitions(%s::bigint)", NULL};

const rh_statement_t rh_sql_partitions_mend = {
    "partitions_mend", "SELECT resthooks.ensure_partitions(NULL), resthooks.ensure_past()", NULL};

const rh_statement_t rh_sql_old_keys = {
    "old_keys",
    "DELETE FROM resthooks.idempotency WHERE (tenant, client_id) IN"
    " (SELECT i.tenant, i.client_id FROM resthooks.idempotency i"
    " WHERE i.created_at < resthooks.now_ms() - %s::bigint"
    " ORDER BY i.created_at LIMIT %s::integer FOR UPDATE SKIP LOCKED)",
    "DELETE FROM resthooks_idempotency WHERE (tenant, client_id) IN"
    " (SELECT i.tenant, i.client_id FROM resthooks_idempotency i"
    " WHERE i.created_at < " RH_SQLITE_NOW ""
    " - CAST(%s AS integer) ORDER BY i.created_at LIMIT CAST(%s AS integer))"};

#define OLD(TABLE)                                                                                 \
    "DELETE FROM " TABLE " WHERE (tenant, id) IN (SELECT o.tenant, o.id FROM " TABLE " o"          \
    " WHERE o.id < %s ORDER BY o.id LIMIT CAST(%s AS integer))"

const rh_statement_t rh_sql_old_events = {"old_events", NULL, OLD("resthooks_event")};
const rh_statement_t rh_sql_old_deliveries = {"old_deliveries", NULL, OLD("resthooks_delivery")};
const rh_statement_t rh_sql_old_attempts = {"old_attempts", NULL, OLD("resthooks_attempt")};
