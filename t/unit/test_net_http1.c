/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "tap.h"

#include "rh_http1.h"

#include <apr_general.h>
#include <stdlib.h>

static apr_pool_t *pool;
static rh_http1_t answer;

/** Read a response in pieces of `step` bytes; `closed`: the connection ends after it. */
static rh_http1_result_t feed(const char *text, apr_size_t len, apr_size_t step, bool closed,
                              apr_size_t *total)
{
    rh_http1_result_t result = RH_HTTP1_MORE;
    apr_size_t at = 0, used = 0;

    apr_pool_clear(pool);
    rh_http1_begin(&answer, pool, false);
    while (result == RH_HTTP1_MORE && at < len) {
        apr_size_t size = len - at < step ? len - at : step;
        /* In a block of its own, so that a read past its end is noticed. */
        char *piece = malloc(size);

        memcpy(piece, text + at, size);
        result = rh_http1_feed(&answer, piece, size, &used);
        free(piece);
        at += used;
    }
    *total = at;
    return result == RH_HTTP1_MORE && closed ? rh_http1_end(&answer) : result;
}

typedef struct case_t {
    const char *name, *text;
    bool closed;
    rh_http1_result_t result;
    int status_code;
    const char *body; /**< expected text, or the error */
    bool reusable;
    int rest; /**< number of bytes after the response */
} case_t;

#define H11 "HTTP/1.1 200 OK\r\n"
#define CHUNKED H11 "Transfer-Encoding: chunked\r\n\r\n"

static const case_t cases[] = {
    {"a length", H11 "Content-Length: 5\r\n\r\nhello", false, RH_HTTP1_DONE, 200, "hello", true, 0},
    {"no body", H11 "Content-Length: 0\r\n\r\n", false, RH_HTTP1_DONE, 200, "", true, 0},
    {"bytes after it", H11 "Content-Length: 2\r\n\r\nokHTTP", false, RH_HTTP1_DONE, 200, "ok", true,
     4},
    {"line feeds alone", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", false, RH_HTTP1_DONE, 200,
     "ok", true, 0},
    {"no reason", "HTTP/1.1 204 \r\n\r\n", false, RH_HTTP1_DONE, 204, "", true, 0},
    {"no blank when there is no reason", "HTTP/1.1 204\r\n\r\n", false, RH_HTTP1_DONE, 204, "",
     true, 0},
    {"204 with a length of 0", "HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n", false, RH_HTTP1_DONE,
     204, "", true, 0},
    {"204 with a length: the connection's last response",
     "HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\n", false, RH_HTTP1_DONE, 204, "", false, 0},
    {"204 with chunks: likewise", "HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     false, RH_HTTP1_DONE, 204, "", false, 5},
    {"304", "HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n", false, RH_HTTP1_DONE, 304, "", true, 0},
    {"interim answers",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nConnection: close\r\n"
     "Content-Length: 9\r\n\r\n" H11 "Content-Length: 2\r\n\r\nok",
     false, RH_HTTP1_DONE, 200, "ok", true, 0},
    {"only an interim response", "HTTP/1.1 100 Continue\r\n\r\n", true, RH_HTTP1_CUT, 0,
     "the connection was closed within the answer's header", false, 0},
    {"close", H11 "Content-Length: 2\r\nConnection: foo, Close\r\n\r\nok", false, RH_HTTP1_DONE,
     200, "ok", false, 0},
    {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, RH_HTTP1_DONE, 200, "ok",
     false, 0},
    {"HTTP/1.0 with keep-alive",
     "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", false,
     RH_HTTP1_DONE, 200, "ok", true, 0},
    {"up to the close", H11 "\r\nuntil the end", true, RH_HTTP1_DONE, 200, "until the end", false,
     0},
    {"the same length twice", H11 "Content-Length: 2\r\nContent-Length: 2, 2\r\n\r\nok", false,
     RH_HTTP1_DONE, 200, "ok", true, 0},
    {"chunks", CHUNKED "5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n", false, RH_HTTP1_DONE, 200,
     "hello world", true, 0},
    {"chunks with extensions and a trailer",
     CHUNKED "5;a=\"b\";c\r\nhello\r\n0001 ;x\r\n!\r\n000;z\r\nX-End: 1\r\n folded\r\n\r\n", false,
     RH_HTTP1_DONE, 200, "hello!", true, 0},
    {"chunks in upper-case hexadecimal", CHUNKED "A\r\n0123456789\r\n0\r\n\r\n", false,
     RH_HTTP1_DONE, 200, "0123456789", true, 0},
    {"chunks and a length: chunks win, and it is the last response",
     H11 "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false,
     RH_HTTP1_DONE, 200, "ok", false, 0},
    {"a coding inside the chunks",
     H11 "Transfer-Encoding: gzip, Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, RH_HTTP1_DONE, 200,
     "ok", true, 0},
    {"a coding outside of the chunks: until the close",
     H11 "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n2\r\nok", true, RH_HTTP1_DONE,
     200, "2\r\nok", false, 0},
    {"the identity coding", H11 "Transfer-Encoding: Identity\r\nContent-Length: 2\r\n\r\nok", false,
     RH_HTTP1_DONE, 200, "ok", true, 0},
    {"no coding at all", H11 "Transfer-Encoding: ,\r\nContent-Length: 2\r\n\r\nok", false,
     RH_HTTP1_DONE, 200, "ok", true, 0},
    {"an unknown coding: until the close",
     H11 "Transfer-Encoding: x\r\nContent-Length: 2\r\n\r\nokay", true, RH_HTTP1_DONE, 200, "okay",
     false, 0},
    {"a folded field", H11 "X-A: a\r\n  b\r\n\tc\r\nContent-Length:\r\n 2\r\n\r\nok", false,
     RH_HTTP1_DONE, 200, "ok", true, 0},
    {"status 999", "HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", false, RH_HTTP1_DONE, 999, "",
     true, 0},

    {"nothing", "", true, RH_HTTP1_CUT, 0, "the connection was closed without an answer", false, 0},
    {"half a body", H11 "Content-Length: 9\r\n\r\nhalf", true, RH_HTTP1_CUT, 200,
     "the connection was closed before the answer was whole", false, 0},
    {"half of the chunks", CHUNKED "5\r\nhello\r\n", true, RH_HTTP1_CUT, 200,
     "the connection was closed before the answer was whole", false, 0},
    {"two lengths", H11 "Content-Length: 2\r\nContent-Length: 30\r\n\r\nok", false, RH_HTTP1_BAD,
     200, "its Content-Length is wrong or contradicts itself", false, -1},
    {"two lengths in a list", H11 "Content-Length: 2, 3\r\n\r\nok", false, RH_HTTP1_BAD, 200,
     "its Content-Length is wrong or contradicts itself", false, -1},
    {"a negative length", H11 "Content-Length: -2\r\n\r\nok", false, RH_HTTP1_BAD, 200,
     "its Content-Length is wrong or contradicts itself", false, -1},
    {"an empty length", H11 "Content-Length: \r\n\r\nok", false, RH_HTTP1_BAD, 200,
     "its Content-Length is wrong or contradicts itself", false, -1},
    {"a length beyond 64 bits", H11 "Content-Length: 99999999999999999999\r\n\r\nok", false,
     RH_HTTP1_BAD, 200, "its Content-Length is wrong or contradicts itself", false, -1},
    {"chunked twice", H11 "Transfer-Encoding: chunked, chunked\r\n\r\n", false, RH_HTTP1_BAD, 200,
     "its Transfer-Encoding is chunked twice", false, -1},
    {"no size", CHUNKED ";x\r\n", false, RH_HTTP1_BAD, 200, "a chunk has no size", false, -1},
    {"a size with a sign", CHUNKED "+5\r\nhello\r\n", false, RH_HTTP1_BAD, 200,
     "a chunk has no size", false, -1},
    {"a size with 0x", CHUNKED "0x5\r\nhello\r\n", false, RH_HTTP1_BAD, 200,
     "a chunk's size is malformed", false, -1},
    {"a size beyond 64 bits", CHUNKED "fffffffffffffffff\r\n", false, RH_HTTP1_BAD, 200,
     "a chunk is too large", false, -1},
    {"a chunk longer than its size", CHUNKED "2\r\nokay\r\n", false, RH_HTTP1_BAD, 200,
     "a chunk is longer than its size", false, -1},
    {"garbage", "\x16\x03\x01\x02", false, RH_HTTP1_BAD, 0, "it is not HTTP/1.x", false, -1},
    {"HTTP/2", "HTTP/2 200\r\n\r\n", false, RH_HTTP1_BAD, 0, "it is not HTTP/1.x", false, -1},
    {"HTTP/0.9", "<html>", false, RH_HTTP1_BAD, 0, "it is not HTTP/1.x", false, -1},
    {"a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", false, RH_HTTP1_BAD, 0,
     "its status line is malformed", false, -1},
    {"a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", false, RH_HTTP1_BAD, 0,
     "its status line is malformed", false, -1},
    {"status 099", "HTTP/1.1 099 OK\r\n\r\n", false, RH_HTTP1_BAD, 0,
     "its status line is malformed", false, -1},
    {"a switch of protocols", "HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\n", false, RH_HTTP1_BAD, 101,
     "it switches to a protocol that was not asked for", false, -1},
    {"no colon", H11 "foo\r\n\r\n", false, RH_HTTP1_BAD, 200, "a line of its header has no colon",
     false, -1},
    {"a blank before the colon", H11 "Content-Length : 2\r\n\r\nok", false, RH_HTTP1_BAD, 200,
     "a field of its header has a bad name", false, -1},
    {"a fold without a field", H11 " foo: bar\r\n\r\n", false, RH_HTTP1_BAD, 200,
     "a field of its header has a bad name", false, -1},
    {"a carriage return in a value", H11 "A: b\rc\r\n\r\n", false, RH_HTTP1_BAD, 200,
     "a field of its header has a bad value", false, -1},
};

static void check_case(const case_t *it)
{
    static const apr_size_t steps[] = {1000000, 1, 3, 7};
    apr_size_t len = strlen(it->text);

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        apr_size_t total = 0;
        rh_http1_result_t result = feed(it->text, len, steps[i], it->closed, &total);
        const char *said =
            result == RH_HTTP1_DONE
                ? apr_pstrmemdup(pool, answer.body.data ? answer.body.data : "", answer.body.len)
                : answer.error;
        bool right = result == it->result && answer.status_code == it->status_code && said &&
                     strcmp(said, it->body) == 0 && answer.reusable == it->reusable &&
                     (it->rest < 0 || steps[i] < 1000000 || len - total == (apr_size_t)it->rest);

        if (!ok(right, "%s, in pieces of %d", it->name, (int)steps[i])) {
            printf("#      got: result %d, status %d, %s, reusable %d, rest %d\n", (int)result,
                   answer.status_code, said ? said : "NULL", answer.reusable, (int)(len - total));
        }
    }
}

/** A header and `count` times the same piece after it. */
static char *repeated(const char *head, const char *piece, int count, apr_size_t *len)
{
    apr_size_t head_len = strlen(head), piece_len = strlen(piece);
    char *text = malloc(head_len + piece_len * (apr_size_t)count);

    memcpy(text, head, head_len);
    for (int i = 0; i < count; i++) {
        memcpy(text + head_len + piece_len * (apr_size_t)i, piece, piece_len);
    }
    *len = head_len + piece_len * (apr_size_t)count;
    return text;
}

static void check_bound(const char *name, const char *head, const char *piece, int count,
                        const char *error)
{
    apr_size_t len, total;
    char *text = repeated(head, piece, count, &len);

    is_int(feed(text, len, 4096, false, &total), RH_HTTP1_BAD, name);
    is(answer.error, error, name);
    ok(total <= RH_HTTP1_MAX_HEADER + 4096, "%s: not read to its end", name);
    free(text);
}

static void check_bounds(void)
{
    apr_size_t len, total;
    char *text;

    check_bound("fields without end", H11, "X-A: b\r\n", 100000, "its header has over 256 fields");
    check_bound("a line without end", H11 "X-A: ", "bbbbbbbb", 100000, "its header is over 64 KiB");
    check_bound("a fold without end", H11 "X-A: b\r\n", " \r\n", 100000,
                "its header is over 64 KiB");
    check_bound("a status line without end", "HTTP/1.1 200 ", "bbbbbbbb", 100000,
                "its header is over 64 KiB");
    check_bound("interim responses without end", "", "HTTP/1.1 100 Continue\r\n\r\n", 100000,
                "its header is over 64 KiB");
    check_bound("a trailer without end", CHUNKED "0\r\n", "X-A: b\r\n", 100000,
                "its header has over 256 fields");
    check_bound("an extension without end", CHUNKED "1;", "bbbbbbbb", 100000,
                "a chunk's extensions are over 4 KiB");
    text = repeated(CHUNKED, "10\r\n0123456789abcdef\r\n", 100000, &len);
    is_int(feed(text, len, 8192, false, &total), RH_HTTP1_DONE,
           "a response may be of chunks without end");
    ok(total <= RH_HTTP1_MAX_BODY + 8192, "it is read up to its limit");
    is_int((long long)answer.body.len, RH_MAX_ANSWER, "that much is kept");
    ok(!answer.reusable, "its connection is not reused");
    free(text);
    text = repeated(H11 "Content-Length: 20000\r\n\r\n", "0123456789", 2000, &len);
    is_int(feed(text, len, 8192, false, &total), RH_HTTP1_DONE, "a body beyond what is kept");
    ok(answer.reusable && answer.body.len == RH_MAX_ANSWER && total == len,
       "it is read to its end, and the connection reused");
    free(text);
}

static void check_keep(void)
{
    apr_size_t len, used;
    char *text = repeated(H11 "Content-Length: 400000\r\n\r\n", "0123456789", 40000, &len);

    apr_pool_clear(pool);
    rh_http1_begin(&answer, pool, false);
    rh_http1_keep(&answer, 300000);
    is_int(rh_http1_feed(&answer, text, len, &used), RH_HTTP1_DONE,
           "a caller that wants to keep more");
    ok(answer.body.len == 300000 && used == len &&
           memcmp(answer.body.data + 299990, "0123456789", 10) == 0,
       "gets that much");
    free(text);
}

static void check_fields(void)
{
    const char *text = H11 "Set-Cookie: a\r\nX-Fold: a\r\n   b \r\nset-cookie: b\r\n"
                           "Keep-Alive: max=3, timeout=5\r\nRetry-After:  7\t\r\n"
                           "Content-Length: 0\r\n\r\n";
    apr_size_t total;
    const apr_array_header_t *fields;

    feed(text, strlen(text), 5, false, &total);
    fields = apr_table_elts(answer.headers);
    is_int(fields->nelts, 6, "every field is kept");
    is(apr_table_get(answer.headers, "retry-after"), "7", "without the blanks around its value");
    is(apr_table_get(answer.headers, "X-Fold"), "a    b", "a folded field is one field");
    is(apr_table_getm(pool, answer.headers, "Set-Cookie"), "a,b", "repeated ones are all there");
    is_int(answer.idle_seconds, 5, "Keep-Alive gives the idle time-out");
}

static void check_http2(void)
{
    static const char settings[] = "\0\0\6\4\0\0\0\0\0\0\3\0\0\0\n";
    static const char goaway[] = "\0\0\10\7\0\0\0\0\0\0\0\0\0\0\0\0\1";
    static const char data[] = "\0\0\6\0\0\0\0\0\1";
    apr_size_t used;

    apr_pool_clear(pool);
    rh_http1_begin(&answer, pool, false);
    is_int(rh_http1_feed(&answer, settings, sizeof(settings) - 1, &used), RH_HTTP1_BAD,
           "a frame of HTTP/2 is refused");
    is(answer.error, "it is HTTP/2; HTTP/1.1 is needed", "  with an error that says so");
    rh_http1_begin(&answer, pool, false);
    rh_http1_feed(&answer, goaway, sizeof(goaway) - 1, &used);
    is(answer.error, "it is HTTP/2; HTTP/1.1 is needed", "so is a GOAWAY frame");
    rh_http1_begin(&answer, pool, false);
    rh_http1_feed(&answer, data, sizeof(data) - 1, &used);
    is(answer.error, "it is not HTTP/1.x", "other bytes are not mistaken for it");
    rh_http1_begin(&answer, pool, false);
    for (apr_size_t i = 0; i < sizeof(settings) - 1 && !answer.error; i++) {
        rh_http1_feed(&answer, settings + i, 1, &used);
    }
    is(answer.error, "it is HTTP/2; HTTP/1.1 is needed", "a frame may arrive in pieces");
    rh_http1_begin(&answer, pool, false);
    rh_http1_feed(&answer, settings, 8, &used);
    is_int(rh_http1_end(&answer), RH_HTTP1_CUT, "and may be truncated");
}

static void check_tunnel(void)
{
    const char *text = "HTTP/1.1 200 Connected\r\nContent-Length: 5\r\n\r\n\x16\x03";
    apr_size_t used;

    apr_pool_clear(pool);
    rh_http1_begin(&answer, pool, true);
    is_int(rh_http1_feed(&answer, text, strlen(text), &used), RH_HTTP1_DONE,
           "a response to CONNECT ends with its header");
    is_int((long long)(strlen(text) - used), 2, "the bytes after it belong to the tunnel");
    ok(!answer.reusable, "nothing else follows");
}

static void check_requests(void)
{
    const char *reason, *text = "http://Example.com:8080/in?a=b";
    apr_table_t *headers;
    rh_url_t url;
    rh_http1_head_t head = {.method = "POST", .url = &url};

    apr_pool_clear(pool);
    headers = apr_table_make(pool, 4);
    apr_table_setn(headers, "X-A", "b");
    rh_url_parse(pool, text, strlen(text), &url, &reason);
    head.headers = headers;
    head.body_len = 4;
    is(rh_http1_request(pool, &head).data,
       "POST /in?a=b HTTP/1.1\r\nHost: example.com:8080\r\nContent-Length: 4\r\nX-A: b\r\n\r\n",
       "a request");
    head.via = "192.0.2.1:8080";
    head.close = true;
    head.body_len = 0;
    is(rh_http1_request(pool, &head).data,
       "POST http://192.0.2.1:8080/in?a=b HTTP/1.1\r\nHost: example.com:8080\r\n"
       "Content-Length: 0\r\nConnection: close\r\nX-A: b\r\n\r\n",
       "a request through a proxy, the last of its connection");
    head.via = NULL;
    head.close = false;
    head.method = "GET";
    is(rh_http1_request(pool, &head).data,
       "GET /in?a=b HTTP/1.1\r\nHost: example.com:8080\r\nX-A: b\r\n\r\n",
       "a request without a body");
    head.method = "GET /";
    ok(!rh_http1_request(pool, &head).data, "an invalid method is not sent");
    head.method = "POST";
    apr_table_setn(headers, "X-B", "c\r\nX-C: d");
    ok(!rh_http1_request(pool, &head).data, "a line break is not sent");
    apr_table_clear(headers);
    apr_table_setn(headers, "X B", "c");
    ok(!rh_http1_request(pool, &head).data, "nor an invalid name");
    is(rh_http1_connect(pool, "[2001:db8::1]:443", "Basic eA==").data,
       "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n"
       "User-Agent: mod_resthooks/" RH_VERSION "\r\nProxy-Authorization: Basic eA==\r\n\r\n",
       "a request for a tunnel");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_case(&cases[i]);
    }
    check_bounds();
    check_keep();
    check_fields();
    check_http2();
    check_tunnel();
    check_requests();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
