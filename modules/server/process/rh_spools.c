/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_spools.h"

#include "rh_db_identity.h"
#include "rh_privilege.h"
#include "rh_spool_dir.h"

#include <http_main.h>

/** Maximum number of unowned files that one warning names. */
#define MAX_NAMED 5

/** Make the spool's directory, for the children's user only. */
static bool make_dir(rh_server_config_t *config, const rh_server_config_t *main_config,
                     apr_pool_t *scratch)
{
    const char *problem;
    apr_status_t status = rh_privilege_make_dir(scratch, config->settings.spool, &problem);

    if (status == APR_SUCCESS) {
        return true;
    }
    rh_log(&main_config->log, RH_LOG_CRIT, problem ? APR_SUCCESS : status, "RH0709",
           "RestHooksSpool: cannot use the directory %s%s%s", config->settings.spool,
           problem ? ": " : "", problem ? problem : "");
    if (rh_server_is_restart()) {
        config->settings.spool = NULL;
        return true;
    }
    return false;
}

/** Name the files of each server's database. Servers that share a database share an owner. */
static void name_owners(apr_pool_t *pconf, server_rec *first)
{
    rh_spool_owner_t *owner = NULL;
    bool single = true;
    server_rec *server;

    for (server = first; server; server = server->next) {
        rh_server_config_t *config = rh_server_config(server);
        const char *name;
        server_rec *other;

        if (!config->settings.enabled) {
            continue;
        }
        name = rh_db_file_name(pconf, config->settings.db_driver, config->settings.db_params);
        owner = NULL;
        for (other = first; other != server && !owner; other = other->next) {
            rh_spool_owner_t *known = rh_server_config(other)->spool_owner;

            owner = known && strcmp(known->database, name) == 0 ? known : NULL;
            single = single && (!known || owner);
        }
        if (!owner) {
            owner = apr_pcalloc(pconf, sizeof(*owner));
            owner->database = name;
            owner->former = apr_array_make(pconf, 2, sizeof(const char *));
        }
        APR_ARRAY_PUSH(owner->former, const char *) = rh_server_name(pconf, server);
        config->spool_owner = owner;
    }
    if (owner) {
        owner->any_former = single;
    }
}

/** Collect the owners of all enabled servers. */
static apr_array_header_t *list_owners(apr_pool_t *pool, server_rec *server)
{
    apr_array_header_t *owners = apr_array_make(pool, 4, sizeof(const rh_spool_owner_t *));

    for (; server; server = server->next) {
        const rh_spool_owner_t *owner = rh_server_config(server)->spool_owner;

        if (owner) {
            APR_ARRAY_PUSH(owners, const rh_spool_owner_t *) = owner;
        }
    }
    return owners;
}

/** Warn of files in a directory that no database will receive. */
static void warn_of_orphans(const rh_server_config_t *config, const apr_array_header_t *owners,
                            apr_pool_t *scratch)
{
    const char *list = "";
    apr_array_header_t *names;

    if (rh_spool_orphans(config->settings.spool, owners, scratch, &names) != APR_SUCCESS ||
        names->nelts == 0) {
        return;
    }
    for (int i = 0; i < names->nelts && i < MAX_NAMED; i++) {
        list = apr_pstrcat(scratch, list, " ", APR_ARRAY_IDX(names, i, const char *), NULL);
    }
    rh_log(&config->log, RH_LOG_WARN, APR_SUCCESS, "RH0711",
           "RestHooksSpool: %d files in %s wait for a database that no virtual host uses; their "
           "events are not delivered (resthooksctl spool list):%s%s",
           names->nelts, config->settings.spool, list, names->nelts > MAX_NAMED ? " ..." : "");
}

bool rh_spools_prepare(apr_pool_t *pconf, apr_pool_t *scratch, server_rec *first)
{
    const rh_server_config_t *main_config = rh_server_config(first);
    apr_array_header_t *owners, *seen = apr_array_make(scratch, 2, sizeof(const char *));
    server_rec *server;

    name_owners(pconf, first);
    owners = list_owners(scratch, first);
    for (server = first; server; server = server->next) {
        rh_server_config_t *config = rh_server_config(server);
        bool known = false;

        if (!config->settings.enabled) {
            continue;
        }
        for (int i = 0; i < seen->nelts && !known; i++) {
            known = strcmp(APR_ARRAY_IDX(seen, i, const char *), config->settings.spool) == 0;
        }
        if (!make_dir(config, main_config, scratch)) {
            return false;
        }
        if (!known && config->settings.spool) {
            APR_ARRAY_PUSH(seen, const char *) = config->settings.spool;
            warn_of_orphans(config, owners, scratch);
        }
    }
    return true;
}

int rh_spools_orphans(apr_pool_t *scratch, const char *folder)
{
    apr_array_header_t *owners = list_owners(scratch, ap_server_conf), *names;

    return rh_spool_orphans(folder, owners, scratch, &names) == APR_SUCCESS ? names->nelts : 0;
}
