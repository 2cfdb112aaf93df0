/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file heap_pools.c
 * @brief Preloaded into httpd: APR's pools take their memory from malloc, and give it back at once.
 *
 * Debian's APR maps it instead, and its allocators keep what pools no longer need: neither valgrind
 * nor ASan sees then that a pool is leaked, that it is used after it was destroyed, or that what it
 * gave out was never written.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define PLACES (1 << 18)
#define GONE ((uintptr_t)1)

void apr_allocator_max_free_set(void *allocator, size_t size);

/** Addresses of allocations, as complements: a pointer would hide a leaked block. */
static uintptr_t taken[PLACES];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/** Return the position of a block, or with 0 a free position. */
static uintptr_t *place_of(const void *block, uintptr_t wanted)
{
    size_t at = (uintptr_t)block / PAGE * 2654435761U % PLACES;

    for (size_t i = 0; i < PLACES; i++, at = (at + 1) % PLACES) {
        if (taken[at] == wanted || (wanted == 0 && taken[at] == GONE)) {
            return &taken[at];
        }
        if (taken[at] == 0) {
            return NULL;
        }
    }
    abort();
}

static bool remember(const void *block)
{
    pthread_mutex_lock(&mutex);
    *place_of(block, 0) = ~(uintptr_t)block;
    pthread_mutex_unlock(&mutex);
    return true;
}

static bool forget(const void *block)
{
    uintptr_t *place;

    pthread_mutex_lock(&mutex);
    place = place_of(block, ~(uintptr_t)block);
    if (place) {
        *place = GONE;
    }
    pthread_mutex_unlock(&mutex);
    return place != NULL;
}

static bool is_apr(const void *caller)
{
    Dl_info info;

    return dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "libapr-1.so");
}

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset)
{
    static void *(*real)(void *, size_t, int, int, int, off_t);
    void *block;

    if (!address && flags == (MAP_PRIVATE | MAP_ANON) && file == -1 &&
        protection == (PROT_READ | PROT_WRITE) && is_apr(__builtin_return_address(0))) {
        return posix_memalign(&block, PAGE, length) == 0 && remember(block) ? block : MAP_FAILED;
    }
    if (!real) {
        real = (void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
    }
    return real(address, length, protection, flags, file, offset);
}

int munmap(void *address, size_t length)
{
    static int (*real)(void *, size_t);

    if (is_apr(__builtin_return_address(0)) && forget(address)) {
        free(address);
        return 0;
    }
    if (!real) {
        real = (int (*)(void *, size_t))dlsym(RTLD_NEXT, "munmap");
    }
    return real(address, length);
}

/** Ignore what httpd and the module ask to keep: it becomes less than the smallest block. */
void apr_allocator_max_free_set(void *allocator, size_t size)
{
    static void (*real)(void *, size_t);

    (void)size;
    if (!real) {
        real = (void (*)(void *, size_t))dlsym(RTLD_NEXT, "apr_allocator_max_free_set");
    }
    real(allocator, 1);
}
