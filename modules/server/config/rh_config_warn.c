/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Warnings at start about settings that are valid but can hardly be meant. */
#include "rh_config_private.h"

#include "rh_server.h"

#include <apr_file_info.h>
#include <http_core.h>

/** Warn about a file with a password that every user can read. */
static void warn_readable(apr_pool_t *scratch, const server_rec *server,
                          const rh_server_config_t *config)
{
    apr_finfo_t info;

    if (config->settings.egress_auth_file &&
        apr_stat(&info, config->settings.egress_auth_file, APR_FINFO_PROT, scratch) ==
            APR_SUCCESS &&
        (info.protection & APR_FPROT_WREAD)) {
        rh_log(&config->log, RH_LOG_WARN, APR_SUCCESS, "RH0413",
               RH_NAME_EGRESS_PROXY ": every user can read the password in %s (host %s)",
               config->settings.egress_auth_file, rh_server_name(scratch, server));
    }
}

static int warn_at_start(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
    server_rec *each;

    (void)pconf;
    (void)plog;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    for (each = server; each; each = each->next) {
        const rh_server_config_t *config = rh_server_config(each);

        if (each != server && config == rh_server_config(server)) {
            continue; /* A virtual host without directives of this module shares the record. */
        }
        if (config->settings.enabled) {
            warn_readable(ptemp, each, config);
        }
    }
    return OK;
}

void rh_config_register(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_post_config(warn_at_start, NULL, NULL, APR_HOOK_LAST);
}
