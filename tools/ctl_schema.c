/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* schema check, upgrade, print: work on the database itself, for sites where httpd must not. */
#include "ctl.h"

#include "rh_schema.h"

#include <stdlib.h>
#include <unistd.h>

/** What the store logged while it connected and set up its tables. */
typedef struct account_t {
    ctl_t *ctl;
    const char *made;   /**< what was done to the tables; NULL: nothing */
    const char *reason; /**< why the connection failed; NULL: not logged */
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
        /* It promises to try again, which is what httpd would do. */
        const char *colon = strstr(message, ": ");

        account->reason = apr_pstrdup(account->ctl->pool, colon ? colon + 2 : message);
    } else {
        (void)ctl_fail(account->ctl, "%s", message);
    }
}

/** Split DRIVER:PARAMS. */
static int read_db(ctl_t *ctl, const char **driver, const char **params)
{
    const char *db = ctl_option(ctl, CTL_DB), *colon;

    if (!db) {
        db = getenv("RESTHOOKSCTL_DB");
    }
    if (!db || !*db) {
        return ctl_misuse(ctl, "which database? --db pgsql:conninfo, --db sqlite3:/path/of/file, "
                               "or RESTHOOKSCTL_DB");
    }
    colon = strchr(db, ':');
    *driver = colon ? apr_pstrmemdup(ctl->pool, db, (apr_size_t)(colon - db)) : "";
    *params = colon ? colon + 1 : "";
    if (strcmp(*driver, "pgsql") != 0 && strcmp(*driver, "sqlite3") != 0) {
        return ctl_misuse(ctl, "--db must begin with pgsql: or sqlite3:");
    }
    if (!**params) {
        return ctl_misuse(ctl, "--db %s: must be followed by %s", *driver,
                          strcmp(*driver, "pgsql") == 0 ? "a conninfo" : "a file");
    }
    return CTL_DONE;
}

/** What is to be said of an SQLite file before it is opened, which would make it. */
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

static int ensure(ctl_t *ctl, bool upgrade)
{
    account_t account = {ctl, NULL, NULL};
    rh_log_t log = {write_log, &account, RH_LOG_NOTICE};
    const char *driver = "", *params = "", *problem = NULL;
    rh_db_source_t *source;
    apr_status_t made;
    int status = read_db(ctl, &driver, &params);

    if (status == CTL_DONE && strcmp(driver, "sqlite3") == 0) {
        status = look_at_file(ctl, params, upgrade);
    }
    if (status != CTL_DONE) {
        return status;
    }
    /* A conninfo that is a URI gets no time-out from the store. */
    setenv("PGCONNECT_TIMEOUT", "10", 0);
    if (rh_db_source_dedicated(ctl->pool, driver, params, &log, &source) != APR_SUCCESS) {
        return ctl_fail(ctl, "APR has no driver for %s here (Debian: libaprutil1-dbd-%s)", driver,
                        driver);
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
    const char *dialect = ctl_argument(ctl, 0);

    if (strcmp(dialect, "pgsql") != 0 && strcmp(dialect, "sqlite3") != 0) {
        return ctl_misuse(ctl, "schema print: pgsql or sqlite3, not %s", dialect);
    }
    fputs(rh_schema_text(*dialect == 'p' ? RH_DIALECT_PGSQL : RH_DIALECT_SQLITE), stdout);
    return CTL_DONE;
}
