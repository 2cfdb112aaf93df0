/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/**
 * @file replay_main.c
 * @brief Runs a fuzz target over its corpus, as a test: one check per file.
 *
 * fuzz_NAME reads t/fuzz/corpus/NAME below $RH_SRCDIR, or the directory that its argument names.
 */
#include "../unit/tap.h"

#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Read a file into a block of exactly its size, so that ASan notices a read past its end. */
static uint8_t *read_whole(const char *path, size_t *size)
{
    struct stat info;
    uint8_t *data = NULL;
    FILE *file = stat(path, &info) == 0 && S_ISREG(info.st_mode) ? fopen(path, "rb") : NULL;

    if (file) {
        *size = (size_t)info.st_size;
        data = malloc(*size ? *size : 1);
        if (data && fread(data, 1, *size, file) != *size) {
            free(data);
            data = NULL;
        }
        fclose(file);
    }
    return data;
}

int main(int argc, char **argv)
{
    char folder[4096];
    const char *name = strrchr(argv[0], '/');
    const char *source = getenv("RH_SRCDIR");
    struct dirent **entries;
    int count;

    name = name ? name + 1 : argv[0];
    name = strncmp(name, "lt-", 3) == 0 ? name + 3 : name;
    name = strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name;
    if (argc > 1) {
        snprintf(folder, sizeof(folder), "%s", argv[1]);
    } else {
        snprintf(folder, sizeof(folder), "%s/t/fuzz/corpus/%s", source ? source : ".", name);
    }
    signal(SIGPIPE, SIG_IGN);
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    ok(true, "%s survives an empty input", name);
    count = scandir(folder, &entries, NULL, alphasort);
    ok(count > 2, "%s has a corpus in %s", name, folder);
    for (int i = 0; i < count; i++) {
        char path[5000];
        size_t size;
        uint8_t *data;

        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        data = read_whole(path, &size);
        if (data) {
            LLVMFuzzerTestOneInput(data, size);
            ok(true, "%s survives %s", name, entries[i]->d_name);
            free(data);
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
    return done_testing();
}
