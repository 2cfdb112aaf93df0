/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "ctl.h"

#include <stdarg.h>

static void print_error(ctl_t *ctl, const char *format, va_list arguments)
{
    const char *line = apr_pvsprintf(ctl->pool, format, arguments);

    fflush(stdout);
    fprintf(stderr, "resthooksctl: %s\n", ctl_safe(ctl->pool, line, strlen(line), true));
}

int ctl_fail(ctl_t *ctl, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_error(ctl, format, arguments);
    va_end(arguments);
    return CTL_FAILED;
}

int ctl_misuse(ctl_t *ctl, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_error(ctl, format, arguments);
    va_end(arguments);
    fprintf(stderr, "Try: resthooksctl%s%s --help\n", ctl->command ? " " : "",
            ctl->command ? ctl->command->name : "");
    return CTL_USAGE;
}
