/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_settings.h
 * @brief One row per setting. Directives, defaults, ranges, merging, what virtual hosts share, and
 * t/13's check of docs/directives.md and conf/resthooks.conf come from it.
 *
 * To add a setting: a member of rh_settings_t (rh_config.h), a row here, its chapter in
 * docs/directives.md, its line in conf/resthooks.conf.
 */
#ifndef RH_SETTINGS_H
#define RH_SETTINGS_H

#include "rh_config.h"

#include <limits.h>

/** Where a directive may stand. */
typedef enum {
    RH_CONTEXT_GLOBAL,   /**< the main server */
    RH_CONTEXT_HOST,     /**< the main server and virtual hosts */
    RH_CONTEXT_DIRECTORY /**< these, Location and Directory: a member of rh_dir_config_t */
} rh_context_t;

/** What virtual hosts can share although they differ in a setting. */
typedef enum {
    RH_SHARE_SITE, /**< queue, dispatcher and network settings: deliveries do not depend on it */
    RH_SHARE_NET,  /**< the network settings alone (policy, TLS) */
    RH_SHARE_NONE  /**< nothing: it is part of the network settings */
} rh_share_t;

/** No limit to the number of arguments. */
#define RH_ANY_NUMBER INT_MAX

typedef struct rh_setting_t rh_setting_t;

/** The functions of all settings of one type, and the number of their arguments. `record` is an
 * rh_settings_t or rh_dir_config_t. */
typedef struct rh_setting_kind_t {
    int min_args, max_args;
    /**
     * Read the arguments into the record.
     * @return NULL, or the complaint
     */
    const char *(*parse)(cmd_parms *cmd, const rh_setting_t *setting, void *record, int argc,
                         char *const argv[]);
    /** Initialise the member of a new record; NULL: all zero means that it is not set. */
    void (*clear)(apr_pool_t *pool, const rh_setting_t *setting, void *record);
    void (*merge)(apr_pool_t *pool, const rh_setting_t *setting, void *merged, const void *base,
                  const void *add);
    /** True if both are the same; NULL where RH_SHARE_SITE makes it unnecessary. */
    bool (*same)(const rh_setting_t *setting, const void *a, const void *b);
    bool (*is_set)(const rh_setting_t *setting, const void *record);
} rh_setting_kind_t;

struct rh_setting_t {
    const char *name; /**< of the directive */
    const rh_setting_kind_t *kind;
    apr_size_t offset; /**< of the member */
    rh_context_t context;
    rh_share_t share;
    const char *fallback;  /**< the default, as arguments of the directive; NULL: none, or one that
                                rh_settings_complete makes. That of a directory is applied by its
                                user */
    const char *min, *max; /**< bounds of a number or duration, as written in the configuration */
    const char *help;      /**< for httpd -L */
};

/**
 * ROW(member, name, kind, context, share, default, min, max, help); RAW the same for a directive
 * whose arguments are not split.
 */
#define RH_SETTINGS(ROW, RAW)                                                                      \
    ROW(enabled, RH_NAME_ENABLED, flag, HOST, SITE, "Off", NULL, NULL,                             \
        "On: capture and deliver events for this host")                                            \
    ROW(tenant, RH_NAME_TENANT, tenant, DIRECTORY, SITE, "%{REMOTE_USER}", NULL, NULL,             \
        "expression that yields the tenant; empty: none")                                          \
    RAW(rules, RH_NAME_EVENT, rules, HOST, SITE, NULL, NULL, NULL,                                 \
        "type methods regex [option...]: a capture rule")                                          \
    ROW(types, RH_NAME_EVENT_TYPE, types, HOST, SITE, NULL, NULL, NULL,                            \
        "type, description, optionally a file with a sample and schema=file")                      \
    ROW(publisher, "RestHooksPublisher", condition, DIRECTORY, SITE, "false", NULL, NULL,          \
        "true-or-false expression: who may POST events")                                           \
    ROW(admin, "RestHooksAdmin", condition, DIRECTORY, SITE, "false", NULL, NULL,                  \
        "true-or-false expression: who may see and act across tenants")                            \
    ROW(expose_event_id, "RestHooksExposeEventId", flag, DIRECTORY, SITE, "Off", NULL, NULL,       \
        "On: a captured response names its events in X-Hook-Event-Id")                             \
    ROW(retry, RH_NAME_RETRY, waits, HOST, NET, "5s 5m 30m 2h 5h 10h 14h 20h 24h", NULL, "30d",    \
        "waits between the attempts of a delivery")                                                \
    ROW(timeout, RH_NAME_TIMEOUT, duration, HOST, NET, "15s", "10ms", "10m",                       \
        "maximum duration of an attempt, to the last byte of the response")                        \
    ROW(connect_timeout, RH_NAME_CONNECT_TIMEOUT, duration, HOST, NET, "5s", "10ms", "10m",        \
        "its part up to the connection")                                                           \
    ROW(gone, "RestHooksGone", statuses, HOST, NET, "410 409", NULL, NULL,                         \
        "statuses that deactivate a subscription at once, or none")                                \
    ROW(disable_after, "RestHooksDisableAfter", duration_or_never, HOST, NET, "5d", "1s", "3650d", \
        "how long every attempt must have failed to disable a subscription, or never")             \
    ROW(max_data, RH_NAME_MAX_DATA, size, HOST, SITE, "262144", "1", "33554432",                   \
        "maximum size of an event's data, bytes")                                                  \
    ROW(concurrency, "RestHooksConcurrency", number, GLOBAL, SITE, "1024", "1", "100000",          \
        "attempts in flight in one child process")                                                 \
    ROW(endpoint_concurrency, "RestHooksEndpointConcurrency", number, HOST, NET, "16", "1",        \
        "100000", "of those, to one subscription")                                                 \
    ROW(host_concurrency, "RestHooksHostConcurrency", number, HOST, NET, "64", "1", "100000",      \
        "of those, to one host and port")                                                          \
    ROW(max_subscriptions, "RestHooksMaxSubscriptions", number, HOST, SITE, "100", "1", "1000000", \
        "maximum number of subscriptions per tenant")                                              \
    ROW(tenant_requests, "RestHooksTenantRequests", number, HOST, SITE, "8", "1", "100000",        \
        "maximum number of concurrent API calls per tenant and child process")                     \
    ROW(max_hops, "RestHooksMaxHops", number, HOST, NET, "2", "0", "100",                          \
        "how often an event may result from a delivery before it is not delivered")                \
    ROW(threads, "RestHooksThreads", number, GLOBAL, SITE, "2", "1", "64",                         \
        "delivery threads of one child process")                                                   \
    ROW(https_only, "RestHooksTargets", targets, HOST, SITE, "https-only", NULL, NULL,             \
        "https-only, or http: plain targets too")                                                  \
    ROW(allow, RH_NAME_TARGET_ALLOW, addresses, HOST, NONE, NULL, NULL, NULL,                      \
        "addresses, CIDR blocks and hosts that may be targets though they are not public")         \
    ROW(deny, RH_NAME_TARGET_DENY, addresses, HOST, NONE, NULL, NULL, NULL,                        \
        "addresses, CIDR blocks and hosts that may not be targets")                                \
    ROW(egress_proxy, RH_NAME_EGRESS_PROXY, proxy, HOST, NONE, NULL, NULL, NULL,                   \
        "http://host:port of a proxy for deliveries, and its options")                             \
    ROW(tls_ca_file, RH_NAME_TLS_CA_FILE, file, HOST, NONE, NULL, NULL, NULL,                      \
        "PEM file of the CAs that targets' certificates are checked against")                      \
    ROW(tls_certificate, RH_NAME_TLS_CERTIFICATE, file, HOST, NONE, NULL, NULL, NULL,              \
        "PEM file of the certificate that is shown to targets")                                    \
    ROW(tls_key, RH_NAME_TLS_KEY, key_file, HOST, NONE, NULL, NULL, NULL,                          \
        "PEM file of its key, where that is another file")                                         \
    ROW(retention, RH_NAME_RETENTION, duration, HOST, NET, "30d", "1s", "36500d",                  \
        "how long events, deliveries and attempts are kept")                                       \
    ROW(spool, "RestHooksSpool", directory, GLOBAL, SITE, NULL, NULL, NULL,                        \
        "directory for events while the database can't be reached")                                \
    ROW(page, "RestHooksPage", page, HOST, SITE, NULL, NULL, NULL,                                 \
        "directory of the page's files, or Off")                                                   \
    ROW(log_name, "RestHooksLog", log, HOST, NET, NULL, NULL, NULL,                                \
        "file or |program for a line of each attempt, and its format; or none")                    \
    ROW(schema_auto, "RestHooksSchema", schema, GLOBAL, SITE, "auto", NULL, NULL,                  \
        "auto: create and upgrade the tables at start; check: only look")                          \
    ROW(db_driver, "DBDriver", overheard, HOST, NET, NULL, NULL, NULL, "mod_dbd's")                \
    ROW(db_params, "DBDParams", overheard, HOST, NET, NULL, NULL, NULL, "mod_dbd's")               \
    ROW(db_init, "DBDInitSQL", overheard_list, HOST, NET, NULL, NULL, NULL, "mod_dbd's")

#define RH_SETTING_INDEX(member, ...) RH_SETTING_##member,
/** RH_SETTING_timeout is the row of the member `timeout`. */
enum { RH_SETTINGS(RH_SETTING_INDEX, RH_SETTING_INDEX) RH_SETTING_COUNT };

extern const rh_setting_t rh_settings[RH_SETTING_COUNT];

/** Kinds (rh_setting_kinds.c, rh_setting_files.c; types and proxy: rh_config_type.c, …_proxy.c). */
extern const rh_setting_kind_t rh_kind_flag, rh_kind_number, rh_kind_size, rh_kind_duration,
    rh_kind_duration_or_never, rh_kind_targets, rh_kind_schema, rh_kind_waits, rh_kind_statuses,
    rh_kind_addresses, rh_kind_tenant, rh_kind_condition, rh_kind_file, rh_kind_key_file,
    rh_kind_directory, rh_kind_page, rh_kind_log, rh_kind_overheard, rh_kind_rules, rh_kind_types,
    rh_kind_proxy, rh_kind_overheard_list;

/** The member of a record that a setting is about. */
#define RH_MEMBER(record, setting, type)                                                           \
    (*(type *)(void *)((char *)(uintptr_t)(record) + (setting)->offset))

/** Functions for members that are pointers; NULL: not set. */
void rh_merge_pointer(apr_pool_t *pool, const rh_setting_t *setting, void *merged, const void *base,
                      const void *add);
bool rh_same_text(const rh_setting_t *setting, const void *a, const void *b);
bool rh_pointer_is_set(const rh_setting_t *setting, const void *record);
/** True if two strings, or two arrays of strings, are equal or both NULL. */
bool rh_texts_equal(const char *a, const char *b);
bool rh_lists_equal(const apr_array_header_t *a, const apr_array_header_t *b);

/** Initialise, and merge, all members of records: those of rh_dir_config_t if `directory`. */
void rh_settings_clear(apr_pool_t *pool, void *record, bool directory);
void rh_settings_merge(apr_pool_t *pool, void *merged, const void *base, const void *add,
                       bool directory);
/** Give each setting of a server that is not set its default, in `pool`. */
void rh_settings_complete(apr_pool_t *pool, server_rec *server, rh_settings_t *settings);
/** True if two hosts are the same in all settings that forbid them to share `what`. */
bool rh_settings_share(const rh_settings_t *a, const rh_settings_t *b, rh_share_t what);

#endif
