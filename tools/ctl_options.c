/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The options, how a command line is read, and the text of --help. */
#include "ctl.h"

#include "rh_format.h"
#include "rh_signature.h"
#include "rh_time.h"
#include "rh_uuid.h"

#include <stdlib.h>

typedef struct option_t {
    const char *name;
    const char *value;   /**< name of the value in the synopsis; NULL: the option has no value */
    bool repeated;       /**< may be given several times */
    const char *summary; /**< NULL: names of the formats */
} option_t;

static const option_t options[CTL_OPTIONS] = {
    [CTL_URL] = {"url", "URL", false, "where the API is: https://host/hooks"},
    [CTL_USER] = {"user", "NAME[:PASSWORD]", false, "log in; without a password it is asked for"},
    [CTL_HEADER] = {"header", "FIELD", true, "send this too: \"Name: value\""},
    [CTL_TENANT] = {"tenant", "NAME", false, "act for this tenant (administrators, publishers)"},
    [CTL_CACERT] = {"cacert", "FILE", false, "trust these CAs (PEM), not the system's"},
    [CTL_TIMEOUT] = {"timeout", "TIME", false,
                     "give up after this time (default 30s; listen: never)"},
    [CTL_JSON] = {"json", NULL, false, "print JSON"},
    [CTL_LIMIT] = {"limit", "N", false, "maximum number of results: 1-500 (default 50)"},
    [CTL_BEFORE] = {"before", "ID", false, "only those older than this one"},
    [CTL_ACTIVE] = {"active", "true|false", false, "only active ones, or only the others"},
    [CTL_SUBSCRIPTION] = {"subscription", "ID", false, "only of this subscription"},
    [CTL_STATE] = {"state", "STATE", false,
                   "pending, delivered, failed, cancelled; replay: failed (default) or any"},
    [CTL_STATUS] = {"status", "CODE", false, "last response: 404, 5xx, or none"},
    [CTL_EVENT] = {"event", "TYPE", true, "of this event type; create: also employee.* or *"},
    [CTL_TYPE] = {"type", "TYPE", false, "of this event type"},
    [CTL_FROM] = {"from", "TIME", false, "since: RFC 3339, or 2h for two hours ago"},
    [CTL_TO] = {"to", "TIME", false, "until, likewise"},
    [CTL_DRY_RUN] = {"dry-run", NULL, false, "only print how many would be sent"},
    [CTL_DESCRIPTION] = {"description", "TEXT", false, "what it is for"},
    [CTL_FORMAT] = {"format", "FORMAT", false, NULL},
    [CTL_ORDERED] = {"ordered", NULL, false, "events of one key one after the other"},
    [CTL_OVERLAP] = {"overlap", "TIME", false, "how long the old secret still signs (24h)"},
    [CTL_SECRET] = {"secret", "SECRET", true, "whsec_…; verify, listen: repeat to accept any"},
    [CTL_KEY] = {"key", "KEY", false, "the resource that the event is about"},
    [CTL_ID] = {"id", "ID", false, "idempotency key: publishing it again does nothing"},
    [CTL_TIME] = {"time", "TIME", false, "when it happened: RFC 3339, or 2h for two hours ago"},
    [CTL_TOLERANCE] = {"tolerance", "TIME", false, "maximum age (default 5m; never: any age)"},
    [CTL_PORT] = {"port", "N", false, "port on 127.0.0.1 (default 8090; 0: a free one)"},
    [CTL_FAIL] = {"fail", "STATUS", false, "respond with this, not 200: 500, 410, …"},
    [CTL_DELAY] = {"delay", "TIME", false, "wait before each response"},
    [CTL_SAVE] = {"save", "DIR", false, "write files there: requests; samples and schemas"},
    [CTL_COUNT] = {"count", "N", false, "exit after this many requests"},
    [CTL_DB] = {"db", "DRIVER:PARAMS", false, "pgsql:conninfo, or sqlite3:/path/of/file"},
    [CTL_PLAN] = {"plan", NULL, false, "print what would be done, and change nothing"},
    [CTL_PATHS] = {"paths", NULL, false, "print where the nodes are, not what they hold"},
    [CTL_PREFIX] = {"prefix", "PATH", false, "before every path, as httpd sees it: /v1"},
    [CTL_OBSERVE] = {"observe", NULL, false, "rules that only record what they would capture"},
    [CTL_HELP] = {"help", NULL, true, "print this"},
    [CTL_VERSION] = {"version", NULL, true, "print the version"},
};

/* ---- the command line ---- */

static int find_option(const char *name, apr_size_t len)
{
    for (int i = 0; i < CTL_OPTIONS; i++) {
        if (strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0) {
            return i;
        }
    }
    return -1;
}

static int read_option(ctl_t *ctl, int argc, const char *const *argv, int *at)
{
    const char *name = argv[*at] + 2, *equals = strchr(name, '='), *value = NULL;
    int option = find_option(name, equals ? (apr_size_t)(equals - name) : strlen(name));

    if (strcmp(argv[*at], "-h") == 0) {
        option = CTL_HELP;
    } else if (argv[*at][1] != '-' || option < 0) {
        return ctl_misuse(ctl, "unknown option %s", argv[*at]);
    }
    if (options[option].value) {
        value = equals                                                   ? equals + 1
                : *at + 1 < argc && strncmp(argv[*at + 1], "--", 2) != 0 ? argv[++*at]
                                                                         : NULL;
        if (!value) {
            return ctl_misuse(ctl, "--%s needs a value: %s", options[option].name,
                              options[option].value);
        }
    } else if (equals) {
        return ctl_misuse(ctl, "--%s takes no value", options[option].name);
    }
    if (!ctl->given[option]) {
        ctl->given[option] = apr_array_make(ctl->pool, 1, sizeof(const char *));
    } else if (!options[option].repeated) {
        return ctl_misuse(ctl, "--%s is given twice", options[option].name);
    }
    APR_ARRAY_PUSH(ctl->given[option], const char *) = value ? value : "";
    return CTL_DONE;
}

/**
 * Return how many of the words name this command: 2, 1, or 0. A group's name alone means its list.
 */
static int match(ctl_t *ctl, const ctl_command_t *command)
{
    const apr_array_header_t *words = ctl->arguments;
    const char *first = words->nelts > 0 ? ctl_argument(ctl, 0) : "", *second;

    if (strcmp(command->name, first) == 0) {
        return 1;
    }
    second = strchr(command->name, ' ');
    if (!second || strlen(first) != (apr_size_t)(second - command->name) ||
        memcmp(first, command->name, strlen(first)) != 0) {
        return 0;
    }
    if (words->nelts > 1) {
        return strcmp(second + 1, ctl_argument(ctl, 1)) == 0 ? 2 : 0;
    }
    return strcmp(second + 1, "list") == 0 ? 1 : 0;
}

/** Return a group's commands as "a, b, c"; NULL if the group does not exist. */
static const char *members_of_group(ctl_t *ctl, const char *group)
{
    const char *members = NULL;
    apr_size_t len = strlen(group);

    for (const ctl_command_t *command = ctl->commands; command->name; command++) {
        if (strncmp(command->name, group, len) == 0 && command->name[len] == ' ') {
            members = members ? apr_pstrcat(ctl->pool, members, ", ", command->name, NULL)
                              : command->name;
        }
    }
    return members;
}

static int find_command(ctl_t *ctl)
{
    const char *first, *members;

    if (ctl->arguments->nelts == 0) {
        return ctl_has(ctl, CTL_HELP) || ctl_has(ctl, CTL_VERSION)
                   ? CTL_DONE
                   : ctl_misuse(ctl, "which command?");
    }
    first = ctl_argument(ctl, 0);
    for (const ctl_command_t *command = ctl->commands; command->name; command++) {
        int words = match(ctl, command);

        if (words) {
            ctl->command = command;
            ctl->arguments->elts += words * ctl->arguments->elt_size;
            ctl->arguments->nelts -= words;
            return CTL_DONE;
        }
    }
    members = members_of_group(ctl, first);
    if (members) {
        return ctl_misuse(ctl, "%s: which of %s?", first, members);
    }
    return ctl_misuse(ctl, "unknown command %s", first);
}

static int check_command(ctl_t *ctl)
{
    const ctl_command_t *command = ctl->command;

    for (int i = 0; i < CTL_HELP; i++) {
        if (ctl->given[i] && !(command->options & (UINT64_C(1) << i))) {
            return ctl_misuse(ctl, "%s has no option --%s", command->name, options[i].name);
        }
    }
    /* Only a command that subscribes, which has --format, takes several. */
    if (ctl->given[CTL_EVENT] && ctl->given[CTL_EVENT]->nelts > 1 &&
        !(command->options & (UINT64_C(1) << CTL_FORMAT))) {
        return ctl_misuse(ctl, "--event is given twice");
    }
    if (ctl->arguments->nelts < command->least) {
        return ctl_misuse(ctl, "%s needs %s", command->name, command->arguments);
    }
    if (ctl->arguments->nelts > command->most) {
        return ctl_misuse(ctl, "%s: what is %s?", command->name, ctl_argument(ctl, command->most));
    }
    return CTL_DONE;
}

/** Ids are checked here, because any other text could lead to another path. */
static int check_ids(ctl_t *ctl)
{
    const char *arguments = ctl->command->arguments;

    if (strncmp(arguments, "ID", 2) != 0 && strcmp(arguments, "SUBSCRIPTION") != 0) {
        return CTL_DONE;
    }
    for (int i = 0; i < ctl->arguments->nelts; i++) {
        const char *id = ctl_argument(ctl, i);

        if (!rh_uuid_valid(id, strlen(id))) {
            return ctl_misuse(ctl, "%s is not an id, such as 019ab3bf-11aa-7e01-8d30-5b6a0a7a2f6c",
                              id);
        }
    }
    return CTL_DONE;
}

int ctl_read_arguments(ctl_t *ctl, int argc, const char *const *argv)
{
    bool words_only = false;
    int status = CTL_DONE;

    ctl->arguments = apr_array_make(ctl->pool, 4, sizeof(const char *));
    for (int i = 1; i < argc && status == CTL_DONE; i++) {
        if (!words_only && strcmp(argv[i], "--") == 0) {
            words_only = true;
        } else if (!words_only && argv[i][0] == '-' && argv[i][1]) {
            status = read_option(ctl, argc, argv, &i);
        } else {
            APR_ARRAY_PUSH(ctl->arguments, const char *) = argv[i];
        }
    }
    if (status == CTL_DONE) {
        status = find_command(ctl);
    }
    if (status == CTL_DONE && ctl->command && !ctl_has(ctl, CTL_HELP)) {
        status = check_command(ctl);
        status = status == CTL_DONE ? check_ids(ctl) : status;
    }
    return status;
}

/* ---- help ---- */

/** Return "array (default), envelope, …". */
static const char *list_formats(apr_pool_t *pool)
{
    const char *first = rh_format_name((rh_format_t)0);

    return apr_pstrcat(pool, first, " (default)", rh_format_names(pool) + strlen(first), NULL);
}

static void print_options(ctl_t *ctl, apr_uint64_t which)
{
    for (int i = 0; i < CTL_OPTIONS; i++) {
        if (which & (UINT64_C(1) << i)) {
            const char *value = options[i].value;

            printf("  %-25s %s\n",
                   apr_pstrcat(ctl->pool, "--", options[i].name, value ? " " : "",
                               value ? value : "", NULL),
                   options[i].summary ? options[i].summary : list_formats(ctl->pool));
        }
    }
}

void ctl_help(ctl_t *ctl)
{
    const ctl_command_t *command = ctl->command;

    if (command) {
        printf("usage: resthooksctl %s [options]%s%s\n\n%s\n\n", command->name,
               *command->arguments ? " " : "", command->arguments, command->summary);
        print_options(ctl, command->options | UINT64_C(1) << CTL_HELP);
        return;
    }
    puts("usage: resthooksctl command [options]\n\n"
         "Looks after mod_resthooks: over its API, or its database.\n");
    for (command = ctl->commands; command->name; command++) {
        printf("  %-33s %s\n", apr_pstrcat(ctl->pool, command->name, " ", command->arguments, NULL),
               command->summary);
    }
    puts("\n  --version   print the version\n"
         "  --help      print this; behind a command, its options\n\n"
         "Environment: RESTHOOKSCTL_URL, RESTHOOKSCTL_USER, RESTHOOKSCTL_PASSWORD,\n"
         "RESTHOOKSCTL_SECRET, RESTHOOKSCTL_DB. See resthooksctl(1).");
}

/* ---- values ---- */

const char *ctl_option(const ctl_t *ctl, ctl_option_t option)
{
    const apr_array_header_t *given = ctl->given[option];

    return given ? APR_ARRAY_IDX(given, given->nelts - 1, const char *) : NULL;
}

int ctl_duration(ctl_t *ctl, ctl_option_t option, apr_interval_time_t none, bool allow_never,
                 apr_interval_time_t *duration)
{
    const char *text = ctl_option(ctl, option);

    *duration = none;
    if (text && rh_duration_parse(text, strlen(text), allow_never, duration) != APR_SUCCESS) {
        return ctl_misuse(ctl, "--%s %s: must be a time such as 500ms, 2s, 5m, 24h%s",
                          options[option].name, text, allow_never ? ", or never" : "");
    }
    return CTL_DONE;
}

int ctl_number(ctl_t *ctl, ctl_option_t option, int none, int least, int most, int *number)
{
    const char *text = ctl_option(ctl, option);
    apr_size_t len = text ? strlen(text) : 0;

    *number = none;
    if (!text) {
        return CTL_DONE;
    }
    *number = len && len < 8 && strspn(text, "0123456789") == len ? atoi(text) : -1;
    if (*number < least || *number > most) {
        return ctl_misuse(ctl, "--%s %s: must be a number, %d-%d", options[option].name, text,
                          least, most);
    }
    return CTL_DONE;
}

int ctl_time(ctl_t *ctl, ctl_option_t option, const char **text)
{
    const char *given = ctl_option(ctl, option);
    apr_interval_time_t ago;
    apr_time_t time;

    *text = NULL;
    if (!given) {
        return CTL_DONE;
    }
    if (rh_time_parse(given, strlen(given), &time) == APR_SUCCESS) {
        *text = rh_time_format(ctl->pool, time);
        return CTL_DONE;
    }
    if (rh_duration_parse(given, strlen(given), false, &ago) == APR_SUCCESS) {
        *text = rh_time_format(ctl->pool, apr_time_now() - ago);
        return CTL_DONE;
    }
    return ctl_misuse(ctl,
                      "--%s %s: must be a time such as 2026-01-31T08:00:00Z, or 2h for two "
                      "hours ago",
                      options[option].name, given);
}

int ctl_secrets(ctl_t *ctl, apr_array_header_t **secrets)
{
    const char *variable = getenv("RESTHOOKSCTL_SECRET");

    *secrets = ctl->given[CTL_SECRET];
    if (!*secrets) {
        *secrets = apr_array_make(ctl->pool, 1, sizeof(const char *));
        if (variable && *variable) {
            APR_ARRAY_PUSH(*secrets, const char *) = variable;
        }
    }
    for (int i = 0; i < (*secrets)->nelts; i++) {
        if (!rh_secret_valid(APR_ARRAY_IDX(*secrets, i, const char *))) {
            return ctl_misuse(ctl, "a secret must be whsec_ and the base64 of 24-64 bytes");
        }
    }
    return CTL_DONE;
}
