"""The contract's world in a real Nomad, with a token that has the rights of our own policy and no more."""

import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.contract.launcher_worlds import World
from tests.support.engines import engine_address, engine_home

from usher.adapters.launchers.nomad.job import Driver, NomadOptions
from usher.adapters.launchers.nomad.launcher import NomadLauncher
from usher.domain.reconcile import WorkloadName

BOT = Path(__file__).with_name("launched_bot.py")
POLICY = Path(__file__).parents[2] / "deploy" / "nomad" / "usher.policy.hcl"
IMAGE = "python:3.11-slim"
PROGRAM = [sys.executable, "-I", "-S", str(BOT)]


class Nomad:
    """What tests do in a Nomad besides launching: with its management token, as its operator does.

    Args:
        address: Address of the API.
        token: Management token.
    """

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self.http = httpx.Client(base_url=address, headers={"X-Nomad-Token": token}, timeout=30.0, trust_env=False)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, **parameters: str) -> Any:  # noqa: ANN401 - JSON
        answer = self.http.request(method, path, params=parameters, json=body)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def token(self, name: str, rules: str) -> str:
        """Return a new token with a policy of its own."""
        self.ask("PUT", f"/v1/acl/policy/{name}", {"Name": name, "Rules": rules})
        made = self.ask("PUT", "/v1/acl/token", {"Name": name, "Type": "client", "Policies": [name]})
        return str(made["SecretID"])

    def forget_token(self, name: str) -> None:
        for token in self.ask("GET", "/v1/acl/tokens"):
            if token["Name"] == name:
                self.ask("DELETE", f"/v1/acl/token/{token['AccessorID']}")
        self.ask("DELETE", f"/v1/acl/policy/{name}")


class NomadWorld(World):
    """An installation of its own in a Nomad that others use as well.

    Args:
        nomad: The engine.
        driver: Task driver of the bots.
        changes: Options that differ from the usual.
    """

    def __init__(self, nomad: Nomad, driver: Driver = "raw_exec", **changes: Any) -> None:  # noqa: ANN401 - of any type
        self.nomad = nomad
        self.installation = f"u{secrets.token_hex(6)}"
        rules = POLICY.read_text().replace("usher-*", f"{self.installation}-*")
        command = ["python3", "-c", BOT.read_text()] if driver == "docker" else PROGRAM
        if driver == "exec":
            command = ["/usr/bin/python3", "-I", "-S", "-c", BOT.read_text()]
        self.options = NomadOptions(
            url=nomad.address,
            token=nomad.token(self.installation, rules),
            installation=self.installation,
            driver=driver,
            image=IMAGE,
            command=tuple(command),
            cpu_mhz=20,
            memory_mb=48,
            **changes,
        )
        self.launchers: list[NomadLauncher] = []

    def launcher(self, **changes: Any) -> NomadLauncher:  # noqa: ANN401 - of any type
        made = NomadLauncher(replace(self.options, **changes))
        self.launchers.append(made)
        return made

    def job_id(self, name: WorkloadName) -> str:
        return name.engine_name(self.installation)

    def processes(self, name: WorkloadName) -> list[int]:
        """Return the bots of that name; containers and jails of this machine included."""
        mark = f"NOMAD_JOB_ID={self.job_id(name)}".encode()
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal() and _is_bot(entry, mark)]

    def running(self, name: WorkloadName) -> int:
        return len(self.processes(name))

    async def close(self) -> None:
        for launcher in self.launchers:
            await launcher.aclose()
        for job in self.nomad.ask("GET", "/v1/jobs", prefix=f"{self.installation}-"):
            for allocation in self.nomad.ask("GET", f"/v1/job/{job['ID']}/allocations"):
                path = f"/v1/client/allocation/{allocation['ID']}/signal"
                self.nomad.http.put(path, json={"Task": "bot", "Signal": "SIGKILL"})
            self.nomad.ask("DELETE", f"/v1/job/{job['ID']}", purge="true")
        for variable in self.nomad.ask("GET", "/v1/vars", prefix=f"nomad/jobs/{self.installation}-"):
            self.nomad.ask("DELETE", f"/v1/var/{variable['Path']}")
        self.nomad.forget_token(self.installation)
        self.nomad.http.close()


def nomad_engine() -> Nomad:
    """Return the engine that `make engines` starts; the test is skipped if it is not there."""
    address = engine_address("nomad")
    if address is None:
        pytest.skip("there is no Nomad: `make engines` builds and starts it")
    return Nomad(address, (engine_home("nomad") / "token").read_text().strip())


def has_driver(nomad: Nomad, driver: Driver) -> bool:
    """Say whether a node of Nomad runs tasks with a driver, and whether what our tests run with it is there."""
    nodes = nomad.ask("GET", "/v1/nodes")
    return any(node["Drivers"].get(driver, {}).get("Healthy") for node in nodes)


@asynccontextmanager
async def raw_exec_world(tmp_path: Path) -> AsyncIterator[NomadWorld]:  # noqa: ARG001 - all worlds are made alike
    """Make the world of bots that are plain processes."""
    async with _world("raw_exec") as world:
        yield world


@asynccontextmanager
async def docker_world(tmp_path: Path) -> AsyncIterator[NomadWorld]:  # noqa: ARG001 - all worlds are made alike
    """Make the world of bots in containers."""
    async with _world("docker") as world:
        yield world


@asynccontextmanager
async def _world(driver: Driver) -> AsyncIterator[NomadWorld]:
    nomad = nomad_engine()
    if not has_driver(nomad, driver):
        pytest.skip(f"no node of Nomad has the driver {driver}")
    world = NomadWorld(nomad, driver)
    try:
        yield world
    finally:
        await world.close()


def _is_bot(entry: Path, mark: bytes) -> bool:
    try:
        argument = (entry / "cmdline").read_bytes().split(b"\0")[0]
        is_python = os.path.basename(argument).startswith(b"python")  # noqa: PTH119 - bytes
        return is_python and mark in (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
