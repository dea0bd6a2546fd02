#!/bin/sh
# A Nomad engine of Usher's own for the tests: the real one, built from its Go module; one server that is a client, too.
#
#     sh tools/engines/nomad.sh start|stop
#
# Everything of it (binary, state, log) is under ${USHER_ENGINES_DIR:-$HOME/.cache/usher-engines}/nomad; the file
# `address` there says where it answers, and `token` holds its management token. Needs root, curl, python3 and, to build
# it (minutes, once), go. More settings of the agent may stand in the file that USHER_NOMAD_EXTRA names, and
# USHER_NOMAD_DOCKER may name the socket of another Docker than the one beside it.
# It begins anew each time, unless USHER_NOMAD_RESUME is set: see `forget`.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
engines=${USHER_ENGINES_DIR:-$HOME/.cache/usher-engines}
home=$engines/nomad
must_run=agent

. "$here/processes.sh"

binary() {
    echo "$home/nomad-$(cat "$here/nomad/go.mod" "$here/nomad/go.sum" | sha256sum | cut -c 1-16)"
}

build() {
    [ -x "$(binary)" ] && return 0
    if ! command -v go >/dev/null; then
        echo "Nomad is built with go, and there is none. Please install it." >&2
        return 1
    fi
    echo "building Nomad (minutes, once)" >&2
    (cd "$here/nomad" && go build -mod=readonly -trimpath -ldflags="-s -w" -o "$home/building" github.com/hashicorp/nomad)
    mv "$home/building" "$(binary)"
}

# Chosen once: a server finds its own past under its old address only.
choose_ports() {
    [ -s "$home/ports" ] || python3 - >"$home/ports" <<'PYTHON'
import random, socket

free: list[int] = []
while len(free) < 3:
    port = random.randrange(20000, 32768)  # below what the kernel gives out
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            continue
    free.append(port)
print(*free)
PYTHON
    read -r http rpc serf <"$home/ports"
}

write_configuration() {
    cat >"$home/agent.hcl" <<HCL
data_dir  = "$home/data"
bind_addr = "127.0.0.1"
name      = "usher"
log_level = "INFO"
disable_update_check = true
leave_on_interrupt   = false
ports {
  http = $http
  rpc  = $rpc
  serf = $serf
}
advertise {
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
  serf = "127.0.0.1"
}
acl {
  enabled = true
}
server {
  enabled          = true
  bootstrap_expect = 1
}
client {
  enabled           = true
  network_interface = "lo"
  gc_max_allocs     = 500
  options = {
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean"
  }
}
plugin "raw_exec" {
  config {
    enabled = true
  }
}
HCL
    socket=${USHER_NOMAD_DOCKER:-$engines/docker/docker.sock}
    cat >>"$home/agent.hcl" <<HCL
plugin "docker" {
  config {
    endpoint = "unix://$socket"
    gc {
      image = false
    }
  }
}
HCL
}

ask() {
    path=$1
    shift
    # The token by standard input: arguments can be read by everybody.
    printf 'header = "X-Nomad-Token: %s"\n' "$(cat "$home/token")" |
        curl -fsS --max-time 10 --config - "$@" "http://127.0.0.1:$http$path"
}

# The very program: another version that still runs is not this one.
is_it() {
    runs agent && [ "$(readlink "/proc/$pid/exe")" = "$(readlink -f "$(binary)")" ]
}

leads() {
    ask /v1/status/leader 2>/dev/null | grep -q ":"
}

is_ready() {
    ask /v1/nodes 2>/dev/null | grep -q '"Status":"ready"'
}

# The token is ours from the beginning, so that a start that was cut short can be repeated.
bootstrap() {
    if ! ask /v1/acl/token/self >/dev/null 2>&1; then
        printf '{"BootstrapSecret": "%s"}' "$(cat "$home/token")" |
            curl -fsS --max-time 10 -X POST --data @- "http://127.0.0.1:$http/v1/acl/bootstrap" >/dev/null 2>&1
    fi
}

release_mounts() {
    awk -v home="$home/data/" 'index($2, home) == 1 { print $2 }' /proc/mounts | sort -r | while read -r mount; do
        umount "$mount" || true
    done
}

# An agent that comes back kills what has the process ids of its old executors by now, whoever that is (seen with 1.6.1).
forget() {
    release_mounts
    rm -rf "$home/data"
}

start() {
    umask 077
    mkdir -p "$home"
    [ -s "$home/token" ] || cat /proc/sys/kernel/random/uuid >"$home/token"
    choose_ports
    if is_it && is_ready; then
        return 0
    fi
    if [ "$(id -u)" != 0 ]; then
        echo "A Nomad engine can only be started by root." >&2
        return 1
    fi
    build
    if ! is_it; then
        [ -n "${USHER_NOMAD_RESUME:-}" ] || forget
        write_configuration
        set -- -config "$home/agent.hcl"
        [ -n "${USHER_NOMAD_EXTRA:-}" ] && set -- "$@" -config "$USHER_NOMAD_EXTRA"
        # Bots of other users have to get into their own directories.
        umask 022
        spawn agent "$(binary)" agent "$@"
        umask 077
        sleep 0.2
    fi
    await leads
    await bootstrap
    await is_ready
    echo "http://127.0.0.1:$http" >"$home/address"
}

# What it runs is stopped first: tasks outlive the agent.
stop() {
    rm -f "$home/address"
    is_it || return 0
    read -r http rpc serf <"$home/ports"
    ask "/v1/jobs?namespace=*" | python3 -c '
import json, sys

for job in json.load(sys.stdin):
    print(job["ID"])
' | while read -r job; do
        ask "/v1/job/$job?purge=true" -X DELETE >/dev/null || true
    done
    tries=0
    while ask '/v1/allocations?namespace=*' | grep -q '"ClientStatus":"\(running\|pending\)"' && [ "$tries" -lt 150 ]; do
        tries=$((tries + 1))
        sleep 0.2
    done
    end agent
    release_mounts
}

case "${1:-}" in
start) start ;;
stop) stop ;;
*)
    echo "usage: $0 start|stop" >&2
    exit 2
    ;;
esac
