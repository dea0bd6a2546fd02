"""The diaries of scripted bots, read back."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Diary:
    """What one attempt's bot noted, in order."""

    meeting_id: int
    attempt: int
    connection_id: str
    entries: Sequence[dict[str, Any]]

    def lines(self, event: str) -> Iterator[dict[str, Any]]:
        """Return the entries of one kind."""
        return (entry for entry in self.entries if entry["event"] == event)


def read_diaries(directory: Path) -> list[Diary]:
    """Read every diary in a directory, those of first attempts first."""
    found = [_read(path) for path in directory.glob("*.jsonl")]
    return sorted((one for one in found if one is not None), key=lambda one: (one.attempt, one.meeting_id))


def _read(path: Path) -> Diary | None:
    entries = []
    for line in path.read_text().splitlines():
        with suppress(json.JSONDecodeError):  # a bot that was killed may leave half a line
            entries.append(json.loads(line))
    if not entries:
        return None
    meeting_id, attempt = map(int, path.stem.split("-"))
    return Diary(meeting_id, attempt, entries[0]["connection_id"], entries)
