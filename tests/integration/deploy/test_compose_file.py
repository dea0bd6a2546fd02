"""`deploy/compose.yaml`: Compose understands it, and it confines what it runs."""

import hashlib
import json
import os
import socket
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.engines import engine_home

ROOT = Path(__file__).parents[3]
SECRETS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "USHER_SECRET", "USHER_ADMIN_TOKEN")


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Return the file of variables that `make-env.sh` writes for an engine whose socket is there."""
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(path))
        made = subprocess.run(  # noqa: S603 - our own script
            ("/bin/sh", ROOT / "deploy" / "docker" / "make-env.sh", tmp_path / "env"),
            env={**os.environ, "USHER_DOCKER_SOCKET": str(path)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert made.returncode == 0, made.stderr
    return tmp_path / "env"


def variables(file: Path) -> dict[str, str]:
    lines = (line for line in file.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def compose(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the Compose that `sh tools/engines/go_tool.sh compose` built."""
    module = ROOT / "tools" / "engines" / "compose"
    digest = hashlib.sha256((module / "go.mod").read_bytes() + (module / "go.sum").read_bytes()).hexdigest()[:16]
    binary = engine_home("compose") / f"compose-{digest}"
    if not binary.exists():
        pytest.skip("Compose is not built: sh tools/engines/go_tool.sh compose")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("USHER_")}
    command = (binary, "--file", ROOT / "deploy" / "compose.yaml", *arguments)
    return subprocess.run(command, env=clean, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - a tool of the tests


def services(environment: Path) -> dict[str, dict[str, Any]]:
    said = compose("--env-file", environment, "config", "--format", "json")
    assert said.returncode == 0, said.stderr
    found: dict[str, dict[str, Any]] = json.loads(said.stdout)["services"]
    return found


def test_fresh_secrets_are_long_different_and_private(environment: Path, tmp_path: Path) -> None:
    made = variables(environment)
    secrets = [made[name] for name in SECRETS]
    assert all(len(secret) == 48 and secret.isalnum() for secret in secrets)
    assert len(set(secrets)) == len(secrets)
    assert stat.S_IMODE(environment.stat().st_mode) == 0o600
    assert made["USHER_DOCKER_GID"] == str((tmp_path / "docker.sock").stat().st_gid)


def test_without_secrets_nothing_is_started() -> None:
    refused = compose("--env-file", "/dev/null", "config", "--quiet")
    assert refused.returncode != 0
    assert "make-env.sh" in refused.stderr


def test_every_service_is_confined(environment: Path) -> None:
    for name, service in services(environment).items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert "privileged" not in service, name


def test_only_the_manager_has_the_engine_and_only_the_api_is_published(environment: Path) -> None:
    found = services(environment)
    has_engine = [n for n, s in found.items() if any("docker.sock" in v["target"] for v in s.get("volumes", ()))]
    assert has_engine == ["manager"]
    published = {name: service["ports"] for name, service in found.items() if service.get("ports")}
    assert set(published) == {"manager"}
    (port,) = published["manager"]
    assert (port["host_ip"], port["target"]) == ("127.0.0.1", 8056)


def test_the_database_and_the_api_are_not_on_the_bots_network(environment: Path) -> None:
    found = services(environment)
    on_it = {name for name, service in found.items() if "bots" in service["networks"]}
    assert on_it == {"manager", "redis", "transcription"}
    manager = found["manager"]
    bots_address = manager["networks"]["bots"]["ipv4_address"]
    assert manager["environment"]["USHER_BOTS__HOST"] == bots_address
    assert manager["environment"]["USHER_API__HOST"] in manager["networks"]["back"]["aliases"]


def test_no_secret_is_in_a_command(environment: Path) -> None:
    made = variables(environment)
    for name, service in services(environment).items():
        spoken = json.dumps([service.get("command"), service.get("entrypoint"), service.get("healthcheck")])
        assert not any(made[secret] in spoken for secret in SECRETS), name
