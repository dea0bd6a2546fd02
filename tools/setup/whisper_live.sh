#!/bin/sh
# Makes the virtual environment named by the first argument with the stock WhisperLive in it: a server and a client that
# Usher is tested and measured against. Says what is missing where it cannot, and never fails the set-up.
set -eu
venv=$1
here=$(dirname "$0")
lock=$here/../../requirements/stock-whisper-live.lock
installed=$venv/installed.lock

without() {
    echo "    the stock WhisperLive is not there ($1): its tests are skipped, and B13 measures Usher alone" >&2
    exit 0
}

# PyAudio, which the stock client imports, has no wheel: it is compiled against the headers of PortAudio.
have_portaudio() {
    [ -e /usr/include/portaudio.h ] && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get -qq update || true
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends portaudio19-dev >/dev/null || true
    fi
    [ -e /usr/include/portaudio.h ]
}

cmp -s "$lock" "$installed" && exit 0
have_portaudio || without "Debian, Ubuntu: sudo apt-get install -y portaudio19-dev"
echo "    the stock WhisperLive, to test and measure against …"
sh "$here/python.sh" "$venv" || without "no virtual environment"
# Its own list of dependencies holds gigabytes for GPUs; the lock names what it loads here.
"$venv/bin/python" -m pip --quiet --disable-pip-version-check --no-input \
    install --no-deps --require-hashes -r "$lock" || without "pip failed"
cp "$lock" "$installed"
