/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_slot.h
 * @brief Limits how many processes of a host deliver.
 *
 * A slot is a file, `deliver.N.lock`, whose flock a process holds for as long as it lives. When the
 * process ends, for whatever reason, another one may take the slot.
 */
#ifndef RH_SLOT_H
#define RH_SLOT_H

#include "rh_base.h"

/** No slot. */
#define RH_NO_SLOT (-1)

/**
 * Take one of `count` slots, if one is free.
 * @param folder directory of the files, created if needed; writable for the process
 * @param slot receives a descriptor to be closed by rh_slot_give_back, or RH_NO_SLOT
 * @return APR_SUCCESS; APR_EAGAIN: all are taken; or the system's error
 */
apr_status_t rh_slot_take(const char *folder, int count, apr_pool_t *scratch, int *slot);

void rh_slot_give_back(int *slot);

/** True if this process delivers. */
typedef struct rh_duty_t rh_duty_t;

/**
 * @param folder directory of the slots; NULL, or `deliverers` 0: every process delivers
 * @param deliverers number of processes of this host that deliver
 * @return in `pool`
 */
rh_duty_t *rh_duty_make(apr_pool_t *pool, const char *folder, int deliverers, const rh_log_t *log);

/** Return whether this process delivers. May be called from any thread. */
bool rh_duty_has(const rh_duty_t *duty);

/** Try to get a slot, every few seconds until there is one. From one thread. @return rh_duty_has */
bool rh_duty_seek(rh_duty_t *duty, apr_time_t now, apr_pool_t *scratch);

/** Give the slot back. From the thread that seeks it, or after that has ended. */
void rh_duty_end(rh_duty_t *duty);

#endif
