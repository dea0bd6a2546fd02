"""Which addresses are outside."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[Address]]]
"""Finds the addresses of a host and port.

Raises:
    OSError: The name has none, or nobody knows.
"""


async def resolve(host: str, port: int) -> list[Address]:
    """Ask the system's resolver, without blocking the loop."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(address[0]) for *_, address in found]


def is_outside(address: Address) -> bool:
    """Say whether an address is a public one, looked at through every way to write an inner one as an outer one.

    Source: RFC 4291 (IPv4-mapped), RFC 3056 (6to4), RFC 4380 (Teredo), RFC 6052 and RFC 8215 (NAT64).
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64_LOCAL or address.teredo is not None or address.scope_id is not None:
            return False
        inner = address.ipv4_mapped or address.sixtofour or _behind_nat64(address)
        if inner is not None:
            return is_outside(inner)
    return address.is_global and not address.is_multicast


def _behind_nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
