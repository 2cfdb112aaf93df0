/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_spooler.h"
#include "rh_uuid.h"

#include "tap.h"

#include <apr_general.h>
#include <apr_hash.h>
#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_STORED 4096
#define LEASE 4711
/** Upper bound of every wait, also on a busy machine. */
#define MAX_WAIT apr_time_from_sec(300)

static char folder[] = "/tmp/rh-spooler-XXXXXX";
static apr_pool_t *pool; /**< pool of the running test */

/* ---- a scripted database ---- */

typedef struct database_t {
    rh_queue_t queue;
    bool down;
    int up_for;          /**< number of successful commits until it goes down; -1: it stays up */
    const char *refused; /**< key of the event that makes it refuse a commit */
    const char *unfit;   /**< key of the event that fails alone */
    apr_hash_t *ids;
    const char *keys[MAX_STORED]; /**< keys of the stored events, in order */
    int stored, duplicates, commits, largest;
    bool strange; /**< an operation was called that a spooler must not call */
} database_t;

static apr_status_t database_commit(rh_queue_t *self, rh_commit_t **items, int count,
                                    const rh_claim_t *claim, apr_pool_t *scratch,
                                    apr_array_header_t *jobs, int *waiting)
{
    database_t *database = (database_t *)self;
    int i;

    (void)scratch;
    *waiting = 0;
    database->strange = database->strange || claim->limit != 0 || claim->lease != LEASE ||
                        jobs->nelts != 0 || count < 1;
    if (database->down || database->up_for == 0) {
        return APR_EAGAIN;
    }
    for (i = 0; i < count; i++) {
        const char *key = items[i]->event->key;

        if (database->refused && key && strcmp(key, database->refused) == 0) {
            return APR_EGENERAL;
        }
    }
    if (database->up_for > 0) {
        database->up_for--;
    }
    database->commits++;
    database->largest = count > database->largest ? count : database->largest;
    for (i = 0; i < count; i++) {
        const rh_event_t *event = items[i]->event;

        items[i]->stored_id = event->id;
        items[i]->status = APR_SUCCESS;
        if (database->unfit && event->key && strcmp(event->key, database->unfit) == 0) {
            items[i]->status = APR_EINVAL;
        } else if (apr_hash_get(database->ids, event->id, APR_HASH_KEY_STRING)) {
            database->duplicates++;
        } else if (database->stored < MAX_STORED) {
            const char *id = apr_pstrdup(pool, event->id);

            apr_hash_set(database->ids, id, APR_HASH_KEY_STRING, id);
            database->keys[database->stored++] = apr_pstrdup(pool, event->key ? event->key : "");
        }
        *waiting = *waiting + 1;
    }
    return APR_SUCCESS;
}

static database_t *make_database(void)
{
    database_t *database = apr_pcalloc(pool, sizeof(*database));

    database->queue.commit = database_commit;
    database->ids = apr_hash_make(pool);
    database->up_for = -1;
    return database;
}

/* ---- a log that counts ---- */

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static char log_lines[64][160];
static int log_count;

static void write_log(void *baton, rh_log_level_t level, apr_status_t status, const char *tag,
                      const char *message)
{
    (void)baton;
    (void)status;
    pthread_mutex_lock(&log_mutex);
    if (log_count < 64) {
        snprintf(log_lines[log_count++], sizeof(log_lines[0]), "%d %s %s", level, tag, message);
    }
    pthread_mutex_unlock(&log_mutex);
}

static const rh_log_t log_all = {write_log, NULL, RH_LOG_DEBUG};

/** Count the lines with this tag since the last call that cleared them. */
static int logged(const char *begin)
{
    int count = 0;

    pthread_mutex_lock(&log_mutex);
    for (int i = 0; i < log_count; i++) {
        count += strncmp(log_lines[i], begin, strlen(begin)) == 0;
    }
    pthread_mutex_unlock(&log_mutex);
    return count;
}

static void forget_log(void)
{
    pthread_mutex_lock(&log_mutex);
    log_count = 0;
    pthread_mutex_unlock(&log_mutex);
}

/* ---- spoolers ---- */

static const rh_spool_owner_t owner = {"pgsql-0123456789abcdef", NULL, false};

typedef struct process_t {
    apr_pool_t *pool;
    rh_spooler_t *spooler;
} process_t;

/** Make a spooler as a process of its own would have it. */
static process_t begin_process_in(const char *where)
{
    process_t process = {NULL, NULL};

    apr_pool_create_unmanaged_ex(&process.pool, NULL, NULL);
    if (rh_spooler_make(process.pool, where, &owner, &log_all, NULL, &process.spooler) !=
        APR_SUCCESS) {
        ok(false, "a spooler can be made");
        exit(1);
    }
    return process;
}

static process_t begin_process(void)
{
    return begin_process_in(folder);
}

static void end_process(process_t process)
{
    apr_pool_destroy(process.pool);
}

static rh_event_t *make_event(apr_pool_t *in, const char *key)
{
    rh_event_t *event = apr_pcalloc(in, sizeof(*event));
    char id[RH_UUID_LEN + 1];

    rh_uuid_make(id);
    event->id = apr_pstrdup(in, id);
    event->tenant = "acme";
    event->type = "employee.created";
    event->key = key;
    event->time = apr_time_now();
    event->data.data = "{}";
    event->data.len = 2;
    return event;
}

/** Append events with keys `from` … `to` in one call. */
static apr_status_t append(rh_spooler_t *spooler, int from, int to, rh_commit_t *items)
{
    int count = to - from + 1;
    rh_commit_t **list = apr_palloc(pool, count * sizeof(*list));

    if (!items) {
        items = apr_palloc(pool, count * sizeof(*items));
    }
    for (int i = 0; i < count; i++) {
        memset(&items[i], 0, sizeof(items[i]));
        items[i].event = make_event(pool, apr_itoa(pool, from + i));
        items[i].status = APR_EGENERAL;
        items[i].duplicate = true;
        list[i] = &items[i];
    }
    return rh_spooler_append(spooler, list, count);
}

static apr_status_t drain(rh_spooler_t *spooler, database_t *database, int *stored)
{
    apr_pool_t *scratch;
    apr_status_t status;

    apr_pool_create(&scratch, pool);
    *stored = -1;
    status = rh_spooler_drain(spooler, &database->queue, LEASE, scratch, stored);
    apr_pool_destroy(scratch);
    return status;
}

/** Drain until nothing is left. @return the number of events that were stored */
static int drain_all(rh_spooler_t *spooler, database_t *database)
{
    int stored, sum = 0;

    while (drain(spooler, database, &stored) == APR_SUCCESS && stored > 0) {
        sum += stored;
    }
    return sum;
}

/** True if the stored events have the keys `from` … `to`, without `but`, in order. */
static bool in_order(const database_t *database, int from, int to, int but)
{
    int at = 0;

    for (int i = from; i <= to; i++) {
        if (i != but && (at >= database->stored || atoi(database->keys[at++]) != i)) {
            return false;
        }
    }
    return at == database->stored;
}

static int count_files(void)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int count = 0;

    while ((entry = readdir(dir)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

static void test_outage(void)
{
    process_t process = begin_process();
    database_t *database = make_database();
    rh_commit_t items[3];
    int stored;

    ok(!rh_spooler_pending(process.spooler), "nothing waits at first");
    ok(drain(process.spooler, database, &stored) == APR_SUCCESS && stored == 0,
       "there is nothing to do");
    database->down = true;
    is_int(append(process.spooler, 0, 2, items), APR_SUCCESS, "three events are appended");
    ok(items[1].status == APR_SUCCESS && items[1].stored_id == items[1].event->id &&
           !items[1].duplicate,
       "each is stored under its own id");
    ok(rh_spooler_pending(process.spooler) && count_files() == 1, "they wait in a file");
    ok(APR_STATUS_IS_EAGAIN(drain(process.spooler, database, &stored)) && stored == 0,
       "a database that is down stores none");
    append(process.spooler, 3, 4, NULL);
    ok(APR_STATUS_IS_EAGAIN(drain(process.spooler, database, &stored)) && stored == 0, "nor later");
    ok(rh_spooler_pending(process.spooler) && database->stored == 0, "all events still wait");
    database->down = false;
    ok(drain(process.spooler, database, &stored) == APR_SUCCESS && stored == 5,
       "when it is back all events are stored");
    ok(in_order(database, 0, 4, -1) && database->duplicates == 0, "they are stored in order, once");
    is_int(database->commits, 1, "they are in one commit");
    is_int(logged("5 RH0333"), 0, "nothing is logged while there may be more");
    drain(process.spooler, database, &stored);
    is_int(stored, 0, "the spool is empty then");
    ok(!rh_spooler_pending(process.spooler) && count_files() == 0,
       "nothing waits, and no file is left");
    drain(process.spooler, database, &stored);
    is_int(logged("5 RH0333 5 events"), 1, "this is logged once");
    append(process.spooler, 5, 5, NULL);
    is_int(drain_all(process.spooler, database), 1, "another outage begins");
    ok(in_order(database, 0, 5, -1) && !database->strange, "later events wait after the others");
    is_int(logged("5 RH0333 1 events"), 1, "it is logged as well");
    end_process(process);
}

static void test_twice(void)
{
    process_t process = begin_process();
    database_t *database = make_database();
    rh_commit_t items[3], *list[3] = {&items[0], &items[1], &items[2]};
    int stored;

    append(process.spooler, 0, 2, items);
    rh_spooler_append(process.spooler, list, 3);
    ok(drain(process.spooler, database, &stored) == APR_SUCCESS && stored == 3,
       "an event that is in the spool twice is stored once");
    ok(in_order(database, 0, 2, -1) && database->duplicates == 0, "and in order");
    drain_all(process.spooler, database);
    ok(!rh_spooler_pending(process.spooler) && count_files() == 0, "it does not wait any more");
    end_process(process);
}

static void test_batches(void)
{
    process_t process = begin_process();
    database_t *database = make_database();
    int first;

    for (int i = 0; i < 10; i++) {
        append(process.spooler, 70 * i, 70 * i + 69, NULL);
    }
    drain(process.spooler, database, &first);
    ok(first > 0 && first < 700 && rh_spooler_pending(process.spooler),
       "a large spool is drained in parts (%d)", first);
    append(process.spooler, 700, 700, NULL);
    is_int(first + drain_all(process.spooler, database), 701,
           "in the end all events are stored, with those that came in between");
    ok(in_order(database, 0, 700, -1), "in order");
    ok(database->largest <= 256, "no commit is large (%d)", database->largest);
    end_process(process);
}

static void count_event(void *baton, const rh_event_t *event, apr_pool_t *scratch)
{
    (void)event;
    (void)scratch;
    (*(int *)baton)++;
}

/** Remove the files of refused events. @return how many events they held */
static int take_refused(void)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int count = 0;

    while ((entry = readdir(dir)) != NULL) {
        const char *path = apr_pstrcat(pool, folder, "/", entry->d_name, NULL);
        bool whole = false;

        if (strstr(entry->d_name, ".refused")) {
            rh_spool_scan(path, pool, count_event, &count, &whole);
            count += whole ? 0 : 1000;
            unlink(path);
        }
    }
    closedir(dir);
    return count;
}

static void test_refused(void)
{
    process_t process = begin_process();
    database_t *database = make_database();
    int stored;

    forget_log();
    database->refused = "37";
    append(process.spooler, 0, 99, NULL);
    drain_all(process.spooler, database);
    ok(in_order(database, 0, 99, 37), "an event that the database refuses is set aside alone");
    is_int(database->duplicates, 0, "none of the others is stored twice");
    is_int(logged("2 RH0331"), 1, "this is logged once");
    is_int(take_refused(), 1, "the event is kept in a file for a person");
    ok(!rh_spooler_pending(process.spooler) && count_files() == 0, "it is not retried for ever");
    end_process(process);

    process = begin_process();
    database = make_database();
    forget_log();
    database->refused = "5";
    database->up_for = 1;
    append(process.spooler, 0, 9, NULL);
    ok(APR_STATUS_IS_EAGAIN(drain(process.spooler, database, &stored)) && stored == 0 &&
           database->stored > 0,
       "the database goes down while the refused event is searched for");
    ok(rh_spooler_pending(process.spooler), "all events still wait");
    database->up_for = -1;
    drain_all(process.spooler, database);
    ok(in_order(database, 0, 9, 5), "then all others are stored, once by their ids");
    ok(database->duplicates > 0, "although some were sent twice");
    is_int(logged("2 RH0331"), 1, "only one is refused");
    is_int(take_refused(), 1, "and kept");
    end_process(process);

    process = begin_process();
    database = make_database();
    forget_log();
    database->unfit = "3";
    append(process.spooler, 0, 6, NULL);
    drain_all(process.spooler, database);
    ok(in_order(database, 0, 6, 3),
       "an event that fails alone in a commit does not delay the others");
    is_int(logged("2 RH0331"), 1, "it is logged");
    is_int(take_refused(), 1, "it is kept, too");
    end_process(process);
}

static void test_adoption(void)
{
    process_t first = begin_process(), second = begin_process(), third;
    database_t *database = make_database();
    apr_time_t until = apr_time_now() + MAX_WAIT;
    int stored;

    append(first.spooler, 0, 4, NULL);
    drain(second.spooler, database, &stored);
    is_int(stored, 0, "a living process's file is left to it");
    end_process(first);
    is_int(count_files(), 1, "the process ends and leaves a file");
    third = begin_process();
    ok(rh_spooler_pending(third.spooler), "later events must wait after that file");
    append(third.spooler, 5, 7, NULL);
    ok(rh_spooler_pending(third.spooler) && !rh_spooler_pending(second.spooler),
       "files of ended processes are not ordered with others");
    is_int(drain_all(third.spooler, database), 8,
           "another process drains it together with its own");
    ok(in_order(database, 0, 7, -1), "the events of that file come first, in order");
    is_int(count_files(), 0, "no file is left");

    append(third.spooler, 8, 9, NULL);
    end_process(third);
    do {
        drain(second.spooler, database, &stored);
        usleep(50000);
    } while (stored == 0 && apr_time_now() < until);
    is_int(stored, 2, "a process that has just looked for files looks again after some seconds");
    ok(in_order(database, 0, 9, -1) && count_files() == 0, "it drains all of them");
    drain_all(second.spooler, database);
    ok(!rh_spooler_pending(second.spooler), "its own file was never used");

    third = begin_process();
    append(third.spooler, 10, 12, NULL);
    end_process(third);
    third = begin_process();
    database->down = true;
    ok(APR_STATUS_IS_EAGAIN(drain(third.spooler, database, &stored)),
       "a file is adopted during an outage");
    end_process(third);
    database->down = false;
    third = begin_process();
    is_int(drain_all(third.spooler, database), 3,
           "its events are not lost when the adopting process ends as well");
    ok(in_order(database, 0, 12, -1) && count_files() == 0, "each is stored once");
    end_process(third);
    end_process(second);
}

static void test_bad_folder(void)
{
    const char *missing = apr_pstrcat(pool, folder, "/missing", NULL);
    const char *file = apr_pstrcat(pool, folder, "/file", NULL);
    process_t process = begin_process_in(missing);
    database_t *database = make_database();
    rh_commit_t items[2];
    int stored;

    forget_log();
    ok(append(process.spooler, 0, 1, items) != APR_SUCCESS, "a missing directory is an error");
    ok(items[0].status == APR_EGENERAL && items[1].status == APR_EGENERAL && !items[0].stored_id,
       "none of the events counts as stored");
    append(process.spooler, 0, 1, items);
    is_int(logged("0 RH0330"), 1, "this is logged once");
    ok(!rh_spooler_pending(process.spooler), "nothing waits");
    ok(drain(process.spooler, database, &stored) == APR_SUCCESS && stored == 0,
       "there is nothing to drain");
    mkdir(missing, 0700);
    is_int(append(process.spooler, 2, 2, NULL), APR_SUCCESS,
           "once the directory exists it is used");
    is_int(drain_all(process.spooler, database), 1, "and drained");
    if (geteuid() != 0) {
        chmod(missing, 0500);
        ok(append(process.spooler, 3, 3, NULL) != APR_SUCCESS,
           "a directory without write permission");
        chmod(missing, 0700);
    }
    rmdir(missing);
    ok(append(process.spooler, 3, 3, NULL) != APR_SUCCESS, "the directory is removed again");
    is_int(logged("0 RH0330"), 2, "this is logged again");
    end_process(process);

    fclose(fopen(file, "w"));
    process = begin_process_in(file);
    forget_log();
    ok(append(process.spooler, 0, 0, NULL) != APR_SUCCESS, "a file is not a directory");
    for (int i = 0; i < 3; i++) {
        rh_spooler_t *spooler = process.spooler;

        ok(drain(spooler, database, &stored) != -1 && stored == 0, "there is nothing in it");
    }
    is_int(logged("3 RH0332"), 1, "that it can't be read is logged once");
    unlink(file);
    end_process(process);
}

/* ---- many threads ---- */

#define WRITERS 4
#define CALLS 40

typedef struct writer_t {
    rh_spooler_t *spooler;
    int number;
    bool failed;
} writer_t;

/** Append events whose keys are "WRITER.CALL", some in each call. */
static void *write_events(void *data)
{
    writer_t *writer = data;
    apr_pool_t *own;

    apr_pool_create_unmanaged_ex(&own, NULL, NULL);
    for (int call = 0; call < CALLS; call += 2) {
        rh_commit_t items[2], *list[2] = {&items[0], &items[1]};

        memset(items, 0, sizeof(items));
        for (int i = 0; i < 2; i++) {
            items[i].event = make_event(own, apr_psprintf(own, "%d.%d", writer->number, call + i));
        }
        if (rh_spooler_append(writer->spooler, list, 2) != APR_SUCCESS) {
            writer->failed = true;
        }
    }
    apr_pool_destroy(own);
    return NULL;
}

static void test_threads(void)
{
    process_t process = begin_process();
    database_t *database = make_database();
    apr_time_t until = apr_time_now() + MAX_WAIT;
    pthread_t threads[WRITERS];
    writer_t writers[WRITERS];
    int next[WRITERS] = {0}, stored;
    bool right = true;

    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (writer_t){process.spooler, i, false};
        pthread_create(&threads[i], NULL, write_events, &writers[i]);
    }
    for (int i = 0; database->stored < WRITERS * CALLS && apr_time_now() < until; i++) {
        database->down = i % 3 == 0;
        drain(process.spooler, database, &stored);
        if (!rh_spooler_pending(process.spooler)) {
            usleep(1000);
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        right = right && !writers[i].failed;
    }
    /* After the last part it may be unknown whether other processes' files hold more. */
    database->down = false;
    drain_all(process.spooler, database);
    ok(right, "four threads append while another drains");
    ok(database->stored == WRITERS * CALLS && database->duplicates == 0,
       "every event is stored once (%d)", database->stored);
    for (int i = 0; i < database->stored; i++) {
        int number = atoi(database->keys[i]), call = atoi(strchr(database->keys[i], '.') + 1);

        right = right && call == next[number]++;
    }
    ok(right, "each thread's events are in order");
    ok(!rh_spooler_pending(process.spooler) && count_files() == 0, "nothing is left");
    end_process(process);
}

int main(void)
{
    static void (*const tests[])(void) = {test_outage,  test_twice,    test_batches,
                                          test_refused, test_adoption, test_bad_folder,
                                          test_threads};

    apr_initialize();
    if (!mkdtemp(folder)) {
        return 1;
    }
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        apr_pool_create(&pool, NULL);
        tests[i]();
        apr_pool_destroy(pool);
    }
    ok(rmdir(folder) == 0, "nothing is left in the folder");
    apr_terminate();
    return done_testing();
}
