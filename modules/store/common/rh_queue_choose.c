/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Chooses fairly from which subscriptions a claim takes. */
#include "rh_queue_private.h"

#include <apr_hash.h>
#include <stdlib.h>

/**
 * Number of subscriptions that one statement of a walk reads: few at first, which often is enough;
 * and the maximum number of such statements per claim.
 */
#define FIRST_STEPS 32
#define MAX_STEPS 256
#define MAX_WALKS 16
/**
 * Jobs that a walk reserves for one subscription, and for one tenant before it continues with the
 * next tenant. allot_jobs decides what they finally get.
 */
#define WALK_SUBSCRIPTION_JOBS 4
#define WALK_TENANT_JOBS 16
/** One job in this many is kept for subscriptions that are not failing. */
#define RESERVE_DIVISOR 8
/**
 * Maximum duration of a walk in one claim, and the pause before the next one as a multiple of it.
 */
#define WALK_FOR apr_time_from_msec(20)
#define WALK_REST 4
/** Interval between walks if nothing is due except what is already known. */
#define WALK_SPACING apr_time_from_sec(30)
/** How long ordered subscriptions that wait for the spool are left alone. */
#define HELD_FOR apr_time_from_msec(100)
/** Maximum number of subscriptions whose deliveries a claim cancels, and when it continues. */
#define MAX_CANCELLED 16
#define CANCEL_AGAIN apr_time_from_msec(20)

/** A subscription with due deliveries. */
typedef struct want_t {
    const char *tenant, *id;
    int rank; /**< position in the order in which the subscriptions were found */
    int want; /**< maximum number of jobs in this claim */
    int got;
    int rate;
    bool ordered, failing;
} want_t;

typedef struct choice_t {
    rh_queue_impl_t *queue;
    rh_claim_t *claim;
    apr_array_header_t *candidates; /**< of rh_candidate_t */
    apr_array_header_t *wants;      /**< of want_t */
    apr_hash_t *chosen;             /**< ids of the subscriptions in `wants` */
    apr_array_header_t *ended;      /**< rows of subscriptions that are gone */
    bool left_over;                 /**< more subscriptions or deliveries are left to cancel */
    int room;                       /**< number of jobs that the walk still looks for */
    const char *tenant;             /**< tenant at whose subscriptions the walk is */
    int tenant_jobs;                /**< number of jobs reserved for it */
} choice_t;

/** Record that a delivery cannot be claimed yet: the next claim should come no later than this. */
static void come_again(const choice_t *choice, apr_interval_time_t wait)
{
    if (choice->claim->again == 0 || choice->claim->again > wait) {
        choice->claim->again = wait;
    }
}

/** Record how many jobs a subscription may get in this claim. */
static void add_want(choice_t *choice, const rh_claim_due_row_t *row)
{
    int rate = (int)rh_db_number(row->rate_limit), most = (int)rh_db_number(row->count);
    want_t *want;

    if (most > choice->claim->per_subscription) {
        most = choice->claim->per_subscription;
    }
    if (rate > 0 && most > (rate + 9) / 10) {
        /* The limit is the number that the rate allows in a tenth of a second. */
        most = (rate + 9) / 10;
    }
    want = apr_array_push(choice->wants);
    memset(want, 0, sizeof(*want));
    want->tenant = row->tenant;
    want->id = row->id;
    want->rank = choice->wants->nelts;
    want->want = most;
    want->rate = rate;
    want->ordered = rh_db_number(row->ordered) != 0;
    want->failing = rh_db_number(row->failing) != 0;
    apr_hash_set(choice->chosen, want->id, APR_HASH_KEY_STRING, row);
    most = most < WALK_SUBSCRIPTION_JOBS ? most : WALK_SUBSCRIPTION_JOBS;
    choice->room -= most;
    choice->tenant_jobs += most;
}

/** Read the subscriptions after the position where the last walk ended. */
static apr_status_t walk(rh_db_t *db, const choice_t *choice, const char *tenant, const char *id,
                         int steps, apr_pool_t *pool, apr_array_header_t **rows)
{
    return rh_db_fetch(db,
                       RH_QUERY(claim_candidates, .tenant = tenant, .after = id,
                                .steps = apr_psprintf(pool, "%d", steps),
                                .limit = apr_psprintf(pool, "%d", choice->claim->per_subscription),
                                .now = rh_queue_now(pool, 0)),
                       pool, rows);
}

/** Judge one subscription with deliveries in the queue. */
static void look_at(choice_t *choice, const rh_claim_due_row_t *row)
{
    const char *state = rh_db_text(row->state);
    apr_int64_t pause = rh_db_number(row->pause);

    if (!state || strcmp(state, "gone") == 0) {
        if (choice->ended->nelts < MAX_CANCELLED) {
            APR_ARRAY_PUSH(choice->ended, const rh_claim_due_row_t *) = row;
        } else {
            choice->left_over = true;
        }
        return;
    }
    if (strcmp(state, "active") != 0 || rh_db_number(row->count) == 0) {
        return;
    }
    if (pause > 0) {
        come_again(choice, pause * 1000);
    } else if (choice->claim->hold_ordered && rh_db_number(row->ordered) != 0) {
        come_again(choice, HELD_FOR);
    } else {
        add_want(choice, row);
    }
}

/**
 * Find the deliveries that have been due longest.
 * @param all receives true if no others are due
 */
static apr_status_t look_at_due(rh_db_t *db, choice_t *choice, apr_pool_t *pool, bool *all)
{
    apr_array_header_t *rows;
    apr_status_t status =
        rh_db_fetch(db, RH_QUERY(claim_due, .now = rh_queue_now(pool, 0)), pool, &rows);
    apr_int64_t due = 0;

    for (int i = 0; status == APR_SUCCESS && i < rows->nelts; i++) {
        const rh_claim_due_row_t *row = RH_ROW(claim_due, rows, i);

        if (!rh_db_text(row->tenant)) {
            choice->claim->expanding = true;
            continue;
        }
        due += rh_db_number(row->count);
        look_at(choice, row);
    }
    *all = due < RH_CLAIM_LOOK;
    return status;
}

static void go_to(rh_place_t *place, const char *tenant, const char *subscription)
{
    apr_cpystrn(place->tenant, tenant, sizeof(place->tenant));
    apr_cpystrn(place->subscription, subscription, sizeof(place->subscription));
}

/** Return the position of a tenant in the last walk. Tenants whose names collide share one. */
static rh_place_t *tenant_cursor(rh_queue_impl_t *queue, const char *tenant)
{
    apr_ssize_t len = APR_HASH_KEY_STRING;

    return &queue->cursors[apr_hashfunc_default(tenant, &len) % RH_TENANT_CURSORS];
}

static bool is_past(const rh_claim_due_row_t *row, const rh_place_t *place)
{
    int order = strcmp(row->tenant, place->tenant);

    return order > 0 || (order == 0 && strcmp(row->id, place->subscription) > 0);
}

/** Complete a round of the walk. */
static apr_status_t end_walk(rh_queue_impl_t *queue)
{
    queue->walk.begun = false;
    queue->walk.next = apr_time_now() + WALK_SPACING;
    return APR_SUCCESS;
}

/** Start the next walk soon if the last one left deliveries to cancel. */
static void walk_again(choice_t *choice)
{
    rh_queue_impl_t *queue = choice->queue;

    queue->walk.left_over = queue->walk.left_over || choice->left_over;
    if (queue->walk.left_over) {
        come_again(choice, CANCEL_AGAIN);
    }
    if (queue->walk.left_over && !queue->walk.begun) {
        queue->walk.left_over = false;
        queue->walk.next = 0;
    }
}

/** Record that all subscriptions of the tenant were read: the next walk starts with its first one
 * again. */
static void leave_tenant(choice_t *choice)
{
    rh_place_t *cursor = choice->tenant ? tenant_cursor(choice->queue, choice->tenant) : NULL;

    if (cursor && strcmp(cursor->tenant, choice->tenant) == 0) {
        cursor->tenant[0] = '\0';
    }
    choice->tenant = NULL;
}

/**
 * Handle one row of a walk.
 * @param id receives where the walk continues within the tenant
 * @return false: skip the following rows, and continue the walk after `id`
 */
static bool take_step(choice_t *choice, const rh_claim_due_row_t *row, const char **id)
{
    rh_place_t *cursor = tenant_cursor(choice->queue, row->tenant);

    if (!choice->tenant || strcmp(choice->tenant, row->tenant) != 0) {
        leave_tenant(choice);
        choice->tenant = row->tenant;
        choice->tenant_jobs = 0;
        if (strcmp(cursor->tenant, row->tenant) == 0 &&
            strcmp(row->id, cursor->subscription) <= 0) {
            *id = apr_pstrdup(choice->wants->pool, cursor->subscription);
            return false;
        }
    }
    *id = row->id;
    if (!apr_hash_get(choice->chosen, row->id, APR_HASH_KEY_STRING)) {
        look_at(choice, row);
    }
    if (choice->tenant_jobs >= WALK_TENANT_JOBS) {
        go_to(cursor, row->tenant, row->id);
        choice->tenant = NULL;
        *id = RH_LAST_ID;
        return false;
    }
    return true;
}

/** Walk over the tenants, from the one where the last walk ended, until there are enough
 * deliveries, for at most one round, which may take several claims. The walk checks only a few
 * subscriptions of a tenant and then continues, so that a tenant with many does not delay the
 * others; the next round checks the ones that follow. */
static apr_status_t walk_around(rh_db_t *db, choice_t *choice, apr_pool_t *pool)
{
    rh_queue_impl_t *queue = choice->queue;
    const char *tenant = apr_pstrdup(pool, queue->walk.at.tenant);
    const char *id = apr_pstrdup(pool, queue->walk.at.subscription);
    apr_time_t began = apr_time_now();
    int steps = FIRST_STEPS, walks, i;

    if (!queue->walk.begun) {
        queue->walk.from = queue->walk.at;
        queue->walk.wrapped = false;
        queue->walk.begun = true;
    }
    for (walks = 0; walks < MAX_WALKS && choice->room > 0; walks++) {
        bool whole = true;
        apr_array_header_t *rows;
        apr_status_t status;

        if (apr_time_now() - began > WALK_FOR) {
            break;
        }
        status = walk(db, choice, tenant, id, steps, pool, &rows);
        if (status != APR_SUCCESS) {
            queue->walk.begun = false;
            return status;
        }
        for (i = 0; i < rows->nelts && choice->room > 0 && whole; i++) {
            const rh_claim_due_row_t *row = RH_ROW(claim_due, rows, i);

            if (queue->walk.wrapped && is_past(row, &queue->walk.from)) {
                return end_walk(queue);
            }
            tenant = row->tenant;
            whole = take_step(choice, row, &id);
        }
        if (whole && rows->nelts < steps && choice->room > 0) {
            if (queue->walk.wrapped) {
                return end_walk(queue);
            }
            queue->walk.wrapped = true;
            leave_tenant(choice);
            tenant = "";
            id = RH_NO_ID;
        }
        steps = steps * 2 < MAX_STEPS ? steps * 2 : MAX_STEPS;
    }
    go_to(&queue->walk.at, tenant, id);
    if (choice->room > 0) {
        come_again(choice, WALK_REST * (apr_time_now() - began) + 1000);
    } else {
        queue->walk.begun = false;
    }
    return APR_SUCCESS;
}

/* ---- shares ---- */

static int compare_wants(const void *left, const void *right)
{
    const want_t *a = left, *b = right;
    int order = strcmp(a->tenant, b->tenant);

    return order != 0 ? order : a->rank - b->rank;
}

/**
 * Give one job to the subscription of the tenant that has the fewest. @return false if none took it
 */
static bool give_one(want_t *first, const want_t *end, bool failing_too)
{
    want_t *next = NULL;

    for (want_t *want = first; want < end; want++) {
        if (want->got < want->want && (failing_too || !want->failing) &&
            (!next || want->got < next->got)) {
            next = want;
        }
    }
    if (next) {
        next->got++;
    }
    return next != NULL;
}

/**
 * Give jobs to tenants in turn, starting after the one that got the last.
 * @return the number of jobs left
 */
static int give_in_turn(choice_t *choice, int room, bool failing_too)
{
    want_t *wants = (want_t *)choice->wants->elts;
    int count = choice->wants->nelts, start = 0, given;

    while (start < count && strcmp(wants[start].tenant, choice->queue->last_tenant) <= 0) {
        start++;
    }
    do {
        given = 0;
        for (int i = 0, first = start < count ? start : 0, end; i < count && room > 0;
             i += end - first, first = end < count ? end : 0) {
            for (end = first + 1;
                 end < count && strcmp(wants[end].tenant, wants[first].tenant) == 0; end++) {
            }
            if (give_one(wants + first, wants + end, failing_too)) {
                apr_cpystrn(choice->queue->last_tenant, wants[first].tenant,
                            sizeof(choice->queue->last_tenant));
                given++;
                room--;
            }
        }
    } while (room > 0 && given > 0);
    return room;
}

static void add_candidate(choice_t *choice, const want_t *want)
{
    rh_candidate_t *candidate = apr_array_push(choice->candidates);

    memset(candidate, 0, sizeof(*candidate));
    candidate->tenant = want->tenant;
    candidate->id = want->id;
    candidate->ordered = want->ordered;
    candidate->most = want->got;
    if (want->rate > 0) {
        candidate->pace = ((apr_int64_t)want->got * 1000 + want->rate - 1) / want->rate;
        come_again(choice, candidate->pace * 1000);
    }
}

/** Distribute the claim's jobs to the tenants in turn, and then among each tenant's subscriptions,
 * so that a tenant gains nothing by having many of them. A part is reserved for subscriptions that
 * are not failing, whose deliveries are mostly first attempts. */
static void allot_jobs(choice_t *choice)
{
    int limit = choice->claim->limit, reserve = limit / RESERVE_DIVISOR, left;

    qsort(choice->wants->elts, (apr_size_t)choice->wants->nelts, sizeof(want_t), compare_wants);
    left = give_in_turn(choice, limit - reserve, true) + reserve;
    left = give_in_turn(choice, left, false);
    give_in_turn(choice, left, true);
    for (int i = 0; i < choice->wants->nelts; i++) {
        const want_t *want = &APR_ARRAY_IDX(choice->wants, i, want_t);

        if (want->got > 0) {
            add_candidate(choice, want);
        }
    }
}

/** Find subscriptions with due deliveries. Usually the index on due_at finds them all at once. A
 * walk finds those whose deliveries come after a backlog and, from time to time, deliveries of
 * removed subscriptions, due or not. */
static apr_status_t find_wants(rh_db_t *db, choice_t *choice, apr_pool_t *pool)
{
    rh_queue_impl_t *queue = choice->queue;
    apr_time_t now = apr_time_now();
    bool all, walks = queue->walk.begun || now >= queue->walk.next ||
                      queue->walk.next > now + WALK_SPACING;
    apr_status_t status = look_at_due(db, choice, pool, &all);

    choice->room = choice->claim->limit;
    choice->tenant = NULL;
    return status == APR_SUCCESS && (walks || !all) ? walk_around(db, choice, pool) : status;
}

static apr_status_t choose(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    choice_t *choice = baton;

    /* An earlier call may have started the work. */
    choice->claim->again = 0;
    choice->claim->expanding = false;
    apr_array_clear(choice->candidates);
    apr_array_clear(choice->wants);
    apr_array_clear(choice->ended);
    apr_hash_clear(choice->chosen);
    return find_wants(db, choice, pool);
}

/** Cancel the deliveries of subscriptions that are gone. */
static apr_status_t cancel_ended(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    choice_t *choice = baton;
    apr_status_t status = APR_SUCCESS;
    int i;

    for (i = 0; i < choice->ended->nelts && status == APR_SUCCESS; i++) {
        const rh_claim_due_row_t *row = RH_ROW(claim_due, choice->ended, i);
        bool more;

        status = rh_queue_cancel(db, row->tenant, row->id, pool, &more);
        choice->left_over = choice->left_over || (status == APR_SUCCESS && more);
    }
    return status;
}

apr_status_t rh_queue_choose(rh_queue_impl_t *queue, rh_claim_t *claim,
                             apr_array_header_t *candidates, apr_pool_t *pool)
{
    choice_t choice = {.queue = queue, .claim = claim, .candidates = candidates};
    apr_status_t status;

    choice.chosen = apr_hash_make(pool);
    choice.wants = apr_array_make(pool, 64, sizeof(want_t));
    choice.ended = apr_array_make(pool, 4, sizeof(const rh_claim_due_row_t *));
    /* Most claims find nothing, and must not block writers. */
    status = rh_store_run(queue->source, false, choose, &choice, pool);
    if (status == APR_SUCCESS && choice.ended->nelts > 0) {
        status = rh_store_run(queue->source, queue->source->dialect->locks_writers, cancel_ended,
                              &choice, pool);
    }
    walk_again(&choice);
    if (status == APR_SUCCESS) {
        allot_jobs(&choice);
    }
    return status;
}
