"""The bots' network with the firewall's rules, tried from inside a bot's container.

What a bot must not reach, and what it may, stands on this machine: listeners on the bridge's own address, another
container, and a network namespace that plays the machines beyond, those of a private network and one of the outside.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.contract.docker_world import DockerWorld, docker_world
from tests.contract.launcher_worlds import eventually

from usher.domain.reconcile import WorkloadName

NAME, _NEIGHBOUR = WorkloadName(7, 1), WorkloadName(8, 1)
_SCRIPT = Path(__file__).parents[2] / "deploy" / "docker" / "firewall.sh"

_POSTGRESQL, _OTHER, _ALLOWED = 5432, 8056, 8057
_OUTSIDE = "203.0.113.77"  # of a network that is reserved for examples
_PRIVATE = ("10.99.77.77", "172.31.77.77", "192.168.177.77", "100.64.77.77")
_LINK_LOCAL = "169.254.177.77"  # stands for 169.254.169.254, where a cloud would really answer
_NEAR, _FAR = "198.51.100.1", "198.51.100.2"

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
_TRY = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def reach(place):
    address, port = place.rsplit(":", 1)
    try:
        socket.create_connection((address, int(port)), 2.0).close()
    except OSError:
        return False
    return True
with ThreadPoolExecutor(32) as threads:
    print(json.dumps(dict(zip(sys.argv[1:], threads.map(reach, sys.argv[1:])))))
"""


@dataclass(frozen=True)
class Neighbourhood:
    """A bot on a network of the test's own, and a second one there that listens."""

    world: DockerWorld
    bridge: str
    gateway: str
    neighbour: str

    def reached(self, *places: str) -> dict[str, bool]:
        """Return which of `address:port` the bot can connect to."""
        code, said = self.world.api.execute(self.world.called(NAME), ["python3", "-c", _TRY, *places])
        assert code == 0, said
        told: dict[str, bool] = json.loads(said)
        return told

    def firewall(self, *command: str) -> None:
        environment = {**os.environ, "USHER_BOTS_BRIDGE": self.bridge, "USHER_BOTS_PORTS": str(_ALLOWED)}
        subprocess.run(["sh", _SCRIPT, *command], env=environment, check=True)  # noqa: S603, S607 - our own script


@pytest.fixture
async def neighbourhood() -> AsyncIterator[Neighbourhood]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("iptables", "iptables-restore", "ip"))):
        pytest.skip("only root can set rules of the firewall, with iptables and iproute2")
    async with docker_world() as world:
        bridge = f"uf{secrets.token_hex(4)}"
        own = {"network": bridge, "bridge": bridge}
        launcher = world.launcher(**own)
        try:
            await launcher.start(world.spec(NAME, "obey"))
            listening = world.launcher(**own, command=("python3", "-m", "http.server", "8000"))
            await listening.start(world.spec(_NEIGHBOUR, "obey"))
            networks = world.api.get(f"containers/{world.called(_NEIGHBOUR)}/json")["NetworkSettings"]["Networks"]
            made = Neighbourhood(world, bridge, await launcher.gateway(), networks[bridge]["IPAddress"])
            yield made
            made.firewall("remove")
        finally:
            world.api.sweep(f"usher.installation={world.options.installation}")


async def test_a_bot_reaches_what_it_needs_and_nothing_else_of_the_inside(neighbourhood: Neighbourhood) -> None:
    gateway = neighbourhood.gateway
    beyond = [f"{address}:80" for address in (*_PRIVATE, _LINK_LOCAL)]
    forbidden = [f"{gateway}:{_POSTGRESQL}", f"{gateway}:{_OTHER}", *beyond]
    allowed = [f"{gateway}:{_ALLOWED}", f"{_OUTSIDE}:443"]
    open_to_all = dict.fromkeys(forbidden + allowed, True)
    cut_off = dict.fromkeys(forbidden, False) | dict.fromkeys(allowed, True)
    with (
        _machines_beyond(*_PRIVATE, _LINK_LOCAL, _OUTSIDE) as namespace,
        _listening(*beyond, f"{_OUTSIDE}:443", inside=namespace),
        _listening(*(f"{gateway}:{port}" for port in (_POSTGRESQL, _OTHER, _ALLOWED))),
    ):
        assert neighbourhood.reached(*open_to_all) == open_to_all  # or what follows shows nothing
        for _ in range(2):  # a second run changes nothing
            neighbourhood.firewall()
            assert neighbourhood.reached(*open_to_all) == cut_off
        neighbourhood.firewall("remove")
        assert neighbourhood.reached(*open_to_all) == open_to_all
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout  # noqa: S607, ASYNC221 - as an operator would call it
    assert f"IN-{neighbourhood.bridge}" not in rules
    assert f"OUT-{neighbourhood.bridge}" not in rules


async def test_bots_do_not_reach_each_other(neighbourhood: Neighbourhood) -> None:
    place = f"{neighbourhood.neighbour}:8000"
    await eventually(lambda: _is_open(neighbourhood.neighbour, 8000))  # it does listen: the host reaches it
    assert neighbourhood.reached(place) == {place: False}
    neighbourhood.firewall()
    assert neighbourhood.reached(place) == {place: False}


@contextmanager
def _machines_beyond(*addresses: str) -> Iterator[str]:
    """Put a network namespace behind this machine that has all of the addresses; yields its name."""
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
        yield name
    finally:
        _ip("netns", "delete", name)  # the pair of interfaces and the routes go with it
        subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)  # noqa: S603, S607 - as above


@contextmanager
def _listening(*places: str, inside: str = "") -> Iterator[None]:
    prefix = ["ip", "netns", "exec", inside] if inside else []
    command = [*prefix, sys.executable, "-c", _LISTEN, *places]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as listener:  # noqa: S603 - our own
        try:
            assert listener.stdout is not None
            assert listener.stdout.readline() == b"listening\n"
            yield
        finally:
            listener.kill()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)  # noqa: S603, S607 - the test's own


def _is_open(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), 1.0):
        return True
    return False
