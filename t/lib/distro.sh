# Licensed under the Apache License, Version 2.0: see LICENSE.
# ./check --distro SUITE: another Debian in a directory of its own, made by debootstrap, in which
# this builds with warnings as errors, runs the unit tests with its PostgreSQL, and makes the package.
# Sourced by check.

# The mirror that this machine's own packages come from.
distro_mirror() {
    apt-get indextargets --format '$(SITE) $(ORIGIN)' 'Created-By: Packages' 2>/dev/null |
        awk '$2 == "Debian" && $1 !~ /security/ { print $1; found = 1; exit }
             END { if (!found) print "http://deb.debian.org/debian" }'
}

# distro_run ROOT COMMAND...: run it in that directory, with a /proc of its own that ends with it.
distro_run() {
    local root=$1
    shift
    unshare --mount --pid --fork --mount-proc="$root/proc" \
        chroot "$root" env -i HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# Make the directory, or update that of an earlier run.
distro_make() {
    local suite=$1 root=$2 log=$3
    if [ ! -e "$root/.made" ]; then
        rm -rf "$root"
        mkdir -p "$root"
        echo "distro      $suite by debootstrap, some minutes ..."
        debootstrap --variant=minbase "$suite" "$root" "$(distro_mirror)" >"$log" 2>&1 </dev/null ||
            { tail -n 5 "$log"; die "debootstrap failed: $log"; }
        # Packages must not start services, nor PostgreSQL's package create a cluster.
        printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
        chmod 755 "$root/usr/sbin/policy-rc.d"
        mkdir -p "$root/etc/postgresql-common"
        echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
        touch "$root/.made"
    fi
    # shellcheck disable=SC2086
    distro_run "$root" sh -c 'apt-get update -q && apt-get install -q -y --no-install-recommends "$@"' \
        sh $BUILD_PACKAGES $RUN_PACKAGES perl postgresql procps debhelper dh-apache2 \
        >"$log" 2>&1 </dev/null || { tail -n 5 "$log"; die "apt-get failed in $root: $log"; }
}

# What runs inside: build, unit tests, package. The output has the TAP summary of `make check`.
distro_inner() {
    cat <<'TEXT'
set -e
cd /source
. /etc/os-release
echo "distro      $PRETTY_NAME: $(gcc --version | head -n 1)," \
    "c-ares $(pkg-config --modversion libcares), httpd $(apxs -q HTTPD_VERSION)," \
    "PostgreSQL $(ls /usr/lib/postgresql)"
python3 -B t/lib/database.py /tmp/conninfo >/tmp/cluster 2>&1 </dev/null &
cluster=$!
trap 'kill $cluster; wait $cluster || true' EXIT
(./autogen.sh && mkdir -p build/check && cd build/check &&
    ../../configure --enable-werror CFLAGS="-O2 -g" && make -j"$(nproc)") >/tmp/build 2>&1 </dev/null ||
    { grep -E 'error|warning' /tmp/build | head -n 30; tail -n 5 /tmp/build; exit 1; }
for _ in $(seq 300); do [ ! -e /tmp/conninfo ] || break; sleep 0.1; done
RH_PGSQL=$(cat /tmp/conninfo)
export RH_PGSQL
make -C build/check check VERBOSE=1 >/tmp/unit 2>&1 </dev/null || true
grep -E '^(not ok|# +got|# +expected|FAIL|ERROR|# (PASS|FAIL|ERROR):)' /tmp/unit || tail -n 20 /tmp/unit
rm -rf build autom4te.cache
unset RH_PGSQL
dpkg-buildpackage -us -uc -b >/tmp/package 2>&1 </dev/null &&
    echo "package     $(cd / && ls *.deb | grep -v dbgsym | tr '\n' ' ')" ||
    { grep -E 'error:|\*\*\*|^(not ok|FAIL)' /tmp/package | head -n 20; echo "package     failed"; }
TEXT
}

distro_check() {
    local suite=$1 root log=$work/distro
    [ "$(id -u)" = 0 ] || die "--distro needs root, for debootstrap and chroot"
    section "packages"
    [ $install = no ] || install_packages "$work/apt" debootstrap util-linux
    command -v debootstrap >/dev/null || die "--distro needs debootstrap"
    source=$(writable_source distro)
    root=$source/build/distro/$suite
    section "$suite"
    distro_make "$suite" "$root" "$log"
    rm -rf "$root/source" "$root"/*.deb "$root/tmp/conninfo"
    mkdir -p "$root/source"
    (cd "$source" && tar cf - --exclude=./.git --exclude=./build --exclude=node_modules \
        --exclude=./autom4te.cache .) | tar xf - -C "$root/source" --no-same-owner
    distro_inner >"$root/run.sh"
    distro_run "$root" bash /run.sh </dev/null 2>&1 | tee "$log" || true
    distro_count() { sed -n "s/^# $1: *//p" "$log" | tail -n 1 | grep . || echo 0; }
    passed=$(distro_count PASS)
    failed=$(($(distro_count FAIL) + $(distro_count ERROR)))
    grep -q '^package     .*\.deb' "$log" && passed=$((passed + 1)) || failed=$((failed + 1))
    [ "$passed" -gt 1 ] || failed=$((failed + 1))
    section "end"
    printf '%s passed, %s failed\n' "$passed" "$failed"
    [ "$failed" = 0 ]
}
