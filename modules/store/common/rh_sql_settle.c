/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_sql.h"

/** The tenant's comparison is of no use to any index. */
#define IN_QUEUE "q.delivery_id = ANY (ARRAY[o.id]) AND q.tenant IS NOT DISTINCT FROM o.tenant"

/*
 * Outcomes of attempts. The rows of subscription_stat are locked first, in order; then:
 *
 *   logged    inserts the attempts; one that is logged already (repeated after a lost connection)
 *             is not counted again
 *   removed   takes delivered ones out of the queue, with or without the lease, and those that
 *             ended otherwise only with the lease
 *   again     makes the others due later, or at once if a person asked for that during the attempt
 *             (tries below 0)
 *   wake      wakes the next of a key whose first was removed, or an older one that was sent again
 *             during the attempt; the final SELECT reads it, so that it runs
 *
 * Rows are looked up by their key, one by one. Until a table has statistics, a join would read all
 * of it; one by `= ANY (ARRAY[…])` can't be done by hashing or merging. The
 * statistics of the queue may date from when it was empty; then an index on the tenant alone would
 * look equally good.
 */
const rh_statement_t rh_sql_settle = {
    "settle",
    "WITH clock AS MATERIALIZED (SELECT resthooks.now_ms() AS at),"
    " o AS MATERIALIZED (SELECT * FROM json_to_recordset(%s::json) AS o(kind text, tenant text,"
    " id uuid, subscription_id uuid, lease bigint, delay bigint, pause bigint, reason text,"
    " attempt_id uuid, number integer, started_at bigint, ms bigint, status_code integer,"
    " format text, headers text, answer text, error text, sent text)),"
    " locked AS MATERIALIZED (SELECT l.tenant, l.subscription_id FROM"
    " (SELECT DISTINCT o.tenant COLLATE \"C\" AS tenant, o.subscription_id FROM o"
    " WHERE o.kind <> 'release' OR o.pause > 0 ORDER BY 1, 2) AS k"
    " CROSS JOIN LATERAL (SELECT t.tenant, t.subscription_id FROM resthooks.subscription_stat t"
    " WHERE t.tenant = k.tenant AND t.subscription_id = k.subscription_id FOR UPDATE) AS l),"
    " ready AS MATERIALIZED (SELECT count(*) AS subscriptions FROM locked),"
    " logged AS (INSERT INTO resthooks.attempt"
    " (tenant, id, delivery_id, number, started_at, ms, status_code, format, headers, answer,"
    " error, sent)"
    " SELECT o.tenant, o.attempt_id, o.id, o.number, o.started_at, o.ms, o.status_code, o.format,"
    " o.headers, o.answer, o.error, o.sent FROM ready, o WHERE o.kind <> 'release'"
    " ON CONFLICT DO NOTHING RETURNING id),"
    " fresh AS MATERIALIZED (SELECT o.* FROM o JOIN logged l ON l.id = o.attempt_id"
    " UNION ALL SELECT o.* FROM ready, o WHERE o.kind = 'release'),"
    " stat AS (UPDATE resthooks.subscription_stat t SET delivered = t.delivered + s.delivered,"
    " failed = t.failed + s.failed,"
    " last_status_code = CASE WHEN s.last_at IS NULL THEN t.last_status_code ELSE s.code END,"
    " last_attempt_at = greatest(t.last_attempt_at, s.last_at),"
    " failing_since = CASE WHEN s.delivered > 0 THEN NULL"
    " WHEN s.last_at IS NULL THEN t.failing_since ELSE coalesce(t.failing_since, clock.at) END,"
    " paused_until = CASE WHEN s.pause > 0 THEN greatest(t.paused_until, clock.at + s.pause)"
    " ELSE t.paused_until END"
    " FROM clock, (SELECT f.tenant, f.subscription_id,"
    " count(*) FILTER (WHERE f.kind = 'delivered') AS delivered,"
    " count(*) FILTER (WHERE f.kind IN ('failed', 'gone', 'disabled')) AS failed,"
    " max(f.started_at) FILTER (WHERE f.kind <> 'release') AS last_at,"
    " (array_agg(f.status_code ORDER BY f.started_at DESC)"
    " FILTER (WHERE f.kind <> 'release'))[1] AS code, max(f.pause) AS pause"
    " FROM fresh f GROUP BY f.tenant, f.subscription_id) AS s"
    " WHERE t.tenant = ANY (ARRAY[s.tenant]) AND t.subscription_id = ANY (ARRAY[s.subscription_id])"
    " AND (s.last_at IS NOT NULL OR s.pause > 0)),"
    " removed AS (DELETE FROM resthooks.queue q USING ready, o"
    " WHERE " IN_QUEUE " AND (o.kind = 'delivered'"
    " OR (o.kind IN ('gone', 'disabled') AND q.lease = o.lease)"
    " OR (o.kind = 'failed' AND q.lease = o.lease AND q.tries >= 0))"
    " RETURNING q.tenant, q.subscription_id, q.order_key, q.delivery_id),"
    " again AS (UPDATE resthooks.queue q SET lease = 0, due_at = clock.at"
    " + CASE WHEN o.kind = 'release' OR q.tries >= 0 THEN o.delay ELSE 0 END,"
    " tries = q.tries + CASE o.kind WHEN 'release' THEN 0 ELSE 1 END,"
    " attempt_count = q.attempt_count + CASE o.kind WHEN 'release' THEN 0 ELSE 1 END"
    " FROM clock, ready, o"
    " WHERE " IN_QUEUE
    " AND (o.kind IN ('retry', 'release') OR (o.kind = 'failed' AND q.tries < 0))"
    " AND q.lease = o.lease RETURNING q.tenant, q.subscription_id, q.order_key),"
    " wake AS MATERIALIZED (SELECT sum(resthooks.wake_ordered(k.tenant, k.subscription_id,"
    " k.order_key)) AS keys FROM (SELECT r.tenant, r.subscription_id, r.order_key"
    " FROM removed r WHERE r.order_key IS NOT NULL"
    " UNION SELECT a.tenant, a.subscription_id, a.order_key"
    " FROM again a WHERE a.order_key IS NOT NULL) AS k),"
    " done AS (UPDATE resthooks.delivery d SET state = CASE WHEN o.kind = 'delivered'"
    " THEN 'delivered' WHEN o.id IN (SELECT r.delivery_id FROM removed r) THEN 'failed'"
    " ELSE d.state END,"
    " attempt_count = greatest(d.attempt_count, o.number), last_status_code = o.status_code"
    " FROM o WHERE o.kind <> 'release'"
    " AND d.tenant = ANY (ARRAY[o.tenant]) AND d.id = ANY (ARRAY[o.id])),"
    " ended AS (UPDATE resthooks.subscription s SET state = e.kind, state_reason = e.reason,"
    " updated_at = clock.at, revision = s.revision + 1"
    " FROM clock, (SELECT DISTINCT ON (o.tenant, o.subscription_id) o.tenant, o.subscription_id,"
    " o.kind, o.reason FROM ready, o WHERE o.kind IN ('gone', 'disabled')"
    " ORDER BY o.tenant, o.subscription_id, o.kind DESC) AS e"
    " WHERE s.tenant = e.tenant AND s.id = e.subscription_id AND s.state = 'active'"
    " RETURNING s.tenant, s.id, s.state)"
    " SELECT e.tenant, e.id, e.state FROM ended e"
    " UNION ALL SELECT NULL, NULL, NULL FROM wake WHERE wake.keys < 0",
    NULL};

#define OUTCOMES                                                                                   \
    "(SELECT value ->> 'kind' AS kind, value ->> 'tenant' AS tenant, value ->> 'id' AS id,"        \
    " value ->> 'subscription_id' AS subscription_id, value ->> 'lease' AS lease,"                 \
    " value ->> 'delay' AS delay, value ->> 'pause' AS pause, value ->> 'reason' AS reason,"       \
    " value ->> 'attempt_id' AS attempt_id, value ->> 'number' AS number,"                         \
    " value ->> 'started_at' AS started_at, value ->> 'ms' AS ms,"                                 \
    " value ->> 'status_code' AS status_code, value ->> 'format' AS format,"                       \
    " value ->> 'headers' AS headers,"                                                             \
    " value ->> 'answer' AS answer, value ->> 'error' AS error,"                                   \
    " value ->> 'sent' AS sent FROM json_each(%s)) AS o"

const rh_statement_t rh_sql_settle_attempts = {
    "settle_attempts", NULL,
    "INSERT INTO resthooks_attempt"
    " (tenant, id, delivery_id, number, started_at, ms, status_code, format, headers, answer,"
    " error, sent)"
    " SELECT o.tenant, o.attempt_id, o.id, o.number, o.started_at, o.ms, o.status_code, o.format,"
    " o.headers, o.answer, o.error, o.sent FROM " OUTCOMES
    " WHERE o.kind <> 'release' ON CONFLICT DO NOTHING"};

/* The last attempt's time and status code travel as one number. Before the attempts are logged:
 * what is there already counts no more. */
const rh_statement_t rh_sql_settle_stat = {
    "settle_stat", NULL,
    "UPDATE resthooks_subscription_stat AS t SET delivered = t.delivered + s.delivered,"
    " failed = t.failed + s.failed,"
    " last_status_code = CASE WHEN s.last IS NULL THEN t.last_status_code ELSE s.last %% 1000 END,"
    " last_attempt_at = max(t.last_attempt_at, coalesce(s.last / 1000, 0)),"
    " failing_since = CASE WHEN s.delivered > 0 THEN NULL"
    " WHEN s.last IS NULL THEN t.failing_since ELSE coalesce(t.failing_since, " RH_SQLITE_NOW
    ") END,"
    " paused_until = CASE WHEN s.pause > 0 THEN max(t.paused_until, " RH_SQLITE_NOW " + s.pause)"
    " ELSE t.paused_until END"
    " FROM (SELECT o.tenant AS tenant, o.subscription_id AS subscription_id,"
    " sum(o.kind = 'delivered') AS delivered,"
    " sum(o.kind IN ('failed', 'gone', 'disabled')) AS failed,"
    " max(CASE WHEN o.kind <> 'release' THEN o.started_at * 1000 + o.status_code END) AS last,"
    " max(o.pause) AS pause"
    " FROM " OUTCOMES " WHERE o.kind = 'release' OR NOT EXISTS (SELECT 1 FROM resthooks_attempt a"
    " WHERE a.tenant = o.tenant AND a.id = o.attempt_id)"
    " GROUP BY o.tenant, o.subscription_id) AS s"
    " WHERE t.tenant = s.tenant AND t.subscription_id = s.subscription_id"};

const rh_statement_t rh_sql_settle_subscription = {
    "settle_subscription", NULL,
    "UPDATE resthooks_subscription AS s SET state = e.kind, state_reason = e.reason,"
    " updated_at = " RH_SQLITE_NOW ", revision = s.revision + 1"
    " FROM (SELECT o.tenant AS tenant, o.subscription_id AS subscription_id,"
    " max(o.kind) AS kind, o.reason AS reason FROM " OUTCOMES
    " WHERE o.kind IN ('gone', 'disabled') GROUP BY o.tenant, o.subscription_id) AS e"
    " WHERE s.tenant = e.tenant AND s.id = e.subscription_id AND s.state = 'active'"
    " RETURNING tenant, id, state"};

const rh_statement_t rh_sql_settle_again = {
    "settle_again", NULL,
    "UPDATE resthooks_queue AS q SET lease = 0, due_at = " RH_SQLITE_NOW
    " + CASE WHEN o.kind = 'release' OR q.tries >= 0 THEN o.delay ELSE 0 END,"
    " tries = q.tries + (o.kind <> 'release'),"
    " attempt_count = q.attempt_count + (o.kind <> 'release')"
    " FROM " OUTCOMES " WHERE q.tenant = o.tenant AND q.delivery_id = o.id"
    " AND (o.kind IN ('retry', 'release') OR (o.kind = 'failed' AND q.tries < 0))"
    " AND q.lease = o.lease"};

#define ENDED                                                                                      \
    "(o.kind = 'delivered' OR (o.kind IN ('failed', 'gone', 'disabled') AND q.lease = o.lease))"

const rh_statement_t rh_sql_settle_delivery = {
    "settle_delivery", NULL,
    "UPDATE resthooks_delivery AS d SET state = CASE WHEN o.kind = 'delivered' THEN 'delivered'"
    " WHEN EXISTS (SELECT 1 FROM resthooks_queue q WHERE q.tenant = o.tenant"
    " AND q.delivery_id = o.id AND " ENDED ") THEN 'failed' ELSE d.state END,"
    " attempt_count = max(d.attempt_count, o.number), last_status_code = o.status_code"
    " FROM " OUTCOMES " WHERE o.kind <> 'release' AND d.tenant = o.tenant AND d.id = o.id"};

/* The next of a key is the first that does not end here, or an older one than the delivery that is
 * due again, if it was sent again during the attempt. */
const rh_statement_t rh_sql_settle_wake = {
    "settle_wake", NULL,
    "UPDATE resthooks_queue SET lease = 0, due_at = " RH_SQLITE_NOW
    " WHERE lease = -1 AND (tenant, delivery_id) IN (SELECT q.tenant, (SELECT f.delivery_id"
    " FROM resthooks_queue f WHERE f.tenant = q.tenant AND f.subscription_id = q.subscription_id"
    " AND f.order_key = q.order_key"
    " AND f.delivery_id NOT IN (SELECT value ->> 'id' FROM json_each(%s)"
    " WHERE value ->> 'kind' NOT IN ('retry', 'release'))"
    " ORDER BY f.event_id, f.delivery_id LIMIT 1)"
    " FROM " OUTCOMES " JOIN resthooks_queue q ON q.tenant = o.tenant AND q.delivery_id = o.id"
    " WHERE q.order_key IS NOT NULL AND (o.kind IN ('retry', 'release') OR " ENDED "))"};

const rh_statement_t rh_sql_settle_remove = {
    "settle_remove", NULL,
    "DELETE FROM resthooks_queue WHERE (tenant, delivery_id) IN (SELECT q.tenant, q.delivery_id"
    " FROM " OUTCOMES " JOIN resthooks_queue q ON q.tenant = o.tenant AND q.delivery_id = o.id"
    " WHERE " ENDED ")"};
