/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_engine_private.h
 * @brief What the rooms of the engine share: its threads' structures and how they end.
 *
 * Whose is what:
 *
 *   a job          belongs to one thread at a time: writer or dispatcher make it, the loop runs it,
 *                  the dispatcher settles and destroys it. Only lists guarded by the receiver's
 *                  mutex pass it on, so its pool needs no lock.
 *   endpoints      the loop's that owns the subscription's hash
 *   counters       __atomic, relaxed
 *
 * How it ends (rh_engine_stop), each step waiting for the one before:
 *
 *   1  stopping: dispatchers claim no more; commits hand over nothing; loops give back what waits
 *   2  writers refuse new calls, commit what is queued, end
 *   3  loops finish what is in flight, cancel it at the deadline, end
 *   4  dispatchers settle what is left, end; the last one has every site's leases given back
 */
#ifndef RH_ENGINE_PRIVATE_H
#define RH_ENGINE_PRIVATE_H

#include "rh_attempt.h"
#include "rh_engine.h"
#include "rh_pool.h"
#include "rh_schedule.h"
#include "rh_slot.h"
#include "rh_spooler.h"
#include "rh_turns.h"

#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>
#include <apr_thread_pool.h>

/** Most outcomes of one settle, most jobs of one claim. */
#define RH_SETTLE_BATCH 256
#define RH_CLAIM_BATCH 256
/** Most jobs that one commit hands over. */
#define RH_HANDOVER_BATCH 512
/** A commit takes calls until it has so many events or bytes; a call is never divided. */
#define RH_COMMIT_BATCH 256
#define RH_COMMIT_BYTES (4 * 1024 * 1024)
/** What may queue up at one writer. */
#define RH_INTAKE_EVENTS 8192
#define RH_INTAKE_BYTES (64 * 1024 * 1024)
/** A lease is longer than an attempt by this. */
#define RH_LEASE_MARGIN apr_time_from_sec(30)
/** An attempt must be able to end this much before its lease. */
#define RH_LEASE_SPARE apr_time_from_sec(10)
/** After an outage, and at the start of a process that may come after one, leases that ended are
 * left alone so long: whoever had them still has to settle what came of them. */
#define RH_SPARE_LEASES apr_time_from_sec(10)
/** Endpoints that a loop remembers while they have no work. */
#define RH_ENDPOINTS_KEPT 16384
/** Longest sleep of any thread: a wake-up that got lost costs no more than this. */
#define RH_LONGEST_SLEEP apr_time_from_sec(1)

typedef struct rh_loop_t {
    rh_engine_t *engine;
    apr_pool_t *pool; /**< used by the loop's thread alone once that runs */
    rh_transport_t *transport;
    rh_schedule_t *schedule;
    rh_work_head_t *finished; /**< by site: what the next flush gives to its dispatcher */
    rh_log_lines_t *
        *lines;          /**< by site: what the next flush writes to its log; NULL: it has none */
    apr_uint32_t random; /**< state of a generator for jitter; never 0 */
    apr_thread_mutex_t *mutex;
    rh_work_head_t inbox; /**< guarded by mutex */
} rh_loop_t;

typedef struct rh_dispatcher_t {
    rh_engine_t *engine;
    const rh_site_t *site;
    int index;
    apr_int64_t lease;      /**< token of this process and site */
    apr_time_t spare_until; /**< atomic: leases that ended are left alone until then */
    rh_spooler_t *spooler;  /**< NULL: this site has none */
    apr_pool_t *spool_pool;
    apr_pool_t *pool; /**< the thread's */
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *cond;
    rh_work_head_t outcomes; /**< guarded by mutex, as are these: */
    int outcome_count;
    bool woken;   /**< look for due deliveries now */
    bool waiting; /**< a commit left some: look, but not more often than it pays */

    /* The thread's own. */
    apr_time_t next_claim, next_maintenance, last_claim;
    apr_interval_time_t empty_spacing; /**< between claims that commits ask for */
    int per_subscription;
    bool starved; /**< the last claim wanted more than it could hold */
    apr_uint32_t random;
    bool maintenance_failed;
    bool claims_ended;    /**< counted out of claimers_left */
    apr_time_t next_slot; /**< the first one's: when to try for a slot again */
    bool draining;        /**< the spool has more */
    apr_time_t held;      /**< since when ordered ones wait for the spool; 0: they don't */
    apr_time_t next_drain;
} rh_dispatcher_t;

/** A call of rh_engine_commit, copied; owned by its request and the writer alike. */
typedef struct rh_submission_t rh_submission_t;

typedef struct rh_intake_t {
    rh_engine_t *engine;
    const rh_site_t *site;
    rh_dispatcher_t *dispatcher;
    struct rh_writer_t *writers; /**< the site's: one, or two where it has a queue for it */
    int writer_count;
    apr_allocator_t *allocator; /**< of the calls' pools; with a mutex */
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *cond;
    rh_submission_t *first, *last; /**< the queue, guarded by mutex, as are these: */
    int queued_events;
    apr_size_t queued_bytes;
    int committing;    /**< writers that are at it */
    rh_turns_t *turns; /**< the keys that they commit */
    bool closed;
} rh_intake_t;

typedef struct rh_writer_t {
    rh_intake_t *intake;
    rh_queue_t *queue;
    apr_pool_t *pool; /**< the thread's */
    int committing;   /**< 1: counted there; guarded by the intake's mutex */
} rh_writer_t;

/** One site's outage is logged once, whoever meets it first. */
#define RH_DOWN_WRITER 1
#define RH_DOWN_DISPATCHER 2

struct rh_engine_t {
    apr_pool_t *pool; /**< its own, with a mutex: made before the threads, gone after them */
    rh_engine_config_t config;
    apr_thread_pool_t *threads;
    int loop_count, site_count;
    rh_loop_t *loops;
    rh_dispatcher_t *dispatchers;
    rh_intake_t *intakes;
    apr_pool_t *hosts_pool;
    rh_hosts_t *hosts;
    int *down; /**< by site: RH_DOWN_ flags, atomic */

    int capacity;             /**< jobs in memory at most */
    int jobs;                 /**< in memory or reserved for a claim or commit, atomic */
    apr_time_t crowded_until; /**< atomic: claims are spaced while targets that hang crowd it */

    int slot;            /**< the first dispatcher's */
    int delivers;        /**< atomic */
    int stopping;        /**< atomic */
    apr_time_t deadline; /**< atomic; 0: rh_engine_stop was not called yet */
    int callers;         /**< in rh_engine_commit, atomic */
    int writers_left, claimers_left, loops_left; /**< atomic */
    int threads_left;                            /**< guarded by mutex */
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *ended;

    struct {
        apr_uint32_t in_flight, commits, committed_events, attempts, delivered, failed;
    } counters; /**< atomic */
};

#define rh_atomic_get(variable) __atomic_load_n(&(variable), __ATOMIC_SEQ_CST)
#define rh_atomic_set(variable, value) __atomic_store_n(&(variable), (value), __ATOMIC_SEQ_CST)
#define rh_atomic_add(variable, value) __atomic_add_fetch(&(variable), (value), __ATOMIC_SEQ_CST)

/* ---- rh_engine.c ---- */

/** An allocator for pools that come and go in many threads; its mutex lives in `pool`, it itself
 * until apr_allocator_destroy. */
apr_status_t rh_shared_allocator_make(apr_pool_t *pool, apr_allocator_t **allocator);

/** Reserve room for up to `wanted` jobs. @return how many; what is not used is given back by
 * rh_engine_jobs_gone */
int rh_engine_reserve(rh_engine_t *engine, int wanted);
void rh_engine_jobs_gone(rh_engine_t *engine, int count);

/** Give jobs to the loops: all of an array of rh_job_t *, for which there was room reserved. */
void rh_engine_hand_over(rh_dispatcher_t *dispatcher, apr_array_header_t *jobs, bool handed);

void rh_engine_wake_loops(rh_engine_t *engine);
void rh_engine_wake_dispatchers(rh_engine_t *engine);

/** The store of a site does or does not answer: logged when that changes. */
void rh_engine_store_is(rh_dispatcher_t *dispatcher, int who, apr_status_t status);

/** Whether time is up for what waits for a store or a target. */
bool rh_engine_overdue(rh_engine_t *engine, apr_interval_time_t extra);

/** A number for jitter; `state` must not be 0. */
apr_uint32_t rh_random_next(apr_uint32_t *state);

/* ---- rh_loop.c ---- */

void rh_loop_push(rh_loop_t *loop, rh_work_head_t *works);
void rh_loop_run(rh_loop_t *loop);

/* ---- rh_dispatcher.c ---- */

/** Take finished works of this site; empties the list. From the loops. */
void rh_dispatcher_push(rh_dispatcher_t *dispatcher, rh_work_head_t *works, int count);
/** @param now_due false: a commit left deliveries behind; true: look at once */
void rh_dispatcher_wake(rh_dispatcher_t *dispatcher, bool now_due);
void rh_dispatcher_run(rh_dispatcher_t *dispatcher);

/* ---- rh_intake.c ---- */

apr_status_t rh_intake_commit(rh_intake_t *intake, rh_commit_t *items, int count,
                              apr_interval_time_t timeout, apr_pool_t *pool);
void rh_intake_close(rh_intake_t *intake);
void rh_intake_run(rh_writer_t *writer);

#endif
