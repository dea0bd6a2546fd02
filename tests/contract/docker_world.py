"""The launcher contract on a real Docker engine."""

import hashlib
import io
import secrets
import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.launcher_worlds import World
from tests.support.docker_api import DockerApi
from tests.support.engines import needs_engine

from usher.adapters.launchers.docker.container import DockerOptions
from usher.adapters.launchers.docker.launcher import DockerLauncher
from usher.domain.reconcile import WorkloadName

_DOCKERFILE = b"""
FROM python:3.11-slim
RUN mkdir -m 700 /var/lib/usher-bot && chown 1000:1000 /var/lib/usher-bot
COPY launched_bot.py /launched_bot.py
CMD ["python3", "-I", "-S", "/launched_bot.py"]
"""
_BOT = Path(__file__).with_name("launched_bot.py")


class DockerWorld(World):
    """One installation on one engine.

    Args:
        address: Of the engine.
        image: Of the test's bot.
        network: On which the bots are; by default one that all tests share, for it takes time to make one.
    """

    def __init__(self, address: str, image: str, *, network: str = "usher-bots") -> None:
        self.address = address
        self.api = DockerApi(address)
        self.options = DockerOptions(
            image=image,
            installation=f"t{secrets.token_hex(4)}",
            pull="never",
            network=network,
            memory_mb=256,
            cpus=1.0,
        )
        self._launchers: list[DockerLauncher] = []

    def launcher(self, hosts: Mapping[str, str] | None = None, /, **changed: object) -> DockerLauncher:
        options = replace(self.options, **changed)  # type: ignore[arg-type]  # the tests name the options themselves
        made = DockerLauncher(hosts or {"local": self.address}, options)
        self._launchers.append(made)
        return made

    def called(self, name: WorkloadName) -> str:
        return name.engine_name(self.options.installation)

    def running(self, name: WorkloadName) -> int:
        rows = self.api.containers(name=[f"^/{self.called(name)}$"], status=["running"])
        return sum(self._bots(row["Id"]) for row in rows)

    def containers(self) -> list[str]:
        """Return the names of all containers of the installation."""
        found = self.api.containers(label=[f"usher.installation={self.options.installation}"])
        return sorted(one["Names"][0].lstrip("/") for one in found)

    async def close_launchers(self) -> None:
        for launcher in self._launchers:
            await launcher.aclose()

    async def close(self) -> None:
        await self.close_launchers()
        label = f"usher.installation={self.options.installation}"
        for one in self.api.containers(label=[label]):
            self.api.delete(f"containers/{one['Id']}", force=1, v=1)
        for note in self.api.get("volumes", filters={"label": [label]})["Volumes"] or ():
            self.api.delete(f"volumes/{note['Name']}")

    def _bots(self, container: str) -> int:
        status, said = self.api.send("GET", f"containers/{container}/top", {"ps_args": "-eo pid,args"})
        return said.count(b'"python3 -I -S /launched_bot.py"') if status == 200 else 0


@asynccontextmanager
async def docker_world(_: Path | None = None) -> AsyncIterator[DockerWorld]:
    """Yield a world on the engine of `make engines`."""
    address = needs_engine("docker")
    world = DockerWorld(address, bot_image(DockerApi(address)))
    try:
        yield world
    finally:
        await world.close()


def bot_image(api: DockerApi) -> str:
    """Return the image of the contract's bot; built if the engine has none of this content."""
    content = _BOT.read_bytes()
    image = f"usher-contract-bot:{hashlib.sha256(content + _DOCKERFILE).hexdigest()[:12]}"
    if api.send("GET", f"images/{image}/json", {})[0] == 200:
        return image
    if api.send("GET", "images/python:3.11-slim/json", {})[0] != 200:
        pytest.skip("the Docker engine has no python:3.11-slim: `make engines` makes it")
    status, said = api.send(
        "POST", "build", {"t": image, "networkmode": "none", "rm": 1, "forcerm": 1}, _context(content)
    )
    assert status == 200, said
    assert api.send("GET", f"images/{image}/json", {})[0] == 200, said
    return image


def _context(content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in (("Dockerfile", _DOCKERFILE), ("launched_bot.py", content)):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()
