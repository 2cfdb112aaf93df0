/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_base.h
 * @brief What all layers share: limits, the log callback, text checks.
 *
 * Layers 0-4 include APR and the libraries of docs/design.md ("by library"), never httpd.h. They
 * report through an rh_log_t that the server layer (or a test) supplies.
 */
#ifndef RH_BASE_H
#define RH_BASE_H

/* Before APR's headers, so that its rings use offsetof instead of an offset from a null pointer. */
#include <stddef.h>

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <apr_time.h>

#include "rh_text.h"

/** Version of the module, as in the User-Agent of a delivery. */
#define RH_VERSION "0.2.0"

/** Maximum length of a tenant, key and idempotency id, in bytes. */
#define RH_MAX_NAME 255
/** Maximum length of an event type, in bytes. */
#define RH_MAX_TYPE 128
/** Maximum length of a target URL, in bytes. */
#define RH_MAX_URL 2048
/** Maximum number of events of one publish call. */
#define RH_MAX_BATCH 1000
/** Maximum size of a response's body that an attempt keeps, in bytes. */
#define RH_MAX_ANSWER 16384

/** Levels are syslog's, as httpd's APLOG_* are: smaller is more severe. */
typedef enum {
    RH_LOG_EMERG = 0,
    RH_LOG_ALERT = 1,
    RH_LOG_CRIT = 2,
    RH_LOG_ERR = 3,
    RH_LOG_WARN = 4,
    RH_LOG_NOTICE = 5,
    RH_LOG_INFO = 6,
    RH_LOG_DEBUG = 7
} rh_log_level_t;

/** Receives log messages. Thread-safe: called from any thread. */
typedef struct rh_log_t {
    /** `tag` is stable ("RH0102"), `message` is one line without a newline. */
    void (*write)(void *baton, rh_log_level_t level, apr_status_t status, const char *tag,
                  const char *message);
    void *baton;
    rh_log_level_t level; /**< messages above it are not even formatted */
} rh_log_t;

/**
 * Write one line to a log; does nothing if log is NULL or the level is off.
 * Never pass payloads or secrets above RH_LOG_DEBUG.
 * @param status APR status to append, or APR_SUCCESS
 * @param tag "RHnnnn", unique in the source tree. Ranges: base 00xx, store 01xx,
 *        net 02xx, delivery 03xx, server configuration 04xx, API 05xx, capture 06xx, life 07xx.
 */
void rh_log(const rh_log_t *log, rh_log_level_t level, apr_status_t status, const char *tag,
            const char *format, ...) __attribute__((format(printf, 5, 6)));

/** True for 1-RH_MAX_NAME bytes of UTF-8 without control characters: a tenant, key or id. */
bool rh_name_valid(const char *data, apr_size_t len);

#endif
