/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_engine_test.h
 * @brief Functions that look inside an engine, for tests only.
 */
#ifndef RH_ENGINE_TEST_H
#define RH_ENGINE_TEST_H

#include "rh_engine.h"

/** True if the engine's process delivers (rh_slot.h). */
bool rh_engine_delivers(const rh_engine_t *engine);
/** Return the number of threads inside rh_engine_commit. */
int rh_engine_callers(const rh_engine_t *engine);
/** Return the number of events that wait for a writer of the first site. */
int rh_engine_queued(rh_engine_t *engine);

#endif
