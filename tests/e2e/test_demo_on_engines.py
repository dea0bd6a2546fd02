"""The demo with its bot on a real engine: in a container of the real image, and as a job."""

import json
import re
from pathlib import Path

import pytest
from tests.support.engines import engine_home, needs_engine
from tests.support.usher_images import BUILD_S, build_images
from tests.support.whole_system import usher
from tools.deploy.meeting import MOST_WORD_ERRORS

_PLAY_S = 300

pytestmark = pytest.mark.timeout(BUILD_S + _PLAY_S + 60)


def on_docker() -> dict[str, str]:
    address = build_images("bot")
    hosts = json.dumps({"local": address})
    return {
        "USHER_LAUNCHER": "docker",
        "USHER_LAUNCHER__DOCKER__HOSTS": hosts,
        "USHER_LAUNCHER__DOCKER__IMAGE": "usher-bot:latest",
        "USHER_LAUNCHER__DOCKER__PULL": "never",
    }


def on_nomad() -> dict[str, str]:
    return {
        "USHER_LAUNCHER": "nomad",
        "USHER_LAUNCHER__NOMAD__URL": needs_engine("nomad"),
        "USHER_LAUNCHER__NOMAD__TOKEN": (engine_home("nomad") / "token").read_text().strip(),
        "USHER_LAUNCHER__NOMAD__DRIVER": "raw_exec",
        "USHER_LAUNCHER__NOMAD__CPU_MHZ": "300",
    }


ENGINES = {"docker": on_docker, "nomad": on_nomad}


@pytest.mark.parametrize("name", ENGINES)
async def test_the_demo_succeeds_on_an_engine(name: str, speech_model: Path, tmp_path: Path) -> None:
    variables = ENGINES[name]() | {"USHER_TRANSCRIPTION__MODEL": str(speech_model)}
    async with usher("demo", data_dir=tmp_path, variables=variables) as demo:
        await demo.ended(timeout_s=_PLAY_S)
    assert "the bot is asked to leave" in demo.output, demo.output
    assert "meeting is completed" in demo.output, demo.output
    assert "states not reached" not in demo.output, demo.output
    # Not its exit code: on a busy machine the time of a segment may slip into another's line. What is said under a
    # wrong name counts twice in the word error rate, a line of it for 0.19 or more.
    found = re.search(r"word error rate: ([0-9.]+)", demo.output)
    assert found is not None, demo.output
    assert float(found[1]) <= MOST_WORD_ERRORS, demo.output
    assert "speakers: Alice, Bob;" in demo.output, demo.output
