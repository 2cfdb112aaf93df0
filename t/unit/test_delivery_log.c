/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_attempt_log.h"

#include "tap.h"

#include <apr_general.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static apr_pool_t *pool;
static int complaints;

static void write_log(void *baton, rh_log_level_t level, apr_status_t status, const char *tag,
                      const char *message)
{
    (void)baton;
    (void)status;
    (void)message;
    complaints += level == RH_LOG_ERR && strcmp(tag, "RH0811") == 0;
}

static const rh_log_t log_all = {write_log, NULL, RH_LOG_DEBUG};

static rh_job_t job = {.tenant = "acme",
                       .delivery_id = "d-1",
                       .subscription_id = "s-1",
                       .target_url = "https://a.example/in",
                       .event = {.id = "e-1", .type = "employee.created", .key = NULL}};
static rh_attempt_t attempt = {.number = 3,
                               .started_at = APR_TIME_C(1790000000123456),
                               .duration = 45678,
                               .status_code = 503,
                               .error = NULL};
static rh_log_entry_t entry = {"host:443", &job, &attempt, RH_SETTLE_RETRY, 17, 4};

/** Return the line of a format, or the format's error. */
static const char *line_of(const char *text)
{
    rh_log_format_t *format;
    const char *complaint = rh_log_format_parse(pool, text, &format);
    char *buffer = apr_palloc(pool, RH_LOG_WRITE);

    if (complaint) {
        return apr_pstrcat(pool, "! ", complaint, NULL);
    }
    return apr_pstrmemdup(pool, buffer, rh_log_format_line(format, &entry, buffer));
}

static void test_formats(void)
{
    char *every = NULL;

    is(line_of(RH_LOG_FORMAT),
       "2026-09-21T14:13:20.123Z host:443 acme employee.created e-1 d-1 s-1 3 503 45 17 retry "
       "\"-\"\n",
       "the default format");
    is(line_of("%u|%k|%B|100%%\\t\\\\."), "https://a.example/in|-|4|100%\t\\.\n",
       "all other letters, and literal text");
    is(line_of("no letters at all"), "no letters at all\n", "a format may be only text");
    ok(strtol(line_of("%p"), NULL, 10) == getpid(), "the process");
    for (int c = 1; c < 256; c++) {
        char text[] = {'%', (char)c, '\0'};
        bool taken = *line_of(text) != '!';

        if (taken != (strchr("thTykedsuncmbBoxp%", c) != NULL)) {
            every = apr_psprintf(pool, "%d", c);
        }
    }
    is(every, NULL, "other letters are refused");
    is(line_of("%t %q"), "! %q is none of %t %h %T %y %k %e %d %s %u %n %c %m %b %B %o %x %p %%",
       "the error names the letter");
    is(line_of(""), "! the format is empty", "an empty format is refused");
    is(line_of("%t %"), "! the format ends within a % letter", "so is an incomplete one");
    is(line_of("%t \\"), "! the format ends with a single backslash",
       "and one that ends with a backslash");
    is(line_of("%t \"%x"), "! the format ends within quotes", "and one that ends within quotes");
    is(line_of("a\\n"), "! \\n is neither \\t nor \\\\", "a format can't make two lines");
    is(line_of("a\nb"), "! the format holds a control character",
       "also not by a control character");
}

static void test_outcomes(void)
{
    entry.outcome = RH_SETTLE_DELIVERED;
    is(line_of("%o"), "delivered\n", "delivered");
    entry.outcome = RH_SETTLE_FAILED;
    is(line_of("%o"), "failed\n", "failed");
    entry.outcome = RH_SETTLE_GONE;
    is(line_of("%o"), "gone\n", "gone");
    entry.outcome = RH_SETTLE_DISABLED;
    is(line_of("%o"), "disabled\n", "disabled");
    entry.outcome = RH_SETTLE_RETRY;
    attempt.status_code = 0;
    attempt.error = "connect: refused";
    is(line_of("%c %x \"%x\""), "- connect:\\x20refused \"connect: refused\"\n",
       "without a response there is an error instead of a status");
    attempt.status_code = 503;
}

static void test_escapes(void)
{
    char error[4 * RH_LOG_WRITE];
    const char *line;
    int strange = 0;

    attempt.error = "a\n2026 \"forged\" \\ \x01\x7f\xc3\xa9\r";
    is(line_of("\"%x\" %x"),
       "\"a\\x0a2026 \\\"forged\\\" \\\\ \\x01\\x7f\\xc3\\xa9\\x0d\" "
       "a\\x0a2026\\x20\\\"forged\\\"\\x20\\\\\\x20\\x01\\x7f\\xc3\\xa9\\x0d\n",
       "a value can't make a line, a field or the end of quotes");
    for (int i = 0; i < (int)sizeof(error) - 1; i++) {
        error[i] = (char)(1 + i % 255);
    }
    error[sizeof(error) - 1] = '\0';
    attempt.error = error;
    job.tenant = error;
    line = line_of("%T \"%x\" end");
    for (const char *at = line; at[1]; at++) {
        strange += *at < ' ' || *at > '~';
    }
    is_int(strange, 0, "whatever bytes it has");
    ok(strlen(line) <= 2 * RH_LOG_VALUE + 8 && strlen(line) > 2 * RH_LOG_VALUE - 8 &&
           strcmp(line + strlen(line) - 6, "\" end\n") == 0,
       "a long value is truncated, the rest of the line is kept");
    line = line_of("%T%T%T%T%T%T%T%T");
    ok(strlen(line) <= RH_LOG_WRITE && line[strlen(line) - 1] == '\n',
       "a long line is truncated and terminated");
    attempt.error = NULL;
    job.tenant = "acme";
}

/** Read everything from a pipe. */
static long long drain(int fd, char *text, size_t size)
{
    long long all = 0;
    ssize_t got;

    while ((got = read(fd, text, size)) > 0) {
        all += got;
    }
    return all;
}

static void test_pipe(void)
{
    static rh_log_lines_t lines;
    static rh_metrics_host_t host;
    static const rh_metrics_t metrics = {.host = &host};
    static char text[1 << 20];
    rh_attempt_log_t out = {0};
    rh_log_format_t *format;
    long long got, lost;
    int ends[2], written = 20000;
    apr_size_t len;

    rh_log_format_parse(pool, "%T %n", &format);
    out.format = format;
    out.name = "|cat";
    out.complaints = &log_all;
    out.metrics = &metrics;
    if (pipe(ends) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 ||
        fcntl(ends[1], F_SETFL, O_NONBLOCK) != 0) {
        ok(false, "a pipe");
        return;
    }
    out.fd = ends[1];
    rh_attempt_log_flush(&out, &lines);
    is_int(drain(ends[0], text, sizeof(text)), 0, "nothing is written when there are no lines");
    rh_attempt_log_add(&out, &lines, &entry);
    rh_attempt_log_add(&out, &lines, &entry);
    is_int(drain(ends[0], text, sizeof(text)), 0, "lines wait for each other");
    rh_attempt_log_flush(&out, &lines);
    len = (apr_size_t)read(ends[0], text, sizeof(text));
    text[len] = '\0';
    is(text, "acme 3\nacme 3\n", "they are written together");
    for (int i = 0; i < written; i++) {
        rh_attempt_log_add(&out, &lines, &entry);
    }
    rh_attempt_log_flush(&out, &lines);
    got = drain(ends[0], text, sizeof(text));
    lost = (long long)rh_metrics_read(&metrics, RH_COUNT_LOG_LOST);
    ok(lost > 0 && lost < written, "a full pipe accepts no more: %lld lines are lost", lost);
    is_int(got, (written - lost) * 7, "the others are complete");
    is_int(complaints, 1, "the loss is logged once");
    rh_attempt_log_add(&out, &lines, &entry);
    rh_attempt_log_flush(&out, &lines);
    is_int(drain(ends[0], text, sizeof(text)), 7, "after that, lines are written again");
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    apr_initialize();
    atexit(apr_terminate);
    apr_pool_create(&pool, NULL);
    test_formats();
    test_outcomes();
    test_escapes();
    test_pipe();
    apr_pool_destroy(pool);
    return done_testing();
}
