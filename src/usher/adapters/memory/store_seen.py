"""What bots saw of meetings' pages, in memory: evidence and chat."""

from collections.abc import Sequence
from datetime import timedelta

from usher.adapters.memory.store_tables import Part
from usher.ports import MOST_EXHIBITS, ChatMessage, Exhibit, ExhibitContents
from usher.protocol.chat import MOST_LINES, SeenLine
from usher.protocol.evidence import Evidence


class MemoryExhibits(Part):
    """See `usher.ports.Exhibits`."""

    async def exhibit(self, connection_id: str, evidence: Evidence) -> bool:
        """Keep a piece of evidence, and forget the oldest."""
        meeting = self._tables.current(connection_id)
        if meeting is None:
            return False
        kept = self._tables.exhibits.setdefault(meeting.meeting_id, [])
        tree = _plain(evidence.tree)
        exhibit = Exhibit(
            number=kept[-1][0].number + 1 if kept else 1,
            attempt=meeting.attempt,
            step=_plain(evidence.step),
            reason=None if evidence.reason is None else _plain(evidence.reason),
            taken_at=self._tables.now(),
            title=_plain(evidence.title),
            address=_plain(evidence.address),
            screenshot_bytes=len(evidence.screenshot or b""),
            tree_characters=len(tree),
        )
        kept.append((exhibit, ExhibitContents(evidence.screenshot, tree)))
        del kept[:-MOST_EXHIBITS]
        return True

    async def exhibits(self, meeting_id: int) -> Sequence[Exhibit]:
        """List the evidence of a meeting, oldest first."""
        return [exhibit for exhibit, _ in self._tables.exhibits.get(meeting_id, ())]

    async def exhibit_contents(self, meeting_id: int, number: int) -> ExhibitContents | None:
        """Return what a piece of evidence shows."""
        kept = self._tables.exhibits.get(meeting_id, ())
        return next((contents for exhibit, contents in kept if exhibit.number == number), None)


class MemoryChats(Part):
    """See `usher.ports.Chats`."""

    async def save_chat(self, connection_id: str, lines: Sequence[SeenLine]) -> Sequence[ChatMessage] | None:
        """Keep those lines that are new."""
        meeting = self._tables.current(connection_id)
        if meeting is None:
            return None
        kept = self._tables.chats.setdefault(meeting.meeting_id, [])
        before = len(kept)
        for line in lines:
            at = self._tables.now() - timedelta(seconds=line.ago_s)
            message = ChatMessage(
                meeting.attempt,
                _plain(line.line_id),
                _plain(line.sender),
                _plain(line.text),
                line.is_self,
                at,
                len(kept) + 1,
            )
            if len(kept) < MOST_LINES and not any(_is_same(message, one) for one in kept):
                kept.append(message)
        return kept[before:]

    async def chat(self, meeting_id: int) -> Sequence[ChatMessage]:
        """Return a meeting's chat, oldest first."""
        return list(self._tables.chats.get(meeting_id, ()))


def _is_same(new: ChatMessage, old: ChatMessage) -> bool:
    """Say whether two lines are one: told twice by one attempt, or shown by the page to two."""
    alike = (new.sender, new.text) == (old.sender, old.text)
    return new.line_id == old.line_id and (new.attempt == old.attempt or alike)


def _plain(text: str) -> str:
    """Return the text without NUL characters, which the database does not store either."""
    return text.replace("\x00", "")
