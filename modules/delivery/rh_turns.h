/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_turns.h
 * @brief Which keys are being committed, so that two writers keep the order of a key's events.
 *
 *   1  writer one takes event A of key k, and begins to commit it
 *   2  writer two takes event B of k, which happened after A, and commits it first
 *   3  a claim sees only B, which is sent before A
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
