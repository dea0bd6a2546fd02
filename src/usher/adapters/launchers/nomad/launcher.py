"""Launcher for a Nomad cluster: each workload is a batch job of one task.

What is known of a workload is in Nomad, so any manager with the same installation sees and stops the same workloads.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from usher.adapters.launchers.nomad.api import Answer, NomadApi, Refused
from usher.adapters.launchers.nomad.job import INSTALLATION_META, LAST_WORDS_PATH, NomadOptions, job_document
from usher.adapters.launchers.nomad.reading import (
    ENDED_BEFORE,
    Record,
    first_of,
    has_just_ended,
    is_over,
    is_pending,
    observe_allocation,
    want_of_room,
    was_signalled,
)
from usher.adapters.launchers.nomad.tickets import Ticket, Tickets
from usher.domain.errors import LaunchRejected, Unavailable
from usher.domain.reconcile import Exited, Gone, Observation, Running, Unknown, WorkloadName, parse_engine_name
from usher.ports import WorkloadSpec
from usher.protocol.last_words import MOST_BYTES as LAST_WORDS_BYTES

log = structlog.get_logger(__name__)

_PLACING_S = 2.0
_TRICKLE_S, _TRICKLE_LOOKS = 0.3, 6
_MOST_LOOKS, _MOST_ADMITTING = 16, 32
_OTHERS_STOP_S = 1.0
_TELL_S = 10.0
_CERTAIN_MARGIN_S = 10.0
_SWEEP_EVERY_S = 600.0

_NEVER_BEGAN = Exited(None, ENDED_BEFORE)


class NomadLauncher:
    """Runs workloads as jobs of Nomad.

    A bot begins only when the ticket of its workload was given to its allocation, and the ticket is given once: what
    Nomad places a second time waits for ever, and what was stopped before it began never begins.

    Args:
        options: How to reach Nomad and what to run.
        end_timeout_s: How long a bot may take to be gone once it was killed.
    """

    def __init__(self, options: NomadOptions, *, end_timeout_s: float = 20.0) -> None:
        self._options = options
        self._api = NomadApi(options)
        self._tickets = Tickets(self._api)
        self._end_timeout_s = end_timeout_s
        self._certain_s = options.lost_after_s + options.kill_timeout_s + _CERTAIN_MARGIN_S
        self._ends: dict[str, tuple[int, Exited]] = {}
        self._admitting: dict[str, asyncio.Task[None]] = {}
        self._looks = asyncio.Semaphore(_MOST_LOOKS)
        self._doors = asyncio.Semaphore(_MOST_ADMITTING)
        self._sweep_at = 0.0

    async def aclose(self) -> None:
        """End what is under way and close all connections; what runs goes on."""
        admitting = list(self._admitting.values())
        for task in admitting:
            task.cancel()
        await asyncio.gather(*admitting, return_exceptions=True)
        await self._api.aclose()

    async def start(self, spec: WorkloadSpec) -> None:
        """Register the workload's job once; it begins as soon as Nomad has a place for it.

        Raises:
            LaunchRejected: Nomad refuses the job, or it was ended before it began.
            Unavailable: Nomad does not answer, or does not allow it.
        """
        job_id = self._job_id(spec.name)
        try:
            ticket = await self._tickets.open(job_id, spec.environment)
            if ticket.is_spent or ticket.is_foreign:
                why = "was ended before it began" if ticket.is_spent else "has a variable in Nomad that is not Usher's"
                raise LaunchRejected(f"{spec.name} {why}")
            if ticket.is_open and await self._api.register(job_document(spec.name, self._options)):
                self._admit_soon(job_id, ticket)
                return
        except Refused as error:
            raise LaunchRejected(f"Nomad refuses {spec.name}: {error}") from None
        if await self._find(job_id) is None:
            raise LaunchRejected(f"{spec.name} was ended, or there is a job by its name that is not Usher's")
        self._admit_soon(job_id, ticket)

    async def stop(self, name: WorkloadName, *, grace_s: float) -> Observation:
        """Send SIGTERM to the bot, kill it after `grace_s`, and wait until Nomad says that nothing runs."""
        job_id = self._job_id(name)
        try:
            mine, ticket = await self._tickets.spend(job_id)
            job = await self._find(job_id)
            if job is None:
                return Gone()
            if not ticket.began:
                await self._api.deregister(job_id, purge=False)
                return _NEVER_BEGAN
            if job["Status"] != "dead":
                await self._end(job_id, grace_s, mine=mine)
            if not await self._ended(job_id, self._end_timeout_s):
                return Unknown("Nomad has been told to stop it, and does not say that it has ended")
        except (Refused, Unavailable) as error:
            return Unknown(str(error))
        return await self.observe(name)

    async def observe(self, name: WorkloadName) -> Observation:
        """Say what is known of a workload."""
        try:
            job = await self._find(self._job_id(name))
            return Gone() if job is None else await self._observe(job)
        except (Refused, Unavailable) as error:
            return Unknown(str(error))

    async def list(self) -> Mapping[WorkloadName, Observation] | None:
        """Ask for all jobs at once, and look closer at those that do not simply run."""
        prefix = self._options.installation
        try:
            jobs = await self._api.jobs(f"{prefix}-")
            named = {name: job for job in jobs if self._is_ours(job) and (name := parse_engine_name(job["ID"], prefix))}
            self._ends = {job["ID"]: self._ends[job["ID"]] for job in named.values() if job["ID"] in self._ends}
            blocked = await self._blocked() if any(map(_is_queued, named.values())) else {}
            seen = await asyncio.gather(*(self._observe(job, blocked) for job in named.values()))
        except (Refused, Unavailable) as error:
            log.warning("workloads_not_listed", error=str(error))
            return None
        return dict(zip(named, seen, strict=True))

    async def remove(self, name: WorkloadName) -> None:
        """Kill what is left, delete its files, and make Nomad forget the job.

        Raises:
            Unavailable: It could not be made sure that nothing of it runs; the job stays.
        """
        job_id = self._job_id(name)
        observation = await self.stop(name, grace_s=0.0)
        if isinstance(observation, Unknown):
            raise Unavailable(f"{name} cannot be removed: {observation.detail}")
        try:
            if not isinstance(observation, Gone):
                if observation != _NEVER_BEGAN:
                    await self._clear(job_id)
                await self._api.deregister(job_id, purge=True)
            await self._sweep()
        except Refused as error:
            raise Unavailable(f"{name} cannot be removed: {error}") from None

    async def logs(self, name: WorkloadName, *, last_bytes: int) -> bytes:
        """Return the end of what the bot printed; what it printed as errors comes after the rest."""
        try:
            found = await self._allocations(name)
            first = None if found is None else first_of(found.body)
            if found is None or first is None or last_bytes <= 0:
                return b""
            tail, before = await self._tail(first["ID"], last_bytes), None
            # A container's output reaches the files of its allocation some time after it was printed.
            looks = _TRICKLE_LOOKS if has_just_ended(first, found.at_ns) else 0
            while tail != before and looks:
                await asyncio.sleep(_TRICKLE_S)
                tail, before, looks = await self._tail(first["ID"], last_bytes), tail, looks - 1
        except (Refused, Unavailable):
            return b""
        return tail

    async def last_words(self, name: WorkloadName) -> bytes:
        """Return what the bot left in the directory of its allocation."""
        try:
            found = await self._allocations(name)
            first = None if found is None else first_of(found.body)
            return await self._api.file(first["ID"], LAST_WORDS_PATH, LAST_WORDS_BYTES) if first else b""
        except (Refused, Unavailable):
            return b""

    async def listen(self, wake: Callable[[], None]) -> None:
        """Follow Nomad's events of allocations, and wake when one is about a job of this installation.

        Raises:
            Unavailable: The stream has ended, or cannot be had.
        """
        mark = f'"JobID":"{self._options.installation}-'.encode()
        rest = b""
        try:
            async for piece in self._api.events("Allocation"):
                seen = rest + piece
                if mark in seen:
                    wake()
                    seen = seen[seen.rindex(mark) + len(mark) :]
                rest = seen[-(len(mark) - 1) :]
        except Refused as error:
            raise Unavailable(f"Nomad does not tell of its events: {error}") from None
        raise Unavailable("Nomad has ended the stream of its events")

    def _job_id(self, name: WorkloadName) -> str:
        return name.engine_name(self._options.installation)

    def _is_ours(self, job: Record) -> bool:
        return bool((job.get("Meta") or {}).get(INSTALLATION_META) == self._options.installation)

    async def _find(self, job_id: str) -> Record | None:
        """Return the line about a workload's job."""
        found = [job for job in await self._api.jobs(job_id) if job["ID"] == job_id and self._is_ours(job)]
        return found[0] if found else None

    async def _allocations(self, name: WorkloadName) -> Answer | None:
        """Return the allocations of a workload that has not been removed."""
        job_id = self._job_id(name)
        return None if await self._find(job_id) is None else await self._api.allocations(job_id)

    async def _tail(self, allocation_id: str, last_bytes: int) -> bytes:
        streams = (self._api.log_tail(allocation_id, one, last_bytes) for one in ("stdout", "stderr"))
        return b"".join(await asyncio.gather(*streams))[-last_bytes:]

    async def _observe(self, job: Record, blocked: Mapping[str, Record] | None = None) -> Observation:
        """Say what is known by the line about a job, and look closer where that does not say it."""
        counts = ((job.get("JobSummary") or {}).get("Summary") or {}).get("bot") or {}
        alive = {state for state, number in counts.items() if number}
        if not job["Stop"] and alive and alive <= {"Running", "Starting"}:
            if "Starting" in alive:
                self._admit_soon(job["ID"])
            return Running()
        known = self._ends.get(job["ID"])
        if known is not None and known[0] == job["CreateIndex"]:
            return known[1]
        async with self._looks:
            return await self._look(job, blocked)

    async def _look(self, job: Record, blocked: Mapping[str, Record] | None) -> Observation:
        job_id = job["ID"]
        found = await self._api.allocations(job_id)
        first = first_of(found.body)
        if first is not None and job["Stop"] and is_pending(first) and not await self._began(job_id):
            return _NEVER_BEGAN
        if first is not None:
            observation = observe_allocation(first, found.at_ns, self._certain_s)
            if isinstance(observation, Exited):
                self._ends[job_id] = job["CreateIndex"], observation
            return observation
        if job["Stop"] or job["Status"] == "dead":
            return _NEVER_BEGAN
        waiting = (await self._blocked(job_id) if blocked is None else blocked).get(job_id)
        return Running(waiting=want_of_room(waiting) if waiting else "")

    async def _began(self, job_id: str) -> bool:
        ticket = await self._tickets.find(job_id)
        return ticket is not None and ticket.began

    async def _clear(self, job_id: str) -> None:
        """Delete the files of a workload that has ended: what its bot printed, and its last words."""
        left = (await self._api.allocations(job_id)).body
        if not all(await asyncio.gather(*(self._api.clear(one["ID"]) for one in left))):
            log.warning("workload_files_left", job=job_id)

    async def _blocked(self, job_id: str = "") -> Mapping[str, Record]:
        return {one["JobID"]: one for one in await self._api.blocked(job_id)}

    def _admit_soon(self, job_id: str, ticket: Ticket | None = None) -> None:
        """Give the ticket in a task of its own, unless that is under way; any manager's next listing does it too."""
        if job_id not in self._admitting and (ticket is None or ticket.is_open):
            self._admitting[job_id] = asyncio.create_task(self._admit(job_id, ticket))

    async def _admit(self, job_id: str, ticket: Ticket | None) -> None:
        """Give the ticket of a workload to its first allocation; end what was stopped before that."""
        try:
            async with self._doors:
                first = await self._first_placed(job_id)
                ticket = ticket or await self._tickets.find(job_id)
                if first is not None and ticket is not None:
                    ticket = await self._tickets.give(job_id, ticket, first["ID"])
                # Whoever stops it spends the ticket first and looks for the job second, and may have found none.
                if ticket is None or ticket.is_spent:
                    await self._api.deregister(job_id, purge=False)
        except (Refused, Unavailable) as error:
            log.warning("workload_not_admitted", job=job_id, error=str(error))
        finally:
            del self._admitting[job_id]

    async def _first_placed(self, job_id: str) -> Record | None:
        """Wait a little for a job to be placed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PLACING_S
        found = await self._api.allocations(job_id)
        while not found.body and (left_s := deadline - loop.time()) > 0:
            found = await self._api.allocations(job_id, after=max(found.at_index, 1), wait_s=left_s)
        return first_of(found.body)

    async def _end(self, job_id: str, grace_s: float, *, mine: bool) -> None:
        """Let the bot end by itself within its grace, kill it after that, and stop the job."""
        first = first_of((await self._api.allocations(job_id)).body)
        if first is not None:
            told = grace_s <= 0 or await self._ask_to_end(job_id, first["ID"], grace_s, mine=mine)
            if told and not await self._ended(job_id, grace_s) and await self._api.signal(first["ID"], "SIGKILL"):
                log.info("workload_killed", job=job_id, grace_s=grace_s)
        await self._api.deregister(job_id, purge=False)

    async def _ask_to_end(self, job_id: str, allocation_id: str, grace_s: float, *, mine: bool) -> bool:
        """Send SIGTERM once; False if the bot has not begun, or has ended, or its node does not answer.

        Of several who stop it at once, the one who spent the ticket sends it; or another, if that one died before.
        """
        if not mine:
            if await self._ended(job_id, min(_OTHERS_STOP_S, grace_s)):
                return False
            found = first_of((await self._api.allocations(job_id)).body)
            if found is not None and was_signalled(found):
                return True
        return await self._api.signal(allocation_id, "SIGTERM")

    async def _ended(self, job_id: str, within_s: float) -> bool:
        """Wait until the bot of a job does not run any more; False if that takes too long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        found = await self._api.allocations(job_id)
        while not is_over(found.body, found.at_ns, self._certain_s):
            left_s = deadline - loop.time()
            if left_s <= 0:
                return False
            found = await self._api.allocations(job_id, after=max(found.at_index, 1), wait_s=min(left_s, _TELL_S))
        return True

    async def _sweep(self) -> None:
        """Forget tickets that nobody needs any more, now and then."""
        now = asyncio.get_running_loop().time()
        if now < self._sweep_at:
            return
        self._sweep_at = now + _SWEEP_EVERY_S
        prefix = f"{self._options.installation}-"
        jobs = await self._api.jobs(prefix)
        await self._tickets.forget_old(prefix, frozenset(job["ID"] for job in jobs))


def _is_queued(job: Record) -> bool:
    return bool(job["Status"] == "pending")
