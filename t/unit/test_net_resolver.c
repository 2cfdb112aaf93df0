/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_dial.h"

#include "net_server.h"
#include "tap.h"

#include <apr_general.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- a name server: the first label of a name says what it answers ---- */

/*   one       127.0.0.1 for a second       both      127.0.0.1 and ::1
 *   private   10.0.0.1                     mixed     10.0.0.1 and 127.0.0.1
 *   many      20 addresses                 empty     no address
 *   none      NXDOMAIN                     fail      SERVFAIL
 *   slow      like one, after 200 ms       mute      no answer
 *   half      like one, but no answer as to IPv6
 *   late      another name, which is ::1, but that is said 1.5 s after it was first asked for
 *   alias     for a second another name, which is 127.0.0.1 for a minute
 */

static int name_server;
static int questions;  /**< atomic */
static int to_be_said; /**< atomic: number of threads with responses to send */

static size_t put_address(unsigned char *at, int family, const char *text, int ttl)
{
    size_t size = family == AF_INET ? 4 : 16;
    const unsigned char head[] = {0xc0, 12, 0, family == AF_INET ? 1 : 28, 0, 1,
                                  0,    0,  0, (unsigned char)ttl,         0, (unsigned char)size};

    memcpy(at, head, sizeof(head));
    inet_pton(family, text, at + sizeof(head));
    return sizeof(head) + size;
}

/** Write the response for a name that is an alias of "x" below itself, which has this address, or
 * none. */
static size_t put_alias(unsigned char *message, size_t end, int family, const char *text)
{
    static const unsigned char record[] = {0xc0, 12, 0, 5, 0, 1,   0,    0,
                                           0,    1,  0, 4, 1, 'x', 0xc0, 12};
    size_t at = end + sizeof(record), size;

    memcpy(message + end, record, sizeof(record));
    if (!text) {
        return sizeof(record);
    }
    size = put_address(message + at, family, text, 60);
    message[at] = 0xc0;
    message[at + 1] = (unsigned char)(end + 12);
    return sizeof(record) + size;
}

/** Turn a question into its response. @return the length, 0: none */
static size_t dns_answer(unsigned char *message, size_t len)
{
    size_t end = 12, count = 0;
    char name[64] = "";
    int type;

    if (len < 17 || message[12] >= sizeof(name)) {
        return 0;
    }
    memcpy(name, message + 13, message[12]);
    while (end < len && message[end]) {
        end += message[end] + 1u;
    }
    type = message[end + 2];
    end += 5;
    message[2] = 0x81;
    message[3] = 0x80;
    memset(message + 6, 0, 6);
    if (strcmp(name, "mute") == 0 || (strcmp(name, "half") == 0 && type == 28)) {
        return 0;
    }
    if (strcmp(name, "slow") == 0) {
        usleep(200000);
    }
    if (strcmp(name, "none") == 0 || strcmp(name, "fail") == 0) {
        message[3] |= strcmp(name, "none") == 0 ? 3 : 2;
    } else if (type == 28 && strcmp(name, "both") == 0) {
        end += put_address(message + end, AF_INET6, "::1", 60);
        count = 1;
    } else if (type == 1 && strcmp(name, "alias") == 0) {
        end += put_alias(message, end, AF_INET, "127.0.0.1");
        count = 2;
    } else if (strcmp(name, "late") == 0) {
        end += put_alias(message, end, AF_INET6, type == 28 ? "::1" : NULL);
        count = type == 28 ? 2 : 1;
    } else if (type == 1 && strcmp(name, "many") == 0) {
        for (; count < 20; count++) {
            end += put_address(message + end, AF_INET, "127.0.0.1", 60);
        }
    } else if (type == 1 && strcmp(name, "empty") != 0) {
        if (strcmp(name, "private") == 0 || strcmp(name, "mixed") == 0) {
            end += put_address(message + end, AF_INET, "10.0.0.1", 60);
            count++;
        }
        if (strcmp(name, "private") != 0) {
            end += put_address(message + end, AF_INET, "127.0.0.1", 1);
            count++;
        }
    }
    message[7] = (unsigned char)count;
    return end;
}

/** A response to be sent later. */
typedef struct later_t {
    unsigned char message[512];
    size_t len;
    struct sockaddr_in to;
    unsigned int wait; /**< microseconds */
} later_t;

static void *say_later(void *data)
{
    later_t *later = data;

    usleep(later->wait);
    (void)sendto(name_server, later->message, later->len, 0, (struct sockaddr *)&later->to,
                 sizeof(later->to));
    free(later);
    __atomic_sub_fetch(&to_be_said, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void say(const unsigned char *message, size_t len, const struct sockaddr_in *to)
{
    static apr_time_t known_at;
    apr_time_t now = apr_time_now();
    later_t *later;
    pthread_t thread;

    if (message[7] != 2 || memcmp(message + 13, "late", 4) != 0) {
        (void)sendto(name_server, message, len, 0, (const struct sockaddr *)to, sizeof(*to));
        return;
    }
    later = malloc(sizeof(*later));
    memcpy(later->message, message, len);
    later->len = len;
    later->to = *to;
    /* As a recursive server does: it responds to all questions at once. */
    known_at = known_at ? known_at : now + 1500000;
    later->wait = known_at > now ? (unsigned int)(known_at - now) : 0;
    __atomic_add_fetch(&to_be_said, 1, __ATOMIC_SEQ_CST);
    if (pthread_create(&thread, NULL, say_later, later) == 0) {
        pthread_detach(thread);
    } else {
        __atomic_sub_fetch(&to_be_said, 1, __ATOMIC_SEQ_CST);
        free(later);
    }
}

static void *serve_names(void *data)
{
    unsigned char message[2048];
    struct sockaddr_in from;
    socklen_t size;

    (void)data;
    for (;;) {
        ssize_t len;

        size = sizeof(from);
        len = recvfrom(name_server, message, 512, 0, (struct sockaddr *)&from, &size);
        if (len <= 0) {
            return NULL;
        }
        __atomic_add_fetch(&questions, 1, __ATOMIC_SEQ_CST);
        len = (ssize_t)dns_answer(message, (size_t)len);
        if (len) {
            say(message, (size_t)len, &from);
        }
    }
}

/* ---- queries ---- */

static apr_pool_t *pool, *loop_pool;
static rh_reactor_t *reactor;
static rh_resolver_t *resolver;
static unsigned short server_port;

typedef struct asker_t {
    rh_query_t query;
    rh_addresses_t got;
    int answers;
} asker_t;

static void answered(void *baton, const rh_addresses_t *addresses)
{
    asker_t *asker = baton;

    asker->got = *addresses;
    asker->answers++;
}

static void open_loop(void)
{
    apr_allocator_t *allocator;

    apr_allocator_create(&allocator);
    apr_pool_create_ex(&loop_pool, NULL, NULL, allocator);
    apr_allocator_owner_set(allocator, loop_pool);
    if (rh_reactor_make(loop_pool, &reactor) != APR_SUCCESS ||
        rh_resolver_make(loop_pool, reactor, &resolver) != APR_SUCCESS ||
        rh_resolver_set_servers(resolver, apr_psprintf(loop_pool, "127.0.0.1:%hu", server_port)) !=
            APR_SUCCESS) {
        printf("Bail out! no resolver\n");
        exit(1);
    }
}

static void turn(apr_interval_time_t wait)
{
    (void)rh_reactor_wait(reactor, wait);
    rh_reactor_expire(reactor);
}

static void ask(const char *host, asker_t *asker)
{
    memset(asker, 0, sizeof(*asker));
    asker->query.answered = answered;
    asker->query.baton = asker;
    rh_resolver_ask(resolver, host, &asker->query);
}

static const asker_t *resolve(const char *host)
{
    static asker_t asker;

    ask(host, &asker);
    while (!asker.answers) {
        turn(apr_time_from_sec(1));
    }
    return &asker;
}

static int asked(void)
{
    return __atomic_exchange_n(&questions, 0, __ATOMIC_SEQ_CST);
}

static void names(void)
{
    char text[RH_ADDRESS_TEXT_BYTES];
    const asker_t *asker;
    apr_time_t began;

    open_loop();
    asker = resolve("one.test");
    is_int(asker->got.count, 1, "a name has an address");
    is(rh_address_write(&asker->got.address[0], text), "127.0.0.1", "  it is the right one");
    is_int(asked(), 2, "  with one question per family");
    is_int(resolve("many.test")->got.count, RH_MAX_ADDRESSES, "of many addresses some are used");
    (void)asked();
    asker = resolve("many.test");
    is_int(asked(), 0, "results are cached");
    turn(apr_time_from_msec(1100));
    turn(apr_time_from_msec(1100));
    asker = resolve("one.test");
    is_int(asked(), 2, "for their TTL");
    asker = resolve("alias.test");
    is_int(asker->got.count, 1, "an alias has an address");
    (void)asked();
    turn(apr_time_from_msec(1100));
    turn(apr_time_from_msec(1100));
    asker = resolve("alias.test");
    is_int(asked(), 2, "  for the smallest of their TTLs");
    asker = resolve("both.test");
    ok(asker->got.count == 2 && asker->got.address[0].family == AF_INET6 &&
           asker->got.address[1].family == AF_INET,
       "a name with both families: IPv6 first");
    asker = resolve("none.test");
    ok(asker->got.count == 0, "a name that does not exist");
    is(asker->got.error, "the name does not exist", "  why");
    (void)asked();
    asker = resolve("none.test");
    ok(asker->got.error && asked() == 0, "  this is cached too");
    is(resolve("empty.test")->got.error, "the name has no address", "a name without an address");
    is(resolve("fail.test")->got.error, "the name servers failed", "a failing server");
    began = rh_monotonic_now();
    is(resolve("mute.test")->got.error, "no name server answers", "a silent server");
    ok(rh_monotonic_now() - began < apr_time_from_sec(30), "  the wait for it is short");
    (void)asked();
    is_int(resolve("127.0.0.9")->got.count, 1, "an address is its own result");
    is_int(resolve("2001:db8::1")->got.address[0].family, AF_INET6, "also of IPv6");
    is_int(resolve("localhost")->got.count, 2, "localhost is loopback");
    is_int(resolve("a.LocalHost")->got.count, 2, "so are names below it");
    is_int(asked(), 0, "  the server was not asked");
    apr_pool_destroy(loop_pool);
}

static void several(void)
{
    static asker_t askers[600];
    int answers = 0;

    open_loop();
    (void)asked();
    ask("slow.test", &askers[0]);
    ask("slow.test", &askers[1]);
    ask("slow.test", &askers[2]);
    rh_resolver_forget(&askers[1].query);
    while (!askers[0].answers || !askers[2].answers) {
        turn(apr_time_from_sec(1));
    }
    is_int(asked(), 2, "concurrent queries for one name share the question");
    ok(askers[0].got.count == 1 && askers[2].got.count == 1, "  and the response");
    is_int(askers[1].answers, 0, "  except for one that was cancelled");
    rh_resolver_forget(&askers[1].query);

    ask("mute.test", &askers[0]);
    ask("half.test", &askers[1]);
    while (!askers[1].answers) {
        turn(apr_time_from_sec(1));
    }
    ok(askers[1].got.count == 1 && !askers[0].answers,
       "if the server is silent about IPv6, the wait ends early");
    while (!askers[0].answers) {
        turn(apr_time_from_sec(1));
    }
    is(askers[0].got.error, "no name server answers", "  silence about both is reported");
    is_int(resolve("late.test")->got.count, 1, "if IPv4 has no address, IPv6 is waited for");

    for (int i = 0; i < 600; i++) {
        ask(apr_psprintf(loop_pool, "one.number%d.test", i), &askers[i]);
    }
    for (int i = 0; i < 5000 && answers < 600; i++) {
        turn(apr_time_from_msec(100));
        answers = 0;
        for (int j = 0; j < 600; j++) {
            answers += askers[j].answers;
        }
    }
    is_int(answers, 600, "many concurrent names all get responses");
    for (int i = 0; i < 3000; i++) {
        (void)resolve(apr_psprintf(loop_pool, "one.next%d.test", i));
    }
    (void)asked();
    (void)resolve("one.next2999.test");
    is_int(asked(), 0, "of more names than the cache holds the last ones are kept");
    ask("mute.test", &askers[0]);
    turn(apr_time_from_msec(20));
    apr_pool_destroy(loop_pool);
    is_int(askers[0].answers, 0, "the end of the loop calls no callback");
}

/* ---- the dial ---- */

typedef struct caller_t {
    rh_dial_t dial;
    bool over;
    rh_exchange_result_t result;
    const char *error;
} caller_t;

static void connected(void *baton, rh_watch_t *watch)
{
    caller_t *caller = baton;

    caller->over = true;
    caller->result = RH_EXCHANGE_OK;
    rh_watch_close(watch);
}

static void failed(void *baton, rh_exchange_result_t result, const char *error)
{
    caller_t *caller = baton;

    caller->over = true;
    caller->result = result;
    caller->error = error;
}

static void dial(rh_connections_t *connections, const rh_egress_policy_t *policy, const char *host,
                 unsigned short port, rh_exchange_result_t result, const char *error,
                 const char *name)
{
    caller_t caller;

    memset(&caller, 0, sizeof(caller));
    caller.dial.reactor = reactor;
    caller.dial.resolver = resolver;
    caller.dial.connections = connections;
    caller.dial.pool = loop_pool;
    caller.dial.host = host;
    caller.dial.port = port;
    caller.dial.policy = policy;
    caller.dial.connected = connected;
    caller.dial.failed = failed;
    caller.dial.baton = &caller;
    rh_dial_start(&caller.dial);
    while (!caller.over) {
        turn(apr_time_from_sec(1));
    }
    is_int(caller.result, result, name);
    is(caller.error, error, "  why");
}

static void dials(void)
{
    static const rh_client_limits_t limits = {1, 1, 1, 0, 0};
    rh_egress_policy_t *policy = rh_egress_make(pool);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    unsigned short port = net_bind_to_loopback(listener);
    rh_connections_t *connections;

    listen(listener, 10);
    rh_egress_add(policy, true, "127.0.0.0/8");
    open_loop();
    connections = rh_connections_make(loop_pool, reactor, &limits);
    dial(connections, policy, "one.test", port, RH_EXCHANGE_OK, NULL, "a name is connected to");
    dial(connections, policy, "private.test", port, RH_EXCHANGE_REFUSED_ADDRESS,
         "refused: the address of private.test is not allowed",
         "a name with a private address is refused");
    dial(connections, policy, "mixed.test", port, RH_EXCHANGE_OK, NULL,
         "of a name's addresses only the allowed ones are tried");
    dial(connections, policy, "both.test", port, RH_EXCHANGE_OK, NULL,
         "if one family can't be reached, the other is tried");
    dial(connections, policy, "none.test", port, RH_EXCHANGE_RESOLVE,
         "DNS: none.test: the name does not exist", "a name that does not exist");
    dial(connections, NULL, "one.test", port, RH_EXCHANGE_REFUSED_ADDRESS,
         "refused: the address of one.test is not allowed", "by default loopback is refused");
    close(listener);
    dial(connections, policy, "one.test", port, RH_EXCHANGE_CONNECT,
         apr_psprintf(loop_pool, "connect to one.test port %hu: Connection refused", port),
         "nobody listens");
    apr_pool_destroy(loop_pool);
}

int main(void)
{
    pthread_t thread;

    signal(SIGPIPE, SIG_IGN);
    apr_initialize();
    apr_pool_create(&pool, NULL);
    if (rh_resolver_global_init(pool) != APR_SUCCESS) {
        return 1;
    }
    name_server = socket(AF_INET, SOCK_DGRAM, 0);
    server_port = net_bind_to_loopback(name_server);
    pthread_create(&thread, NULL, serve_names, NULL);
    names();
    several();
    dials();
    shutdown(name_server, SHUT_RDWR);
    pthread_join(thread, NULL);
    while (__atomic_load_n(&to_be_said, __ATOMIC_SEQ_CST) > 0) {
        usleep(10000);
    }
    close(name_server);
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
