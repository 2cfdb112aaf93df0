/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_slot.h
 * @brief Which children of a host deliver, where there are too many for all of them to do so.
 *
 * A slot is a file, `deliver.N.lock`, whose flock a child holds for as long as it lives: when it
 * ends, however it does, another may have it.
 */
#ifndef RH_SLOT_H
#define RH_SLOT_H

#include "rh_base.h"

/** No slot. */
#define RH_NO_SLOT (-1)

/**
 * Take one of `count` slots, if one is free.
 * @param folder where the files are, made as needed; writable for the process
 * @param slot receives a descriptor to be closed by rh_slot_give_back, or RH_NO_SLOT
 * @return APR_SUCCESS; APR_EAGAIN: all are taken; or the system's error
 */
apr_status_t rh_slot_take(const char *folder, int count, apr_pool_t *scratch, int *slot);

void rh_slot_give_back(int *slot);

/** True if this process delivers. */
typedef struct rh_duty_t rh_duty_t;

/**
 * @param folder where slots are; NULL, or `deliverers` 0: every process delivers
 * @param deliverers how many processes of this host deliver; the duty lives in `pool`
 */
rh_duty_t *rh_duty_make(apr_pool_t *pool, const char *folder, int deliverers, const rh_log_t *log);

/** From any thread. */
bool rh_duty_has(const rh_duty_t *duty);

/** Try for a slot, some seconds apart, until there is one. From one thread. @return rh_duty_has */
bool rh_duty_seek(rh_duty_t *duty, apr_time_t now, apr_pool_t *scratch);

/** Another process may deliver. From the thread that seeks, or once that has ended. */
void rh_duty_end(rh_duty_t *duty);

#endif
