/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_sql.h"

/* Ids sort by time, so a bucket is a range of ids: an index range each, whatever the dialect. */
#define PGSQL_BUCKETS " FROM json_to_recordset(%s::json) AS b (n integer, low uuid, high uuid)"
#define SQLITE_BUCKETS                                                                             \
    " FROM (SELECT json_extract(value, '$.n') AS n, json_extract(value, '$.low') AS low,"          \
    " json_extract(value, '$.high') AS high FROM json_each(%s)) b"

#define STATES(S, BUCKETS, MORE)                                                                   \
    "SELECT b.n, d.state, count(*)" BUCKETS " CROSS JOIN " S "delivery d"                          \
    " WHERE d.tenant = %s" MORE " AND d.id >= b.low AND d.id < b.high GROUP BY b.n, d.state"

const rh_statement_t rh_sql_stats_states = {"stats_states", STATES("resthooks.", PGSQL_BUCKETS, ""),
                                            STATES("resthooks_", SQLITE_BUCKETS, "")};

const rh_statement_t rh_sql_stats_states_subscription = {
    "stats_states_subscription",
    STATES("resthooks.", PGSQL_BUCKETS, " AND d.subscription_id = %s::uuid"),
    STATES("resthooks_", SQLITE_BUCKETS, " AND d.subscription_id = %s")};

/* Some hundred values at most, however many attempts there are. */
#define TWO_DIGITS                                                                                 \
    "CASE WHEN a.ms < 100 THEN a.ms WHEN a.ms < 1000 THEN a.ms / 10 * 10"                          \
    " WHEN a.ms < 10000 THEN a.ms / 100 * 100 ELSE a.ms / 1000 * 1000 END"

#define DURATIONS(S, BUCKETS, MORE)                                                                \
    "SELECT b.n, " TWO_DIGITS " AS rounded, count(*)" BUCKETS " CROSS JOIN " S "attempt a"         \
    " WHERE a.tenant = %s AND a.id >= b.low AND a.id < b.high" MORE                                \
    " GROUP BY b.n, rounded ORDER BY b.n, rounded"

const rh_statement_t rh_sql_stats_durations = {"stats_durations",
                                               DURATIONS("resthooks.", PGSQL_BUCKETS, ""),
                                               DURATIONS("resthooks_", SQLITE_BUCKETS, "")};

/* The subscription's deliveries are collected first: looking each attempt's up takes longer. */
#define MINE(S, UUID)                                                                              \
    "WITH mine AS MATERIALIZED (SELECT d.id FROM " S "delivery d WHERE d.tenant = %s"              \
    " AND d.subscription_id = %s" UUID " AND d.id >= %s" UUID " AND d.id < %s" UUID ") "
#define OF_MINE " AND a.delivery_id IN (SELECT id FROM mine)"

const rh_statement_t rh_sql_stats_durations_subscription = {
    "stats_durations_subscription",
    MINE("resthooks.", "::uuid") DURATIONS("resthooks.", PGSQL_BUCKETS, OF_MINE),
    MINE("resthooks_", "") DURATIONS("resthooks_", SQLITE_BUCKETS, OF_MINE)};

#define SUBSCRIPTIONS(S, BUCKETS)                                                                  \
    "SELECT d.subscription_id, b.n, sum(CASE d.state WHEN 'delivered' THEN 1 ELSE 0 END),"         \
    " sum(CASE d.state WHEN 'failed' THEN 1 ELSE 0 END)" BUCKETS " CROSS JOIN " S "delivery d"     \
    " WHERE d.tenant = %s AND d.id >= b.low AND d.id < b.high"                                     \
    " GROUP BY d.subscription_id, b.n ORDER BY d.subscription_id, b.n LIMIT CAST(%s AS integer)"

const rh_statement_t rh_sql_stats_subscriptions = {"stats_subscriptions",
                                                   SUBSCRIPTIONS("resthooks.", PGSQL_BUCKETS),
                                                   SUBSCRIPTIONS("resthooks_", SQLITE_BUCKETS)};
