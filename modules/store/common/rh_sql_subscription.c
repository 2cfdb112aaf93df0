/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_sql.h"

const rh_statement_t rh_sql_subscription_lock = {
    "subscription_lock",
    "SELECT 1 FROM resthooks.subscription_stat"
    " WHERE tenant = %s AND subscription_id = %s::uuid FOR UPDATE",
    NULL};

#define INSERT(TABLE, UUID, BOOLEAN, NUMBER)                                                       \
    "INSERT INTO " TABLE                                                                           \
    " (tenant, id, target_url, description, format, headers, ordered, rate_limit, state,"          \
    " state_reason, secret, base_url, created_at, updated_at)"                                     \
    " VALUES (%s, %s" UUID ", %s, %s, %s, %s, %s" BOOLEAN ", CAST(%s AS integer), %s, %s, %s, %s," \
    " CAST(%s AS " NUMBER "), CAST(%s AS " NUMBER "))"

const rh_statement_t rh_sql_subscription_insert = {
    "subscription_insert", INSERT("resthooks.subscription", "::uuid", "::boolean", "bigint"),
    INSERT("resthooks_subscription", "", "", "integer")};

#define COUNT_OF(TABLE) "SELECT count(*) FROM " TABLE " WHERE tenant = %s"

const rh_statement_t rh_sql_subscription_count = {
    "subscription_count", COUNT_OF("resthooks.subscription"), COUNT_OF("resthooks_subscription")};

const rh_statement_t rh_sql_subscription_events_insert = {
    "subscription_events_insert",
    "INSERT INTO resthooks.subscription_event (tenant, subscription_id, pattern, position)"
    " SELECT %s, %s::uuid, p.pattern, p.position"
    " FROM json_array_elements_text(%s::json) WITH ORDINALITY AS p(pattern, position)",
    "INSERT INTO resthooks_subscription_event (tenant, subscription_id, pattern, position)"
    " SELECT %s, %s, p.value, p.key + 1 FROM json_each(%s) AS p"};

#define EVENTS_DELETE(TABLE, UUID)                                                                 \
    "DELETE FROM " TABLE " WHERE tenant = %s AND subscription_id = %s" UUID

const rh_statement_t rh_sql_subscription_events_delete = {
    "subscription_events_delete", EVENTS_DELETE("resthooks.subscription_event", "::uuid"),
    EVENTS_DELETE("resthooks_subscription_event", "")};

#define STAT_INSERT(TABLE, UUID)                                                                   \
    "INSERT INTO " TABLE " (tenant, subscription_id) VALUES (%s, %s" UUID ")"

const rh_statement_t rh_sql_subscription_stat_insert = {
    "subscription_stat_insert", STAT_INSERT("resthooks.subscription_stat", "::uuid"),
    STAT_INSERT("resthooks_subscription_stat", "")};

/** What is pending is counted up to here. */
#define MAX_PENDING "100000"

#define COLUMNS(S, PATTERNS)                                                                       \
    "SELECT s.tenant, s.id, s.target_url, " PATTERNS ", s.description, s.format, s.headers,"       \
    " CASE WHEN s.ordered THEN 1 ELSE 0 END, s.rate_limit, s.state, s.state_reason, s.secret,"     \
    " s.old_secret, s.old_secret_until, s.base_url, s.created_at, s.updated_at, s.revision,"       \
    " t.delivered, t.failed, t.last_status_code, t.last_attempt_at,"                               \
    " (SELECT count(*) FROM (SELECT 1 FROM " S "queue q WHERE q.tenant = s.tenant"                 \
    " AND q.subscription_id = s.id LIMIT " MAX_PENDING ") AS pending)"                             \
    " FROM " S "subscription s LEFT JOIN " S "subscription_stat t"                                 \
    " ON t.tenant = s.tenant AND t.subscription_id = s.id"

#define PGSQL_COLUMNS                                                                              \
    COLUMNS("resthooks.", "(SELECT json_agg(e.pattern ORDER BY e.position)"                        \
                          " FROM resthooks.subscription_event e"                                   \
                          " WHERE e.tenant = s.tenant AND e.subscription_id = s.id)")
#define SQLITE_COLUMNS                                                                             \
    COLUMNS("resthooks_", "(SELECT json_group_array(p.pattern) FROM (SELECT e.pattern"             \
                          " FROM resthooks_subscription_event e"                                   \
                          " INDEXED BY resthooks_subscription_event_subscription"                  \
                          " WHERE e.tenant = s.tenant"                                             \
                          " AND e.subscription_id = s.id ORDER BY e.position) AS p)")

const rh_statement_t rh_sql_subscription_get = {
    "subscription_get", PGSQL_COLUMNS " WHERE s.tenant = %s AND s.id = %s::uuid",
    SQLITE_COLUMNS " WHERE s.tenant = %s AND s.id = %s"};

const rh_statement_t rh_sql_subscription_list = {
    "subscription_list",
    PGSQL_COLUMNS " WHERE s.tenant = %s AND s.id < %s::uuid"
                  " AND (%s::json IS NULL OR EXISTS (SELECT 1 FROM resthooks.subscription_event e"
                  " WHERE e.tenant = s.tenant AND e.subscription_id = s.id"
                  " AND e.pattern IN (SELECT json_array_elements_text(%s::json))))"
                  " AND (%s::integer IS NULL OR (s.state = 'active') = (%s::integer = 1))"
                  " ORDER BY s.id DESC LIMIT %s::integer",
    SQLITE_COLUMNS " WHERE s.tenant = %s AND s.id < %s"
                   " AND (%s IS NULL OR EXISTS (SELECT 1 FROM resthooks_subscription_event e"
                   " WHERE e.tenant = s.tenant AND e.subscription_id = s.id"
                   " AND e.pattern IN (SELECT value FROM json_each(%s))))"
                   " AND (%s IS NULL OR (s.state = 'active') = (%s = '1'))"
                   " ORDER BY s.id DESC LIMIT CAST(%s AS integer)"};

#define UPDATE(TABLE, UUID, BOOLEAN, NUMBER)                                                       \
    "UPDATE " TABLE " SET target_url = %s, description = %s, format = %s, headers = %s,"           \
    " ordered = %s" BOOLEAN ", rate_limit = CAST(%s AS integer), state = %s, state_reason = %s,"   \
    " secret = %s, old_secret = %s, old_secret_until = CAST(%s AS " NUMBER "), base_url = %s,"     \
    " updated_at = CAST(%s AS " NUMBER "), revision = revision + 1"                                \
    " WHERE tenant = %s AND id = %s" UUID " AND revision = CAST(%s AS " NUMBER ")"

const rh_statement_t rh_sql_subscription_update = {
    "subscription_update", UPDATE("resthooks.subscription", "::uuid", "::boolean", "bigint"),
    UPDATE("resthooks_subscription", "", "", "integer")};

#define STAT_CLEAR(TABLE, UUID)                                                                    \
    "UPDATE " TABLE " SET failing_since = NULL, paused_until = 0"                                  \
    " WHERE tenant = %s AND subscription_id = %s" UUID

const rh_statement_t rh_sql_subscription_stat_clear = {
    "subscription_stat_clear", STAT_CLEAR("resthooks.subscription_stat", "::uuid"),
    STAT_CLEAR("resthooks_subscription_stat", "")};

#define UNPARK(TABLE, UUID)                                                                        \
    "UPDATE " TABLE " SET lease = 0, due_at = 0"                                                   \
    " WHERE tenant = %s AND subscription_id = %s" UUID " AND lease = -1"

const rh_statement_t rh_sql_subscription_unpark = {
    "subscription_unpark", UNPARK("resthooks.queue", "::uuid"),
    UNPARK("resthooks_queue INDEXED BY resthooks_queue_due", "")};

#define DELETE(TABLE, UUID, NUMBER)                                                                \
    "DELETE FROM " TABLE " WHERE tenant = %s AND id = %s" UUID                                     \
    " AND (%s = '0' OR revision = CAST(%s AS " NUMBER "))"

const rh_statement_t rh_sql_subscription_delete = {
    "subscription_delete", DELETE("resthooks.subscription", "::uuid", "bigint"),
    DELETE("resthooks_subscription", "", "integer")};
