/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_sql.h"

/* Of a tenant, the oldest event first: so ordered subscriptions wait for as little as possible. */
#define NEXT(S)                                                                                    \
    "SELECT x.tenant, x.event_id, x.after_id, x.until_id, x.created_at, e.type"                    \
    " FROM " S "expansion x LEFT JOIN " S "event e ON e.tenant = x.tenant AND e.id = x.event_id"   \
    " WHERE x.tenant > %s ORDER BY x.tenant, x.event_id LIMIT 1"

const rh_statement_t rh_sql_expand_next = {
    "expand_next", NEXT("resthooks.") " FOR UPDATE OF x SKIP LOCKED", NEXT("resthooks_")};

/* SQLite has no lateral query: where a pattern's subscriptions of the chunk end is looked up first.
 */
const rh_statement_t rh_sql_expand_end = {
    "expand_end",
    "SELECT DISTINCT e.subscription_id FROM json_array_elements_text(%s::json) AS p(pattern)"
    " CROSS JOIN LATERAL (SELECT x.subscription_id FROM resthooks.subscription_event x"
    " WHERE x.tenant = %s AND x.pattern = p.pattern"
    " AND x.subscription_id > %s::uuid AND x.subscription_id <= %s::uuid"
    " ORDER BY x.subscription_id LIMIT " RH_SQL_NUMBER(
        RH_EXPAND_CHUNK) ") AS e"
                         " ORDER BY 1 LIMIT 1 OFFSET " RH_SQL_NUMBER(RH_EXPAND_CHUNK) " - 1",
    "WITH pattern AS (SELECT value AS pattern FROM json_each(%s)),"
    " place AS (SELECT %s AS tenant, %s AS after_id, %s AS until_id)"
    " SELECT DISTINCT e.subscription_id FROM place l CROSS JOIN pattern p"
    " CROSS JOIN resthooks_subscription_event e ON e.tenant = l.tenant AND e.pattern = p.pattern"
    " AND e.subscription_id > l.after_id AND e.subscription_id <= coalesce("
    "(SELECT x.subscription_id FROM resthooks_subscription_event x WHERE x.tenant = l.tenant"
    " AND x.pattern = p.pattern AND x.subscription_id > l.after_id"
    " ORDER BY x.subscription_id LIMIT 1 OFFSET " RH_SQL_NUMBER(
        RH_EXPAND_CHUNK) " - 1), l.until_id)"
                         " AND e.subscription_id <= l.until_id"
                         " ORDER BY 1 LIMIT 1 OFFSET " RH_SQL_NUMBER(RH_EXPAND_CHUNK) " - 1"};

/* One that was changed after the event's commit was active then, for all that is known: if it has
 * been paused or disabled since, the delivery waits with its others. */
#define WANTS_IT                                                                                   \
    "(s.state = 'active' OR (s.state IN ('paused', 'disabled') AND s.updated_at >= c.created_at))"

const rh_statement_t rh_sql_expand = {
    "expand",
    "WITH c AS MATERIALIZED (SELECT e.tenant, e.id AS event_id, e.type, e.key, c.created_at,"
    " resthooks.now_ms() AS at FROM (SELECT %s::uuid AS event_id, %s::bigint AS created_at,"
    " %s::text AS tenant) AS c"
    " JOIN resthooks.event e ON e.tenant = c.tenant AND e.id = c.event_id),"
    " made AS MATERIALIZED (SELECT s.id, s.ordered,"
    " (left(c.event_id::text, 18) || right(gen_random_uuid()::text, 18))::uuid AS delivery_id"
    " FROM c CROSS JOIN (SELECT DISTINCT e.subscription_id"
    " FROM json_array_elements_text(%s::json) AS p(pattern)"
    " CROSS JOIN LATERAL (SELECT x.subscription_id FROM resthooks.subscription_event x"
    " WHERE x.tenant = %s AND x.pattern = p.pattern"
    " AND x.subscription_id > %s::uuid AND x.subscription_id <= %s::uuid OFFSET 0) AS e) AS t"
    " CROSS JOIN LATERAL (SELECT x.* FROM resthooks.subscription x"
    " WHERE x.tenant = c.tenant AND x.id = t.subscription_id LIMIT 1) AS s WHERE " WANTS_IT "),"
    " delivery AS (INSERT INTO resthooks.delivery (tenant, id, event_id, subscription_id, type)"
    " SELECT c.tenant, m.delivery_id, c.event_id, m.id, c.type FROM c CROSS JOIN made m)"
    " INSERT INTO resthooks.queue"
    " (tenant, delivery_id, subscription_id, event_id, due_at, order_key)"
    " SELECT c.tenant, m.delivery_id, m.id, c.event_id, c.at, CASE WHEN m.ordered THEN c.key END"
    " FROM c CROSS JOIN made m",
    "WITH c AS (SELECT e.tenant, e.id AS event_id, e.type, CAST(c.created_at AS integer) AS "
    "created_at"
    " FROM (SELECT %s AS event_id, %s AS created_at, %s AS tenant) AS c"
    " CROSS JOIN resthooks_event e ON e.tenant = c.tenant AND e.id = c.event_id)"
    " INSERT INTO resthooks_delivery (tenant, id, event_id, subscription_id, type)"
    " SELECT c.tenant, substr(c.event_id, 1, 19) || 'a' || substr(lower(hex(randomblob(2))), 1, 3)"
    " || '-' || lower(hex(randomblob(6))), c.event_id, s.id, c.type"
    " FROM c CROSS JOIN (SELECT DISTINCT e.subscription_id FROM json_each(%s) AS p"
    " CROSS JOIN resthooks_subscription_event e ON e.tenant = %s AND e.pattern = p.value"
    " AND e.subscription_id > %s AND e.subscription_id <= %s) AS t"
    " CROSS JOIN resthooks_subscription s ON s.tenant = c.tenant AND s.id = t.subscription_id"
    " WHERE " WANTS_IT};

/* As in commit_queue: a new delivery is pending and has no attempt. */
const rh_statement_t rh_sql_expand_queue = {
    "expand_queue", NULL,
    "INSERT INTO resthooks_queue"
    " (tenant, delivery_id, subscription_id, event_id, due_at, order_key)"
    " SELECT d.tenant, d.id, d.subscription_id, d.event_id, " RH_SQLITE_NOW ","
    " CASE WHEN s.ordered THEN e.key END"
    " FROM resthooks_event e CROSS JOIN resthooks_delivery d INDEXED BY resthooks_delivery_event"
    " ON d.tenant = e.tenant AND d.event_id = e.id AND d.state = 'pending' AND d.attempt_count = 0"
    " JOIN resthooks_subscription s ON s.tenant = d.tenant AND s.id = d.subscription_id"
    " WHERE e.tenant = %s AND e.id = %s AND d.subscription_id > %s AND d.subscription_id <= %s"
    " ON CONFLICT DO NOTHING"};

#define MOVE(S, UUID)                                                                              \
    "UPDATE " S "expansion SET after_id = %s" UUID " WHERE tenant = %s AND event_id = %s" UUID
#define CLOSE(S, UUID) "DELETE FROM " S "expansion WHERE tenant = %s AND event_id = %s" UUID

const rh_statement_t rh_sql_expand_move = {"expand_move", MOVE("resthooks.", "::uuid"),
                                           MOVE("resthooks_", "")};
const rh_statement_t rh_sql_expand_close = {"expand_close", CLOSE("resthooks.", "::uuid"),
                                            CLOSE("resthooks_", "")};
