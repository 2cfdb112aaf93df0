/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_attempt_log.h"

#include <errno.h>
#include <unistd.h>

/** Interval between log messages about dropped lines. */
#define COMPLAINT_INTERVAL apr_time_from_sec(60)
/** Maximum length of a number as text, with its NUL. */
#define NUMBER_SIZE 32

#define LETTERS "thTykedsuncmbBoxp"

/** One item of a format: literal text, or the value that a letter stands for. */
typedef struct item_t {
    char letter; /**< 0: literal text */
    bool quoted; /**< the item is within quotes */
    const char *text;
    apr_size_t len;
} item_t;

struct rh_log_format_t {
    apr_array_header_t *items; /**< of item_t */
};

/* ---- reading a format ---- */

static void add_text(apr_array_header_t *items, apr_pool_t *pool, const char *text, apr_size_t len)
{
    item_t *item = apr_array_push(items);

    memset(item, 0, sizeof(*item));
    item->text = apr_pstrmemdup(pool, text, len);
    item->len = len;
}

const char *rh_log_format_parse(apr_pool_t *pool, const char *text, rh_log_format_t **result)
{
    rh_log_format_t *format = apr_palloc(pool, sizeof(*format));
    bool quoted = false;
    item_t *item;

    format->items = apr_array_make(pool, 16, sizeof(item_t));
    if (!*text) {
        return "the format is empty";
    }
    while (*text) {
        apr_size_t len = strcspn(text, "%\\\"");

        if (len > 0) {
            for (apr_size_t i = 0; i < len; i++) {
                if ((unsigned char)text[i] < ' ' && text[i] != '\t') {
                    return "the format holds a control character";
                }
            }
            add_text(format->items, pool, text, len);
        } else if (*text == '"') {
            quoted = !quoted;
            add_text(format->items, pool, text, len = 1);
        } else if (!text[1]) {
            return *text == '%' ? "the format ends within a % letter"
                                : "the format ends with a single backslash";
        } else if (*text == '\\' || text[1] == '%') {
            if (*text == '\\' && text[1] != 't' && text[1] != '\\') {
                return apr_psprintf(pool, "\\%c is neither \\t nor \\\\", text[1]);
            }
            add_text(format->items, pool, *text == '\\' && text[1] == 't' ? "\t" : text + 1, 1);
            len = 2;
        } else {
            if (!strchr(LETTERS, text[1])) {
                return apr_psprintf(pool,
                                    "%%%c is none of %%t %%h %%T %%y %%k %%e %%d %%s %%u %%n "
                                    "%%c %%m %%b %%B %%o %%x %%p %%%%",
                                    text[1]);
            }
            item = apr_array_push(format->items);
            memset(item, 0, sizeof(*item));
            item->letter = text[1];
            item->quoted = quoted;
            len = 2;
        }
        text += len;
    }
    if (quoted) {
        return "the format ends within quotes";
    }
    *result = format;
    return NULL;
}

/* ---- a line ---- */

/** A buffer that is being filled. It always keeps space for the newline. */
typedef struct line_t {
    char *text;
    apr_size_t len;
} line_t;

static bool put_bytes(line_t *line, const char *data, apr_size_t len)
{
    if (len >= RH_LOG_WRITE - line->len) {
        return false;
    }
    memcpy(line->text + line->len, data, len);
    line->len += len;
    return true;
}

/** Write a value, escaped; NULL and "" are "-". */
static void put_value(line_t *line, const char *value, bool quoted)
{
    apr_size_t first = line->len;
    char escaped[5];

    if (!value || !*value) {
        put_bytes(line, "-", 1);
        return;
    }
    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;
        apr_size_t len = 1;

        escaped[0] = *value;
        if (c == '"' || c == '\\') {
            escaped[0] = '\\';
            escaped[1] = *value;
            len = 2;
        } else if (c < ' ' || c > '~' || (c == ' ' && !quoted)) {
            len = (apr_size_t)apr_snprintf(escaped, sizeof(escaped), "\\x%02x", c);
        }
        if (line->len - first + len > RH_LOG_VALUE || !put_bytes(line, escaped, len)) {
            return;
        }
    }
}

static void put_number(line_t *line, apr_int64_t number)
{
    char text[NUMBER_SIZE];

    put_bytes(line, text,
              (apr_size_t)apr_snprintf(text, sizeof(text), "%" APR_INT64_T_FMT, number));
}

static void put_time(line_t *line, apr_time_t when)
{
    char text[40];
    apr_time_exp_t parts;

    apr_time_exp_gmt(&parts, when);
    put_bytes(line, text,
              (apr_size_t)apr_snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                                       parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                                       parts.tm_hour, parts.tm_min, parts.tm_sec,
                                       parts.tm_usec / 1000));
}

static void put_item(line_t *line, const item_t *item, const rh_log_entry_t *entry)
{
    const rh_job_t *job = entry->job;
    const rh_attempt_t *attempt = entry->attempt;
    const char *value = NULL;

    switch (item->letter) {
    case 't':
        put_time(line, attempt->started_at);
        return;
    case 'n':
        put_number(line, attempt->number);
        return;
    case 'm':
        put_number(line, apr_time_as_msec(attempt->duration));
        return;
    case 'b':
        put_number(line, (apr_int64_t)entry->sent);
        return;
    case 'B':
        put_number(line, (apr_int64_t)entry->answered);
        return;
    case 'p':
        put_number(line, getpid());
        return;
    case 'c':
        if (attempt->status_code > 0) {
            put_number(line, attempt->status_code);
            return;
        }
        break;
    case 'h':
        value = entry->host;
        break;
    case 'T':
        value = job->tenant;
        break;
    case 'y':
        value = job->event.type;
        break;
    case 'k':
        value = job->event.key;
        break;
    case 'e':
        value = job->event.id;
        break;
    case 'd':
        value = job->delivery_id;
        break;
    case 's':
        value = job->subscription_id;
        break;
    case 'u':
        value = job->target_url;
        break;
    case 'o':
        value = rh_settle_kind_name(entry->outcome);
        break;
    case 'x':
        value = attempt->error;
        break;
    default:
        put_bytes(line, item->text, item->len);
        return;
    }
    put_value(line, value, item->quoted);
}

apr_size_t rh_log_format_line(const rh_log_format_t *format, const rh_log_entry_t *entry,
                              char *buffer)
{
    line_t line = {buffer, 0};

    for (int i = 0; i < format->items->nelts; i++) {
        put_item(&line, &APR_ARRAY_IDX(format->items, i, item_t), entry);
    }
    buffer[line.len] = '\n';
    return line.len + 1;
}

/* ---- writing ---- */

/** Count lost lines, and report the loss once per COMPLAINT_INTERVAL. */
static void report_loss(rh_attempt_log_t *log, int count, apr_status_t status)
{
    apr_time_t now = apr_time_now(), before;

    rh_metrics_add(log->metrics, RH_COUNT_LOG_LOST, (apr_uint64_t)count);
    before = __atomic_load_n(&log->complained_at, __ATOMIC_RELAXED);
    if (before != 0 && now >= before && now - before < COMPLAINT_INTERVAL) {
        return;
    }
    if (__atomic_compare_exchange_n(&log->complained_at, &before, now, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED)) {
        rh_log(log->complaints, RH_LOG_ERR, status, "RH0811",
               "RestHooksLog: cannot write to %s; log lines are being dropped", log->name);
    }
}

void rh_attempt_log_flush(rh_attempt_log_t *log, rh_log_lines_t *lines)
{
    ssize_t done;

    if (lines->len == 0) {
        return;
    }
    do {
        done = write(log->fd, lines->text, lines->len);
    } while (done < 0 && errno == EINTR);
    if (done < 0 || (apr_size_t)done < lines->len) {
        report_loss(log, lines->count, done < 0 ? errno : ENOSPC);
    }
    lines->len = 0;
    lines->count = 0;
}

void rh_attempt_log_add(rh_attempt_log_t *log, rh_log_lines_t *lines, const rh_log_entry_t *entry)
{
    char line[RH_LOG_WRITE];
    apr_size_t len = rh_log_format_line(log->format, entry, line);

    if (len > RH_LOG_WRITE - lines->len) {
        rh_attempt_log_flush(log, lines);
    }
    memcpy(lines->text + lines->len, line, len);
    lines->len += len;
    lines->count++;
}
