/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_privilege.h"

#include <apr_strings.h>
#include <httpd.h>
#include <unixd.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_MODE 0700
/** Maximum number of links that are followed on the way to a directory. */
#define MAX_LINKS 40

/** True if this process is root and the children run as another user. */
static bool is_root_for_others(void)
{
    uid_t user = ap_unixd_config.user_id;

    return geteuid() == 0 && user != 0 && user != (uid_t)-1 &&
           ap_unixd_config.group_id != (gid_t)-1;
}

/** Set the supplementary groups of the children's user, as httpd does for its children. */
static apr_status_t take_groups(void)
{
    const struct passwd *entry = getpwuid(ap_unixd_config.user_id);
    gid_t group = ap_unixd_config.group_id;

    if (entry) {
        return initgroups(entry->pw_name, group) == 0 ? APR_SUCCESS : errno;
    }
    return setgroups(1, &group) == 0 ? APR_SUCCESS : errno;
}

apr_status_t rh_privilege_drop(rh_identity_t *before)
{
    apr_status_t status;

    memset(before, 0, sizeof(*before));
    before->user = geteuid();
    before->group = getegid();
    if (!is_root_for_others()) {
        return APR_SUCCESS;
    }
    before->group_count = getgroups(RH_MAX_GROUPS, before->groups);
    if (before->group_count < 0) {
        return errno;
    }
    before->changed = true;
    status = take_groups();
    if (status == APR_SUCCESS && setegid(ap_unixd_config.group_id) != 0) {
        status = errno;
    }
    if (status == APR_SUCCESS && seteuid(ap_unixd_config.user_id) != 0) {
        status = errno;
    }
    if (status != APR_SUCCESS) {
        apr_status_t undone = rh_privilege_restore(before);

        before->changed = false;
        return undone == APR_SUCCESS ? status : APR_EGENERAL;
    }
    return APR_SUCCESS;
}

apr_status_t rh_privilege_restore(const rh_identity_t *before)
{
    if (!before->changed) {
        return APR_SUCCESS;
    }
    /* Restore the user first: only root may change groups. */
    if (seteuid(before->user) != 0 || setegid(before->group) != 0 ||
        setgroups((size_t)before->group_count, before->groups) != 0) {
        return errno;
    }
    return APR_SUCCESS;
}

/**
 * Check what is at the end of a path, without following a link there.
 * @return APR_ENOENT: nothing; APR_SUCCESS: a directory of the children's user
 */
static apr_status_t judge_dir(apr_pool_t *pool, int parent, const char *name, const char **problem)
{
    uid_t user = is_root_for_others() ? ap_unixd_config.user_id : geteuid();
    struct stat info;

    if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno;
    }
    if (S_ISLNK(info.st_mode)) {
        *problem = "it is a symbolic link";
    } else if (!S_ISDIR(info.st_mode)) {
        *problem = "it is not a directory";
    } else if (info.st_uid != user) {
        *problem = apr_psprintf(pool, "it belongs to the user %lu, not to httpd's User (%lu)",
                                (unsigned long)info.st_uid, (unsigned long)user);
    }
    return *problem ? APR_EINVAL : APR_SUCCESS;
}

/** True if the children's user is in a group. */
static bool is_in_group(gid_t group)
{
    const struct passwd *entry = getpwuid(ap_unixd_config.user_id);
    gid_t groups[RH_MAX_GROUPS];
    int count = RH_MAX_GROUPS;

    if (group == ap_unixd_config.group_id) {
        return true;
    }
    if (!entry || getgrouplist(entry->pw_name, ap_unixd_config.group_id, groups, &count) < 0) {
        return entry != NULL; /* more groups than fit: assume that it is */
    }
    for (int i = 0; i < count; i++) {
        if (groups[i] == group) {
            return true;
        }
    }
    return false;
}

/**
 * True if the children's user cannot change what root's names in a directory refer to.
 * @param passing true if the path only passes through an existing component that belongs to root:
 * in a directory with the sticky bit no other user can replace it
 */
static bool is_roots(int dir, bool passing)
{
    struct stat info;

    if (fstat(dir, &info) != 0 || info.st_uid != 0) {
        return false;
    }
    if (passing && (info.st_mode & S_ISVTX)) {
        return true;
    }
    return !(info.st_mode & S_IWOTH) && (!(info.st_mode & S_IWGRP) || !is_in_group(info.st_gid));
}

/** A walk from the root of the file system, component by component. */
typedef struct walk_t {
    apr_pool_t *pool;
    int dir;          /**< the current directory; -1: it failed */
    const char *rest; /**< rest of the path */
    int links;        /**< links followed so far */
} walk_t;

static apr_status_t walk_to(walk_t *walk, int dir)
{
    apr_status_t status = dir < 0 ? errno : APR_SUCCESS;

    if (walk->dir >= 0) {
        close(walk->dir);
    }
    walk->dir = dir;
    return status;
}

/** Continue at the target of a link that belongs to root. */
static apr_status_t follow_link(walk_t *walk, const char *name)
{
    char target[PATH_MAX];
    ssize_t len = readlinkat(walk->dir, name, target, sizeof(target));

    if (len < 0 || (size_t)len >= sizeof(target) || ++walk->links > MAX_LINKS) {
        return len < 0 ? errno : ELOOP;
    }
    target[len] = '\0';
    walk->rest = apr_pstrcat(walk->pool, target, "/", walk->rest, NULL);
    return *target == '/' ? walk_to(walk, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
                          : APR_SUCCESS;
}

/** Enter the next component of a directory whose names only root can change. */
static apr_status_t walk_step(walk_t *walk, const char *name)
{
    struct stat info;

    if (!is_roots(walk->dir, true)) {
        return EACCES;
    }
    if (fstatat(walk->dir, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno;
    }
    if (!S_ISLNK(info.st_mode)) {
        return walk_to(walk,
                       openat(walk->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    }
    return info.st_uid == 0 ? follow_link(walk, name) : EACCES;
}

/**
 * Open the directory of a path as root, from the top, refusing to pass through any directory or
 * link that the children's user can change.
 * @param dir receives the descriptor
 * @param name receives the path's last component
 */
static apr_status_t open_roots_parent(apr_pool_t *pool, const char *path, int *dir,
                                      const char **name)
{
    char *copy = apr_pstrdup(pool, path), *slash;
    apr_size_t len = strlen(copy);
    walk_t walk = {pool, -1, NULL, 0};
    apr_status_t status;

    while (len > 1 && copy[len - 1] == '/') {
        copy[--len] = '\0';
    }
    slash = strrchr(copy, '/');
    if (*copy != '/' || !slash[1]) {
        return APR_EBADPATH;
    }
    *slash = '\0';
    *name = slash + 1;
    walk.rest = copy;
    status = walk_to(&walk, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    while (status == APR_SUCCESS) {
        const char *component;

        walk.rest += strspn(walk.rest, "/");
        len = strcspn(walk.rest, "/");
        if (len == 0) {
            break;
        }
        component = apr_pstrmemdup(pool, walk.rest, len);
        walk.rest += len;
        status = walk_step(&walk, component);
    }
    if (status == APR_SUCCESS && !is_roots(walk.dir, false)) {
        status = EACCES;
    }
    if (status != APR_SUCCESS) {
        walk_to(&walk, -1);
    }
    *dir = walk.dir;
    return status;
}

/** As root: make one directory in a parent that only root can change, and give it to the user. */
static apr_status_t make_as_root(apr_pool_t *pool, const char *path, const char **problem)
{
    const char *name;
    int dir, made = -1;
    apr_status_t status = open_roots_parent(pool, path, &dir, &name);

    if (status != APR_SUCCESS) {
        return status;
    }
    if (mkdirat(dir, name, DIR_MODE) != 0) {
        status = errno == EEXIST ? judge_dir(pool, dir, name, problem) : errno;
    } else {
        made = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (made < 0 || fchown(made, ap_unixd_config.user_id, ap_unixd_config.group_id) != 0) {
            status = errno;
        }
    }
    if (made >= 0) {
        close(made);
    }
    close(dir);
    return status;
}

/** As the children's user: make a directory and its parents. */
static apr_status_t make_as_user(apr_pool_t *pool, const char *path, const char **problem)
{
    apr_status_t status;

    if (apr_dir_make_recursive(path, APR_FPROT_UREAD | APR_FPROT_UWRITE | APR_FPROT_UEXECUTE,
                               pool) != APR_SUCCESS &&
        errno != EEXIST) {
        return errno;
    }
    status = judge_dir(pool, AT_FDCWD, path, problem);
    if (status == APR_SUCCESS && faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) != 0) {
        status = errno;
    }
    return status;
}

apr_status_t rh_privilege_make_dir(apr_pool_t *pool, const char *path, const char **problem)
{
    rh_identity_t before;
    apr_status_t status, restored;

    *problem = NULL;
    status = rh_privilege_drop(&before);
    if (status != APR_SUCCESS) {
        return status;
    }
    status = judge_dir(pool, AT_FDCWD, path, problem);
    if (APR_STATUS_IS_ENOENT(status)) {
        status = make_as_user(pool, path, problem);
    }
    restored = rh_privilege_restore(&before);
    if (restored != APR_SUCCESS) {
        return restored;
    }
    if (before.changed && (APR_STATUS_IS_EACCES(status) || status == EPERM)) {
        status = make_as_root(pool, path, problem);
    }
    return status;
}

/** True if only root can change the path of a file. */
static bool is_roots_way(apr_pool_t *pool, const char *path)
{
    const char *name;
    int dir;

    if (open_roots_parent(pool, path, &dir, &name) != APR_SUCCESS) {
        return false;
    }
    close(dir);
    return true;
}

apr_status_t rh_privilege_open_append(apr_pool_t *pool, const char *path, mode_t mode, int *fd)
{
    bool drops = is_root_for_others() && !is_roots_way(pool, path);
    rh_identity_t before;
    apr_status_t status = APR_SUCCESS, restored;

    if (drops) {
        status = rh_privilege_drop(&before);
        if (status != APR_SUCCESS) {
            return status;
        }
    }
    *fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | (drops ? O_NOFOLLOW : 0), mode);
    if (*fd < 0) {
        status = errno;
    }
    if (drops) {
        restored = rh_privilege_restore(&before);
        status = restored != APR_SUCCESS ? restored : status;
    }
    return status;
}
