#!/bin/sh
# Writes deploy/.env with fresh secrets, readable by its owner alone. Leaves one that is there as it is.
set -eu

folder=$(cd "$(dirname "$0")/.." && pwd)
file=${1:-$folder/.env}
socket=${USHER_DOCKER_SOCKET:-/var/run/docker.sock}

if [ -e "$file" ]; then
    echo "$file is there already" >&2
    exit 0
fi
if [ ! -S "$socket" ]; then
    echo "There is no Docker engine at $socket. Set USHER_DOCKER_SOCKET to where its socket is." >&2
    exit 1
fi

random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

umask 077
sed -e "s|^POSTGRES_PASSWORD=\$|&$(random)|" -e "s|^REDIS_PASSWORD=\$|&$(random)|" \
    -e "s|^USHER_SECRET=\$|&$(random)|" -e "s|^USHER_ADMIN_TOKEN=\$|&$(random)|" \
    -e "s|^USHER_DOCKER_SOCKET=.*|USHER_DOCKER_SOCKET=$socket|" \
    -e "s|^USHER_DOCKER_GID=\$|&$(stat -c %g "$socket")|" "$folder/.env.example" >"$file.new"
mv "$file.new" "$file"
echo "wrote $file; keep a copy of its secrets: without them the data cannot be used" >&2
