/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* deliveries …, redeliver, replay. */
#include "ctl.h"

static const ctl_column_t columns[] = {{"ID", "id"},
                                       {"CREATED", "created_at"},
                                       {"STATE", "state"},
                                       {"TYPE", "type"},
                                       {"KEY", "key"},
                                       {"ATTEMPTS", "attempt_count"},
                                       {"LAST", "last_status_code"},
                                       {"NEXT ATTEMPT", "next_attempt_at"},
                                       {"TARGET", "target_url"},
                                       {NULL, NULL}};

static const ctl_column_t attempt_columns[] = {{"ATTEMPT", "number"}, {"TIME", "time"},
                                               {"MS", "ms"},          {"STATUS", "status_code"},
                                               {"ERROR", "error"},    {NULL, NULL}};

int ctl_deliveries_list(ctl_t *ctl)
{
    const char *path = "/deliveries", *from, *to;
    int status = ctl_page(ctl, &path);

    if (status == CTL_DONE) {
        status = ctl_time(ctl, CTL_FROM, &from);
    }
    if (status == CTL_DONE) {
        status = ctl_time(ctl, CTL_TO, &to);
    }
    if (status != CTL_DONE) {
        return status;
    }
    path = ctl_query(ctl, path, "subscription", ctl_option(ctl, CTL_SUBSCRIPTION));
    path = ctl_query(ctl, path, "state", ctl_option(ctl, CTL_STATE));
    path = ctl_query(ctl, path, "status", ctl_option(ctl, CTL_STATUS));
    path = ctl_query(ctl, path, "event", ctl_option(ctl, CTL_EVENT));
    path = ctl_query(ctl, ctl_query(ctl, path, "from", from), "to", to);
    return ctl_list(ctl, path, columns, NULL);
}

/** Print the target's response to each attempt that got one. */
static void print_answers(ctl_t *ctl, struct json_object *attempts)
{
    for (apr_size_t i = 0; i < json_object_array_length(attempts); i++) {
        struct json_object *attempt = json_object_array_get_idx(attempts, i), *answer;

        if (json_object_object_get_ex(attempt, "answer", &answer) && answer &&
            json_object_get_string_len(answer) > 0) {
            printf("answer to attempt %s  %s\n", ctl_text(ctl->pool, attempt, "number"),
                   ctl_text(ctl->pool, attempt, "answer"));
        }
    }
}

void ctl_print_delivery(ctl_t *ctl, struct json_object *delivery)
{
    static const char *const except[] = {"payload", "attempts", NULL};
    struct json_object *payload, *attempts;

    ctl_print_members(ctl, delivery, 0, except);
    if (json_object_object_get_ex(delivery, "payload", &payload)) {
        puts("payload");
        ctl_print_pretty(ctl, payload, 2);
    }
    if (json_object_object_get_ex(delivery, "attempts", &attempts) &&
        json_object_is_type(attempts, json_type_array) && json_object_array_length(attempts) > 0) {
        ctl_print_table(ctl, attempts, attempt_columns);
        print_answers(ctl, attempts);
    }
}

int ctl_deliveries_show(ctl_t *ctl)
{
    return ctl_show(ctl, ctl_path(ctl, "deliveries", ctl_argument(ctl, 0), NULL),
                    ctl_print_delivery);
}

/** Try all of them; the exit status is the worst one. */
int ctl_redeliver(ctl_t *ctl)
{
    int worst = CTL_DONE;

    for (int i = 0; i < ctl->arguments->nelts; i++) {
        const char *id = ctl_argument(ctl, i);
        ctl_answer_t answer;
        int status =
            ctl_call(ctl, "POST", ctl_path(ctl, "deliveries", id, "redeliver"), NULL, &answer);

        if (status == CTL_USAGE) {
            return status;
        }
        if (status != CTL_DONE) {
            worst = ctl_fail(ctl, "%s is not sent again", id);
        } else if (ctl_has(ctl, CTL_JSON)) {
            ctl_print_raw(ctl, answer.body);
        } else {
            printf("%s  %s, attempt %" APR_INT64_T_FMT " follows now\n",
                   ctl_text(ctl->pool, answer.json, "id"),
                   ctl_text(ctl->pool, answer.json, "state"),
                   apr_atoi64(ctl_text(ctl->pool, answer.json, "attempt_count")) + 1);
        }
    }
    return worst;
}

int ctl_replay(ctl_t *ctl)
{
    struct json_object *body = rh_json_own(ctl->pool, json_object_new_object());
    const char *state = ctl_option(ctl, CTL_STATE), *from, *to;
    bool dry = ctl_has(ctl, CTL_DRY_RUN);
    ctl_answer_t answer;
    int status = ctl_time(ctl, CTL_FROM, &from);

    if (status == CTL_DONE) {
        status = ctl_time(ctl, CTL_TO, &to);
    }
    if (status == CTL_DONE && !from) {
        status = ctl_misuse(ctl, "since when? --from 2026-01-31T08:00:00Z, or --from 2h");
    }
    if (status != CTL_DONE) {
        return status;
    }
    json_object_object_add(body, "from", json_object_new_string(from));
    if (to) {
        json_object_object_add(body, "to", json_object_new_string(to));
    }
    json_object_object_add(body, "state", json_object_new_string(state ? state : "failed"));
    if (dry) {
        json_object_object_add(body, "dry_run", json_object_new_boolean(1));
    }
    status = ctl_call(ctl, "POST", ctl_path(ctl, "subscriptions", ctl_argument(ctl, 0), "replay"),
                      body, &answer);
    if (status == CTL_DONE && ctl_has(ctl, CTL_JSON)) {
        ctl_print_raw(ctl, answer.body);
    } else if (status == CTL_DONE) {
        printf("%s %s\n", ctl_text(ctl->pool, answer.json, dry ? "matching" : "queued"),
               dry ? "would be queued" : "queued");
    }
    return status;
}
