#!/bin/sh
# Brings deploy/compose.yaml up on the Docker engine of the tests, plays a meeting through it, and takes it down.
#
#     sh tools/deploy/check_compose.sh [keep]
#
# `keep` leaves it running. The images are built first (build_images.sh). Needs the engine
# (`sh tools/engines/docker.sh start`) and `make setup`.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
engines=${USHER_ENGINES_DIR:-$HOME/.cache/usher-engines}
DOCKER_HOST=${DOCKER_HOST:-$(cat "$engines/docker/address")}
DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-0}
export DOCKER_HOST DOCKER_BUILDKIT
port=${USHER_CHECK_PORT:-18056}
project=usher-check
# A fresh one each time: an engine remembers for an hour which names were ended, and a new database counts from 1 again.
installation=check$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')
python=$root/.venv/bin/python

# One at a time: ports and networks have names that are set.
exec 8>"$engines/check_compose.lock"
flock 8

compose=$(sh "$root/tools/engines/go_tool.sh" compose)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/usher-check.XXXXXX")

run_compose() {
    "$compose" --project-name "$project" --env-file "$scratch/env" --file "$root/deploy/compose.yaml" "$@"
}

bots() {
    docker ps --all --quiet --filter "label=usher.installation=$installation"
}

end() {
    code=$?
    trap - EXIT
    if [ "$code" != 0 ] && [ -s "$scratch/env" ]; then
        run_compose ps --all >&2 || true
        run_compose logs --no-color --tail 40 >&2 || true
    fi
    if [ "${mode:-}" != keep ]; then
        bots | xargs -r docker rm --force --volumes >/dev/null
        [ ! -s "$scratch/env" ] || run_compose down --volumes --timeout 20 >/dev/null 2>&1 || true
        docker volume ls --quiet --filter "label=usher.installation=$installation" | xargs -r docker volume rm >/dev/null
        rm -rf "$scratch"
    fi
    exit "$code"
}

mode=${1:-}
trap end EXIT
trap 'exit 130' INT TERM

sh "$root/tools/deploy/build_images.sh"

USHER_DOCKER_SOCKET=${DOCKER_HOST#unix://} sh "$root/deploy/docker/make-env.sh" "$scratch/env"
sed -i -e "s|^USHER_LISTEN=.*|USHER_LISTEN=127.0.0.1:$port|" -e "s|^USHER_INSTALLATION=.*|USHER_INSTALLATION=$installation|" \
    -e "s|^USHER_PUBLIC_URL=.*|USHER_PUBLIC_URL=http://127.0.0.1:$port|" \
    -e "s|_NETWORK=usher-|&check-|" -e "s|^USHER_BOTS_BRIDGE=.*|USHER_BOTS_BRIDGE=usher-check|" \
    -e "s|172\.30\.|172.31.|" "$scratch/env"

begun=$(date +%s)
run_compose up --detach --no-build
until curl -fsS --max-time 5 "http://127.0.0.1:$port/health" >/dev/null 2>&1; do
    if [ $(($(date +%s) - begun)) -gt 180 ]; then
        echo "the manager does not become healthy" >&2
        exit 1
    fi
    sleep 1
done
echo "up after $(($(date +%s) - begun)) s" >&2

USHER_ADMIN_TOKEN=$(sed -n 's/^USHER_ADMIN_TOKEN=//p' "$scratch/env")
export USHER_ADMIN_TOKEN
(cd "$root" && "$python" -m tools.deploy.meeting "http://127.0.0.1:$port")

# The manager removes the container of a bot that has ended within seconds.
tries=0
while [ -n "$(bots)" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ]; then
        echo "containers of bots are left: $(bots | tr '\n' ' ')" >&2
        exit 1
    fi
    sleep 1
done
echo "no container of a bot is left" >&2
