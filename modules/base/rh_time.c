/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_time.h"

/** The maximum duration that is accepted: 100 years. */
#define MAX_DURATION ((apr_int64_t)100 * 365 * 86400 * APR_USEC_PER_SEC)

/** The last microsecond of the year 9999, the last with four digits. */
#define MAX_TIME (APR_INT64_C(253402300800) * APR_USEC_PER_SEC - 1)

const char *rh_time_format(apr_pool_t *pool, apr_time_t time)
{
    apr_time_exp_t exploded;

    if (apr_time_exp_gmt(&exploded, time) != APR_SUCCESS) {
        return "1970-01-01T00:00:00.000Z";
    }
    return apr_psprintf(pool, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", exploded.tm_year + 1900,
                        exploded.tm_mon + 1, exploded.tm_mday, exploded.tm_hour, exploded.tm_min,
                        exploded.tm_sec, exploded.tm_usec / 1000);
}

/** Read exactly `count` digits; false if there are fewer. Moves *at. */
static bool digits(const char **at, const char *end, int count, int *value)
{
    *value = 0;
    while (count--) {
        if (*at >= end || **at < '0' || **at > '9') {
            return false;
        }
        *value = *value * 10 + (*(*at)++ - '0');
    }
    return true;
}

static bool literal(const char **at, const char *end, const char *either)
{
    if (*at < end && strchr(either, **at) && **at) {
        (*at)++;
        return true;
    }
    return false;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/** Read a fraction of a second as microseconds, dropping further digits; false without a digit. */
static bool fraction(const char **at, const char *end, int *usec)
{
    int scale = 100000;
    const char *start = *at;

    *usec = 0;
    while (*at < end && rh_is_digit(**at)) {
        *usec += (**at - '0') * scale;
        scale /= 10;
        (*at)++;
    }
    return *at > start;
}

/** Read an offset in seconds east of UTC: "Z" or "+hh:mm". */
static bool offset(const char **at, const char *end, int *seconds)
{
    int hours, minutes, sign;

    *seconds = 0;
    if (literal(at, end, "Zz")) {
        return true;
    }
    if (*at >= end || (**at != '+' && **at != '-')) {
        return false;
    }
    sign = *(*at)++ == '-' ? -1 : 1;
    if (!digits(at, end, 2, &hours) || !literal(at, end, ":") || !digits(at, end, 2, &minutes) ||
        hours > 23 || minutes > 59) {
        return false;
    }
    *seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

apr_status_t rh_time_parse(const char *text, apr_size_t len, apr_time_t *time)
{
    const char *at = text, *end = text + len;
    apr_time_exp_t exploded;
    int year, month, day, hour, minute, second, usec = 0, east;
    apr_time_t parsed;

    if (!digits(&at, end, 4, &year) || !literal(&at, end, "-") || !digits(&at, end, 2, &month) ||
        !literal(&at, end, "-") || !digits(&at, end, 2, &day) || !literal(&at, end, "Tt ") ||
        !digits(&at, end, 2, &hour) || !literal(&at, end, ":") || !digits(&at, end, 2, &minute) ||
        !literal(&at, end, ":") || !digits(&at, end, 2, &second)) {
        return APR_EINVAL;
    }
    if (literal(&at, end, ".") && !fraction(&at, end, &usec)) {
        return APR_EINVAL;
    }
    if (!offset(&at, end, &east) || at != end || year < 1970 || month < 1 || month > 12 ||
        day < 1 || day > month_days(year, month) || hour > 23 || minute > 59 || second > 60) {
        return APR_EINVAL;
    }
    memset(&exploded, 0, sizeof(exploded));
    exploded.tm_year = year - 1900;
    exploded.tm_mon = month - 1;
    exploded.tm_mday = day;
    exploded.tm_hour = hour;
    exploded.tm_min = minute;
    exploded.tm_sec = second;
    exploded.tm_usec = usec;
    if (apr_time_exp_get(&parsed, &exploded) != APR_SUCCESS) {
        return APR_EINVAL;
    }
    parsed -= apr_time_from_sec((apr_int64_t)east);
    if (parsed < 0 || parsed > MAX_TIME) {
        return APR_EINVAL;
    }
    *time = parsed;
    return APR_SUCCESS;
}

apr_status_t rh_duration_parse(const char *text, apr_size_t len, bool allow_never,
                               apr_interval_time_t *duration)
{
    static const struct {
        const char *name;
        apr_int64_t usec;
    } units[] = {
        {"ms", 1000},
        {"s", APR_USEC_PER_SEC},
        {"m", APR_INT64_C(60) * APR_USEC_PER_SEC},
        {"h", APR_INT64_C(3600) * APR_USEC_PER_SEC},
        {"d", APR_INT64_C(86400) * APR_USEC_PER_SEC},
        {"w", APR_INT64_C(604800) * APR_USEC_PER_SEC},
        {"", APR_USEC_PER_SEC},
    };
    apr_int64_t value = 0;
    apr_size_t at = 0;

    if (allow_never && len == 5 && memcmp(text, "never", 5) == 0) {
        *duration = RH_NEVER;
        return APR_SUCCESS;
    }
    while (at < len && rh_is_digit(text[at]) && at < 16) {
        value = value * 10 + (text[at++] - '0');
    }
    if (at == 0) {
        return APR_EINVAL;
    }
    for (apr_size_t i = 0; i < RH_COUNT_OF(units); i++) {
        apr_size_t name_len = strlen(units[i].name);

        if (len - at == name_len && memcmp(text + at, units[i].name, name_len) == 0) {
            if (value > MAX_DURATION / units[i].usec) {
                return APR_EINVAL;
            }
            *duration = value * units[i].usec;
            return APR_SUCCESS;
        }
    }
    return APR_EINVAL;
}
