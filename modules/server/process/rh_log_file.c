/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* RestHooksLog: the parent opens its files and pipes, as it does those of access logs. */
#include "rh_privilege.h"
#include "rh_server.h"

#include <apr_hash.h>
#include <apr_portable.h>
#include <http_core.h>
#include <http_log.h>
#include <http_main.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

APLOG_USE_MODULE(resthooks);

/** Lines name tenants and targets, so only the owner, usually root, and its group may read them. */
#define LOG_MODE 0640

static apr_status_t close_log(void *data)
{
    close((int)(intptr_t)data);
    return APR_SUCCESS;
}

/** Start a program. @param fd receives the writing end of the pipe to it */
static apr_status_t open_program(apr_pool_t *pconf, const char *command, int *fd)
{
    piped_log *pipe = ap_open_piped_log(pconf, command);
    apr_os_file_t native;
    apr_status_t status;

    if (!pipe) {
        return APR_EGENERAL;
    }
    status = apr_os_file_get(&native, ap_piped_log_write_fd(pipe));
    if (status != APR_SUCCESS) {
        return status;
    }
    /* A program that does not read must not block deliveries. */
    if (fcntl(native, F_SETFL, fcntl(native, F_GETFL) | O_NONBLOCK) != 0) {
        return errno;
    }
    *fd = native;
    return APR_SUCCESS;
}

/** Open a file, or start a program. */
static apr_status_t open_one(apr_pool_t *pconf, const char *name, int *fd)
{
    apr_status_t status;

    if (*name == '|') {
        return open_program(pconf, name + 1, fd);
    }
    status = rh_privilege_open_append(pconf, name, LOG_MODE, fd);
    if (status == APR_SUCCESS) {
        apr_pool_cleanup_register(pconf, (void *)(intptr_t)*fd, close_log, apr_pool_cleanup_null);
    }
    return status;
}

/** Open a server's RestHooksLog; servers that name the same file share one descriptor. */
static apr_status_t open_for(apr_pool_t *pconf, apr_hash_t *open, rh_server_config_t *config)
{
    rh_log_format_t *format;
    apr_status_t status;
    int *fd;

    /* The configuration was read before, so the directive was checked. */
    if (rh_log_format_parse(pconf, config->settings.log_format, &format) != NULL) {
        return APR_EINVAL;
    }
    fd = apr_hash_get(open, config->settings.log_name, APR_HASH_KEY_STRING);
    if (!fd) {
        fd = apr_palloc(pconf, sizeof(*fd));
        status = open_one(pconf, config->settings.log_name, fd);
        if (status != APR_SUCCESS) {
            return status;
        }
        apr_hash_set(open, config->settings.log_name, APR_HASH_KEY_STRING, fd);
    }
    config->attempt_log = apr_pcalloc(pconf, sizeof(*config->attempt_log));
    config->attempt_log->format = format;
    config->attempt_log->fd = *fd;
    config->attempt_log->name = config->settings.log_name;
    config->attempt_log->complaints = &config->log;
    return APR_SUCCESS;
}

static int open_logs(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
    apr_hash_t *open = apr_hash_make(ptemp);
    server_rec *each;

    (void)plog;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    for (each = server; each; each = each->next) {
        rh_server_config_t *config = rh_server_config(each);
        apr_status_t status;

        if (!config->settings.enabled || !config->settings.log_format || config->attempt_log) {
            continue;
        }
        status = open_for(pconf, open, config);
        if (status != APR_SUCCESS) {
            rh_log(&config->log, RH_LOG_CRIT, status, "RH0810", "RestHooksLog: cannot open %s",
                   config->settings.log_name);
            if (ap_state_query(AP_SQ_CONFIG_GEN) > 1) {
                continue; /* Failing here would take down the running server. */
            }
            return HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    return OK;
}

void rh_log_file_register(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_open_logs(open_logs, NULL, NULL, APR_HOOK_MIDDLE);
}
