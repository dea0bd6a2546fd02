"""What the bot leaves behind for the manager, should it have to exit or be killed before all was heard."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from usher.bot.callbacks import Callbacks
from usher.bot.publisher import Publisher
from usher.bot.unconfirmed import Item
from usher.protocol.bot import BotConfiguration
from usher.protocol.last_words import MOST_BYTES, LastWords, seal
from usher.protocol.segments import SegmentEntry

_MOST_ENTRIES = 200
_MOST_REPORTS = 100
_MOST_IN_ENTRY = 100
_PERIOD_S = 0.5
# The seal, and every field and bracket that is not counted with the reports, the entries or the segments.
_ENVELOPE_BYTES = 1024
# The seal and the line feed after it.
_SEAL_BYTES = 65
_ENTRY_BYTES = 1024

Keep = Callable[[bytes | None], None]
"""Puts a document where the launcher looks, in the place of the one before; None if there is nothing to leave."""


class Legacy:
    """Keeps the last words up to date while the bot ends.

    Args:
        configuration: Whose words these are, and what seals them.
        callbacks: Knows which reports are unanswered.
        publisher: Knows which segments are not safe.
        keep: Where the words go.
        most_bytes: How much of them is kept there.
    """

    def __init__(
        self,
        configuration: BotConfiguration,
        callbacks: Callbacks,
        publisher: Publisher,
        keep: Keep,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._configuration = configuration
        self._callbacks = callbacks
        self._publisher = publisher
        self._keep = keep
        self._most_bytes = most_bytes
        self._kept: bytes | None = None

    async def run(self) -> None:
        """Update until cancelled: text still comes in, and word of what is safe."""
        while True:
            self.update()
            await asyncio.sleep(_PERIOD_S)

    def update(self) -> None:
        """Keep what is unsaid now."""
        document = self._document()
        if document != self._kept:
            self._keep(document)
            self._kept = document

    def _document(self) -> bytes | None:
        reports, items = self._callbacks.unanswered(), self._publisher.undelivered()
        if not reports and not items:
            return None
        return compose(self._configuration, reports, items, self._most_bytes)


def compose(
    configuration: BotConfiguration, reports: list[dict[str, Any]], items: Iterable[Item], most_bytes: int = MOST_BYTES
) -> bytes:
    """Return the sealed words, cut to what is read of them: reports come first, then final text, then partial text.

    Of reports that are too many or too long the newest stay, and then their evidence for people goes.
    """
    said = _fitting_reports(configuration.connection_id, reports[-_MOST_REPORTS:], most_bytes - _SEAL_BYTES)
    room_bytes = most_bytes - _ENVELOPE_BYTES - len(said.model_dump_json().encode())
    urgent = sorted(items, key=lambda item: not item.segment.completed)
    entries = _entries(configuration.meeting_id, _fitting(urgent, room_bytes))
    words = said.model_copy(update={"entries": list(islice(entries, _MOST_ENTRIES))})
    return seal(words, configuration.token.get_secret_value())


def _fitting_reports(connection_id: str, reports: list[dict[str, Any]], room_bytes: int) -> LastWords:
    """Return words without text that fit; the last report is the end of the visit, and stays whatever happens."""
    said = LastWords.model_validate({"connection_id": connection_id, "reports": reports}, strict=False)
    if len(said.model_dump_json().encode()) <= room_bytes or not reports:
        return said
    if len(reports) > 1:
        return _fitting_reports(connection_id, reports[1:], room_bytes)
    return LastWords.model_validate({"connection_id": connection_id, "reports": [reports[0] | {"detail": ""}]})


def _fitting(items: Iterable[Item], room_bytes: int) -> Iterator[Item]:
    """Pass on as many items as there is room for, as if each entry that is begun were a whole envelope."""
    in_entry: dict[str, int] = defaultdict(int)
    for item in items:
        begins = in_entry[item.session_uid] % _MOST_IN_ENTRY == 0
        room_bytes -= len(item.segment.model_dump_json().encode()) + 1 + begins * _ENTRY_BYTES
        if room_bytes < 0:
            return
        in_entry[item.session_uid] += 1
        yield item


def _entries(meeting_id: int, items: Iterable[Item]) -> Iterator[SegmentEntry]:
    sessions: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        sessions[item.session_uid].append(item)
    for session_uid, spoken in sessions.items():
        for begin in range(0, len(spoken), _MOST_IN_ENTRY):
            some = spoken[begin : begin + _MOST_IN_ENTRY]
            yield SegmentEntry(
                meeting_id=meeting_id,
                session_uid=session_uid,
                session_start=some[0].session_start,
                segments=[item.segment for item in some],
            )
