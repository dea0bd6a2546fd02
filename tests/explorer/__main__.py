"""`python -m tests.explorer`: explore for a while, or tell the story of one seed."""

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.explorer import crashes
from tests.explorer.exploration import Outcome, explore
from tests.explorer.plans import Verdict

_STORIES = 3
_LAST_LINES = 120
_MINUTES = 5.0


@dataclass(slots=True)
class Tally:
    """What came of many runs."""

    runs: int = 0
    traces: set[str] = field(default_factory=set)
    interleavings: set[str] = field(default_factory=set)
    faults: Counter[str] = field(default_factory=Counter)
    weathers: Counter[str] = field(default_factory=Counter)
    crossings: int = 0
    meetings: int = 0
    simulated_s: float = 0.0
    bot_s: float = 0.0
    failed: list[int] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count a run."""
        self.runs += 1
        self.traces.add(outcome.chronicle.trace)
        self.interleavings.add(outcome.chronicle.interleaving)
        self.faults.update(outcome.chronicle.faults)
        self.weathers[outcome.weather] += 1
        self.crossings += outcome.chronicle.crossings
        self.meetings += outcome.meetings
        self.simulated_s += outcome.simulated_s
        self.bot_s += outcome.bot_s
        if outcome.complaints:
            self.failed.append(outcome.seed)

    def lines(self, wall_s: float) -> Iterator[str]:
        """Report."""
        yield f"runs                        {self.runs}"
        yield f"interleavings               {len(self.traces)} of all crossings, {len(self.interleavings)} of reports"
        yield f"boundary crossings          {self.crossings}"
        yield f"meetings                    {self.meetings}"
        yield f"simulated                   {self.simulated_s / 3600:.1f} h, {self.bot_s / 3600:.1f} bot-hours"
        yield f"simulated bot-hours         {self.bot_s / 60 / max(wall_s, 0.001):.1f} a minute"
        yield f"weather                     {_counts(self.weathers)}"
        yield f"faults                      {sum(self.faults.values())}: {_counts(self.faults)}"
        yield f"violations                  {len(self.failed)} runs: {self.failed[:20]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.explorer", description=__doc__)
    parser.add_argument("--seed", type=int, help="make the run of one seed")
    parser.add_argument("--story", action="store_true", help="with --seed or --crash: tell everything that happened")
    parser.add_argument("--meeting", type=int, help="with --story: only what concerns this meeting")
    parser.add_argument("--runs", type=int, help="make so many runs")
    parser.add_argument("--minutes", type=float, help="make runs for so long")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--crashes", action="store_true", help="put an accident at every step of one story")
    parser.add_argument("--crash", nargs=2, metavar=("N", "ACCIDENT"), help="put one accident at crossing N")
    chosen = parser.parse_args(arguments)
    if chosen.seed is not None:
        return _one(chosen.seed, told=chosen.story, meeting_id=chosen.meeting)
    if chosen.crash is not None:
        return _one_crash(int(chosen.crash[0]), chosen.crash[1], told=chosen.story)
    if chosen.crashes:
        return _all_crashes()
    return _many(chosen.first, chosen.runs, chosen.minutes)


def _one(seed: int, *, told: bool, meeting_id: int | None) -> int:
    outcome = explore(seed, told=told)
    if told:
        _say(outcome.chronicle.story(meeting_id))
    _say(f"seed {seed}: {outcome.weather}, {outcome.meetings} meetings, trace {outcome.chronicle.trace}")
    return _complain(outcome.complaints)


def _one_crash(crossing: int, verdict: str, *, told: bool) -> int:
    retold = crashes.tell(crashes.Accident(crossing, Verdict(verdict)), told=told)
    if told:
        _say(retold.chronicle.story())
    _say(f"crossing {crossing}: {verdict}: {retold.where}")
    return _complain(retold.complaints)


def _all_crashes() -> int:
    began, count, failed = time.monotonic(), 0, 0
    for retold in crashes.retell():
        count += 1
        if retold.complaints and retold.accident is not None:
            failed += 1
            crossing, verdict = retold.accident.crossing, retold.accident.verdict
            _say(f"{retold.where}: replay with --crash {crossing} '{verdict}' --story")
            _complain(retold.complaints)
    _say(f"accidents                   {count}, {failed} with violations, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


def _many(first: int, runs: int | None, minutes: float | None) -> int:
    began, tally, seed = time.monotonic(), Tally(), first
    until = began + 60.0 * (minutes if minutes is not None else _MINUTES if runs is None else math.inf)
    while (runs is None or tally.runs < runs) and time.monotonic() < until:
        outcome = explore(seed)
        tally.add(outcome)
        if outcome.complaints:
            tell(outcome, whole=len(tally.failed) <= _STORIES)
        seed += 1
    for line in tally.lines(time.monotonic() - began):
        _say(line)
    return 1 if tally.failed else 0


def tell(outcome: Outcome, *, whole: bool) -> None:
    """Print what was wrong in a run, what happened to the meeting concerned, and how to replay it."""
    _complain(outcome.complaints)
    meeting_id = concerned(outcome.complaints)
    if whole:
        story = explore(outcome.seed, told=True).chronicle.story(meeting_id).splitlines()
        _say("\n".join(["..."] * (len(story) > _LAST_LINES) + story[-_LAST_LINES:]))
    only = "" if meeting_id is None else f" --meeting {meeting_id}"
    _say(f"replay: python -m tests.explorer --seed {outcome.seed} --story{only}")


def concerned(complaints: Sequence[str]) -> int | None:
    """Return the meeting that the first complaint names."""
    for complaint in complaints:
        _, found, rest = complaint.partition(": meeting ")
        if found:
            return int(rest.partition(":")[0])
    return None


def _complain(complaints: Sequence[str]) -> int:
    for complaint in complaints:
        _say(complaint)
    return 1 if complaints else 0


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common())


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
