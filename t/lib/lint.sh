# Licensed under the Apache License, Version 2.0: see LICENSE.
# What ./check --lint runs over modules/ and tools/. Sourced by bash after setup.sh.

# The analyzer's build has rh_statements.h.
lint_includes() {
    printf -- "-I. -I%s " "$source/build/analyzer"
    (cd "$top" && find modules -mindepth 1 -type d -printf '-I%p ')
}

# cppcheck does not know the libraries' headers, so it can't see that their functions set variables:
# uninitialised variables are left to the compilers and to memcheck.
lint_cppcheck() {
    # shellcheck disable=SC2046
    (cd "$top" && cppcheck --quiet --std=c99 --enable=warning,portability,performance \
        --inline-suppr --suppress=uninitvar --error-exitcode=1 -DAPR_SUCCESS=0 \
        $(lint_includes) modules tools mod_resthooks.c)
}

# gcc's own analyzer, whose warnings are errors; in a subshell, because a failed build exits.
lint_analyzer() {
    (build analyzer "$work/analyzer" --enable-werror CFLAGS="-O2 -g -fanalyzer")
}

# clang-tidy with the checks of .clang-tidy.
lint_tidy() {
    local flags
    flags="-std=gnu99 $(lint_includes) -DRH_PAGE_DIR=\"\" $(pkg-config --cflags apr-1 apr-util-1 \
        json-c openssl libcares libidn2 libpcre2-8 zlib) -I$(apxs -q INCLUDEDIR)"
    # shellcheck disable=SC2086
    (cd "$top" && find modules tools mod_resthooks.c -name '*.c' -print0 |
        xargs -0 -n 4 -P "$(nproc)" sh -c 'flags=$0
            exec clang-tidy --quiet --warnings-as-errors="*" "$@" -- $flags' "${flags//-I\//-isystem /}")
}
