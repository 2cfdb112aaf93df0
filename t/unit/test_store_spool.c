/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "tap.h"

#include "rh_spool_record.h"
#include "rh_uuid.h"

#include <apr_file_info.h>
#include <apr_general.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

static char folder[] = "/tmp/rh-spool-XXXXXX";
static const rh_spool_owner_t owner = {"pgsql-0123456789abcdef", NULL, false};

static rh_event_t *make_event(apr_pool_t *pool, const char *key, const char *data)
{
    rh_event_t *event = apr_pcalloc(pool, sizeof(*event));
    char id[RH_UUID_LEN + 1];

    rh_uuid_make(id);
    event->id = apr_pstrdup(pool, id);
    event->tenant = "acme";
    event->type = "employee.created";
    event->key = key;
    event->time = apr_time_now();
    event->data.data = data;
    event->data.len = strlen(data);
    event->source = RH_SOURCE_CAPTURE;
    return event;
}

static apr_status_t append_one(rh_spool_t *spool, const rh_event_t *event)
{
    return rh_spool_append(spool, &event, 1);
}

/** Return the name of the only file in the directory with this ending; NULL: there is none. */
static const char *find_file(apr_pool_t *pool, const char *suffix)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    const char *found = NULL;

    while ((entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name), tail = strlen(suffix);

        if (len > tail && strcmp(entry->d_name + len - tail, suffix) == 0) {
            found = apr_pstrcat(pool, folder, "/", entry->d_name, NULL);
        }
    }
    closedir(dir);
    return found;
}

static int count_read(rh_spool_t *spool, bool adopt, apr_pool_t *pool)
{
    apr_array_header_t *events;

    if (rh_spool_read(spool, adopt, 1000, 1 << 20, pool, &events) != APR_SUCCESS) {
        return -1;
    }
    return events->nelts;
}

static void test_round_trip(apr_pool_t *pool)
{
    rh_spool_t *spool = rh_spool_make(pool, folder, &owner, NULL);
    rh_event_t *event = make_event(pool, "17", "{\"a\": 1.0 , \"b\":\"\\u00e9\"}");
    rh_event_t *second = make_event(pool, NULL, "[]");
    const rh_event_t *both[2];
    apr_array_header_t *events;
    rh_event_t *got;

    ok(!rh_spool_pending(spool) && !find_file(pool, ".spool"),
       "no file exists before the first append");
    event->client_id = "order-1";
    event->traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    both[0] = event;
    both[1] = second;
    is_int(rh_spool_append(spool, both, 2), APR_SUCCESS, "two events are appended");
    ok(rh_spool_pending(spool) && rh_spool_bytes(spool) > 0, "appended events are pending");
    is_int(rh_spool_read(spool, false, 1, 1 << 20, pool, &events), APR_SUCCESS,
           "one event is read");
    is_int(events->nelts, 1, "at most the requested number is read");
    got = APR_ARRAY_IDX(events, 0, rh_event_t *);
    is(got->id, event->id, "an event keeps its id");
    is(got->tenant, event->tenant, "tenant is kept");
    is(got->type, event->type, "type is kept");
    is(got->key, event->key, "key is kept");
    is(got->client_id, event->client_id, "client id is kept");
    is(got->traceparent, event->traceparent, "traceparent is kept");
    ok(got->time == event->time && got->source == event->source, "time and source are kept");
    ok(got->data.len == event->data.len &&
           memcmp(got->data.data, event->data.data, got->data.len) == 0,
       "data is kept byte for byte");
    rh_spool_read(spool, false, 1, 1 << 20, pool, &events);
    is(APR_ARRAY_IDX(events, 0, rh_event_t *)->id, event->id,
       "the same events are read again until they are forgotten");
    rh_spool_forget(spool);
    rh_spool_read(spool, false, 9, 1 << 20, pool, &events);
    got = APR_ARRAY_IDX(events, 0, rh_event_t *);
    ok(events->nelts == 1 && strcmp(got->id, second->id) == 0, "then the next, in order");
    ok(got->key == NULL && got->client_id == NULL, "missing members are missing");
    rh_spool_forget(spool);
    ok(!rh_spool_pending(spool), "nothing waits");
    ok(!find_file(pool, ".spool"), "a file read to its end is removed");
    is_int(count_read(spool, true, pool), 0, "an empty directory has nothing to read");
}

/** Append in a child process that ends at once, as if by kill -9. */
static void append_and_die(apr_pool_t *pool, int count)
{
    pid_t child = fork();

    if (child == 0) {
        rh_spool_t *spool = rh_spool_make(pool, folder, &owner, NULL);

        for (int i = 0; i < count; i++) {
            append_one(spool, make_event(pool, apr_itoa(pool, i), "{}"));
        }
        kill(getpid(), SIGKILL);
    }
    waitpid(child, NULL, 0);
}

static void test_adoption(apr_pool_t *pool)
{
    apr_pool_t *life;
    rh_spool_t *spool, *other;
    apr_array_header_t *events;
    const char *path;
    struct stat info;

    append_and_die(pool, 3);
    apr_pool_create(&life, pool);
    spool = rh_spool_make(life, folder, &owner, NULL);
    is_int(count_read(spool, false, pool), 0,
           "files of other processes are not read before they are adopted");
    append_one(spool, make_event(pool, "own", "{}"));
    rh_spool_read(spool, true, 100, 1 << 20, pool, &events);
    is_int(events->nelts, 3, "a killed process's events are adopted");
    is(APR_ARRAY_IDX(events, 2, rh_event_t *)->key, "2", "events keep their order");
    other = rh_spool_make(life, folder, &owner, NULL);
    is_int(count_read(other, true, pool), 0, "a file that another process holds is left alone");
    rh_spool_forget(spool);
    rh_spool_read(spool, true, 100, 1 << 20, pool, &events);
    is(APR_ARRAY_IDX(events, 0, rh_event_t *)->key, "own", "the process's own events follow");
    rh_spool_forget(spool);
    apr_pool_destroy(life);
    ok(!find_file(pool, ".spool"), "all files are gone");

    append_and_die(pool, 2);
    path = find_file(pool, ".spool");
    stat(path, &info);
    truncate(path, info.st_size - 5);
    spool = rh_spool_make(pool, folder, &owner, NULL);
    is_int(count_read(spool, true, pool), 1, "an incomplete last record is skipped");
    rh_spool_forget(spool);
    is_int(count_read(spool, true, pool), 0, "it is the end of the file");
    ok(!find_file(pool, ".spool"), "the file is removed");
}

static void test_damage(apr_pool_t *pool)
{
    rh_spool_t *spool;
    unsigned char length[4];
    const char *path;
    int fd;

    append_and_die(pool, 3);
    path = find_file(pool, ".spool");
    fd = open(path, O_RDWR);
    ok(pwrite(fd, "~", 1, 40) == 1, "damage the first record");
    close(fd);
    spool = rh_spool_make(pool, folder, &owner, NULL);
    is_int(count_read(spool, true, pool), 0, "a damaged file gives nothing after the damage");
    path = find_file(pool, ".damaged");
    ok(path != NULL, "it is kept for a person");
    unlink(path);

    append_and_die(pool, 3);
    path = find_file(pool, ".spool");
    fd = open(path, O_RDWR);
    ok(pread(fd, length, 4, 8) == 4, "there is a first record");
    ok(pwrite(fd, "\x7f", 1, 8 + 8 + length[2] * 256 + length[3]) == 1,
       "damage the length of the second one, which then would end behind the file");
    close(fd);
    spool = rh_spool_make(pool, folder, &owner, NULL);
    is_int(count_read(spool, true, pool), 1, "the records before it are read");
    rh_spool_forget(spool);
    is_int(count_read(spool, true, pool), 0, "nothing after it is");
    path = find_file(pool, ".damaged");
    ok(path != NULL, "it is not mistaken for an incomplete end, but kept for a person");
    unlink(path);

    path = apr_pstrcat(pool, folder,
                       "/pgsql-0123456789abcdef.01900000-0000-7000-8000-000000000000.spool", NULL);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    ok(write(fd, "not a spool file", 16) == 16, "a file without events is created");
    close(fd);
    is_int(count_read(spool, true, pool), 0, "it is not read");
    path = find_file(pool, ".damaged");
    ok(path != NULL, "it is set aside");
    unlink(path);
}

static void test_full_disk(apr_pool_t *pool)
{
    rh_spool_t *spool = rh_spool_make(pool, folder, &owner, NULL);
    struct rlimit limit = {2048, 2048}, saved;
    char *big = apr_pcalloc(pool, 8192);

    getrlimit(RLIMIT_FSIZE, &saved);
    limit.rlim_max = saved.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    is_int(append_one(spool, make_event(pool, "small", "{}")), APR_SUCCESS, "there is room");
    memset(big, 'x', 8191);
    big[0] = big[8190] = '"';
    setrlimit(RLIMIT_FSIZE, &limit);
    ok(append_one(spool, make_event(pool, "big", big)) != APR_SUCCESS, "a full disk is reported");
    setrlimit(RLIMIT_FSIZE, &saved);
    append_one(spool, make_event(pool, "after", "{}"));
    is_int(count_read(spool, false, pool), 2, "nothing of the failed write is left in the file");
    rh_spool_forget(spool);
    spool = rh_spool_make(pool, "/nonexistent/rh", &owner, NULL);
    ok(append_one(spool, make_event(pool, "x", "{}")) != APR_SUCCESS,
       "a missing directory is reported");
    is_int(count_read(spool, true, pool), 0, "it reads as empty");
}

/** The last event that a scan found, and the number of events. */
typedef struct seen_t {
    apr_pool_t *pool;
    int count;
    const char *key, *reason, *previous;
    int hops;
} seen_t;

static void see(void *baton, const rh_event_t *event, apr_pool_t *scratch)
{
    seen_t *seen = baton;

    (void)scratch;
    seen->count++;
    seen->key = apr_pstrdup(seen->pool, event->key);
    seen->reason = apr_pstrdup(seen->pool, event->reason);
    seen->previous = event->previous.data
                         ? apr_pstrmemdup(seen->pool, event->previous.data, event->previous.len)
                         : NULL;
    seen->hops = event->hops;
}

static void test_refused(apr_pool_t *pool)
{
    rh_spool_t *spool = rh_spool_make(pool, folder, &owner, NULL);
    rh_event_t *event = make_event(pool, "1", "{}");
    seen_t seen = {pool, 0, NULL, NULL, NULL, 0};
    const char *path, *back;
    bool whole;
    int fd;

    event->reason = "truncated";
    event->previous.data = "{\"a\":1}";
    event->previous.len = 7;
    event->hops = 2;
    is_int(rh_spool_refuse(spool, make_event(pool, "0", "{}")), APR_SUCCESS,
           "a refused event is kept");
    is_int(rh_spool_refuse(spool, event), APR_SUCCESS, "a second refused event is kept");
    path = find_file(pool, ".refused");
    ok(path && rh_spool_scan(path, pool, see, &seen, &whole) == APR_SUCCESS && whole,
       "the file can be read");
    is_int(seen.count, 2, "the file has both events");
    is(seen.key, "1", "events keep their order");
    is(seen.reason, "truncated", "an event keeps its reason");
    is(seen.previous, "{\"a\":1}", "it keeps the earlier state");
    is_int(seen.hops, 2, "it keeps its hop count");
    ok(!rh_spool_waits(spool, pool), "it does not wait for the database");
    fd = open(path, O_WRONLY | O_APPEND);
    ok(write(fd, "\0\0\0\x30", 4) == 4, "a record is incomplete");
    close(fd);
    seen.count = 0;
    ok(rh_spool_scan(path, pool, see, &seen, &whole) == APR_SUCCESS && !whole && seen.count == 2,
       "the records before it are read, and the fault is reported");
    back = apr_pstrcat(pool, apr_pstrmemdup(pool, path, strlen(path) - strlen(".refused")),
                       ".spool", NULL);
    ok(rename(path, back) == 0 && count_read(spool, true, pool) == 2,
       "renamed to a waiting file it is adopted again");
    rh_spool_forget(spool);
    is_int(count_read(spool, true, pool), 0, "it is kept until it is stored");
}

/** Version 0.1 wrote no previous, reason and hops: these are a length of 0 each, and "0" at the
 * end. */
static void test_old_record(apr_pool_t *pool)
{
    rh_event_t *event = make_event(pool, "17", "{}"), old = {0};
    apr_size_t size = rh_spool_record_size(event);
    unsigned char *record = apr_palloc(pool, size);

    rh_spool_record_write(event, record);
    is_int(rh_spool_decode((char *)record + RH_SPOOL_HEAD, size - RH_SPOOL_HEAD - 13, pool, &old),
           APR_SUCCESS, "a record of version 0.1 is read");
    is(old.id, event->id, "it has its members");
    ok(!old.previous.data && !old.reason && old.hops == 0, "it lacks the newer ones");
    is_int(rh_spool_decode((char *)record + RH_SPOOL_HEAD, size - RH_SPOOL_HEAD - 9, pool, &old),
           APR_EINVAL, "a record with another end is damaged");
}

int main(void)
{
    apr_pool_t *pool;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    if (!mkdtemp(folder)) {
        return 1;
    }
    test_round_trip(pool);
    test_adoption(pool);
    test_damage(pool);
    test_full_disk(pool);
    test_refused(pool);
    test_old_record(pool);
    ok(rmdir(folder) == 0, "nothing is left in the directory");
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
