/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_atomic.h
 * @brief Integers that several threads read and write without a lock, sequentially consistent.
 */
#ifndef RH_ATOMIC_H
#define RH_ATOMIC_H

#define rh_atomic_get(variable) __atomic_load_n(&(variable), __ATOMIC_SEQ_CST)
#define rh_atomic_set(variable, value) __atomic_store_n(&(variable), (value), __ATOMIC_SEQ_CST)
#define rh_atomic_add(variable, value) __atomic_add_fetch(&(variable), (value), __ATOMIC_SEQ_CST)

#endif
