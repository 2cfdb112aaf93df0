/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_sql.h"
#include "rh_store.h"

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#define PGSQL_BYTES "octet_length(e.data)"
#define SQLITE_BYTES "length(CAST(e.data AS blob))"

#define PGSQL_PREVIOUS_BYTES "octet_length(e.previous)"
#define SQLITE_PREVIOUS_BYTES "length(CAST(e.previous AS blob))"
#define SHORT(BYTES) BYTES " <= " TEXT(RH_EVENT_PREVIEW)

#define EVENT_COLUMNS(DATA, BYTES, PREVIOUS)                                                       \
    "SELECT e.id, e.tenant, e.type, e.key, e.client_id, e.traceparent, e.time, e.source, " DATA    \
    ", " BYTES ", " PREVIOUS ", e.reason, e.hops"

#define EVENT_GET(S, UUID, BYTES)                                                                  \
    EVENT_COLUMNS("e.data", BYTES, "e.previous")                                                   \
    " FROM " S "event e WHERE e.tenant = %s AND e.id = %s" UUID

const rh_statement_t rh_sql_event_get = {"event_get",
                                         EVENT_GET("resthooks.", "::uuid", PGSQL_BYTES),
                                         EVENT_GET("resthooks_", "", SQLITE_BYTES)};

/* A page of large events would take much memory: of those, lists have the beginning alone. */
#define EVENT_LIST(S, UUID, MORE, BYTES, PREVIOUS_BYTES)                                           \
    EVENT_COLUMNS("CASE WHEN " SHORT(BYTES) " THEN e.data ELSE substr(e.data, 1, " TEXT(           \
                      RH_EVENT_PREVIEW) ") END",                                                   \
                  BYTES, "CASE WHEN " SHORT(PREVIOUS_BYTES) " THEN e.previous END")                \
    " FROM " S "event e WHERE e.tenant = %s AND e.id >= %s" UUID " AND e.id < %s" UUID MORE        \
    " ORDER BY e.id DESC LIMIT CAST(%s AS integer)"
#define OF_TYPE " AND e.type = %s"

const rh_statement_t rh_sql_event_list = {
    "event_list", EVENT_LIST("resthooks.", "::uuid", "", PGSQL_BYTES, PGSQL_PREVIOUS_BYTES),
    EVENT_LIST("resthooks_", "", "", SQLITE_BYTES, SQLITE_PREVIOUS_BYTES)};
const rh_statement_t rh_sql_event_list_type = {
    "event_list_type",
    EVENT_LIST("resthooks.", "::uuid", OF_TYPE, PGSQL_BYTES, PGSQL_PREVIOUS_BYTES),
    EVENT_LIST("resthooks_", "", OF_TYPE, SQLITE_BYTES, SQLITE_PREVIOUS_BYTES)};

/* Each condition holds where its parameter is null. The span of ids bounds what is read. */
#define FILTERED(S, STATES, FOUND)                                                                 \
    " AND (%s IS NULL OR e.type = %s) AND (%s IS NULL OR e.key = %s)"                              \
    " AND (%s IS NULL OR e.source IN (" STATES "))"                                                \
    " AND (%s IS NULL OR NOT EXISTS (SELECT 1 FROM " S "delivery d"                                \
    " WHERE d.tenant = e.tenant AND d.event_id = e.id))"                                           \
    " AND (%s IS NULL OR " FOUND " > 0)"

const rh_statement_t rh_sql_event_list_filtered = {
    "event_list_filtered",
    EVENT_LIST("resthooks.", "::uuid",
               FILTERED("resthooks.", "SELECT json_array_elements_text(%s::json)",
                        "position(lower(%s) IN lower(e.data))"),
               PGSQL_BYTES, PGSQL_PREVIOUS_BYTES),
    EVENT_LIST("resthooks_", "",
               FILTERED("resthooks_", "SELECT value FROM json_each(%s)",
                        "instr(lower(e.data), lower(%s))"),
               SQLITE_BYTES, SQLITE_PREVIOUS_BYTES)};

/*
 * What a pending delivery waits for, in the words of rh_delivery.h. Only a delivery that is not
 * leased and is the first of its key has a time before which it isn't attempted.
 */
#define WAITING(NOW, GREATEST)                                                                     \
    "CASE WHEN q.lease = 0 THEN " GREATEST "(q.due_at, coalesce(t.paused_until, 0)) END,"          \
    " CASE WHEN d.state <> 'pending' OR q.lease IS NULL THEN NULL"                                 \
    " WHEN s.state <> 'active' THEN 'subscription' WHEN q.lease < 0 THEN 'order'"                  \
    " WHEN q.lease > 0 AND q.due_at > " NOW " THEN 'attempt'"                                      \
    " WHEN t.paused_until > " GREATEST "(q.due_at, " NOW ") THEN"                                  \
    " CASE WHEN s.rate_limit > 0 AND t.failing_since IS NULL THEN 'rate_limit' ELSE 'target' END"  \
    " WHEN q.due_at > " NOW " THEN 'schedule' ELSE 'turn' END"
#define PGSQL_NOW "resthooks.now_ms()"
#define PGSQL_WAITING WAITING(PGSQL_NOW, "greatest")
#define SQLITE_WAITING WAITING(RH_SQLITE_NOW, "max")

#define DELIVERY_COLUMNS(WAITS)                                                                    \
    "SELECT d.id, d.tenant, d.event_id, d.subscription_id, d.type, d.state, d.attempt_count,"      \
    " d.last_status_code, " WAITS ", s.format, s.target_url, s.base_url, e.key, e.time, e.source," \
    " e.traceparent"
#define DELIVERY_TABLES(S, BY)                                                                     \
    " FROM " S "delivery d" BY " LEFT JOIN " S                                                     \
    "queue q ON q.tenant = d.tenant AND q.delivery_id = d.id"                                      \
    " LEFT JOIN " S "subscription s ON s.tenant = d.tenant AND s.id = d.subscription_id"           \
    " LEFT JOIN " S                                                                                \
    "subscription_stat t ON t.tenant = d.tenant AND t.subscription_id = d.subscription_id"         \
    " LEFT JOIN " S "event e ON e.tenant = d.tenant AND e.id = d.event_id"

/* The few of one event are sorted: going through all by id would take longer. SQLite is told
 * which index that takes. */
#define BY_ID "d.id"
#define SORTED "CAST(d.id AS text)"

#define DELIVERY_LIST(S, WAITS, BY, UUID, MORE, ORDER)                                             \
    DELIVERY_COLUMNS(WAITS)                                                                        \
    DELIVERY_TABLES(S, BY)                                                                         \
    " WHERE d.tenant = %s" MORE " AND d.id >= %s" UUID " AND d.id < %s" UUID                       \
    " AND (%s IS NULL OR d.type = %s) AND (%s IS NULL OR d.state = %s)"                            \
    " AND d.last_status_code >= CAST(%s AS integer) AND d.last_status_code < CAST(%s "             \
    "AS integer)"                                                                                  \
    " ORDER BY " ORDER " DESC LIMIT CAST(%s AS integer)"

const rh_statement_t rh_sql_delivery_list = {
    "delivery_list", DELIVERY_LIST("resthooks.", PGSQL_WAITING, "", "::uuid", "", BY_ID),
    DELIVERY_LIST("resthooks_", SQLITE_WAITING, "", "", "", BY_ID)};

const rh_statement_t rh_sql_delivery_list_subscription = {
    "delivery_list_subscription",
    DELIVERY_LIST("resthooks.", PGSQL_WAITING, "", "::uuid", " AND d.subscription_id = %s::uuid",
                  BY_ID),
    DELIVERY_LIST("resthooks_", SQLITE_WAITING, "", "", " AND d.subscription_id = %s", BY_ID)};

const rh_statement_t rh_sql_delivery_list_event = {
    "delivery_list_event",
    DELIVERY_LIST("resthooks.", PGSQL_WAITING, "", "::uuid", " AND d.event_id = %s::uuid", SORTED),
    DELIVERY_LIST("resthooks_", SQLITE_WAITING, " INDEXED BY resthooks_delivery_event", "",
                  " AND d.event_id = %s", SORTED)};

#define DELIVERY_COUNT(S, UUID)                                                                    \
    "SELECT count(*) FROM " S "delivery d WHERE d.tenant = %s"                                     \
    " AND (%s IS NULL OR CAST(d.subscription_id AS text) = %s)"                                    \
    " AND d.id >= %s" UUID " AND d.id < %s" UUID                                                   \
    " AND (%s IS NULL OR d.type = %s) AND (%s IS NULL OR d.state = %s)"                            \
    " AND d.last_status_code >= CAST(%s AS integer) AND d.last_status_code < CAST(%s "             \
    "AS integer)"

const rh_statement_t rh_sql_delivery_count = {
    "delivery_count", DELIVERY_COUNT("resthooks.", "::uuid"), DELIVERY_COUNT("resthooks_", "")};

#define DELIVERY_GET(S, WAITS, UUID)                                                               \
    DELIVERY_COLUMNS(WAITS)                                                                        \
    ", e.data" DELIVERY_TABLES(S, "") " WHERE d.tenant = %s AND d.id = %s" UUID

const rh_statement_t rh_sql_delivery_get = {"delivery_get",
                                            DELIVERY_GET("resthooks.", PGSQL_WAITING, "::uuid"),
                                            DELIVERY_GET("resthooks_", SQLITE_WAITING, "")};

/** Attempts of one delivery that are shown, the latest of them. */
#define MAX_ATTEMPTS "100"

#define ATTEMPT_LIST(S, UUID)                                                                      \
    "SELECT id, number, started_at, ms, status_code, headers, answer, error, format, sent FROM " S \
    "attempt"                                                                                      \
    " WHERE tenant = %s AND delivery_id = %s" UUID                                                 \
    " ORDER BY number DESC, started_at DESC LIMIT " MAX_ATTEMPTS

const rh_statement_t rh_sql_attempt_list = {"attempt_list", ATTEMPT_LIST("resthooks.", "::uuid"),
                                            ATTEMPT_LIST("resthooks_", "")};

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

/* (tenant, subscription, lowest event id, event id to end before): events that should have had a
 * delivery. */
#define PGSQL_MISSING                                                                              \
    " FROM resthooks.subscription s JOIN resthooks.event e ON e.tenant = s.tenant"                 \
    " WHERE s.tenant = %s AND s.id = %s::uuid AND e.id >= %s::uuid AND e.id < %s::uuid"            \
    " AND e.source NOT IN ('test', 'observed')"                                                    \
    " AND EXISTS (SELECT 1 FROM resthooks.subscription_event p WHERE p.tenant = s.tenant"          \
    " AND p.subscription_id = s.id AND p.pattern = ANY (resthooks.patterns(e.type)))"              \
    " AND NOT EXISTS (SELECT 1 FROM resthooks.delivery d WHERE d.tenant = e.tenant"                \
    " AND d.event_id = e.id AND d.subscription_id = s.id)"
#define SQLITE_MISSING                                                                             \
    " FROM resthooks_subscription s JOIN resthooks_event e ON e.tenant = s.tenant"                 \
    " WHERE s.tenant = %s AND s.id = %s AND e.id >= %s AND e.id < %s"                              \
    " AND e.source NOT IN ('test', 'observed')"                                                    \
    " AND EXISTS (SELECT 1 FROM resthooks_subscription_event p WHERE p.tenant = s.tenant"          \
    " AND p.subscription_id = s.id AND (p.pattern IN ('*', e.type)"                                \
    " OR (substr(p.pattern, -2) = '.*'"                                                            \
    " AND substr(e.type, 1, length(p.pattern) - 1) = substr(p.pattern, 1, length(p.pattern) - "    \
    "1))))"                                                                                        \
    " AND NOT EXISTS (SELECT 1 FROM resthooks_delivery d INDEXED BY resthooks_delivery_event"      \
    " WHERE d.tenant = e.tenant AND d.event_id = e.id AND d.subscription_id = s.id)"

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
