/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Parses HTTP messages as `listen` receives them, or from saved files. */
#include "ctl.h"

#include <apr_file_io.h>
#include <apr_lib.h>
#include <stdlib.h>

apr_size_t ctl_head_length(const char *data, apr_size_t len)
{
    const char *at = data, *end = data + len, *newline;

    while ((newline = memchr(at, '\n', (apr_size_t)(end - at))) != NULL) {
        apr_size_t line = (apr_size_t)(newline - at);

        at = newline + 1;
        if (line == 0 || (line == 1 && newline[-1] == '\r')) {
            return (apr_size_t)(at - data);
        }
    }
    return 0;
}

/** Read a request line, "POST /in HTTP/1.1"; skip a status line, "HTTP/1.1 200 OK". */
static bool read_start(apr_pool_t *pool, const char *line, ctl_message_t *message)
{
    const char *blank = strchr(line, ' '), *version = strstr(line, " HTTP/1.");

    if (strncmp(line, "HTTP/", 5) == 0) {
        return true;
    }
    if (!blank || !version || version <= blank) {
        return false;
    }
    message->method = apr_pstrmemdup(pool, line, (apr_size_t)(blank - line));
    message->target = apr_pstrmemdup(pool, blank + 1, (apr_size_t)(version - blank - 1));
    return true;
}

static const char *read_field(apr_pool_t *pool, char *line, ctl_message_t *message)
{
    char *colon = strchr(line, ':'), *value, *end;

    if (!colon || colon == line || apr_isspace(*line)) {
        return apr_psprintf(pool, "a header line is not a field: %s", line);
    }
    *colon = '\0';
    value = colon + 1 + strspn(colon + 1, " \t");
    for (end = value + strlen(value); end > value && apr_isspace(end[-1]); end--) {
        end[-1] = '\0';
    }
    apr_table_addn(message->headers, line, value);
    return NULL;
}

static const char *read_length(ctl_message_t *message)
{
    const char *text = apr_table_get(message->headers, "Content-Length");
    apr_size_t len = text ? strlen(text) : 0;

    message->content_length = -1;
    if (!text) {
        return NULL;
    }
    if (len == 0 || len > 15 || strspn(text, "0123456789") != len) {
        return "its Content-Length is not a number";
    }
    message->content_length = apr_atoi64(text);
    return NULL;
}

const char *ctl_message_read(apr_pool_t *pool, const char *data, apr_size_t len,
                             ctl_message_t *message)
{
    apr_size_t head = ctl_head_length(data, len);
    char *line = apr_pstrmemdup(pool, data, head), *next;
    const char *error = NULL;
    bool first = true;

    memset(message, 0, sizeof(*message));
    message->headers = apr_table_make(pool, 16);
    if (!head) {
        return "the empty line between its headers and its body is missing";
    }
    if (memchr(data, '\0', head)) {
        return "there is a NUL in its headers";
    }
    for (; !error && (next = strchr(line, '\n')) != NULL; line = next) {
        *next++ = '\0';
        if (*line && line[strlen(line) - 1] == '\r') {
            line[strlen(line) - 1] = '\0';
        }
        if (*line && !(first && read_start(pool, line, message))) {
            error = read_field(pool, line, message);
        }
        first = false;
    }
    if (!error) {
        error = read_length(message);
    }
    message->body.data = data + head;
    message->body.len = len - head;
    if (message->content_length >= 0 && message->body.len > (apr_uint64_t)message->content_length) {
        message->body.len = (apr_size_t)message->content_length;
    }
    return error;
}

/** Read to the end, at most CTL_MAX_BODY and CTL_MAX_HEAD bytes. */
static int read_all(ctl_t *ctl, apr_file_t *file, const char *name, rh_bytes_t *content)
{
    apr_size_t most = CTL_MAX_BODY + CTL_MAX_HEAD, size = 65536, len = 0, got;
    char *buffer = malloc(size), *larger;
    apr_status_t status = buffer ? APR_SUCCESS : APR_ENOMEM;
    char reason[120];

    while (status == APR_SUCCESS && len <= most) {
        if (len == size) {
            size *= 2;
            larger = realloc(buffer, size);
            if (!larger) {
                status = APR_ENOMEM;
                break;
            }
            buffer = larger;
        }
        got = size - len;
        status = apr_file_read(file, buffer + len, &got);
        len += got;
    }
    if (APR_STATUS_IS_EOF(status)) {
        content->data = apr_pstrmemdup(ctl->pool, buffer, len);
        content->len = len;
    }
    free(buffer);
    if (APR_STATUS_IS_EOF(status)) {
        return CTL_DONE;
    }
    return ctl_fail(ctl, "%s: %s", name,
                    status == APR_SUCCESS ? "it is over 16 MiB"
                                          : apr_strerror(status, reason, sizeof(reason)));
}

int ctl_read_file(ctl_t *ctl, const char *name, rh_bytes_t *content)
{
    apr_file_t *file;
    char reason[120];
    apr_status_t status;

    if (strcmp(name, "-") == 0) {
        name = "stdin";
        status = apr_file_open_stdin(&file, ctl->pool);
    } else {
        status = apr_file_open(&file, name, APR_FOPEN_READ | APR_FOPEN_BINARY, 0, ctl->pool);
    }
    if (status != APR_SUCCESS) {
        return ctl_fail(ctl, "%s: %s", name, apr_strerror(status, reason, sizeof(reason)));
    }
    return read_all(ctl, file, name, content);
}
