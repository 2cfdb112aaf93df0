/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Which subscriptions a claim takes from, fairly. */
#include "rh_queue_private.h"

#include <apr_hash.h>
#include <stdlib.h>

/** Subscriptions that one statement of a walk looks at: few at first, as few may do; and how many
 * of these statements a claim makes. */
#define FIRST_STEPS 32
#define MAX_STEPS 256
#define MAX_WALKS 16
/** Longest walk of one claim, and how many times its duration passes before the next walk. */
#define WALK_FOR apr_time_from_msec(20)
#define WALK_REST 4
/** Between two walks when nothing is due but what was seen. */
#define WALK_SPACING apr_time_from_sec(30)
/** How long ordered subscriptions that wait for the spool are left alone. */
#define HELD_FOR apr_time_from_msec(100)
/** Subscriptions whose deliveries a claim cancels, and when it comes again for more. */
#define MAX_CANCELLED 16
#define CANCEL_AGAIN apr_time_from_msec(20)

/** A walk leaves a tenant that got one in this many of the jobs that the claim may still take. */
#define TENANTS_PER_WALK 4

typedef struct choice_t {
    rh_queue_impl_t *queue;
    rh_claim_t *claim;
    apr_array_header_t *candidates; /**< of rh_candidate_t */
    apr_hash_t *chosen;             /**< their ids */
    apr_array_header_t *ended;      /**< rows of subscriptions that are gone */
    int tenant_share;               /**< jobs of one tenant that a walk takes */
    bool left_over;                 /**< more of these, or of their deliveries */
    int room;                       /**< jobs that may still be taken */
} choice_t;

/** There is something that only has to wait: the next claim should come no later. */
static void come_again(const choice_t *choice, apr_interval_time_t wait)
{
    if (choice->claim->again == 0 || choice->claim->again > wait) {
        choice->claim->again = wait;
    }
}

/** What a subscription may get in this claim. */
static void add_candidate(choice_t *choice, const char **row)
{
    int rate = (int)rh_db_number(row[5]), most = (int)rh_db_number(row[2]);
    rh_candidate_t *candidate;

    if (most > choice->claim->per_subscription) {
        most = choice->claim->per_subscription;
    }
    if (most > choice->room) {
        most = choice->room;
    }
    candidate = apr_array_push(choice->candidates);
    memset(candidate, 0, sizeof(*candidate));
    candidate->tenant = row[0];
    candidate->id = row[1];
    candidate->ordered = rh_db_number(row[4]) != 0;
    if (rate > 0) {
        /* A tenth of a second's worth. */
        if (most > (rate + 9) / 10) {
            most = (rate + 9) / 10;
        }
        candidate->pace = ((apr_int64_t)most * 1000 + rate - 1) / rate;
        come_again(choice, candidate->pace * 1000);
    }
    candidate->most = most;
    choice->room -= most;
    apr_hash_set(choice->chosen, candidate->id, APR_HASH_KEY_STRING, candidate);
}

/** Look at the subscriptions behind the place where the last walk ended. */
static apr_status_t walk(rh_db_t *db, const choice_t *choice, const char *tenant, const char *id,
                         int steps, apr_pool_t *pool, apr_array_header_t **rows)
{
    const char *now = rh_queue_now(pool, 0), *most_steps = apr_psprintf(pool, "%d", steps);
    const char *each = apr_psprintf(pool, "%d", choice->claim->per_subscription);
    const char *pgsql[] = {tenant, id, most_steps, each};
    const char *sqlite[] = {tenant, id, most_steps, now, each, now};

    return db->dialect == RH_DIALECT_PGSQL
               ? rh_db_select(db, &rh_sql_claim_candidates, 4, pgsql, pool, rows)
               : rh_db_select(db, &rh_sql_claim_candidates, 6, sqlite, pool, rows);
}

/** Judge one subscription that has something in the queue. */
static void look_at(choice_t *choice, const char **row)
{
    apr_int64_t pause = rh_db_number(row[6]);

    if (!row[3] || !*row[3] || strcmp(row[3], "gone") == 0) {
        if (choice->ended->nelts < MAX_CANCELLED) {
            APR_ARRAY_PUSH(choice->ended, const char **) = row;
        } else {
            choice->left_over = true;
        }
        return;
    }
    if (strcmp(row[3], "active") != 0 || rh_db_number(row[2]) == 0) {
        return;
    }
    if (pause > 0) {
        come_again(choice, pause * 1000);
    } else if (choice->claim->hold_ordered && rh_db_number(row[4]) != 0) {
        come_again(choice, HELD_FOR);
    } else {
        add_candidate(choice, row);
    }
}

/** A row, and how many of its tenant's come before it. */
typedef struct turn_t {
    const char **row;
    int turn, order;
} turn_t;

static int compare_turns(const void *a, const void *b)
{
    const turn_t *left = a, *right = b;

    return left->turn != right->turn ? left->turn - right->turn : left->order - right->order;
}

/** Bring rows into an order in which tenants take turns: each tenant's first, then its second ones.
 * Of one turn, and of one tenant, the order stays. */
static void take_turns(apr_array_header_t *rows, apr_pool_t *pool)
{
    turn_t *turns = apr_palloc(pool, (apr_size_t)(rows->nelts + 1) * sizeof(*turns));
    apr_hash_t *counts = apr_hash_make(pool);

    for (int i = 0; i < rows->nelts; i++) {
        const char **row = rh_row(rows, i);
        int *count = apr_hash_get(counts, row[0], APR_HASH_KEY_STRING);

        if (!count) {
            count = apr_pcalloc(pool, sizeof(*count));
            apr_hash_set(counts, row[0], APR_HASH_KEY_STRING, count);
        }
        turns[i] = (turn_t){row, (*count)++, i};
    }
    qsort(turns, (size_t)rows->nelts, sizeof(*turns), compare_turns);
    for (int i = 0; i < rows->nelts; i++) {
        APR_ARRAY_IDX(rows, i, const char **) = turns[i].row;
    }
}

/**
 * Look at what is due for the longest time. Where that is not all, half of the room is left for
 * those that a walk finds.
 * @param all receives whether nothing else is due
 */
static apr_status_t look_at_due(rh_db_t *db, choice_t *choice, apr_pool_t *pool, bool *all)
{
    const char *now = rh_queue_now(pool, 0), *sqlite[] = {now, now};
    apr_array_header_t *rows;
    apr_status_t status = rh_db_select(
        db, &rh_sql_claim_due, db->dialect == RH_DIALECT_SQLITE ? 2 : 0, sqlite, pool, &rows);
    apr_int64_t due = 0;
    int left, i;

    for (i = 0; status == APR_SUCCESS && i < rows->nelts; i++) {
        due += rh_db_number(rh_row(rows, i)[2]);
    }
    *all = due < RH_CLAIM_LOOK;
    left = *all ? 0 : (choice->room + 1) / 2;
    choice->room -= left;
    if (status == APR_SUCCESS) {
        take_turns(rows, pool);
    }
    for (i = 0; status == APR_SUCCESS && i < rows->nelts && choice->room > 0; i++) {
        look_at(choice, rh_row(rows, i));
    }
    choice->room += left;
    return status;
}

/** Where the walk left a tenant that had its share; subscription "": at its end. Tenants are hashed
 * to few records: one that takes another's only makes that begin at its first subscription. */
static rh_left_t *left_at(rh_queue_impl_t *queue, const char *tenant)
{
    apr_ssize_t len = APR_HASH_KEY_STRING;

    return &queue->left[apr_hashfunc_default(tenant, &len) % RH_LEFT_COUNT];
}

/** Remember that a tenant had its share at a subscription. */
static void leave_tenant(rh_queue_impl_t *queue, const char *tenant, const char *subscription)
{
    rh_left_t *left = left_at(queue, tenant);

    apr_cpystrn(left->tenant, tenant, sizeof(left->tenant));
    apr_cpystrn(left->subscription, subscription, sizeof(left->subscription));
}

/**
 * Where to go on with a tenant that the walk comes to: after the subscription at which it had its
 * share before. Once: then it begins at its first one again.
 * @return NULL: with the subscription that was found
 */
static const char *resume_tenant(rh_queue_impl_t *queue, const char **row, apr_pool_t *pool)
{
    rh_left_t *left = left_at(queue, row[0]);
    const char *subscription = NULL;

    if (strcmp(left->tenant, row[0]) == 0 && strcmp(left->subscription, row[1]) >= 0) {
        subscription = apr_pstrdup(pool, left->subscription);
    }
    if (strcmp(left->tenant, row[0]) == 0) {
        left->tenant[0] = '\0';
    }
    return subscription;
}

static void go_to(rh_place_t *place, const char *tenant, const char *subscription)
{
    apr_cpystrn(place->tenant, tenant, sizeof(place->tenant));
    apr_cpystrn(place->subscription, subscription, sizeof(place->subscription));
}

static bool is_behind(const char **row, const rh_place_t *place)
{
    int order = strcmp(row[0], place->tenant);

    return order > 0 || (order == 0 && strcmp(row[1], place->subscription) > 0);
}

/** The walk was once around. */
static apr_status_t end_walk(rh_queue_impl_t *queue)
{
    queue->walk.begun = false;
    queue->walk.next = apr_time_now() + WALK_SPACING;
    return APR_SUCCESS;
}

/** After a walk that had to leave something to cancel, there is another one soon. */
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

/** One walk of a claim. */
typedef struct stroll_t {
    const char *tenant, *id; /**< the position: the walk goes on after it */
    const char *current;     /**< the tenant that gets something now */
    int before;              /**< room when the walk came to it */
} stroll_t;

/**
 * Look at one subscription that the walk found.
 * @return true: the next statement begins at another position than after this row
 */
static bool visit(choice_t *choice, stroll_t *stroll, const char **row, apr_pool_t *pool)
{
    rh_queue_impl_t *queue = choice->queue;

    if (!stroll->current || strcmp(stroll->current, row[0]) != 0) {
        const char *resume = resume_tenant(queue, row, pool);

        stroll->current = row[0];
        stroll->before = choice->room;
        if (resume) {
            stroll->tenant = row[0];
            stroll->id = resume;
            return true;
        }
    }
    stroll->tenant = row[0];
    stroll->id = row[1];
    if (!apr_hash_get(choice->chosen, row[1], APR_HASH_KEY_STRING)) {
        look_at(choice, row);
    }
    if (stroll->before - choice->room >= choice->tenant_share) {
        leave_tenant(queue, row[0], row[1]);
        stroll->id = RH_LAST_ID;
        stroll->current = NULL;
        return true;
    }
    return false;
}

/**
 * Go around the subscriptions, from after the last one that got something, until there is enough
 * to do: once at most. It may take several claims. A tenant that has its share is left for the next
 * one, and its further subscriptions come when the walk is there again.
 */
static apr_status_t walk_around(rh_db_t *db, choice_t *choice, apr_pool_t *pool)
{
    rh_queue_impl_t *queue = choice->queue;
    stroll_t stroll = {apr_pstrdup(pool, queue->walk.at.tenant),
                       apr_pstrdup(pool, queue->walk.at.subscription), NULL, 0};
    apr_time_t began = apr_time_now();
    int steps = FIRST_STEPS, walks, i;

    if (!queue->walk.begun) {
        queue->walk.from = queue->walk.at;
        queue->walk.wrapped = false;
        queue->walk.begun = true;
    }
    choice->tenant_share = choice->room / TENANTS_PER_WALK;
    for (walks = 0; walks < MAX_WALKS && choice->room > 0; walks++) {
        apr_array_header_t *rows;
        apr_status_t status;
        bool jumped = false;

        if (apr_time_now() - began > WALK_FOR) {
            break;
        }
        status = walk(db, choice, stroll.tenant, stroll.id, steps, pool, &rows);
        if (status != APR_SUCCESS) {
            queue->walk.begun = false;
            return status;
        }
        for (i = 0; i < rows->nelts && choice->room > 0 && !jumped; i++) {
            const char **row = rh_row(rows, i);

            if (queue->walk.wrapped && is_behind(row, &queue->walk.from)) {
                return end_walk(queue);
            }
            jumped = visit(choice, &stroll, row, pool);
        }
        if (rows->nelts < steps && choice->room > 0 && !jumped) {
            if (queue->walk.wrapped) {
                return end_walk(queue);
            }
            queue->walk.wrapped = true;
            stroll.tenant = "";
            stroll.id = "00000000-0000-0000-0000-000000000000";
        }
        steps = steps * 2 < MAX_STEPS ? steps * 2 : MAX_STEPS;
    }
    go_to(&queue->walk.at, stroll.tenant, stroll.id);
    if (choice->room > 0) {
        come_again(choice, WALK_REST * (apr_time_now() - began) + 1000);
    } else {
        queue->walk.begun = false;
    }
    return APR_SUCCESS;
}

/**
 * Choose the subscriptions to take from, until there is enough to do. What is due is mostly seen
 * at once; a walk finds what is due behind a backlog, and now and then what belongs to a
 * subscription that is gone, due or not.
 */
static apr_status_t find_candidates(rh_db_t *db, choice_t *choice, apr_pool_t *pool)
{
    rh_queue_impl_t *queue = choice->queue;
    apr_time_t now = apr_time_now();
    bool all, walks = queue->walk.begun || now >= queue->walk.next ||
                      queue->walk.next > now + WALK_SPACING;
    apr_status_t status = look_at_due(db, choice, pool, &all);

    return status == APR_SUCCESS && (walks || !all) ? walk_around(db, choice, pool) : status;
}

static apr_status_t choose(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    choice_t *choice = baton;

    /* It may be a second try. */
    choice->claim->again = 0;
    choice->room = choice->claim->limit;
    apr_array_clear(choice->candidates);
    apr_array_clear(choice->ended);
    apr_hash_clear(choice->chosen);
    return find_candidates(db, choice, pool);
}

/** In a transaction on SQLite: cancel what belongs to subscriptions that are gone. */
static apr_status_t cancel_ended(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    choice_t *choice = baton;
    apr_status_t status = APR_SUCCESS;
    int i;

    for (i = 0; i < choice->ended->nelts && status == APR_SUCCESS; i++) {
        const char **row = rh_row(choice->ended, i);
        bool more;

        status = rh_queue_cancel(db, row[0], row[1], pool, &more);
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
    choice.ended = apr_array_make(pool, 4, sizeof(const char **));
    /* Most looks find nothing: on SQLite they must not keep writers out. */
    status = rh_store_run(queue->source, false, choose, &choice, pool);
    if (status == APR_SUCCESS && choice.ended->nelts > 0) {
        status = rh_store_run(queue->source, queue->source->dialect == RH_DIALECT_SQLITE,
                              cancel_ended, &choice, pool);
    }
    walk_again(&choice);
    return status;
}
