/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_uuid.h"

#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <time.h>

/** Milliseconds and counter of the last UUID: (ms << 12) | counter. */
static apr_uint64_t last_stamp;

/** Difference between the time of ids and the time since this machine started; 0: ids follow this
 * host's clock. Atomic. */
static apr_int64_t clock_base;

/** Return the time since the machine started, in microseconds; it can't be set. */
static apr_time_t uptime(void)
{
    struct timespec now = {0, 0};

#ifdef CLOCK_BOOTTIME
    clock_gettime(CLOCK_BOOTTIME, &now);
#else
    clock_gettime(CLOCK_MONOTONIC, &now);
#endif
    return apr_time_from_sec(now.tv_sec) + now.tv_nsec / 1000;
}

apr_interval_time_t rh_uuid_follow_clock(apr_time_t now)
{
    apr_interval_time_t ahead = apr_time_now() - now;
    bool followed = __atomic_load_n(&clock_base, __ATOMIC_RELAXED) != 0;
    apr_interval_time_t limit = followed ? RH_UUID_CLOCK_TOLERANCE / 2 : RH_UUID_CLOCK_TOLERANCE;
    bool follows = ahead >= limit || ahead <= -limit;

    __atomic_store_n(&clock_base, follows ? now - uptime() : 0, __ATOMIC_RELAXED);
    if (follows == followed) {
        return 0;
    }
    /* Earlier ids may be far in the future, so new ones must not continue from them. */
    __atomic_store_n(&last_stamp, 0, __ATOMIC_RELAXED);
    return follows ? ahead : 0;
}

/** Return the next stamp: now, or the last one plus one if the clock stands still or goes back. */
static apr_uint64_t next_stamp(void)
{
    apr_int64_t base = __atomic_load_n(&clock_base, __ATOMIC_RELAXED);
    apr_time_t time = base ? base + uptime() : apr_time_now();
    apr_uint64_t now = (apr_uint64_t)apr_time_as_msec(time) << 12;
    apr_uint64_t last = __atomic_load_n(&last_stamp, __ATOMIC_RELAXED);
    apr_uint64_t next;

    do {
        next = now > last ? now : last + 1;
    } while (!__atomic_compare_exchange_n(&last_stamp, &last, next, true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return next;
}

static void write_uuid(apr_uint64_t high, apr_uint64_t low, char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < 36; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            *text++ = '-';
            continue;
        }
        if (i == 19) {
            high = low;
        }
        *text++ = digits[high >> 60];
        high <<= 4;
    }
    *text = '\0';
}

/** Number of forks that led to this process, since this module watches them. */
static unsigned int forks;

static void count_fork(void)
{
    forks++;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

/** Random bits, fetched for several ids at once: a call to OpenSSL costs as much as everything
 * else. */
static bool random_bits(apr_uint64_t *bits)
{
    static pthread_once_t watched = PTHREAD_ONCE_INIT;
    static __thread struct {
        apr_uint64_t bits[32];
        int left;
        unsigned int
            forks; /**< number of forks when they were fetched: a child must not use its parent's */
    } store;

    if (store.left == 0 || store.forks != forks) {
        pthread_once(&watched, watch_forks);
        if (RAND_bytes((unsigned char *)store.bits, sizeof(store.bits)) != 1) {
            return false;
        }
        store.left = (int)(RH_COUNT_OF(store.bits));
        store.forks = forks;
    }
    *bits = store.bits[--store.left];
    return true;
}

void rh_uuid_make(char text[RH_UUID_LEN + 1])
{
    apr_uint64_t stamp = next_stamp(), low;

    if (!random_bits(&low)) {
        /* An id must be unique, not secret: the address and the clock make hosts differ. */
        low = stamp * 0x9e3779b97f4a7c15U ^ (apr_uint64_t)apr_time_now() ^
              (apr_uint64_t)(apr_uintptr_t)&low;
    }
    write_uuid((stamp >> 12) << 16 | 0x7000 | (stamp & 0xfff),
               (low & 0x3fffffffffffffffU) | 0x8000000000000000U, text);
}

void rh_uuid_floor(apr_time_t time, char text[RH_UUID_LEN + 1])
{
    apr_int64_t ms = apr_time_as_msec(time);

    if (ms < 0) {
        ms = 0;
    }
    write_uuid((apr_uint64_t)ms << 16 | 0x7000, 0x8000000000000000U, text);
}

static apr_uint64_t read_number(const unsigned char *bytes)
{
    apr_uint64_t number = 0;

    for (int i = 0; i < 8; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

bool rh_uuid_digest(const char *data, apr_size_t len, char text[RH_UUID_LEN + 1])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];

    if (!SHA256((const unsigned char *)data, len, digest)) {
        return false;
    }
    write_uuid((read_number(digest) & ~(apr_uint64_t)0xf000) | 0x8000,
               (read_number(digest + 8) & 0x3fffffffffffffffU) | 0x8000000000000000U, text);
    return true;
}

bool rh_uuid_valid(const char *text, apr_size_t len)
{
    if (len != RH_UUID_LEN) {
        return false;
    }
    for (int i = 0; i < RH_UUID_LEN; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = text[i];

        if (dash ? c != '-' : !rh_is_hex(c) || c != rh_lower(c)) {
            return false;
        }
    }
    return true;
}

apr_time_t rh_uuid_time(const char *text)
{
    apr_int64_t ms = 0;

    for (int i = 0; i < 13; i++) {
        if (text[i] != '-') {
            ms = ms << 4 | (text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
        }
    }
    return ms * 1000;
}
