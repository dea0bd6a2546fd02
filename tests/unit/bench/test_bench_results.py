"""The file of results and the page made of it."""

import json
from pathlib import Path

import pytest
from bench.__main__ import choose
from bench.metric import FULL, QUICK, Effort, Measured, Metric, find_metrics
from bench.page import render
from bench.results import Entry, entry, load, merge, present_commit, save

_SHAPE = {"ratio", "ci95", "value", "unit", "target", "met", "cpu_s_per_op", "commit"}
_ROOT = Path(__file__).parents[3]


async def _nothing(_effort: Effort) -> Measured:
    return Measured(ratio=1.2345, ci95=(1.1, 1.3), value=1234.56, met=True, cpu_s_per_op=0.00098765)


_METRIC = Metric(title="something", floor="something bare", unit="ms p50", target="ratio <= 1.3", measure=_nothing)


def _entry(value: float = 1.0, *, met: bool = True) -> Entry:
    return entry(_METRIC, Measured(1.0, (0.9, 1.1), value, met, 0.001), "abc1234")


async def test_entry_has_the_agreed_shape_and_no_false_precision() -> None:
    made = entry(_METRIC, await _nothing(FULL), "abc1234")
    assert set(made) == _SHAPE
    assert made["ratio"] == 1.23
    assert made["ci95"] == [1.1, 1.3]
    assert made["value"] == 1235.0
    assert made["cpu_s_per_op"] == 0.000988


def test_entry_without_a_floor_has_no_ratio() -> None:
    made = entry(_METRIC, Measured(None, None, 3.0, met=False, cpu_s_per_op=None), "abc1234")
    assert (made["ratio"], made["ci95"], made["cpu_s_per_op"]) == (None, None, None)


def test_merging_keeps_earlier_metrics_replaces_the_same_and_sorts_by_number() -> None:
    merged = merge({"B10": _entry(1), "B2": _entry(2)}, {"B2": _entry(3), "B1": _entry(4)})
    assert [(name, one["value"]) for name, one in merged.items()] == [("B1", 4), ("B2", 3), ("B10", 1)]


def test_file_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    assert load(path) == {}
    entries = {"B1": _entry(1.5), "B2": _entry(2.5, met=False)}
    save(path, entries)
    assert load(path) == entries
    assert json.loads(path.read_text()) == entries
    save(path, {})
    assert load(path) == {}
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_page_shows_every_metric_and_what_was_missed() -> None:
    metrics = {"B1": _METRIC, "B2": _METRIC, "B3": _METRIC}
    page = render(metrics, {"B1": _entry(1.5), "B2": _entry(2.5, met=False)})
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in page.splitlines() if line.startswith("| B")}
    assert set(rows) == {"B1", "B2", "B3"}
    assert "1.5 ms p50 | 1 (0.9 to 1.1) | 1 ms | ratio <= 1.3 | yes | abc1234 |" in rows["B1"]
    assert "**no**" in rows["B2"]
    assert "not measured yet" in rows["B3"]
    assert len({line.count(" | ") for line in rows.values()}) == 1


def test_metrics_are_found_by_their_modules() -> None:
    metrics = find_metrics()
    assert {"B1", "B2", "B4"} <= set(metrics)
    assert list(metrics) == sorted(metrics, key=lambda name: int(name[1:]))


def test_metrics_are_chosen_by_name() -> None:
    metrics = {"B1": _METRIC, "B2": _METRIC, "B4": _METRIC}
    assert list(choose(metrics, "")) == ["B1", "B2", "B4"]
    assert list(choose(metrics, "b4, B1")) == ["B4", "B1"]
    with pytest.raises(ValueError, match=r"no metric B9.*B1, B2, B4"):
        choose(metrics, "B1,B9")


def test_quick_effort_is_less_but_never_nothing() -> None:
    assert QUICK.rounds < FULL.rounds
    assert 0 < QUICK.sized(1000) < FULL.sized(1000) == 1000
    assert QUICK.sized(1) >= 1


def test_present_commit_names_the_checkout() -> None:
    if not (_ROOT / ".git").exists():
        pytest.skip("this is no checkout, so there is no commit to name")
    commit, _, state = present_commit(_ROOT).partition("-")
    assert len(commit) >= 7
    assert int(commit, 16) >= 0
    assert state in {"", "dirty"}
