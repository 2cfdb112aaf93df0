/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_parts.h
 * @brief What the threads of one engine share; each part does its own locking.
 *
 * The threads know as little of one another as possible:
 *
 *   writer (rh_intake.h)          commits, puts jobs into inboxes, wakes its dispatcher
 *   dispatcher (rh_dispatcher.h)  settles, claims, puts jobs into inboxes
 *   loop (rh_loop.h)              takes from its inbox, gives outcomes to their dispatcher
 *
 * so that includes and calls only go from loop and writer to dispatcher, and from all of them to
 * the parts below.
 */
#ifndef RH_PARTS_H
#define RH_PARTS_H

#include "rh_capacity.h"
#include "rh_inbox.h"
#include "rh_outage.h"
#include "rh_shutdown.h"
#include "rh_slot.h"
#include "rh_spooler.h"

/** Margin of a lease beyond the longest attempt. */
#define RH_LEASE_MARGIN apr_time_from_sec(30)
/** Maximum sleep of any thread: a lost wake-up costs no more than this. */
#define RH_MAX_SLEEP apr_time_from_sec(1)

/** Parts shared by all sites. */
typedef struct rh_parts_t {
    rh_capacity_t *capacity;
    rh_shutdown_t *shutdown;
    rh_duty_t *duty;
    rh_inboxes_t *inboxes;
    apr_interval_time_t poll; /**< maximum interval between claims when idle */
} rh_parts_t;

/** Parts of one site, shared by its writers and its dispatcher. */
typedef struct rh_site_parts_t {
    const rh_parts_t *all;
    const rh_site_t *site;
    int index;         /**< of the site */
    apr_int64_t lease; /**< identifies this process and site */
    rh_outage_t *outage;
    rh_spooler_t *spooler; /**< NULL: the site has no spool */
} rh_site_parts_t;

#endif
