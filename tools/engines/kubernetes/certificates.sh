#!/bin/sh
# The cluster's own authority and what it signs; written once into the directory given, readable by its owner alone.
#
#     sh certificates.sh DIRECTORY NODE_NAME NODE_ADDRESS SERVICE_ADDRESS
set -eu
umask 077

home=$1 node=$2 node_address=$3 service_address=$4
days=3650

authority() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$home/ca.key" -out "$home/ca.crt" -days $days \
        -subj /CN=usher-test-cluster -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}

# name, subject, usage, subject alternative names
certificate() {
    openssl req -newkey rsa:2048 -nodes -keyout "$home/$1.key" -out "$home/$1.csr" -subj "$2" 2>/dev/null
    {
        echo "basicConstraints=critical,CA:FALSE"
        echo "keyUsage=critical,digitalSignature,keyEncipherment"
        echo "extendedKeyUsage=$3"
        echo "authorityKeyIdentifier=keyid"
        [ -z "$4" ] || echo "subjectAltName=$4"
    } >"$home/$1.ext"
    openssl x509 -req -in "$home/$1.csr" -CA "$home/ca.crt" -CAkey "$home/ca.key" -CAcreateserial -days $days \
        -extfile "$home/$1.ext" -out "$home/$1.crt" 2>/dev/null
    rm "$home/$1.csr" "$home/$1.ext"
}

mkdir -p "$home"
authority
certificate apiserver /CN=kube-apiserver serverAuth "IP:127.0.0.1,IP:$service_address,DNS:localhost,DNS:kubernetes.default.svc"
certificate apiserver-kubelet /O=system:masters/CN=apiserver-kubelet clientAuth ""
certificate admin /O=system:masters/CN=admin clientAuth ""
certificate controller-manager /CN=system:kube-controller-manager clientAuth ""
certificate scheduler /CN=system:kube-scheduler clientAuth ""
certificate kubelet "/O=system:nodes/CN=system:node:$node" clientAuth ""
certificate kubelet-server "/CN=$node" serverAuth "IP:$node_address,DNS:$node"
openssl genrsa -out "$home/accounts.key" 2048 2>/dev/null
openssl rsa -in "$home/accounts.key" -pubout -out "$home/accounts.pub" 2>/dev/null
touch "$home/done"
