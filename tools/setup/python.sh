#!/bin/sh
# Makes the virtual environment named by the first argument, with the first Python that is new enough.
set -eu
venv=$1

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
complete='import ensurepip, venv'

find_python() {
    for name in python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        # Run it: a shim of a version manager is on PATH for versions that are not installed, too.
        if "$name" -c "$new_enough" 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    {
        echo "Usher needs Python 3.11 or newer, and none of python3, python3.13, python3.12, python3.11 is one."
        echo "On Debian 12 or newer, or Ubuntu 24.04: sudo apt-get install -y python3 python3-venv"
    } >&2
    return 1
}

complete_python() {
    "$1" -c "$complete" 2>/dev/null && return
    version=$("$1" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "    installing $version-venv" >&2
        apt-get -qq update || true
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "$version-venv" >/dev/null
    fi
    "$1" -c "$complete" 2>/dev/null && return
    echo "$1 has no venv module. On Debian or Ubuntu: sudo apt-get install -y $version-venv" >&2
    return 1
}

python=$(find_python)
complete_python "$python"
"$python" -m venv "$venv"
