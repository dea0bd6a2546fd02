"""The bots' network with the firewall's rules, tried from inside a bot's container.

What a bot must not reach, and what it may, stands on this machine: listeners on the bridge's own address, another
container, and a network namespace that plays the machines beyond, those of a private network and one of the outside.
"""

import json
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
from tests.contract.docker_network import METADATA, firewall, listening, machines_beyond, needs_firewall, rules_of
from tests.contract.docker_world import DockerWorld, docker_world
from tests.contract.launcher_worlds import eventually

from usher.domain.reconcile import WorkloadName

NAME, _NEIGHBOUR = WorkloadName(7, 1), WorkloadName(8, 1)

_POSTGRESQL, _OTHER, _ALLOWED = 5432, 8056, 8057
_OUTSIDE = "203.0.113.77"  # of a network that is reserved for examples
_PRIVATE = ("10.99.77.77", "172.31.77.77", "192.168.177.77", "100.64.77.77")

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
        firewall(self.bridge, *command, ports=(_ALLOWED,))


@pytest.fixture
async def neighbourhood() -> AsyncIterator[Neighbourhood]:
    needs_firewall()
    async with docker_world() as world:
        bridge = f"uf{secrets.token_hex(4)}"
        own = {"network": bridge, "bridge": bridge}
        launcher = world.launcher(**own)
        try:
            await launcher.start(world.spec(NAME, "obey"))
            listener = world.launcher(**own, command=("python3", "-m", "http.server", "8000"))
            await listener.start(world.spec(_NEIGHBOUR, "obey"))
            networks = world.api.get(f"containers/{world.called(_NEIGHBOUR)}/json")["NetworkSettings"]["Networks"]
            made = Neighbourhood(world, bridge, await launcher.gateway(), networks[bridge]["IPAddress"])
            yield made
            made.firewall("remove")
        finally:
            world.api.sweep(f"usher.installation={world.options.installation}")


async def test_a_bot_reaches_what_it_needs_and_nothing_else_of_the_inside(neighbourhood: Neighbourhood) -> None:
    gateway = neighbourhood.gateway
    beyond = [f"{address}:80" for address in (*_PRIVATE, METADATA)]
    forbidden = [f"{gateway}:{_POSTGRESQL}", f"{gateway}:{_OTHER}", *beyond]
    allowed = [f"{gateway}:{_ALLOWED}", f"{_OUTSIDE}:443"]
    open_to_all = dict.fromkeys(forbidden + allowed, True)
    cut_off = dict.fromkeys(forbidden, False) | dict.fromkeys(allowed, True)
    with (
        machines_beyond(*_PRIVATE, METADATA, _OUTSIDE) as namespace,
        listening(*beyond, f"{_OUTSIDE}:443", inside=namespace),
        listening(*(f"{gateway}:{port}" for port in (_POSTGRESQL, _OTHER, _ALLOWED))),
    ):
        assert neighbourhood.reached(*open_to_all) == open_to_all  # or what follows shows nothing
        for _ in range(2):  # a second run changes nothing
            neighbourhood.firewall()
            assert neighbourhood.reached(*open_to_all) == cut_off
        neighbourhood.firewall("remove")
        assert neighbourhood.reached(*open_to_all) == open_to_all
    assert not rules_of(neighbourhood.bridge)


async def test_bots_do_not_reach_each_other(neighbourhood: Neighbourhood) -> None:
    place = f"{neighbourhood.neighbour}:8000"
    await eventually(lambda: _is_open(neighbourhood.neighbour, 8000))  # it does listen: the host reaches it
    assert neighbourhood.reached(place) == {place: False}
    neighbourhood.firewall()
    assert neighbourhood.reached(place) == {place: False}


def _is_open(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), 1.0):
        return True
    return False
