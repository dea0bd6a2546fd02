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

. "$here/processes.sh"

answers() {
    [ -S "$socket" ] && curl -fsS --max-time 5 --unix-socket "$socket" http://docker/_ping >/dev/null 2>&1
}

# Where no systemd keeps the machine's processes in groups of their own, each of them weighs as much as all containers
# together, and a busy machine starves those. A kubelet gives its pods weight as well.
weigh() {
    groups=/sys/fs/cgroup
    if [ -w $groups/cpu/cpu.shares ]; then
        mkdir -p $groups/cpu/docker
        echo $((4096 * $(nproc))) >$groups/cpu/docker/cpu.shares
    elif [ -w $groups/docker/cpu.weight ]; then
        echo $((400 * $(nproc))) >$groups/docker/cpu.weight
    fi
}

start() {
    if answers; then
        weigh
        echo "unix://$socket" >"$home/address"
        return 0
    fi
    if [ "$(id -u)" != 0 ]; then
        echo "A Docker engine can only be started by root." >&2
        return 1
    fi
    install_missing "A Docker engine" dockerd:docker.io containerd:containerd iptables:iptables
    mkdir -p "$home"
    chmod 700 "$home"
    # One at a time: who comes second finds it running.
    exec 9>"$home/lock"
    flock 9
    # A containerd of its own as well: dockerd would else use the machine's, if there is one.
    printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >"$home/containerd.toml"
    if ! runs containerd; then
        rm -f "$containerd"
        spawn containerd containerd --config "$home/containerd.toml" --address "$containerd" \
            --root "$home/containerd" --state "$home/run/containerd"
    fi
    await test -S "$containerd"
    if ! runs dockerd; then
        rm -f "$socket" "$home/docker.pid"
        ip link show "$bridge" >/dev/null 2>&1 || ip link add "$bridge" type bridge
        ip address replace "$own_address" dev "$bridge"
        ip link set "$bridge" up
        spawn dockerd dockerd --host "unix://$socket" --containerd "$containerd" --pidfile "$home/docker.pid" \
            --data-root "$home/data" --exec-root "$home/run/docker" \
            --bridge "$bridge" --default-address-pool "$pool"
    fi
    await answers
    weigh
    echo "unix://$socket" >"$home/address"
}

stop() {
    rm -f "$home/address"
    # The bridge may be that of an engine in another directory.
    if runs dockerd; then
        end dockerd
        ip link delete "$bridge" 2>/dev/null || true
        umount "$home/data" 2>/dev/null || true
    fi
    end containerd
}

case ${1:-} in
start | stop) "$1" ;;
*)
    echo "usage: sh tools/engines/docker.sh start|stop" >&2
    exit 2
    ;;
esac
