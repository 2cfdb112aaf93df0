/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_spools.h
 * @brief The spool's directories: made at start, and whose files lie in them.
 */
#ifndef RH_SPOOLS_H
#define RH_SPOOLS_H

#include "rh_server.h"

/**
 * Make the spool's directory of every enabled server, name its database's files
 * (config->spool_owner), and warn of files that belong to no database. In the parent, as root where
 * httpd is started so.
 * @return false: logged; httpd must not start
 */
bool rh_spools_prepare(apr_pool_t *pconf, apr_pool_t *scratch, server_rec *server);

/** How many files in a directory wait for a database that no virtual host uses. */
int rh_spools_orphans(apr_pool_t *scratch, const char *folder);

#endif
