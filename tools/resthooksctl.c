/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* resthooksctl: the table of commands, and the start and end of a run. */
#include "ctl.h"

#include <apr_general.h>
#include <signal.h>
#include <stdlib.h>

#define BIT(option) (UINT64_C(1) << (option))
/** Options of every command that makes requests to the API. */
#define API                                                                                        \
    (BIT(CTL_URL) | BIT(CTL_USER) | BIT(CTL_HEADER) | BIT(CTL_TENANT) | BIT(CTL_CACERT) |          \
     BIT(CTL_TIMEOUT) | BIT(CTL_JSON))
#define PAGE (BIT(CTL_LIMIT) | BIT(CTL_BEFORE))
#define RANGE (BIT(CTL_FROM) | BIT(CTL_TO))

static const ctl_command_t commands[] = {
    {"subscriptions list", "", 0, 0, API | PAGE | BIT(CTL_EVENT) | BIT(CTL_ACTIVE),
     "list subscriptions, newest first", ctl_subscriptions_list},
    {"subscriptions show", "ID", 1, 1, API, "show one", ctl_subscriptions_show},
    {"subscriptions create", "TARGET-URL", 1, 1,
     API | BIT(CTL_EVENT) | BIT(CTL_DESCRIPTION) | BIT(CTL_FORMAT) | BIT(CTL_ORDERED) |
         BIT(CTL_SECRET),
     "subscribe, and show the secret", ctl_subscriptions_create},
    {"subscriptions pause", "ID", 1, 1, API, "send it nothing", ctl_subscriptions_pause},
    {"subscriptions revive", "ID", 1, 1, API, "send to it again, whatever stopped it",
     ctl_subscriptions_revive},
    {"subscriptions delete", "ID", 1, 1, API, "unsubscribe", ctl_subscriptions_delete},
    {"subscriptions test", "ID", 1, 1, API | BIT(CTL_TYPE), "deliver a sample now",
     ctl_subscriptions_test},
    {"subscriptions secret", "ID", 1, 1, API, "show the secret", ctl_subscriptions_secret},
    {"subscriptions rotate", "ID", 1, 1, API | BIT(CTL_OVERLAP), "make a new secret",
     ctl_subscriptions_rotate},
    {"subscriptions end-overlap", "ID", 1, 1, API, "let the new secret alone sign",
     ctl_subscriptions_end_overlap},
    {"deliveries list", "", 0, 0,
     API | PAGE | RANGE | BIT(CTL_SUBSCRIPTION) | BIT(CTL_STATE) | BIT(CTL_STATUS) | BIT(CTL_EVENT),
     "list deliveries, newest first", ctl_deliveries_list},
    {"deliveries show", "ID", 1, 1, API, "show one with its payload and attempts",
     ctl_deliveries_show},
    {"redeliver", "ID...", 1, 1000, API, "send deliveries again, now", ctl_redeliver},
    {"replay", "SUBSCRIPTION", 1, 1, API | RANGE | BIT(CTL_STATE) | BIT(CTL_DRY_RUN),
     "send what happened in a range of time again", ctl_replay},
    {"events list", "", 0, 0, API | PAGE | RANGE | BIT(CTL_TYPE), "list events, newest first",
     ctl_events_list},
    {"events show", "ID", 1, 1, API, "show one with its deliveries", ctl_events_show},
    {"event-types", "", 0, 0, API, "list the types that there are", ctl_event_types},
    {"publish", "TYPE DATA", 2, 2, API | BIT(CTL_KEY) | BIT(CTL_ID) | BIT(CTL_TIME),
     "publish an event: JSON, @FILE, or - for stdin", ctl_publish},
    {"health", "", 0, 0, API, "say whether all is well", ctl_health},
    {"listen", "", 0, 0,
     BIT(CTL_PORT) | BIT(CTL_SECRET) | BIT(CTL_TOLERANCE) | BIT(CTL_FAIL) | BIT(CTL_DELAY) |
         BIT(CTL_SAVE) | BIT(CTL_COUNT) | BIT(CTL_TIMEOUT) | BIT(CTL_JSON),
     "receive POSTs on loopback, print and verify them", ctl_listen},
    {"verify", "FILE", 1, 1, BIT(CTL_SECRET) | BIT(CTL_TOLERANCE) | BIT(CTL_JSON),
     "check the signature of a saved request", ctl_verify},
    {"query", "QUERY FILE", 1, 2, BIT(CTL_PATHS),
     "print what a JSONPath query selects of a file or stdin", ctl_query_json},
    {"rules", "OPENAPI-FILE", 1, 1, BIT(CTL_PREFIX) | BIT(CTL_OBSERVE) | BIT(CTL_SAVE),
     "print capture rules for an API by its description", ctl_rules_print},
    {"schema check", "", 0, 0, BIT(CTL_DB), "say whether the database's tables fit",
     ctl_schema_check},
    {"schema upgrade", "", 0, 0, BIT(CTL_DB) | BIT(CTL_PLAN), "make or upgrade them",
     ctl_schema_upgrade},
    {"schema print", "pgsql|sqlite3", 1, 1, 0, "print their SQL", ctl_schema_print},
    {"spool list", "DIR", 1, 1, BIT(CTL_JSON), "list the files of a spool", ctl_spool_list},
    {"spool show", "FILE", 1, 1, 0, "print the events of a file, one JSON object per line",
     ctl_spool_show},
    {"spool retry", "FILE...", 1, 1000, 0, "let httpd take refused or damaged files again",
     ctl_spool_retry},
    {"spool drop", "FILE...", 1, 1000, 0, "remove files, with their events", ctl_spool_drop},
    {NULL, NULL, 0, 0, 0, NULL, NULL}};

static int run_command(ctl_t *ctl, int argc, const char *const *argv)
{
    int status = ctl_read_arguments(ctl, argc, argv);

    if (status != CTL_DONE) {
        return status;
    }
    if (ctl_has(ctl, CTL_HELP)) {
        ctl_help(ctl);
        return CTL_DONE;
    }
    if (ctl_has(ctl, CTL_VERSION)) {
        puts("resthooksctl " RH_VERSION);
        return CTL_DONE;
    }
    return ctl->command->run(ctl);
}

int main(int argc, const char *const *argv)
{
    ctl_t ctl;
    int status;

    /* Writing to a closed connection must be an error that can be reported, not the end. */
    signal(SIGPIPE, SIG_IGN);
    if (apr_initialize() != APR_SUCCESS) {
        fputs("resthooksctl: APR can't be set up\n", stderr);
        return CTL_FAILED;
    }
    atexit(apr_terminate);
    memset(&ctl, 0, sizeof(ctl));
    ctl.commands = commands;
    apr_pool_create(&ctl.pool, NULL);
    status = run_command(&ctl, argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("resthooksctl: the output can't be written\n", stderr);
        status = status == CTL_DONE ? CTL_FAILED : status;
    }
    apr_pool_destroy(ctl.pool);
    return status;
}
