#!/bin/sh
# Cuts the bots' network off from everything but what a bot needs: the outside world, names, and the ports named below.
#
#     sudo sh firewall.sh            set the rules, or renew them
#     sudo sh firewall.sh remove     take them away
#
# A bot runs a browser on pages of strangers. Without these rules a page that has taken it over reaches whatever listens
# on this host (databases included), the cloud's metadata service, and every machine in the private network around it.
#
#   USHER_BOTS_BRIDGE  interface of the bots' network (default usher-bots, as the launcher makes it)
#   USHER_BOTS_PORTS   TCP ports of this host that bots may reach: the manager's port for bots, Redis, transcription
#                      (default "8057 6379 9090")
#   USHER_BOTS_ALLOW   address:port pairs in private networks that bots may reach, if those services are elsewhere
#
# The rules do not outlive a reboot: run this after the Docker service has started, at each boot. A new run replaces the
# rules of the one before in one step, so that there is no moment without them.
set -eu

bridge=${USHER_BOTS_BRIDGE:-usher-bots}
ports=${USHER_BOTS_PORTS-8057 6379 9090}
allow=${USHER_BOTS_ALLOW-}

# What is sent to this host itself, and what it forwards. Docker keeps DOCKER-USER free for rules like these and puts
# it before its own (docs.docker.com/engine/network/packet-filtering-firewalls).
to_host=IN-$bridge
forwarded=OUT-$bridge

# Private, shared, link-local and reserved networks (RFC 1918, 6598, 3927, 6890). 169.254.169.254 is in them.
inside="0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.168.0.0/16
    198.18.0.0/15 224.0.0.0/4 240.0.0.0/4"

# A container asks the resolvers of its host, which are often in a private network themselves.
resolvers() {
    cat /etc/resolv.conf /run/systemd/resolve/resolv.conf 2>/dev/null |
        sed -n 's/^nameserver[[:space:]]*\([0-9][0-9.]*\).*/\1/p' | grep -v '^127\.' | sort -u || true
}

rules() {
    echo "*filter"
    echo ":$to_host - [0:0]"
    echo ":$forwarded - [0:0]"
    echo "-A $to_host -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
    echo "-A $forwarded -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"
    for port in $ports; do
        echo "-A $to_host -p tcp --dport $port -j ACCEPT"
        # The same port, where Docker passes it on to the container that it is published by.
        echo "-A $forwarded -p tcp -m conntrack --ctstate DNAT --ctorigdstport $port -j ACCEPT"
    done
    for pair in $allow; do
        echo "-A $forwarded -p tcp -d ${pair%:*} --dport ${pair##*:} -j ACCEPT"
    done
    for resolver in $(resolvers); do
        for protocol in udp tcp; do
            echo "-A $to_host -p $protocol -d $resolver --dport 53 -j ACCEPT"
            echo "-A $forwarded -p $protocol -d $resolver --dport 53 -j RETURN"
        done
    done
    echo "-A $to_host -j DROP"
    for network in $inside; do
        echo "-A $forwarded -d $network -j DROP"
    done
    echo "-A $forwarded -j RETURN"
    echo "COMMIT"
}

# The bots' network has no IPv6; nothing that speaks it there is what it should be.
rules_6() {
    echo "*filter"
    echo ":$to_host - [0:0]"
    echo "-A $to_host -j DROP"
    echo "COMMIT"
}

jump() {
    "$1" -w -C "$2" -i "$bridge" -j "$3" 2>/dev/null || "$1" -w -I "$2" 1 -i "$bridge" -j "$3"
}

unjump() {
    while "$1" -w -D "$2" -i "$bridge" -j "$3" 2>/dev/null; do :; done
}

has_ipv6() {
    command -v ip6tables >/dev/null && ip6tables -w -L INPUT -n >/dev/null 2>&1
}

apply() {
    rules | iptables-restore -w --noflush
    iptables -w -N DOCKER-USER 2>/dev/null || true
    jump iptables INPUT "$to_host"
    jump iptables DOCKER-USER "$forwarded"
    if has_ipv6; then
        rules_6 | ip6tables-restore -w --noflush
        jump ip6tables INPUT "$to_host"
        jump ip6tables FORWARD "$to_host"
    fi
}

forget() {
    unjump "$1" "$2" "$3"
    "$1" -w -F "$3" 2>/dev/null && "$1" -w -X "$3" 2>/dev/null || true
}

remove() {
    forget iptables INPUT "$to_host"
    forget iptables DOCKER-USER "$forwarded"
    if has_ipv6; then
        unjump ip6tables FORWARD "$to_host"
        forget ip6tables INPUT "$to_host"
    fi
}

case ${1:-apply} in
apply | remove) "${1:-apply}" ;;
*)
    echo "usage: sh firewall.sh [remove]" >&2
    exit 2
    ;;
esac
