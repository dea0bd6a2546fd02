"""Planted bugs: that each still fits the code, and that the runner tells caught from survived."""

import ast
import re
from pathlib import Path

import pytest
from tools.mutants.mutant import Mutant, NotPlantedError
from tools.mutants.report import line, mutants_page, share_caught, summary
from tools.mutants.stages import STAGES, Stage, expected
from tools.mutants.table import MUTANTS
from tools.mutants.trial import BrokenRunError, Verdict, first_failure, try_mutant
from tools.mutants.workshop import workshop

REPOSITORY = Path(__file__).parents[3]

pytestmark = pytest.mark.timeout(600)  # some tests run pytest several times over


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_fits_the_code_and_still_is_python(mutant: Mutant) -> None:
    planted = mutant.planted_in((REPOSITORY / mutant.source).read_text())
    ast.parse(planted)
    assert mutant.old != mutant.new
    assert "\n" not in mutant.old + mutant.new


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_tests_that_are_expected_to_notice_it_exist(mutant: Mutant) -> None:
    assert mutant.quick
    assert all((REPOSITORY / "tests" / path.partition("::")[0]).exists() for path in mutant.quick)


def test_there_are_enough_of_them_with_names_of_their_own() -> None:
    assert len(MUTANTS) >= 30
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_every_stage_names_what_exists() -> None:
    for stage in STAGES:
        for argument in stage.arguments:
            assert not argument.startswith("tests/") or (REPOSITORY / argument).exists(), argument
    assert expected(("unit/app",)).arguments == ("tests/unit/app",)


@pytest.mark.parametrize("text", ["", "two: x = 1, x = 1"])
def test_a_text_that_is_missing_or_there_twice_is_an_error(text: str) -> None:
    with pytest.raises(NotPlantedError, match=r"a name.*times"):
        Mutant("a name", "a.py", "x = 1", "x = 2", ()).planted_in(text)


@pytest.mark.parametrize(
    ("output", "test"),
    [
        ("..F\nFAILED tests/a.py::test_b - assert 1 == 2\n1 failed", "tests/a.py::test_b"),
        ("FAILED tests/a.py::test_b[x y-1] - Boom - bang\n", "tests/a.py::test_b[x y-1]"),
        ("FAILED tests/a.py::test_b\n", "tests/a.py::test_b"),
        ("ERROR tests/a.py - ImportError: no\n", "tests/a.py"),
        ("ERROR tests/a.py::test_b - no fixture\n", "tests/a.py::test_b"),
        ("1 passed", None),
    ],
)
def test_the_first_failure_is_read_from_the_summary(output: str, test: str | None) -> None:
    assert first_failure(output) == test


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one function, one test of it, and one test that fails now and then."""
    files = {
        "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["src"]\n',
        "src/usher/__init__.py": "",
        "src/usher/sums.py": "def add(a, b):\n    return a + b\n\n\ndef name():\n    return 'sum'\n",
        "tests/test_sums.py": "from usher.sums import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
        "tests/test_flaky.py": "def test_flaky():\n    raise AssertionError\n",
        "tests/test_child.py": (
            "import subprocess, sys\n\n\ndef test_child():\n"
            "    code = 'from usher.sums import name; assert name() == \"sum\"'\n"
            "    assert not subprocess.run([sys.executable, '-c', code], env={}).returncode\n"
        ),
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


ADD = Mutant("adds wrongly", "sums.py", "a + b", "a - b", ())
NAME = Mutant("says another name", "sums.py", "'sum'", "'difference'", ())
SUMS, FLAKY, CHILD = (Stage(name, (f"tests/test_{name}.py",), 120.0) for name in ("sums", "flaky", "child"))


def test_a_mutant_is_caught_by_the_first_test_that_fails_only_with_it(repository: Path) -> None:
    verdict = try_mutant(repository, ADD, (FLAKY, SUMS))
    assert (verdict.caught_by, verdict.stage) == ("tests/test_sums.py::test_add", "sums")
    assert list(verdict.notes) == ["tests/test_flaky.py::test_flaky fails without it as well"]
    assert "a + b" in (repository / "src/usher/sums.py").read_text(), "the original is left alone"


def test_a_test_that_failed_by_chance_has_not_noticed_it(repository: Path) -> None:
    once = (
        "import pathlib\n\nran = pathlib.Path('ran')\n\n\n"
        "def test_once():\n    was = ran.exists()\n    ran.touch()\n    assert was\n"
    )
    (repository / "tests/test_once.py").write_text(once)
    verdict = try_mutant(repository, ADD, (Stage("once", ("tests/test_once.py",), 120.0),))
    assert (verdict.caught_by, list(verdict.notes)) == (
        None,
        ["tests/test_once.py::test_once failed with it once and not again"],
    )


def test_a_mutant_that_no_test_notices_survives(repository: Path) -> None:
    verdict = try_mutant(repository, NAME, (SUMS,))
    assert verdict.caught_by is None
    assert "SURVIVED" in line(verdict)


def test_processes_that_tests_start_see_the_copy_too(repository: Path) -> None:
    """They get an environment of their own: the copy has to be in the interpreter."""
    assert try_mutant(repository, NAME, (CHILD,)).caught_by == "tests/test_child.py::test_child"


def test_tests_that_cannot_be_run_say_nothing_about_a_mutant(repository: Path) -> None:
    with pytest.raises(BrokenRunError):
        try_mutant(repository, ADD, (Stage("none", ("tests/test_none.py",), 120.0),))


def test_a_stage_that_takes_too_long_has_found_nothing(repository: Path) -> None:
    (repository / "tests/test_slow.py").write_text("import time\n\n\ndef test_slow():\n    time.sleep(600)\n")
    verdict = try_mutant(repository, ADD, (Stage("slow", ("tests/test_slow.py",), 3.0),))
    assert (verdict.caught_by, list(verdict.notes)) == (None, ["slow took longer than 3 s"])


def test_the_copy_has_what_tests_need_and_goes_in_the_end() -> None:
    with workshop(REPOSITORY) as shop:
        where = "import usher, pytest; print(usher.__file__, pytest.__file__)"
        usher, pytest_file = shop.run(["-c", where], timeout_s=120.0).stdout.split()
        assert Path(usher).is_relative_to(shop.root)
        assert not Path(pytest_file).is_relative_to(shop.root)
    assert not shop.root.exists()


def test_the_page_counts_and_names_survivors() -> None:
    verdicts = [Verdict(ADD, "tests/test_sums.py::test_add", "rules", 1.0), Verdict(NAME, None, "chaos", 2.0)]
    assert share_caught(verdicts) == 0.5
    assert summary(verdicts).startswith("1 of 2 ")
    text = mutants_page(verdicts)
    assert re.search(r"\| says another name \|.*\*\*nothing\*\* \|", text)
    assert "`test_sums.py::test_add`" in text
