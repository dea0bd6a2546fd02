"""The generated pages say what the code says, and a stale one is named."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from tools.generate import PAGES, stale, write
from tools.generate.diagram import diagram
from tools.generate.lifecycle import lifecycle_page
from tools.generate.openapi import openapi_text
from tools.generate.settings import settings_page

from usher.domain.lifecycle import IN_MEETING, TABLE, WAITING, Effect, Event, Reason, Source, State

REPOSITORY = Path(__file__).parents[3]


def test_a_page_that_is_missing_or_says_something_else_is_stale(tmp_path: Path) -> None:
    pages = {"a.md": lambda: "a\n", "deep/b.md": lambda: "b\n"}
    assert stale(tmp_path, pages) == ["a.md", "deep/b.md"]
    assert write(tmp_path, pages) == ["a.md", "deep/b.md"]
    assert stale(tmp_path, pages) == []
    assert write(tmp_path, pages) == []
    (tmp_path / "a.md").write_text("an older a\n")
    assert stale(tmp_path, pages) == ["a.md"]


def test_the_command_names_what_is_stale_and_writes_it(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 our own interpreter on our own module
            [sys.executable, "-m", "tools.generate", *arguments, str(tmp_path)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )

    before = run("--check")
    assert before.returncode == 1, before.stderr
    assert [line.partition(":")[0] for line in before.stdout.splitlines()] == list(PAGES)
    assert not list(tmp_path.iterdir()), "--check writes nothing"
    assert run().returncode == 0
    after = run("--check")
    assert (after.returncode, after.stdout) == (0, "")


def test_the_lifecycle_page_has_every_word() -> None:
    page = lifecycle_page()
    for words in (State, Event, Source, Effect, Reason):
        for word in words:
            assert f"`{word}`" in page


def test_the_diagram_draws_the_table_and_nothing_else() -> None:
    boxes = {"on_the_way": WAITING, "in_the_meeting": IN_MEETING}
    drawn = set()
    for tail, events, head in re.findall(r'^ +(\w+) -- "([^"]+)" --> (\w+)$', diagram(), re.MULTILINE):
        tails = boxes.get(tail) or {None if tail == "born" else State(tail)}
        drawn |= {(state, Event(event), State(head)) for state in tails for event in events.split("<br/>")}
    assert drawn == {(row.from_state, row.event, row.to_state) for row in TABLE if row.from_state is not row.to_state}


def test_the_openapi_document_is_the_same_every_time_and_names_every_state() -> None:
    text = openapi_text()
    assert openapi_text() == text
    document = json.loads(text)
    assert document["openapi"].startswith("3.")
    assert set(document["components"]["schemas"]["State"]["enum"]) == set(State)


class _Inner(BaseModel):
    """How deep it goes."""

    depth_m: float = Field(default=1.5, gt=0, le=10, description="Depth in metres.")


class _Outer(BaseModel):
    """The outside.

    What nobody needs to know.
    """

    kind: Literal["round", "square"] = Field(default="round", description="Shape | form.")
    key: SecretStr | None = Field(default=SecretStr("do not print"), description="A key.")
    inner: _Inner = _Inner()


class _Sample(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SAMPLE_", env_nested_delimiter="__")

    name: str = Field(description="Whose it is.")
    loud: bool = Field(default=False, description="Whether it is loud.")
    outer: _Outer = _Outer()


def test_the_page_of_settings_walks_the_tree() -> None:
    page = settings_page(_Sample)
    assert "| `SAMPLE_NAME` | text | required | Whose it is. |" in page
    assert "| `SAMPLE_LOUD` | `true` or `false` | `false` | Whether it is loud. |" in page
    assert "## outer\n\nThe outside.\n\n|" in page
    assert "| `SAMPLE_OUTER__KIND` | `round` or `square` | `round` | Shape \\| form. |" in page
    assert "| `SAMPLE_OUTER__KEY` | secret text | - | A key. |" in page
    assert "| `SAMPLE_OUTER__INNER__DEPTH_M` | number, > 0, ≤ 10 | `1.5` | Depth in metres. |" in page
    assert "do not print" not in page


def test_every_setting_is_described() -> None:
    for line in settings_page().splitlines():
        assert not line.endswith("|  |"), line
