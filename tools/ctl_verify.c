/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* verify: check a request step by step, as a receiver does. */
#include "ctl.h"

#include "rh_signature.h"
#include "rh_time.h"

static const char *const names[] = {"webhook-id", "webhook-timestamp", "webhook-signature"};

static const char *check_headers(apr_pool_t *pool, const apr_table_t *headers)
{
    const char *missing = NULL;

    for (int i = 0; i < 3; i++) {
        if (!apr_table_get(headers, names[i])) {
            missing = missing ? apr_pstrcat(pool, missing, ", ", names[i], NULL) : names[i];
        }
    }
    return missing ? apr_pstrcat(pool, "missing header: ", missing, NULL) : NULL;
}

static bool read_timestamp(const char *text, apr_int64_t *timestamp)
{
    apr_size_t len = strlen(text);

    *timestamp = 0;
    if (len == 0 || len > 11 || strspn(text, "0123456789") != len) {
        return false;
    }
    *timestamp = apr_atoi64(text);
    return true;
}

static const char *check_age(apr_pool_t *pool, apr_int64_t timestamp, apr_interval_time_t tolerance)
{
    apr_int64_t age = apr_time_sec(apr_time_now()) - timestamp;

    if (tolerance == RH_NEVER ||
        (age <= apr_time_sec(tolerance) && -age <= apr_time_sec(tolerance))) {
        return NULL;
    }
    return apr_psprintf(
        pool, "timestamp %s: %" APR_INT64_T_FMT " s %s, --tolerance allows %" APR_INT64_T_FMT " s",
        age > 0 ? "too old" : "in the future", age > 0 ? age : -age, age > 0 ? "ago" : "ahead",
        (apr_int64_t)apr_time_sec(tolerance));
}

/** Count the signatures of a kind in the header; NULL: of any kind. */
static int count_signatures(const char *header, const char *kind)
{
    int count = 0;

    while (*header) {
        count += !kind || strncmp(header, kind, strlen(kind)) == 0;
        header += strcspn(header, " ");
        header += strspn(header, " ");
    }
    return count;
}

static const char *check_signature(apr_pool_t *pool, const ctl_message_t *message,
                                   const apr_array_header_t *secrets, apr_int64_t timestamp)
{
    const char *id = apr_table_get(message->headers, names[0]);
    const char *header = apr_table_get(message->headers, names[2]);

    if (message->content_length >= 0 && message->body.len < (apr_uint64_t)message->content_length) {
        return apr_psprintf(pool,
                            "the body has %" APR_SIZE_T_FMT " of the %" APR_INT64_T_FMT
                            " bytes that Content-Length names",
                            message->body.len, message->content_length);
    }
    for (int i = 0; i < secrets->nelts; i++) {
        if (rh_signature_verify(APR_ARRAY_IDX(secrets, i, const char *), header, id, timestamp,
                                message->body.data, message->body.len, pool)) {
            return NULL;
        }
    }
    if (count_signatures(header, "v1,") == 0) {
        return "bad signature: the header has none of version 1 (v1,…)";
    }
    return apr_psprintf(
        pool,
        "bad signature: none of %d is of %s for this id, timestamp and body (%" APR_SIZE_T_FMT
        " bytes)",
        count_signatures(header, "v1,"), secrets->nelts > 1 ? "these secrets" : "this secret",
        message->body.len);
}

void ctl_check(apr_pool_t *pool, const ctl_message_t *message, const apr_array_header_t *secrets,
               apr_interval_time_t tolerance, ctl_check_t *check)
{
    apr_int64_t timestamp;

    memset(check, 0, sizeof(*check));
    check->header = check_headers(pool, message->headers);
    if (check->header) {
        check->problem = "header";
        return;
    }
    if (!read_timestamp(apr_table_get(message->headers, names[1]), &timestamp)) {
        check->problem = "timestamp";
        check->timestamp = "the timestamp is not a number of seconds";
        check->signature = "the signature can't be checked without it";
        return;
    }
    check->timestamp = check_age(pool, timestamp, tolerance);
    check->signature = check_signature(pool, message, secrets, timestamp);
    check->problem = check->signature ? "signature" : check->timestamp ? "timestamp" : NULL;
}

/** Print one line per check: what was checked, or what is wrong. */
static void print_check(ctl_t *ctl, const char *what, const char *wrong)
{
    const char *line = wrong ? wrong : what;

    printf("%-7s %s\n", wrong ? "FAILED" : "ok", ctl_safe(ctl->pool, line, strlen(line), false));
}

static void print_checks(ctl_t *ctl, const ctl_message_t *message, const ctl_check_t *check)
{
    print_check(ctl, "headers: webhook-id, webhook-timestamp, webhook-signature", check->header);
    if (!check->header) {
        print_check(
            ctl,
            apr_pstrcat(ctl->pool, "timestamp: ", apr_table_get(message->headers, names[1]), NULL),
            check->timestamp);
        print_check(ctl,
                    apr_psprintf(ctl->pool, "signature: of id %s and %" APR_SIZE_T_FMT " bytes",
                                 apr_table_get(message->headers, names[0]), message->body.len),
                    check->signature);
    }
}

static void add_text(struct json_object *tree, const char *name, const char *text)
{
    json_object_object_add(tree, name, text ? json_object_new_string(text) : NULL);
}

static void print_json(ctl_t *ctl, const ctl_check_t *check)
{
    struct json_object *tree = rh_json_own(ctl->pool, json_object_new_object());
    rh_bytes_t text;

    json_object_object_add(tree, "valid", json_object_new_boolean(!check->problem));
    add_text(tree, "problem", check->problem);
    add_text(tree, "header", check->header);
    add_text(tree, "timestamp", check->timestamp);
    add_text(tree, "signature", check->signature);
    text.data = rh_json_text(ctl->pool, tree, &text.len);
    ctl_print_raw(ctl, text);
}

int ctl_verify(ctl_t *ctl)
{
    apr_interval_time_t tolerance;
    apr_array_header_t *secrets;
    ctl_message_t message;
    ctl_check_t check;
    rh_bytes_t content;
    const char *error;
    int status = ctl_secrets(ctl, &secrets);

    if (status == CTL_DONE && secrets->nelts == 0) {
        status = ctl_misuse(ctl, "whose signature? --secret whsec_…, or RESTHOOKSCTL_SECRET");
    }
    if (status == CTL_DONE) {
        status = ctl_duration(ctl, CTL_TOLERANCE, CTL_TOLERANCE_TIME, true, &tolerance);
    }
    if (status == CTL_DONE) {
        status = ctl_read_file(ctl, ctl_argument(ctl, 0), &content);
    }
    if (status != CTL_DONE) {
        return status;
    }
    error = ctl_message_read(ctl->pool, content.data, content.len, &message);
    if (error) {
        return ctl_fail(ctl, "%s is not a saved request: %s", ctl_argument(ctl, 0), error);
    }
    ctl_check(ctl->pool, &message, secrets, tolerance, &check);
    if (ctl_has(ctl, CTL_JSON)) {
        print_json(ctl, &check);
    } else {
        print_checks(ctl, &message, &check);
    }
    return check.problem ? CTL_FAILED : CTL_DONE;
}
