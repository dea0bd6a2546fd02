"""Every rule of the house finds a planted violation, and finds nothing in a clean tree."""

import subprocess
import sys
from pathlib import Path

import pytest
from tools.house import RULES, check, states
from tools.house.sql import writes_status

from usher.domain.lifecycle import State

REPOSITORY = Path(__file__).parents[3]
WRITER = "UPDATE meetings SET version = $2, status = $3 WHERE id = $1"
PACKAGES = ("", "/app", "/bot", "/domain", "/migrations", "/room")
CLEAN = {
    **{f"src/usher{package}/__init__.py": "" for package in PACKAGES},
    "src/usher/store.py": f'"""The store."""\n\nCHANGE = """{WRITER}"""\n',
    "src/usher/settings.py": '"""Settings."""\n\nimport os\n\nHOME = os.environ.get("HOME")\n',
    "src/usher/domain/lifecycle.py": '"""States."""\n\n\ndef f(status: str) -> bool:\n    return status == "active"\n',
    "src/usher/room/page.js": "const state = 'active';\n",
    "tests/test_store.py": '"""Tests may compare."""\n\n\ndef test(status):\n    assert status == "active"\n',
    "README.md": "# A project\n\nSee [the index](https://example.com/simple.html).\n",
}
LONG_FUNCTION = "def long() -> None:\n" + "    print()\n" * 60
PLANTED = [
    ("syntax", "src/usher/broken.py", "def (:\n", 1),
    ("file-length", "src/usher/long.py", "x = 1\n" * 501, 501),
    ("file-length", "src/usher/room/long.css", "a {}\n" * 501, 501),
    ("function-length", "tools/long.py", LONG_FUNCTION, 1),
    ("function-length", "tests/test_long.py", "class A:\n    async " + LONG_FUNCTION.replace("    ", " " * 8), 2),
    ("module-name", "src/usher/utils.py", "", 1),
    ("module-name", "src/usher/app/helpers/__init__.py", "", 1),
    ("package", "src/usher/flat/module.py", "", 1),
    ("status-writer", "src/usher/second.py", f"x = 1\nSQL = '{WRITER}'\n", 2),
    ("status-writer", "src/usher/third.sql", "update Meetings m set (version, status) = (1, 'active')\n", 1),
    ("status-writer", "src/usher/update.py", 'def f(c):\n    return f"UPDATE meetings SET {c} = 1"\n', 2),
    ("status-writer", "src/usher/migrations/r2.py", f"SQL = '{WRITER}'\n", 1),
    ("state-comparison", "src/usher/app/a.py", 'def f(m):\n    return m.status == "active"\n', 2),
    ("state-comparison", "src/usher/app/b.py", 'def f(state):\n    return state in ("error", "failed")\n', 2),
    (
        "state-comparison",
        "src/usher/app/c.py",
        "from usher.domain.lifecycle import State as S\n\n\ndef f(x):\n    return x is not S.ACTIVE\n",
        5,
    ),
    (
        "state-comparison",
        "src/usher/app/d.py",
        "from usher.domain import lifecycle\n\n\ndef f(x):\n    return x == lifecycle.State.ACTIVE.value\n",
        5,
    ),
    (
        "state-comparison",
        "src/usher/bot/e.py",
        'def f(x):\n    match x.status:\n        case "joining" | "starting":\n            return 1\n',
        3,
    ),
    ("environment", "src/usher/bot/a.py", 'import os\n\nX = os.environ["X"]\n', 3),
    ("environment", "src/usher/bot/b.py", 'import os as system\n\nX = system.getenv("X")\n', 3),
    ("environment", "src/usher/bot/c.py", "from os import environ\n", 1),
    ("mock", "tests/test_a.py", "import unittest.mock\n", 1),
    ("mock", "tests/test_b.py", "from unittest import mock\n", 1),
    ("mock", "tests/test_c.py", "from unittest.mock import patch\n", 1),
    ("mock", "tests/test_d.py", "def test(mocker):\n    pass\n", 1),
    ("pragma", "src/usher/a.py", "import x  # type: ignore\n", 1),
    ("pragma", "src/usher/b.py", "import x  # type: ignore[import-untyped]\n", 1),
    ("pragma", "tests/test_e.py", "import x  # noqa: F401\n", 1),
    ("pragma", "tests/test_f.py", "import x  # noqa because I like it\n", 1),
    ("unfinished", "src/usher/c.py", "x = 1\n# TODO: more\n", 2),
    ("unfinished", "src/usher/room/d.js", "// FIXME\n", 1),
    ("unfinished", "src/usher/d.py", "def f():\n    raise NotImplementedError\n", 2),
    ("place", "docs/how.md", "Open /wo" + "rk/project/file.\n", 1),
    ("place", "tests/test_g.py", 'X = "/ho' + 'me/ann/x"\n', 1),
    ("place", "requirements/a.lock", "a\n--index" + "-url https://example.com\n", 2),
    ("place", "deploy/Dockerfile", "RUN pip install --pre https://mirror.example.com/pypi/si" + "mple\n", 1),
]
HARMLESS = [
    ("src/usher/app/a.py", 'def f(kind, level):\n    return kind == "error" or level in ("error", "failed")\n'),
    ("src/usher/app/b.py", 'SQL = "UPDATE meetings SET data = data || $2 WHERE status = $1"\n'),
    ("src/usher/app/c.py", "import x  # type: ignore[import-untyped]  # ships no types\n"),
    ("src/usher/app/d.py", "import x  # noqa: F401 registers the codecs\n"),
    ("src/usher/app/e.py", "class E:\n    environ = 1\n\n\ndef f(e: E) -> int:\n    return e.environ\n"),
    ("Makefile", "lock:\n\tuv pip compile --no-emit-index" + "-url pyproject.toml\n"),
    ("deploy/Dockerfile", "WORKDIR /home/usher/app\n"),
    (".venv/lib/utils.py", "import unittest.mock\n"),
]


def plant(root: Path, **more: str) -> Path:
    for name, text in {**CLEAN, **more}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_clean_tree_is_in_order(tmp_path: Path) -> None:
    assert check(plant(tmp_path)) == []


@pytest.mark.parametrize(("rule", "path", "text", "line"), PLANTED, ids=lambda value: str(value)[:40])
def test_a_planted_violation_is_found(tmp_path: Path, rule: str, path: str, text: str, line: int) -> None:
    found = check(plant(tmp_path, **{path: text}))
    assert len(found) == 1, found
    place, _, what_to_do = found[0].partition(": ")
    named = path if rule != "package" else str(Path(path).parent)
    if rule == "status-writer" and "migrations" not in path:  # of two writers, the second in the order of paths
        named, line = max((path, line), ("src/usher/store.py", 3))
    assert place == f"{named}:{line}"
    assert what_to_do.startswith(f"{rule}: ")


@pytest.mark.parametrize(("path", "text"), HARMLESS)
def test_what_only_looks_like_a_violation_is_not_found(tmp_path: Path, path: str, text: str) -> None:
    assert check(plant(tmp_path, **{path: text})) == []


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, *_ in PLANTED} == set(RULES)


def test_a_tree_without_the_one_writer_is_not_in_order(tmp_path: Path) -> None:
    (line,) = check(plant(tmp_path, **{"src/usher/store.py": ""}))
    assert "status-writer" in line


def test_the_states_are_those_of_the_lifecycle() -> None:
    assert {state.value for state in State} == states.STATE_VALUES


@pytest.mark.parametrize(
    ("sql", "writes"),
    [
        (WRITER, True),
        ("WITH moved AS (UPDATE public.meetings AS m SET a = b IS DISTINCT FROM c, status = $1) SELECT 1", True),
        ('UPDATE ONLY "meetings" SET n = (SELECT 1 FROM x WHERE y), "status" = $1', True),
        ("INSERT INTO meetings (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET status = excluded.status", True),
        ("UPDATE meetings m SET <assignments> WHERE id = 1", True),
        ("UPDATE meetings SET n = coalesce(n, 1), (a, <expression>) = (1, 2)", True),
        ("UPDATE meetings SET n = coalesce(n, 1), m.data = data || $1 RETURNING status", False),
        ("UPDATE meetings SET n = (SELECT count(*) FROM x WHERE status = 'a') WHERE id = 1", False),
        ("UPDATE meetings SET n = 1 FROM users u WHERE status = 'a'", False),
        ("UPDATE meetings SET last_status = 1", False),
        ("UPDATE meetings SET n = 1; UPDATE users SET status = 2", False),
        ("UPDATE meeting_events SET status = 1", False),
        ("SELECT status FROM meetings -- UPDATE meetings SET status = 1", False),
    ],
)
def test_a_write_of_the_status_is_told_from_what_looks_like_it(sql: str, writes: bool) -> None:
    assert writes_status(sql) is writes


def test_the_command_prints_the_violations_and_fails(tmp_path: Path) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 our own interpreter on our own module
            [sys.executable, "-m", "tools.house", str(tmp_path)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    plant(tmp_path)
    assert run().returncode == 0
    plant(tmp_path, **{"src/usher/utils.py": ""})
    failed = run()
    assert failed.returncode == 1
    assert failed.stdout.startswith("src/usher/utils.py:1: module-name: ")
