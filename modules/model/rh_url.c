/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_url.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define MAX_HOST_BYTES 253
#define MAX_LABEL_BYTES 63
/** Maximum length before conversion: four bytes for each character of a host. */
#define MAX_INTERNATIONAL_HOST_BYTES (4 * MAX_HOST_BYTES)

typedef struct reader_t {
    apr_pool_t *pool;
    const char *start, *at, *end;
    const char *reason;
} reader_t;

static bool reject_url(reader_t *reader, const char *reason)
{
    reader->reason = reason;
    return false;
}

/** Refuse characters that no part of a URL may have. Only the host may be non-ASCII. */
static bool check_characters(reader_t *reader)
{
    for (const char *at = reader->at; at < reader->end; at++) {
        char c = *at;

        if (c == ' ' || rh_is_control(c)) {
            return reject_url(reader, "must not contain white space or control characters");
        }
        if (strchr("\\\"<>^`{|}", c)) {
            return reject_url(reader, "contains a character that a URL must percent-encode");
        }
        if (c == '#') {
            return reject_url(reader, "must not have a fragment");
        }
        if (c == '%' && (reader->end - at < 3 || !rh_is_hex(at[1]) || !rh_is_hex(at[2]))) {
            return reject_url(reader, "has a bad percent-escape");
        }
    }
    return true;
}

static bool is_ascii(const char *text, apr_size_t len)
{
    for (apr_size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] >= 0x80) {
            return false;
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
    return reject_url(reader, "must be an absolute http or https URL");
}

/** Read an address in brackets, and keep it in its canonical form (RFC 5952). */
static bool read_ipv6(reader_t *reader, rh_url_t *url)
{
    const char *close = memchr(reader->at, ']', (apr_size_t)(reader->end - reader->at));
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    apr_size_t len;

    if (!close) {
        return reject_url(reader, "has an IPv6 address without its closing bracket");
    }
    reader->at++;
    len = (apr_size_t)(close - reader->at);
    if (memchr(reader->at, '%', len)) {
        return reject_url(reader, "must not have a zone id in its IPv6 address");
    }
    if (len >= sizeof(text)) {
        return reject_url(reader, "has a bad IPv6 address");
    }
    memcpy(text, reader->at, len);
    text[len] = '\0';
    if (inet_pton(AF_INET6, text, &address) != 1 ||
        !inet_ntop(AF_INET6, &address, text, sizeof(text))) {
        return reject_url(reader, "has a bad IPv6 address");
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

/**
 * True if inet_aton or a browser would take the last label, and therefore the host, for a number.
 */
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
        while (start < len && rh_is_hex(host[start])) {
            start++;
        }
        return start == len;
    }
    for (; start < len; start++) {
        if (!rh_is_digit(host[start])) {
            return false;
        }
    }
    return true;
}

const char *rh_host_complaint(const char *host, apr_size_t len)
{
    apr_size_t label = 0;

    if (ends_in_number(host, len)) {
        return "has an IPv4 address that is not four decimal octets";
    }
    if (len > MAX_HOST_BYTES) {
        return "has a host name that is too long";
    }
    for (apr_size_t i = 0; i < len; i++) {
        if (host[i] == '.') {
            if (label == 0) {
                return "has an empty label in its host name";
            }
            label = 0;
        } else if (rh_is_alphanumeric(host[i]) || host[i] == '-' || host[i] == '_') {
            if (++label > MAX_LABEL_BYTES) {
                return "has a label in its host name that is too long";
            }
        } else {
            return "has a bad character in its host name";
        }
    }
    return NULL;
}

/**
 * Convert an international host to its ASCII form by UTS #46, non-transitional, as browsers do. The
 * result is checked like any other host, because full-width digits may have become an address.
 */
static bool convert_host(reader_t *reader, const char **host, apr_size_t *len)
{
    const char *text = apr_pstrmemdup(reader->pool, *host, *len);
    char *converted = NULL;
    int status;

    if (!rh_utf8_valid(text, *len)) {
        return reject_url(reader, "has a host name that is not UTF-8");
    }
    if (*len > MAX_INTERNATIONAL_HOST_BYTES) {
        return reject_url(reader, "has a host name that is too long");
    }
    status = idn2_lookup_u8((const uint8_t *)text, (uint8_t **)&converted,
                            IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (status != IDN2_OK) {
        return reject_url(reader, apr_psprintf(reader->pool,
                                               "has a host name that is not allowed (UTS #46): %s",
                                               idn2_strerror(status)));
    }
    *host = apr_pstrdup(reader->pool, converted);
    *len = strlen(*host);
    idn2_free(converted);
    return true;
}

static bool read_host(reader_t *reader, rh_url_t *url)
{
    const char *start = reader->at, *complaint;
    apr_size_t len;
    char *host;

    if (start < reader->end && *start == '[') {
        return read_ipv6(reader, url);
    }
    while (reader->at < reader->end && !strchr(":/?", *reader->at)) {
        reader->at++;
    }
    len = (apr_size_t)(reader->at - start);
    if (!is_ascii(start, len) && !convert_host(reader, &start, &len)) {
        return false;
    }
    if (len == 0) {
        return reject_url(reader, "must have a host");
    }
    url->ipv4_literal = ipv4_valid(start, len);
    complaint = url->ipv4_literal ? NULL : rh_host_complaint(start, len);
    if (complaint) {
        return reject_url(reader, complaint);
    }
    /* The final dot of the root names the same host, but certificates do not have it. */
    if (start[len - 1] == '.') {
        len--;
    }
    host = apr_pstrmemdup(reader->pool, start, len);
    rh_lower_text(host);
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
    while (reader->at < reader->end && rh_is_digit(*reader->at) && digits < 6) {
        port = port * 10 + (*reader->at++ - '0');
        digits++;
    }
    if (digits == 0 || port < 1 || port > 65535 ||
        (reader->at < reader->end && *reader->at != '/' && *reader->at != '?')) {
        return reject_url(reader, "has a bad port: 1-65535");
    }
    url->port = (unsigned short)port;
    return true;
}

/** Return the URL as given, except for an international host. */
static const char *make_text(const reader_t *reader, const rh_url_t *url)
{
    if (is_ascii(reader->start, (apr_size_t)(reader->end - reader->start))) {
        return apr_pstrmemdup(reader->pool, reader->start,
                              (apr_size_t)(reader->end - reader->start));
    }
    return apr_pstrcat(reader->pool, url->https ? "https://" : "http://", url->authority, url->path,
                       NULL);
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
            return reject_url(reader, "must not contain credentials");
        }
    }
    if (!read_host(reader, url) || !read_port(reader, url)) {
        return false;
    }
    if (reader->at != authority_end) {
        return reject_url(reader, "has unexpected characters after the host");
    }
    url->authority = apr_psprintf(reader->pool, url->ipv6_literal ? "[%s]" : "%s", url->host);
    if (url->port != (url->https ? 443 : 80)) {
        url->authority = apr_psprintf(reader->pool, "%s:%hu", url->authority, url->port);
    }
    if (!is_ascii(reader->at, (apr_size_t)(reader->end - reader->at))) {
        return reject_url(reader, "must be ASCII after its host: percent-encode the path");
    }
    url->path = apr_pstrmemdup(reader->pool, reader->at, (apr_size_t)(reader->end - reader->at));
    url->text = make_text(reader, url);
    if (*url->path != '/') {
        url->path = apr_pstrcat(reader->pool, "/", url->path, NULL);
    }
    return true;
}

apr_status_t rh_url_parse(apr_pool_t *pool, const char *text, apr_size_t len, rh_url_t *url,
                          const char **reason)
{
    reader_t reader = {pool, text, text, text + len, NULL};

    memset(url, 0, sizeof(*url));
    if (len > RH_MAX_URL) {
        *reason = "is too long: at most 2048 bytes";
        return APR_EINVAL;
    }
    if (!read_url(&reader, url)) {
        *reason = reader.reason;
        return APR_EINVAL;
    }
    if (strlen(url->text) > RH_MAX_URL) {
        *reason = "is too long: at most 2048 bytes with its host in ASCII";
        return APR_EINVAL;
    }
    return APR_SUCCESS;
}
