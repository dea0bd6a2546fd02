"""Which URLs may be a webhook's: what is decided by looking at the URL, and at the addresses that its host has."""

import ipaddress
import socket
import unicodedata
from urllib.parse import SplitResult, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_INNER_THAT_LOOK_OUTER = tuple(
    ipaddress.ip_network(text) for text in ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "3fff::/20")
)
_INNER_NAMES = (".localhost", ".local", ".localdomain", ".internal", ".home.arpa")
_HTTPS_PORT, _LEAST_FREE_PORT = 443, 1024
_UNPRINTABLE = frozenset(map(chr, range(0x21))) | {"\x7f", "\\"}


def why_never(text: str, *, allow_private: bool) -> str | None:
    """Say why a text can never be a webhook's URL, as a sentence for its user; None if it may be one.

    What the host's name leads to is another question, which is asked before each message.

    Args:
        text: What the user gave.
        allow_private: Whether inner hosts, any port, and `http` are allowed: for development.
    """
    try:
        url = urlsplit(text)
        host, port = _ascii_digits(url.hostname or "").removesuffix("."), url.port
    except ValueError:
        return "It is not a URL."
    if not _UNPRINTABLE.isdisjoint(text):
        return "It is not a URL."
    if not host or url.username is not None or url.password is not None:
        return "It needs a host, and may not hold a user name or password."
    if allow_private:
        return None if url.scheme in {"http", "https"} else "It has to begin with https:// or http://."
    return _why_not_outside(url, host, port)


def is_outside(address: Address) -> bool:
    """Say whether an address is a public one, looked at through every way to write an inner one as an outer one.

    What is left of IPv6 has to be global unicast, which shuts out whatever is reserved, IPv4-compatible or site-local.

    Source: RFC 4291 (IPv4-mapped, global unicast), RFC 3056 (6to4), RFC 4380 (Teredo), RFC 6052 and RFC 8215 (NAT64),
    RFC 6890 (192.0.0.0/24), RFC 7526 (relays of 6to4), RFC 9637 (documentation); Microsoft's documentation of
    168.63.129.16, at which every virtual machine of Azure finds its host.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64_LOCAL or address.teredo is not None or address.scope_id is not None:
            return False
        inner = address.ipv4_mapped or address.sixtofour or _behind_nat64(address)
        if inner is not None:
            return is_outside(inner)
        if address not in _GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast and not _looks_outer(address)


def _ascii_digits(host: str) -> str:
    """Return a host with the digits and dots of other scripts as those that a name is looked up with.

    Source: RFC 3490, section 3.1 (dots); UTS 46 (compatibility mapping).
    """
    return unicodedata.normalize("NFKC", host).replace("\N{IDEOGRAPHIC FULL STOP}", ".")


def _looks_outer(address: Address) -> bool:
    return any(address in network for network in _INNER_THAT_LOOK_OUTER if network.version == address.version)


def _why_not_outside(url: SplitResult, host: str, port: int | None) -> str | None:
    if url.scheme != "https":
        return "It has to begin with https://."
    # Below 1024 live mail, shells and directories of others, at which nobody should be able to point us.
    if port is not None and port != _HTTPS_PORT and port < _LEAST_FREE_PORT:
        return "Its port has to be 443, or 1024 or above."
    if _is_inner_host(host):
        return "Its host is not a public one."
    return None


def _is_inner_host(host: str) -> bool:
    address = _written_address(host)
    if address is not None:
        return not is_outside(address)
    return "." not in host or host.endswith(_INNER_NAMES)


def _written_address(host: str) -> Address | None:
    """Return the address that a host is written as, in any form that a resolver takes: `127.1`, `0x7f000001`."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def _behind_nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
