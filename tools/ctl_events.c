/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* events …, event-types, publish, health. */
#include "ctl.h"

static const ctl_column_t columns[] = {{"ID", "id"},         {"TIME", "time"},
                                       {"TYPE", "type"},     {"KEY", "key"},
                                       {"SOURCE", "source"}, {"DELIVERIES", "deliveries"},
                                       {NULL, NULL}};

static const ctl_column_t type_columns[] = {
    {"TYPE", "type"}, {"CAPTURED", "captured"}, {"DESCRIPTION", "description"}, {NULL, NULL}};

static const ctl_column_t delivery_columns[] = {{"DELIVERY", "id"},
                                                {"SUBSCRIPTION", "subscription_id"},
                                                {"STATE", "state"},
                                                {"ATTEMPTS", "attempt_count"},
                                                {"LAST", "last_status_code"},
                                                {"TARGET", "target_url"},
                                                {NULL, NULL}};

/** Show an event's deliveries as their number and their states: "3 (2 delivered, 1 failed)". */
static void count_deliveries(ctl_t *ctl, struct json_object *events)
{
    static const char *const states[] = {"delivered", "pending", "failed", "cancelled"};

    for (apr_size_t i = 0; i < json_object_array_length(events); i++) {
        struct json_object *event = json_object_array_get_idx(events, i), *deliveries;
        int count[4] = {0, 0, 0, 0};
        const char *text = NULL;

        if (!json_object_object_get_ex(event, "deliveries", &deliveries) ||
            !json_object_is_type(deliveries, json_type_array)) {
            continue;
        }
        for (apr_size_t j = 0; j < json_object_array_length(deliveries); j++) {
            const char *state =
                ctl_text(ctl->pool, json_object_array_get_idx(deliveries, j), "state");

            for (int k = 0; k < 4; k++) {
                count[k] += strcmp(state, states[k]) == 0;
            }
        }
        for (int k = 0; k < 4; k++) {
            if (count[k]) {
                text = apr_psprintf(ctl->pool, "%s%s%d %s", text ? text : "", text ? ", " : "",
                                    count[k], states[k]);
            }
        }
        if (!text && strcmp(ctl_text(ctl->pool, event, "observed"), "true") == 0) {
            text = "none: only observed";
        }
        json_object_object_add(event, "deliveries", json_object_new_string(text ? text : "none"));
    }
}

int ctl_events_list(ctl_t *ctl)
{
    const char *path = "/events", *from, *to;
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
    path = ctl_query(ctl, path, "type", ctl_option(ctl, CTL_TYPE));
    path = ctl_query(ctl, ctl_query(ctl, path, "from", from), "to", to);
    return ctl_list(ctl, path, columns, count_deliveries);
}

static void print_event(ctl_t *ctl, struct json_object *event)
{
    static const char *const except[] = {"data", "deliveries", NULL};
    struct json_object *data, *deliveries;

    ctl_print_members(ctl, event, 0, except);
    if (json_object_object_get_ex(event, "data", &data)) {
        puts("data");
        ctl_print_pretty(ctl, data, 2);
    }
    if (json_object_object_get_ex(event, "deliveries", &deliveries) &&
        json_object_is_type(deliveries, json_type_array)) {
        if (json_object_array_length(deliveries) == 0) {
            puts(strcmp(ctl_text(ctl->pool, event, "observed"), "true") == 0
                     ? "deliveries  none: its rule only observes"
                     : "deliveries  none: no subscription was active for it");
            return;
        }
        ctl_print_table(ctl, deliveries, delivery_columns);
    }
}

int ctl_events_show(ctl_t *ctl)
{
    return ctl_show(ctl, ctl_path(ctl, "events", ctl_argument(ctl, 0), NULL), print_event);
}

int ctl_event_types(ctl_t *ctl)
{
    return ctl_list(ctl, "/event-types", type_columns, NULL);
}

/** Read the data of an event: JSON, @FILE, or "-". It is sent byte for byte. */
static int read_data(ctl_t *ctl, rh_bytes_t *data)
{
    const char *given = ctl_argument(ctl, 1);
    rh_json_error_t error;
    int status = CTL_DONE;

    if (*given == '@' || strcmp(given, "-") == 0) {
        status = ctl_read_file(ctl, *given == '@' ? given + 1 : given, data);
    } else {
        data->data = given;
        data->len = strlen(given);
    }
    if (status == CTL_DONE && rh_json_check(data->data, data->len, &error) != APR_SUCCESS) {
        status = ctl_misuse(ctl, "the data is not JSON: %s at byte %" APR_SIZE_T_FMT, error.reason,
                            error.offset);
    }
    return status;
}

int ctl_publish(ctl_t *ctl)
{
    struct json_object *body = rh_json_own(ctl->pool, json_object_new_object());
    const char *time;
    ctl_answer_t answer;
    rh_bytes_t data = {NULL, 0};
    int status = read_data(ctl, &data);
    const struct {
        const char *name, *value;
    } texts[] = {{"type", ctl_argument(ctl, 0)},
                 {"id", ctl_option(ctl, CTL_ID)},
                 {"key", ctl_option(ctl, CTL_KEY)},
                 {"tenant", ctl_option(ctl, CTL_TENANT)}};

    if (status == CTL_DONE) {
        status = ctl_time(ctl, CTL_TIME, &time);
    }
    if (status != CTL_DONE) {
        return status;
    }
    for (apr_size_t i = 0; i < RH_COUNT_OF(texts); i++) {
        if (texts[i].value) {
            json_object_object_add(body, texts[i].name, json_object_new_string(texts[i].value));
        }
    }
    if (time) {
        json_object_object_add(body, "time", json_object_new_string(time));
    }
    json_object_object_add(body, "data", rh_json_raw(data.data, data.len));
    status = ctl_call(ctl, "POST", "/events", body, &answer);
    if (status == CTL_DONE && ctl_has(ctl, CTL_JSON)) {
        ctl_print_raw(ctl, answer.body);
    } else if (status == CTL_DONE) {
        puts(ctl_text(ctl->pool, answer.json, "id"));
    }
    return status;
}

/** 503 is a regular response that says what is wrong. */
int ctl_health(ctl_t *ctl)
{
    ctl_answer_t answer;
    struct json_object *checks;
    int status = ctl_ask(ctl, "GET", "/health", NULL, &answer);

    if (status != CTL_DONE) {
        return status;
    }
    if (!json_object_object_get_ex(answer.json, "checks", &checks)) {
        return ctl_refused(ctl, &answer);
    }
    if (ctl_has(ctl, CTL_JSON)) {
        ctl_print_raw(ctl, answer.body);
    } else {
        ctl_print_members(ctl, answer.json, 0, NULL);
    }
    return answer.status == 200 ? CTL_DONE : CTL_FAILED;
}
