"""What simulated bots have lived through, by their own word: it is held against the manager's database."""

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self, TypedDict


class Place(StrEnum):
    """Where a bot is, as far as it has said so to the manager."""

    LAUNCHED = "launched"
    JOINING = "joining"
    LOBBY = "lobby"
    MEETING = "meeting"
    OVER = "over"


class Page(TypedDict):
    """A diary as it goes from the fleet's process to the benchmark's.

    `executed` and `acknowledged` are pairs of a command's number and when, in seconds of the machine's monotonic
    clock; `launched_s` is seconds since the epoch.
    """

    workload: str
    meeting_id: int
    connection_id: str
    room: str
    place: str
    launched_s: float
    spoken: int
    unsafe: int
    executed: list[tuple[int, float]]
    acknowledged: list[tuple[int, float]]


@dataclass(slots=True)
class Diary:
    """One bot's.

    Attributes:
        spoken: Sentences that it has heard and handed to its publisher, numbered from 1.
        unsafe: Those of them that it does not know to be stored.
    """

    workload: str
    meeting_id: int
    connection_id: str
    room: str
    place: Place = Place.LAUNCHED
    launched_s: float = field(default_factory=time.time)
    spoken: int = 0
    unsafe: int = 0
    executed: list[tuple[int, float]] = field(default_factory=list)
    acknowledged: list[tuple[int, float]] = field(default_factory=list)

    def note_executed(self, seq: int) -> None:
        """Note that a command was carried out now."""
        self.executed.append((seq, time.monotonic()))

    def note_acknowledged(self, seq: int) -> None:
        """Note that the manager has taken word of a command now."""
        self.acknowledged.append((seq, time.monotonic()))

    def executed_counts(self) -> tuple[int, int]:
        """Return how many commands were carried out, and how many different ones."""
        return len(self.executed), len({seq for seq, _ in self.executed})

    def page(self) -> Page:
        """Return it as JSON-compatible values."""
        return Page(
            workload=self.workload,
            meeting_id=self.meeting_id,
            connection_id=self.connection_id,
            room=self.room,
            place=self.place.value,
            launched_s=self.launched_s,
            spoken=self.spoken,
            unsafe=self.unsafe,
            executed=self.executed,
            acknowledged=self.acknowledged,
        )


@dataclass(slots=True)
class Diaries:
    """Those of a whole fleet.

    Attributes:
        written: By workload, those of bots that are over included.
        doubled: Workloads that began while another one was in the same room.
    """

    written: dict[str, Diary] = field(default_factory=dict)
    doubled: list[str] = field(default_factory=list)
    _present: dict[str, str] = field(default_factory=dict)

    def begin(self, diary: Diary) -> Diary:
        """Begin a bot's diary, and note whether it is alone in its room."""
        if diary.room in self._present:
            self.doubled.append(diary.workload)
        self._present[diary.room] = diary.workload
        self.written[diary.workload] = diary
        return diary

    def end(self, diary: Diary) -> None:
        """Note that a bot is over."""
        diary.place = Place.OVER
        if self._present.get(diary.room) == diary.workload:
            del self._present[diary.room]

    def forget(self) -> Self:
        """Forget those that are over: a long run would fill the memory."""
        self.written = {name: one for name, one in self.written.items() if one.place is not Place.OVER}
        return self
