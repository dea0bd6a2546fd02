#!/bin/sh
# Installs Janus with its demo pages, a real meeting server for the tests; says what is missing where it cannot.
set -eu

if command -v janus >/dev/null && [ -d /usr/share/janus/demos ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get -qq update || true
    if DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends janus janus-demos >/dev/null; then
        # The package starts a server of its own; the tests run theirs.
        command -v systemctl >/dev/null && systemctl disable --now janus >/dev/null 2>&1 || true
        exit 0
    fi
fi
echo "    Janus is not there: its tests are skipped (Debian, Ubuntu: sudo apt-get install -y janus janus-demos)" >&2
