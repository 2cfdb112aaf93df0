# Licensed under the Apache License, Version 2.0: see LICENSE.
# ./check --bench: install packages, make an optimized build, run the benchmark. Sourced by ./check.
# shellcheck shell=bash disable=SC2154,SC2086

section "packages"
if [ $install = yes ]; then
    install_packages "$work/apt" $BUILD_PACKAGES $RUN_PACKAGES wrk valgrind
    install_postgresql "$work/apt"
fi
source=$(writable_source bench)

section "build"
build bench "$work/build" CFLAGS="-O2 -g"
make -C "$source/build/bench" t/bench/sink t/bench/claim t/bench/posts >"$work/build" 2>&1 </dev/null ||
    die "the build failed: $(tail -n 15 "$work/build")"

section "benchmark"
quick=""
[ "$bench" = full ] || quick=--quick
status=0
python3 -B "$top/t/bench/bench.py" $quick "$source/build/bench" || status=$?
echo "kept        $source/build/bench/bench.json"
[ $status = 0 ] || exit $status
