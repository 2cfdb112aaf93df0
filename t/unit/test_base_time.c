/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_time.h"
#include "rh_uuid.h"

#include "tap.h"

#include <apr_general.h>
#include <apr_thread_proc.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stdlib.h>

#define THREADS 4
#define PER_THREAD 20000

static apr_pool_t *pool;

static void times(void)
{
    static const struct {
        const char *text;
        const char *same;
    } good[] = {
        {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"},
        {"2026-01-31T23:59:59.123Z", "2026-01-31T23:59:59.123Z"},
        {"2026-01-31t23:59:59z", "2026-01-31T23:59:59.000Z"},
        {"2026-01-31 23:59:59Z", "2026-01-31T23:59:59.000Z"},
        {"2024-02-29T12:00:00+05:30", "2024-02-29T06:30:00.000Z"},
        {"2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00.000Z"},
        {"2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"},
        {"2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.100Z"},
        {"2026-01-01T00:00:00.123456789123Z", "2026-01-01T00:00:00.123Z"},
        {"2000-02-29T00:00:00-00:00", "2000-02-29T00:00:00.000Z"},
        {"9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"},
    };
    static const char *const bad[] = {
        "",
        "2026",
        "2026-01-31",
        "2026-01-31T23:59:59",
        "2026-01-31T23:59Z",
        "2026-1-31T23:59:59Z",
        "2026-01-31T23:59:59.Z",
        "2026-01-31T23:59:59,5Z",
        "2026-01-31T23:59:59+0100",
        "2026-01-31T23:59:59+01",
        "2026-01-31T23:59:59+24:00",
        "2026-01-31T23:59:59+01:60",
        "2026-01-31T23:59:59Z ",
        " 2026-01-31T23:59:59Z",
        "2026-01-31T23:59:59Zx",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "+026-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "yesterday",
    };

    for (apr_size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        apr_time_t time = -1;

        is_int(rh_time_parse(good[i].text, strlen(good[i].text), &time), APR_SUCCESS, good[i].text);
        is(rh_time_format(pool, time), good[i].same, "it is the time that was meant");
    }
    for (apr_size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        apr_time_t time = 42;

        ok(rh_time_parse(bad[i], strlen(bad[i]), &time) == APR_EINVAL && time == 42,
           "not a time: '%s'", bad[i]);
    }
    is_int((long long)strlen(rh_time_format(pool, apr_time_now())), RH_TIME_LEN,
           "a time's text has the promised length");
}

static void durations(void)
{
    static const struct {
        const char *text;
        apr_int64_t usec;
    } good[] = {
        {"0", 0},
        {"5", 5000000},
        {"250ms", 250000},
        {"15s", 15000000},
        {"5m", 300000000},
        {"2h", APR_INT64_C(7200000000)},
        {"30d", APR_INT64_C(2592000000000)},
        {"1w", APR_INT64_C(604800000000)},
        {"36500d", APR_INT64_C(3153600000000000)},
        {"0000000005s", 5000000},
    };
    static const char *const bad[] = {
        "",     "s",   "-5s",   "+5s", "5 s", " 5s",    "5s ",
        "1.5h", "5x",  "5S",    "5mm", "5sm", "36501d", "99999999999999999999",
        "1e3",  "ms5", "Never", "nev", "5y",  "0x5",    "9999999999999999w",
    };
    apr_interval_time_t duration;

    for (apr_size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        duration = -7;
        is_int(rh_duration_parse(good[i].text, strlen(good[i].text), false, &duration), APR_SUCCESS,
               good[i].text);
        is_int(duration, good[i].usec, "it is the duration that was meant");
    }
    for (apr_size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(rh_duration_parse(bad[i], strlen(bad[i]), true, &duration) == APR_EINVAL,
           "not a duration: '%s'", bad[i]);
    }
    is_int(rh_duration_parse("never", 5, true, &duration), APR_SUCCESS,
           "never is accepted where it is allowed");
    is_int(duration, RH_NEVER, "is never");
    is_int(rh_duration_parse("never", 5, false, &duration), APR_EINVAL,
           "never is refused where it is not");
    is_int(rh_duration_parse("5\0s", 3, true, &duration), APR_EINVAL, "a NUL is not the end");
    is_int(rh_duration_parse("15s", 2, true, &duration), APR_SUCCESS, "the length ends the text");
    is_int(duration, 15000000, "bytes after it are not read");
}

typedef char uuid_text_t[RH_UUID_LEN + 1];

static void *APR_THREAD_FUNC make_many(apr_thread_t *thread, void *data)
{
    uuid_text_t *ids = data;

    for (int i = 0; i < PER_THREAD; i++) {
        rh_uuid_make(ids[i]);
    }
    apr_thread_exit(thread, APR_SUCCESS);
    return NULL;
}

static int compare(const void *one, const void *other)
{
    return strcmp(one, other);
}

/** Make ids in a process and in its child, whose random bits must differ. */
static void uuids_of_processes(void)
{
    char first[RH_UUID_LEN + 1], own[RH_UUID_LEN + 1], childs[RH_UUID_LEN + 1] = "";
    int ends[2];
    pid_t child;

    rh_uuid_make(first);
    if (pipe(ends) != 0 || (child = fork()) < 0) {
        ok(false, "a child is made");
        return;
    }
    if (child == 0) {
        rh_uuid_make(childs);
        _exit(write(ends[1], childs, RH_UUID_LEN) == RH_UUID_LEN ? 0 : 1);
    }
    waitpid(child, NULL, 0);
    rh_uuid_make(own);
    is_int(read(ends[0], childs, RH_UUID_LEN), RH_UUID_LEN, "a child makes an id");
    ok(strcmp(own + 19, childs + 19) != 0,
       "its random bits differ from those of its parent's next id");
    close(ends[0]);
    close(ends[1]);
}

static void uuids_of_threads(void)
{
    uuid_text_t *ids = malloc(sizeof(*ids) * THREADS * PER_THREAD);
    apr_thread_t *threads[THREADS];
    apr_status_t status;
    bool ordered = true, unique = true, good = true;

    for (int i = 0; i < THREADS; i++) {
        apr_thread_create(&threads[i], NULL, make_many, ids[i * PER_THREAD], pool);
    }
    for (int i = 0; i < THREADS; i++) {
        apr_thread_join(&status, threads[i]);
    }
    for (int i = 0; i < THREADS * PER_THREAD; i++) {
        good = good && rh_uuid_valid(ids[i], RH_UUID_LEN) && ids[i][14] == '7' &&
               strchr("89ab", ids[i][19]);
        if (i % PER_THREAD) {
            ordered = ordered && strncmp(ids[i - 1], ids[i], 18) < 0;
        }
    }
    qsort(ids, THREADS * PER_THREAD, sizeof(*ids), compare);
    for (int i = 1; i < THREADS * PER_THREAD; i++) {
        unique = unique && strncmp(ids[i - 1], ids[i], 18) != 0;
    }
    ok(good, "every UUID has version 7 and the RFC's variant");
    ok(ordered, "those of one thread sort in the order of the calls");
    ok(unique, "no two ids of a process have the same time and counter");
    free(ids);
}

static void uuids(void)
{
    static const char *const bad[] = {
        "",
        "0191f5a0-0000-7000-8000-00000000000",
        "0191f5a0-0000-7000-8000-0000000000000",
        "0191F5A0-0000-7000-8000-000000000000",
        "0191f5a0-0000-7000-8000-00000000000g",
        "0191f5a000000-7000-8000-000000000000",
        "0191f5a0-0000-7000-8000_000000000000",
        "{191f5a0-0000-7000-8000-00000000000}",
        "0191f5a0-0000-7000-8000-00000000000'",
    };
    apr_time_t now = apr_time_now();
    char id[RH_UUID_LEN + 1], floor[RH_UUID_LEN + 1];

    rh_uuid_make(id);
    ok(rh_uuid_valid(id, strlen(id)), "a new UUID is valid");
    ok(rh_uuid_time(id) >= now - 1000 && rh_uuid_time(id) < now + apr_time_from_sec(10),
       "it contains the time when it was made");
    rh_uuid_floor(rh_uuid_time(id), floor);
    ok(rh_uuid_valid(floor, RH_UUID_LEN) && strcmp(floor, id) <= 0,
       "no id of a time sorts before the time's floor");
    is_int(rh_uuid_time(floor), rh_uuid_time(id), "the floor has that time");
    rh_uuid_floor(rh_uuid_time(id) + 1000, floor);
    ok(strcmp(id, floor) < 0, "all of them sort before the next millisecond's floor");
    rh_uuid_floor(APR_INT64_C(1700000000123456), floor);
    is(floor, "018bcfe5-687b-7000-8000-000000000000", "a floor is as RFC 9562 says");
    rh_uuid_floor(-5, floor);
    is(floor, "00000000-0000-7000-8000-000000000000",
       "a time before the epoch counts as the epoch");
    ok(rh_uuid_digest("", 0, floor), "a text has a UUID");
    is(floor, "e3b0c442-98fc-8c14-9afb-f4c8996fb924", "which is the beginning of its SHA-256");
    ok(rh_uuid_valid("00000000-0000-0000-0000-000000000000", 36), "every version is accepted");
    for (apr_size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(!rh_uuid_valid(bad[i], strlen(bad[i])), "not a UUID: '%s'", bad[i]);
    }
    ok(!rh_uuid_valid("0191f5a0-0000-7000-8000-00000000000\0", 36), "a NUL is not a digit");
}

/** Return how far the time of a new id is from `now`, in seconds. */
static apr_int64_t id_is_ahead(apr_time_t now)
{
    char id[RH_UUID_LEN + 1];

    rh_uuid_make(id);
    return apr_time_sec(rh_uuid_time(id) - now + APR_USEC_PER_SEC / 2);
}

static void uuids_of_another_clock(void)
{
    apr_time_t day = apr_time_from_sec(86400), slow = apr_time_now() - 40 * day;
    apr_interval_time_t ahead = rh_uuid_follow_clock(slow);

    ok(ahead >= 40 * day && ahead < 41 * day, "a clock that is 40 days ahead is noticed");
    is_int(rh_uuid_follow_clock(apr_time_now() - 40 * day), 0, "once");
    ok(id_is_ahead(slow) >= 0 && id_is_ahead(slow) < 60,
       "ids follow the database's clock, also backwards");
    rh_uuid_follow_clock(apr_time_now() - apr_time_from_sec(45));
    ok(id_is_ahead(apr_time_now()) < -30,
       "they still do when the difference becomes just tolerable");
    is_int(rh_uuid_follow_clock(apr_time_now() - apr_time_from_sec(5)), 0,
           "the clocks agree again");
    ok(id_is_ahead(apr_time_now()) >= -1 && id_is_ahead(apr_time_now()) <= 1,
       "ids follow this host's clock again");
    ok(rh_uuid_follow_clock(apr_time_now() + day) <= 60 - day, "a clock that is late is noticed");
    ok(id_is_ahead(apr_time_now() + day) >= -60, "ids are ahead of it");
    rh_uuid_follow_clock(apr_time_now());
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    times();
    durations();
    uuids();
    uuids_of_threads();
    uuids_of_processes();
    uuids_of_another_clock();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
