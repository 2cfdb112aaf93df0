/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_slot.h"

#include "rh_atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

/** Interval between attempts to get a slot. */
#define SLOT_INTERVAL apr_time_from_sec(2)

struct rh_duty_t {
    const char *folder;
    int deliverers;
    const rh_log_t *log;
    int slot;
    int delivers;        /**< atomic */
    apr_time_t next_try; /**< used only by the thread that seeks a slot */
};

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

rh_duty_t *rh_duty_make(apr_pool_t *pool, const char *folder, int deliverers, const rh_log_t *log)
{
    rh_duty_t *duty = apr_pcalloc(pool, sizeof(*duty));

    duty->folder = folder;
    duty->deliverers = deliverers;
    duty->log = log;
    duty->slot = RH_NO_SLOT;
    duty->delivers = deliverers <= 0 || !folder;
    return duty;
}

bool rh_duty_has(const rh_duty_t *duty)
{
    return rh_atomic_get(duty->delivers) != 0;
}

bool rh_duty_seek(rh_duty_t *duty, apr_time_t now, apr_pool_t *scratch)
{
    apr_status_t status;

    if (rh_duty_has(duty) || (now < duty->next_try && duty->next_try <= now + SLOT_INTERVAL)) {
        return rh_duty_has(duty);
    }
    status = rh_slot_take(duty->folder, duty->deliverers, scratch, &duty->slot);
    duty->next_try = now + SLOT_INTERVAL;
    if (status != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(status)) {
        rh_log(duty->log, RH_LOG_ERR, status, "RH0314",
               "cannot use delivery lock files in %s (RestHooksSpool); this process delivers "
               "anyway",
               duty->folder);
        status = APR_SUCCESS;
    }
    rh_atomic_set(duty->delivers, status == APR_SUCCESS);
    return status == APR_SUCCESS;
}

void rh_duty_end(rh_duty_t *duty)
{
    rh_slot_give_back(&duty->slot);
}
