/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_timer.h"

#include <time.h>

apr_time_t rh_monotonic_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (apr_time_t)now.tv_sec * APR_USEC_PER_SEC + now.tv_nsec / 1000;
}

/** Merge two heaps; the result has no sibling. */
static rh_timer_t *merge(rh_timer_t *a, rh_timer_t *b)
{
    if (!a || !b) {
        return a ? a : b;
    }
    if (b->due < a->due) {
        rh_timer_t *swap = a;

        a = b;
        b = swap;
    }
    b->next = a->child;
    if (b->next) {
        b->next->previous = b;
    }
    b->previous = a;
    a->child = b;
    a->next = NULL;
    return a;
}

/**
 * Merge a list of siblings into one heap: in pairs from the left, then the pairs from the right.
 */
static rh_timer_t *merge_siblings(rh_timer_t *first)
{
    rh_timer_t *pairs = NULL, *heap = NULL;

    while (first) {
        rh_timer_t *a = first, *b = a->next, *pair;

        first = b ? b->next : NULL;
        a->next = NULL;
        if (b) {
            b->next = NULL;
        }
        pair = merge(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    while (pairs) {
        rh_timer_t *pair = pairs;

        pairs = pair->next;
        pair->next = NULL;
        heap = merge(heap, pair);
    }
    return heap;
}

static void set_root(rh_timers_t *timers, rh_timer_t *root)
{
    timers->root = root;
    if (root) {
        root->previous = NULL;
        root->next = NULL;
    }
}

void rh_timers_arm(rh_timers_t *timers, rh_timer_t *timer, apr_time_t due)
{
    rh_timers_disarm(timers, timer);
    timer->due = due;
    timer->armed = true;
    timer->child = timer->next = timer->previous = NULL;
    set_root(timers, merge(timers->root, timer));
}

void rh_timers_disarm(rh_timers_t *timers, rh_timer_t *timer)
{
    rh_timer_t *children;

    if (!timer->armed) {
        return;
    }
    timer->armed = false;
    children = merge_siblings(timer->child);
    if (timers->root == timer) {
        set_root(timers, children);
    } else {
        if (timer->previous->child == timer) {
            timer->previous->child = timer->next;
        } else {
            timer->previous->next = timer->next;
        }
        if (timer->next) {
            timer->next->previous = timer->previous;
        }
        set_root(timers, merge(timers->root, children));
    }
    timer->child = timer->next = timer->previous = NULL;
}

const rh_timer_t *rh_timers_first(const rh_timers_t *timers)
{
    return timers->root;
}

void rh_timers_fire(rh_timers_t *timers, apr_time_t now)
{
    rh_timer_t *timer;

    while ((timer = timers->root) != NULL && timer->due <= now) {
        rh_timers_disarm(timers, timer);
        timer->fire(timer->baton);
    }
}
