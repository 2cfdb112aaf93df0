/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The meanings of PostgreSQL's errors, by SQLSTATE, which is the same in every language. */
#include "rh_db_private.h"

#include <string.h>

/** A code, or the common beginning of several, and its meaning. The first match counts. */
typedef struct state_t {
    const char *prefix;
    rh_error_t meaning;
} state_t;

static const state_t states[] = {
    {"", RH_ERROR_LOST}, /* matches only "": libpq itself gave up */

    /* The connection or the session. */
    {"08", RH_ERROR_LOST},    /* connection exception; also most of what poolers say */
    {"25006", RH_ERROR_LOST}, /* read-only: a standby. Another connection may find the primary */
    {"25", RH_ERROR_LOST},    /* the session is in a state that the module did not set */
    {"57P", RH_ERROR_LOST},   /* shutdown, crash, start, idle time-outs, dropped database */
    {"28", RH_ERROR_LOST},    /* the login is not valid any more */
    {"3D", RH_ERROR_LOST},    /* the database is gone */
    {"26000", RH_ERROR_FORGOTTEN}, /* the prepared statement does not exist, */
    {"42P05", RH_ERROR_FORGOTTEN}, /* or exists already: it is another session than before */
    {"0A000", RH_ERROR_FORGOTTEN}, /* a cached plan must not change its result type */

    /* Temporary errors. */
    {"40", RH_ERROR_CONFLICT}, /* deadlock, serialization failure */
    {"53", RH_ERROR_PASSING},  /* resources: disk full, memory, connections */
    {"55", RH_ERROR_PASSING},  /* lock not available, object in use */
    {"57", RH_ERROR_PASSING},  /* cancelled: by a person, or by statement_timeout */
    {"58", RH_ERROR_PASSING},  /* input/output and other errors of the system */

    /* Errors about the row. */
    {"23514", RH_ERROR_PARTITION}, /* check violation, which includes a row without a partition */

    /* Errors that a person must repair; until then no row is accepted. */
    {"42", RH_ERROR_FAULTY}, /* tables, columns, functions or rights are missing */
    {"3F", RH_ERROR_FAULTY}, /* the schema is missing */
    {"0A", RH_ERROR_FAULTY}, /* the server does not have the feature */
    {"0L", RH_ERROR_FAULTY}, /* grants */
    {"0P", RH_ERROR_FAULTY}, /* roles */
    {"F0", RH_ERROR_FAULTY}, /* the server's configuration file */

    /* Anything else concerns the data (22, 23, 54), a trigger of the administrator's (P0), a
       damaged table (XX), or is unknown: other rows may be accepted. */
};

void rh_pgsql_find_state(const char *message, char state[RH_SQLSTATE_SIZE])
{
    static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *line = message;

    state[0] = '\0';
    /* Verbose messages begin "SEVERITY:  SQLSTATE: ", in which the severity is translated. */
    while (line && *line) {
        const char *end = strchr(line, '\n'), *at = strstr(line, ":  ");

        if (at && (!end || at < end) && strspn(at + 3, allowed) == RH_SQLSTATE_SIZE - 1 &&
            at[3 + RH_SQLSTATE_SIZE - 1] == ':') {
            memcpy(state, at + 3, RH_SQLSTATE_SIZE - 1);
            state[RH_SQLSTATE_SIZE - 1] = '\0';
            return;
        }
        line = end ? end + 1 : NULL;
    }
}

rh_error_t rh_pgsql_judge_state(const char *state)
{
    for (apr_size_t i = 0; i < RH_COUNT_OF(states); i++) {
        apr_size_t len = strlen(states[i].prefix);

        if (len == 0 ? *state == '\0' : strncmp(state, states[i].prefix, len) == 0) {
            return states[i].meaning;
        }
    }
    return RH_ERROR_REFUSED;
}
