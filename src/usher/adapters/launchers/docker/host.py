"""The workloads of one Docker engine.

Only the manager that made a container starts it, and it asks once. A second start would run a bot again that has just
ended, because the engine starts whatever is not running; so a manager that finds a container which somebody else has
made waits for that one to start it, and a container whose maker has died is never started: its attempt fails, and the
next one has another name.

An engine that is itself killed (SIGKILL, not a restart) in the middle of a start may forget for good that the container
runs: it says `created`, and neither stops nor kills what it started. No call of its API ends that process. What the
launcher is told, and tells, is that nothing runs; the bot, whose attempt is over, is refused whatever it asks for.

Source: seen with Docker 20.10.24, whose `start` says "id already in use" of such a container.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import aclosing
from typing import Any

from usher.adapters.launchers.docker.container import LAST_WORDS_PATH, DockerOptions, document, labels_of
from usher.adapters.launchers.docker.ending import Endings
from usher.adapters.launchers.docker.engine import Engine, Refused, labelled
from usher.adapters.launchers.docker.image import BotImage
from usher.adapters.launchers.docker.network import BotNetwork
from usher.adapters.launchers.docker.output import single_file, tail
from usher.adapters.launchers.docker.places import Places
from usher.adapters.launchers.docker.spent import SpentNames
from usher.adapters.launchers.docker.state import CREATED, has_ended, read_state
from usher.domain.errors import LaunchRejected, NoRoom, Unavailable
from usher.domain.reconcile import Exited, Gone, Observation, Running, Unknown, WorkloadName, parse_engine_name
from usher.ports import WorkloadSpec
from usher.protocol.last_words import MOST_BYTES as LAST_WORDS_BYTES

_FIRST_LOOK_S, _SLOWEST_LOOK_S = 0.02, 0.2
_EVENTS_SILENCE_S = 300.0
_INSPECTED_AT_ONCE = 8
_NO_ROOM = ("no space left on device", "cannot allocate memory", "resource temporarily unavailable")


class DockerHost:
    """Does for one host what the launcher does for all of them.

    Args:
        url: Where its engine answers.
        options: Of the launcher.
    """

    def __init__(self, url: str, options: DockerOptions) -> None:
        self._options = options
        self._engine = Engine(url, timeout_s=options.call_timeout_s)
        self._spent = SpentNames(self._engine, options)
        self._network = BotNetwork(self._engine, options)
        self._image = BotImage(self._engine, options)
        self._places = Places(self._engine, options)
        self._ended: dict[str, Exited] = {}
        self._endings = Endings(self._engine, options)

    async def start(self, spec: WorkloadSpec) -> None:
        """Make a container and start it, or wait until the one of that name is started by whoever made it.

        Raises:
            LaunchRejected, NoRoom, Unavailable: As the port says.
        """
        give_up_at = _now_s() + self._options.adopt_timeout_s
        await self._network.ensure()
        while True:
            container = await self._make(spec)
            if container is not None:
                return await self._start_made(container, spec.name)
            if await self._adopt(spec.name, give_up_at):
                return None

    async def stop(self, name: WorkloadName, *, grace_s: float) -> Observation:
        """Note that the name is spent, then look for its container, and end that."""
        try:
            await self._spent.add(self._called(name))
            found = await self._find(name)
            if found is None:
                return Gone()
            if found["State"]["Status"] == CREATED:
                await self._endings.delete(found["Id"])
                return Gone()
            if not has_ended(found["State"]["Status"]):
                await self._endings.end(name, found["Id"], grace_s)
        except Unavailable as error:
            return Unknown(error.detail)
        left = await self.observe(name)
        return Unknown("it survived SIGKILL") if isinstance(left, Running) else left

    async def observe(self, name: WorkloadName) -> Observation:
        """Look at one container."""
        try:
            found = await self._find(name)
        except Unavailable as error:
            return Unknown(error.detail)
        return Gone() if found is None else read_state(found["State"])

    async def list(self) -> Mapping[WorkloadName, Observation]:
        """List all containers at once. What has ended is looked at once, because it does not change any more.

        Raises:
            Unavailable: The engine does not answer.
        """
        query = {"all": "1", **labelled(self._options.label)}
        listed = {row["Id"]: row for row in await self._engine.ask("GET", "containers/json", params=query)}
        self._ended = {container: ended for container, ended in self._ended.items() if container in listed}
        self._endings.forget_all_but(listed.keys())
        new = [one for one, row in listed.items() if has_ended(row["State"]) and one not in self._ended]
        await _some_at_a_time(self._inspect_ended(one) for one in new)
        found: dict[WorkloadName, Observation] = {}
        for container, row in listed.items():
            name = parse_engine_name(row["Names"][0].lstrip("/"), self._options.installation) if row["Names"] else None
            gone = has_ended(row["State"]) and container not in self._ended
            if name is not None and not gone:
                found[name] = self._ended.get(container, Running())
        return found

    async def remove(self, name: WorkloadName) -> None:
        """Note that the name is spent, and delete its container with its volume, killing what runs in it.

        Raises:
            Unavailable: The engine does not answer or cannot delete it.
        """
        await self._spent.add(self._called(name))
        found = await self._find(name)
        if found is not None:
            await self._endings.delete(found["Id"])

    async def logs(self, name: WorkloadName, *, last_bytes: int) -> bytes:
        """Return the end of the output."""
        query = {"stdout": "1", "stderr": "1"}
        return await self._read(name, "logs", query, lambda pieces: tail(pieces, last_bytes))

    async def last_words(self, name: WorkloadName) -> bytes:
        """Return what the bot left on its volume."""
        query = {"path": LAST_WORDS_PATH}
        return await self._read(name, "archive", query, lambda pieces: single_file(pieces, LAST_WORDS_BYTES))

    async def listen(self, wake: Callable[[], None]) -> None:
        """Follow the engine's events. Silence for long is an end as well: a dead connection looks like that.

        Raises:
            Unavailable: The stream has ended.
        """
        query = labelled(self._options.label, type=["container"], event=["start", "die", "destroy"])
        async with aclosing(self._engine.stream("events", params=query, silence_s=_EVENTS_SILENCE_S)) as pieces:
            async for _ in pieces:
                wake()
        raise Unavailable("the Docker engine has ended its stream of events")

    async def gateway(self) -> str:
        """Return the host's own address on the bots' network.

        Raises:
            Unavailable: The engine does not answer, or there is no such address.
        """
        return await self._network.gateway()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._engine.aclose()

    def _called(self, name: WorkloadName) -> str:
        return name.engine_name(self._options.installation)

    async def _make(self, spec: WorkloadSpec) -> str | None:
        """Make a container and return its id, or None if there is one of that name."""
        try:
            return await self._image.with_image(lambda: self._create(spec))
        except Refused as refusal:
            if refusal.status == 409:
                return None
            raise self._meaning(refusal) from None

    async def _create(self, spec: WorkloadSpec) -> str:
        made = await self._engine.ask(
            "POST",
            "containers/create",
            params={"name": self._called(spec.name)},
            body=document(spec, self._options),
            timeout_s=self._options.start_timeout_s,
        )
        return str(made["Id"])

    async def _start_made(self, container: str, name: WorkloadName) -> None:
        """Start what was just made, unless it was ended meanwhile or has no place; what is not started is deleted."""
        if await self._spent.has(self._called(name)):
            await self._endings.delete(container)
            raise LaunchRejected(f"{name} was ended before it began")
        if not await self._places.take(container):
            await self._endings.delete(container)
            raise NoRoom(f"all {self._options.max_bots} places of the host are taken")
        try:
            await self._engine.ask("POST", f"containers/{container}/start", timeout_s=self._options.start_timeout_s)
        except Refused as refusal:
            await self._endings.delete(container)
            raise await self._why_not_started(name, refusal) from None

    async def _why_not_started(self, name: WorkloadName, refusal: Refused) -> Exception:
        if await self._spent.has(self._called(name)):
            return LaunchRejected(f"{name} was ended before it began")
        return self._meaning(refusal)

    def _meaning(self, refusal: Refused) -> Exception:
        """Tell by the engine's words what it will never make or start, want of room, and what may work later."""
        if refusal.status == 400:
            return LaunchRejected(refusal.detail)
        if any(words in refusal.said.lower() for words in _NO_ROOM):
            return NoRoom(refusal.detail)
        self._network.forget()  # it may be the network that is missing
        return refusal

    async def _adopt(self, name: WorkloadName, give_up_at: float) -> bool:
        """Wait until the container of that name was started; False if it is gone, and the name is free again."""
        look_s = _FIRST_LOOK_S
        while True:
            found = await self._inspect(self._called(name))
            if found is None:
                return False
            if not self._is_own(found, name):
                raise LaunchRejected(f"a container that is not Usher's has the name {self._called(name)}")
            if found["State"]["Status"] not in (CREATED, "removing"):
                return True
            if _now_s() >= give_up_at:
                raise Unavailable(f"{name} was made by another manager, which has not started it")
            await asyncio.sleep(look_s)
            look_s = min(look_s * 1.5, _SLOWEST_LOOK_S)

    async def _find(self, name: WorkloadName) -> Any:  # noqa: ANN401 - a document of the engine's
        """Return the document of a workload's container, or None; what is not this installation's is not seen."""
        found = await self._inspect(self._called(name))
        return found if found is not None and self._is_own(found, name) else None

    async def _inspect(self, container: str) -> Any:  # noqa: ANN401 - a document of the engine's
        try:
            return await self._engine.ask("GET", f"containers/{container}/json")
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise

    async def _inspect_ended(self, container: str) -> None:
        """Keep how a container has ended, unless it was removed since the listing."""
        found = await self._inspect(container)
        if found is not None and isinstance(state := read_state(found["State"]), Exited):
            self._ended[container] = state

    def _is_own(self, found: Mapping[str, Any], name: WorkloadName) -> bool:
        return labels_of(name, self._options).items() <= (found["Config"]["Labels"] or {}).items()

    async def _read(
        self,
        name: WorkloadName,
        what: str,
        query: Mapping[str, str],
        read: Callable[[AsyncGenerator[bytes]], Awaitable[bytes]],
    ) -> bytes:
        """Read what the engine sends of a container; nothing if it sends nothing."""
        try:
            found = await self._find(name)
            if found is None:
                return b""
            path = f"containers/{found['Id']}/{what}"
            async with (
                asyncio.timeout(self._options.start_timeout_s),
                aclosing(self._engine.stream(path, params=query, silence_s=self._options.call_timeout_s)) as pieces,
            ):
                return await read(pieces)
        except (Unavailable, TimeoutError):
            return b""


async def _some_at_a_time(jobs: Iterable[Coroutine[Any, Any, None]]) -> None:
    places = asyncio.Semaphore(_INSPECTED_AT_ONCE)

    async def do(job: Coroutine[Any, Any, None]) -> None:
        async with places:
            await job

    await asyncio.gather(*map(do, jobs))


def _now_s() -> float:
    return asyncio.get_running_loop().time()
