/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_sql.h"

#define PGSQL_NOW "resthooks.now_ms()"

#define DELIVERY_SUBSCRIPTION(S, UUID)                                                             \
    "SELECT d.subscription_id, s.state FROM " S "delivery d"                                       \
    " LEFT JOIN " S "subscription s ON s.tenant = d.tenant AND s.id = d.subscription_id"           \
    " WHERE d.tenant = %s AND d.id = %s" UUID

const rh_statement_t rh_sql_delivery_subscription = {"delivery_subscription",
                                                     DELIVERY_SUBSCRIPTION("resthooks.", "::uuid"),
                                                     DELIVERY_SUBSCRIPTION("resthooks_", "")};

#define SUBSCRIPTION_STATE(S, UUID)                                                                \
    "SELECT state, target_url FROM " S "subscription WHERE tenant = %s AND id = %s" UUID

const rh_statement_t rh_sql_subscription_state = {"subscription_state",
                                                  SUBSCRIPTION_STATE("resthooks.", "::uuid"),
                                                  SUBSCRIPTION_STATE("resthooks_", "")};

/* A delivery that is being attempted keeps its lease and is marked by tries below 0: if the attempt
 * fails, even the last one, another is due at once and the schedule starts again. */
#define QUEUE_FROM_DELIVERY(S, NUMBER)                                                             \
    "INSERT INTO " S "queue"                                                                       \
    " (tenant, delivery_id, subscription_id, event_id, due_at, attempt_count, order_key)"          \
    " SELECT d.tenant, d.id, d.subscription_id, d.event_id, " NUMBER ", d.attempt_count,"          \
    " CASE WHEN s.ordered THEN e.key END"                                                          \
    " FROM " S "delivery d"                                                                        \
    " JOIN " S "event e ON e.tenant = d.tenant AND e.id = d.event_id"                              \
    " JOIN " S "subscription s ON s.tenant = d.tenant AND s.id = d.subscription_id"

#define REDELIVER_QUEUE(S, UUID, NOW, ROW)                                                         \
    QUEUE_FROM_DELIVERY(S, NOW)                                                                    \
    " WHERE d.tenant = %s AND d.id = %s" UUID " ON CONFLICT (tenant, delivery_id) DO UPDATE SET"   \
    " tries = CASE WHEN " ROW ".lease > 0 THEN -1 ELSE 0 END,"                                     \
    " due_at = CASE WHEN " ROW ".lease > 0 THEN " ROW ".due_at ELSE excluded.due_at END,"          \
    " lease = CASE WHEN " ROW ".lease > 0 THEN " ROW ".lease ELSE 0 END"

const rh_statement_t rh_sql_redeliver_queue = {
    "redeliver_queue", REDELIVER_QUEUE("resthooks.", "::uuid", PGSQL_NOW, "queue"),
    REDELIVER_QUEUE("resthooks_", "", RH_SQLITE_NOW, "resthooks_queue")};

#define REDELIVER_DELIVERY(S, UUID)                                                                \
    "UPDATE " S "delivery SET state = 'pending' WHERE tenant = %s AND id = %s" UUID

const rh_statement_t rh_sql_redeliver_delivery = {"redeliver_delivery",
                                                  REDELIVER_DELIVERY("resthooks.", "::uuid"),
                                                  REDELIVER_DELIVERY("resthooks_", "")};

/* ---- replay ---- */

/* Not the row of subscription_stat, for which settling would have to wait all the while. */
const rh_statement_t rh_sql_replay_lock = {
    "replay_lock",
    "SELECT 1 FROM pg_advisory_xact_lock(hashtextextended(%s, 3) # hashtextextended(%s, 4))", NULL};

/** The subscription is not one of those that an expansion makes a delivery for. */
#define NOT_EXPANDING(S)                                                                           \
    " AND NOT EXISTS (SELECT 1 FROM " S "expansion x WHERE x.tenant = e.tenant"                    \
    " AND x.event_id = e.id AND x.after_id < s.id AND x.until_id >= s.id)"

/* Events that should have had a delivery: (tenant, subscription, lowest event id, event id to end
 * before, sources, ranges of types). The last two are JSON of rh_matching.h's. */
#define PGSQL_MISSING                                                                              \
    " FROM resthooks.subscription s JOIN resthooks.event e ON e.tenant = s.tenant"                 \
    " WHERE s.tenant = %s AND s.id = %s::uuid AND e.id >= %s::uuid AND e.id < %s::uuid"            \
    " AND e.source IN (SELECT json_array_elements_text(%s::json))"                                 \
    " AND EXISTS (SELECT 1 FROM json_to_recordset(%s::json) AS p(low text, high text)"             \
    " WHERE e.type >= p.low AND e.type < p.high)"                                                  \
    " AND NOT EXISTS (SELECT 1 FROM resthooks.delivery d WHERE d.tenant = e.tenant"                \
    " AND d.event_id = e.id AND d.subscription_id = s.id)" NOT_EXPANDING("resthooks.")
#define SQLITE_MISSING                                                                             \
    " FROM resthooks_subscription s JOIN resthooks_event e ON e.tenant = s.tenant"                 \
    " WHERE s.tenant = %s AND s.id = %s AND e.id >= %s AND e.id < %s"                              \
    " AND e.source IN (SELECT value FROM json_each(%s))"                                           \
    " AND EXISTS (SELECT 1 FROM json_each(%s) AS p"                                                \
    " WHERE e.type >= p.value ->> 'low' AND e.type < p.value ->> 'high')"                          \
    " AND NOT EXISTS (SELECT 1 FROM resthooks_delivery d INDEXED BY resthooks_delivery_event"      \
    " WHERE d.tenant = e.tenant AND d.event_id = e.id AND d.subscription_id = "                    \
    "s.id)" NOT_EXPANDING("resthooks_")

const rh_statement_t rh_sql_replay_missing = {
    "replay_missing",
    "INSERT INTO resthooks.delivery (tenant, id, event_id, subscription_id, type, state)"
    " SELECT e.tenant, resthooks.uuidv7(), e.id, s.id, e.type, 'cancelled'" PGSQL_MISSING
    " ORDER BY e.id",
    "INSERT INTO resthooks_delivery (tenant, id, event_id, subscription_id, type, state)"
    " SELECT e.tenant, substr(e.id, 1, 19) || 'a' || substr(lower(hex(randomblob(2))), 1, 3)"
    " || '-' || lower(hex(randomblob(6))), e.id, s.id, e.type, 'cancelled'" SQLITE_MISSING
    " ORDER BY e.id"};

const rh_statement_t rh_sql_replay_count_missing = {
    "replay_count_missing", "SELECT count(*)" PGSQL_MISSING, "SELECT count(*)" SQLITE_MISSING};

/* The range is one of events: a delivery's id is as old as its event's, or younger. */
#define REPLAY_WHERE(S, UUID, STATES)                                                              \
    " WHERE d.tenant = %s AND d.subscription_id = %s" UUID " AND d.id >= %s" UUID                  \
    " AND d.event_id >= %s" UUID " AND d.event_id < %s" UUID " AND d.state IN (" STATES ")"

#define REPLAY_COUNT(S, UUID, STATES)                                                              \
    "SELECT count(*) FROM " S "delivery d JOIN " S "event e ON e.tenant = d.tenant"                \
    " AND e.id = d.event_id" REPLAY_WHERE(                                                         \
        S, UUID, STATES) " AND NOT EXISTS (SELECT 1 FROM " S                                       \
                         "queue q WHERE q.tenant = d.tenant AND q.delivery_id = d.id)"

const rh_statement_t rh_sql_replay_count = {
    "replay_count",
    REPLAY_COUNT("resthooks.", "::uuid", "SELECT json_array_elements_text(%s::json)"),
    REPLAY_COUNT("resthooks_", "", "SELECT value FROM json_each(%s)")};

/* ---- tests ---- */

#define TEST_EVENT(S, UUID, NUMBER)                                                                \
    "INSERT INTO " S "event (tenant, id, type, key, traceparent, time, source, data)"              \
    " VALUES (%s, %s" UUID ", %s, %s, %s, CAST(%s AS " NUMBER "), 'test', %s)"

const rh_statement_t rh_sql_test_event = {"test_event",
                                          TEST_EVENT("resthooks.", "::uuid", "bigint"),
                                          TEST_EVENT("resthooks_", "", "integer")};

#define TEST_DELIVERY(S, UUID)                                                                     \
    "INSERT INTO " S "delivery (tenant, id, event_id, subscription_id, type)"                      \
    " VALUES (%s, %s" UUID ", %s" UUID ", %s" UUID ", %s)"

const rh_statement_t rh_sql_test_delivery = {"test_delivery", TEST_DELIVERY("resthooks.", "::uuid"),
                                             TEST_DELIVERY("resthooks_", "")};

const rh_statement_t rh_sql_version = {
    "schema_version",
    "SELECT max(version), pg_catalog.current_setting('transaction_read_only')"
    " FROM resthooks.schema_version",
    "SELECT max(version), 'off' FROM resthooks_schema_version"};
