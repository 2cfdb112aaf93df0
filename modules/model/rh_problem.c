/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_problem.h"

#include <stdarg.h>

/** Maximum number of field errors that one problem keeps. */
#define MAX_FIELD_ERRORS 100
/** Maximum length of a text in a response, in bytes. */
#define MAX_TEXT_BYTES 4096

rh_problem_t *rh_problem_make(apr_pool_t *pool)
{
    rh_problem_t *problem = apr_pcalloc(pool, sizeof(*problem));

    problem->pool = pool;
    problem->errors = apr_array_make(pool, 2, sizeof(rh_field_error_t));
    return problem;
}

void rh_problem_set(rh_problem_t *problem, int status, const char *format, ...)
{
    va_list args;

    if (problem->status) {
        return;
    }
    va_start(args, format);
    problem->detail = apr_pvsprintf(problem->pool, format, args);
    va_end(args);
    problem->status = status;
}

void rh_problem_field(rh_problem_t *problem, const char *field, const char *format, ...)
{
    rh_field_error_t *error;
    va_list args;

    if (!problem->status) {
        rh_problem_set(problem, 422, "The request contains invalid fields.");
    }
    if (problem->errors->nelts >= MAX_FIELD_ERRORS) {
        return;
    }
    error = &APR_ARRAY_PUSH(problem->errors, rh_field_error_t);
    error->field = apr_pstrdup(problem->pool, field);
    va_start(args, format);
    error->detail = apr_pvsprintf(problem->pool, format, args);
    va_end(args);
}

bool rh_problem_is(const rh_problem_t *problem)
{
    return problem->status != 0;
}

/** Reason phrases of RFC 9110 section 15 for the statuses that the API uses. */
static const char *find_title(int status)
{
    static const struct {
        int status;
        const char *title;
    } titles[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };

    for (apr_size_t i = 0; i < RH_COUNT_OF(titles); i++) {
        if (titles[i].status == status) {
            return titles[i].title;
        }
    }
    return "Error";
}

static struct json_object *text_of(apr_pool_t *pool, const char *text)
{
    return json_object_new_string(rh_utf8_clean(pool, text, strlen(text), MAX_TEXT_BYTES));
}

const char *rh_problem_text(const rh_problem_t *problem, apr_pool_t *pool, apr_size_t *len)
{
    struct json_object *tree = rh_json_own(pool, json_object_new_object());
    struct json_object *errors;

    json_object_object_add(tree, "type", json_object_new_string("about:blank"));
    json_object_object_add(tree, "title", json_object_new_string(find_title(problem->status)));
    json_object_object_add(tree, "status", json_object_new_int(problem->status));
    if (problem->detail) {
        json_object_object_add(tree, "detail", text_of(pool, problem->detail));
    }
    if (problem->errors->nelts) {
        errors = json_object_new_array();
        for (int i = 0; i < problem->errors->nelts; i++) {
            const rh_field_error_t *error = &APR_ARRAY_IDX(problem->errors, i, rh_field_error_t);
            struct json_object *item = json_object_new_object();

            json_object_object_add(item, "field", text_of(pool, error->field));
            json_object_object_add(item, "detail", text_of(pool, error->detail));
            json_object_array_add(errors, item);
        }
        json_object_object_add(tree, "errors", errors);
    }
    return rh_json_text(pool, tree, len);
}
