/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * The other end of the benchmark's traffic: target of the deliveries, and backend of the proxy. One
 * thread, one epoll, keep-alive, bodies with a Content-Length of at most 1 MiB.
 *
 *   /hang…       no response
 *   /note…       200; keeps the webhook-id, and the time when the request's first byte arrived
 *   /employers…  201 with the JSON of an employee
 *   GET /notes   the kept lines "webhook-id microseconds", which are then forgotten
 *   GET /count   the numbers of requests, with or without a response, and of open connections
 *   others       200 without a body
 *
 * usage: sink FILE    listens on a free port of loopback, and writes its number to the file
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_BYTES (1024 * 1024)
#define MOST_NOTES (4 * 1024 * 1024)
#define ID_LEN 36
#define BATCH 256

typedef struct connection_t {
    int fd;
    int hanging;
    char *bytes;
    size_t len, size;
    long long since; /**< when the first byte of the request in `bytes` arrived, us */
} connection_t;

typedef struct note_t {
    char id[ID_LEN + 1];
    long long at;
} note_t;

typedef struct answer_t {
    char *text;
    size_t len, size;
} answer_t;

static note_t *notes;
static size_t note_count, note_size;
static unsigned long long requests, employees;
static long open_connections;

static long long now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void *grow(void *memory, size_t size)
{
    memory = realloc(memory, size);
    if (!memory) {
        fputs("sink: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

static void put(answer_t *answer, const char *text, size_t len)
{
    if (answer->len + len > answer->size) {
        answer->size = (answer->len + len) * 2;
        answer->text = grow(answer->text, answer->size);
    }
    memcpy(answer->text + answer->len, text, len);
    answer->len += len;
}

static void put_answer(answer_t *answer, const char *status, const char *body, size_t len)
{
    char head[160];
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                     status, len);

    put(answer, head, (size_t)n);
    put(answer, body, len);
}

/** Return the value of a field in a head that ends with an empty line; NULL: none. */
static const char *field(const char *head, const char *end, const char *name)
{
    size_t len = strlen(name);
    const char *line;

    for (line = head; (line = memchr(line, '\n', (size_t)(end - line))) != NULL && line < end;) {
        line++;
        if ((size_t)(end - line) > len && strncasecmp(line, name, len) == 0 && line[len] == ':') {
            line += len + 1;
            return line + strspn(line, " ");
        }
    }
    return NULL;
}

static void note(const char *head, const char *end, long long at)
{
    const char *id = field(head, end, "webhook-id");

    if (!id || note_count >= MOST_NOTES) {
        return;
    }
    if (note_count == note_size) {
        note_size = note_size ? note_size * 2 : 4096;
        notes = grow(notes, note_size * sizeof(*notes));
    }
    memcpy(notes[note_count].id, id, ID_LEN);
    notes[note_count].id[ID_LEN] = '\0';
    notes[note_count++].at = at;
}

static void put_notes(answer_t *answer)
{
    answer_t body = {0};
    char line[ID_LEN + 32];
    size_t i;

    for (i = 0; i < note_count; i++) {
        put(&body, line,
            (size_t)snprintf(line, sizeof(line), "%s %lld\n", notes[i].id, notes[i].at));
    }
    note_count = 0;
    put_answer(answer, "200 OK", body.text ? body.text : "", body.len);
    free(body.text);
}

/** Respond to one request, unless its path says that it hangs. */
static void serve(connection_t *connection, const char *head, const char *end, answer_t *answer)
{
    const char *path = memchr(head, ' ', (size_t)(end - head));
    char body[128];
    int len;

    path = path ? path + 1 : "";
    if (strncmp(path, "/notes ", 7) == 0) {
        put_notes(answer);
        return;
    }
    if (strncmp(path, "/count ", 7) == 0) {
        len = snprintf(body, sizeof(body), "%llu %ld\n", requests, open_connections);
        put_answer(answer, "200 OK", body, (size_t)len);
        return;
    }
    requests++;
    if (strncmp(path, "/hang", 5) == 0) {
        connection->hanging = 1;
    } else if (strncmp(path, "/employers", 10) == 0) {
        len = snprintf(body, sizeof(body),
                       "{\"id\":%llu,\"name\":\"Ada Lovelace\",\"role\":\"engineer\","
                       "\"email\":\"ada@example.com\"}",
                       ++employees);
        put_answer(answer, "201 Created", body, (size_t)len);
    } else {
        if (strncmp(path, "/note", 5) == 0) {
            note(head, end, connection->since);
        }
        put_answer(answer, "200 OK", "", 0);
    }
}

static void drop(connection_t *connection)
{
    close(connection->fd);
    free(connection->bytes);
    free(connection);
    open_connections--;
}

/** Write everything. Wait up to a second for data that the other side does not accept at once. */
static int write_all(int fd, const char *text, size_t len)
{
    int tries = 0;

    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

        if (n > 0) {
            text += n;
            len -= (size_t)n;
            tries = 0;
        } else if (n < 0 && errno == EAGAIN && tries++ < 1000) {
            usleep(1000);
        } else {
            return -1;
        }
    }
    return 0;
}

/** Serve every complete request in the buffer. @return -1: the connection must be closed */
static int serve_all(connection_t *connection, answer_t *answer)
{
    size_t done = 0;

    answer->len = 0;
    while (!connection->hanging && connection->len > done) {
        const char *head = connection->bytes + done, *length;
        const char *end = memmem(head, connection->len - done, "\r\n\r\n", 4);
        size_t whole;

        if (!end) {
            break;
        }
        end += 4;
        if (field(head, end, "Transfer-Encoding")) {
            return -1;
        }
        length = field(head, end, "Content-Length");
        whole = (size_t)(end - head) + (length ? strtoul(length, NULL, 10) : 0);
        if (whole > MOST_BYTES) {
            return -1;
        }
        if (connection->len - done < whole) {
            break;
        }
        serve(connection, head, end, answer);
        done += whole;
    }
    if (connection->hanging) {
        free(connection->bytes);
        connection->bytes = NULL;
        connection->len = connection->size = 0;
    } else if (done > 0) {
        memmove(connection->bytes, connection->bytes + done, connection->len - done);
        connection->len -= done;
    }
    return write_all(connection->fd, answer->text, answer->len);
}

static void receive(connection_t *connection, long long now, answer_t *answer)
{
    char rest[4096];
    ssize_t n;

    if (connection->hanging) {
        n = recv(connection->fd, rest, sizeof(rest), 0);
    } else {
        if (connection->len + 1024 > connection->size) {
            connection->size = connection->size ? connection->size * 2 : 2048;
            connection->bytes = grow(connection->bytes, connection->size);
        }
        if (connection->len == 0) {
            connection->since = now;
        }
        n = recv(connection->fd, connection->bytes + connection->len,
                 connection->size - connection->len, 0);
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0 || connection->len > 2 * MOST_BYTES) {
        drop(connection);
        return;
    }
    if (!connection->hanging) {
        connection->len += (size_t)n;
        if (serve_all(connection, answer) != 0) {
            drop(connection);
        }
    }
}

static void accept_all(int listener, int epoll)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        connection_t *connection = grow(NULL, sizeof(*connection));
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        int on = 1;

        memset(connection, 0, sizeof(*connection));
        connection->fd = fd;
        open_connections++;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
            drop(connection);
        }
    }
}

static int open_listener(const char *file)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    FILE *out;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, 4096) != 0 || getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        return -1;
    }
    out = fopen(file, "w");
    if (!out || fprintf(out, "%d\n", ntohs(address.sin_port)) < 0 || fclose(out) != 0) {
        return -1;
    }
    return fd;
}

int main(int argc, char **argv)
{
    struct epoll_event events[BATCH], first = {.events = EPOLLIN, .data.ptr = NULL};
    answer_t answer = {0};
    int listener, epoll = epoll_create1(EPOLL_CLOEXEC);

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    listener = argc == 2 ? open_listener(argv[1]) : -1;
    if (epoll < 0 || listener < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &first) != 0) {
        perror("sink");
        return 1;
    }
    for (;;) {
        int i, count = epoll_wait(epoll, events, BATCH, -1);
        long long now = now_us();

        for (i = 0; i < count; i++) {
            if (events[i].data.ptr) {
                receive(events[i].data.ptr, now, &answer);
            } else {
                accept_all(listener, epoll);
            }
        }
    }
}
