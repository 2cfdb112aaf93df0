/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_spool_dir.h
 * @brief The spool's directory: which files in it belong to which database. Reads only names and
 * sizes, so any process may use it.
 */
#ifndef RH_SPOOL_DIR_H
#define RH_SPOOL_DIR_H

#include "rh_spool.h"

/** The beginning of every file, and the suffixes of waiting, refused and damaged ones. */
#define RH_SPOOL_MAGIC "RHSPOOL1"
#define RH_SPOOL_MAGIC_LEN 8
#define RH_SPOOL_SUFFIX ".spool"
#define RH_SPOOL_REFUSED ".refused"
#define RH_SPOOL_DAMAGED ".spool.damaged"

/** The parts of a file's name. */
typedef struct rh_spool_name_t {
    const char *prefix; /**< name of the database, or of a host of version 0.1 */
    const char *suffix; /**< one of the three above */
} rh_spool_name_t;

/** Split a file's name. @return false: it is not a file of a spool */
bool rh_spool_name_parse(apr_pool_t *pool, const char *file, rh_spool_name_t *name);

/** True if a file with this prefix belongs to the owner. */
bool rh_spool_owns(const rh_spool_owner_t *owner, const char *prefix);

/**
 * List the waiting files of an owner, oldest first: names of const char *, in `pool`. A missing
 * directory counts as empty.
 */
apr_status_t rh_spool_list(const char *folder, const rh_spool_owner_t *owner, apr_pool_t *pool,
                           apr_array_header_t **names);

/** The files in a directory that belong to one database. */
typedef struct rh_spool_usage_t {
    int files;       /**< number of waiting files */
    apr_off_t bytes; /**< their size, including what was already read of a file that is being
                          read */
    int damaged;     /**< files that were set aside */
    int refused;     /**< files of events that the database refuses */
    apr_off_t refused_bytes;
} rh_spool_usage_t;

/** Count the files of a directory. A missing one holds none. */
apr_status_t rh_spool_usage(const char *folder, const rh_spool_owner_t *owner, apr_pool_t *scratch,
                            rh_spool_usage_t *usage);

/**
 * Find files that wait for a database that is not one of `owners`.
 * @param owners of const rh_spool_owner_t *; @param names receives const char *, in `pool`
 */
apr_status_t rh_spool_orphans(const char *folder, const apr_array_header_t *owners,
                              apr_pool_t *pool, apr_array_header_t **names);

#endif
