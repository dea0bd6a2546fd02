"""A race between the launcher for Docker and bare calls to the same engine, with the same container."""

import math
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiodocker import Docker

from bench.ratios import Ratio, ratio_of_medians
from usher.adapters.launchers.docker.container import DockerOptions, document
from usher.adapters.launchers.docker.launcher import DockerLauncher
from usher.domain.reconcile import WorkloadName
from usher.ports import WorkloadSpec

_IMAGE = "python:3.11-slim"
_FIRST_BARE = 1_000_000


@dataclass(frozen=True, slots=True)
class Containers:
    """Seconds until the engine said that a container was made and started; one of each side per round."""

    launcher_s: Sequence[float]
    bare_s: Sequence[float]

    @property
    def ratio(self) -> Ratio:
        """Of the medians."""
        return ratio_of_medians(self.launcher_s, self.bare_s)

    @property
    def remark(self) -> str:
        """All of it in one line."""
        return (
            f"a container: {_told(self.launcher_s)} through the launcher, {_told(self.bare_s)} by bare calls, "
            f"ratio {self.ratio.value:.2f} [{self.ratio.low:.2f}, {self.ratio.high:.2f}]"
        )


def _told(seconds: Sequence[float]) -> str:
    ms = sorted(1000 * one for one in seconds)
    return f"{ms[len(ms) // 2]:.0f} ms (p99 {ms[math.ceil(0.99 * len(ms)) - 1]:.0f})"


def engine() -> str | None:
    """Return where the engine of `make engines` answers; None if it was not started."""
    home = Path(os.environ.get("USHER_ENGINES_DIR") or Path.home() / ".cache" / "usher-engines")
    address = home / "docker" / "address"
    return address.read_text().strip() if address.exists() else None


async def race_containers(address: str, *, rounds: int, warmup: int) -> Containers:
    """Start containers by the launcher and bare in turn; who comes first in a round is drawn by lot."""
    options = DockerOptions(
        image=_IMAGE, command=("sleep", "60"), pull="never", memory_mb=64, installation=f"b{os.getpid()}"
    )
    launcher = DockerLauncher({"local": address}, options)
    chance = random.Random(1)  # noqa: S311 - an order, not a secret
    took: dict[str, list[float]] = {"launcher": [], "bare": []}
    async with Docker(url=address) as docker:
        for number in range(1, warmup + rounds + 1):
            for side in chance.sample(("launcher", "bare"), 2):
                one = number if side == "launcher" else _FIRST_BARE + number
                spec = WorkloadSpec(WorkloadName(one, 1), {"USHER_BOT": "{}"})
                began = time.perf_counter()
                await (launcher.start(spec) if side == "launcher" else _bare(docker, spec, options))
                if number > warmup:
                    took[side].append(time.perf_counter() - began)
                await launcher.remove(spec.name)
    await launcher.aclose()
    return Containers(took["launcher"], took["bare"])


async def _bare(docker: Docker, spec: WorkloadSpec, options: DockerOptions) -> None:
    config: Any = document(spec, options)
    container = await docker.containers.create(config, name=spec.name.engine_name(options.installation))
    await container.start()
