#!/bin/sh
# Licensed under the Apache License, Version 2.0: see LICENSE.
# enter.sh FOLDER SOURCE COMMAND...: run a command as root on a copy of this machine. It sees all of
# the machine's files, and its changes are discarded when it ends. Called as root by
# `unshare --mount --pid --fork`; ends with 77 if no copy can be made. FOLDER, which must be empty,
# and SOURCE stay as they are.
set -eu
folder=$1 source=$2
shift 2

no() {
    echo "no copy of this machine can be made: $*" >&2
    exit 77
}

mount --make-rprivate / 2>/dev/null || no "mounts are not private"
mkdir -p "$folder/layers" "$folder/shared"
mount -t tmpfs -o size=1500m tmpfs "$folder/layers" || no "no tmpfs"
cd "$folder/layers"
mkdir changes work root
mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/changes,workdir=$PWD/work" root 2>/dev/null ||
    no "no overlay"
root=$PWD/root
if [ ! -s "$root/var/lib/dpkg/status" ] || [ ! -x "$root/usr/bin/apt-get" ]; then
    no "/usr or /var is a file system of its own"
fi
mount -t proc proc "$root/proc" || no "no /proc"
mount --rbind /dev "$root/dev" || no "no /dev"
mount -t tmpfs tmpfs "$root/run" || no "no /run"
mkdir -p "$root/run/lock"
if [ -L "$root/etc/resolv.conf" ]; then
    rm "$root/etc/resolv.conf"
fi
cat /etc/resolv.conf >"$root/etc/resolv.conf"
for name in "$source" "$folder/shared"; do
    mkdir -p "$root$name"
    mount --bind "$name" "$root$name" || no "$name can't be seen"
done
# The shell is the first process here, and so must reap orphans.
status=0
chroot "$root" "$@" || status=$?
exit $status
