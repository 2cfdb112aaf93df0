/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "tap.h"

static int count, failures;

bool ok(bool condition, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    printf("%sok %d - ", condition ? "" : "not ", ++count);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    if (!condition) {
        failures++;
    }
    return condition;
}

bool is(const char *got, const char *expected, const char *name)
{
    bool same = got && expected ? strcmp(got, expected) == 0 : got == expected;

    ok(same, "%s", name);
    if (!same) {
        printf("#      got: %s\n# expected: %s\n", got ? got : "NULL",
               expected ? expected : "NULL");
    }
    return same;
}

bool is_int(long long got, long long expected, const char *name)
{
    ok(got == expected, "%s", name);
    if (got != expected) {
        printf("#      got: %lld\n# expected: %lld\n", got, expected);
    }
    return got == expected;
}

int done_testing(void)
{
    printf("1..%d\n", count);
    return failures > 0;
}
