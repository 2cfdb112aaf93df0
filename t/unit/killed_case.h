/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file killed_case.h
 * @brief Kills work on the store at each of its points, and checks what the API shows then.
 */
#ifndef KILLED_CASE_H
#define KILLED_CASE_H

#include "kill_points.h"
#include "store_databases.h"

/** The token of all leases, and a duration that exceeds any test. */
#define LEASE 4711
#define LONG apr_time_from_sec(600)

/** The rows of a case: the same in the child and, afterwards, in the test. */
typedef struct killed_case_t {
    const char *name, *tenant;
    rh_subscription_t *target[4];
    rh_event_t *event[4];
    const char *first, *delivery, *job;
    rh_settle_t *outcome[16];
    int outcomes;
} killed_case_t;

extern killed_case_t now;

/** The connection of the test itself. */
extern rh_db_source_t *source;
extern rh_store_t *store;
extern rh_queue_t *queue;

typedef struct scenario_t {
    const char *name;
    void (*prepare)(void);
    killed_work_t *work;
    void (*between)(void); /**< checks what holds after the kill */
    void (*end)(void);     /**< checks what holds after the work was repeated */
} scenario_t;

/** Open the database for the test. @return false: the test has failed */
bool open_database(const char *driver, const char *params);

/** Kill the work of a scenario at each of its points in turn, and repeat it after each kill. */
void kill_everywhere(const scenario_t *scenario);

/** Fail with the name of the case. Cases are many, so what holds is not printed. */
void check(bool condition, const char *what);

/** Deliveries of the tenant as the API lists them, 500 at most. @param event, @param subscription
 * one of them may be given, the others NULL; @param state -1: any */
apr_array_header_t *list_deliveries(const char *event, const char *subscription, int state);
int count_deliveries(const char *event, const char *subscription, int state);

/** The number of subscriptions to which an event goes. */
int count_receivers(const char *event);

/** The number of the case's events, from the first one, that are stored. */
int count_events(int first, int count);

/** Check a delivery against its attempts. @return their number */
int check_delivery(const char *id);

/** Check that events have deliveries, and these their attempts, and that all are counted once.
 * @return the number of attempts */
int check_all(void);

/** The state of a subscription of the case, "none" if it is gone. */
const char *state_of(int target);

/** An array of rh_job_t *, which are destroyed with the pool. */
apr_array_header_t *make_jobs(void);

rh_subscription_t *subscribe(const char *pattern, bool ordered);

/** Claim all that is due, until nothing is. @param jobs receives those of the case's tenant */
void claim_all(rh_queue_t *by, apr_interval_time_t lease_for, apr_array_header_t *jobs);

/** Claim until nothing is pending of a subscription that is gone. */
void cancel_rest(const char *subscription);

/** Add the outcome of an attempt to those of the case. */
rh_settle_t *add_outcome(rh_settle_kind_t kind, const rh_job_t *job);
apr_status_t settle_outcomes(rh_store_t *of, rh_queue_t *by);

#endif
