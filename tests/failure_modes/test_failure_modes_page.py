"""The page of failure modes names every entry of the catalogue, and only tests that exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

_TESTS = Path(__file__).parents[1]
_PAGE = _TESTS.parent / "docs" / "explanation" / "failure-modes.md"
_ENTRIES = {"V": 81, "D": 6, "A": 38, "G": 16}
_ROW = re.compile(r"^\| ([VDAG])(\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
_TEST = re.compile(r"`([a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")


def rows() -> list[tuple[str, int, str]]:
    return [(letter, int(number), here) for letter, number, _, here in _ROW.findall(_PAGE.read_text())]


@cache
def functions_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions)


@pytest.mark.parametrize(("letter", "count"), _ENTRIES.items())
def test_every_entry_is_there_once_and_in_order(letter: str, count: int) -> None:
    assert [number for each, number, _ in rows() if each == letter] == list(range(1, count + 1))


def test_every_test_that_is_named_exists() -> None:
    named = [found for _, _, here in rows() for found in _TEST.findall(here)]
    missing = [f"{path}::{name}" for path, name in named if name not in functions_of(_TESTS / path)]
    assert len(named) > 100
    assert not missing


def test_every_entry_has_a_test_or_a_reason() -> None:
    for letter, number, here in rows():
        said = re.sub(r"`[^`]+`|<br>", "", here).strip()
        assert _TEST.search(here) or len(said) > 20, f"{letter}{number}"


def test_every_test_that_carries_an_entrys_number_is_named_under_it() -> None:
    here_of = {f"{letter.lower()}{number:02}": here for letter, number, here in rows()}
    for path in sorted((_TESTS / "failure_modes").glob("test_*.py")):
        for name in functions_of(path):
            entry = re.match(r"test_([vdag]\d\d)_", name)
            if entry:
                assert name in here_of[entry[1]], f"{path.name}::{name} is not on the page"
