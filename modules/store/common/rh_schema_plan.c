/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Find out what an upgrade of the tables would do, from its scripts and from the tables. */
#include "rh_schema_private.h"

#include <apr_hash.h>
#include <apr_strings.h>

/** Maximum number of rows that are counted. */
#define MAX_ROWS 1000000
/** Time per row on a slow machine, in microseconds. */
#define ROW_COST 20

typedef struct planning_t {
    rh_schema_plan_t *plan;
    apr_hash_t *tables; /**< current names of tables that the scripts create or rename, "" if they
                           do not exist */
} planning_t;

/** The word that follows a phrase of a statement, without a bracket; NULL: the phrase is missing.
 */
static const char *word_after(const char *sql, const char *phrase, apr_pool_t *pool)
{
    const char *at = strstr(sql, phrase);

    if (!at) {
        return NULL;
    }
    at += strlen(phrase);
    return apr_pstrmemdup(pool, at, strcspn(at, " (;\n"));
}

/** The table whose rows a statement reads or writes. @return NULL: none, however many it has */
static const char *find_table(const char *sql, apr_pool_t *pool)
{
    if (strncmp(sql, "UPDATE ", 7) == 0) {
        return word_after(sql, "UPDATE ", pool);
    }
    if (strncmp(sql, "CREATE INDEX ", 13) == 0 && strncmp(sql + 13, "IF NOT", 6) != 0) {
        return word_after(sql, " ON ", pool);
    }
    return strstr(sql, "ADD PRIMARY KEY") ? word_after(sql, "ALTER TABLE ", pool) : NULL;
}

/** Record the current name of a table that a script creates or renames. */
static void note_table(planning_t *planning, const char *sql, apr_pool_t *pool)
{
    bool made = strncmp(sql, "CREATE TABLE ", 13) == 0;
    const char *to = word_after(sql, " RENAME TO ", pool), *from;

    if (made) {
        apr_hash_set(planning->tables, word_after(sql, "CREATE TABLE ", pool), APR_HASH_KEY_STRING,
                     "");
    } else if (to) {
        from = word_after(sql, "ALTER TABLE ", pool);
        if (strchr(from, '.')) {
            to = apr_pstrcat(pool,
                             apr_pstrmemdup(pool, from, (apr_size_t)(strchr(from, '.') - from) + 1),
                             to, NULL);
        }
        apr_hash_set(planning->tables, to, APR_HASH_KEY_STRING, from);
    }
}

/** The row of count_rows(), whose statement is not in a .sql file: its table is known only here. */
typedef struct rh_table_count_row_t {
    const char *count;
} rh_table_count_row_t;

static apr_status_t count_rows(rh_db_t *db, const char *table, apr_pool_t *pool, apr_int64_t *count)
{
    apr_array_header_t *rows;
    apr_status_t status =
        rh_db_query_rows(db,
                         apr_psprintf(pool, "SELECT count(*) FROM (SELECT 1 FROM %s LIMIT %d) AS n",
                                      table, MAX_ROWS),
                         pool, &rows);

    *count = status == APR_SUCCESS && rows->nelts == 1
                 ? rh_db_number(RH_ROW(table_count, rows, 0)->count)
                 : 0;
    return status;
}

/** Add a statement, in one line. */
static apr_status_t add_step(rh_db_t *db, planning_t *planning, rh_schema_phase_t phase,
                             const char *sql, apr_size_t len, apr_pool_t *pool)
{
    char *text = apr_pstrmemdup(pool, sql, len);
    const char *table = find_table(text, pool), *known;
    rh_schema_step_t *step;
    apr_status_t status = APR_SUCCESS;

    if (strstr(text, "schema_version")) {
        return APR_SUCCESS;
    }
    for (char *at = text; (at = strchr(at, '\n')) != NULL;) {
        *at = ' ';
        memmove(at + 1, at + 1 + strspn(at + 1, " "), strlen(at + 1 + strspn(at + 1, " ")) + 1);
    }
    note_table(planning, text, pool);
    step = apr_array_push(planning->plan->steps);
    step->phase = phase;
    step->text = text;
    step->rows = -1;
    if (table) {
        known = apr_hash_get(planning->tables, table, APR_HASH_KEY_STRING);
        status = known && !*known ? APR_SUCCESS
                                  : count_rows(db, known ? known : table, pool, &step->rows);
        step->duration = step->rows > 0 ? step->rows * ROW_COST : 0;
    }
    return status;
}

/** Add the statements of a script. */
static apr_status_t add_script(rh_db_t *db, planning_t *planning, rh_schema_phase_t phase,
                               rh_sql_name_t name, apr_pool_t *pool)
{
    const char *text = db->dialect->statements[name].text;
    apr_status_t status = APR_SUCCESS;

    while (text && *text && status == APR_SUCCESS) {
        const char *end = strstr(text, ";\n");
        apr_size_t len = end ? (apr_size_t)(end - text) : strcspn(text, ";");

        status = add_step(db, planning, phase, text, len, pool);
        text = end ? end + 2 : NULL;
    }
    return status;
}

static apr_status_t add_before(rh_db_t *db, planning_t *planning, apr_pool_t *pool)
{
    apr_array_header_t *rows;
    apr_status_t status = rh_schema_list_before(db, pool, &rows);

    for (int i = 0; status == APR_SUCCESS && i < rows->nelts; i++) {
        const char *text = RH_ROW(upgrade_4_before, rows, i)->statement;

        status = add_step(db, planning, RH_SCHEMA_BEFORE, text, strlen(text), pool);
    }
    return status;
}

static apr_status_t plan_work(rh_db_t *db, void *baton, apr_pool_t *pool)
{
    static const char replace[] = "CREATE OR REPLACE",
                      functions[] = "CREATE OR REPLACE all functions and views";
    const char *fill = db->dialect->statements[RH_SQL_fill_4].text;
    planning_t *planning = baton;
    int version;
    apr_status_t status = rh_schema_read_version(db, pool, &version);

    planning->plan->version = version;
    if (version < 1 || version >= RH_SCHEMA_VERSION || status != APR_SUCCESS) {
        return status;
    }
    status = add_before(db, planning, pool);
    for (int to = version; to < RH_SCHEMA_VERSION && status == APR_SUCCESS; to++) {
        status = add_script(db, planning, RH_SCHEMA_SWITCH, rh_schema_upgrades[to - 1], pool);
    }
    if (status == APR_SUCCESS && strstr(db->dialect->schema, replace)) {
        status = add_step(db, planning, RH_SCHEMA_SWITCH, functions, sizeof(functions) - 1, pool);
    }
    return status == APR_SUCCESS
               ? add_step(db, planning, RH_SCHEMA_AFTER, fill, strcspn(fill, "\n"), pool)
               : status;
}

apr_status_t rh_schema_plan(rh_db_source_t *source, apr_pool_t *pool, rh_schema_plan_t *plan)
{
    planning_t planning = {.plan = plan, .tables = apr_hash_make(pool)};

    plan->version = 0;
    plan->steps = apr_array_make(pool, 16, sizeof(rh_schema_step_t));
    return rh_store_run(source, false, plan_work, &planning, pool);
}
