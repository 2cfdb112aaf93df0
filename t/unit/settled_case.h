/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file settled_case.h
 * @brief Sends one delivery at a time, and looks at what the tables then have of it.
 */
#ifndef SETTLED_CASE_H
#define SETTLED_CASE_H

#include "store_shapes.h"

/** Leases of two hosts, and a time that no test lasts. */
#define LEASE 4711
#define OTHER_LEASE 4712
#define LONG apr_time_from_sec(600)

/** The test's connections: of the store, of two queues, and one of its own. */
#define SOURCES 4

extern const char *database;
extern rh_db_source_t *source[SOURCES];
extern rh_store_t *store;
extern rh_queue_t *queue, *other;

/** Open the database for the test. @return false: the test has failed */
bool open_case(const char *driver, const char *params);

/** Check how many rows there are of a delivery: in the queue, in the log, and of attempts apart. */
void has_rows(const char *id, const char *what, int queued, int logged, int apart);

/** The number of the delivery's rows in the log that have an attempt of `make_outcome`. */
int count_inline(const char *id);

rh_delivery_t *read_delivery(const rh_job_t *job);

/** Check what the API shows of a delivery. */
void shows(const rh_job_t *job, rh_delivery_state_t state, int attempts, int status_code);

/** Check the counters of a subscription. */
void counts(const rh_subscription_t *subscription, int delivered, int failed);

/** Claim one delivery; its job stays as long as the pool. */
const rh_job_t *claim_one(apr_int64_t lease);

/** Store an event of a tenant with one subscription, and claim its delivery. */
const rh_job_t *send_one(const char *tenant);

rh_settle_t *make_outcome(const rh_job_t *job, rh_settle_kind_t kind, int status_code);

void settle_one(rh_settle_t *outcome);

#endif
