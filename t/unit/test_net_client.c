/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "net_server.h"

#include "rh_client.h"

#include "tap.h"

#include <apr_general.h>
#include <signal.h>

#define SECONDS(number) apr_time_from_msec((number)*1000)

static apr_pool_t *pool, *loop_pool;
static net_server_t server;
static rh_net_config_t net;
static rh_transport_t *transport;
static int running, cancelled;

static void done(rh_exchange_t *exchange, void *baton)
{
    (void)baton;
    running--;
    cancelled += exchange->result == RH_EXCHANGE_CANCELLED;
}

static apr_interval_time_t connection_life;

static void open_client(int max_idle, int max_idle_per_key, apr_interval_time_t idle_timeout)
{
    rh_client_limits_t limits = {max_idle, max_idle_per_key, idle_timeout, connection_life, 0};
    apr_allocator_t *allocator;

    apr_allocator_create(&allocator);
    apr_pool_create_ex(&loop_pool, NULL, NULL, allocator);
    apr_allocator_owner_set(allocator, loop_pool);
    if (rh_client_make(loop_pool, &limits, NULL, &transport) != APR_SUCCESS) {
        ok(false, "a client can be made");
        exit(1);
    }
}

/** Close it, and check that all of its connections are closed. */
static void close_client(const char *name)
{
    apr_pool_destroy(loop_pool);
    for (int i = 0; i < 500 && net_count(server.open); i++) {
        usleep(10000);
    }
    is_int(net_count(server.open), 0, name);
}

static rh_exchange_t *begin(const char *url, const char *key, rh_bytes_t body,
                            apr_interval_time_t timeout)
{
    rh_exchange_t *exchange;
    apr_pool_t *own;

    apr_pool_create(&own, pool);
    exchange = apr_pcalloc(own, sizeof(*exchange));
    exchange->pool = own;
    exchange->url =
        *url == '/' ? apr_psprintf(own, "http://127.0.0.1:%hu%s", server.port, url) : url;
    exchange->headers = apr_table_make(own, 2);
    apr_table_setn(exchange->headers, "X-Test", "yes");
    exchange->body = body;
    exchange->timeout = timeout;
    exchange->connect_timeout = timeout;
    exchange->net = &net;
    exchange->reuse_key = key;
    exchange->done = done;
    running++;
    transport->send(transport, exchange);
    return exchange;
}

static void finish(void)
{
    while (running) {
        transport->poll(transport, SECONDS(1));
    }
}

static const rh_bytes_t small = {"[{}]", 4};

/** Make one exchange from begin to end. */
static rh_exchange_t *post(const char *url)
{
    rh_exchange_t *exchange = begin(url, "key", small, SECONDS(10));

    finish();
    return exchange;
}

/** An exchange records where it went and how long its parts took. */
static void parts(void)
{
    char address[32];
    rh_exchange_t *exchange;

    open_client(4, 4, SECONDS(30));
    snprintf(address, sizeof(address), "127.0.0.1:%hu", server.port);
    exchange = begin("/ok", "parts", small, SECONDS(10));
    finish();
    is(exchange->address, address, "the address that was connected to is recorded");
    ok(exchange->times.resolve >= 0 && exchange->times.connect >= 0 &&
           exchange->times.first_byte >= 0 && exchange->times.tls == -1,
       "so are the times to resolve and connect, and to the first byte; without TLS there is none "
       "for it");
    ok(exchange->times.resolve + exchange->times.connect + exchange->times.first_byte <=
           exchange->duration,
       "they are parts of the whole");
    exchange = begin("/ok", "parts", small, SECONDS(10));
    finish();
    ok(strcmp(exchange->address, address) == 0 && exchange->times.connect == -1 &&
           exchange->times.resolve == -1 && exchange->times.first_byte >= 0,
       "also on an idle connection, where connecting took no time");
    exchange = begin("http://127.0.0.1:1/", "parts", small, SECONDS(10));
    finish();
    is(exchange->address, "127.0.0.1:1", "an address that refuses is recorded likewise");
    ok(exchange->times.connect >= 0 && exchange->times.first_byte == -1,
       "with the time until it refused");
    exchange = begin("http://169.254.169.254/", "parts", small, SECONDS(10));
    finish();
    is(exchange->address, "", "an address that is not allowed is not recorded");
    close_client("no connection is left open");
}

static void expect(const char *path, rh_exchange_result_t result, int status_code, const char *said,
                   const char *name)
{
    rh_exchange_t *exchange = post(path);
    const char *got =
        exchange->error
            ? exchange->error
            : apr_pstrmemdup(exchange->pool, exchange->answer.data ? exchange->answer.data : "",
                             exchange->answer.len);

    is_int(exchange->result, result, name);
    is_int(exchange->status_code, status_code, "  its status");
    is(got, said, "  what it said");
    ok((exchange->error == NULL) == (result == RH_EXCHANGE_OK), "  an error is reported as one");
    apr_pool_destroy(exchange->pool);
}

static void answers(void)
{
    rh_exchange_t *exchange;

    open_client(8, 8, SECONDS(30));
    exchange = post("/ok?a=b");
    is_int(exchange->status_code, 200, "a target answers");
    ok(strstr(server.last, "POST /ok?a=b HTTP/1.1\r\n") && strstr(server.last, "X-Test: yes\r\n"),
       "the target had the request");
    ok(exchange->sent_first_byte_at >= exchange->started_at && exchange->duration >= 0,
       "its times are known");
    expect("/chunked", RH_EXCHANGE_OK, 200, "hello world", "chunks of one byte");
    expect("/close", RH_EXCHANGE_OK, 200, "ok", "a response whose end closes the connection");
    expect("/half", RH_EXCHANGE_RESET, 0,
           "the connection was closed before the answer was whole (its status was 200)",
           "half an answer");
    expect("/eof", RH_EXCHANGE_RESET, 0, "the connection was closed without an answer",
           "no answer");
    expect("/reset", RH_EXCHANGE_RESET, 0, "Connection reset by peer", "a reset");
    expect("/garbage", RH_EXCHANGE_PROTOCOL, 0, "not a valid answer: it is not HTTP/1.x",
           "no HTTP");
    expect("https://user@127.0.0.1/", RH_EXCHANGE_BAD_URL, 0, "URL: must not contain credentials",
           "no URL");
    expect("http://10.1.2.3/", RH_EXCHANGE_REFUSED_ADDRESS, 0,
           "refused: the address of 10.1.2.3 is not allowed", "a private address");
    expect("http://[::1]/", RH_EXCHANGE_REFUSED_ADDRESS, 0,
           "refused: the address of ::1 is not allowed", "one of IPv6");
    exchange = post("/flood");
    ok(exchange->result == RH_EXCHANGE_OK && exchange->answer.len == RH_MAX_ANSWER,
       "a body without end is read up to the limit");
    exchange = post(apr_psprintf(pool, "http://localhost:%hu/ok", server.port));
    is_int(exchange->status_code, 200, "localhost is resolved, and its allowed address used");
    close_client("the client's end closes its connections");
}

static void refused_port(void)
{
    net_server_t gone;
    rh_exchange_t *exchange;
    const char *url;

    net_server_start(&gone, NULL);
    net_server_stop(&gone);
    open_client(8, 8, SECONDS(30));
    url = apr_psprintf(pool, "http://127.0.0.1:%hu/", gone.port);
    exchange = post(url);
    is_int(exchange->result, RH_EXCHANGE_CONNECT, "a closed port");
    is(exchange->error,
       apr_psprintf(pool, "connect to 127.0.0.1 port %hu: Connection refused", gone.port), "  why");
    is_int(exchange->sent_first_byte_at, 0, "  nothing was sent");
    close_client("nothing stays");
}

static void reuse(void)
{
    int before = net_count(server.connections);
    rh_exchange_t *exchange;

    open_client(8, 8, SECONDS(30));
    for (int i = 0; i < 5; i++) {
        apr_pool_destroy(post("/ok")->pool);
    }
    is_int(net_count(server.connections) - before, 1, "five requests share a connection");
    exchange = begin("/ok", "another", small, SECONDS(10));
    finish();
    is_int(net_count(server.connections) - before, 2, "but not with another reuse key");
    apr_pool_destroy(exchange->pool);
    close_client("both are closed");

    before = net_count(server.connections);
    open_client(8, 8, SECONDS(30));
    post("/hangup");
    usleep(100000);
    is_int(post("/ok")->status_code, 200, "a connection that was closed while idle is not used");
    is_int(net_count(server.connections) - before, 2, "  a new one is");
    close_client("all are closed");

    before = net_count(server.connections);
    open_client(8, 8, SECONDS(30));
    post("/once");
    exchange = post("/once");
    is_int(exchange->status_code, 200,
           "a connection that is closed under a request: it is sent again");
    is_int(net_count(server.connections) - before, 2, "  on a new one");
    before = net_count(server.requests);
    exchange = post("/eof");
    is_int(exchange->result, RH_EXCHANGE_RESET, "if the new one is closed too, that is the result");
    is_int(net_count(server.requests) - before, 2, "  after two requests");
    close_client("all are closed");

    open_client(8, 8, SECONDS(30));
    post("/late");
    before = net_count(server.requests);
    exchange = post("/late");
    is_int(exchange->result, RH_EXCHANGE_RESET,
           "a connection that is closed while the target works");
    is_int(net_count(server.requests) - before, 1, "  the target had the request once");
    close_client("all are closed");

    open_client(8, 8, SECONDS(30));
    (void)begin("/once", "key", small, SECONDS(10));
    (void)begin("/once", "key", small, SECONDS(10));
    finish();
    before = net_count(server.requests);
    is_int(post("/once")->status_code, 200, "with several that will be closed");
    is_int(net_count(server.requests) - before, 2, "  only one of them is tried");
    close_client("all are closed");

    before = net_count(server.connections);
    open_client(0, 0, SECONDS(30));
    post("/ok");
    ok(strstr(server.last, "Connection: close"),
       "if no idle connection may be kept, the request says close");
    post("/ok");
    is_int(net_count(server.connections) - before, 2, "each request has its own");
    close_client("all are closed");
}

/** Poll until that many connections are open at the server, or for too long. */
static void wait_open(int expected, const char *name)
{
    apr_time_t until = apr_time_now() + SECONDS(60);

    while (net_count(server.open) != expected && apr_time_now() < until) {
        transport->poll(transport, apr_time_from_msec(10));
    }
    is_int(net_count(server.open), expected, name);
}

/** Make many exchanges at once, then check which connections are kept. */
static void keep(int count, const char *const *keys, int expected, const char *name)
{
    for (int i = 0; i < count; i++) {
        (void)begin("/ok", keys ? keys[i] : "key", small, SECONDS(10));
    }
    finish();
    wait_open(expected, name);
}

static void bounds(void)
{
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f"};

    open_client(8, 2, SECONDS(30));
    keep(6, NULL, 2, "a maximum of idle connections per key is kept");
    close_client("all are closed");
    open_client(3, 2, SECONDS(30));
    keep(6, keys, 3, "so is a maximum for all keys");
    close_client("all are closed");
    open_client(8, 8, SECONDS(2));
    keep(3, NULL, 3, "idle connections are kept");
    wait_open(0, "but not for ever");
    close_client("none is left");
    connection_life = 1;
    open_client(8, 8, SECONDS(30));
    connection_life = 0;
    post("/ok");
    wait_open(0, "a connection past its maximum age is not kept");
    close_client("none is left");
    open_client(8, 8, SECONDS(30));
    post("/brief");
    is_int(net_count(server.open), 1, "a target that announces an idle time-out of a second");
    wait_open(0, "its connection is closed before that");
    close_client("none is left");
}

static void time_outs(void)
{
    rh_exchange_t *drip, *never, *handshake;
    net_server_t deaf;
    apr_time_t began = apr_time_now();

    open_client(8, 8, SECONDS(30));
    drip = begin("/drip", "key", small, SECONDS(2));
    never = begin("/never", "key", small, SECONDS(1));
    finish();
    ok(apr_time_now() - began < SECONDS(30), "an exchange that takes too long is ended");
    is_int(drip->result, RH_EXCHANGE_TIMEOUT, "also while single bytes arrive");
    is(drip->error, "time-out after 2.0 s: reading the answer", "  when");
    is_int(never->result, RH_EXCHANGE_TIMEOUT, "also while nothing arrives");
    is(never->error, "time-out after 1.0 s: waiting for an answer", "  when");
    ok(never->duration >= SECONDS(1) && never->duration < SECONDS(20), "  in time");

    net_server_start(&deaf, NULL);
    handshake =
        begin(apr_psprintf(pool, "https://127.0.0.1:%hu/", deaf.port), "key", small, SECONDS(10));
    transport->cancel_all(transport);
    is_int(handshake->result, RH_EXCHANGE_CANCELLED, "a handshake can be cancelled");
    handshake = begin(handshake->url, "key", small, SECONDS(1));
    finish();
    is(handshake->error, "time-out after 1.0 s: TLS handshake", "and takes no longer than it may");
    close_client("all are closed");
    net_server_stop(&deaf);
}

static void cancel(void)
{
    rh_exchange_t *exchanges[4];

    open_client(8, 8, SECONDS(30));
    post("/ok");
    exchanges[0] = begin("/never", "key", small, SECONDS(60));
    exchanges[1] = begin("/drip", "key", small, SECONDS(60));
    exchanges[2] = begin("http://nowhere.invalid/", "key", small, SECONDS(60));
    exchanges[3] = begin("ftp://x/", "key", small, SECONDS(60));
    is_int(running, 4, "no callback is called from within send");
    transport->poll(transport, 0);
    cancelled = 0;
    transport->cancel_all(transport);
    is_int(running, 0, "cancelling ends all");
    ok(cancelled >= 2, "running ones as cancelled");
    is_int(exchanges[3]->result, RH_EXCHANGE_BAD_URL, "a failed one keeps its result");
    transport->cancel_all(transport);
    is_int(post("/ok")->status_code, 200, "the client can still be used");
    (void)begin("/never", "key", small, SECONDS(60));
    transport->poll(transport, 0);
    close_client("a client that ends cancels what is running");
    running = 0;
}

static void large(void)
{
    rh_exchange_t *exchange;
    rh_bytes_t body;
    char *bytes = malloc(4 << 20);

    memset(bytes, 'x', 4 << 20);
    body.data = bytes;
    body.len = 4 << 20;
    open_client(8, 8, SECONDS(30));
    exchange = begin("/ok", "key", body, SECONDS(10));
    finish();
    is_int(exchange->status_code, 200, "a large body is sent in parts");
    exchange = begin("/early", "key", body, SECONDS(10));
    finish();
    is_int(exchange->status_code, 413, "a response before the request's end counts");
    is_int(post("/ok")->status_code, 200, "its connection is not reused");
    close_client("all are closed");
    free(bytes);
}

static void *wake(void *data)
{
    (void)data;
    usleep(100000);
    transport->wakeup(transport);
    return NULL;
}

static void wake_up(void)
{
    apr_time_t began;
    pthread_t thread;

    open_client(8, 8, SECONDS(30));
    transport->wakeup(transport);
    began = apr_time_now();
    transport->poll(transport, SECONDS(20));
    ok(apr_time_now() - began < SECONDS(15), "the next poll can be woken");
    pthread_create(&thread, NULL, wake, NULL);
    transport->poll(transport, SECONDS(20));
    ok(apr_time_now() - began < SECONDS(15), "so can a running one");
    pthread_join(thread, NULL);
    began = apr_time_now();
    transport->poll(transport, apr_time_from_msec(50));
    ok(apr_time_now() - began >= apr_time_from_msec(49), "only once");
    close_client("all are closed");
}

int main(void)
{
    rh_egress_policy_t *policy;
    const char *error = NULL;

    signal(SIGPIPE, SIG_IGN);
    apr_initialize();
    apr_pool_create(&pool, NULL);
    policy = rh_egress_make(pool);
    rh_egress_add(policy, true, "127.0.0.0/8");
    net.policy = policy;
    if (rh_client_global_init(pool) != APR_SUCCESS || !net_server_start(&server, NULL) ||
        rh_net_config_init(&net, pool, &error) != APR_SUCCESS) {
        printf("Bail out! %s\n", error ? error : "no server on loopback");
        return 1;
    }
    answers();
    refused_port();
    parts();
    reuse();
    bounds();
    time_outs();
    cancel();
    large();
    wake_up();
    net_server_stop(&server);
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
