#!/bin/sh
# Licensed under the Apache License, Version 2.0: see LICENSE.
# Make ./configure from configure.ac.
set -eu
cd "$(dirname "$0")"
mkdir -p m4
exec autoreconf --install --force "$@"
