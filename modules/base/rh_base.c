/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_base.h"

#include <stdarg.h>

/** Maximum length of a log line, with its NUL. */
#define LOG_LINE 1024

void rh_log(const rh_log_t *log, rh_log_level_t level, apr_status_t status, const char *tag,
            const char *format, ...)
{
    char line[LOG_LINE];
    va_list args;

    if (!log || !log->write || level > log->level) {
        return;
    }
    va_start(args, format);
    apr_vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (char *at = line; *at; at++) {
        if ((unsigned char)*at < ' ') {
            *at = ' ';
        }
    }
    log->write(log->baton, level, status, tag, line);
}

bool rh_name_valid(const char *data, apr_size_t len)
{
    if (len == 0 || len > RH_MAX_NAME || !rh_utf8_valid(data, len)) {
        return false;
    }
    for (apr_size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];

        /* C0, DEL, and C1, whose UTF-8 is c2 80 … c2 9f */
        if (c < 0x20 || c == 0x7f ||
            (c == 0xc2 && i + 1 < len && (unsigned char)data[i + 1] < 0xa0)) {
            return false;
        }
    }
    return true;
}
