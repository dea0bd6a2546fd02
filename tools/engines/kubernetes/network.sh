# The cluster's network: services by kube-proxy, names by CoreDNS. Both run on this machine, beside the other parts.

proxy_health=16256 proxy_metrics=16249

write_network_configuration() {
    # A pod reaches a service on its own bridge only if the answer comes back by way of this machine: masqueradeAll.
    cat >"$home/kube-proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: "$home/kubeconfig"}
hostnameOverride: $node
mode: iptables
clusterCIDR: $pods
healthzBindAddress: 127.0.0.1:$proxy_health
metricsBindAddress: 127.0.0.1:$proxy_metrics
nodePortAddresses: ["127.0.0.0/8"]
iptables: {masqueradeAll: true}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
    # It knows the names of the cluster and asks nobody else.
    cat >"$home/Corefile" <<COREFILE
.:53 {
    bind $node_address
    errors
    kubernetes cluster.local {
        kubeconfig $home/kubeconfig
    }
}
COREFILE
}

start_network() {
    runs kube-proxy || spawn kube-proxy "$bin/kube-proxy" --config "$home/kube-proxy.yaml"
    runs coredns || spawn coredns "$bin/coredns" -conf "$home/Corefile"
}

stop_network() {
    end coredns
    if runs kube-proxy; then
        end kube-proxy
        # Its rules are the machine's, and stay unless they are taken away.
        for bin in "$home"/bin-*; do
            "$bin/kube-proxy" --cleanup --config "$home/kube-proxy.yaml" >/dev/null 2>&1 && break
        done || true
    fi
}
