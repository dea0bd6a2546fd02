"""Cursors: up to where a viewer has been told of a meeting."""

import re
from dataclasses import dataclass

_MOST_CHARACTERS = 200
_FORM = re.compile(r"1\.(\d{1,18})\.(\d{1,18})\.(-1|\d{1,18})\.(\d{1,18})\.([01])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a viewer has been told of a meeting. To viewers its text is opaque.

    Attributes:
        version: Number of the last status event.
        edition: Of the transcript; -1 for nothing of it.
        messages: How many of the chat.
        deleted: 1 if the deletion of the transcript was told.
    """

    meeting_id: int
    version: int = 0
    edition: int = -1
    messages: int = 0
    deleted: int = 0

    def __str__(self) -> str:
        return f"1.{self.meeting_id}.{self.version}.{self.edition}.{self.messages}.{self.deleted}"

    @classmethod
    def read(cls, text: str | None) -> "Cursor | None":
        """Return the cursor with that text; None if there is none."""
        found = _FORM.fullmatch(text) if text and len(text) <= _MOST_CHARACTERS else None
        if found is None:
            return None
        return cls(*map(int, found.groups()))
