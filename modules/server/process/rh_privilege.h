/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file rh_privilege.h
 * @brief What the parent, as root, creates for its children without lending them its rights.
 *
 * The children's user can change its own directories at any time, so root follows no path through
 * them: files are created as the children's user. Only where that user may not create a directory
 * does root create it, inside a directory that only root can change.
 */
#ifndef RH_PRIVILEGE_H
#define RH_PRIVILEGE_H

#include <apr_pools.h>
#include <stdbool.h>
#include <sys/types.h>

/** Maximum number of groups that are remembered. */
#define RH_MAX_GROUPS 256

/** The identity of this process before rh_privilege_drop. */
typedef struct rh_identity_t {
    bool changed;
    uid_t user;
    gid_t group;
    gid_t groups[RH_MAX_GROUPS];
    int group_count;
} rh_identity_t;

/**
 * Take the user, the group and the supplementary groups of the children (httpd's User and Group) as
 * the effective identity. Does nothing unless this process is root.
 */
apr_status_t rh_privilege_drop(rh_identity_t *before);

/** Undo rh_privilege_drop. After an error the process must not continue. */
apr_status_t rh_privilege_restore(const rh_identity_t *before);

/**
 * Make a directory for the children's user only (mode 0700), with its parents, or accept an
 * existing one that belongs to that user. Called as root, or as that user.
 * @param problem receives what is wrong with the path, in `pool`, if it is refused
 * @return APR_EINVAL: the path is a symbolic link, not a directory, or another user's; or the
 * system's error
 */
apr_status_t rh_privilege_make_dir(apr_pool_t *pool, const char *path, const char **problem);

/**
 * Open a log file for appending: with root's rights if only root can change its path, otherwise as
 * the children's user and not through a symbolic link.
 * @param fd receives the descriptor, which is closed on exec
 */
apr_status_t rh_privilege_open_append(apr_pool_t *pool, const char *path, mode_t mode, int *fd);

#endif
