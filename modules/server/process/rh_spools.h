/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_spools.h
 * @brief Makes the spool's directories at start, and finds the files of unknown databases in them.
 */
#ifndef RH_SPOOLS_H
#define RH_SPOOLS_H

#include "rh_server.h"

/**
 * Make the spool's directory of every enabled server, name its database's files
 * (config->spool_owner), and warn of files that belong to no database. In the parent, as root if
 * httpd was started so.
 * @return false: httpd must not start (logged)
 */
bool rh_spools_prepare(apr_pool_t *pconf, apr_pool_t *scratch, server_rec *server);

/** Count the files in a directory that wait for a database that no virtual host uses. */
int rh_spools_orphans(apr_pool_t *scratch, const char *folder);

#endif
