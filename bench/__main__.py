"""`python -m bench [--only B1,B2] [--quick] [--profile DIR]`: measure, and write down what came of it."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import uvloop

from bench.metric import FULL, QUICK, Effort, Measured, Metric, find_metrics
from bench.page import render
from bench.results import Entry, entry, load, merge, present_commit, save

_ROOT = Path(__file__).resolve().parent.parent
_RESULTS = _ROOT / "bench" / "results.json"
_PAGE = _ROOT / "docs" / "reference" / "benchmarks.md"


def main() -> None:
    """Run the metrics that were asked for."""
    metrics = find_metrics()
    arguments = _parser().parse_args()
    try:
        chosen = choose(metrics, arguments.only)
    except ValueError as error:
        _parser().error(str(error))
    effort = QUICK if arguments.quick else FULL
    if arguments.profile is not None:
        arguments.profile.mkdir(parents=True, exist_ok=True)
        effort = replace(effort, profile_dir=arguments.profile)
    for name, metric in chosen.items():
        print(f"{name}  {metric.title}", flush=True)
        new = _measure(name, metric, effort)
        if effort is FULL:
            _write_down(metrics, {name: new})


def choose(metrics: Mapping[str, Metric], only: str) -> Mapping[str, Metric]:
    """Return the metrics named in a comma-separated list; all of them if it is empty.

    Raises:
        ValueError: There is no such metric.
    """
    names: Sequence[str] = [name.strip().upper() for name in only.split(",") if name.strip()]
    unknown = [name for name in names if name not in metrics]
    if unknown:
        raise ValueError(f"there is no metric {', '.join(unknown)}; there are {', '.join(metrics)}")
    return {name: metrics[name] for name in names} if names else metrics


def _measure(name: str, metric: Metric, effort: Effort) -> Entry:
    commit = present_commit(_ROOT)
    measured = uvloop.run(_run(metric, effort))
    new = entry(metric, measured, commit)
    for remark in measured.remarks:
        print(f"    {remark}")
    interval = "" if new["ci95"] is None else f", ratio {new['ratio']} {new['ci95']}"
    print(f"    {name}: {new['value']:g} {new['unit']}{interval}; {_verdict(new)} ({new['target']})", flush=True)
    return new


async def _run(metric: Metric, effort: Effort) -> Measured:
    return await metric.measure(effort)


def _verdict(new: Entry) -> str:
    return "met" if new["met"] else "NOT MET"


def _write_down(metrics: Mapping[str, Metric], new: Mapping[str, Entry]) -> None:
    results = merge(load(_RESULTS), new)
    save(_RESULTS, results)
    _PAGE.parent.mkdir(parents=True, exist_ok=True)
    _PAGE.write_text(render(metrics, results), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Usher against its floors.")
    parser.add_argument("--only", nargs="?", const="", default="", help="metrics, comma-separated: B1,B2; default: all")
    parser.add_argument("--quick", action="store_true", help="a smoke test of a few seconds that writes nothing down")
    parser.add_argument("--profile", type=Path, help="directory for cProfile files of the servers; writes nothing down")
    return parser


if __name__ == "__main__":
    main()
