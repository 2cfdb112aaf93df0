/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* listen: print, verify, save and answer the requests that arrive. */
#include "ctl_listen.h"

#include "rh_time.h"

#include <apr_file_io.h>
#include <signal.h>

#define DEFAULT_PORT 8090
/** Maximum number of bytes of a body that are printed. */
#define MAX_PRINTED_BYTES 65536

typedef struct listening_t {
    ctl_t *ctl;
    apr_array_header_t *secrets;
    apr_interval_time_t tolerance, delay;
    int fail;         /**< 0: no limit */
    const char *save; /**< NULL: none */
    int saved;        /**< number of the last saved file */
    bool bad;         /**< a signature was invalid */
} listening_t;

static listener_t *running;

static void interrupted(int number)
{
    (void)number;
    listener_stop(running);
}

/* ---- files ---- */

/** Save a request unchanged to the next free name. Payloads may be confidential: mode 0600. */
static const char *save_request(listening_t *listening, rh_bytes_t raw, apr_pool_t *pool)
{
    apr_status_t status = APR_EEXIST;
    apr_file_t *file;
    const char *name = NULL;
    char reason[120];

    while (APR_STATUS_IS_EEXIST(status) && listening->saved < 999999) {
        name = apr_psprintf(pool, "%s/%06d.http", listening->save, ++listening->saved);
        status = apr_file_open(
            &file, name, APR_FOPEN_WRITE | APR_FOPEN_CREATE | APR_FOPEN_EXCL | APR_FOPEN_BINARY,
            APR_FPROT_UREAD | APR_FPROT_UWRITE, pool);
    }
    if (status == APR_SUCCESS) {
        status = apr_file_write_full(file, raw.data, raw.len, NULL);
        apr_file_close(file);
    }
    if (status != APR_SUCCESS) {
        (void)ctl_fail(listening->ctl, "%s: %s", name,
                       apr_strerror(status, reason, sizeof(reason)));
        return NULL;
    }
    return name;
}

/* ---- output ---- */

/** Describe the result of verifying a signature. */
static const char *verdict(const ctl_check_t *check)
{
    return !check->problem    ? "ok"
           : check->header    ? check->header
           : check->signature ? check->signature
                              : check->timestamp;
}

static void print_body(ctl_t *ctl, rh_bytes_t body)
{
    apr_size_t shown = body.len < MAX_PRINTED_BYTES ? body.len : MAX_PRINTED_BYTES;
    struct json_object *tree;
    rh_json_error_t error;

    if (body.len <= MAX_PRINTED_BYTES &&
        rh_json_parse(ctl->pool, body.data, body.len, &tree, &error) == APR_SUCCESS) {
        ctl_print_pretty(ctl, tree, 2);
    } else if (shown) {
        printf("  %s\n", ctl_safe(ctl->pool, body.data, shown, true));
    }
    if (shown < body.len) {
        printf("  … %" APR_SIZE_T_FMT " bytes more\n", body.len - shown);
    }
}

static int print_field(void *baton, const char *name, const char *value)
{
    ctl_t *ctl = baton;

    printf("  %s: %s\n", ctl_safe(ctl->pool, name, strlen(name), false),
           ctl_safe(ctl->pool, value, strlen(value), false));
    return 1;
}

static void print_text(ctl_t *ctl, const ctl_message_t *message, const char *signature, int status,
                       const char *file)
{
    printf("%s  POST %s  answered %d\n", rh_time_format(ctl->pool, apr_time_now()),
           ctl_safe(ctl->pool, message->target, strlen(message->target), false), status);
    apr_table_do(print_field, ctl, message->headers, NULL);
    if (signature) {
        printf("  signature: %s\n", ctl_safe(ctl->pool, signature, strlen(signature), false));
    }
    if (file) {
        printf("  saved: %s\n", file);
    }
    print_body(ctl, message->body);
    putchar('\n');
}

static int add_field(void *baton, const char *name, const char *value)
{
    json_object_object_add(baton, name, json_object_new_string(value));
    return 1;
}

/** Print one line of JSON per request. Bytes that are not UTF-8 are replaced. */
static void print_json(ctl_t *ctl, const ctl_message_t *message, const char *signature, int status,
                       const char *file)
{
    struct json_object *tree = rh_json_own(ctl->pool, json_object_new_object());
    struct json_object *headers = json_object_new_object();
    rh_bytes_t text;

    apr_table_do(add_field, headers, message->headers, NULL);
    json_object_object_add(tree, "time",
                           json_object_new_string(rh_time_format(ctl->pool, apr_time_now())));
    json_object_object_add(tree, "target", json_object_new_string(message->target));
    json_object_object_add(tree, "headers", headers);
    json_object_object_add(tree, "body",
                           json_object_new_string(rh_utf8_clean(ctl->pool, message->body.data,
                                                                message->body.len, CTL_MAX_BODY)));
    json_object_object_add(tree, "signature", signature ? json_object_new_string(signature) : NULL);
    json_object_object_add(tree, "status", json_object_new_int(status));
    json_object_object_add(tree, "file", file ? json_object_new_string(file) : NULL);
    text.data = rh_json_text(ctl->pool, tree, &text.len);
    ctl_print_raw(ctl, text);
}

/* ---- requests ---- */

static listener_answer_t received(void *baton, const ctl_message_t *message, rh_bytes_t raw,
                                  apr_pool_t *pool)
{
    listening_t *listening = baton;
    listener_answer_t answer = {listening->fail ? listening->fail : 200, listening->delay};
    ctl_t ctl = *listening->ctl; /* with the request's pool, because this may run for days */
    const char *signature = NULL, *file = NULL;
    ctl_check_t check;

    ctl.pool = pool;
    if (listening->secrets->nelts > 0) {
        ctl_check(pool, message, listening->secrets, listening->tolerance, &check);
        signature = verdict(&check);
        if (check.problem) {
            listening->bad = true;
            answer.status = listening->fail ? listening->fail : 401;
        }
    }
    if (listening->save) {
        file = save_request(listening, raw, pool);
    }
    if (ctl_has(&ctl, CTL_JSON)) {
        print_json(&ctl, message, signature, answer.status, file);
    } else {
        print_text(&ctl, message, signature, answer.status, file);
    }
    fflush(stdout);
    return answer;
}

/* ---- the command ---- */

static int read_options(ctl_t *ctl, listening_t *listening, int *port, int *count,
                        apr_interval_time_t *timeout)
{
    int status = ctl_secrets(ctl, &listening->secrets);

    listening->ctl = ctl;
    listening->save = ctl_option(ctl, CTL_SAVE);
    if (status == CTL_DONE) {
        status = ctl_number(ctl, CTL_PORT, DEFAULT_PORT, 0, 65535, port);
    }
    if (status == CTL_DONE) {
        status = ctl_number(ctl, CTL_FAIL, 0, 200, 599, &listening->fail);
    }
    if (status == CTL_DONE) {
        status = ctl_number(ctl, CTL_COUNT, 0, 1, 1000000, count);
    }
    if (status == CTL_DONE) {
        status = ctl_duration(ctl, CTL_DELAY, 0, false, &listening->delay);
    }
    if (status == CTL_DONE) {
        status = ctl_duration(ctl, CTL_TOLERANCE, CTL_TOLERANCE_TIME, true, &listening->tolerance);
    }
    if (status == CTL_DONE) {
        status = ctl_duration(ctl, CTL_TIMEOUT, RH_NEVER, true, timeout);
    }
    return status;
}

static int make_folder(ctl_t *ctl, const char *name)
{
    apr_status_t status =
        apr_dir_make(name, APR_FPROT_UREAD | APR_FPROT_UWRITE | APR_FPROT_UEXECUTE, ctl->pool);
    char reason[120];

    if (status != APR_SUCCESS && !APR_STATUS_IS_EEXIST(status)) {
        return ctl_fail(ctl, "%s: %s", name, apr_strerror(status, reason, sizeof(reason)));
    }
    return CTL_DONE;
}

int ctl_listen(ctl_t *ctl)
{
    listening_t listening;
    apr_interval_time_t timeout;
    int port, count, answered, status;
    apr_status_t made;
    char reason[120];

    memset(&listening, 0, sizeof(listening));
    status = read_options(ctl, &listening, &port, &count, &timeout);
    if (status == CTL_DONE && listening.save) {
        status = make_folder(ctl, listening.save);
    }
    if (status != CTL_DONE) {
        return status;
    }
    made = listener_make(ctl->pool, &port, received, &listening, &running);
    if (made != APR_SUCCESS) {
        return ctl_fail(ctl, "port %d of 127.0.0.1: %s", port,
                        apr_strerror(made, reason, sizeof(reason)));
    }
    signal(SIGINT, interrupted);
    signal(SIGTERM, interrupted);
    if (ctl_has(ctl, CTL_JSON)) {
        printf("{\"url\":\"http://127.0.0.1:%d/\"}\n", port);
    } else {
        printf("listening on http://127.0.0.1:%d/%s\n\n", port,
               listening.secrets->nelts ? "" : " (no --secret: signatures are not checked)");
    }
    fflush(stdout);
    answered = listener_run(running, count, timeout == RH_NEVER ? 0 : apr_time_now() + timeout);
    if (count && answered < count) {
        return ctl_fail(ctl, "%d of %d came", answered, count);
    }
    return listening.bad ? CTL_FAILED : CTL_DONE;
}
