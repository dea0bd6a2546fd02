"""What somebody reaches who has taken over a bot: everything around it is real, and tried from inside its container.

The manager, PostgreSQL and Redis listen on the address of this machine on the bots' network, as they would where an
operator binds them to all addresses. The bot is one of the manager's own, in a container of its own image, and what is
tried is tried with the credentials that it was given.
"""

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from tests.contract.docker_network import METADATA, firewall, listening, machines_beyond, needs_firewall
from tests.contract.docker_world import DockerWorld
from tests.support.usher_images import BUILD_S, build_images
from tests.support.whole_system import Command, usher

from usher.adapters.embedded.cluster import Cluster
from usher.adapters.embedded.postgres import EmbeddedPostgres
from usher.adapters.embedded.redis import EmbeddedRedis
from usher.adapters.postgres.migrate import migrate

pytestmark = [pytest.mark.timeout(BUILD_S + 120), pytest.mark.asyncio(loop_scope="module")]

_INTRUDER = Path(__file__).with_name("docker_intruder.py").read_text()
_ADMIN_TOKEN = "the admin's token of this test"
_SECRET = "a secret of this test alone"
_READY_S, _LAUNCH_S = 30.0, 60.0
_HUNG_UP = {"RemoteDisconnected", "ConnectionResetError"}  # after the connection was accepted
_SILENCE = {"ConnectionRefusedError", "TimeoutError", "OSError"}


class OpenCluster(Cluster):
    """A cluster whose server listens on all addresses, and asks everybody for a password."""

    def arguments(self, port: int) -> tuple[str, ...]:
        (self.path / "pg_hba.conf").write_text("host all all all scram-sha-256\n")
        return (*super().arguments(port), "-c", "listen_addresses=*")


class OpenPostgres(EmbeddedPostgres):
    """A PostgreSQL that is not kept to the loopback."""

    async def _start_on(self, port: int, cluster: Cluster, log_path: Path) -> None:
        opened = OpenCluster(cluster.path, cluster.programs, cluster.identity, cluster.durable)
        await super()._start_on(port, opened, log_path)


@dataclass(frozen=True)
class Place:
    """A manager with its stores, and two of its bots."""

    world: DockerWorld
    bridge: str
    api: str
    postgresql: str
    allowed: tuple[int, int]
    bots: tuple[Mapping[str, Any], Mapping[str, Any]]

    @property
    def container(self) -> str:
        """Name of the first bot's container."""
        return f"{self.world.options.installation}-{self.bots[0]['meeting_id']}-1"

    async def intrude(self) -> dict[str, Any]:
        """Do inside the first bot's container what an intruder would; return what it got."""
        asked = {
            "postgresql": self.postgresql,
            "api": self.api,
            "metadata": f"{METADATA}:80",
            "other": self.bots[1]["connection_id"],
        }
        command = ["python", "-c", _INTRUDER, json.dumps(asked)]
        code, said = await asyncio.to_thread(self.world.api.execute, self.container, command)
        assert code == 0, said
        told: dict[str, Any] = json.loads(said)
        return told


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    needs_firewall()
    home = tmp_path_factory.mktemp("place")
    address = await asyncio.to_thread(build_images, "bot")
    bridge = f"uf{secrets.token_hex(4)}"
    world = DockerWorld(address, "usher-bot:latest", network=bridge)
    async with AsyncExitStack() as stack:
        stack.callback(world.api.sweep, f"usher.installation={world.options.installation}")
        stack.push_async_callback(world.close_launchers)
        gateway = await world.launcher(bridge=bridge).gateway()
        postgres = await stack.enter_async_context(OpenPostgres(home / "postgres", durable=False))
        redis = await stack.enter_async_context(EmbeddedRedis(home / "redis", durable=False, bots_host=gateway))
        await migrate(postgres.dsn)
        api, door = _free_port(gateway), _free_port(gateway)
        variables = {
            "USHER_DATABASE__DSN": postgres.dsn,
            "USHER_REDIS__URL": redis.url,
            "USHER_REDIS__BOT_URL": f"redis://{gateway}:{_port(redis.url)}/0",
            "USHER_SECRET": _SECRET,
            "USHER_API__HOST": gateway,
            "USHER_API__PORT": str(api),
            "USHER_API__ADMIN_TOKEN": _ADMIN_TOKEN,
            "USHER_BOTS__HOST": gateway,
            "USHER_BOTS__PORT": str(door),
            "USHER_BOTS__CHROMIUM": "/usr/bin/chromium",
            "USHER_LAUNCHER": "docker",
            "USHER_LAUNCHER__INSTALLATION": world.options.installation,
            "USHER_LAUNCHER__DOCKER__HOSTS": json.dumps({"local": address}),
            "USHER_LAUNCHER__DOCKER__IMAGE": world.options.image,
            "USHER_LAUNCHER__DOCKER__PULL": "never",
            "USHER_LAUNCHER__DOCKER__NETWORK": bridge,
            "USHER_LAUNCHER__DOCKER__BRIDGE": bridge,
        }
        manager = await stack.enter_async_context(usher("serve", data_dir=home / "data", variables=variables))
        bots = await _send_bots(f"http://{gateway}:{api}", world, manager)
        postgresql = f"{gateway}:{_port(postgres.dsn)}"
        allowed = (door, _port(redis.url))
        yield Place(world, bridge, f"{gateway}:{api}", postgresql, allowed, bots)


async def test_who_takes_over_a_bot_reaches_nothing_but_what_is_the_bots(place: Place) -> None:
    with machines_beyond(METADATA) as namespace, listening(f"{METADATA}:80", inside=namespace):
        before = await place.intrude()
        assert before["postgresql"] == "N"  # a PostgreSQL without TLS: it is reachable, or what follows shows nothing
        assert before["api"] == {"/health": 200, "/admin/users": 401, "/bots/status": 401}
        assert before["metadata"] in _HUNG_UP
        async with _walls(place):
            told = await place.intrude()
    assert told["postgresql"] in _SILENCE
    assert set(told["api"].values()) <= _SILENCE
    assert told["metadata"] in _SILENCE


async def test_what_a_bot_was_given_opens_its_own_doors_alone(place: Place) -> None:
    async with _walls(place):
        told = await place.intrude()
    assert told["own"] == {"GET commands": 200, "POST heartbeat": 200}
    assert set(told["other"].values()) <= {401, 403}
    assert len(told["other"]) == 6
    assert set(told["door"].values()) == {404}
    allowed = {name for name, said in told["redis"].items() if said == "ok"}
    assert allowed == {"PING", "SUBSCRIBE own"}
    assert {said for said in told["redis"].values() if said != "ok"} == {"NOPERM"}


async def test_a_bot_is_given_no_socket_and_no_secret_of_the_installation(place: Place) -> None:
    told = await place.intrude()
    assert told["sockets"] == []
    assert told["unix_sockets"] == 0
    assert [name for name in told["variables"] if name.startswith("USHER_")] == ["USHER_BOT", "USHER_LAST_WORDS"]
    container = place.world.api.get(
        f"containers/{place.world.options.installation}-{place.bots[0]['meeting_id']}-1/json"
    )
    assert not [mount for mount in container["Mounts"] if mount["Type"] != "volume"]
    said = json.dumps(container)
    assert not [secret for secret in (_SECRET, _ADMIN_TOKEN) if secret in said]


@asynccontextmanager
async def _walls(place: Place) -> AsyncIterator[None]:
    await asyncio.to_thread(firewall, place.bridge, ports=place.allowed)
    try:
        yield
    finally:
        await asyncio.to_thread(firewall, place.bridge, "remove", ports=place.allowed)


async def _send_bots(url: str, world: DockerWorld, manager: Command) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Make a user, send two bots, and return what each was started with, once both are where they are sent."""
    async with httpx.AsyncClient(base_url=url, timeout=10.0, trust_env=False) as client:
        async with asyncio.timeout(_READY_S):
            while not await _is_up(client):
                assert not manager.output.count("Traceback"), manager.output
                await asyncio.sleep(0.1)
        admin = {"X-Admin-API-Key": _ADMIN_TOKEN}
        user = {"email": "ann@example.com", "max_concurrent_bots": 2}
        made = (await client.post("/admin/users", json=user, headers=admin)).raise_for_status().json()
        key = (await client.post(f"/admin/users/{made['id']}/tokens", headers=admin)).raise_for_status().json()
        client.headers["X-API-Key"] = key["token"]
        first, second = [await _active(client, f"{url}/room/room-{number}") for number in (1, 2)]
    return _document_of(world, first), _document_of(world, second)


async def _active(client: httpx.AsyncClient, room: str) -> int:
    """Send a bot into an empty room and wait until it is in."""
    meeting = (await client.post("/bots", json={"meeting_url": room})).raise_for_status().json()
    async with asyncio.timeout(_LAUNCH_S):
        while meeting["status"] != "active":
            assert meeting["status"] not in {"completed", "failed"}, meeting
            await asyncio.sleep(0.2)
            meeting = (await client.get(f"/meetings/{meeting['id']}")).raise_for_status().json()
    return int(meeting["id"])


async def _is_up(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health")).is_success
    except httpx.HTTPError:
        return False


def _document_of(world: DockerWorld, meeting_id: int) -> Mapping[str, Any]:
    container = world.api.get(f"containers/{world.options.installation}-{meeting_id}-1/json")
    (variable,) = [one for one in container["Config"]["Env"] if one.startswith("USHER_BOT=")]
    document: dict[str, Any] = json.loads(variable.partition("=")[2])
    return document


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _port(url: str) -> int:
    return httpx.URL(url.replace("postgresql:", "http:").replace("redis:", "http:")).port or 0
