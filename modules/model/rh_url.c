/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define MAX_HOST 253
#define MAX_LABEL 63

typedef struct reader_t {
    apr_pool_t *pool;
    const char *at, *end;
    const char *reason;
} reader_t;

static bool refuse(reader_t *reader, const char *reason)
{
    reader->reason = reason;
    return false;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool check_characters(reader_t *reader)
{
    for (const char *at = reader->at; at < reader->end; at++) {
        unsigned char c = (unsigned char)*at;

        if (c <= 0x20 || c == 0x7f) {
            return refuse(reader, "must not contain white space or control characters");
        }
        if (c >= 0x80) {
            return refuse(reader, "must be ASCII: write an international host in its xn-- form "
                                  "and percent-encode the path");
        }
        if (strchr("\\\"<>^`{|}", c)) {
            return refuse(reader, "contains a character that a URL must percent-encode");
        }
        if (c == '#') {
            return refuse(reader, "must not have a fragment");
        }
        if (c == '%' && (reader->end - at < 3 || !is_hex(at[1]) || !is_hex(at[2]))) {
            return refuse(reader, "has a bad percent-escape");
        }
    }
    return true;
}

static bool read_scheme(reader_t *reader, rh_url_t *url)
{
    apr_size_t len = (apr_size_t)(reader->end - reader->at);

    if (len >= 8 && strncasecmp(reader->at, "https://", 8) == 0) {
        url->https = true;
        reader->at += 8;
        return true;
    }
    if (len >= 7 && strncasecmp(reader->at, "http://", 7) == 0) {
        url->https = false;
        reader->at += 7;
        return true;
    }
    return refuse(reader, "must be an absolute http or https URL");
}

/** An address in brackets. It is kept in its canonical form (RFC 5952). */
static bool read_ipv6(reader_t *reader, rh_url_t *url)
{
    const char *close = memchr(reader->at, ']', (apr_size_t)(reader->end - reader->at));
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    apr_size_t len;

    if (!close) {
        return refuse(reader, "has an IPv6 address without its closing bracket");
    }
    reader->at++;
    len = (apr_size_t)(close - reader->at);
    if (memchr(reader->at, '%', len)) {
        return refuse(reader, "must not have a zone id in its IPv6 address");
    }
    if (len >= sizeof(text)) {
        return refuse(reader, "has a bad IPv6 address");
    }
    memcpy(text, reader->at, len);
    text[len] = '\0';
    if (inet_pton(AF_INET6, text, &address) != 1 ||
        !inet_ntop(AF_INET6, &address, text, sizeof(text))) {
        return refuse(reader, "has a bad IPv6 address");
    }
    url->host = apr_pstrdup(reader->pool, text);
    url->ipv6_literal = true;
    reader->at = close + 1;
    return true;
}

/** True for four decimal octets without leading zeros. */
static bool ipv4_valid(const char *text, apr_size_t len)
{
    char copy[INET_ADDRSTRLEN];
    struct in_addr address;

    if (len >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    return inet_pton(AF_INET, copy, &address) == 1;
}

/** True if inet_aton or a browser would take the last label, and so the host, as a number. */
static bool ends_in_number(const char *host, apr_size_t len)
{
    apr_size_t start;

    if (len && host[len - 1] == '.') {
        len--;
    }
    for (start = len; start > 0 && host[start - 1] != '.'; start--) {
    }
    if (start == len) {
        return false;
    }
    if (len - start >= 2 && host[start] == '0' && (host[start + 1] | 0x20) == 'x') {
        start += 2;
        while (start < len && is_hex(host[start])) {
            start++;
        }
        return start == len;
    }
    for (; start < len; start++) {
        if (host[start] < '0' || host[start] > '9') {
            return false;
        }
    }
    return true;
}

static bool host_name_valid(reader_t *reader, const char *host, apr_size_t len)
{
    apr_size_t label = 0;

    if (len > MAX_HOST) {
        return refuse(reader, "has a host name that is too long");
    }
    for (apr_size_t i = 0; i < len; i++) {
        if (host[i] == '.') {
            if (label == 0) {
                return refuse(reader, "has an empty label in its host name");
            }
            label = 0;
        } else if (is_alphanumeric(host[i]) || host[i] == '-' || host[i] == '_') {
            if (++label > MAX_LABEL) {
                return refuse(reader, "has a label in its host name that is too long");
            }
        } else {
            return refuse(reader, "has a bad character in its host name");
        }
    }
    return true;
}

static bool read_host(reader_t *reader, rh_url_t *url)
{
    const char *start = reader->at;
    apr_size_t len;
    char *host;

    if (start < reader->end && *start == '[') {
        return read_ipv6(reader, url);
    }
    while (reader->at < reader->end && !strchr(":/?", *reader->at)) {
        reader->at++;
    }
    len = (apr_size_t)(reader->at - start);
    if (len == 0) {
        return refuse(reader, "must have a host");
    }
    if (ipv4_valid(start, len)) {
        url->ipv4_literal = true;
    } else if (ends_in_number(start, len)) {
        return refuse(reader, "has an IPv4 address that is not four decimal octets");
    } else if (!host_name_valid(reader, start, len)) {
        return false;
    }
    /* The root's dot names the same host, but no certificate has it. */
    if (start[len - 1] == '.') {
        len--;
    }
    host = apr_pstrmemdup(reader->pool, start, len);
    for (char *at = host; *at; at++) {
        if (*at >= 'A' && *at <= 'Z') {
            *at = (char)(*at | 0x20);
        }
    }
    url->host = host;
    return true;
}

static bool read_port(reader_t *reader, rh_url_t *url)
{
    int port = 0, digits = 0;

    url->port = url->https ? 443 : 80;
    if (reader->at >= reader->end || *reader->at != ':') {
        return true;
    }
    reader->at++;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9' && digits < 6) {
        port = port * 10 + (*reader->at++ - '0');
        digits++;
    }
    if (digits == 0 || port < 1 || port > 65535 ||
        (reader->at < reader->end && *reader->at != '/' && *reader->at != '?')) {
        return refuse(reader, "has a bad port: 1-65535");
    }
    url->port = (unsigned short)port;
    return true;
}

static bool read_url(reader_t *reader, rh_url_t *url)
{
    const char *authority_end;

    if (!check_characters(reader) || !read_scheme(reader, url)) {
        return false;
    }
    for (authority_end = reader->at; authority_end < reader->end; authority_end++) {
        if (*authority_end == '/' || *authority_end == '?') {
            break;
        }
        if (*authority_end == '@') {
            return refuse(reader, "must not contain credentials");
        }
    }
    if (!read_host(reader, url) || !read_port(reader, url)) {
        return false;
    }
    if (reader->at != authority_end) {
        return refuse(reader, "has something strange behind its host");
    }
    url->authority = apr_psprintf(reader->pool, url->ipv6_literal ? "[%s]" : "%s", url->host);
    if (url->port != (url->https ? 443 : 80)) {
        url->authority = apr_psprintf(reader->pool, "%s:%hu", url->authority, url->port);
    }
    url->path = apr_pstrmemdup(reader->pool, reader->at, (apr_size_t)(reader->end - reader->at));
    if (*url->path != '/') {
        url->path = apr_pstrcat(reader->pool, "/", url->path, NULL);
    }
    return true;
}

apr_status_t rh_url_parse(apr_pool_t *pool, const char *text, apr_size_t len, rh_url_t *url,
                          const char **reason)
{
    reader_t reader = {pool, text, text + len, NULL};

    memset(url, 0, sizeof(*url));
    if (len > RH_MAX_URL) {
        *reason = "is too long: at most 2048 bytes";
        return APR_EINVAL;
    }
    if (!read_url(&reader, url)) {
        *reason = reader.reason;
        return APR_EINVAL;
    }
    return APR_SUCCESS;
}
