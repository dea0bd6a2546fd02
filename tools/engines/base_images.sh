#!/bin/sh
# Makes sure that the Docker engine of `docker.sh` has the base images that Usher's images and tests are built from:
# debian:bookworm-slim and python:3.11-slim. They are pulled if a registry can be reached. If not, they are made here:
# Debian from its own archive by debootstrap, Python from the one that runs on this machine.
#
#     sh tools/engines/base_images.sh [python3.11]
set -eu

home=${USHER_ENGINES_DIR:-$HOME/.cache/usher-engines}/docker
DOCKER_HOST=${DOCKER_HOST:-$(cat "$home/address")}
DOCKER_BUILDKIT=0
export DOCKER_HOST DOCKER_BUILDKIT
python=${1:-python3}
debian_image=debian:bookworm-slim
python_image=python:3.11-slim

has() {
    docker image inspect "$1" >/dev/null 2>&1
}

have_or_pull() {
    has "$1" || timeout 300 docker pull -q "$1" >/dev/null 2>&1
}

make_debian() {
    command -v debootstrap >/dev/null || {
        apt-get -qq update || true
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends debootstrap >/dev/null
    }
    root=$scratch/debian
    debootstrap --variant=minbase --include=ca-certificates bookworm "$root" >"$scratch/debootstrap.log" || {
        tail -n 5 "$scratch/debootstrap.log" >&2
        return 1
    }
    # The sources of this machine, security updates included: the main archive alone has an old Chromium.
    if grep -qs bookworm /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; then
        rm -f "$root/etc/apt/sources.list"
        cp -r /etc/apt/sources.list.d/. "$root/etc/apt/sources.list.d/"
    fi
    # And the certificates that it trusts: a build may have to go through the same gate as the machine.
    mkdir -p "$root/usr/local/share/ca-certificates"
    cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
    chroot "$root" update-ca-certificates >/dev/null 2>&1
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* \
        "$root/usr/share/locale" "$root/usr/share/man" "$root/usr/share/info"
    find "$root/usr/share/doc" -type f ! -name copyright -delete
    tar -C "$root" -c . | docker import --change 'CMD ["bash"]' \
        --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$debian_image" >/dev/null
}

make_python() {
    prefix=$("$python" -c 'import sys; assert sys.version_info[:2] == (3, 11), sys.version; print(sys.base_prefix)')
    build=$scratch/python
    mkdir -p "$build/root/usr/local/bin" "$build/root/usr/local/lib"
    cp -a "$prefix/bin/python3.11" "$build/root/usr/local/bin/"
    ln -s python3.11 "$build/root/usr/local/bin/python3"
    ln -s python3.11 "$build/root/usr/local/bin/python"
    cp -a "$prefix"/lib/libpython3.11.so* "$build/root/usr/local/lib/" 2>/dev/null || true
    tar -C "$prefix/lib" --exclude='site-packages/*' --exclude=test --exclude=__pycache__ --exclude='*.a' \
        --exclude=idlelib --exclude=tkinter --exclude=turtledemo --exclude='config-3.11*' -c python3.11 |
        tar -C "$build/root/usr/local/lib" -x
    tar -C "$build/root" -czf "$build/python.tgz" .
    rm -rf "$build/root"
    cat >"$build/Dockerfile" <<'DOCKERFILE'
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
    libssl3 libffi8 libsqlite3-0 zlib1g libbz2-1.0 liblzma5 libreadline8 libncursesw6 libuuid1 libexpat1 tzdata \
    && rm -rf /var/lib/apt/lists/*
ADD python.tgz /
RUN ldconfig && python3 -m ensurepip && ln -sf pip3 /usr/local/bin/pip
CMD ["python3"]
DOCKERFILE
    docker build -q --network host -t "$python_image" "$build" >/dev/null
}

if has "$debian_image" && has "$python_image"; then
    exit 0
fi
scratch=$(mktemp -d "${TMPDIR:-/tmp}/usher-base-images.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
have_or_pull "$debian_image" || {
    echo "no registry can be reached: making $debian_image" >&2
    make_debian
}
have_or_pull "$python_image" || {
    echo "no registry can be reached: making $python_image" >&2
    make_python
}
