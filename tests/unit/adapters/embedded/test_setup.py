"""Finding and installing the browser and the model, with sources that answer, lie, or are away."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from usher.adapters.embedded import model as model_module
from usher.adapters.embedded import model_install
from usher.adapters.embedded.chromium import find_chromium
from usher.adapters.embedded.chromium_install import install_chromium
from usher.adapters.embedded.commands import run_command
from usher.adapters.embedded.model import MODEL_NAME, REPOSITORY, REVISION, ModelFile, find_missing, find_model
from usher.adapters.embedded.model_install import assemble, install_model
from usher.domain.errors import Invalid, Unavailable

CONTENTS = {
    "config.json": b"{}",
    "model.bin": b"weights" * 3,
    "tokenizer.json": b"[]",
    "vocabulary.txt": b"the\n",
}
FILES = tuple(ModelFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENTS.items())
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pins a model of a few bytes instead of the real one."""
    monkeypatch.setattr(model_module, "MODEL_FILES", FILES)
    monkeypatch.setattr(model_install, "MODEL_FILES", FILES)


@contextmanager
def hub(root: Path) -> Iterator[str]:
    handler = partial(QuietHandler, directory=str(root))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(30)
        server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass


def fill(directory: Path, contents: dict[str, bytes]) -> Path:
    directory.mkdir(parents=True)
    for name, data in contents.items():
        (directory / name).write_bytes(data)
    return directory


def hub_folder(root: Path) -> Path:
    return root / REPOSITORY / "resolve" / REVISION


@pytest.mark.usefixtures("small_model")
async def test_a_model_from_the_hub_is_installed_once_and_then_needs_no_hub(tmp_path: Path) -> None:
    fill(hub_folder(tmp_path / "hub"), CONTENTS)
    steps: list[str] = []
    with hub(tmp_path / "hub") as url:
        first = await install_model(tmp_path / "cache", steps.append, hub_url=url)
    again = await install_model(tmp_path / "cache", steps.append, hub_url=NOWHERE)
    assert first == again == find_model(None, tmp_path / "cache") == tmp_path / "cache" / MODEL_NAME
    assert {path.name: path.read_bytes() for path in first.iterdir()} == CONTENTS
    assert [step.split()[0] for step in steps] == ["downloading", "model", "model"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [MODEL_NAME]


@pytest.mark.usefixtures("small_model")
@pytest.mark.parametrize("lie", [b"weightz" * 3, b"weights" * 4, b""])
async def test_a_file_that_is_not_the_pinned_one_never_appears_under_the_models_name(
    tmp_path: Path, lie: bytes
) -> None:
    fill(hub_folder(tmp_path / "hub"), CONTENTS | {"model.bin": lie})
    with hub(tmp_path / "hub") as url, pytest.raises(Unavailable, match=r"model\.bin"):
        await install_model(tmp_path / "cache", lambda _: None, hub_url=url)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.usefixtures("small_model")
async def test_without_hub_and_packages_the_error_says_what_was_tried_and_what_to_do(tmp_path: Path) -> None:
    lock = tmp_path / "model.lock"
    lock.write_text(f"{tmp_path}/no-such-package.whl --hash=sha256:{'0' * 64}\n")
    steps: list[str] = []
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1.*packages:.*USHER_TRANSCRIPTION__MODEL"):
        await install_model(tmp_path / "cache", steps.append, lock=lock, hub_url=NOWHERE)
    assert len(steps) == 2


@pytest.mark.usefixtures("small_model")
async def test_a_broken_installation_is_replaced(tmp_path: Path) -> None:
    fill(tmp_path / "cache" / MODEL_NAME, CONTENTS | {"model.bin": b"half"})
    with pytest.raises(Unavailable, match="make setup"):
        find_model(None, tmp_path / "cache")
    fill(hub_folder(tmp_path / "hub"), CONTENTS)
    with hub(tmp_path / "hub") as url:
        found = await install_model(tmp_path / "cache", lambda _: None, hub_url=url)
    assert (found / "model.bin").read_bytes() == CONTENTS["model.bin"]


async def test_a_configured_model_is_used_and_nothing_is_installed(tmp_path: Path) -> None:
    own = fill(tmp_path / "own", dict.fromkeys(("model.bin", "config.json", "tokenizer.json"), b""))
    (own / "vocabulary.json").touch()
    assert await install_model(tmp_path / "cache", lambda _: None, configured=own, hub_url=NOWHERE) == own
    assert not (tmp_path / "cache").exists()


def test_a_configured_model_says_all_that_it_lacks(tmp_path: Path) -> None:
    own = fill(tmp_path / "own", {"model.bin": b"", "vocabulary.txt": b""})
    with pytest.raises(Invalid, match=r"config\.json, tokenizer\.json missing"):
        find_model(own, tmp_path)
    assert find_missing(tmp_path / "nowhere") == ["model.bin", "config.json", "tokenizer.json", "vocabulary.*"]


def test_parts_are_joined_by_number_across_packages(tmp_path: Path) -> None:
    data = bytes(range(11))
    for index, byte in enumerate(data, start=1):
        fill(tmp_path / "packages" / f"part_{index}" / "data", {f"model.bin.part{index}": bytes([byte])})
    (tmp_path / "whole").mkdir()
    assemble(
        tmp_path / "packages", tmp_path / "whole", [ModelFile("model.bin", len(data), hashlib.sha256(data).hexdigest())]
    )
    assert (tmp_path / "whole" / "model.bin").read_bytes() == data


def test_the_first_browser_found_tells_its_version() -> None:
    found = find_chromium()
    assert found.path.is_absolute()
    assert "Chrom" in found.version
    assert found.source in {"on PATH", "Playwright's"}


def test_a_configured_browser_is_used_even_with_another_on_path(tmp_path: Path) -> None:
    own = script(tmp_path / "own", "echo Chromium 999.0.1")
    found = find_chromium(own)
    assert (found.path, found.version, found.source) == (own, "Chromium 999.0.1", "configured")


@pytest.mark.parametrize("body", ["exit 1", "echo Firefox 140.0", "echo Chromium 1.2; exit 3"])
async def test_a_configured_program_that_is_no_browser_is_refused(tmp_path: Path, body: str) -> None:
    with pytest.raises(Invalid, match="USHER_BOTS__CHROMIUM"):
        await install_chromium(lambda _: None, script(tmp_path / "own", body))


def test_a_configured_path_with_nothing_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="not a browser"):
        find_chromium(tmp_path / "nothing")


async def test_installing_a_browser_where_there_is_one_only_says_so() -> None:
    steps: list[str] = []
    found = await install_chromium(steps.append)
    assert len(steps) == 1
    assert found.version in steps[0]


async def test_a_command_that_hangs_is_killed_when_its_time_is_up() -> None:
    outcome = await run_command("sleep", "600", timeout_s=0.2)
    assert (outcome.ok, outcome.said) == (False, "not done within 0 s")


async def test_a_failed_command_keeps_its_last_words() -> None:
    outcome = await run_command("sh", "-c", "seq 10; echo broken >&2; exit 4", timeout_s=30)
    assert not outcome.ok
    assert outcome.said == "8 | 9 | 10 | broken"


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path
