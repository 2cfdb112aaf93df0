/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_base.h"

#include <stdarg.h>

/** Longest line of a log, with its NUL. */
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

apr_size_t rh_utf8_length(const unsigned char *at, const unsigned char *end)
{
    unsigned char low = 0x80, high = 0xbf;
    apr_size_t len;

    if (*at < 0x80) {
        return 1;
    }
    if (*at < 0xc2 || *at > 0xf4) {
        return 0;
    }
    len = *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;
    if ((apr_size_t)(end - at) < len) {
        return 0;
    }
    if (*at == 0xe0) {
        low = 0xa0;
    } else if (*at == 0xed) {
        high = 0x9f;
    } else if (*at == 0xf0) {
        low = 0x90;
    } else if (*at == 0xf4) {
        high = 0x8f;
    }
    if (at[1] < low || at[1] > high) {
        return 0;
    }
    for (apr_size_t i = 2; i < len; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf) {
            return 0;
        }
    }
    return len;
}

/** The first byte that may not be ASCII, looked for eight bytes at a time, or `end`. */
static const unsigned char *skip_ascii(const unsigned char *at, const unsigned char *end)
{
    while (end - at >= 8) {
        apr_uint64_t word;

        memcpy(&word, at, sizeof(word));
        if (word & APR_UINT64_C(0x8080808080808080)) {
            break;
        }
        at += 8;
    }
    while (at < end && *at < 0x80) {
        at++;
    }
    return at;
}

bool rh_utf8_valid(const char *data, apr_size_t len)
{
    const unsigned char *at = (const unsigned char *)data;
    const unsigned char *end = at + len;

    while (at < end) {
        apr_size_t step;

        at = skip_ascii(at, end);
        if (at == end) {
            break;
        }
        step = rh_utf8_length(at, end);

        if (step == 0) {
            return false;
        }
        at += step;
    }
    return true;
}

const char *rh_utf8_clean(apr_pool_t *pool, const char *data, apr_size_t len, apr_size_t max)
{
    const unsigned char *at = (const unsigned char *)data;
    const unsigned char *end = at + len;
    apr_size_t used = 0;
    char *clean;

    if (len > max) {
        len = max;
        /* A sequence that the cut divides goes as a whole. */
        for (int back = 1; back <= 3 && (apr_size_t)back <= len; back++) {
            apr_size_t start = len - (apr_size_t)back;

            if (at[start] >= 0xc0) {
                if (rh_utf8_length(at + start, end) > (apr_size_t)back) {
                    len = start;
                }
                break;
            }
        }
        end = at + len;
    }
    clean = apr_palloc(pool, len * 3 + 1);
    while (at < end) {
        apr_size_t step = *at ? rh_utf8_length(at, end) : 0;

        if (step) {
            memcpy(clean + used, at, step);
            used += step;
            at += step;
        } else {
            memcpy(clean + used, "\xef\xbf\xbd", 3);
            used += 3;
            at++;
        }
    }
    clean[used] = '\0';
    return clean;
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
