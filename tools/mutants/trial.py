"""Trying one mutant: stage after stage until a test fails that passes without it."""

import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.mutants.mutant import Mutant
from tools.mutants.stages import STAGES, Stage, expected
from tools.mutants.workshop import Workshop, workshop

_PYTEST = ("-m", "pytest", "-x", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", "--hypothesis-seed=0")
_CONFIRM_S, _AGAIN = 300.0, 3
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+\.py(?:::\S.*?)?)(?: - .*)?$", re.MULTILINE)
_PASSED, _SOME_FAILED, _INTERRUPTED, _NO_TESTS = 0, 1, 2, 5
_MOST_DOUBTS = 5


class BrokenRunError(Exception):
    """The tests could not be run at all: this says nothing about the mutant."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant.

    Attributes:
        caught_by: The first test that fails with it again and again, and passes without it; None for a survivor.
        stage: The stage of that test, or the last one.
        seconds: How long it took to find out.
        notes: Tests that failed for another reason, and stages that took too long.
    """

    mutant: Mutant
    caught_by: str | None
    stage: str
    seconds: float
    notes: Sequence[str] = field(default=())


def first_failure(output: str) -> str | None:
    """Return the node id of the first test that pytest's short summary says has failed."""
    found = _FAILED.search(output)
    return found[1] if found else None


def try_mutant(repository: Path, mutant: Mutant, stages: Sequence[Stage] = STAGES) -> Verdict:
    """Plant a mutant in a fresh copy and look for it.

    Raises:
        NotPlantedError: The code has changed since the mutant was written.
        BrokenRunError: The tests cannot be run.
    """
    begun, notes = time.monotonic(), list[str]()
    stages = (expected(mutant.quick), *stages) if mutant.quick else stages
    with workshop(repository) as shop:
        for stage in stages:
            caught_by = _noticed(shop, mutant, stage, notes)
            if caught_by is not None:
                return Verdict(mutant, caught_by, stage.name, time.monotonic() - begun, notes)
    return Verdict(mutant, None, stages[-1].name, time.monotonic() - begun, notes)


def _noticed(shop: Workshop, mutant: Mutant, stage: Stage, notes: list[str]) -> str | None:
    """Return the first test of a stage that notices the mutant; those that fail for another reason are passed over."""
    passed_over: list[str] = []
    while len(passed_over) < _MOST_DOUBTS:
        with shop.planted(mutant):
            failed = _first_failing(shop, stage, passed_over, notes)
        if failed is None:
            return None
        doubt = _doubt(shop, mutant, failed)
        if doubt is None:
            return failed
        notes.append(f"{failed} {doubt}")
        passed_over.append(failed)
    return None


def _first_failing(shop: Workshop, stage: Stage, passed_over: Sequence[str], notes: list[str]) -> str | None:
    """Return the first test of a stage that fails, other than those that are passed over."""
    without = [f"--deselect={test}" for test in passed_over]
    try:
        done = shop.run([*_PYTEST, *stage.arguments, *without], timeout_s=stage.timeout_s)
    except subprocess.TimeoutExpired:
        notes.append(f"{stage.name} took longer than {stage.timeout_s:.0f} s")
        return None
    if done.returncode == _PASSED or (passed_over and done.returncode == _NO_TESTS):
        return None
    failed = first_failure(done.stdout)
    if done.returncode not in {_SOME_FAILED, _INTERRUPTED} or failed is None:
        raise BrokenRunError(f"{stage.name}: pytest exited with {done.returncode}:\n{done.stdout[-2000:]}")
    return failed


def _doubt(shop: Workshop, mutant: Mutant, test: str) -> str | None:
    """Say why a test that failed may not have noticed the mutant; None if it did: on a busy machine some fail so."""
    if not _passes(shop, test):
        return "fails without it as well"
    for _ in range(_AGAIN):
        with shop.planted(mutant):
            if not _passes(shop, test):
                return None
    return "failed with it once and not again"


def _passes(shop: Workshop, test: str) -> bool:
    try:
        return shop.run([*_PYTEST, test], timeout_s=_CONFIRM_S).returncode == _PASSED
    except subprocess.TimeoutExpired:
        return False
