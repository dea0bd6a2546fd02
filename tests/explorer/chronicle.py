"""What happened in a run: counted and hashed always, told line by line when somebody wants the story."""

import zlib
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened; `meeting_id` is None for what concerns all."""

    at_s: float
    actor: str
    what: str
    meeting_id: int | None
    fault: bool


class Chronicle:
    """Takes down what happens.

    Args:
        told: Whether lines are kept.

    Attributes:
        faults: How often each kind of fault was injected.
        bugs: What should never be seen, whatever fails: errors that no code expects.
        crossings: How many boundary crossings there were.
    """

    def __init__(self, *, told: bool = False) -> None:
        self.told = told
        self.lines: list[Line] = []
        self.faults: Counter[str] = Counter()
        self.bugs: list[str] = []
        self.crossings = 0
        self._trace = 0
        self._reports = 0

    def crossed(self, actor: str, name: str, verdict: str) -> None:
        """Note a boundary crossing and what the plan made of it."""
        self.crossings += 1
        self._trace = zlib.crc32(f"{actor} {name} {verdict}".encode(), self._trace)

    def reported(self, what: str) -> None:
        """Note that a bot's word arrived, or that a change was written: the order of these is the interleaving."""
        self._reports = zlib.crc32(what.encode(), self._reports)

    def note(self, at_s: float, actor: str, what: str, meeting_id: int | None = None) -> None:
        """Tell something."""
        if self.told:
            self.lines.append(Line(at_s, actor, what, meeting_id, fault=False))

    def fault(self, at_s: float, kind: str, actor: str, what: str, meeting_id: int | None = None) -> None:
        """Tell and count a fault that was injected."""
        self.faults[kind] += 1
        if self.told:
            self.lines.append(Line(at_s, actor, what, meeting_id, fault=True))

    @property
    def trace(self) -> str:
        """What tells this run from others: every crossing, in order."""
        return f"{self._trace:08x}"

    @property
    def interleaving(self) -> str:
        """What tells the order of reports and changes from others."""
        return f"{self._reports:08x}"

    def story(self, meeting_id: int | None = None) -> str:
        """Return the lines that concern a meeting, or all."""
        chosen = [line for line in self.lines if meeting_id is None or line.meeting_id in {None, meeting_id}]
        return "\n".join(
            f"{line.at_s:10.3f}  {line.actor:<14} {'!! ' if line.fault else '   '}{line.what}" for line in chosen
        )
