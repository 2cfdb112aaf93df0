# Licensed under the Apache License, Version 2.0: see LICENSE.
# Packages and builds, for ./quickstart and ./check. Sourced by bash with $top set.

BUILD_PACKAGES="build-essential autoconf automake libtool pkg-config apache2-dev libjson-c-dev
    libssl-dev libc-ares-dev libidn2-dev zlib1g-dev libpcre2-dev libyaml-dev"
RUN_PACKAGES="apache2-bin libaprutil1-dbd-sqlite3 libaprutil1-dbd-pgsql python3 curl openssl"

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Print the named packages that are not installed.
missing_packages() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            printf '%s ' "$package"
    done
}

# Print the packages that tests name in a line "# Packages: ...", each once.
wanted_packages() {
    sed -n 's/^# Packages: //p' "$@" | tr ' ' '\n' | sort -u | tr '\n' ' '
}

# Install missing packages with apt, and say which. The output goes to the file that is named first.
install_packages() {
    local log=$1 missing as_root=""
    shift
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        echo "packages    no apt here: trusting that what is needed is there"
        return
    fi
    missing=$(missing_packages "$@")
    if [ -z "$missing" ]; then
        echo "packages    all there"
        return
    fi
    if [ "$(id -u)" != 0 ]; then
        if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
            as_root="sudo"
        else
            die "needs packages; as root, run: apt-get install --no-install-recommends $missing"
        fi
    fi
    # shellcheck disable=SC2086
    echo "packages    installing $(set -- $missing; echo $#) by ${as_root:+$as_root }apt-get; some minutes where there are many:"
    echo "            $missing"
    # shellcheck disable=SC2086
    if ! { $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
            --no-install-recommends $missing; } >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        die "apt-get failed: $log"
    fi
}

# Install the PostgreSQL server if it is missing. On a machine without one, Debian's package would
# also create and start a cluster, which is prevented during the installation.
install_postgresql() {
    local log=$1 conf=/etc/postgresql-common/createcluster.conf as_root=""
    if compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || ! command -v apt-get >/dev/null; then
        return
    fi
    [ "$(id -u)" = 0 ] || as_root=sudo
    install_packages "$log" postgresql-common
    if [ -e $conf ] && ! grep -q '^ *create_main_cluster *= *false' $conf; then
        $as_root cp -p $conf $conf.resthooks
        echo 'create_main_cluster = false' | $as_root tee -a $conf >/dev/null
        install_packages "$log" postgresql
        $as_root mv $conf.resthooks $conf
    else
        install_packages "$log" postgresql
    fi
}

# Prometheus' promtool, for a test: only this program, in $source/build/tools. In Debian it is part
# of the server's package, which would start a server.
install_promtool() {
    local log=$1 folder=$source/build/tools
    if command -v promtool >/dev/null; then
        return
    fi
    if [ ! -x "$folder/promtool" ] && command -v apt-get >/dev/null; then
        mkdir -p "$folder"
        echo "packages    getting promtool from Debian's package prometheus"
        (cd "$folder" && rm -f prometheus_*.deb && apt-get download -q prometheus &&
            dpkg-deb --fsys-tarfile prometheus_*.deb | tar xf - -O ./usr/bin/promtool >promtool.new &&
            chmod 755 promtool.new && mv promtool.new promtool
            rm -f prometheus_*.deb promtool.new) >"$log" 2>&1 </dev/null || true
    fi
    [ -x "$folder/promtool" ] || echo "promtool    not reached"
}

# A writable source tree: $top, or a copy if that belongs to another user.
writable_source() {
    local build=$1
    if [ -w "$top" ] && { [ ! -e "$top/build" ] || [ -w "$top/build" ]; } &&
        { [ ! -e "$top/build/$build" ] || [ -w "$top/build/$build/Makefile" ]; } &&
        { [ ! -e "$top/configure" ] || [ -w "$top/configure" ]; }; then
        echo "$top"
        return
    fi
    local copy="${XDG_CACHE_HOME:-$HOME/.cache}/mod_resthooks"
    mkdir -p "$copy" 2>/dev/null && [ -w "$copy" ] || copy="/tmp/mod_resthooks-$(id -u)"
    mkdir -p "$copy"
    (cd "$top" && tar cf - --exclude=./.git --exclude=./build --exclude=node_modules \
        --exclude=./autom4te.cache .) | tar xf - -C "$copy" --no-same-owner
    echo "$copy"
}

# build NAME LOG CONFIGURE-ARGUMENTS...: build out of tree, in $source/build/NAME.
build() {
    local name=$1 log=$2 began=$SECONDS folder
    shift 2
    folder=$source/build/$name
    mkdir -p "$folder"
    [ -e "$folder/.configured" ] || printf 'build       %s, a minute or so ...\n' "$name"
    if ! {
        if [ ! -e "$source/configure" ] || [ "$source/configure.ac" -nt "$source/configure" ] ||
            [ "$source/Makefile.am" -nt "$source/Makefile.in" ]; then
            "$source/autogen.sh"
        fi &&
            cd "$folder" &&
            if [ ! -e config.status ] || [ "$source/configure" -nt config.status ] ||
                [ "$*" != "$(cat .configured 2>/dev/null)" ]; then
                "$source/configure" "$@" && echo "$*" >.configured
            fi &&
            make -j"$(nproc)"
    } >"$log" 2>&1 </dev/null; then
        grep -E 'error|warning|Error' "$log" | head -n 30 >&2 || true
        tail -n 15 "$log" >&2
        die "the build failed: $log"
    fi
    cd "$top"
    printf 'build       %s: %s s\n' "$name" $((SECONDS - began))
}
