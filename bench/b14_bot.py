"""B14: what a bot costs in a meeting with four speakers, beside a browser that only attends it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil
from tests.replicas.room_stage import RoomStage

from bench.attending import VOICES, Attending, attending
from bench.metric import Effort, Measured, Metric
from bench.ratios import ratio_of_medians
from bench.trees import Tree, is_chromium
from usher.bot.browser import Outfit, open_browser
from usher.bot.platforms.room.page import RoomPage

_MOST_RATIO = 1.2
_SETTLE_S = 10.0
_GUEST = "Guest"
_MB = 1024 * 1024


@dataclass
class _Costs:
    """CPU and memory by round: cores, and megabytes."""

    cores: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)


async def measure(effort: Effort) -> Measured:
    """Let the bot and the bare browser attend the same meeting at the same time, and look at both."""
    async with attending() as meeting, _bare_guest(meeting) as bare:
        process = meeting.bot.process.pid
        trees = {
            "bot": Tree([process]),
            "its browser": Tree([process], is_chromium),
            "its driver": Tree([process], lambda one: Path(one.exe()).name == "node"),
            "its Python": Tree([process], lambda one: one.pid == process),
            "bare": bare,
        }
        await asyncio.sleep(effort.pick(_SETTLE_S, 2.0))
        costs = await _watch(trees, effort)
        heard = len(meeting.speech.streams)
    cpu = ratio_of_medians(costs["bot"].cores, costs["bare"].cores)
    memory = ratio_of_medians(costs["bot"].memory_mb, costs["bare"].memory_mb)
    return Measured(
        ratio=cpu.value,
        ci95=(cpu.low, cpu.high),
        value=median(costs["bot"].cores),
        met=cpu.value <= _MOST_RATIO and memory.value <= _MOST_RATIO and heard >= len(VOICES),
        cpu_s_per_op=median(costs["bot"].cores),
        remarks=(
            *(f"{name}: {median(one.cores):.3f} cores, {median(one.memory_mb):.0f} MB" for name, one in costs.items()),
            f"memory: ratio {memory.value:.2f} [{memory.low:.2f}, {memory.high:.2f}]",
            f"{heard} speakers heard",
        ),
    )


async def _watch(trees: dict[str, Tree], effort: Effort) -> dict[str, _Costs]:
    costs = {name: _Costs() for name in trees}
    period_s = effort.pick(10.0, 1.0)
    loop = asyncio.get_running_loop()
    for _ in range(effort.rounds):
        before, began = {name: tree.cpu_s() for name, tree in trees.items()}, loop.time()
        await asyncio.sleep(period_s)
        seconds = loop.time() - began
        for name, tree in trees.items():
            costs[name].cores.append((tree.cpu_s() - before[name]) / seconds)
            costs[name].memory_mb.append(tree.memory_bytes() / _MB)
    return costs


@asynccontextmanager
async def _bare_guest(meeting: Attending) -> AsyncIterator[Tree]:
    """Let a browser with the bot's own settings, and without its scripts, attend the meeting."""
    stage = meeting.stage
    if not isinstance(stage, RoomStage):
        raise TypeError("the bare browser knows its way in the room alone")
    outfit = Outfit(chromium=stage.browser, headless=True, sandbox=os.geteuid() != 0)
    ours = {child.pid for child in psutil.Process().children(recursive=True)}
    async with open_browser(outfit, script="") as browser:
        new = [child.pid for child in psutil.Process().children() if child.pid not in ours]
        page = RoomPage(browser.page)
        await page.join(stage.url, _GUEST)
        await stage.host.press(f"Admit {_GUEST}")
        await stage.host.sees(_GUEST)
        yield Tree(new, is_chromium)


METRIC = Metric(
    title="a bot in a meeting with four speakers, with its browser, what drives it and itself",
    floor="the same browser in the same meeting, without the bot",
    unit="cores",
    target=f"ratio <= {_MOST_RATIO:g} in CPU time and in memory",
    measure=measure,
)
