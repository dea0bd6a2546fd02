#!/bin/sh
# A Kubernetes cluster of one node for the tests: the real parts, built from their Go module, with containers that run.
#
#     sh tools/engines/kubernetes.sh start|stop
#
# Everything of it (programs, keys, state, logs) is under ${USHER_ENGINES_DIR:-$HOME/.cache/usher-engines}/kubernetes; the
# file `address` there says where its API answers, and `kubeconfig` is its administrator's. Needs root, python3, openssl,
# curl and, to build it (a quarter of an hour, once), go. On Debian and Ubuntu it installs what else is missing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)/kubernetes
home=${USHER_ENGINES_DIR:-$HOME/.cache/usher-engines}/kubernetes
keys=$home/keys
containerd=$home/run/containerd.sock
version=$(sed -n 's/^require k8s.io\/kubernetes v//p' "$here/go.mod")

node=usher-node
bridge=usher-kube0
node_address=10.215.0.1
pods=10.215.0.0/24
services=10.216.0.0/24
first_service=10.216.0.1
etcd=12379 etcd_peers=12380 api=16443 kubelet=16250 kubelet_health=16248 managers=16257 scheduler=16259
url=https://127.0.0.1:$api

. "$here/../processes.sh"
. "$here/network.sh"

build() {
    bin=$home/bin-$(cat "$here"/go.mod "$here"/go.sum "$here"/*/go.mod "$here"/*/go.sum "$here"/*/main.go | sha256sum | cut -c 1-16)
    [ ! -e "$bin/done" ] || return 0
    if ! command -v go >/dev/null; then
        echo "Kubernetes is built with go, and there is none. Please install it." >&2
        return 1
    fi
    echo "building Kubernetes $version (a quarter of an hour, once)" >&2
    mkdir -p "$bin"
    flags="-s -w"
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        flags="$flags -X $package.gitVersion=v$version -X $package.gitTreeState=archive"
        flags="$flags -X $package.gitMajor=${version%%.*} -X $package.gitMinor=$(echo "$version" | cut -d . -f 2)"
    done
    for program in kube-apiserver kube-scheduler kube-controller-manager kube-proxy kubelet; do
        compile "$bin/$program" "$flags" "k8s.io/kubernetes/cmd/$program"
    done
    compile "$bin/pause" "-s -w" ./pause
    (here=$here/dns && compile "$bin/coredns" "-s -w" .)
    touch "$bin/done"
}

compile() {
    [ -x "$1" ] || (cd "$here" && CGO_ENABLED=0 go build -mod=readonly -trimpath -ldflags "$2" -o "$1" "$3")
}

api_get() {
    curl -fsS --max-time 5 --cacert "$keys/ca.crt" --cert "$keys/admin.crt" --key "$keys/admin.key" "$url$1" 2>/dev/null
}

api_is_ready() {
    [ "$(api_get /readyz)" = ok ]
}

node_is_ready() {
    api_get "/api/v1/nodes/$node" | python3 -c '
import json, sys
conditions = json.load(sys.stdin)["status"].get("conditions", [])
sys.exit(not any(one["type"] == "Ready" and one["status"] == "True" for one in conditions))' 2>/dev/null
}

answers() {
    [ -s "$home/address" ] && all_run && api_is_ready && node_is_ready
}

all_run() {
    for program in etcd kube-apiserver kube-controller-manager kube-scheduler containerd kubelet kube-proxy coredns; do
        runs "$program" || return 1
    done
}

kubeconfig() {
    cat >"$2" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: usher, cluster: {server: "$url", certificate-authority: "$keys/ca.crt"}}]
users: [{name: usher, user: {client-certificate: "$keys/$1.crt", client-key: "$keys/$1.key"}}]
contexts: [{name: usher, context: {cluster: usher, user: usher}}]
current-context: usher
YAML
    chmod 600 "$2"
}

write_configuration() {
    mkdir -p "$home/run" "$home/cni"
    [ -e "$keys/done" ] || sh "$here/certificates.sh" "$keys" "$node" "$node_address" "$first_service"
    kubeconfig admin "$home/kubeconfig"
    for who in controller-manager scheduler kubelet; do
        kubeconfig "$who" "$keys/$who.kubeconfig"
    done
    cat >"$home/cni/10-usher.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "usher", "plugins": [
  {"type": "bridge", "bridge": "$bridge", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$home/run/addresses", "ranges": [[{"subnet": "$pods"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
    cat >"$home/containerd.toml" <<TOML
version = 2
root = "$home/containerd"
state = "$home/run/containerd"
[grpc]
address = "$containerd"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "usher.test/pause:1"
netns_mounts_under_state_dir = true
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$home/cni"
TOML
    cat >"$home/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $node_address
port: $kubelet
healthzPort: $kubelet_health
readOnlyPort: 0
clusterDNS: [$node_address]
clusterDomain: cluster.local
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "$keys/ca.crt"}}
authorization: {mode: Webhook}
tlsCertFile: $keys/kubelet-server.crt
tlsPrivateKeyFile: $keys/kubelet-server.key
containerRuntimeEndpoint: unix://$containerd
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
makeIPTablesUtilChains: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%"}
nodeStatusUpdateFrequency: 2s
serializeImagePulls: false
YAML
    write_network_configuration
}

start_control_plane() {
    runs etcd || spawn etcd etcd --name usher --data-dir "$home/etcd" --unsafe-no-fsync \
        --listen-client-urls "http://127.0.0.1:$etcd" --advertise-client-urls "http://127.0.0.1:$etcd" \
        --listen-peer-urls "http://127.0.0.1:$etcd_peers" --initial-advertise-peer-urls "http://127.0.0.1:$etcd_peers" \
        --initial-cluster "usher=http://127.0.0.1:$etcd_peers"
    await api_is_revived
    runs kube-controller-manager || spawn kube-controller-manager "$bin/kube-controller-manager" \
        --kubeconfig "$keys/controller-manager.kubeconfig" --authentication-kubeconfig "$keys/controller-manager.kubeconfig" \
        --authorization-kubeconfig "$keys/controller-manager.kubeconfig" --bind-address 127.0.0.1 --secure-port $managers \
        --leader-elect=false --use-service-account-credentials --root-ca-file "$keys/ca.crt" \
        --service-account-private-key-file "$keys/accounts.key" --node-monitor-period 1s --node-monitor-grace-period 10s
    runs kube-scheduler || spawn kube-scheduler "$bin/kube-scheduler" --kubeconfig "$keys/scheduler.kubeconfig" \
        --authentication-kubeconfig "$keys/scheduler.kubeconfig" --authorization-kubeconfig "$keys/scheduler.kubeconfig" \
        --bind-address 127.0.0.1 --secure-port $scheduler --leader-elect=false
}

# It listens on all addresses, because it knows one or all, and pods reach another one than this machine does. Nobody
# without a certificate or token of the cluster gets anything from it.
start_api() {
    spawn kube-apiserver "$bin/kube-apiserver" --etcd-servers "http://127.0.0.1:$etcd" \
        --bind-address 0.0.0.0 --advertise-address $node_address --secure-port $api --anonymous-auth=false \
        --service-cluster-ip-range $services --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
        --client-ca-file "$keys/ca.crt" --tls-cert-file "$keys/apiserver.crt" --tls-private-key-file "$keys/apiserver.key" \
        --kubelet-certificate-authority "$keys/ca.crt" --kubelet-client-certificate "$keys/apiserver-kubelet.crt" \
        --kubelet-client-key "$keys/apiserver-kubelet.key" --kubelet-preferred-address-types InternalIP \
        --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$keys/accounts.pub" \
        --service-account-signing-key-file "$keys/accounts.key"
}

api_is_revived() {
    runs kube-apiserver || start_api
    api_is_ready
}

start_node() {
    ip link show "$bridge" >/dev/null 2>&1 || ip link add "$bridge" type bridge
    ip address replace "$node_address/24" dev "$bridge"
    ip link set "$bridge" up
    if ! runs containerd; then
        rm -f "$containerd"
        spawn containerd containerd --config "$home/containerd.toml"
    fi
    await test -S "$containerd"
    if [ ! -e "$home/images.tar" ]; then
        python3 "$here/images.py" "$bin/pause" "$home/images.part"
        mv "$home/images.part" "$home/images.tar"
    fi
    # Whatever became of those of an earlier start.
    ctr -a "$containerd" -n k8s.io images import "$home/images.tar" >/dev/null
    runs kubelet || spawn kubelet "$bin/kubelet" --config "$home/kubelet.yaml" --kubeconfig "$keys/kubelet.kubeconfig" \
        --root-dir "$home/kubelet" --hostname-override "$node" --node-ip "$node_address"
    await node_is_ready
}

start() {
    if [ "$(id -u)" != 0 ]; then
        echo "A Kubernetes cluster can only be started by root." >&2
        return 1
    fi
    build
    answers && return 0
    install_missing "A Kubernetes cluster" etcd:etcd-server containerd:containerd runc:runc \
        /usr/lib/cni/bridge:containernetworking-plugins
    mkdir -p "$home"
    chmod 700 "$home"
    write_configuration
    start_control_plane
    start_node
    start_network
    echo "$url" >"$home/address"
}

# Containers outlive kubelet and containerd, so they are ended first, and by the engine.
end_containers() {
    tasks=$(ctr -a "$containerd" -n k8s.io tasks list -q 2>/dev/null || true)
    for task in $tasks; do
        ctr -a "$containerd" -n k8s.io tasks delete --force "$task" >/dev/null 2>&1 || true
    done
    sed -n "s|^[^ ]* \($home/[^ ]*\) .*|\1|p" /proc/mounts | sort -r | while read -r mounted; do
        umount "$mounted" || true
    done
}

stop() {
    rm -f "$home/address"
    stop_network
    end kubelet
    end_containers
    for program in containerd kube-scheduler kube-controller-manager kube-apiserver etcd; do
        end "$program"
    done
    ip link delete "$bridge" 2>/dev/null || true
}

case ${1:-} in
start | stop) "$1" ;;
# For tests that kill the API server.
restart-api)
    build
    await api_is_revived
    ;;
*)
    echo "usage: sh tools/engines/kubernetes.sh start|stop" >&2
    exit 2
    ;;
esac
