/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_timer.h"

#include "tap.h"

#include <apr_general.h>

#define TIMERS 2000

typedef struct entry_t {
    rh_timer_t timer;
    bool wanted; /**< armed, as the test expects */
    int fired;
} entry_t;

static rh_timers_t timers;
static entry_t entries[TIMERS];
static apr_time_t last_due;
static int out_of_order;
static apr_uint32_t state = 12345;

static apr_uint32_t random_number(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static void fired(void *baton)
{
    entry_t *entry = baton;

    entry->fired++;
    out_of_order += entry->timer.due < last_due || entry->timer.armed;
    last_due = entry->timer.due;
}

static void arm(entry_t *entry, apr_time_t due)
{
    rh_timers_arm(&timers, &entry->timer, due);
    entry->wanted = true;
}

static void disarm(entry_t *entry)
{
    rh_timers_disarm(&timers, &entry->timer);
    entry->wanted = false;
}

/** Arm, move, disarm and fire at random, and compare with a simple list. */
static void against_a_list(void)
{
    apr_time_t now = 0;
    int wrong_first = 0, wrong_fired = 0;

    for (int round = 0; round < 400; round++) {
        apr_time_t first = 0;

        for (int i = 0; i < 100; i++) {
            entry_t *entry = &entries[random_number() % TIMERS];

            if (random_number() % 4 == 0) {
                disarm(entry);
            } else {
                arm(entry, now + 1 + random_number() % 5000);
            }
        }
        for (int i = 0; i < TIMERS; i++) {
            entries[i].fired = 0;
            if (entries[i].wanted && (first == 0 || entries[i].timer.due < first)) {
                first = entries[i].timer.due;
            }
        }
        wrong_first +=
            !rh_timers_first(&timers) ? first != 0 : rh_timers_first(&timers)->due != first;
        now += random_number() % 1000;
        last_due = 0;
        rh_timers_fire(&timers, now);
        for (int i = 0; i < TIMERS; i++) {
            bool due = entries[i].wanted && entries[i].timer.due <= now;

            wrong_fired += entries[i].fired != due;
            entries[i].wanted = entries[i].wanted && !due;
        }
    }
    is_int(wrong_first, 0, "the first timer is always the one that is due first");
    is_int(wrong_fired, 0, "due timers fire once, and no others do");
    is_int(out_of_order, 0, "in the order in which they are due, after being disarmed");
    for (int i = 0; i < TIMERS; i++) {
        disarm(&entries[i]);
    }
    ok(!rh_timers_first(&timers), "no timer is left");
}

static void again(void *baton)
{
    entry_t *entry = baton;

    entry->fired++;
    rh_timers_arm(&timers, &entry->timer, entry->timer.due + 10);
    rh_timers_disarm(&timers, &entries[1].timer);
}

static void from_within(void)
{
    memset(entries, 0, 2 * sizeof(entries[0]));
    entries[0].timer.fire = again;
    entries[0].timer.baton = &entries[0];
    entries[1].timer.fire = fired;
    entries[1].timer.baton = &entries[1];
    rh_timers_disarm(&timers, &entries[1].timer);
    ok(true, "a timer that was never armed can be disarmed");
    arm(&entries[0], 5);
    arm(&entries[1], 5);
    arm(&entries[1], 6);
    rh_timers_fire(&timers, 7);
    is_int(entries[0].fired, 1, "a timer that arms itself again fires once each time");
    is_int(entries[1].fired, 0, "it can disarm another that was due too");
    rh_timers_fire(&timers, 15);
    is_int(entries[0].fired, 2, "it fires again when it is due");
    disarm(&entries[0]);
}

int main(void)
{
    apr_time_t before = rh_monotonic_now();

    apr_initialize();
    for (int i = 0; i < TIMERS; i++) {
        entries[i].timer.fire = fired;
        entries[i].timer.baton = &entries[i];
    }
    against_a_list();
    from_within();
    ok(rh_monotonic_now() >= before, "the clock does not go back");
    apr_terminate();
    return done_testing();
}
