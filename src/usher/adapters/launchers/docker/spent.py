"""Names of workloads that were stopped or removed: none of them may be started again for an hour.

The note has to be where the container would be, so that every manager sees it and no other store has to be asked in
the middle of a launch. Docker keeps nothing about a container that was removed, but it keeps labelled volumes: an
empty one by the name of the workload is the note.

Whoever stops a workload writes the note first and looks for a container second. Whoever starts one makes the container
first and looks for the note second, before the start. So one of the two sees the other, however long either was paused
in between. `docker volume prune` (since Docker 23 only with `--all`) takes the notes away; that does harm only to a
launch that is paused meanwhile.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from usher.adapters.launchers.docker.container import DockerOptions
from usher.adapters.launchers.docker.engine import Engine, Refused, labelled
from usher.domain.errors import Unavailable

_LABEL = "usher.spent"
_KEPT = timedelta(hours=2)
"""Twice the hour: the note of a stop has to last for an hour after the removal that follows it, too."""

_FORGET_EVERY_S = 60.0
_FORGOTTEN_AT_ONCE = 100


class SpentNames:
    """The notes on one engine.

    Args:
        engine: Where the containers are.
        options: Of the launcher.
        kept: For how long a note is kept at least.
    """

    def __init__(self, engine: Engine, options: DockerOptions, *, kept: timedelta = _KEPT) -> None:
        self._engine = engine
        self._kept = kept
        self._labels = {**options.label, _LABEL: "1"}
        self._forget_at = 0.0

    async def has(self, name: str) -> bool:
        """Say whether a name is spent.

        Raises:
            Unavailable: The engine does not answer.
        """
        try:
            await self._engine.ask("GET", f"volumes/{_volume(name)}")
        except Refused as refusal:
            if refusal.status == 404:
                return False
            raise
        return True

    async def add(self, name: str) -> None:
        """Note that a name is spent. Idempotent.

        Raises:
            Unavailable: The engine does not answer; nothing may be concluded from looking then.
        """
        note = {"Name": _volume(name), "Driver": "local", "Labels": self._labels}
        await self._engine.ask("POST", "volumes/create", body=note)
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._forget_at:
            self._forget_at = now_s + _FORGET_EVERY_S
            await self._forget()

    async def _forget(self) -> None:
        """Delete old notes, some at a time. Old by the clock that wrote them: the newest says what time it is."""
        try:
            found = await self._engine.ask("GET", "volumes", params=labelled(self._labels))
            notes = {note["Name"]: _written(note) for note in found["Volumes"] or ()}
            newest = max(notes.values(), default=None)
            old = [name for name, written in notes.items() if newest and written < newest - self._kept]
            for name in old[:_FORGOTTEN_AT_ONCE]:
                await self._engine.ask("DELETE", f"volumes/{name}")
        except Unavailable:
            return  # it is a matter of tidiness, and comes again in a minute


def _volume(name: str) -> str:
    return f"{name}.spent"


def _written(note: Any) -> datetime:  # noqa: ANN401 - a document of the engine's
    return datetime.fromisoformat(note["CreatedAt"])
