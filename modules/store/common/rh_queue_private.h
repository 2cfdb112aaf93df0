/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_queue_private.h
 * @brief Shared by the parts of the queue: commit, choose and claim, settle.
 */
#ifndef RH_QUEUE_PRIVATE_H
#define RH_QUEUE_PRIVATE_H

#include "rh_store_private.h"
#include "rh_uuid.h"

#include <apr_hash.h>

/** Number of subscriptions for which a commit makes the deliveries of an event itself, and one
 * more. */
#define RH_COMMIT_FANOUT 64
#define RH_COMMIT_FANOUT_MORE 65
/** Maximum number of due deliveries that a claim reads, the oldest first. */
#define RH_CLAIM_LOOK 512
/** Number of subscriptions for which a chunk of an expansion makes deliveries. */
#define RH_EXPAND_CHUNK 256

/**
 * Where `job` is a job and `row` a row, copies what the engine needs of the subscription's members:
 * the row has a column for each, or `options`.
 */
#define RH_JOB_MEMBERS                                                                             \
    RH_MEMBERS(RH_JOB_MEMBER)                                                                      \
    rh_job_set_options(job, row->options);
#define RH_JOB_MEMBER(member, kind, how, stored, aliases, min, max, input, shown, value, use)      \
    RH_JOB_FOR_##use(member, kind, stored)
#define RH_JOB_FOR_API(member, kind, stored)
#define RH_JOB_FOR_ENGINE(member, kind, stored) RH_JOB_##stored(member, kind)
#define RH_JOB_APART(member, kind)
#define RH_JOB_OPTION(member, kind)
#define RH_JOB_COLUMN(member, kind) RH_JOB_##kind(member)
#define RH_JOB_text(member) job->member = apr_pstrdup(job->pool, row->member);
#define RH_JOB_number(member) RH_READ_number(job, member)
#define RH_JOB_flag(member) RH_READ_flag(job, member)
#define RH_JOB_format(member) RH_READ_format(job, member)

/* Set a member that is not a text from the column of a row. */
#define RH_READ_number(record, member) (record)->member = (int)rh_db_number(row->member);
#define RH_READ_flag(record, member) (record)->member = rh_db_number(row->member) != 0;
#define RH_READ_format(record, member) rh_format_parse(row->member, &(record)->member);

/** The position of a subscription in the order of the queue's index. */
typedef struct rh_place_t {
    char tenant[RH_MAX_NAME + 1];
    char subscription[RH_UUID_LEN + 1];
} rh_place_t;

/** Number of tenants whose position in a walk is remembered. With more tenants, the walk of some
 * starts from their first subscription too early. */
#define RH_TENANT_CURSORS 64

/** Number of stored templates that a process remembers. With more, some are stored more often than
 * necessary. */
#define RH_KNOWN_TEMPLATES 512

/** A template that is in the database. */
typedef struct rh_known_template_t {
    char id[RH_UUID_LEN + 1];
    apr_time_t stored_at; /**< 0: unused */
} rh_known_template_t;

typedef struct rh_queue_impl_t {
    rh_queue_t base;
    rh_db_source_t *source;
    /** A walk around the subscriptions that have something in the queue, over several claims. */
    struct {
        rh_place_t at;   /**< the next claim continues after this position */
        rh_place_t from; /**< the round is complete when the walk returns to this position */
        bool begun, wrapped;
        bool left_over;  /**< it found more deliveries to cancel than one claim cancels */
        apr_time_t next; /**< time of the next walk, which is made even if nothing requires it */
    } walk;
    rh_place_t cursors[RH_TENANT_CURSORS]; /**< by hash of the tenant; empty tenant: unused */
    char last_tenant[RH_MAX_NAME + 1];     /**< got the last job of the last claim */
    char expanded[RH_MAX_NAME + 1];        /**< the tenant of the last expansion's chunk */
    rh_known_template_t templates[RH_KNOWN_TEMPLATES]; /**< by their ids */
} rh_queue_impl_t;

/** Return this host's time, which is SQLite's, plus `later`, in milliseconds, as text. */
static inline const char *rh_queue_now(apr_pool_t *scratch, apr_interval_time_t later)
{
    return rh_store_number(scratch, rh_store_ms_up(apr_time_now() + later));
}

/**
 * Take some deliveries of a subscription out of the queue and cancel them. On SQLite, in a
 * transaction.
 * @param more receives whether there may be more; may be NULL
 */
apr_status_t rh_queue_cancel(rh_db_t *db, const char *tenant, const char *subscription_id,
                             apr_pool_t *pool, bool *more);

/** A leased delivery. */
typedef struct rh_leased_t {
    const char *tenant, *id;
} rh_leased_t;

/** A commit: the rows that the dialects store, and the receivers of its results. */
typedef struct rh_committing_t {
    rh_commit_t **items;
    int count;
    const rh_claim_t *claim;
    const char *rows;         /**< the items as JSON */
    const char *targets;      /**< tenants, types and patterns as JSON */
    apr_time_t lease_until;   /**< end of the lease by this host's clock */
    apr_array_header_t *jobs; /**< receives rh_job_t * of the leased deliveries */
    int waiting;              /**< receives how many were left for a claim or an expansion */
} rh_committing_t;

/** A claim: its input for the dialects, and the receivers of its results. */
typedef struct rh_leasing_t {
    const rh_claim_t *claim;
    const apr_array_header_t *candidates; /**< of rh_candidate_t */
    apr_array_header_t *leased;           /**< receives rh_leased_t */
    apr_hash_t *late; /**< receives milliseconds that deliveries have been due, as text; by id */
} rh_leasing_t;

/** Steps of the queue that the dialects take in different ways. Each is given a connection: in a
 * transaction if the dialect `locks_writers`. */
typedef struct rh_queue_steps_t {
    /** Take deliveries of a subscription out of the queue as cancelled. @param cancelled receives
     * how many, `limit` at most */
    apr_status_t (*cancel)(rh_db_t *db, const char *tenant, const char *subscription_id,
                           const char *limit, apr_pool_t *pool, int *cancelled);
    /** Record outcomes. @param outcomes rows as JSON */
    apr_status_t (*settle)(rh_db_t *db, const char *outcomes, apr_pool_t *pool);
    /** Store events with their deliveries. */
    apr_status_t (*commit)(rh_db_t *db, rh_committing_t *commit, apr_pool_t *pool);
    /** Lease due deliveries of candidates. */
    apr_status_t (*lease)(rh_db_t *db, rh_leasing_t *leasing, apr_pool_t *pool);
    /** Create partitions for the time to come, and remove logs past retention. Takes connections
     * itself.
     */
    apr_status_t (*remove_logs)(rh_db_source_t *source, apr_interval_time_t retention,
                                apr_pool_t *scratch);
} rh_queue_steps_t;

/** Maximum number of rows that housekeeping removes at once. */
#define RH_QUEUE_CHUNK "2000"

/** Run a statement that removes up to RH_QUEUE_CHUNK old rows until it finds no more, a limited
 * number of times. */
apr_status_t rh_queue_remove_old(rh_db_source_t *source, const rh_query_t *query,
                                 apr_pool_t *scratch);

/** Keep the first error of several steps. @return false: the database is out of reach, so that the
 * other steps would fail too */
bool rh_queue_goes_on(apr_status_t *first, apr_status_t status);

/** Cancel the other deliveries of subscriptions that are gone. @param ended rows of `settle` */
apr_status_t rh_queue_cancel_gone(rh_db_t *db, const apr_array_header_t *ended, apr_pool_t *pool);

/**
 * Name the templates of what was sent.
 * @param ids receives the id of each outcome's template, NULL: it has none
 * @param fresh receives ids of those that have to be stored first
 * @return those as rows for template_keep; NULL: all are stored
 */
const char *rh_queue_template_rows(rh_queue_impl_t *queue, rh_settle_t *const *outcomes, int count,
                                   const char **ids, apr_array_header_t *fresh, apr_pool_t *pool);
/** Remember that templates are stored, or, if that failed, forget all: the database may be another
 * one, or an older copy. */
void rh_queue_templates_stored(rh_queue_impl_t *queue, const apr_array_header_t *fresh,
                               apr_status_t status);

/** The idempotency key of an event was seen: set what its item says of the first one. */
apr_status_t rh_queue_find_first(rh_db_t *db, rh_commit_t *item, apr_pool_t *pool);

/** A subscription from which a claim takes deliveries, and its share. */
typedef struct rh_candidate_t {
    const char *tenant, *id;
    int most;
    apr_int64_t pace; /**< milliseconds that its share takes by its rate limit; 0: no limit */
    bool ordered;
} rh_candidate_t;

/**
 * Choose the subscriptions that a claim takes from.
 *
 * Usually few deliveries are due; they are found directly through the index on due_at, however
 * many others wait. Where more are due than one statement looks at, a walk finds others as well: it
 * goes from tenant to tenant and looks at a few subscriptions of each, at the same cost whatever
 * their backlog, and goes on in the next claim. The jobs of the claim are then shared out to the
 * tenants in turn, and among a tenant's subscriptions, with a reserve for those that are not
 * failing. So neither a backlog nor many subscriptions delay another tenant. From time to time
 * there is a walk anyway, for what belongs to a subscription that is gone: it is cancelled, due or
 * not.
 *
 * @param claim `again` is set when what isn't chosen may be soon
 * @param candidates receives rh_candidate_t, whose strings are in `pool`
 */
apr_status_t rh_queue_choose(rh_queue_impl_t *queue, rh_claim_t *claim,
                             apr_array_header_t *candidates, apr_pool_t *pool);

/**
 * Make jobs of leased deliveries.
 * @param leased of rh_leased_t; @param lease_until of this host's clock
 * @param lost receives rh_settle_t * of deliveries whose event is gone; NULL: there can be none
 */
apr_status_t rh_queue_jobs(rh_db_t *db, const apr_array_header_t *leased, apr_int64_t lease,
                           apr_time_t lease_until, apr_pool_t *pool, apr_array_header_t *jobs,
                           apr_array_header_t *lost);

apr_status_t rh_queue_expand(rh_queue_t *self, apr_pool_t *scratch, bool *found);
apr_status_t rh_queue_work_job(rh_queue_t *self, apr_pool_t *scratch, bool *found);
apr_status_t rh_queue_add_up(rh_queue_t *self, apr_pool_t *scratch, bool *more);
apr_status_t rh_queue_commit(rh_queue_t *self, rh_commit_t **items, int count,
                             const rh_claim_t *claim, apr_pool_t *scratch, apr_array_header_t *jobs,
                             int *waiting);
apr_status_t rh_queue_claim(rh_queue_t *self, rh_claim_t *claim, apr_pool_t *scratch,
                            apr_array_header_t *jobs);
apr_status_t rh_queue_settle(rh_queue_t *self, rh_settle_t *const *outcomes, int count,
                             apr_pool_t *scratch);

#endif
