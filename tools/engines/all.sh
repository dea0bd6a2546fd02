#!/bin/sh
# Starts every engine that the tests know, and says which of them are there; stops them again. Builds the tools with which
# the files for deployment are checked, and the S3 server of the tests.
#
#     sh tools/engines/all.sh start|stop
#
# An engine that cannot be had keeps none of the others from it. Exit code 1 if one is missing.
set -u

here=$(cd "$(dirname "$0")" && pwd)
home=${USHER_ENGINES_DIR:-$HOME/.cache/usher-engines}
missing=0

tell() {
    if "$@" && [ -s "$home/$engine/address" ]; then
        echo "$engine: $(cat "$home/$engine/address")"
    else
        echo "$engine: not there; its tests will be skipped" >&2
        missing=1
    fi
}

case ${1:-} in
start)
    # Nomad runs containers on the engine of Docker, so that one comes first, with the images that tests begin from.
    engine=docker && tell sh "$here/docker.sh" start
    [ ! -s "$home/docker/address" ] || sh "$here/base_images.sh" || missing=1
    for engine in nomad kubernetes; do
        tell sh "$here/$engine.sh" start
    done
    for tool in helm compose versitygw; do
        sh "$here/go_tool.sh" "$tool" >/dev/null || missing=1
    done
    exit $missing
    ;;
stop)
    for engine in kubernetes nomad docker; do
        sh "$here/$engine.sh" stop
    done
    ;;
*)
    echo "usage: sh tools/engines/all.sh start|stop" >&2
    exit 2
    ;;
esac
