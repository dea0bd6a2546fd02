"""`bench/results.json`: what was measured last of each metric, and on which commit."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from bench.metric import Measured, Metric

_GIT_S = 30.0
_MEASURED_CODE = (
    "src",
    "bench",
    "pyproject.toml",
    "requirements",
    ":(exclude)bench/results.json",
    ":(exclude)bench/speech.json",
)


class Entry(TypedDict):
    """One metric of the file.

    `ratio` and `ci95` are null where there is no floor, `cpu_s_per_op` where an operation has no process of its own.
    """

    ratio: float | None
    ci95: list[float] | None
    value: float
    unit: str
    target: str
    met: bool
    cpu_s_per_op: float | None
    commit: str


def entry(metric: Metric, measured: Measured, commit: str) -> Entry:
    """Return a metric's entry, rounded to what the method can tell."""
    return Entry(
        ratio=_rounded(measured.ratio),
        ci95=None if measured.ci95 is None else [_significant(end) for end in measured.ci95],
        value=_significant(measured.value),
        unit=metric.unit,
        target=metric.target,
        met=measured.met,
        cpu_s_per_op=_rounded(measured.cpu_s_per_op),
        commit=commit,
    )


def load(path: Path) -> dict[str, Entry]:
    """Return the entries of the file; none if there is no file yet."""
    if not path.exists():
        return {}
    entries: dict[str, Entry] = json.loads(path.read_text(encoding="utf-8"))
    return entries


def merge(earlier: Mapping[str, Entry], new: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return all entries by number; a new one takes the place of an earlier one of the same metric."""
    merged = {**earlier, **new}
    return {name: merged[name] for name in sorted(merged, key=lambda name: (int(name[1:]), name))}


def save(path: Path, entries: Mapping[str, Entry]) -> None:
    """Write the file, a metric to a line, whole or not at all."""
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(one, ensure_ascii=False)}" for name, one in entries.items())
    new = path.with_suffix(".new")
    new.write_text(f"{{\n{lines}\n}}\n" if entries else "{}\n", encoding="utf-8")
    new.replace(path)


def present_commit(root: Path) -> str:
    """Return the short id of the commit that is checked out, with `-dirty` if what is measured differs from it."""
    commit = _git(root, "rev-parse", "--short", "HEAD")
    changed = _git(root, "status", "--porcelain", "--", *_MEASURED_CODE)
    return f"{commit}-dirty" if changed else commit


def _git(root: Path, *arguments: str) -> str:
    command = ("git", "-C", str(root), *arguments)
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_GIT_S)  # noqa: S603 - fixed words
    return done.stdout.strip()


def _rounded(number: float | None) -> float | None:
    return None if number is None else _significant(number)


def _significant(number: float) -> float:
    return float(f"{number:.3g}") if abs(number) < 1000 else float(round(number))
