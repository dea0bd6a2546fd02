#!/bin/sh
# Builds images on the Docker engine of the tests, under the names that deploy/compose.yaml has for them. What has not
# changed is not built again: each layer is kept as long as its files stay the same.
#
#     sh tools/deploy/build_images.sh [manager] [bot] [transcription] [postgres] [redis]
#
# All of them if none is named. The first three are tagged `latest`, or as USHER_IMAGE_TAG says. The last two are
# pulled; where no registry can be reached, stand-ins for them are made here, and the base image as well. Needs the engine (`sh tools/engines/docker.sh start`).
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
engines=${USHER_ENGINES_DIR:-$HOME/.cache/usher-engines}
DOCKER_HOST=${DOCKER_HOST:-$(cat "$engines/docker/address")}
DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-0}
export DOCKER_HOST DOCKER_BUILDKIT
[ $# -gt 0 ] || set -- manager bot transcription postgres redis
said=$(mktemp "${TMPDIR:-/tmp}/usher-build.XXXXXX")
trap 'rm -f "$said"' EXIT

build() {
    echo "building $2" >&2
    docker build -q --force-rm --network host -f "$1" -t "$2" "$3" >"$said" 2>&1 || {
        tail -n 30 "$said" >&2
        return 1
    }
}

# Name, Dockerfile of the stand-in, and what that is made from. A stand-in is known by its label, and kept up to date.
have() {
    case $(docker image inspect --format '{{index .Config.Labels "usher.standin"}}' "$1" 2>/dev/null || echo missing) in
    *missing) timeout 300 docker pull -q "$1" >/dev/null 2>&1 || build "$2" "$1" "$3" ;;
    true) build "$2" "$1" "$3" ;;
    esac
}

sh "$root/tools/engines/base_images.sh"
for image in "$@"; do
    case $image in
    manager | bot | transcription) build "$root/deploy/docker/$image.Dockerfile" "usher-$image:${USHER_IMAGE_TAG:-latest}" "$root" ;;
    postgres) have postgres:17 "$root/tools/deploy/standins/postgres.Dockerfile" "$root/tools/deploy/standins" ;;
    redis) have valkey/valkey:8.1 "$root/tools/deploy/standins/redis.Dockerfile" "$root" ;;
    *)
        echo "no image is called $image" >&2
        exit 2
        ;;
    esac
done
