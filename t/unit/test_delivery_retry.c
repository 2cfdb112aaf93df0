/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_retry.h"
#include "rh_uuid.h"
#include "rh_time.h"

#include "tap.h"

#include <apr_general.h>

/** 1994-11-06 08:49:37 UTC, the time in RFC 9110's examples. */
#define NOW apr_time_from_sec(784111777)
#define MINUTES(number) apr_time_from_sec(60 * (number))
#define HOURS(number) apr_time_from_sec(3600 * (apr_time_t)(number))
#define MIDDLE 0x80000000u /**< the random number that changes nothing except for rounding */

static const apr_interval_time_t waits[] = {MINUTES(1), MINUTES(10), MINUTES(60)};
static const int gone[] = {410, 409};
static const rh_retry_policy_t policy = {waits, 3, gone, 2, RH_NEVER};

static apr_pool_t *pool;

static void test_jitter(void)
{
    static const apr_interval_time_t all[] = {1000, MINUTES(1), HOURS(24), HOURS(24 * 365)};
    apr_uint32_t state = 1;
    bool within = true, below = false, above = false;

    for (int i = 0; i < 4; i++) {
        apr_interval_time_t least = all[i] / 10 * 8, most = all[i] / 10 * 12;

        within = within && rh_retry_jitter(all[i], 0) == least &&
                 rh_retry_jitter(all[i], 0xffffffffu) == most;
        for (int n = 0; n < 2000; n++) {
            apr_interval_time_t wait = rh_retry_jitter(all[i], state);

            state = state * 1664525u + 1013904223u;
            within = within && wait >= least && wait <= most;
            below = below || wait < all[i] / 100 * 85;
            above = above || wait > all[i] / 100 * 115;
        }
    }
    ok(within, "jitter stays within a fifth of the wait, and reaches both ends");
    ok(below && above, "it covers the whole range");
    is_int(rh_retry_jitter(0, 12345), 0, "a wait of zero has no jitter");
}

/** Return the seconds that a Retry-After asks for; -1: it is not valid. */
static int asked(const char *value)
{
    apr_interval_time_t wait = -1;

    if (!rh_retry_after(value, NOW, &wait)) {
        return -1;
    }
    return (int)apr_time_sec(wait);
}

static void test_retry_after(void)
{
    static const char *const garbage[] = {
        "",     " \t ",   "-1",   "+5",
        "1.5",  "5s",     "5 6",  "0x10",
        "soon", "Sunday", "1e3",  "Sun, 06 Nov 1994",
        "Sun",  "GMT",    "\377", "Sun, 99 Foo 1994 08:49:37 GMT"};
    char digits[401];

    is_int(asked("120"), 120, "Retry-After in seconds");
    is_int(asked(" \t120\t "), 120, "with white space around it");
    is_int(asked("007"), 7, "with leading zeros");
    is_int(asked("0"), 1, "it is at least a second");
    is_int(asked("86399"), 86399, "just below a day");
    is_int(asked("86400"), 86400, "a day");
    is_int(asked("86401"), 86400, "it is at most a day");
    is_int(asked("18446744073709551617"), 86400, "also when the number has too many digits");
    memset(digits, '9', sizeof(digits) - 1);
    digits[sizeof(digits) - 1] = '\0';
    is_int(asked(digits), 86400, "also with hundreds of digits");

    is_int(asked("Sun, 06 Nov 1994 08:51:37 GMT"), 120, "an IMF-fixdate");
    is_int(asked("Sunday, 06-Nov-94 08:51:37 GMT"), 120, "the form of RFC 850");
    is_int(asked("Sun Nov  6 08:51:37 1994"), 120, "the form of asctime");
    is_int(asked("  Sun, 06 Nov 1994 08:51:37 GMT "), 120, "a date with white space around it");
    is_int(asked("Sun, 06 Nov 1994 08:49:37 GMT"), 1, "a date that is now counts as a second");
    is_int(asked("Sun, 06 Nov 1994 08:40:00 GMT"), 1, "so does a date in the past");
    is_int(asked("Thu, 01 Jan 1970 00:00:01 GMT"), 1, "long ago");
    is_int(asked("Mon, 07 Nov 1994 08:49:37 GMT"), 86400, "a day on");
    is_int(asked("Fri, 31 Dec 2100 23:59:59 GMT"), 86400, "a century counts as a day");

    is_int(asked(NULL), -1, "no field, no wait");
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        ok(asked(garbage[i]) == -1, "\"%s\" is not a Retry-After", garbage[i]);
    }
}

/** Judge a response with this status code, after a number of attempts. */
static rh_settle_t judge(const rh_retry_policy_t *with, rh_exchange_result_t result, int code,
                         const char *retry_after, int tries, apr_interval_time_t failing_for)
{
    rh_exchange_t exchange = {0};
    rh_job_t job = {0};
    rh_settle_t outcome;

    /* The members that the function must set contain garbage before. */
    memset(&outcome, 0x55, sizeof(outcome));
    exchange.result = result;
    exchange.status_code = code;
    if (retry_after) {
        exchange.answer_headers = apr_table_make(pool, 1);
        apr_table_setn(exchange.answer_headers, "retry-after", retry_after);
    }
    job.tries = tries;
    job.failing_for = failing_for;
    rh_retry_judge(with, &job, &exchange, NOW, MIDDLE, pool, &outcome);
    return outcome;
}

static rh_settle_t judge_code(int code, int tries)
{
    return judge(&policy, RH_EXCHANGE_OK, code, NULL, tries, 0);
}

/** True if an outcome is a retry after about this time that does not pause the subscription. */
static bool is_retry(rh_settle_t outcome, apr_interval_time_t wait)
{
    apr_interval_time_t off = outcome.delay - wait;

    return outcome.kind == RH_SETTLE_RETRY && off >= -10 && off <= 10 && outcome.pause == 0 &&
           outcome.reason == NULL;
}

static void test_answers(void)
{
    static const int final[] = {200, 201, 202, 204, 206, 250, 299};
    static const int again[] = {101, 199, 300, 301, 302, 303, 304, 307, 308,
                                400, 401, 403, 404, 408, 411, 413, 422, 429,
                                451, 499, 500, 501, 502, 503, 504, 507, 599};
    static const rh_exchange_result_t broken[] = {
        RH_EXCHANGE_BAD_URL,  RH_EXCHANGE_RESOLVE, RH_EXCHANGE_REFUSED_ADDRESS,
        RH_EXCHANGE_CONNECT,  RH_EXCHANGE_TLS,     RH_EXCHANGE_SEND,
        RH_EXCHANGE_PROTOCOL, RH_EXCHANGE_RESET,   RH_EXCHANGE_TIMEOUT};
    const rh_retry_policy_t none = {waits, 0, NULL, 0, RH_NEVER};
    rh_settle_t outcome;
    bool right = true;

    for (size_t i = 0; i < sizeof(final) / sizeof(final[0]); i++) {
        outcome = judge_code(final[i], 2);
        right = right && outcome.kind == RH_SETTLE_DELIVERED && outcome.delay == 0 &&
                outcome.pause == 0 && outcome.reason == NULL;
    }
    ok(right, "any 2xx is a success");
    for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++) {
        ok(is_retry(judge_code(again[i], 0), waits[0]) &&
               judge_code(again[i], 3).kind == RH_SETTLE_FAILED,
           "%d is retried, and fails in the end", again[i]);
    }
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        ok(is_retry(judge(&policy, broken[i], 0, NULL, 0, 0), waits[0]) &&
               judge(&policy, broken[i], 0, NULL, 3, 0).kind == RH_SETTLE_FAILED,
           "an exchange that ended as %d is retried, and fails in the end", broken[i]);
    }
    ok(is_retry(judge(&policy, RH_EXCHANGE_RESET, 200, NULL, 0, 0), waits[0]),
       "a 2xx whose response was cut off does not count");
    ok(is_retry(judge(&policy, RH_EXCHANGE_RESET, 410, NULL, 0, 0), waits[0]),
       "nor does such a 410");

    ok(is_retry(judge_code(500, 1), waits[1]), "the second wait follows the second attempt");
    ok(is_retry(judge_code(500, 2), waits[2]), "the last wait follows the third");
    is_int(judge_code(500, 3).kind, RH_SETTLE_FAILED, "then the schedule is used up");
    is_int(judge_code(500, 2000000000).kind, RH_SETTLE_FAILED, "also after many more attempts");
    is_int(judge_code(500, -1).kind, RH_SETTLE_FAILED,
           "an invalid count of attempts is not used as an index");
    is_int(judge_code(204, 3).kind, RH_SETTLE_DELIVERED, "the last attempt may succeed");
    is_int(judge(&none, RH_EXCHANGE_OK, 500, NULL, 0, 0).kind, RH_SETTLE_FAILED,
           "an empty schedule means one attempt");
}

static void test_gone(void)
{
    static const int alone[] = {404};
    const rh_retry_policy_t other = {waits, 3, alone, 1, RH_NEVER};
    const rh_retry_policy_t nothing = {waits, 3, NULL, 0, RH_NEVER};
    static const int odd[] = {204};
    const rh_retry_policy_t success = {waits, 3, odd, 1, RH_NEVER};
    rh_settle_t outcome = judge_code(410, 0);

    is_int(outcome.kind, RH_SETTLE_GONE, "410: the subscription is gone");
    is(outcome.reason, "the target answered 410", "this is the reason");
    ok(outcome.delay == 0 && outcome.pause == 0, "no delivery waits for it");
    outcome = judge_code(409, 3);
    ok(outcome.kind == RH_SETTLE_GONE && strcmp(outcome.reason, "the target answered 409") == 0,
       "409 likewise, also at the last attempt");
    is_int(judge(&policy, RH_EXCHANGE_OK, 410, "60", 0, 0).pause, 0,
           "a Retry-After does not change that");
    is_int(judge(&other, RH_EXCHANGE_OK, 404, NULL, 0, 0).kind, RH_SETTLE_GONE,
           "another code can be configured");
    ok(is_retry(judge(&other, RH_EXCHANGE_OK, 410, NULL, 0, 0), waits[0]),
       "then 410 is a response like any other");
    ok(is_retry(judge(&nothing, RH_EXCHANGE_OK, 410, NULL, 0, 0), waits[0]), "or no code is");
    is_int(judge(&success, RH_EXCHANGE_OK, 204, NULL, 0, 0).kind, RH_SETTLE_GONE,
           "a configured code takes precedence over 2xx");
}

static void test_pause(void)
{
    static const int codes[] = {429, 503};
    rh_settle_t outcome;

    for (int i = 0; i < 2; i++) {
        outcome = judge(&policy, RH_EXCHANGE_OK, codes[i], "120", 0, 0);
        ok(outcome.kind == RH_SETTLE_RETRY && outcome.delay == apr_time_from_sec(120) &&
               outcome.pause == apr_time_from_sec(120),
           "%d with Retry-After: the delivery and its subscription wait exactly that long",
           codes[i]);
        outcome = judge(&policy, RH_EXCHANGE_OK, codes[i], "Sun, 06 Nov 1994 08:51:37 GMT", 0, 0);
        ok(outcome.delay == apr_time_from_sec(120) && outcome.pause == outcome.delay,
           "%d with a date likewise", codes[i]);
        ok(is_retry(judge(&policy, RH_EXCHANGE_OK, codes[i], "soon", 1, 0), waits[1]),
           "%d with an invalid value: the schedule decides", codes[i]);
        ok(is_retry(judge(&policy, RH_EXCHANGE_OK, codes[i], NULL, 1, 0), waits[1]),
           "%d without the field, too", codes[i]);
        outcome = judge(&policy, RH_EXCHANGE_OK, codes[i], "120", 3, 0);
        ok(outcome.kind == RH_SETTLE_FAILED && outcome.pause == apr_time_from_sec(120),
           "%d at the last attempt: failed, and the subscription waits", codes[i]);
    }
    ok(is_retry(judge(&policy, RH_EXCHANGE_OK, 500, "120", 0, 0), waits[0]),
       "500 with Retry-After: the schedule decides");
    ok(is_retry(judge(&policy, RH_EXCHANGE_OK, 301, "120", 0, 0), waits[0]), "301 likewise");
    ok(is_retry(judge(&policy, RH_EXCHANGE_RESET, 503, "120", 0, 0), waits[0]),
       "a 503 that was cut off likewise");
}

/** Judge a failure of a delivery that was made `age` ago, of a subscription that has failed for
 * `failing_for`. */
static rh_settle_kind_t judge_aged(const rh_retry_policy_t *with, int tries,
                                   apr_interval_time_t failing_for, apr_interval_time_t age)
{
    char id[RH_UUID_LEN + 1];
    rh_exchange_t exchange = {.result = RH_EXCHANGE_OK, .status_code = 500};
    rh_job_t job = {.tries = tries, .failing_for = failing_for, .delivery_id = id};
    rh_settle_t outcome;

    rh_uuid_floor(NOW - age, id);
    exchange.timeout = apr_time_from_sec(15);
    rh_retry_judge(with, &job, &exchange, NOW, MIDDLE, pool, &outcome);
    return outcome.kind;
}

static void test_disable(void)
{
    const rh_retry_policy_t five_days = {waits, 3, gone, 2, HOURS(120)};
    const rh_retry_policy_t at_once = {waits, 3, gone, 2, 0};
    rh_settle_t outcome = judge(&five_days, RH_EXCHANGE_OK, 500, NULL, 3, HOURS(121));

    is_int(outcome.kind, RH_SETTLE_DISABLED,
           "a delivery that fails in the end disables a subscription that has failed for too long");
    is(outcome.reason, "every attempt has failed for 121 hours", "this is the reason");
    outcome = judge(&five_days, RH_EXCHANGE_OK, 503, "120", 3, HOURS(121));
    ok(outcome.kind == RH_SETTLE_DISABLED && outcome.pause == 0,
       "also when the target asks for a pause");
    is_int(judge(&five_days, RH_EXCHANGE_TIMEOUT, 0, NULL, 3, HOURS(120)).kind, RH_SETTLE_DISABLED,
           "a failure without a response likewise, at exactly the limit");
    is_int(judge(&five_days, RH_EXCHANGE_OK, 500, NULL, 3, HOURS(120) - 1).kind, RH_SETTLE_FAILED,
           "below the limit it does not");
    is_int(judge(&five_days, RH_EXCHANGE_OK, 500, NULL, 0, HOURS(121)).kind, RH_SETTLE_RETRY,
           "a delivery with attempts left is retried, however old the first failure is");
    is_int(judge(&five_days, RH_EXCHANGE_OK, 500, NULL, 2, HOURS(1000)).kind, RH_SETTLE_RETRY,
           "up to its last attempt");
    is_int(judge(&five_days, RH_EXCHANGE_OK, 500, NULL, -1, HOURS(1000)).kind, RH_SETTLE_FAILED,
           "a delivery whose schedule begins again proves nothing");
    is_int(judge(&five_days, RH_EXCHANGE_OK, 200, NULL, 3, HOURS(500)).kind, RH_SETTLE_DELIVERED,
           "a successful delivery prevents it");
    is_int(judge(&five_days, RH_EXCHANGE_OK, 410, NULL, 3, HOURS(500)).kind, RH_SETTLE_GONE,
           "gone takes precedence");
    is_int(judge(&policy, RH_EXCHANGE_OK, 500, NULL, 3, HOURS(24 * 3650)).kind, RH_SETTLE_FAILED,
           "with never it is not disabled in ten years");
    is_int(judge(&at_once, RH_EXCHANGE_OK, 500, NULL, 3, 0).kind, RH_SETTLE_FAILED,
           "the first failure does not disable, however short the limit is");
    is_int(judge(&at_once, RH_EXCHANGE_OK, 500, NULL, 3, 1).kind, RH_SETTLE_DISABLED,
           "the next one may");

    is_int(judge_aged(&five_days, 3, HOURS(121), HOURS(80)), RH_SETTLE_DISABLED,
           "a delivery that began after the first failure counts");
    is_int(judge_aged(&five_days, 3, HOURS(121), HOURS(121) + apr_time_from_sec(30)),
           RH_SETTLE_DISABLED, "so does the one whose first attempt was that failure");
    is_int(judge_aged(&five_days, 3, HOURS(121), HOURS(122)), RH_SETTLE_FAILED,
           "one that began before it does not");
}

static void test_cancelled(void)
{
    const rh_retry_policy_t at_once = {waits, 3, gone, 2, 0};
    rh_settle_t outcome = judge(&at_once, RH_EXCHANGE_CANCELLED, 410, "120", 3, HOURS(500));

    is_int(outcome.kind, RH_SETTLE_RELEASE, "a cancelled exchange is not an attempt");
    ok(outcome.delay == 0 && outcome.pause == 0 && outcome.reason == NULL,
       "it is due again at once, in every case");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_jitter();
    test_retry_after();
    test_answers();
    test_gone();
    test_pause();
    test_disable();
    test_cancelled();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
