/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The page: static files of RestHooksPage, sent as httpd's own handler would send them. */
#include "rh_api.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>

#define INDEX "index.html"
#define FILES "/ui/"
/** Maximum length of a file name below FILES, in bytes. */
#define MAX_NAME_BYTES 200

/** The page loads nothing from other origins, runs no inline scripts and cannot be framed. */
#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "              \
    "connect-src 'self'; font-src 'self'; form-action 'none'; base-uri 'none'; "                   \
    "frame-ancestors 'none'"

/** Types of the files that are sent, by suffix. No other files are. */
static const struct {
    const char *end, *type;
} types[] = {{".html", "text/html; charset=utf-8"},
             {".css", "text/css; charset=utf-8"},
             {".js", "text/javascript; charset=utf-8"},
             {".mjs", "text/javascript; charset=utf-8"},
             {".svg", "image/svg+xml"},
             {".png", "image/png"},
             {".json", "application/json"},
             {".woff2", "font/woff2"},
             {".webmanifest", "application/manifest+json"}};

static const char *type_of(const char *name)
{
    apr_size_t i, len = strlen(name);

    for (i = 0; i < RH_COUNT_OF(types); i++) {
        apr_size_t end = strlen(types[i].end);

        if (len > end && strcmp(name + len - end, types[i].end) == 0) {
            return types[i].type;
        }
    }
    return NULL;
}

/**
 * True if the name has only letters, digits, "-", "_" and ".", and no segment begins with ".": it
 * cannot leave the directory.
 */
static bool name_valid(const char *name)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";

    return *name && strlen(name) <= MAX_NAME_BYTES && strspn(name, good) == strlen(name) &&
           name[0] != '.' && name[0] != '/' && !strstr(name, "/.") && !strstr(name, "//");
}

/** Open a file of the page. @return APR_ENOENT: it does not exist */
static apr_status_t open_file(rh_api_t *api, const char *name, apr_file_t **file)
{
    request_rec *r = api->r;
    apr_status_t status;

    if (!name_valid(name) || !type_of(name)) {
        return APR_ENOENT;
    }
    r->filename = apr_pstrcat(r->pool, api->config->settings.page, "/", name, NULL);
    status = apr_file_open(file, r->filename, APR_READ | APR_BINARY, APR_OS_DEFAULT, r->pool);
    if (status == APR_SUCCESS) {
        status = apr_file_info_get(&r->finfo, APR_FINFO_MIN | APR_FINFO_TYPE, *file);
    }
    return status == APR_SUCCESS && r->finfo.filetype != APR_REG ? APR_ENOENT : status;
}

/** @return OK or an HTTP status, like a handler */
static int send_file(rh_api_t *api, const char *name, apr_file_t *file)
{
    request_rec *r = api->r;
    apr_bucket_brigade *brigade = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    int status;

    ap_set_content_type(r, type_of(name));
    apr_table_setn(r->headers_out, "Content-Security-Policy", POLICY);
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(r->headers_out, "Referrer-Policy", "no-referrer");
    apr_table_setn(r->headers_out, "Cache-Control", "no-cache");
    ap_update_mtime(r, r->finfo.mtime);
    ap_set_last_modified(r);
    ap_set_etag(r);
    ap_set_accept_ranges(r);
    ap_set_content_length(r, r->finfo.size);
    status = ap_meets_conditions(r);
    if (status != OK) {
        r->status = status;
        return status;
    }
    if (r->finfo.size > 0) {
        apr_brigade_insert_file(brigade, file, 0, r->finfo.size, r->pool);
    }
    APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_eos_create(brigade->bucket_alloc));
    ap_pass_brigade(r->output_filters, brigade);
    return OK;
}

/** Redirect to a path, which is not escaped, with the query of the request. */
static int redirect(rh_api_t *api, const char *path)
{
    const char *query = api->r->args;

    apr_table_setn(api->r->headers_out, "Location",
                   apr_pstrcat(api->r->pool, ap_escape_uri(api->r->pool, path), query ? "?" : "",
                               query ? query : "", NULL));
    return HTTP_TEMPORARY_REDIRECT;
}

bool rh_api_answer_page(rh_api_t *api, int *result)
{
    const char *accept = apr_table_get(api->r->headers_in, "Accept");
    bool index = *api->path == '\0', reads = api->r->method_number == M_GET;
    const char *name = index ? INDEX : api->path + sizeof(FILES) - 1;
    apr_file_t *file;

    if (*api->config->settings.page && reads &&
        (strcmp(api->path, "/ui") == 0 || strcmp(api->path, FILES) == 0)) {
        *result = redirect(api, apr_pstrcat(api->r->pool, api->base, "/", NULL));
        return true;
    }
    if (!*api->config->settings.page ||
        (!index && strncmp(api->path, FILES, sizeof(FILES) - 1) != 0)) {
        return false;
    }
    if (index) {
        apr_table_mergen(api->r->headers_out, "Vary", "Accept");
        if (!reads || !accept || !strstr(accept, "text/html")) {
            return false;
        }
    } else if (!reads) {
        apr_table_setn(api->r->headers_out, "Allow", "GET, HEAD");
        *result = rh_api_error(api, 405, "Files of the page are only read.");
        return true;
    }
    if (open_file(api, name, &file) != APR_SUCCESS) {
        if (!index) {
            *result = rh_api_error(api, 404, "The page has no such file.");
        }
        return !index;
    }
    if (index && api->r->uri[strlen(api->r->uri) - 1] != '/') {
        /* The page's references are relative to the base with a slash. */
        *result = redirect(api, apr_pstrcat(api->r->pool, api->r->uri, "/", NULL));
        return true;
    }
    *result = send_file(api, name, file);
    return true;
}
