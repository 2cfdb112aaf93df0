/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_slot.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

apr_status_t rh_slot_take(const char *folder, int count, apr_pool_t *scratch, int *slot)
{
    apr_status_t status = APR_EAGAIN;
    int i;

    *slot = RH_NO_SLOT;
    for (i = 0; i < count; i++) {
        const char *path = apr_psprintf(scratch, "%s/deliver.%d.lock", folder, i);
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0) {
            return errno;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            *slot = fd;
            return APR_SUCCESS;
        }
        if (errno != EWOULDBLOCK) {
            status = errno;
        }
        close(fd);
    }
    return status;
}

void rh_slot_give_back(int *slot)
{
    if (*slot != RH_NO_SLOT) {
        close(*slot);
        *slot = RH_NO_SLOT;
    }
}
