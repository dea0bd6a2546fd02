#!/bin/sh
# Installs the chart of deploy/helm in the cluster of the tests, plays a meeting through it, and uninstalls it.
#
#     sh tools/deploy/check_helm.sh
#
# The images are built first (build_images.sh), on the Docker engine of the tests, and given to the cluster. Needs that
# engine, the cluster and helm (`make engines`), kubectl and `make setup`. Needs root.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
engines=${USHER_ENGINES_DIR:-$HOME/.cache/usher-engines}
cluster=$engines/kubernetes
DOCKER_HOST=$(cat "$engines/docker/address")
KUBECONFIG=$cluster/kubeconfig
USHER_IMAGE_TAG=check
export DOCKER_HOST KUBECONFIG USHER_IMAGE_TAG
port=${USHER_CHECK_PORT:-18256}
drawn=$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')
namespace=usher-check-$drawn
stores=usher-check-data-$drawn
helm=$(sh "$root/tools/engines/go_tool.sh" helm)

# Some tests kill parts of the cluster.
exec 8>"$cluster/tests.lock"
flock 8
scratch=$(mktemp -d "${TMPDIR:-/tmp}/usher-check.XXXXXX")

tell_why() {
    kubectl get pods --all-namespaces --output wide >&2 || true
    kubectl --namespace "$namespace" get events --sort-by .lastTimestamp 2>/dev/null | tail -n 30 >&2 || true
    for deployment in usher-manager usher-transcription; do
        kubectl --namespace "$namespace" logs "deployment/$deployment" --tail 40 >&2 || true
    done
}

end() {
    code=$?
    trap - EXIT
    [ "$code" = 0 ] || tell_why
    [ -z "${forward:-}" ] || kill "$forward" 2>/dev/null || true
    kubectl delete namespace "$namespace" "$stores" --ignore-not-found --wait=false >/dev/null 2>&1 || true
    rm -rf "$scratch"
    exit "$code"
}
trap end EXIT
trap 'exit 130' INT TERM

sh "$root/tools/deploy/build_images.sh"

to_images() {
    ctr -a "$cluster/run/containerd.sock" -n k8s.io images "$@"
}

# Give the cluster an image, unless it has the one of this id.
give() {
    id=$(docker image inspect --format '{{.Id}}' "$1")
    mark=$cluster/given-$(echo "$1" | tr ':/' '--')
    if [ "$(cat "$mark" 2>/dev/null)" = "$id" ] && to_images ls -q | grep -qF "$1"; then
        return 0
    fi
    docker save "$1" | to_images import - >/dev/null
    echo "$id" >"$mark"
}
for image in usher-manager:check usher-bot:check usher-transcription:check postgres:17 valkey/valkey:8.1; do
    give "$image"
done

begun=$(date +%s)
random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}
umask 077
cd "$scratch"
for name in postgres-password redis-password secret admin-token; do
    random >"$name"
done
printf 'postgresql://usher:%s@postgres.%s:5432/usher' "$(cat postgres-password)" "$stores" >database-dsn
printf 'redis://default:%s@redis.%s:6379/0' "$(cat redis-password)" "$stores" >redis-url
printf 'maxmemory-policy noeviction\nrequirepass %s\n' "$(cat redis-password)" >redis.conf

kubectl create namespace "$stores" >/dev/null
kubectl --namespace "$stores" create secret generic stores --from-file=postgres-password --from-file=redis.conf >/dev/null
kubectl --namespace "$stores" apply -f "$root/tools/deploy/standins/stores.yaml" >/dev/null
kubectl --namespace "$stores" wait --for condition=Ready --timeout 120s pod/postgres pod/redis >/dev/null
echo "stores run after $(($(date +%s) - begun)) s" >&2

kubectl create namespace "$namespace" >/dev/null
kubectl label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted >/dev/null
kubectl --namespace "$namespace" create secret generic usher --from-file=database-dsn --from-file=redis-url \
    --from-file=secret --from-file=admin-token >/dev/null
# A node of two processors has to hold all of it.
cat >usher.yaml <<YAML
images: {tag: check}
publicUrl: http://127.0.0.1:$port
redis: {botUrl: "redis://redis.$stores:6379/0"}
manager: {replicas: 1}
transcription: {resources: {requests: {cpu: 250m}}}
networkPolicy:
  redis: {peers: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $stores}}}]}
  database: {peers: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $stores}}}]}
YAML
"$helm" upgrade --install usher "$root/deploy/helm/usher" --namespace "$namespace" --values usher.yaml \
    --wait --timeout 5m >/dev/null
echo "manager and speech service are ready after $(($(date +%s) - begun)) s" >&2

cd "$root"
service=$(kubectl --namespace "$namespace" get service usher --output jsonpath='{.spec.clusterIP}')
.venv/bin/python -m tools.deploy.forward "$port" "$service:8056" 8>&- &
forward=$!
tries=0
until curl -fsS --max-time 5 "http://127.0.0.1:$port/health" >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ]; then
        echo "the manager does not answer at its service's address" >&2
        exit 1
    fi
    sleep 1
done
USHER_ADMIN_TOKEN=$(cat "$scratch/admin-token")
export USHER_ADMIN_TOKEN
.venv/bin/python -m tools.deploy.meeting "http://127.0.0.1:$port"

# The manager removes the pod of a bot that has ended within seconds.
tries=0
while kubectl --namespace "$namespace" get pods --selector usher.kind=bot --output name | grep .; do
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ]; then
        echo "pods of bots are left" >&2
        exit 1
    fi
    sleep 1
done
echo "no pod of a bot is left" >&2
"$helm" uninstall usher --namespace "$namespace" --wait --timeout 2m >/dev/null
left=$(kubectl --namespace "$namespace" get deployments,services,roles,rolebindings --output name)
if [ -n "$left" ]; then
    echo "the chart leaves behind: $left" >&2
    exit 1
fi
echo "uninstalled after $(($(date +%s) - begun)) s" >&2
