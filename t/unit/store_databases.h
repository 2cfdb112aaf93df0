/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file store_databases.h
 * @brief Runs a test of the store on a fresh SQLite file, and on a fresh database of PostgreSQL
 * where $RH_PGSQL is the conninfo of a cluster.
 */
#ifndef STORE_DATABASES_H
#define STORE_DATABASES_H

#include "tap.h"
#include "shared_pool.h"
#include "rh_db_private.h"
#include "rh_schema.h"
#include "rh_store.h"

#include <apr_general.h>
#include <stdlib.h>
#include <unistd.h>

/** @param name of PostgreSQL's database, made unique by the process' id */
int test_databases(const char *name, void (*run)(const char *driver, const char *params));

/** Fails the running test on lines of level warn and above. */
extern rh_log_t failing_log;

/** Open `count` connections with `failing_log`, in `pool`, and create the tables.
 * @return false if that failed; the test has failed then */
bool open_sources(const char *driver, const char *params, rh_db_source_t *sources[], int count);

/** Run SQL as an administrator would, with the tables' prefix in place of each `@`. */
void run_script(rh_db_source_t *source, const char *sql);

/** A number that SQL selects, with `@` likewise, and `value` in place of `%s`. -1: it failed */
apr_int64_t select_number(rh_db_source_t *source, const char *sql, const char *value);

/** The lines of the plan that EXPLAIN SQL returns, in `pool`, or the database's complaint. */
const char *read_plan(rh_db_t *db, const char *sql);

/** A new id, in `pool`. */
const char *make_id(void);

/** A subscription of a tenant to `*`, in `pool`, that rh_store_subscription_create() takes. */
rh_subscription_t *new_subscription(const char *tenant);

/** Store a subscription of a tenant to a pattern, in `pool`. */
rh_subscription_t *subscribe_to(rh_store_t *store, const char *tenant, const char *pattern);

/** An event with `{}` as its data, in `pool`. @param key may be NULL */
rh_event_t *new_event(const char *tenant, const char *type, const char *key);

/** Store events one by one, leaving their deliveries to a claim. @param key may be NULL */
void store_unclaimed(rh_queue_t *queue, const char *tenant, const char *type, const char *key,
                     int count);

/** Replay as the API does, to the end. @param queued receives the number of deliveries @return
 * APR_EEXIST: the job failed */
apr_status_t replay_all(rh_store_t *store, const char *tenant, const char *subscription, bool any,
                        apr_time_t from, apr_pool_t *in, apr_int64_t *queued);

#endif
