/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_openmetrics.h"

#include <apr_lib.h>

#define FIRST_BYTES 16384

static const char *const type_names[] = {"counter", "gauge", "histogram", "info"};
static const char *const suffixes[] = {"_total", "", "", "_info"};

void rh_openmetrics_begin(rh_openmetrics_t *out, apr_pool_t *pool, bool prometheus)
{
    memset(out, 0, sizeof(*out));
    out->text.pool = pool;
    (void)rh_buffer_reserve(&out->text, FIRST_BYTES);
    out->prometheus = prometheus;
}

static void put_bytes(rh_openmetrics_t *out, const char *data, apr_size_t len)
{
    rh_buffer_add(&out->text, data, len);
}

static void put(rh_openmetrics_t *out, const char *text)
{
    put_bytes(out, text, strlen(text));
}

/** Append text with escapes for the characters that a quoted value, or with `quote` false the text
 * of HELP, cannot contain. */
static void put_escaped(rh_openmetrics_t *out, const char *text, bool quote)
{
    for (; *text; text++) {
        if (*text == '\n') {
            put(out, "\\n");
        } else if (*text == '\\' || (*text == '"' && quote)) {
            put_bytes(out, "\\", 1);
            put_bytes(out, text, 1);
        } else {
            put_bytes(out, text, 1);
        }
    }
}

static void put_number(rh_openmetrics_t *out, apr_int64_t number)
{
    char text[32];

    apr_snprintf(text, sizeof(text), "%" APR_INT64_T_FMT, number);
    put(out, text);
}

/** Append microseconds as seconds, exactly: "0.0025", "1.0". */
static void put_seconds(rh_openmetrics_t *out, apr_int64_t value)
{
    char text[40];
    int len;

    if (value < 0) {
        put(out, "-");
        value = -value;
    }
    len = apr_snprintf(text, sizeof(text), "%" APR_INT64_T_FMT ".%06d", value / APR_USEC_PER_SEC,
                       (int)(value % APR_USEC_PER_SEC));
    while (text[len - 1] == '0' && text[len - 2] != '.') {
        len--;
    }
    put_bytes(out, text, (apr_size_t)len);
}

static void put_name(rh_openmetrics_t *out, const char *suffix)
{
    put(out, out->name);
    put(out, suffix);
}

/** Append the name that HELP and TYPE contain. */
static void put_comment(rh_openmetrics_t *out, const char *what)
{
    put(out, "# ");
    put(out, what);
    put(out, " ");
    put_name(out, out->prometheus ? suffixes[out->type] : "");
    put(out, " ");
}

void rh_openmetrics_family(rh_openmetrics_t *out, const char *name, rh_family_t type,
                           const char *unit, const char *help)
{
    out->name = name;
    out->type = type;
    put_comment(out, "HELP");
    put_escaped(out, help, !out->prometheus);
    put(out, "\n");
    put_comment(out, "TYPE");
    put(out, type_names[out->prometheus && type == RH_FAMILY_INFO ? RH_FAMILY_GAUGE : type]);
    put(out, "\n");
    if (unit && !out->prometheus) {
        put_comment(out, "UNIT");
        put(out, unit);
        put(out, "\n");
    }
}

/** @param bound text of one more label, `le`; NULL: there is none */
static void put_labels(rh_openmetrics_t *out, const char *const *labels, const char *bound)
{
    const char *before = "{";

    for (; labels && labels[0]; labels += 2) {
        put(out, before);
        put(out, labels[0]);
        put(out, "=\"");
        put_escaped(out, labels[1], true);
        put(out, "\"");
        before = ",";
    }
    if (bound) {
        put(out, before);
        put(out, "le=\"");
        put(out, bound);
        put(out, "\"");
        before = ",";
    }
    put(out, *before == ',' ? "} " : " ");
}

void rh_openmetrics_sample(rh_openmetrics_t *out, const char *const *labels, apr_int64_t value)
{
    put_name(out, suffixes[out->type]);
    put_labels(out, labels, NULL);
    put_number(out, value);
    put(out, "\n");
}

void rh_openmetrics_seconds(rh_openmetrics_t *out, const char *const *labels, apr_int64_t value)
{
    put_name(out, suffixes[out->type]);
    put_labels(out, labels, NULL);
    put_seconds(out, value);
    put(out, "\n");
}

/** Append the text of a bucket's bound: a floating-point number in its shortest form. */
static const char *bound_text(rh_openmetrics_t *out, apr_int64_t bound, bool seconds)
{
    rh_openmetrics_t text;

    if (!seconds) {
        return apr_psprintf(out->text.pool, "%" APR_INT64_T_FMT ".0", bound);
    }
    memset(&text, 0, sizeof(text));
    text.text.pool = out->text.pool;
    put_seconds(&text, bound);
    put_bytes(&text, "", 1);
    return text.text.data;
}

void rh_openmetrics_histogram(rh_openmetrics_t *out, const char *const *labels,
                              const apr_int64_t *bounds, int count, const apr_uint64_t *in,
                              apr_uint64_t sum, bool seconds)
{
    apr_uint64_t all = 0;
    int i;

    for (i = 0; i <= count; i++) {
        all += in[i];
        put_name(out, "_bucket");
        put_labels(out, labels, i < count ? bound_text(out, bounds[i], seconds) : "+Inf");
        put_number(out, (apr_int64_t)all);
        put(out, "\n");
    }
    put_name(out, "_count");
    put_labels(out, labels, NULL);
    put_number(out, (apr_int64_t)all);
    put(out, "\n");
    put_name(out, "_sum");
    put_labels(out, labels, NULL);
    if (seconds) {
        put_seconds(out, (apr_int64_t)sum);
    } else {
        put_number(out, (apr_int64_t)sum);
    }
    put(out, "\n");
}

rh_bytes_t rh_openmetrics_end(rh_openmetrics_t *out)
{
    rh_bytes_t whole;

    if (!out->prometheus) {
        put(out, "# EOF\n");
    }
    whole.data = out->text.data;
    whole.len = out->text.len;
    return whole;
}

/** True if Accept names a media type, in any case and with any parameters. */
static bool accepts(const char *accept, const char *type)
{
    apr_size_t len = strlen(type);

    while (*accept) {
        while (*accept == ' ' || *accept == '\t' || *accept == ',') {
            accept++;
        }
        if (strncasecmp(accept, type, len) == 0 && !apr_isalnum(accept[len]) &&
            (accept[len] == '\0' || strchr(" \t;,", accept[len]))) {
            return true;
        }
        accept += strcspn(accept, ",");
    }
    return false;
}

bool rh_openmetrics_prefers_prometheus(const char *accept)
{
    return accept && accepts(accept, "text/plain") &&
           !accepts(accept, "application/openmetrics-text");
}
