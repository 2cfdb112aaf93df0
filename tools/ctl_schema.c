/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* schema check, upgrade, print: work on the database directly, for sites where httpd must not. */
#include "ctl.h"

#include "rh_schema.h"

#include <stdlib.h>
#include <unistd.h>

/** Messages of the store while it connected and set up its tables. */
typedef struct account_t {
    ctl_t *ctl;
    const char *made;   /**< changes to the tables; NULL: none */
    const char *reason; /**< why the connection failed; NULL: no message */
} account_t;

static void write_log(void *baton, rh_log_level_t level, apr_status_t status, const char *tag,
                      const char *message)
{
    account_t *account = baton;

    (void)level;
    (void)status;
    if (strcmp(tag, "RH0101") == 0) {
        account->made = apr_pstrdup(account->ctl->pool, message);
    } else if (strcmp(tag, "RH0115") == 0) {
        /* The message promises to try again, as httpd would. */
        const char *colon = strstr(message, ": ");

        account->reason = apr_pstrdup(account->ctl->pool, colon ? colon + 2 : message);
    } else {
        (void)ctl_fail(account->ctl, "%s", message);
    }
}

/** Return "--db pgsql:conninfo, …": how to name a database of each kind. */
static const char *list_examples(ctl_t *ctl)
{
    const char *list = "";

    for (const rh_dialect_t *const *each = rh_dialects; *each; each++) {
        list = apr_pstrcat(ctl->pool, list, "--db ", (*each)->driver, ":", (*each)->params_example,
                           ", ", NULL);
    }
    return list;
}

/** Split DRIVER:PARAMS. */
static int read_db(ctl_t *ctl, const rh_dialect_t **dialect, const char **params)
{
    const char *db = ctl_option(ctl, CTL_DB), *colon;

    if (!db) {
        db = getenv("RESTHOOKSCTL_DB");
    }
    if (!db || !*db) {
        return ctl_misuse(ctl, "which database? %sor RESTHOOKSCTL_DB", list_examples(ctl));
    }
    colon = strchr(db, ':');
    *dialect =
        rh_dialect_find(colon ? apr_pstrmemdup(ctl->pool, db, (apr_size_t)(colon - db)) : "");
    *params = colon ? colon + 1 : "";
    if (!*dialect) {
        return ctl_misuse(ctl, "--db must begin with %s:", rh_dialect_drivers(ctl->pool, ": or "));
    }
    if (!**params) {
        return ctl_misuse(ctl, "--db %s: must be followed by %s", (*dialect)->driver,
                          (*dialect)->params_noun);
    }
    return CTL_DONE;
}

/** Print warnings about a database file before it is opened, which would create it. */
static int look_at_file(ctl_t *ctl, const char *file, bool upgrade)
{
    if (access(file, F_OK) == 0) {
        return CTL_DONE;
    }
    if (!upgrade) {
        return ctl_fail(ctl, "no such file: %s", file);
    }
    if (geteuid() == 0) {
        fprintf(stderr,
                "resthooksctl: note: %s is made as root: httpd's user must be able to write to "
                "it, and to its folder\n",
                ctl_safe(ctl->pool, file, strlen(file), false));
    }
    return CTL_DONE;
}

/** Print the steps of an upgrade, and for how long the tables would be locked. */
static void print_plan(const rh_schema_plan_t *plan)
{
    static const char *const phases[] = {
        "First, while all hosts work:", "Then, with the tables locked:",
        "Afterwards, in chunks, while all hosts work:"};
    apr_interval_time_t locked = 0;
    int last = -1;

    if (plan->version == 0) {
        printf("The tables do not exist: they would be made, of version %d.\n", RH_SCHEMA_VERSION);
    } else if (plan->version >= RH_SCHEMA_VERSION) {
        printf("The tables are of version %d: nothing would be done.\n", plan->version);
    } else {
        printf("The tables are of version %d: they would be brought to version %d.\n",
               plan->version, RH_SCHEMA_VERSION);
    }
    for (int i = 0; i < plan->steps->nelts; i++) {
        const rh_schema_step_t *step = &APR_ARRAY_IDX(plan->steps, i, rh_schema_step_t);

        if ((int)step->phase != last) {
            printf("%s\n", phases[step->phase]);
            last = (int)step->phase;
        }
        if (step->rows >= 0) {
            printf("  %s [rows: %" APR_INT64_T_FMT "]\n", step->text, step->rows);
        } else {
            printf("  %s\n", step->text);
        }
        locked += step->phase == RH_SCHEMA_SWITCH ? step->duration : 0;
    }
    if (plan->steps->nelts > 0) {
        printf("The tables would be locked for about %.1f s.\n",
               (double)locked / (double)APR_USEC_PER_SEC + 0.1);
    }
    printf("Nothing was changed.\n");
}

static int ensure(ctl_t *ctl, bool upgrade)
{
    account_t account = {ctl, NULL, NULL};
    rh_log_t log = {write_log, &account, RH_LOG_NOTICE};
    bool planned = upgrade && ctl_option(ctl, CTL_PLAN);
    const char *params = "", *problem = NULL;
    const rh_dialect_t *dialect = NULL;
    rh_db_source_t *source;
    apr_status_t made;
    int status = read_db(ctl, &dialect, &params);

    if (status == CTL_DONE && dialect && dialect->file_suffixes) {
        status = look_at_file(ctl, params, upgrade && !planned);
    }
    if (status != CTL_DONE || !dialect) {
        return status;
    }
    /* The store adds no time-out to a conninfo that is a URI. */
    setenv("PGCONNECT_TIMEOUT", "10", 0);
    if (rh_db_source_dedicated(ctl->pool, dialect->driver, params, &log, &source) != APR_SUCCESS) {
        return ctl_fail(ctl, "APR has no driver for %s here (Debian: libaprutil1-dbd-%s)",
                        dialect->driver, dialect->driver);
    }
    if (planned) {
        rh_schema_plan_t plan;

        if (rh_schema_plan(source, ctl->pool, &plan) != APR_SUCCESS) {
            return ctl_fail(ctl, "no connection to the database: %s",
                            account.reason ? account.reason : "it fails");
        }
        print_plan(&plan);
        return CTL_DONE;
    }
    made = rh_schema_ensure(source, upgrade, ctl->pool, &problem);
    if (APR_STATUS_IS_EAGAIN(made) && account.reason) {
        return ctl_fail(ctl, "no connection to the database: %s", account.reason);
    }
    if (made != APR_SUCCESS) {
        return ctl_fail(ctl, "%s", problem);
    }
    if (account.made) {
        printf("%s\n", account.made);
    } else {
        printf("the tables are of version %d, as they should be\n", RH_SCHEMA_VERSION);
    }
    return CTL_DONE;
}

int ctl_schema_check(ctl_t *ctl)
{
    return ensure(ctl, false);
}

int ctl_schema_upgrade(ctl_t *ctl)
{
    return ensure(ctl, true);
}

int ctl_schema_print(ctl_t *ctl)
{
    const char *driver = ctl_argument(ctl, 0);
    const rh_dialect_t *dialect = rh_dialect_find(driver);

    if (!dialect) {
        return ctl_misuse(ctl, "schema print: %s, not %s", rh_dialect_drivers(ctl->pool, " or "),
                          driver);
    }
    fputs(dialect->schema, stdout);
    return CTL_DONE;
}
