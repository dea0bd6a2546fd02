"""Final segments on their way from Redis into the manager's database: kept until the manager says that they are safe.

Redis may lose what it was given: it restarts, it is emptied, its stream is trimmed.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from usher.protocol.reports import MOST_MARKS, SegmentMark
from usher.protocol.segments import SpokenSegment

_MOST_KEPT = 5000
_MOST_GIVEN_UP = 1000
_MOST_RESENT = 5
_SETTLED_S = 2.0


@dataclass(frozen=True, slots=True)
class Item:
    """One segment to send.

    Attributes:
        resent: How often it was sent again.
    """

    session_uid: str
    session_start: datetime
    segment: SpokenSegment
    resent: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What it replaces older revisions by."""
        return self.session_uid, self.segment.segment_id


@dataclass(slots=True)
class _Sent:
    item: Item
    at_s: float
    asked: int = 0


class Unconfirmed:
    """Remembers what was sent, oldest first. Bounded: beyond the limit the oldest is believed to be safe.

    All times are seconds of one clock of the caller's choice.

    Attributes:
        lost: Segments that were sent again and again and never confirmed. The newest of them stay for the last words.
        forgotten: Segments that had to be believed for want of room.
    """

    def __init__(self) -> None:
        self._sent: OrderedDict[str, _Sent] = OrderedDict()
        self._given_up: deque[Item] = deque(maxlen=_MOST_GIVEN_UP)
        self.lost = 0
        self.forgotten = 0

    def __len__(self) -> int:
        """How many there is still hope for."""
        return len(self._sent)

    def __iter__(self) -> Iterator[Item]:
        """All that is not known to be safe, what was given up included."""
        yield from self._given_up
        yield from (sent.item for sent in self._sent.values())

    def note(self, items: Iterable[Item], now_s: float) -> None:
        """Remember what was just sent; partial text is not worth it."""
        for item in items:
            if item.segment.completed:
                self._sent.pop(item.segment.segment_id, None)
                self._sent[item.segment.segment_id] = _Sent(item, now_s)
        while len(self._sent) > _MOST_KEPT:
            self._sent.popitem(last=False)
            self.forgotten += 1

    def marks(self, now_s: float, *, settled: bool = True) -> list[SegmentMark]:
        """Return what to ask about: by default only what the manager had time to store."""
        latest_s = now_s - _SETTLED_S if settled else now_s
        due = (sent.item.segment for sent in self._sent.values() if sent.at_s <= latest_s)
        oldest = islice(due, MOST_MARKS)
        return [SegmentMark(segment_id=one.segment_id, revision=one.revision) for one in oldest]

    def settle(self, asked: Sequence[SegmentMark], stored: Sequence[SegmentMark], asked_s: float) -> list[Item]:
        """Take the answer to what was asked at `asked_s`, and return what has to be sent again.

        What is missing in two answers is sent again; each further time takes twice as many answers, so that a manager
        that is only slow gets it seldom.
        """
        safe = {mark.segment_id: mark.revision for mark in stored}
        again = []
        for mark in asked:
            sent = self._sent.get(mark.segment_id)
            if sent is None or sent.item.segment.revision < mark.revision:
                continue
            if safe.get(mark.segment_id, -1) >= sent.item.segment.revision:
                del self._sent[mark.segment_id]
            elif sent.item.segment.revision == mark.revision and sent.at_s <= asked_s - _SETTLED_S:
                sent.asked += 1
                again += self._give_up_or_resend(sent)
        return again

    def _give_up_or_resend(self, sent: _Sent) -> list[Item]:
        if sent.asked < 2 ** (sent.item.resent + 1):
            return []
        del self._sent[sent.item.segment.segment_id]
        if sent.item.resent >= _MOST_RESENT:
            self.lost += 1
            self._given_up.append(sent.item)
            return []
        return [replace(sent.item, resent=sent.item.resent + 1)]
