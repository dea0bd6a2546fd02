#!/bin/sh
# Installs two speech synthesisers, whose voices the benchmark of the speech service listens to; says what is missing.
set -eu

if command -v flite >/dev/null && command -v espeak-ng >/dev/null; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get -qq update || true
    if DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends flite espeak-ng >/dev/null; then
        exit 0
    fi
fi
echo "    flite and espeak-ng are not there: B13 cannot run (Debian, Ubuntu: sudo apt-get install -y flite espeak-ng)" >&2
