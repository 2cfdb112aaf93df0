/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* What an error of the database means, whatever its language: the tables, and live. */
#include "store_databases.h"

#include "rh_store_open.h"

static rh_log_t quiet;

/* ---- PostgreSQL: codes in messages ---- */

static void test_find_state(void)
{
    static const char *const messages[][2] = {
        {"ERROR:  42P01: relation \"a\" does not exist\nLINE 1: SELECT", "42P01"},
        {"FEHLER:  53100: konnte Datei nicht erweitern: Kein Platz mehr\n", "53100"},
        {"\xd0\x9e\xd0\xa8\xd0\x98\xd0\x91\xd0\x9a\xd0\x90:  40P01: \xd0\xb2\xd0\xb7\xd0\xb0\n",
         "40P01"},
        {"\xe3\x82\xa8\xe3\x83\xa9\xe3\x83\xbc:  0A000: plan", "0A000"},
        {"FATAL:  57P01: terminating connection\nserver closed the connection unexpectedly\n",
         "57P01"},
        {"server closed the connection unexpectedly\n\tThis probably means:  the server\n", ""},
        {"ERROR:  relation \"a\" does not exist\n", ""},
        {"could not receive data from server: Connection refused\n", ""},
        {"ERROR:  4P0: no\n", ""},
        {"", ""}};

    for (apr_size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        char state[RH_SQLSTATE_SIZE];

        rh_pgsql_find_state(messages[i][0], state);
        is(state, messages[i][1], "the code is found in a message of any language");
    }
}

static void test_judge_state(void)
{
    static const struct {
        const char *states;
        rh_error_t meaning;
        const char *name;
    } classes[] = {
        {"08000 08003 08006 08001 08004 08007 08P01", RH_ERROR_LOST, "08 is a lost connection"},
        {"57P01 57P02 57P03 57P04 57P05", RH_ERROR_LOST, "57P0x is a lost connection"},
        {"25006", RH_ERROR_LOST, "a standby is a lost connection"},
        {"25P02 25001 25P03", RH_ERROR_LOST, "a session in a state of its own is lost"},
        {"28000 28P01 3D000", RH_ERROR_LOST, "a login that ended is a lost connection"},
        {"26000 42P05 0A000", RH_ERROR_FORGOTTEN, "a statement that another session has"},
        {"40000 40001 40002 40003 40P01", RH_ERROR_CONFLICT, "40 is a conflict"},
        {"53000 53100 53200 53300 53400", RH_ERROR_PASSING, "53 passes"},
        {"55000 55006 55P02 55P03 55P04", RH_ERROR_PASSING, "55 passes"},
        {"57000 57014", RH_ERROR_PASSING, "57 passes"},
        {"58000 58030 58P01 58P02", RH_ERROR_PASSING, "58 passes"},
        {"23514", RH_ERROR_PARTITION, "a missing partition"},
        {"42501 42P01 42703 42883 42601 3F000 0LP01 0P000 F0000", RH_ERROR_FAULTY,
         "what a person must repair"},
        {"22021 22P05 22P02 22001 23505 23502 54000 P0001 XX000 XX001 21000 ABCDE",
         RH_ERROR_REFUSED, "data, and what is unknown, is refused"}};

    for (apr_size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        bool right = true;

        for (const char *at = classes[i].states; *at; at += 5 + (at[5] == ' ')) {
            char state[RH_SQLSTATE_SIZE];

            apr_cpystrn(state, at, sizeof(state));
            right = right && rh_pgsql_judge_state(state) == classes[i].meaning;
        }
        ok(right, "%s: %s", classes[i].name, classes[i].states);
    }
    ok(rh_pgsql_judge_state("") == RH_ERROR_LOST, "a message without a code is a lost connection");
}

static void test_judge_code(void)
{
    static const struct {
        int code;
        bool preparing;
        rh_error_t meaning;
        const char *name;
    } codes[] = {{5, false, RH_ERROR_PASSING, "BUSY passes"},
                 {5 | (2 << 8), false, RH_ERROR_PASSING, "BUSY_SNAPSHOT passes"},
                 {6, false, RH_ERROR_PASSING, "LOCKED passes"},
                 {7, false, RH_ERROR_PASSING, "NOMEM passes"},
                 {8, false, RH_ERROR_PASSING, "READONLY passes"},
                 {8 | (4 << 8), false, RH_ERROR_LOST, "READONLY_DBMOVED is a lost connection"},
                 {10 | (3 << 8), false, RH_ERROR_PASSING, "IOERR_WRITE passes"},
                 {13, false, RH_ERROR_PASSING, "FULL passes"},
                 {14, false, RH_ERROR_PASSING, "CANTOPEN passes"},
                 {17, false, RH_ERROR_FORGOTTEN, "SCHEMA wants a statement prepared again"},
                 {11, false, RH_ERROR_FAULTY, "CORRUPT waits for a person"},
                 {26, false, RH_ERROR_FAULTY, "NOTADB waits for a person"},
                 {1, true, RH_ERROR_FAULTY, "ERROR in preparing waits for a person"},
                 {1, false, RH_ERROR_REFUSED, "ERROR in running is refused"},
                 {18, false, RH_ERROR_REFUSED, "TOOBIG is refused"},
                 {19 | (8 << 8), false, RH_ERROR_REFUSED, "CONSTRAINT_UNIQUE is refused"}};

    for (apr_size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        ok(rh_sqlite_judge_code(codes[i].code, codes[i].preparing) == codes[i].meaning, "%s",
           codes[i].name);
    }
}

/* ---- live ---- */

/** A statement for each database. */
typedef struct statement_t {
    const char *label, *pgsql, *sqlite;
} statement_t;

static const statement_t raise_statement = {"raise", "SELECT resthooks_raise(%s)", NULL};
static const statement_t missing = {"missing", "SELECT 1 FROM resthooks.nothing",
                                    "SELECT 1 FROM resthooks_nothing"};
static const statement_t insert = {"insert_one",
                                   "INSERT INTO rh_errors VALUES (CAST(%s AS integer))",
                                   "INSERT INTO rh_errors VALUES (CAST(%s AS integer))"};
static const statement_t fail_late = {"fail_late", "SELECT 1 / CAST(%s AS integer)",
                                      "SELECT json(%s)"};

static rh_db_source_t *open_source(const char *driver, const char *params)
{
    rh_db_source_t *source;

    return rh_db_source_dedicated(pool, driver, params, &quiet, &source) == APR_SUCCESS ? source
                                                                                        : NULL;
}

/** Acquire; a connection that was lost is opened again after a moment only. */
static rh_db_t *acquire(rh_db_source_t *source)
{
    apr_time_t until = apr_time_now() + apr_time_from_sec(30);
    rh_db_t *db = NULL;

    while (source->acquire(source, pool, &db) != APR_SUCCESS && apr_time_now() < until) {
        apr_sleep(apr_time_from_msec(20));
    }
    return db;
}

static bool script(rh_db_source_t *source, const char *sql)
{
    rh_db_t *db = acquire(source);
    bool done = db && rh_db_script(db, sql, pool) == APR_SUCCESS;

    if (db) {
        source->release(source, db, rh_db_session(db)->broken);
    }
    return done;
}

static apr_status_t run_one(rh_db_source_t *source, const statement_t *statement, const char *arg,
                            bool *broken)
{
    static const unsigned short order[] = {0};
    apr_array_header_t *rows;
    rh_db_t *db = acquire(source);
    apr_status_t status = APR_EGENERAL;

    *broken = true;
    if (db) {
        bool pgsql = strcmp(db->dialect->driver, "pgsql") == 0;
        const rh_sql_t sql = {statement->label,
                              pgsql ? statement->pgsql : statement->sqlite,
                              order,
                              arg ? 1 : 0,
                              1,
                              ""};

        status = rh_db_run(db, &sql, &arg, pool, &rows, NULL);
        *broken = rh_db_session(db)->broken;
        source->release(source, db, *broken);
    }
    return status;
}

static void test_raised(rh_db_source_t *source)
{
    static const char *const passing[] = {"08006", "25006", "28000", "40001", "40P01", "42501",
                                          "42P01", "53100", "53200", "55P03", "57014", "57P01",
                                          "58030", "26000", "0A000", "3F000", NULL};
    static const char *const refused[] = {"22021", "22P05", "23505", "54000", "P0001",
                                          "XX000", "23514", "77777", NULL};
    bool broken;

    ok(script(source, "CREATE FUNCTION resthooks_raise(state text) RETURNS integer LANGUAGE plpgsql"
                      " AS $$ BEGIN RAISE EXCEPTION 'terminating: could not serialize access, no"
                      " such thing' USING ERRCODE = state; END $$"),
       "pgsql: a function raises what it is told");
    for (const char *const *state = passing; *state; state++) {
        ok(APR_STATUS_IS_EAGAIN(run_one(source, &raise_statement, *state, &broken)),
           "pgsql: %s can be tried again later", *state);
    }
    for (const char *const *state = refused; *state; state++) {
        ok(run_one(source, &raise_statement, *state, &broken) == APR_EGENERAL && !broken,
           "pgsql: %s is a refusal", *state);
    }
}

static void run(const char *driver, const char *params)
{
    bool pgsql = strcmp(driver, "pgsql") == 0, broken = false;
    rh_db_source_t *source = open_source(driver, params), *other = open_source(driver, params);
    const char *problem = NULL;

    if (!source || !other || rh_schema_ensure(source, true, pool, &problem) != APR_SUCCESS) {
        ok(false, "%s: the tables are made: %s", driver, problem ? problem : "no driver");
        return;
    }
    ok(script(source, "CREATE TABLE rh_errors (n integer PRIMARY KEY)"), "%s: a table is made",
       driver);
    ok(APR_STATUS_IS_EAGAIN(run_one(source, &missing, NULL, &broken)) && !broken,
       "%s: a table that is missing is waited for", driver);
    ok(run_one(source, &insert, "1", &broken) == APR_SUCCESS, "%s: a row is stored", driver);
    ok(run_one(source, &insert, "1", &broken) == APR_EGENERAL && !broken,
       "%s: the same row again is refused", driver);
    ok(run_one(source, &fail_late, pgsql ? "0" : "{", &broken) == APR_EGENERAL && !broken,
       "%s: a function that does not like its data refuses it", driver);
    ok(script(other, "DROP TABLE rh_errors; \nCREATE TABLE rh_errors (n text, m text)"),
       "%s: the table is made again by another connection", driver);
    ok(run_one(source, &insert, "1", &broken) != APR_EGENERAL,
       "%s: a prepared statement outlives that", driver);
    if (pgsql) {
        test_raised(source);
        script(source, "DROP FUNCTION resthooks_raise; DROP TABLE rh_errors");
    }
}

int main(void)
{
    test_find_state();
    test_judge_state();
    test_judge_code();
    return test_databases("rh_errors", run);
}
