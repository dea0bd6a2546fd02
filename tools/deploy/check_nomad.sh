#!/bin/sh
# Runs the jobs of deploy/nomad on a Nomad of its own, plays a meeting through them, and takes them down.
#
#     sh tools/deploy/check_nomad.sh
#
# The images are built first (build_images.sh). The containers are on the Docker engine of the tests, which has to be
# there, like the binary of Nomad (`make engines`) and `make setup`. Needs root.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
engines=${USHER_ENGINES_DIR:-$HOME/.cache/usher-engines}
docker=$(cat "$engines/docker/address")
port=${USHER_CHECK_PORT:-18156}
# Nomad pulls whatever is tagged `latest`.
USHER_IMAGE_TAG=check
DOCKER_HOST=$docker
export USHER_IMAGE_TAG DOCKER_HOST

# One at a time: the ports of the jobs are set.
exec 8>"$engines/check_nomad.lock"
flock 8

scratch=$(mktemp -d "${TMPDIR:-/tmp}/usher-check.XXXXXX")
mkdir "$scratch/nomad" "$scratch/secret"
agent() {
    USHER_ENGINES_DIR=$scratch USHER_NOMAD_EXTRA=$scratch/extra.hcl USHER_NOMAD_DOCKER=${docker#unix://} \
        sh "$root/tools/engines/nomad.sh" "$1" 8>&-
}

nomad() {
    NOMAD_ADDR=$url NOMAD_TOKEN=$(cat "$scratch/nomad/token") "$binary" "$@"
}

tell_why() {
    nomad job status >&2 || true
    nomad job status usher >&2 || true
    for task in manager transcription; do
        allocation=$(nomad job allocs -t '{{range .}}{{if eq .TaskGroup "'$task'"}}{{.ID}}{{end}}{{end}}' usher)
        nomad alloc logs -task "$task" -tail -n 40 "$allocation" >&2 || true
        nomad alloc logs -stderr -task "$task" -tail -n 40 "$allocation" >&2 || true
    done
}

end() {
    code=$?
    trap - EXIT
    [ "$code" = 0 ] || [ -z "${url:-}" ] || tell_why
    [ -z "${forward:-}" ] || kill "$forward" 2>/dev/null || true
    agent stop || true
    rm -rf "$scratch"
    exit "$code"
}
trap end EXIT
trap 'exit 130' INT TERM

sh "$root/tools/deploy/build_images.sh"

# The bridge of the engine is the network of this cluster: containers reach what is published at its address.
address=$(docker network inspect bridge --format '{{(index .IPAM.Config 0).Gateway}}')
interface=$(docker network inspect bridge --format '{{index .Options "com.docker.network.bridge.name"}}')
cat >"$scratch/extra.hcl" <<HCL
addresses {
  http = "127.0.0.1 $address"
}
client {
  network_interface = "$interface"
  cpu_total_compute = 20000
}
HCL
binary=$(ls -t "$engines"/nomad/nomad-* | head -n 1)
ln -s "$binary" "$scratch/nomad/"
agent start
url=$(cat "$scratch/nomad/address")

begun=$(date +%s)
random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}
umask 077
cd "$scratch/secret"
for name in postgres_password redis_password secret admin_token; do
    random >"$name"
done
printf 'postgresql://usher:%s@%s:5432/usher' "$(cat postgres_password)" "$address" >database_dsn
printf 'redis://default:%s@%s:6379/0' "$(cat redis_password)" "$address" >redis_url
nomad acl policy apply -description "Usher" usher "$root/deploy/nomad/usher.policy.hcl" >/dev/null
nomad acl token create -name usher -policy usher -t '{{ .SecretID }}' | tr -d '\n' >nomad_token
put() {
    path=$1
    shift
    for name in "$@"; do
        set -- "$@" "$name=@$name"
        shift
    done
    nomad var put "$path" "$@" >/dev/null
}
put nomad/jobs/usher-stores postgres_password redis_password
put nomad/jobs/usher-migrate database_dsn
put nomad/jobs/usher database_dsn redis_url nomad_token secret admin_token

run() {
    job=$1
    shift
    nomad job run "$@" "$root/deploy/nomad/$job.nomad.hcl" >"$scratch/$job.log" 2>&1 || {
        cat "$scratch/$job.log" >&2
        return 1
    }
    echo "$job runs after $(($(date +%s) - begun)) s" >&2
}
run stores
run migrate -var image_manager=usher-manager:check
tries=0
until nomad job status -short usher-migrate | grep -q '^Status *= *dead'; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || exit 1
    sleep 1
done
run usher -var managers=1 -var image_manager=usher-manager:check -var image_bot=usher-bot:check \
    -var image_transcription=usher-transcription:check -var public_url="http://127.0.0.1:$port" \
    -var bots_url="http://$address:8057" -var redis_bot_url="redis://$address:6379/0" \
    -var nomad_url="http://$address:${url##*:}"

cd "$root"
.venv/bin/python -m tools.deploy.forward "$port" "$address:8056" 8>&- &
forward=$!
until curl -fsS --max-time 5 "http://127.0.0.1:$port/health" >/dev/null 2>&1; do
    if [ $(($(date +%s) - begun)) -gt 300 ]; then
        echo "the manager does not become healthy" >&2
        exit 1
    fi
    sleep 1
done
USHER_ADMIN_TOKEN=$(cat "$scratch/secret/admin_token")
export USHER_ADMIN_TOKEN
.venv/bin/python -m tools.deploy.meeting "http://127.0.0.1:$port"

# The manager removes the job of a bot that has ended within seconds.
tries=0
while nomad job status | grep '^usher-[0-9].*running' || docker ps --quiet --filter ancestor=usher-bot:check | grep .; do
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ]; then
        echo "bots are left" >&2
        exit 1
    fi
    sleep 1
done
echo "no job of a bot is left" >&2
