/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Jobs: replays and bulk redeliveries that run in chunks. */
#include "rh_sql.h"

#define JOB_COLUMNS                                                                                \
    "SELECT id, kind, subscription_id, filter, state, done, total, created_by, created_at,"        \
    " updated_at, spec, cursor, tenant"

#define JOB_INSERT(S, UUID, NUMBER)                                                                \
    "INSERT INTO " S "job (tenant, id, kind, subscription_id, filter, spec, cursor, created_by,"   \
    " created_at, updated_at) VALUES (%s, %s" UUID ", %s, %s" UUID ", %s, %s, %s" UUID             \
    ", %s, CAST(%s AS " NUMBER "), CAST(%s AS " NUMBER "))"

const rh_statement_t rh_sql_job_insert = {"job_insert",
                                          JOB_INSERT("resthooks.", "::uuid", "bigint"),
                                          JOB_INSERT("resthooks_", "", "integer")};

#define JOB_GET(S, UUID) JOB_COLUMNS " FROM " S "job WHERE tenant = %s AND id = %s" UUID

const rh_statement_t rh_sql_job_get = {"job_get", JOB_GET("resthooks.", "::uuid"),
                                       JOB_GET("resthooks_", "")};

#define JOB_LIST(S, UUID)                                                                          \
    JOB_COLUMNS " FROM " S "job WHERE tenant = %s AND id < %s" UUID                                \
                " ORDER BY id DESC LIMIT CAST(%s AS integer)"

const rh_statement_t rh_sql_job_list = {"job_list", JOB_LIST("resthooks.", "::uuid"),
                                        JOB_LIST("resthooks_", "")};

#define JOB_CANCEL(S, UUID, NUMBER)                                                                \
    "UPDATE " S "job SET state = 'cancelled', updated_at = CAST(%s AS " NUMBER ")"                 \
    " WHERE tenant = %s AND id = %s" UUID " AND state = 'running'"

const rh_statement_t rh_sql_job_cancel = {"job_cancel",
                                          JOB_CANCEL("resthooks.", "::uuid", "bigint"),
                                          JOB_CANCEL("resthooks_", "", "integer")};

/* The one that has waited for the longest time, so that they take turns. Its row is locked until
 * the chunk is committed with the cursor: a process that dies leaves the job as it was. */
const rh_statement_t rh_sql_job_next = {
    "job_next",
    JOB_COLUMNS " FROM resthooks.job WHERE state = 'running' ORDER BY updated_at LIMIT 1"
                " FOR UPDATE SKIP LOCKED",
    JOB_COLUMNS " FROM resthooks_job WHERE state = 'running' ORDER BY updated_at LIMIT 1"};

const rh_statement_t rh_sql_job_take = {
    "job_take",
    JOB_COLUMNS " FROM resthooks.job WHERE tenant = %s AND id = %s::uuid AND state = 'running'"
                " FOR UPDATE SKIP LOCKED",
    JOB_COLUMNS " FROM resthooks_job WHERE tenant = %s AND id = %s AND state = 'running'"};

#define JOB_PROGRESS(S, UUID, NUMBER)                                                              \
    "UPDATE " S "job SET done = done + CAST(%s AS " NUMBER "), cursor = %s" UUID ", state = %s,"   \
    " total = CASE WHEN %s = 'running' THEN total ELSE done + CAST(%s AS " NUMBER ") END,"         \
    " updated_at = CAST(%s AS " NUMBER ") WHERE tenant = %s AND id = %s" UUID

const rh_statement_t rh_sql_job_progress = {"job_progress",
                                            JOB_PROGRESS("resthooks.", "::uuid", "bigint"),
                                            JOB_PROGRESS("resthooks_", "", "integer")};

#define JOB_OLD(S, NUMBER)                                                                         \
    "DELETE FROM " S "job WHERE state <> 'running' AND updated_at < CAST(%s AS " NUMBER ")"

const rh_statement_t rh_sql_job_old = {"job_old", JOB_OLD("resthooks.", "bigint"),
                                       JOB_OLD("resthooks_", "integer")};

/* ---- a replay's chunk: the events of a tenant from one id to before another ---- */

#define CHUNK_END(S, UUID)                                                                         \
    "SELECT id FROM " S "event WHERE tenant = %s AND id >= %s" UUID " AND id < %s" UUID            \
    " ORDER BY id LIMIT 1 OFFSET 1000"

const rh_statement_t rh_sql_job_chunk_end = {"job_chunk_end", CHUNK_END("resthooks.", "::uuid"),
                                             CHUNK_END("resthooks_", "")};

/* Events first, each with its few deliveries: those of one subscription alone may be all there are.
 * The + keeps SQLite from applying the range of events to the deliveries as well: it would read all
 * deliveries of the range for each event. */
#define PGSQL_CHUNK                                                                                \
    " FROM (SELECT x.tenant, x.id, x.key FROM resthooks.event x WHERE x.tenant = %s"               \
    " AND x.id >= %s::uuid AND x.id < %s::uuid) AS e"                                              \
    " CROSS JOIN LATERAL (SELECT y.* FROM resthooks.delivery y WHERE y.tenant = e.tenant"          \
    " AND y.event_id = e.id AND y.subscription_id = %s::uuid OFFSET 0) AS d"                       \
    " JOIN resthooks.subscription s ON s.tenant = d.tenant AND s.id = d.subscription_id"           \
    " WHERE d.state IN (SELECT json_array_elements_text(%s::json))"
#define SQLITE_CHUNK                                                                               \
    " FROM resthooks_event e CROSS JOIN resthooks_delivery d INDEXED BY resthooks_delivery_event"  \
    " ON d.tenant = e.tenant AND d.event_id = +e.id"                                               \
    " JOIN resthooks_subscription s ON s.tenant = d.tenant AND s.id = d.subscription_id"           \
    " WHERE e.tenant = %s AND e.id >= %s AND e.id < %s AND d.subscription_id = %s"                 \
    " AND d.state IN (SELECT value FROM json_each(%s))"

#define CHUNK_QUEUE(S, NOW, CHUNK)                                                                 \
    "INSERT INTO " S "queue"                                                                       \
    " (tenant, delivery_id, subscription_id, event_id, due_at, attempt_count, order_key)"          \
    " SELECT d.tenant, d.id, d.subscription_id, d.event_id, " NOW ", d.attempt_count,"             \
    " CASE WHEN s.ordered THEN e.key END" CHUNK " ON CONFLICT (tenant, delivery_id) DO NOTHING"

const rh_statement_t rh_sql_job_chunk_queue = {
    "job_chunk_queue", CHUNK_QUEUE("resthooks.", "resthooks.now_ms()", PGSQL_CHUNK),
    CHUNK_QUEUE("resthooks_", RH_SQLITE_NOW, SQLITE_CHUNK)};

#define CHUNK_PENDING(S, CHUNK)                                                                    \
    "UPDATE " S                                                                                    \
    "delivery SET state = 'pending' WHERE (tenant, id) IN (SELECT d.tenant, d.id" CHUNK            \
    " AND EXISTS (SELECT 1 FROM " S "queue q WHERE q.tenant = d.tenant AND q.delivery_id = d.id))"

const rh_statement_t rh_sql_job_chunk_pending = {"job_chunk_pending",
                                                 CHUNK_PENDING("resthooks.", PGSQL_CHUNK),
                                                 CHUNK_PENDING("resthooks_", SQLITE_CHUNK)};
