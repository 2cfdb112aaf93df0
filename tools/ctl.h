/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file ctl.h
 * @brief resthooksctl: what its commands share.
 *
 * Every function allocates in `ctl->pool`, which lives as long as the process. What comes from a
 * server or a file is printed through ctl_safe only: no control character reaches a terminal.
 */
#ifndef CTL_H
#define CTL_H

#include "rh_base.h"
#include "rh_json.h"

#include <stdint.h>
#include <stdio.h>

/** Exit statuses. */
#define CTL_DONE 0
#define CTL_FAILED 1 /**< it failed or was refused */
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
    const char *arguments;  /**< as the synopsis shows them: "ID" */
    int least, most;        /**< how many */
    apr_uint64_t options;   /**< bits of ctl_option_t */
    const char *summary;    /**< a line */
    int (*run)(ctl_t *ctl); /**< @return an exit status; what went wrong is already told */
} ctl_command_t;

/** One run of the program. */
struct ctl_t {
    apr_pool_t *pool;
    const ctl_command_t *command;
    apr_array_header_t *given[CTL_OPTIONS]; /**< of const char *, in order; NULL: not given */
    apr_array_header_t *arguments;          /**< of const char *, behind the command's words */
};

/* ---- resthooksctl.c ---- */

extern const ctl_command_t ctl_commands[]; /**< ends with a NULL name */

/** A line on stderr, "resthooksctl: …"; control characters in it are escaped.
 * @return CTL_FAILED */
int ctl_fail(ctl_t *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Likewise, and a hint at --help. @return CTL_USAGE */
int ctl_misuse(ctl_t *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- ctl_options.c ---- */

/** Read the command line, and find the command. @return CTL_DONE, or CTL_USAGE when told why */
int ctl_read_arguments(ctl_t *ctl, int argc, const char *const *argv);

/** Print what --help prints: of the command, or of all. */
void ctl_help(ctl_t *ctl);

/** What was given for an option, the last time; NULL: nothing. */
const char *ctl_option(const ctl_t *ctl, ctl_option_t option);

static inline bool ctl_has(const ctl_t *ctl, ctl_option_t option)
{
    return ctl->given[option] != NULL;
}

/** The i-th argument; the table of commands says how many there are. */
static inline const char *ctl_argument(const ctl_t *ctl, int i)
{
    return APR_ARRAY_IDX(ctl->arguments, i, const char *);
}

/**
 * Read an option's duration ("2s", "5m"), microseconds.
 * @param none the value where it was not given
 * @param allow_never "never" is RH_NEVER
 * @return CTL_DONE, or CTL_USAGE when told why
 */
int ctl_duration(ctl_t *ctl, ctl_option_t option, apr_interval_time_t none, bool allow_never,
                 apr_interval_time_t *duration);

/** Read an option's whole number, within bounds. @return as ctl_duration */
int ctl_number(ctl_t *ctl, ctl_option_t option, int none, int least, int most, int *number);

/**
 * Read an option's time: RFC 3339, or a duration, which is subtracted from now.
 * @param text receives RFC 3339, NULL where it was not given @return as ctl_duration
 */
int ctl_time(ctl_t *ctl, ctl_option_t option, const char **text);

/** Secrets of --secret, or else of the environment, of const char *; may be none.
 * @return as ctl_duration */
int ctl_secrets(ctl_t *ctl, apr_array_header_t **secrets);

/* ---- ctl_print.c ---- */

/** Make text safe for a terminal: control characters and those that change the direction of writing
 * become escapes (\n, \u009b), bytes that are not UTF-8 become \xff. @param lines keep newlines */
const char *ctl_safe(apr_pool_t *pool, const char *data, apr_size_t len, bool lines);

/** Print JSON as it came; to a terminal, with the escapes of ctl_safe. */
void ctl_print_raw(ctl_t *ctl, rh_bytes_t json);

/** Print the members of an object, one a line; those of objects within are indented.
 * @param except names, NULL-terminated, that are left out; may be NULL */
void ctl_print_members(ctl_t *ctl, struct json_object *object, int indent,
                       const char *const *except);

/** Print a value over several indented lines. */
void ctl_print_pretty(ctl_t *ctl, struct json_object *value, int indent);

/** A column of a table: its heading, and the member that it shows ("stats.failed"). */
typedef struct ctl_column_t {
    const char *heading;
    const char *member;
} ctl_column_t;

/** Print an array of objects as a table. @param columns end with a NULL heading */
void ctl_print_table(ctl_t *ctl, struct json_object *rows, const ctl_column_t *columns);

/** A member's value as text: "a.b" goes down; "-" for null and for what is not there. */
const char *ctl_text(apr_pool_t *pool, struct json_object *object, const char *member);

/* ---- ctl_http.c ---- */

typedef struct ctl_answer_t {
    int status;
    apr_table_t *headers;
    rh_bytes_t body;
    struct json_object *json; /**< NULL: it is not JSON */
} ctl_answer_t;

/**
 * Ask the API. `path` is below its base and begins with a slash.
 * @param body NULL: none
 * @return CTL_DONE with any HTTP status; else an exit status, when told why
 */
int ctl_ask(ctl_t *ctl, const char *method, const char *path, struct json_object *body,
            ctl_answer_t *answer);

/** Likewise; whatever is not 2xx with JSON (or 204) is told, and is CTL_FAILED. */
int ctl_call(ctl_t *ctl, const char *method, const char *path, struct json_object *body,
             ctl_answer_t *answer);

/** Tell what an answer says is wrong (RFC 9457), or its status. @return CTL_FAILED */
int ctl_refused(ctl_t *ctl, const ctl_answer_t *answer);

/** "/subscriptions/ID/rest", escaped; `rest` may be NULL. */
const char *ctl_path(ctl_t *ctl, const char *collection, const char *id, const char *rest);

/** Append "?name=value" or "&name=value", escaped; nothing for a NULL value. */
const char *ctl_query(ctl_t *ctl, const char *path, const char *name, const char *value);

/** The page's parameters: --limit and --before. */
int ctl_page(ctl_t *ctl, const char **path);

/**
 * GET a list and print it, as a table unless --json; and how to get the next page.
 * @param prepare changes the rows before they are shown; may be NULL
 */
int ctl_list(ctl_t *ctl, const char *path, const ctl_column_t *columns,
             void (*prepare)(ctl_t *, struct json_object *));

/** GET an object and print it, by `show` unless --json (NULL: its members). */
int ctl_show(ctl_t *ctl, const char *path, void (*show)(ctl_t *, struct json_object *));

/* ---- ctl_message.c ---- */

/** Largest file that is read, and largest body that `listen` takes, in bytes. */
#define CTL_MAX_BODY (16 * 1024 * 1024)
/** Largest header section. */
#define CTL_MAX_HEAD (64 * 1024)

/** An HTTP message as it was sent or saved. */
typedef struct ctl_message_t {
    const char *method; /**< NULL: it has no request line */
    const char *target;
    apr_table_t *headers;
    rh_bytes_t body;
    apr_int64_t content_length; /**< -1: none */
} ctl_message_t;

/** Bytes of the head with the empty line that ends it; 0: it has no end. */
apr_size_t ctl_head_length(const char *data, apr_size_t len);

/**
 * Read a message: a start line or none, fields, an empty line, the body. Lines end with LF or CRLF.
 * The body is `content_length` bytes where there are more, or all that is there.
 * @return NULL, or why it can't be read
 */
const char *ctl_message_read(apr_pool_t *pool, const char *data, apr_size_t len,
                             ctl_message_t *message);

/** Read a file, "-" for stdin. @return CTL_DONE, or CTL_FAILED when told why */
int ctl_read_file(ctl_t *ctl, const char *name, rh_bytes_t *content);

/* ---- ctl_verify.c ---- */

/** How old a timestamp may be unless --tolerance says (Standard Webhooks recommends it). */
#define CTL_TOLERANCE_TIME apr_time_from_sec(300)

/** How the signature of a message was found. */
typedef struct ctl_check_t {
    const char *problem; /**< NULL: all is well; else "header", "timestamp" or "signature" */
    const char *header;  /**< what is wrong, of each; the others are not looked at then */
    const char *timestamp;
    const char *signature;
} ctl_check_t;

/**
 * Check as a receiver does (Standard Webhooks 1.0, "Verifying webhook authenticity").
 * @param tolerance how old, or early, the timestamp may be; RH_NEVER: any age is accepted
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
