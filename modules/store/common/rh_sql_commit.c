/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_sql.h"

/*
 * The deliveries of an event are made with it only for RH_COMMIT_FANOUT subscriptions, the first of
 * those that want it; the others get theirs afterwards (rh_queue_expand.c), so that who waits for a
 * commit does not wait for another tenant's thousand deliveries. As many are read of each pattern
 * and one more, which tells whether there are others.
 */
#define FANOUT RH_SQL_NUMBER(RH_COMMIT_FANOUT)
#define FANOUT_MORE RH_SQL_NUMBER(RH_COMMIT_FANOUT_MORE)

/*
 * Events with their deliveries and places in the queue; what was only observed has none. Events
 * that are there already (a repetition after a lost connection, a spool read again) and those whose
 * idempotency key was seen leave no trace.
 *
 * A delivery's id begins like its event's, so both go to partitions of one time. Idempotency keys
 * are inserted in order, so two of these statements can't wait for each other.
 */
const rh_statement_t rh_sql_commit = {
    "commit",
    "WITH clock AS MATERIALIZED (SELECT resthooks.now_ms() AS at),"
    " item AS MATERIALIZED (SELECT * FROM json_to_recordset(%s::json) AS i(n integer, id uuid,"
    " tenant text, type text, key text, client_id text, traceparent text, time bigint,"
    " source text, sent integer, data text, previous text, reason text, hops integer)),"
    " fresh AS (INSERT INTO resthooks.idempotency (tenant, client_id, event_id, created_at)"
    " SELECT DISTINCT ON (i.tenant COLLATE \"C\", i.client_id COLLATE \"C\")"
    " i.tenant, i.client_id, i.id, clock.at"
    " FROM item i, clock WHERE i.client_id IS NOT NULL"
    " ORDER BY i.tenant COLLATE \"C\", i.client_id COLLATE \"C\", i.n"
    " ON CONFLICT DO NOTHING RETURNING event_id),"
    " stored AS (INSERT INTO resthooks.event"
    " (tenant, id, type, key, client_id, traceparent, time, source, data, previous, reason, hops)"
    " SELECT i.tenant, i.id, i.type, i.key, i.client_id, i.traceparent, i.time, i.source, i.data,"
    " i.previous, i.reason, coalesce(i.hops, 0)"
    " FROM item i WHERE i.client_id IS NULL OR i.id IN (SELECT event_id FROM fresh)"
    " ON CONFLICT DO NOTHING RETURNING id),"
    " pattern AS MATERIALIZED (SELECT p.tenant COLLATE \"C\" AS tenant, p.type COLLATE \"C\" AS "
    "type,"
    " p.pattern FROM json_to_recordset(%s::json) AS p(tenant text, type text, pattern text)),"
    " reached AS MATERIALIZED (SELECT r.*,"
    " row_number() OVER (PARTITION BY r.tenant, r.type ORDER BY r.subscription_id) AS place"
    " FROM (SELECT DISTINCT p.tenant, p.type, e.subscription_id FROM pattern p"
    " CROSS JOIN LATERAL (SELECT x.subscription_id FROM resthooks.subscription_event x"
    " WHERE x.tenant = p.tenant AND x.pattern = p.pattern"
    " ORDER BY x.subscription_id LIMIT " FANOUT_MORE ") AS e) AS r),"
    " active AS MATERIALIZED (SELECT t.type, s.*, coalesce(st.paused_until, 0) AS paused_until,"
    " st.failing_since,"
    " NOT s.ordered AND s.rate_limit = 0 AND coalesce(st.paused_until, 0) <= clock.at AS at_once"
    " FROM clock, reached t"
    " JOIN resthooks.subscription s ON s.tenant = t.tenant AND s.id = t.subscription_id"
    " LEFT JOIN resthooks.subscription_stat st"
    " ON st.tenant = s.tenant AND st.subscription_id = s.id"
    " WHERE s.state = 'active' AND t.place <= " FANOUT "),"
    " wide AS MATERIALIZED (SELECT w.tenant, w.type, w.subscription_id AS after_id,"
    " (SELECT l.subscription_id FROM pattern p CROSS JOIN LATERAL (SELECT x.subscription_id"
    " FROM resthooks.subscription_event x WHERE x.tenant = p.tenant AND x.pattern = p.pattern"
    " ORDER BY x.subscription_id DESC LIMIT 1) AS l WHERE p.tenant = w.tenant AND p.type = w.type"
    " ORDER BY l.subscription_id DESC LIMIT 1) AS until_id"
    " FROM reached w WHERE w.place = " FANOUT " AND EXISTS (SELECT 1 FROM reached n"
    " WHERE n.tenant = w.tenant AND n.type = w.type AND n.place > w.place)),"
    " sent AS MATERIALIZED (SELECT i.n, i.id, i.tenant, i.type, i.key"
    " FROM stored JOIN item i ON i.id = stored.id"
    " WHERE i.sent = 1),"
    " expanding AS (INSERT INTO resthooks.expansion"
    " (tenant, event_id, after_id, until_id, created_at)"
    " SELECT i.tenant, i.id, w.after_id, w.until_id, clock.at"
    " FROM clock, sent i JOIN wide w ON w.tenant = i.tenant AND w.type = i.type RETURNING 1),"
    " made AS MATERIALIZED (SELECT i.n, i.id AS event_id, i.key,"
    " (left(i.id::text, 18) || right(gen_random_uuid()::text, 18))::uuid AS delivery_id, a.*,"
    " a.at_once AND count(*) FILTER (WHERE a.at_once)"
    " OVER (ORDER BY i.n ROWS UNBOUNDED PRECEDING) <= %s::bigint AS leased"
    " FROM sent i JOIN active a ON a.tenant = i.tenant AND a.type = i.type),"
    " delivery AS (INSERT INTO resthooks.delivery (tenant, id, event_id, subscription_id, type)"
    " SELECT m.tenant, m.delivery_id, m.event_id, m.id, m.type FROM made m),"
    " queued AS (INSERT INTO resthooks.queue"
    " (tenant, delivery_id, subscription_id, event_id, due_at, lease, order_key)"
    " SELECT m.tenant, m.delivery_id, m.id, m.event_id,"
    " CASE WHEN m.leased THEN clock.at + %s::bigint ELSE clock.at END,"
    " CASE WHEN m.leased THEN %s::bigint ELSE 0 END, CASE WHEN m.ordered THEN m.key END"
    " FROM made m, clock)"
    " SELECT m.n, m.delivery_id, m.id, m.target_url, m.headers, m.secret,"
    " CASE WHEN m.old_secret_until > clock.at THEN m.old_secret END, m.base_url, m.format,"
    " CASE WHEN m.failing_since IS NULL THEN 0 ELSE greatest(clock.at - m.failing_since, 1) END"
    " FROM made m, clock WHERE m.leased"
    " UNION ALL SELECT i.n, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM item i"
    " WHERE i.client_id IS NOT NULL AND i.id NOT IN (SELECT event_id FROM fresh)"
    " UNION ALL SELECT -1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,"
    " (SELECT count(*) FROM made m WHERE NOT m.leased) + (SELECT count(*) FROM expanding)",
    NULL};

#define ITEMS                                                                                      \
    "(SELECT value ->> 'n' AS n, value ->> 'id' AS id, value ->> 'tenant' AS tenant,"              \
    " value ->> 'type' AS type, value ->> 'key' AS key, value ->> 'client_id' AS client_id,"       \
    " value ->> 'traceparent' AS traceparent, value ->> 'time' AS time,"                           \
    " value ->> 'source' AS source, value ->> 'sent' AS sent, value ->> 'data' AS data,"           \
    " value ->> 'previous' AS previous, value ->> 'reason' AS reason,"                             \
    " coalesce(value ->> 'hops', 0) AS hops FROM json_each(%s)) AS i"

const rh_statement_t rh_sql_commit_keys = {
    "commit_keys", NULL,
    "INSERT INTO resthooks_idempotency (tenant, client_id, event_id, created_at)"
    " SELECT i.tenant, i.client_id, i.id, CAST(%s AS integer) FROM " ITEMS
    " WHERE i.client_id IS NOT NULL ORDER BY i.n ON CONFLICT DO NOTHING"};

const rh_statement_t rh_sql_commit_events = {
    "commit_events", NULL,
    "INSERT INTO resthooks_event"
    " (tenant, id, type, key, client_id, traceparent, time, source, data, previous, reason, hops)"
    " SELECT i.tenant, i.id, i.type, i.key, i.client_id, i.traceparent, i.time, i.source, i.data,"
    " i.previous, i.reason, i.hops"
    " FROM " ITEMS " WHERE i.client_id IS NULL OR EXISTS (SELECT 1 FROM resthooks_idempotency k"
    " WHERE k.tenant = i.tenant AND k.client_id = i.client_id AND k.event_id = i.id)"
    " ON CONFLICT DO NOTHING"};

/* SQLite's steps are the plain ones unless one pattern has that many. */
const rh_statement_t rh_sql_commit_is_wide = {
    "commit_is_wide", NULL,
    "SELECT 1 FROM json_each(%s) WHERE EXISTS (SELECT 1 FROM resthooks_subscription_event x"
    " WHERE x.tenant = value ->> 'tenant' AND x.pattern = value ->> 'pattern'"
    " LIMIT 1 OFFSET " FANOUT ") LIMIT 1"};

/* SQLite has no lateral query: the last one that is read of a pattern is looked up first. */
#define REACHED                                                                                    \
    "WITH pattern AS (SELECT value ->> 'tenant' AS tenant, value ->> 'type' AS type,"              \
    " value ->> 'pattern' AS pattern,"                                                             \
    " coalesce((SELECT x.subscription_id FROM resthooks_subscription_event x"                      \
    " WHERE x.tenant = value ->> 'tenant' AND x.pattern = value ->> 'pattern'"                     \
    " ORDER BY x.subscription_id LIMIT 1 OFFSET " FANOUT "), 'g') AS last FROM json_each(%s)),"    \
    " reached AS MATERIALIZED (SELECT r.*,"                                                        \
    " row_number() OVER (PARTITION BY r.tenant, r.type ORDER BY r.subscription_id) AS place"       \
    " FROM (SELECT DISTINCT p.tenant, p.type, e.subscription_id FROM pattern p"                    \
    " CROSS JOIN resthooks_subscription_event e ON e.tenant = p.tenant AND e.pattern = p.pattern"  \
    " AND e.subscription_id <= p.last) AS r) "

#define IS_SENT "i.sent = 1"

/* Before the events: those that are there already are being expanded, or have been. */
const rh_statement_t rh_sql_commit_expansions = {
    "commit_expansions", NULL,
    REACHED
    "INSERT INTO resthooks_expansion (tenant, event_id, after_id, until_id, created_at)"
    " SELECT i.tenant, i.id, w.subscription_id,"
    " (SELECT max((SELECT max(x.subscription_id) FROM resthooks_subscription_event x"
    " WHERE x.tenant = p.tenant AND x.pattern = p.pattern)) FROM pattern p"
    " WHERE p.tenant = w.tenant AND p.type = w.type), CAST(%s AS integer)"
    " FROM reached w JOIN " ITEMS " ON i.tenant = w.tenant AND i.type = w.type"
    " WHERE w.place = " FANOUT " AND EXISTS (SELECT 1 FROM reached n WHERE n.tenant = w.tenant"
    " AND n.type = w.type AND n.place > w.place) AND " IS_SENT
    " AND (i.client_id IS NULL OR EXISTS (SELECT 1 FROM resthooks_idempotency k"
    " WHERE k.tenant = i.tenant AND k.client_id = i.client_id AND k.event_id = i.id))"
    " AND NOT EXISTS (SELECT 1 FROM resthooks_event v WHERE v.tenant = i.tenant AND v.id = i.id)"};

#define DELIVERIES_OF_ITEMS                                                                        \
    "INSERT INTO resthooks_delivery (tenant, id, event_id, subscription_id, type)"                 \
    " SELECT i.tenant, substr(i.id, 1, 19) || 'a' || substr(lower(hex(randomblob(2))), 1, 3)"      \
    " || '-' || lower(hex(randomblob(6))), i.id, s.id, i.type FROM " ITEMS
#define IS_NEW                                                                                     \
    " AND EXISTS (SELECT 1 FROM resthooks_event v WHERE v.tenant = i.tenant AND v.id = i.id)"      \
    " AND NOT EXISTS (SELECT 1 FROM resthooks_delivery d"                                          \
    " WHERE d.tenant = i.tenant AND d.event_id = i.id)"                                            \
    " ORDER BY i.n"

const rh_statement_t rh_sql_commit_deliveries = {
    "commit_deliveries", NULL,
    DELIVERIES_OF_ITEMS
    " JOIN resthooks_subscription s ON s.tenant = i.tenant AND s.state = 'active'"
    " WHERE " IS_SENT " AND s.id IN (SELECT e.subscription_id FROM json_each(%s) AS p"
    " CROSS JOIN resthooks_subscription_event e ON e.tenant = i.tenant"
    " AND e.pattern = p.value ->> 'pattern'"
    " WHERE p.value ->> 'tenant' = i.tenant AND p.value ->> 'type' = i.type)" IS_NEW};

const rh_statement_t rh_sql_commit_deliveries_wide = {
    "commit_deliveries_wide", NULL,
    REACHED DELIVERIES_OF_ITEMS " JOIN reached t ON t.tenant = i.tenant AND t.type = i.type"
                                " AND t.place <= " FANOUT
                                " JOIN resthooks_subscription s ON s.tenant = t.tenant"
                                " AND s.id = t.subscription_id AND s.state = 'active'"
                                " WHERE " IS_SENT IS_NEW};

/* A new delivery is pending and has neither a row in the queue nor an attempt. SQLite has no
 * statistics of these tables: CROSS JOIN and INDEXED BY fix the plan where it would choose badly.
 */
const rh_statement_t rh_sql_commit_queue = {
    "commit_queue", NULL,
    "INSERT INTO resthooks_queue"
    " (tenant, delivery_id, subscription_id, event_id, due_at, lease, order_key)"
    " SELECT n.tenant, n.delivery_id, n.subscription_id, n.event_id,"
    " CASE WHEN n.at_once AND n.place <= CAST(%s AS integer) THEN CAST(%s AS integer)"
    " ELSE CAST(%s AS integer) END,"
    " CASE WHEN n.at_once AND n.place <= CAST(%s AS integer) THEN CAST(%s AS integer) ELSE 0 END,"
    " n.order_key"
    " FROM (SELECT d.tenant, d.id AS delivery_id, d.subscription_id, d.event_id,"
    " CASE WHEN s.ordered THEN i.key END AS order_key,"
    " NOT s.ordered AND s.rate_limit = 0 AND coalesce(t.paused_until, 0) <= CAST(%s AS integer)"
    " AS at_once, row_number() OVER (ORDER BY i.n) AS place"
    " FROM " ITEMS " CROSS JOIN resthooks_delivery d INDEXED BY resthooks_delivery_event"
    " ON d.tenant = i.tenant AND d.event_id = i.id"
    " AND d.state = 'pending' AND d.attempt_count = 0"
    " JOIN resthooks_subscription s ON s.tenant = d.tenant AND s.id = d.subscription_id"
    " LEFT JOIN resthooks_subscription_stat t"
    " ON t.tenant = s.tenant AND t.subscription_id = s.id) AS n"
    " WHERE true ON CONFLICT DO NOTHING"};

const rh_statement_t rh_sql_commit_leased = {
    "commit_leased", NULL,
    "SELECT q.tenant, q.delivery_id, q.lease <> CAST(%s AS integer)"
    " FROM " ITEMS " CROSS JOIN resthooks_delivery d INDEXED BY resthooks_delivery_event"
    " ON d.tenant = i.tenant AND d.event_id = i.id"
    " JOIN resthooks_queue q ON q.tenant = d.tenant AND q.delivery_id = d.id ORDER BY i.n"};

#define IDEMPOTENCY_GET(S)                                                                         \
    "SELECT event_id FROM " S "idempotency WHERE tenant = %s AND client_id = %s"

const rh_statement_t rh_sql_idempotency_get = {"idempotency_get", IDEMPOTENCY_GET("resthooks."),
                                               IDEMPOTENCY_GET("resthooks_")};
