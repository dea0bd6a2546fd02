"""The demo with its bot on a real engine: in a container of the real image, and as a job."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.support.engines import engine_address, engine_home
from tests.support.whole_system import usher

ROOT = Path(__file__).parents[2]
IMAGE = "usher-bot:demo"
BUILD_S = 1200

pytestmark = [pytest.mark.long, pytest.mark.timeout(BUILD_S + 400)]


def engine(name: str) -> str:
    address = engine_address(name)
    if address is None:
        pytest.skip(f"no engine {name} (make engines)")
    return address


def build_image(address: str) -> None:
    """Build the image of the bot as a user does; what has not changed is not built again."""
    command = (
        "docker",
        "build",
        "--quiet",
        "--network",
        "host",
        "-f",
        "deploy/docker/bot.Dockerfile",
        "-t",
        IMAGE,
        ".",
    )
    environment = {**os.environ, "DOCKER_HOST": address, "DOCKER_BUILDKIT": "0"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=BUILD_S)  # noqa: S603 - our own Dockerfile


def on_docker() -> dict[str, str]:
    address = engine("docker")
    build_image(address)
    hosts = json.dumps({"local": address})
    return {
        "USHER_LAUNCHER": "docker",
        "USHER_LAUNCHER__DOCKER__HOSTS": hosts,
        "USHER_LAUNCHER__DOCKER__IMAGE": IMAGE,
        "USHER_LAUNCHER__DOCKER__PULL": "never",
    }


def on_nomad() -> dict[str, str]:
    return {
        "USHER_LAUNCHER": "nomad",
        "USHER_LAUNCHER__NOMAD__URL": engine("nomad"),
        "USHER_LAUNCHER__NOMAD__TOKEN": (engine_home("nomad") / "token").read_text().strip(),
        "USHER_LAUNCHER__NOMAD__DRIVER": "raw_exec",
        "USHER_LAUNCHER__NOMAD__CPU_MHZ": "300",
    }


ENGINES = {"docker": on_docker, "nomad": on_nomad}


@pytest.mark.parametrize("name", ENGINES)
async def test_the_demo_succeeds_on_an_engine(name: str, speech_model: Path, tmp_path: Path) -> None:
    variables = ENGINES[name]() | {"USHER_TRANSCRIPTION__MODEL": str(speech_model)}
    async with usher("demo", data_dir=tmp_path, variables=variables) as demo:
        code = await demo.ended(timeout_s=300)
        assert code == 0, demo.output
        assert "The demo succeeded" in demo.output
