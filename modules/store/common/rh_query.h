/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_query.h
 * @brief Statements by name. They are written in modules/store/DIALECT/TOPIC.sql, from which
 * conf/embed-statements.awk makes rh_statements.h and a table per dialect.
 *
 * Each statement has a struct of its parameters and one of its columns, such as rh_event_get_args_t
 * and rh_subscription_get_row_t. All are text: times are milliseconds, lists of rows are JSON
 * (rh_rows.h). A parameter that only one dialect's text has is set for every dialect, so that
 * callers need not know which one it is.
 */
#ifndef RH_QUERY_H
#define RH_QUERY_H

#include "rh_base.h"
#include "rh_statements.h"

/** One statement's text in one dialect. */
typedef struct rh_sql_t {
    const char *label; /**< its name */
    const char *text;  /**< with `%s` for each parameter; NULL: the dialect has nothing to do */
    const unsigned short *order; /**< offset of each `%s`'s value in the arguments */
    int parameters;              /**< number of `%s` */
    int columns;
    const char *returns; /**< names of the columns, separated by spaces */
} rh_sql_t;

/** A statement with its arguments, as RH_QUERY makes it. */
typedef struct rh_query_t {
    rh_sql_name_t name;
    const void *args; /**< the struct of the statement's parameters */
} rh_query_t;

/**
 * A statement with its arguments, valid in the surrounding block:
 * `RH_QUERY(event_get, .tenant = tenant, .id = id)`. Members that are not named are SQL's NULL.
 */
#define RH_QUERY(name, ...)                                                                        \
    (&(const rh_query_t){RH_SQL_##name, &(const rh_##name##_args_t){__VA_ARGS__}})

/** The i-th row of a statement, or of one whose columns are "as" that statement's. */
#define RH_ROW(name, rows, i)                                                                      \
    ((const rh_##name##_row_t *)(const void *)APR_ARRAY_IDX(rows, i, const char **))

/** A number that C defines, in the text of a statement. */
#define RH_SQL_NUMBER(number) RH_SQL_TEXT(number)
#define RH_SQL_TEXT(text) #text

#endif
