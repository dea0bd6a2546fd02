"""What stands around the bots' network of one test: the firewall's rules, and machines that bots must not reach."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

METADATA = "169.254.169.254"
"""Where a cloud tells a machine its secrets. In these tests it is an address of a network namespace made here."""

_SCRIPT = Path(__file__).parents[2] / "deploy" / "docker" / "firewall.sh"
_NEAR, _FAR = "198.51.100.1", "198.51.100.2"  # of a network that is reserved for examples
_LISTEN = """
import selectors, socket, sys
selector = selectors.DefaultSelector()
for place in sys.argv[1:]:
    address, port = place.rsplit(":", 1)
    selector.register(socket.create_server((address, int(port))), selectors.EVENT_READ)
print("listening", flush=True)
while True:
    for key, _ in selector.select():
        key.fileobj.accept()[0].close()
"""


def needs_firewall() -> None:
    """Skip the test where this process may not set rules of the firewall."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("iptables", "iptables-restore", "ip"))):
        pytest.skip("only root can set rules of the firewall, with iptables and iproute2")


def firewall(bridge: str, *command: str, ports: tuple[int, ...]) -> None:
    """Run the firewall's script for a bridge.

    Args:
        bridge: Interface of the bots' network.
        command: `remove`, or nothing.
        ports: Of this machine, which bots may reach.
    """
    environment = {**os.environ, "USHER_BOTS_BRIDGE": bridge, "USHER_BOTS_PORTS": " ".join(map(str, ports))}
    subprocess.run(["sh", _SCRIPT, *command], env=environment, check=True)  # noqa: S603, S607 - our own script


@contextmanager
def machines_beyond(*addresses: str) -> Iterator[str]:
    """Put a network namespace behind this machine that has all of the addresses; yields its name.

    Nothing for these addresses can leave this machine while it stands: each has a route of its own to the namespace,
    which is looked up before anybody may connect.
    """
    name = f"ub{secrets.token_hex(3)}"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", name, "type", "veth", "peer", "name", "beyond", "netns", name)
        _ip("address", "add", f"{_NEAR}/30", "dev", name)
        _ip("link", "set", name, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "address", "add", f"{_FAR}/30", "dev", "beyond")
        _ip("-n", name, "link", "set", "beyond", "up")
        _ip("-n", name, "route", "add", "default", "via", _NEAR)
        for address in addresses:
            _ip("-n", name, "address", "add", f"{address}/32", "dev", "lo")
            _ip("route", "add", f"{address}/32", "via", _FAR)
        assert {address: device_towards(address) for address in addresses} == dict.fromkeys(addresses, name)
        yield name
    finally:
        _ip("netns", "delete", name)  # the pair of interfaces and the routes go with it
        subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)  # noqa: S603, S607 - as above


def device_towards(address: str) -> str:
    """Return the interface by which this machine would send to an address. It sends nothing."""
    (route,) = json.loads(_ip("-json", "route", "get", address))
    return str(route["dev"])


@contextmanager
def listening(*places: str, inside: str = "") -> Iterator[None]:
    """Listen at each `address:port`, in a network namespace if one is named."""
    prefix = ["ip", "netns", "exec", inside] if inside else []
    command = [*prefix, sys.executable, "-c", _LISTEN, *places]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as listener:  # noqa: S603 - our own
        try:
            assert listener.stdout is not None
            assert listener.stdout.readline() == b"listening\n"
            yield
        finally:
            listener.kill()


def rules_of(bridge: str) -> list[str]:
    """Return the firewall's rules that name a bridge."""
    saved = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout  # noqa: S607 - as an operator would call it
    return re.findall(rf"^.*(?:IN|OUT)-{bridge}.*$", saved, re.MULTILINE)


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603, S607 - the test's own
    return done.stdout
