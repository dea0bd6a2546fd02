#!/bin/sh
# A Docker engine of Usher's own for the tests, apart from whatever Docker the machine has.
#
#     sh tools/engines/docker.sh start|stop
#
# Everything of it (socket, images, log) is under ${USHER_ENGINES_DIR:-$HOME/.cache/usher-engines}/docker; the file
# `address` there says where it answers. Needs root. On Debian and Ubuntu it installs what is missing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
home=${USHER_ENGINES_DIR:-$HOME/.cache/usher-engines}/docker
socket=$home/docker.sock
containerd=$home/containerd.sock

# Away from the networks that a Docker of the machine's own takes by default.
bridge=usher-docker0
own_address=10.213.0.1/24
pool=base=10.214.0.0/16,size=24

install_missing() {
    packages=
    command -v dockerd >/dev/null || packages="$packages docker.io"
    command -v containerd >/dev/null || packages="$packages containerd"
    command -v iptables >/dev/null || packages="$packages iptables"
    [ -n "$packages" ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "A Docker engine needs:$packages. Please install them." >&2
        return 1
    fi
    echo "installing$packages" >&2
    apt-get -qq update || true
    # Without policy-rc.d the package would start an engine of the machine's own.
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq install -y --no-install-recommends $packages >/dev/null
}

answers() {
    [ -S "$socket" ] && curl -fsS --max-time 5 --unix-socket "$socket" http://docker/_ping >/dev/null 2>&1
}

# The number in the file may be somebody else's by now.
runs() {
    [ -s "$1" ] && grep -qs "$(basename "$1" .pid)" "/proc/$(cat "$1")/cmdline"
}

spawn() {
    name=$1
    shift
    nohup setsid "$@" >>"$home/$name.log" 2>&1 </dev/null 9>&- &
    echo $! >"$home/$name.pid"
}

await() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        if [ "$tries" -ge 300 ]; then
            echo "The Docker engine does not come up; its log ends with:" >&2
            tail -n 5 "$home/containerd.log" "$home/dockerd.log" >&2 || true
            return 1
        fi
        sleep 0.2
    done
}

start() {
    if answers; then
        echo "unix://$socket" >"$home/address"
        return 0
    fi
    if [ "$(id -u)" != 0 ]; then
        echo "A Docker engine can only be started by root." >&2
        return 1
    fi
    install_missing
    mkdir -p "$home"
    chmod 700 "$home"
    # One at a time: who comes second finds it running.
    exec 9>"$home/lock"
    flock 9
    # A containerd of its own as well: dockerd would else use the machine's, if there is one.
    printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >"$home/containerd.toml"
    if ! runs "$home/containerd.pid"; then
        rm -f "$containerd"
        spawn containerd containerd --config "$home/containerd.toml" --address "$containerd" \
            --root "$home/containerd" --state "$home/run/containerd"
    fi
    await test -S "$containerd"
    if ! runs "$home/dockerd.pid"; then
        rm -f "$socket" "$home/docker.pid"
        ip link show "$bridge" >/dev/null 2>&1 || ip link add "$bridge" type bridge
        ip address replace "$own_address" dev "$bridge"
        ip link set "$bridge" up
        spawn dockerd dockerd --host "unix://$socket" --containerd "$containerd" --pidfile "$home/docker.pid" \
            --data-root "$home/data" --exec-root "$home/run/docker" \
            --bridge "$bridge" --default-address-pool "$pool"
    fi
    await answers
    echo "unix://$socket" >"$home/address"
}

end() {
    runs "$1" || return 1
    pid=$(cat "$1")
    kill "$pid"
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.2
    done
    rm -f "$1"
}

stop() {
    rm -f "$home/address"
    # The bridge may be that of an engine in another directory.
    if end "$home/dockerd.pid"; then
        ip link delete "$bridge" 2>/dev/null || true
        umount "$home/data" 2>/dev/null || true
    fi
    end "$home/containerd.pid" || true
}

case ${1:-} in
start | stop) "$1" ;;
*)
    echo "usage: sh tools/engines/docker.sh start|stop" >&2
    exit 2
    ;;
esac
