/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* subscriptions …: list, show, create, pause, revive, delete, test, secret, rotate,
 * end-overlap. */
#include "ctl.h"

static const ctl_column_t columns[] = {{"ID", "id"},
                                       {"STATE", "state"},
                                       {"DELIVERED", "stats.delivered"},
                                       {"FAILED", "stats.failed"},
                                       {"PENDING", "stats.pending"},
                                       {"LAST", "stats.last_status_code"},
                                       {"EVENTS", "events"},
                                       {"TARGET", "target_url"},
                                       {NULL, NULL}};

int ctl_subscriptions_list(ctl_t *ctl)
{
    const char *path = "/subscriptions";
    int status = ctl_page(ctl, &path);

    if (status != CTL_DONE) {
        return status;
    }
    path = ctl_query(ctl, path, "event", ctl_option(ctl, CTL_EVENT));
    path = ctl_query(ctl, path, "active", ctl_option(ctl, CTL_ACTIVE));
    return ctl_list(ctl, path, columns, NULL);
}

int ctl_subscriptions_show(ctl_t *ctl)
{
    return ctl_show(ctl, ctl_path(ctl, "subscriptions", ctl_argument(ctl, 0), NULL), NULL);
}

/** Make a request, and print the object in the response. */
static int change(ctl_t *ctl, const char *method, const char *path, struct json_object *body)
{
    ctl_answer_t answer;
    int status = ctl_call(ctl, method, path, body, &answer);

    if (status != CTL_DONE) {
        return status;
    }
    if (!answer.json) {
        puts("done");
    } else if (ctl_has(ctl, CTL_JSON)) {
        ctl_print_raw(ctl, answer.body);
    } else {
        ctl_print_members(ctl, answer.json, 0, NULL);
    }
    return CTL_DONE;
}

static struct json_object *new_object(ctl_t *ctl)
{
    return rh_json_own(ctl->pool, json_object_new_object());
}

static void add_text(struct json_object *body, const char *name, const char *value)
{
    if (value) {
        json_object_object_add(body, name, json_object_new_string(value));
    }
}

int ctl_subscriptions_create(ctl_t *ctl)
{
    const apr_array_header_t *events = ctl->given[CTL_EVENT];
    struct json_object *body = new_object(ctl), *list = json_object_new_array();
    apr_array_header_t *secrets;

    add_text(body, "target_url", ctl_argument(ctl, 0));
    json_object_object_add(body, "events", list);
    if (!events) {
        return ctl_misuse(ctl, "which events? --event employee.created, --event 'employee.*'");
    }
    for (int i = 0; i < events->nelts; i++) {
        json_object_array_add(list, json_object_new_string(APR_ARRAY_IDX(events, i, const char *)));
    }
    add_text(body, "description", ctl_option(ctl, CTL_DESCRIPTION));
    add_text(body, "format", ctl_option(ctl, CTL_FORMAT));
    if (ctl_has(ctl, CTL_ORDERED)) {
        json_object_object_add(body, "ordered", json_object_new_boolean(1));
    }
    if (ctl_has(ctl, CTL_SECRET)) {
        int status = ctl_secrets(ctl, &secrets);

        if (status != CTL_DONE) {
            return status;
        }
        if (secrets->nelts > 1) {
            return ctl_misuse(ctl, "a subscription has one secret");
        }
        add_text(body, "secret", ctl_option(ctl, CTL_SECRET));
    }
    return change(ctl, "POST", "/subscriptions", body);
}

static int set_active(ctl_t *ctl, bool active)
{
    struct json_object *body = new_object(ctl);

    json_object_object_add(body, "active", json_object_new_boolean(active));
    return change(ctl, "PATCH", ctl_path(ctl, "subscriptions", ctl_argument(ctl, 0), NULL), body);
}

int ctl_subscriptions_pause(ctl_t *ctl)
{
    return set_active(ctl, false);
}

int ctl_subscriptions_revive(ctl_t *ctl)
{
    return set_active(ctl, true);
}

int ctl_subscriptions_delete(ctl_t *ctl)
{
    return change(ctl, "DELETE", ctl_path(ctl, "subscriptions", ctl_argument(ctl, 0), NULL), NULL);
}

int ctl_subscriptions_test(ctl_t *ctl)
{
    struct json_object *body = new_object(ctl);
    ctl_answer_t answer;
    int status;

    add_text(body, "type", ctl_option(ctl, CTL_TYPE));
    status = ctl_call(ctl, "POST", ctl_path(ctl, "subscriptions", ctl_argument(ctl, 0), "test"),
                      body, &answer);
    if (status == CTL_DONE && ctl_has(ctl, CTL_JSON)) {
        ctl_print_raw(ctl, answer.body);
    } else if (status == CTL_DONE) {
        ctl_print_delivery(ctl, answer.json);
    }
    return status;
}

int ctl_subscriptions_secret(ctl_t *ctl)
{
    return ctl_show(ctl, ctl_path(ctl, "subscriptions", ctl_argument(ctl, 0), "secret"), NULL);
}

int ctl_subscriptions_rotate(ctl_t *ctl)
{
    struct json_object *body = new_object(ctl);

    add_text(body, "overlap", ctl_option(ctl, CTL_OVERLAP));
    return change(ctl, "POST",
                  ctl_path(ctl, "subscriptions", ctl_argument(ctl, 0), "secret/rotate"), body);
}

int ctl_subscriptions_end_overlap(ctl_t *ctl)
{
    return change(ctl, "DELETE", ctl_path(ctl, "subscriptions", ctl_argument(ctl, 0), "secret/old"),
                  NULL);
}
