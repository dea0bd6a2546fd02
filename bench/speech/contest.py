"""Blocks of streams against one server, and the order in which both have theirs."""

import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tests.support.speech_clips import clip
from tests.support.stock_server import find_stock_python

from bench.processes import Worker, worker
from bench.speech.corpus import Part, make_parts
from bench.speech.curve import Point, Tally
from bench.speech.scoring import Score, score
from bench.speech.servers import Contestant, stock, usher_server
from usher.settings import bare_environment

_START_S = 60.0
_STAGGER_S = 0.37
_SLACK_S = 300.0
_FEW_WORDS = "libri_7902.wav"
_MB = 1024 * 1024


@dataclass(slots=True)
class Runner:
    """One contestant's blocks."""

    name: str
    server: Contestant
    load: Worker
    directory: Path
    tallies: dict[int, Tally] = field(default_factory=dict)
    late_s: float = 0.0

    async def block(self, parts: Sequence[Part], files: Sequence[str]) -> Point:
        """Play parts at the same time, and return the figures of all blocks with so many streams.

        Raises:
            TimeoutError: It takes far longer than the audio.
        """
        streams = len(parts)
        tally = self.tallies.setdefault(streams, Tally(streams, Score()))
        longest_s = max(part.duration_s for part in parts)
        before_s = self.server.tree.cpu_s()
        told = await self._play(files, timeout_s=longest_s + _SLACK_S)
        tally.cpu_s += self.server.tree.cpu_s() - before_s
        tally.audio_s += sum(part.duration_s + self.server.tail_s for part in parts)
        tally.memory_mb = max(tally.memory_mb, self.server.tree.memory_bytes() / _MB)
        for part, one in zip(parts, told, strict=True):
            tally.refused += one["problem"] is not None
            tally.score.add(score(part, one["messages"], one["ended_s"]))
            self.late_s = max(self.late_s, one["late_s"])
        return tally.point()

    async def warm_up(self) -> None:
        """Play a few words that do not count: the stock server loads its model then."""
        path = self.directory / "warm-up.npy"
        np.save(path, clip(_FEW_WORDS))
        await self._play([str(path)], timeout_s=_SLACK_S)

    def points(self) -> list[Point]:
        """Return the figures by the number of streams."""
        return [self.tallies[streams].point() for streams in sorted(self.tallies)]

    async def _play(self, files: Sequence[str], *, timeout_s: float) -> list[dict[str, Any]]:
        job = {
            "url": self.server.url,
            "options": dict(self.server.options),
            "audio": list(files),
            "stagger_s": _STAGGER_S,
            "tail_s": self.server.tail_s,
            "out": str(self.directory / f"{self.name}.json"),
        }
        said = await self.load.ask(job, timeout_s)
        return _read(Path(said["out"]))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        parts: Into how many the speech is divided; a stream plays one.
        speech_s: Speech of all parts.
        usher: Numbers of streams, upward; the search ends after the first that is too many, but not before `enough`.
        stock: The same for the stock server, beside all parts one after the other in one stream.
        enough: Number of streams that is measured in any case.
    """

    parts: int
    speech_s: float
    usher: Sequence[int]
    stock: Sequence[int]
    enough: int


FULL = Plan(parts=12, speech_s=600.0, usher=(1, 4, 8, 12, 16, 20, 24, 28, 32, 40), stock=(2, 4), enough=12)
QUICK = Plan(parts=2, speech_s=14.0, usher=(1, 2), stock=(), enough=2)


async def hold(model: Path, plan: Plan, profile_dir: Path | None) -> tuple[Runner, Runner | None]:
    """Let both servers take turns, and return what they did; no stock server if it is not installed.

    Each part is played to the stock server in a stream of its own, one after the other; between them Usher has its
    blocks with more and more streams, and the stock server its few.
    """
    async with _open(model, plan, profile_dir) as (usher, rival, parts, files):
        for runner in (usher, *([rival] if rival else [])):
            await runner.warm_up()
        ours, theirs = iter(plan.usher), iter(plan.stock)
        searching = True
        for number in range(max(len(parts), len(plan.usher))):
            if rival and number < len(parts):
                await rival.block(parts[number : number + 1], files[number : number + 1])
            if searching and (streams := next(ours, 0)):
                point = await usher.block(*_dealt(streams, parts, files))
                searching = point.keeps_up or streams < plan.enough
            if rival and (streams := next(theirs, 0)):
                await rival.block(*_dealt(streams, parts, files))
        return usher, rival


def _dealt(streams: int, parts: Sequence[Part], files: Sequence[str]) -> tuple[list[Part], list[str]]:
    """Return a part for each stream; there may be fewer parts than streams."""
    numbers = [number % len(parts) for number in range(streams)]
    return [parts[number] for number in numbers], [files[number] for number in numbers]


@asynccontextmanager
async def _open(
    model: Path, plan: Plan, profile_dir: Path | None
) -> AsyncIterator[tuple[Runner, Runner | None, list[Part], list[str]]]:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="usher-bench-")))
        parts = make_parts(plan.parts, plan.speech_s)
        files = [_kept(part, directory / f"part-{number}.npy") for number, part in enumerate(parts)]
        load = await stack.enter_async_context(
            worker("bench.speech.load", environment=bare_environment(), log=directory / "load.log")
        )
        await load.hear(_START_S)
        profile = None if profile_dir is None else profile_dir / "transcribe.prof"
        ours = await stack.enter_async_context(usher_server(model, directory / "usher.log", profile))
        usher, rival = Runner("usher", ours, load, directory), None
        if find_stock_python() is not None:
            theirs = await stack.enter_async_context(stock(model, directory / "stock.log"))
            rival = Runner("stock", theirs, load, directory)
        yield usher, rival, parts, files


def _read(path: Path) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return told


def _kept(part: Part, path: Path) -> str:
    np.save(path, part.pcm)
    return str(path)
