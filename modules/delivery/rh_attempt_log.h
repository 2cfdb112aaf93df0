/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_attempt_log.h
 * @brief RestHooksLog: a line for each attempt, in the form of an access log.
 *
 * A format is text with letters after percent signs:
 *
 *   %t  when it began       %e  event           %c  status code     %o  outcome
 *   %h  virtual host        %d  delivery        %m  milliseconds    %x  error
 *   %T  tenant              %s  subscription    %b  bytes sent      %p  process
 *   %y  type                %u  target URL      %B  bytes of the    %%  a percent sign
 *   %k  key                 %n  attempt number      answer, kept
 *
 * and `\t` for a tab, `\\` for a backslash. Missing values are logged as "-".
 *
 * Values are not trusted, so they are escaped: control bytes, bytes that are not ASCII, quotes and
 * backslashes become \xhh, \" and \\, and outside of quotes a space becomes \x20. No value can make
 * a line or a field of its own. A value longer than RH_LOG_VALUE bytes is truncated.
 *
 * Several complete lines go into one write of at most RH_LOG_WRITE bytes. A write of that size is
 * not divided in a pipe that several processes share (POSIX, "write": PIPE_BUF), nor in a file that
 * is open for appending. A pipe does not block: lines that do not fit are dropped, counted
 * and reported.
 */
#ifndef RH_ATTEMPT_LOG_H
#define RH_ATTEMPT_LOG_H

#include "rh_store.h"

/** Maximum length of one write, and so of one line with its end, in bytes. */
#define RH_LOG_WRITE 4096
/** Maximum length of one value, escaped, in bytes. */
#define RH_LOG_VALUE 1200
/** The format of a RestHooksLog that does not name one. */
#define RH_LOG_FORMAT "%t %h %T %y %e %d %s %n %c %m %b %o \"%x\""

typedef struct rh_log_format_t rh_log_format_t;

/**
 * Read a format.
 * @param format receives it, in `pool`
 * @return NULL, or what is wrong with it: "%q is none of …"
 */
const char *rh_log_format_parse(apr_pool_t *pool, const char *text, rh_log_format_t **format);

/** The values of one line. */
typedef struct rh_log_entry_t {
    const char *host;
    const rh_job_t *job;
    const rh_attempt_t *attempt;
    rh_settle_kind_t outcome;  /**< any kind except RELEASE */
    apr_size_t sent, answered; /**< lengths of the bodies */
} rh_log_entry_t;

/** Write a line with its newline into a buffer of RH_LOG_WRITE bytes. @return its length */
apr_size_t rh_log_format_line(const rh_log_format_t *format, const rh_log_entry_t *entry,
                              char *buffer);

/** The RestHooksLog of one site in one process. */
typedef struct rh_attempt_log_t {
    const rh_log_format_t *format;
    int fd;
    const char *name; /**< destination of error messages */
    const rh_log_t *complaints;
    const rh_metrics_t *metrics;
    apr_time_t complained_at; /**< atomic */
} rh_attempt_log_t;

/** Buffered lines of one thread for one log. Zero-initialise. */
typedef struct rh_log_lines_t {
    apr_size_t len;
    int count;
    char text[RH_LOG_WRITE];
} rh_log_lines_t;

/** Add a line; write the buffered ones first if it does not fit. */
void rh_attempt_log_add(rh_attempt_log_t *log, rh_log_lines_t *lines, const rh_log_entry_t *entry);

/** Write the buffered lines. */
void rh_attempt_log_flush(rh_attempt_log_t *log, rh_log_lines_t *lines);

#endif
