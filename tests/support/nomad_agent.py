"""A Nomad of a test's own, to be killed: started as `make engines` starts the shared one, from the same binary."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from tests.support.engines import engine_home

_SCRIPT = Path(__file__).parents[2] / "tools" / "engines" / "nomad.sh"
_START_S = 60.0
_STOP_S = 30.0

_QUICK = """
server {
  heartbeat_grace = "1s"
  min_heartbeat_ttl = "1s"
  max_heartbeats_per_second = 1000
}
"""

_NODE = """
data_dir  = "{directory}"
bind_addr = "127.0.0.1"
name      = "second"
disable_update_check = true
acl {{
  enabled = true
}}
ports {{
  http = {http}
  rpc  = {rpc}
  serf = {serf}
}}
advertise {{
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
  serf = "127.0.0.1"
}}
client {{
  enabled           = true
  network_interface = "lo"
  servers           = ["127.0.0.1:{server}"]
  options = {{
    "driver.allowlist" = "raw_exec"
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean"
  }}
}}
plugin "raw_exec" {{
  config {{
    enabled = true
  }}
}}
"""


class OwnNomad:
    """One server with its client, and perhaps a second node.

    Args:
        directory: Where all of it is kept.
    """

    def __init__(self, directory: Path) -> None:
        self._engines = directory
        self.home = directory / "nomad"
        self._second: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        return (self.home / "address").read_text().strip()

    @property
    def token(self) -> str:
        return (self.home / "token").read_text().strip()

    async def start(self) -> None:
        """Start it, or start it again after it was killed."""
        (binary,) = _binaries()
        self.home.mkdir(exist_ok=True)
        (self.home / binary.name).unlink(missing_ok=True)
        (self.home / binary.name).symlink_to(binary)
        (self.home / "quick.hcl").write_text(_QUICK)
        await self._run("start")

    def kill(self) -> None:
        """Kill the agent with SIGKILL; what it runs goes on."""
        os.kill(int((self.home / "agent.pid").read_text()), signal.SIGKILL)

    async def stop(self) -> None:
        """Stop all of it, and leave no mount behind."""
        await self._run("stop")
        if self._second is not None and self._second.returncode is None:
            self._second.terminate()
            await asyncio.wait_for(self._second.wait(), _STOP_S)
        lines = await asyncio.to_thread(Path("/proc/mounts").read_text)
        mounts = [line.split()[1] for line in lines.splitlines()]
        for mount in reversed([one for one in mounts if one.startswith(f"{self._engines}/")]):
            unmounting = await asyncio.create_subprocess_exec("umount", mount)
            await asyncio.wait_for(unmounting.wait(), _STOP_S)

    async def start_second(self) -> None:
        """Start a second node, in whose place the first takes no more work."""
        directory = self._engines / "second"
        directory.mkdir(exist_ok=True)
        ports = [int(port) for port in (self.home / "ports").read_text().split()]
        http, rpc, serf = (port + 1 for port in ports)
        configuration = directory / "agent.hcl"
        configuration.write_text(
            _NODE.format(directory=directory / "data", http=http, rpc=rpc, serf=serf, server=ports[1])
        )
        with (directory / "agent.log").open("ab") as log:
            self._second = await asyncio.create_subprocess_exec(
                _binaries()[0], "agent", "-config", configuration, stdout=log, stderr=log, start_new_session=True
            )

    async def kill_second(self) -> None:
        """Kill the second node's agent with SIGKILL; what it runs goes on."""
        if self._second is not None and self._second.returncode is None:
            self._second.kill()
            await self._second.wait()

    async def _run(self, word: str) -> None:
        environment = {
            **os.environ,
            "USHER_ENGINES_DIR": str(self._engines),
            "USHER_NOMAD_RESUME": "1",
            "USHER_NOMAD_EXTRA": str(self.home / "quick.hcl"),
            "USHER_NOMAD_DOCKER": str(engine_home("docker") / "docker.sock"),
        }
        script = await asyncio.create_subprocess_exec(
            "sh", _SCRIPT, word, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await asyncio.wait_for(script.communicate(), _START_S)
        assert script.returncode == 0, said.decode()


def _binaries() -> list[Path]:
    found = sorted(engine_home("nomad").glob("nomad-*"), key=lambda one: one.stat().st_mtime)[-1:]
    if not found or os.geteuid():
        pytest.skip("there is no Nomad that could be started: `make engines` builds one, and it has to be root")
    return found
