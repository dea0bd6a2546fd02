"""What runs bots."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from usher.domain.reconcile import Observation, WorkloadName


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """What to run for one attempt.

    Attributes:
        name: Deterministic; starting the same name twice is starting it once.
        environment: Variables of the bot's process; holds its credentials, so it is never logged or put in argv.
    """

    name: WorkloadName
    environment: Mapping[str, str]


class Launcher(Protocol):
    """Runs workloads. Its word is the truth about what is live.

    A name that was stopped or removed, whether it was ever started or not, can not be started again for an hour: a
    manager that was paused in the middle of a launch must not bring back what others have seen to its end.
    """

    async def start(self, spec: WorkloadSpec) -> None:
        """Start a workload, or adopt the one of that name that runs already. Idempotent.

        Raises:
            LaunchRejected: It can never run, or was ended before it began, and nothing of it runs.
            NoRoom: There is no room for it at present, and nothing of it runs.
            Unavailable: The launcher does not answer; the workload may run or not.
        """
        ...

    async def stop(self, name: WorkloadName, *, grace_s: float) -> Observation:
        """Ask a workload to end, kill all of it after `grace_s`, and say what is left. Idempotent.

        Returns:
            `Exited` or `Gone` if nothing of it runs any more; `Unknown` if that could not be made sure.
        """
        ...

    async def observe(self, name: WorkloadName) -> Observation:
        """Say what is known of a workload. `Unknown` is never reported as `Gone`."""
        ...

    async def list(self) -> Mapping[WorkloadName, Observation] | None:
        """Return all workloads of this installation, ended ones that are remembered included; None if unknown."""
        ...

    async def remove(self, name: WorkloadName) -> None:
        """Kill what may be left of a workload and forget it. Idempotent."""
        ...

    async def logs(self, name: WorkloadName, *, last_bytes: int) -> bytes:
        """Return the end of what the workload printed; empty if nothing is known."""
        ...

    async def last_words(self, name: WorkloadName) -> bytes:
        """Return what the bot left behind under `USHER_LAST_WORDS`; empty if nothing is known.

        Nothing in it may be trusted before its seal was checked.
        """
        ...

    async def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever a workload may have begun or ended, until cancelled.

        A hint that makes the next look come sooner: it may come late, twice, or not at all.

        Raises:
            Unavailable: The launcher does not answer, or stopped telling.
        """
        ...
