/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file tap.h
 * @brief TAP for the unit tests: one line a check, a plan at the end.
 */
#ifndef RH_TAP_H
#define RH_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_count, tap_failures;

/** A check whose name is a sentence about behaviour. Returns the condition. */
__attribute__((format(printf, 2, 3), unused)) static bool ok(bool condition, const char *format,
                                                             ...)
{
    va_list args;

    va_start(args, format);
    printf("%sok %d - ", condition ? "" : "not ", ++tap_count);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    if (!condition) {
        tap_failures++;
    }
    return condition;
}

/** Compare two strings, either of which may be NULL; shows both when they differ. */
__attribute__((unused)) static bool is(const char *got, const char *expected, const char *name)
{
    bool same = got && expected ? strcmp(got, expected) == 0 : got == expected;

    ok(same, "%s", name);
    if (!same) {
        printf("#      got: %s\n# expected: %s\n", got ? got : "NULL",
               expected ? expected : "NULL");
    }
    return same;
}

/** Compare two numbers; shows both when they differ. */
__attribute__((unused)) static bool is_int(long long got, long long expected, const char *name)
{
    ok(got == expected, "%s", name);
    if (got != expected) {
        printf("#      got: %lld\n# expected: %lld\n", got, expected);
    }
    return got == expected;
}

/** Print the plan; the value for main to return. */
__attribute__((unused)) static int done_testing(void)
{
    printf("1..%d\n", tap_count);
    return tap_failures > 0;
}

#endif
