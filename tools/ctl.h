/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file ctl.h
 * @brief What the commands of resthooksctl share.
 *
 * Every function allocates in `ctl->pool`, which lives as long as the process. Text from a server
 * or a file is printed only through ctl_safe, so that no control character reaches a terminal.
 */
#ifndef CTL_H
#define CTL_H

#include "rh_base.h"
#include "rh_json.h"

#include <stdint.h>
#include <stdio.h>

/** Exit statuses. */
#define CTL_DONE 0
#define CTL_FAILED 1 /**< the command failed or was refused */
#define CTL_USAGE 2  /**< the command line is wrong */

/** Every option of every command; ctl_options.c describes them. */
typedef enum {
    CTL_URL,
    CTL_USER,
    CTL_HEADER,
    CTL_TENANT,
    CTL_CACERT,
    CTL_TIMEOUT,
    CTL_JSON,
    CTL_LIMIT,
    CTL_BEFORE,
    CTL_ACTIVE,
    CTL_SUBSCRIPTION,
    CTL_STATE,
    CTL_STATUS,
    CTL_EVENT,
    CTL_TYPE,
    CTL_FROM,
    CTL_TO,
    CTL_DRY_RUN,
    CTL_DESCRIPTION,
    CTL_FORMAT,
    CTL_ORDERED,
    CTL_OVERLAP,
    CTL_SECRET,
    CTL_KEY,
    CTL_ID,
    CTL_TIME,
    CTL_TOLERANCE,
    CTL_PORT,
    CTL_FAIL,
    CTL_DELAY,
    CTL_SAVE,
    CTL_COUNT,
    CTL_DB,
    CTL_PLAN,
    CTL_PATHS,
    CTL_PREFIX,
    CTL_OBSERVE,
    CTL_HELP,
    CTL_VERSION,
    CTL_OPTIONS
} ctl_option_t;

typedef struct ctl_t ctl_t;

/** One command. The table of all is in resthooksctl.c. */
typedef struct ctl_command_t {
    const char *name;       /**< one or two words: "subscriptions show" */
    const char *arguments;  /**< arguments as the synopsis shows them: "ID" */
    int least, most;        /**< number of arguments */
    apr_uint64_t options;   /**< its options: bits of ctl_option_t */
    const char *summary;    /**< description in one line */
    int (*run)(ctl_t *ctl); /**< @return an exit status; errors have been printed */
} ctl_command_t;

/** One run of the program. */
struct ctl_t {
    apr_pool_t *pool;
    const ctl_command_t *commands;          /**< all commands; the last one has a NULL name */
    const ctl_command_t *command;           /**< the one that is given; NULL: none yet */
    apr_array_header_t *given[CTL_OPTIONS]; /**< values of const char *, in order; NULL: not
                                                 given */
    apr_array_header_t *arguments;          /**< of const char *, after the command's words */
};

/* ---- ctl_fail.c ---- */

/**
 * Print a line to stderr: "resthooksctl: …". Escapes control characters.
 * @return CTL_FAILED
 */
int ctl_fail(ctl_t *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Print a line to stderr, and a hint at --help. @return CTL_USAGE */
int ctl_misuse(ctl_t *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- ctl_options.c ---- */

/** Read the command line and find the command. @return CTL_DONE, or CTL_USAGE after an error */
int ctl_read_arguments(ctl_t *ctl, int argc, const char *const *argv);

/** Print the text of --help, for the command or for all. */
void ctl_help(ctl_t *ctl);

/** Return the last value of an option; NULL: not given. */
const char *ctl_option(const ctl_t *ctl, ctl_option_t option);

static inline bool ctl_has(const ctl_t *ctl, ctl_option_t option)
{
    return ctl->given[option] != NULL;
}

/** Return the i-th argument; the table of commands says how many there are. */
static inline const char *ctl_argument(const ctl_t *ctl, int i)
{
    return APR_ARRAY_IDX(ctl->arguments, i, const char *);
}

/**
 * Read a duration option ("2s", "5m"), in microseconds.
 * @param none the value if it is not given
 * @param allow_never "never" is RH_NEVER
 * @return CTL_DONE, or CTL_USAGE after an error
 */
int ctl_duration(ctl_t *ctl, ctl_option_t option, apr_interval_time_t none, bool allow_never,
                 apr_interval_time_t *duration);

/** Read an option's integer, within bounds. @return like ctl_duration */
int ctl_number(ctl_t *ctl, ctl_option_t option, int none, int least, int most, int *number);

/**
 * Read an option's time: RFC 3339, or a duration, which is subtracted from now.
 * @param text receives RFC 3339, NULL if it is not given
 * @return like ctl_duration
 */
int ctl_time(ctl_t *ctl, ctl_option_t option, const char **text);

/**
 * Collect the secrets of --secret or else of the environment, of const char *; may be none.
 * @return like ctl_duration
 */
int ctl_secrets(ctl_t *ctl, apr_array_header_t **secrets);

/* ---- ctl_print.c ---- */

/**
 * Make text safe for a terminal: control characters and those that change the writing direction
 * become escapes (\n, \u009b), bytes that are not UTF-8 become \xff.
 * @param lines keep newlines
 */
const char *ctl_safe(apr_pool_t *pool, const char *data, apr_size_t len, bool lines);

/** Print JSON as received; to a terminal, with the escapes of ctl_safe. */
void ctl_print_raw(ctl_t *ctl, rh_bytes_t json);

/**
 * Print the members of an object, one per line; members of nested objects are indented.
 * @param except names to leave out, NULL-terminated; may be NULL
 */
void ctl_print_members(ctl_t *ctl, struct json_object *object, int indent,
                       const char *const *except);

/** Print a value over several indented lines. */
void ctl_print_pretty(ctl_t *ctl, struct json_object *value, int indent);

/** A column of a table: its heading, and the member to show ("stats.failed"). */
typedef struct ctl_column_t {
    const char *heading;
    const char *member;
} ctl_column_t;

/** Print an array of objects as a table. @param columns end with a NULL heading */
void ctl_print_table(ctl_t *ctl, struct json_object *rows, const ctl_column_t *columns);

/**
 * Return a member's value as text. "a.b" means member b of a; "-" for null and for a missing one.
 */
const char *ctl_text(apr_pool_t *pool, struct json_object *object, const char *member);

/* ---- ctl_http.c ---- */

typedef struct ctl_answer_t {
    int status;
    apr_table_t *headers;
    rh_bytes_t body;
    struct json_object *json; /**< NULL: the body is not JSON */
} ctl_answer_t;

/**
 * Make a request to the API. `path` is relative to its base and begins with a slash.
 * @param body NULL: none
 * @return CTL_DONE with any HTTP status; another exit status after an error
 */
int ctl_ask(ctl_t *ctl, const char *method, const char *path, struct json_object *body,
            ctl_answer_t *answer);

/**
 * Likewise, but print an error and return CTL_FAILED unless the response is 2xx with JSON, or 204.
 */
int ctl_call(ctl_t *ctl, const char *method, const char *path, struct json_object *body,
             ctl_answer_t *answer);

/** Print the error in a response (RFC 9457), or its status. @return CTL_FAILED */
int ctl_refused(ctl_t *ctl, const ctl_answer_t *answer);

/** "/subscriptions/ID/rest", escaped; `rest` may be NULL. */
const char *ctl_path(ctl_t *ctl, const char *collection, const char *id, const char *rest);

/** Append "?name=value" or "&name=value", escaped; nothing for a NULL value. */
const char *ctl_query(ctl_t *ctl, const char *path, const char *name, const char *value);

/** Append the parameters of paging: --limit and --before. */
int ctl_page(ctl_t *ctl, const char **path);

/**
 * GET a list and print it, as a table unless --json, and how to get the next page.
 * @param prepare changes the rows before they are printed; may be NULL
 */
int ctl_list(ctl_t *ctl, const char *path, const ctl_column_t *columns,
             void (*prepare)(ctl_t *, struct json_object *));

/** GET an object and print it, using `show` unless --json (NULL: print its members). */
int ctl_show(ctl_t *ctl, const char *path, void (*show)(ctl_t *, struct json_object *));

/* ---- ctl_message.c ---- */

/** Maximum size of a file to read, and of a body that `listen` accepts, in bytes. */
#define CTL_MAX_BODY (16 * 1024 * 1024)
/** Maximum size of a header section, in bytes. */
#define CTL_MAX_HEAD (64 * 1024)

/** An HTTP message as it was sent or saved. */
typedef struct ctl_message_t {
    const char *method; /**< NULL: the message has no request line */
    const char *target;
    apr_table_t *headers;
    rh_bytes_t body;
    apr_int64_t content_length; /**< -1: no Content-Length */
} ctl_message_t;

/** Return the length of the head, including the empty line that ends it; 0: it has no end. */
apr_size_t ctl_head_length(const char *data, apr_size_t len);

/**
 * Read a message: optional start line, fields, an empty line, the body. Lines end with LF or CRLF.
 * The body has `content_length` bytes, or all there are if there are fewer.
 * @return NULL, or why it cannot be read
 */
const char *ctl_message_read(apr_pool_t *pool, const char *data, apr_size_t len,
                             ctl_message_t *message);

/** Read a file, "-" for stdin. @return CTL_DONE, or CTL_FAILED after an error */
int ctl_read_file(ctl_t *ctl, const char *name, rh_bytes_t *content);

/* ---- ctl_verify.c ---- */

/** Maximum age of a timestamp unless --tolerance is given (as Standard Webhooks recommends). */
#define CTL_TOLERANCE_TIME apr_time_from_sec(300)

/** The result of verifying a message. */
typedef struct ctl_check_t {
    const char *problem; /**< NULL: valid; otherwise the step that failed: "header", "timestamp"
                              or "signature" */
    const char *header;  /**< what is wrong; the later steps have not been checked */
    const char *timestamp;
    const char *signature;
} ctl_check_t;

/**
 * Verify a message as a receiver does (Standard Webhooks 1.0, "Verifying webhook authenticity").
 * @param tolerance maximum age of the timestamp, past or future; RH_NEVER: any age
 */
void ctl_check(apr_pool_t *pool, const ctl_message_t *message, const apr_array_header_t *secrets,
               apr_interval_time_t tolerance, ctl_check_t *check);

/* ---- the commands ---- */

int ctl_subscriptions_list(ctl_t *ctl);
int ctl_subscriptions_show(ctl_t *ctl);
int ctl_subscriptions_create(ctl_t *ctl);
int ctl_subscriptions_pause(ctl_t *ctl);
int ctl_subscriptions_revive(ctl_t *ctl);
int ctl_subscriptions_delete(ctl_t *ctl);
int ctl_subscriptions_test(ctl_t *ctl);
int ctl_subscriptions_secret(ctl_t *ctl);
int ctl_subscriptions_rotate(ctl_t *ctl);
int ctl_subscriptions_end_overlap(ctl_t *ctl);
int ctl_deliveries_list(ctl_t *ctl);
int ctl_deliveries_show(ctl_t *ctl);
int ctl_redeliver(ctl_t *ctl);
int ctl_replay(ctl_t *ctl);
int ctl_events_list(ctl_t *ctl);
int ctl_events_show(ctl_t *ctl);
int ctl_event_types(ctl_t *ctl);
int ctl_publish(ctl_t *ctl);
int ctl_health(ctl_t *ctl);
int ctl_verify(ctl_t *ctl);
int ctl_listen(ctl_t *ctl);
int ctl_query_json(ctl_t *ctl);
int ctl_rules_print(ctl_t *ctl);
int ctl_schema_check(ctl_t *ctl);
int ctl_schema_upgrade(ctl_t *ctl);
int ctl_schema_print(ctl_t *ctl);
int ctl_spool_list(ctl_t *ctl);
int ctl_spool_show(ctl_t *ctl);
int ctl_spool_retry(ctl_t *ctl);
int ctl_spool_drop(ctl_t *ctl);

/** Print a delivery with its payload and attempts. */
void ctl_print_delivery(ctl_t *ctl, struct json_object *delivery);

#endif
