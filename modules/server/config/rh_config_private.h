/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_config_private.h
 * @brief Declarations shared by the files of the configuration.
 */
#ifndef RH_CONFIG_PRIVATE_H
#define RH_CONFIG_PRIVATE_H

#include "rh_config.h"

/* Names of directives that appear both in the table of settings and in messages. */
#define RH_NAME_ENABLED "RestHooks"
#define RH_NAME_EVENT "RestHooksEvent"
#define RH_NAME_TENANT "RestHooksTenant"
#define RH_NAME_RETRY "RestHooksRetry"
#define RH_NAME_RETENTION "RestHooksRetention"
#define RH_NAME_EVENT_TYPE "RestHooksEventType"
#define RH_NAME_TIMEOUT "RestHooksTimeout"
#define RH_NAME_CONNECT_TIMEOUT "RestHooksConnectTimeout"
#define RH_NAME_MAX_DATA "RestHooksMaxData"
#define RH_NAME_TARGET_ALLOW "RestHooksTargetAllow"
#define RH_NAME_TARGET_DENY "RestHooksTargetDeny"
#define RH_NAME_EGRESS_PROXY "RestHooksEgressProxy"
#define RH_NAME_TLS_CA_FILE "RestHooksTLSCAFile"
#define RH_NAME_TLS_CERTIFICATE "RestHooksTLSCertificate"
#define RH_NAME_TLS_KEY "RestHooksTLSKey"

/** Maximum of RestHooksMaxData, in bytes: two such events fit into a file of the spool and into a
 * writer's queue. */
#define RH_LARGEST_DATA (32 * 1024 * 1024)

/** Directives of other modules that are overheard (rh_config_overheard.c). */
const char *rh_overhear_handler(cmd_parms *cmd, void *dir_config, const char *handler);
const char *rh_overhear_require(cmd_parms *cmd, void *dir_config, const char *args);
const char *rh_overhear_auth_type(cmd_parms *cmd, void *dir_config, const char *type);
/**
 * Overhearing a directive makes it known to httpd even without the module that it belongs to.
 * @return NULL, or the complaint that this module ("mod_dbd") is not loaded
 */
const char *rh_need_module(cmd_parms *cmd, const char *name);

struct rh_setting_t;
/** RestHooksEventType, with its sample and schema files (rh_config_type.c). */
const char *rh_parse_event_type(cmd_parms *cmd, const struct rh_setting_t *setting, void *record,
                                int argc, char *const argv[]);

/**
 * Read a regular file relative to the ServerRoot into `pool` of `cmd`, zero-terminated, white space
 * around its content removed.
 * @return NULL, or the complaint
 */
const char *rh_read_text_file(cmd_parms *cmd, const char *name, apr_size_t max_len,
                              const char **path, const char **text, apr_size_t *len);

/** Warn about Location and Directory sections of all servers (rh_config_sections.c). */
void rh_warn_sections(apr_pool_t *scratch, server_rec *server);
/** True if it is certain that no path of a request matches a rule's regular expression. */
bool rh_pattern_matches_no_path(const char *pattern);
/** True if an expression cannot depend on the request: neither %{...} nor a back-reference. */
bool rh_expression_is_constant(const char *text);

/** Set up a log that writes to a server's error log, as "RHnnnn: text" (rh_config_log.c). */
void rh_log_sink(rh_log_t *log, server_rec *server);

/**
 * Make the catalogue of a server: types of RestHooksEventType and of rules, each once, sorted.
 * @return array of rh_catalogue_type_t *, in `pool`
 */
apr_array_header_t *rh_catalogue_make(apr_pool_t *pool, const rh_server_config_t *config);

#endif
