"""Which check caught which bug: as lines while they are tried, and as a page."""

from collections import Counter
from collections.abc import Sequence

from tools.generate.markdown import page, table
from tools.mutants.trial import Verdict

WANTED = 24 / 25
"""The share of planted bugs that has to be noticed."""

_HEAD = "<!-- Generated from tools/mutants/table.py by `python -m tools.mutants`. Change it there. -->"
_ABOUT = """# Planted bugs

Each line below breaks one mechanism of Usher on purpose, by a change of one line, in a copy of the repository. The
tests are run from the cheapest to the dearest until one fails that passes without the change. A bug that no test
notices is a hole in the tests."""


def share_caught(verdicts: Sequence[Verdict]) -> float:
    """Return how many of the bugs were noticed, from 0 to 1."""
    return sum(verdict.caught_by is not None for verdict in verdicts) / len(verdicts)


def line(verdict: Verdict) -> str:
    """Return one line for the terminal."""
    outcome = f"{verdict.stage}: {verdict.caught_by}" if verdict.caught_by else "SURVIVED"
    notes = "".join(f"\n    {note}" for note in verdict.notes)
    return f"{verdict.mutant.name:<58} {verdict.seconds:6.0f} s  {outcome}{notes}"


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return the counts in one sentence."""
    caught = sum(verdict.caught_by is not None for verdict in verdicts)
    return (
        f"{caught} of {len(verdicts)} planted bugs were noticed ({share_caught(verdicts):.0%}; wanted: {WANTED:.0%})."
    )


def mutants_page(verdicts: Sequence[Verdict]) -> str:
    """Return `docs/reference/mutants.md`."""
    stages = Counter(verdict.stage for verdict in verdicts if verdict.caught_by)
    by_stage = ", ".join(f"{count} by {stage}" for stage, count in stages.most_common())
    return page(
        _HEAD,
        _ABOUT,
        f"**{summary(verdicts)}** {by_stage.capitalize()}.",
        table(("What is broken", "Where", "The line becomes", "Noticed by"), [_row(verdict) for verdict in verdicts]),
    )


def _row(verdict: Verdict) -> tuple[str, str, str, str]:
    mutant = verdict.mutant
    change = f"`{mutant.old.strip()}` → `{mutant.new.strip() or ' '}`"
    noticed = f"`{verdict.caught_by.removeprefix('tests/')}`" if verdict.caught_by else "**nothing**"
    return mutant.name, f"`{mutant.path}`", change, noticed
