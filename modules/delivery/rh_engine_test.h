/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_engine_test.h
 * @brief Looks into an engine that tests alone need.
 */
#ifndef RH_ENGINE_TEST_H
#define RH_ENGINE_TEST_H

#include "rh_engine.h"

/** True if it delivers (rh_slot.h). */
bool rh_engine_delivers(const rh_engine_t *engine);
/** How many threads are within rh_engine_commit. */
int rh_engine_callers(const rh_engine_t *engine);
/** How many events wait for a writer of the first site. */
int rh_engine_queued(rh_engine_t *engine);

#endif
