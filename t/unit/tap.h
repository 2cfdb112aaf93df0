/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file tap.h
 * @brief TAP for the unit tests: one line per check, a plan at the end.
 */
#ifndef RH_TAP_H
#define RH_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/** A check whose name is a sentence about behaviour. Returns the condition. */
bool ok(bool condition, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Compare two strings, either of which may be NULL; show both when they differ. */
bool is(const char *got, const char *expected, const char *name);

/** Compare two numbers; show both when they differ. */
bool is_int(long long got, long long expected, const char *name);

/** Print the plan. @return what main returns */
int done_testing(void);

#endif
