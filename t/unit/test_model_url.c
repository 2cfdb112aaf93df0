/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_url.h"

#include "tap.h"

#include <apr_general.h>
#include <stdlib.h>

static apr_pool_t *pool;

/** Return NULL if the URL is valid, else the reason. Reads a block of exactly its size. */
static const char *read_url(const char *text, apr_size_t len, rh_url_t *url)
{
    char *copy = malloc(len ? len : 1);
    const char *reason = "";
    apr_status_t status;

    memcpy(copy, text, len);
    status = rh_url_parse(pool, copy, len, url, &reason);
    free(copy);
    return status == APR_SUCCESS ? NULL : reason;
}

static void good_urls(void)
{
    static const struct {
        const char *text;
        const char *host;
        int port;
        const char *authority;
        const char *path;
        char literal; /**< '4', '6' or a space */
    } cases[] = {
        {"https://example.com/in", "example.com", 443, "example.com", "/in", ' '},
        {"HTTPS://Example.COM", "example.com", 443, "example.com", "/", ' '},
        {"http://example.com:80/", "example.com", 80, "example.com", "/", ' '},
        {"http://example.com:443/", "example.com", 443, "example.com:443", "/", ' '},
        {"https://example.com:8443/a?b=c&d", "example.com", 8443, "example.com:8443", "/a?b=c&d",
         ' '},
        {"https://example.com?q=1", "example.com", 443, "example.com", "/?q=1", ' '},
        {"https://example.com/a@b:c/[x]", "example.com", 443, "example.com", "/a@b:c/[x]", ' '},
        {"https://example.com/%41%2f..", "example.com", 443, "example.com", "/%41%2f..", ' '},
        {"https://example.com./x", "example.com", 443, "example.com", "/x", ' '},
        {"https://xn--mnchen-3ya.de/", "xn--mnchen-3ya.de", 443, "xn--mnchen-3ya.de", "/", ' '},
        {"http://localhost:1/", "localhost", 1, "localhost:1", "/", ' '},
        {"http://my_service-1:65535/", "my_service-1", 65535, "my_service-1:65535", "/", ' '},
        {"http://127.0.0.1:8080/x", "127.0.0.1", 8080, "127.0.0.1:8080", "/x", '4'},
        {"http://0.0.0.0/", "0.0.0.0", 80, "0.0.0.0", "/", '4'},
        {"http://[::1]/", "::1", 80, "[::1]", "/", '6'},
        {"http://[::]:81/", "::", 81, "[::]:81", "/", '6'},
        {"https://[2001:DB8:0:0:0:0:0:1]:8443/", "2001:db8::1", 8443, "[2001:db8::1]:8443", "/",
         '6'},
        {"http://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1", 80, "[::ffff:127.0.0.1]", "/", '6'},
        {"http://[::ffff:7f00:1]/", "::ffff:127.0.0.1", 80, "[::ffff:127.0.0.1]", "/", '6'},
        {"http://[64:ff9b::7f00:1]/", "64:ff9b::7f00:1", 80, "[64:ff9b::7f00:1]", "/", '6'},
        {"http://1.2.3.4.example/", "1.2.3.4.example", 80, "1.2.3.4.example", "/", ' '},
        {"http://4you.0x1g/", "4you.0x1g", 80, "4you.0x1g", "/", ' '},
        {"http://example.com:0080/", "example.com", 80, "example.com", "/", ' '},
    };

    for (apr_size_t i = 0; i < RH_COUNT_OF(cases); i++) {
        rh_url_t url;
        const char *reason = read_url(cases[i].text, strlen(cases[i].text), &url);

        if (!ok(!reason, "%s is a target", cases[i].text)) {
            printf("# %s\n", reason);
            continue;
        }
        is(url.host, cases[i].host, "its host");
        is_int(url.port, cases[i].port, "its port");
        is(url.authority, cases[i].authority, "the value of Host");
        is(url.path, cases[i].path, "the target of the request line");
        ok(url.https == ((*cases[i].text | 0x20) == 'h' && cases[i].text[4] != ':'), "its scheme");
        ok(url.ipv4_literal == (cases[i].literal == '4') &&
               url.ipv6_literal == (cases[i].literal == '6'),
           "its kind of host");
    }
}

/** Hosts with other characters than ASCII, and the URL that is stored. */
static void international_hosts(void)
{
    static const char *const cases[][2] = {
        {"https://m\xc3\xbcnchen.de/in?a=b", "https://xn--mnchen-3ya.de/in?a=b"},
        {"https://M\xc3\x9cNCHEN.de", "https://xn--mnchen-3ya.de"},
        {"https://mu\xcc\x88nchen.de/", "https://xn--mnchen-3ya.de/"}, /* u and a diaeresis */
        {"https://stra\xc3\x9f"
         "e.example/",
         "https://xn--strae-oqa.example/"},
        {"https://\xe4\xbe\x8b\xe3\x80\x82\xe6\xb5\x8b\xe8\xaf\x95:8443/x",
         "https://xn--fsq.xn--0zwm56d:8443/x"},
        {"http://ex\xef\xbd\x81mple.com/", "http://example.com/"},
        {"http://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1/", "http://127.0.0.1/"},
        {"HTTPS://Example.COM?q", "HTTPS://Example.COM?q"},
    };

    for (apr_size_t i = 0; i < RH_COUNT_OF(cases); i++) {
        rh_url_t url = {0};
        const char *reason = read_url(cases[i][0], strlen(cases[i][0]), &url);

        is(reason ? reason : url.text, cases[i][1], cases[i][1]);
        ok(!reason && url.ipv4_literal == (strstr(cases[i][1], "127") != NULL),
           "an address is recognised in any notation");
    }
}

static void bad_urls(void)
{
    static const struct {
        const char *text;
        const char *reason; /**< a part of it */
    } cases[] = {
        {"", "absolute"},
        {"example.com", "absolute"},
        {"/hooks", "absolute"},
        {"//example.com/", "absolute"},
        {"ftp://example.com/", "absolute"},
        {"file:///etc/passwd", "absolute"},
        {"javascript:alert(1)", "absolute"},
        {"http:/example.com/", "absolute"},
        {"http:example.com", "absolute"},
        {"httpx://example.com/", "absolute"},
        {"unix:///var/run/x", "absolute"},
        {"http://", "host"},
        {"http:///x", "host"},
        {"http://:80/", "host"},
        {"http://?x", "host"},
        {"http://user@example.com/", "credentials"},
        {"http://user:pass@example.com/", "credentials"},
        {"http://@example.com/", "credentials"},
        {"https://example.com@127.0.0.1/", "credentials"},
        {"https://[::1]@example.com/", "credentials"},
        {"https://example.com/#top", "fragment"},
        {"https://example.com#", "fragment"},
        {"http://example.com/a b", "white space"},
        {" http://example.com/", "white space"},
        {"http://example.com/\n", "white space"},
        {"http://example.com/\r\nX: y", "white space"},
        {"http://exa\tmple.com/", "white space"},
        {"http://example.com/\x7f", "control"},
        {"http://example.com/\xc3\xbc", "ASCII"},
        {"http://example.com/\xff", "ASCII"},
        {"http://example.com:80\xc3\xbc/", "port"},
        {"http://m\xc3\xbcnchen.de/\xc3\xbc", "ASCII after its host"},
        {"http://m\xfcnchen.de/", "not UTF-8"},
        {"http://a\xe2\x84\x80.example/", "bad character"}, /* becomes a/c */
        {"http://a\xef\xbc\x8f.example/", "bad character"}, /* full-width solidus */
        {"http://a\xe2\x80\x8d.example/", "UTS #46"},       /* a joiner out of context */
        {"http://\xe2\x92\x88.example/", "UTS #46"},        /* disallowed */
        {"http://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.1/", "four decimal"},
        {"http://\xc2\xad/", "host"}, /* maps to nothing */
        {"http://example.com\\@evil.example/", "percent-encode"},
        {"http://example.com/a\\b", "percent-encode"},
        {"http://example.com/<script>", "percent-encode"},
        {"http://example.com/\"", "percent-encode"},
        {"http://example.com/{id}", "percent-encode"},
        {"http://example.com/%", "percent-escape"},
        {"http://example.com/%4", "percent-escape"},
        {"http://example.com/%zz", "percent-escape"},
        {"http://%31%32%37.0.0.1/", "four decimal"},
        {"http://exam%70le.com/", "host name"},
        {"http://example.com:/", "port"},
        {"http://example.com:0/", "port"},
        {"http://example.com:65536/", "port"},
        {"http://example.com:99999999999/", "port"},
        {"http://example.com:-1/", "port"},
        {"http://example.com:+80/", "port"},
        {"http://example.com:8a/", "port"},
        {"http://example.com:80:80/", "port"},
        {"http://example.com:0x50/", "port"},
        {"http://0x7f000001/", "four decimal"},
        {"http://0X7F.0.0.1/", "four decimal"},
        {"http://127.0.0.0x1/", "four decimal"},
        {"http://2130706433/", "four decimal"},
        {"http://017700000001/", "four decimal"},
        {"http://0177.0.0.1/", "four decimal"},
        {"http://127.1/", "four decimal"},
        {"http://127.0.1/", "four decimal"},
        {"http://127.0.0.01/", "four decimal"},
        {"http://127.0.0.1./", "four decimal"},
        {"http://127.0.0.256/", "four decimal"},
        {"http://1.2.3.4.5/", "four decimal"},
        {"http://0/", "four decimal"},
        {"http://0x/", "four decimal"},
        {"http://example.1/", "four decimal"},
        {"http://a..b/", "empty label"},
        {"http://.a/", "empty label"},
        {"http://./", "empty label"},
        {"http://a../", "empty label"},
        {"http://a,b/", "bad character"},
        {"http://a*b/", "bad character"},
        {"http://a;b/", "bad character"},
        {"http://[::1/", "closing bracket"},
        {"http://::1/", "must have a host"},
        {"http://[]/", "IPv6"},
        {"http://[:]/", "IPv6"},
        {"http://[:::]/", "IPv6"},
        {"http://[1::2::3]/", "IPv6"},
        {"http://[1:2:3:4:5:6:7]/", "IPv6"},
        {"http://[1:2:3:4:5:6:7:8:9]/", "IPv6"},
        {"http://[12345::]/", "IPv6"},
        {"http://[::1.2.3]/", "IPv6"},
        {"http://[::1.2.3.256]/", "IPv6"},
        {"http://[1.2.3.4]/", "IPv6"},
        {"http://[g::]/", "IPv6"},
        {"http://[v1.x]/", "IPv6"},
        {"http://[fe80::1%25eth0]/", "zone"},
        {"http://[fe80::1%20]/", "zone"},
        {"http://[::1]x/", "after the host"},
        {"http://[::1]]/", "after the host"},
        {"http://[::1]:x/", "port"},
        {"http://[::1:80/]", "IPv6"},
        {"http://[0000000000000000000000000000000000000000000000000000::1]/", "IPv6"},
    };

    for (apr_size_t i = 0; i < RH_COUNT_OF(cases); i++) {
        rh_url_t url;
        const char *reason = read_url(cases[i].text, strlen(cases[i].text), &url);

        ok(reason && strstr(reason, cases[i].reason), "refused, %s: case %d", cases[i].reason,
           (int)i);
        if (!reason || !strstr(reason, cases[i].reason)) {
            printf("# %s: %s\n", cases[i].text, reason ? reason : "taken");
        }
    }
}

static void limits(void)
{
    rh_url_t url;
    char label[65];
    const char *text;
    char large[RH_MAX_URL + 2];

    memset(label, 'a', 64);
    label[64] = '\0';
    text = apr_psprintf(pool, "http://%.63s.example/", label);
    ok(!read_url(text, strlen(text), &url), "a label may have 63 characters");
    text = apr_psprintf(pool, "http://%.64s.example/", label);
    ok(read_url(text, strlen(text), &url), "and not 64");
    text = apr_psprintf(pool, "http://%.63s.%.63s.%.63s.%.61s/", label, label, label, label);
    ok(!read_url(text, strlen(text), &url), "a host name may have 253");
    text = apr_psprintf(pool, "http://%.63s.%.63s.%.63s.%.62s/", label, label, label, label);
    ok(read_url(text, strlen(text), &url), "and not 254");
    memset(large, 'a', sizeof(large));
    memcpy(large, "http://a/", 9);
    ok(!read_url(large, RH_MAX_URL, &url), "a URL may have 2048 bytes");
    is(read_url(large, RH_MAX_URL + 1, &url), "is too long: at most 2048 bytes", "and no more");
    ok(read_url("http://example.com/\0x", 21, &url), "a NUL in a path is refused");
    ok(read_url("http://exam\0ple.com/", 20, &url), "also in a host");
    ok(read_url("http://example.com:8\0/", 22, &url), "also in a port");
    ok(read_url("http://[::1\0]/", 14, &url), "also in an address");
    ok(!read_url("http://a/bc", 9, &url), "the length ends the URL");
    is(url.path, "/", "bytes after it are not read");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    good_urls();
    international_hosts();
    bad_urls();
    limits();
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
