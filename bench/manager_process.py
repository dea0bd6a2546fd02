"""A whole manager with simulated bots, which may be killed, paused and started again under one address."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.connections import Connections
from bench.processes import Server, Worker, server, worker
from bench.wire import request
from bench.world import World
from usher.adapters.embedded.ports import free_port

_START_S = 60.0
_LOOK_S = 0.005
_REPORT_S = 120.0


class Fleet:
    """The process of simulated bots.

    Attributes:
        process: The process.
        socket: Where managers ask it.
    """

    def __init__(self, process: Worker, socket: Path) -> None:
        self.process = process
        self.socket = socket

    async def tell(self, do: str, **more: object) -> Any:  # noqa: ANN401 - JSON
        """Ask it something; see `bench.fleet`."""
        return await self.process.ask({"do": do, **more}, _REPORT_S)


class Manager:
    """`usher serve` with all roles.

    Attributes:
        port: The same through all restarts.
    """

    def __init__(
        self, world: World, stack: AsyncExitStack, name: str, fleet: Fleet | None, settings: Mapping[str, str]
    ) -> None:
        self.port = free_port()
        self._environment = {**world.environment, **settings, "USHER_API__PORT": str(self.port)}
        self._world = world
        self._stack = stack
        self._name = name
        self._options = () if fleet is None else ("--fleet", str(fleet.socket))
        self._server: Server | None = None

    @property
    def server(self) -> Server:
        """The process that runs now."""
        if self._server is None:
            raise RuntimeError("the manager was not started")
        return self._server

    async def start(self) -> float:
        """Start the process and return how long it took until the API answered that all is well, seconds."""
        began = time.monotonic()
        log = self._world.directory / f"{self._name}.log"
        profile = self._world.profile_of(self._name)
        self._server = await self._stack.enter_async_context(
            server(
                "manager",
                "--port",
                str(self.port),
                *self._options,
                environment=self._environment,
                log=log,
                profile=profile,
            )
        )
        await answered(self.port, "/health", 200)
        return time.monotonic() - began

    def kill(self) -> None:
        """Kill it: no farewell, and nothing is finished."""
        self.server.signal(signal.SIGKILL)

    async def pause(self, for_s: float) -> None:
        """Let it not run for a while, as a machine that swaps or migrates does."""
        self.server.signal(signal.SIGSTOP)
        await asyncio.sleep(for_s)
        self.server.signal(signal.SIGCONT)


async def answered(port: int, path: str, status: int) -> None:
    """Wait until a server gives that answer.

    Raises:
        TimeoutError: It does not within a minute.
    """
    connections = Connections(port)
    question = request("GET", path, {}).encode()
    async with asyncio.timeout(_START_S):
        while True:
            try:
                if (await connections.send(question))[0] == status:
                    break
            except OSError:
                pass
            await asyncio.sleep(_LOOK_S)
    connections.close()


@asynccontextmanager
async def open_fleet(world: World, name: str = "fleet", *, shared: bool = False) -> AsyncIterator[Fleet]:
    """Run a process of simulated bots until left.

    Args:
        world: Whose Redis the bots use.
        name: Of its log and its socket.
        shared: Let the bots share a few connections to Redis; for more of them than Redis takes connections.
    """
    socket = world.directory / f"{name}.socket"
    options = ("--shared",) if shared else ()
    log = world.directory / f"{name}.log"
    async with worker("bench.fleet", str(socket), *options, environment=world.environment, log=log) as process:
        await process.hear(_START_S)
        yield Fleet(process, socket)


@asynccontextmanager
async def open_manager(
    world: World, fleet: Fleet | None, name: str = "manager", settings: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[Manager]:
    """Start a manager, and end it when left, whatever was done to it.

    Args:
        world: Whose databases it uses.
        fleet: Its bots; None for the launcher of processes.
        name: Of its log.
        settings: Variables of its environment besides those of the world.
    """
    async with AsyncExitStack() as stack:
        manager = Manager(world, stack, name, fleet, settings)
        await manager.start()
        yield manager
