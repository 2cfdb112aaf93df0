/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* spool list, show, retry, drop: the files whose events wait, were refused, or are damaged. */
#include "ctl.h"

#include "rh_spool_dir.h"
#include "rh_time.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/** Summary of a file's content. */
typedef struct content_t {
    ctl_t *ctl;
    int count;
    apr_time_t first, last; /**< earliest and latest time of its events; 0: it has none */
} content_t;

static void count_event(void *baton, const rh_event_t *event, apr_pool_t *scratch)
{
    content_t *content = baton;

    (void)scratch;
    content->count++;
    if (content->first == 0) {
        content->first = event->time;
    }
    content->last = event->time;
}

/** Return the last component of a path. */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static const char *state_of(const rh_spool_name_t *name)
{
    if (strcmp(name->suffix, RH_SPOOL_REFUSED) == 0) {
        return "refused";
    }
    return strcmp(name->suffix, RH_SPOOL_DAMAGED) == 0 ? "damaged" : "waiting";
}

/** Describe a file as a row of the list; NULL: it is not a spool file, or it is gone. */
static struct json_object *describe_file(ctl_t *ctl, const char *folder, const char *file)
{
    const char *path = apr_pstrcat(ctl->pool, folder, "/", file, NULL);
    content_t content = {ctl, 0, 0, 0};
    rh_spool_name_t name;
    struct json_object *row;
    struct stat info;
    bool whole = false;
    apr_status_t status;

    if (!rh_spool_name_parse(ctl->pool, file, &name) || stat(path, &info) != 0) {
        return NULL;
    }
    status = rh_spool_scan(path, ctl->pool, count_event, &content, &whole);
    row = json_object_new_object();
    json_object_object_add(row, "file", json_object_new_string(file));
    json_object_object_add(row, "database", json_object_new_string(name.prefix));
    json_object_object_add(row, "state", json_object_new_string(state_of(&name)));
    json_object_object_add(row, "events", json_object_new_int(content.count));
    json_object_object_add(row, "bytes", json_object_new_int64(info.st_size));
    json_object_object_add(
        row, "first",
        rh_json_new_text(content.first ? rh_time_format(ctl->pool, content.first) : NULL));
    json_object_object_add(row, "readable",
                           json_object_new_boolean(status == APR_SUCCESS && whole));
    return row;
}

static int compare_files(const void *a, const void *b)
{
    struct json_object *const *left = a, *const *right = b;

    return strcmp(json_object_get_string(json_object_object_get(*left, "file")),
                  json_object_get_string(json_object_object_get(*right, "file")));
}

int ctl_spool_list(ctl_t *ctl)
{
    static const ctl_column_t columns[] = {
        {"FILE", "file"},   {"STATE", "state"},       {"EVENTS", "events"}, {"BYTES", "bytes"},
        {"FIRST", "first"}, {"READABLE", "readable"}, {NULL, NULL}};
    const char *folder = ctl_argument(ctl, 0);
    struct json_object *rows = rh_json_own(ctl->pool, json_object_new_array());
    DIR *dir = opendir(folder);
    struct dirent *entry;

    if (!dir) {
        return ctl_fail(ctl, "%s: %s", folder, strerror(errno));
    }
    while ((entry = readdir(dir)) != NULL) {
        struct json_object *row = describe_file(ctl, folder, entry->d_name);

        if (row) {
            json_object_array_add(rows, row);
        }
    }
    closedir(dir);
    json_object_array_sort(rows, compare_files);
    if (ctl_has(ctl, CTL_JSON)) {
        apr_size_t len;
        const char *text = rh_json_text(ctl->pool, rows, &len);

        ctl_print_raw(ctl, (rh_bytes_t){text, len});
    } else {
        ctl_print_table(ctl, rows, columns);
    }
    return CTL_DONE;
}

static void print_event(void *baton, const rh_event_t *event, apr_pool_t *scratch)
{
    content_t *content = baton;
    struct json_object *tree = rh_json_own(scratch, json_object_new_object());
    const char *text;
    apr_size_t len;

    content->count++;
    json_object_object_add(tree, "id", json_object_new_string(event->id));
    json_object_object_add(tree, "tenant", json_object_new_string(event->tenant));
    json_object_object_add(tree, "type", json_object_new_string(event->type));
    json_object_object_add(tree, "key", rh_json_new_text(event->key));
    json_object_object_add(tree, "time",
                           json_object_new_string(rh_time_format(scratch, event->time)));
    json_object_object_add(tree, "source",
                           json_object_new_string(rh_event_source_name(event->source)));
    json_object_object_add(tree, "reason", rh_json_new_text(event->reason));
    json_object_object_add(tree, "data", rh_json_raw(event->data.data, event->data.len));
    text = rh_json_text(scratch, tree, &len);
    ctl_print_raw(content->ctl, (rh_bytes_t){text, len});
}

int ctl_spool_show(ctl_t *ctl)
{
    content_t content = {ctl, 0, 0, 0};
    const char *path = ctl_argument(ctl, 0);
    bool whole;
    apr_status_t status = rh_spool_scan(path, ctl->pool, print_event, &content, &whole);

    if (status == APR_EINVAL) {
        return ctl_fail(ctl, "%s is not a file of a spool", path);
    }
    if (status != APR_SUCCESS) {
        return ctl_fail(ctl, "%s: %s", path, strerror(status));
    }
    return whole ? CTL_DONE
                 : ctl_fail(ctl, "%s is damaged, or torn, after %d events", path, content.count);
}

/** Call a function for each named file, and continue after a failure. */
static int for_each_file(ctl_t *ctl, int (*act)(ctl_t *, const char *, const rh_spool_name_t *))
{
    int result = CTL_DONE;

    for (int i = 0; i < ctl->arguments->nelts; i++) {
        const char *path = ctl_argument(ctl, i);
        rh_spool_name_t name;
        int status;

        if (rh_spool_name_parse(ctl->pool, base_name(path), &name)) {
            status = act(ctl, path, &name);
        } else {
            status = ctl_fail(ctl, "%s: not the name of a file of a spool", path);
        }
        result = status == CTL_DONE ? result : status;
    }
    return result;
}

/** Rename a file so that httpd reads it. */
static int retry_file(ctl_t *ctl, const char *path, const rh_spool_name_t *name)
{
    apr_size_t len = strlen(path) - strlen(name->suffix);
    const char *waiting =
        apr_pstrcat(ctl->pool, apr_pstrmemdup(ctl->pool, path, len), RH_SPOOL_SUFFIX, NULL);

    if (strcmp(name->suffix, RH_SPOOL_SUFFIX) == 0) {
        return ctl_fail(ctl, "%s waits already", path);
    }
    /* Unlike rename, link never replaces an existing file. */
    if (link(path, waiting) != 0 || unlink(path) != 0) {
        return ctl_fail(ctl, "%s: %s", path, strerror(errno));
    }
    printf("%s\n", ctl_safe(ctl->pool, waiting, strlen(waiting), false));
    return CTL_DONE;
}

int ctl_spool_retry(ctl_t *ctl)
{
    return for_each_file(ctl, retry_file);
}

/** Remove a file that no process holds. */
static int drop_file(ctl_t *ctl, const char *path, const rh_spool_name_t *name)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), status = CTL_DONE;

    (void)name;
    if (fd < 0) {
        return ctl_fail(ctl, "%s: %s", path, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        status = ctl_fail(ctl, "%s is in use by httpd", path);
    } else if (unlink(path) != 0) {
        status = ctl_fail(ctl, "%s: %s", path, strerror(errno));
    }
    close(fd);
    return status;
}

int ctl_spool_drop(ctl_t *ctl)
{
    return for_each_file(ctl, drop_file);
}
