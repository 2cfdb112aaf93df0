/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_turns.h
 * @brief Which keys are being committed, so that two writers keep the order of a key's events.
 *
 *   1  A of key k is taken by writer one, its commit begins
 *   2  B of k, which happened after A, would be taken by writer two and committed first
 *   3  a claim sees B alone: it is sent before A
 *
 * So a call with a key that is being committed stays in the queue, and so do later calls with any
 * of its keys. Keys are hashed to lock stripes; a collision only delays a commit briefly. The
 * caller holds the mutex of the queue around every function here.
 */
#ifndef RH_TURNS_H
#define RH_TURNS_H

#include "rh_event.h"

typedef struct rh_turns_t rh_turns_t;

/** Make it in `pool`. */
rh_turns_t *rh_turns_make(apr_pool_t *pool);

/** Return the lock stripe of an event's key; 0: it has no key. */
apr_uint32_t rh_turns_stripe(const rh_event_t *event);

bool rh_turns_free(const rh_turns_t *turns, const apr_uint32_t *stripes, int count);
void rh_turns_take(rh_turns_t *turns, const apr_uint32_t *stripes, int count);
/** Release stripes; call once per take. */
void rh_turns_give(rh_turns_t *turns, const apr_uint32_t *stripes, int count);

#endif
