"""From the speech service's messages to segments with stable names and revisions."""

import math
from collections import OrderedDict
from dataclasses import dataclass

from usher.protocol.segments import SpokenSegment
from usher.protocol.whisper import ProtocolViolation, Segment

_TENTHS = 10
_MOST_KNOWN = 2000
_MOST_SECONDS = 30 * 24 * 3600.0
_MOST_REVISION = 2**31 - 1
_MOST_ID = 10**18
_MOST_TEXT = 20_000
_MOST_LANGUAGE = 10
_MOST_IN_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class LooseName:
    """The name of text that is not final and that nothing stands behind any more. The next text gets it.

    So what was said before a session broke and is heard again in the next one is one segment, and text that was
    withdrawn does not stay.

    Attributes:
        revision: Of the text that is known by that name.
        withdrawn: Whether the service took the text back; else it was cut off.
    """

    segment_id: str
    revision: int
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a segment.

    Attributes:
        base: What the service's own revisions are counted from.
    """

    segment_id: str
    text: str
    completed: bool
    revision: int
    base: int = 0


class SegmentReader:
    """Tells news from repetition within one session.

    Usher's own server names its segments. Of a stock server's the start is the name, in tenths of a second; text that
    is not final may begin a little elsewhere in the next message and keeps its name.

    Args:
        session_uid: Name of the session.
        loose: A name that an earlier session left.

    Attributes:
        language: The language that was detected.
        final_until_s: Up to where text is final, in seconds of the session.
        known_until_s: Up to where there is any text, in seconds of the session.
    """

    def __init__(self, session_uid: str, loose: LooseName | None = None) -> None:
        self._session_uid = session_uid
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._open: SpokenSegment | None = None
        self._loose = loose
        self.language: str | None = None
        self.final_until_s = 0.0
        self.known_until_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether there is text that is not final."""
        return self._open is not None

    @property
    def loose(self) -> LooseName | None:
        """The name that this session leaves, if it ends here."""
        if self._open is not None:
            return LooseName(self._open.segment_id, self._open.revision, withdrawn=False)
        return self._loose

    def read(self, segments: list[Segment], speaker: str | None) -> list[SpokenSegment]:
        """Return what is new in a message, said by `speaker`.

        Raises:
            ProtocolViolation: A number in the message is none, or makes no sense.
        """
        latest = segments[-_MOST_IN_MESSAGE:]
        return [news for segment in latest if (news := self._news(segment, speaker)) is not None]

    def close(self) -> SpokenSegment | None:
        """Return the last partial text as final: a stock server does not finish it at the end of the audio."""
        last, self._open = self._open, None
        if last is None:
            return None
        self.final_until_s = max(self.final_until_s, last.end_s)
        return last.model_copy(update={"completed": True, "revision": min(last.revision + 1, _MOST_REVISION)})

    def _news(self, segment: Segment, speaker: str | None) -> SpokenSegment | None:
        text, start_s, end_s = segment.text.strip()[:_MOST_TEXT], _seconds(segment.start), _seconds(segment.end)
        key = _key(segment, start_s)
        self.known_until_s = max(self.known_until_s, end_s)
        known = self._known.get(key) or self._moved(segment, start_s, end_s)
        if known is not None and (known.completed or (known.text, known.completed) == (text, segment.completed)):
            return None
        if not text:
            self._note_nothing(key, known, end_s if segment.completed else 0.0)
            return None
        known = known or self._new(key, completed=segment.completed)
        revision = _revision(segment, known)
        self._remember(key, _Known(known.segment_id, text, segment.completed, revision, known.base))
        spoken = SpokenSegment(
            segment_id=known.segment_id,
            revision=revision,
            start_s=start_s,
            end_s=max(start_s, end_s),
            text=text,
            speaker=speaker,
            language=_language(segment.language or self.language),
            completed=segment.completed,
        )
        self._note_progress(spoken)
        return spoken

    def _note_progress(self, spoken: SpokenSegment) -> None:
        if not spoken.completed:
            self._open = spoken
            return
        self.final_until_s = max(self.final_until_s, spoken.end_s)
        if self._open is not None and self._open.segment_id == spoken.segment_id:
            self._open = None

    def _note_nothing(self, key: str, known: _Known | None, final_until_s: float) -> None:
        """Take that there are no words after all."""
        self.final_until_s = max(self.final_until_s, final_until_s)
        if known is not None and self._open is not None and self._open.segment_id == known.segment_id:
            self._open = None
            self._known.pop(key, None)
            self._loose = LooseName(known.segment_id, known.revision, withdrawn=True)

    def _new(self, key: str, *, completed: bool) -> _Known:
        """Return what stands for a segment that was not heard of before; no two are open at a time."""
        loose, self._loose = self._loose if completed else self.loose, None
        if loose is None:
            return _Known(f"{self._session_uid}:{key}", "", False, -1)
        return _Known(loose.segment_id, "", False, loose.revision, base=loose.revision + 1)

    def _moved(self, segment: Segment, start_s: float, end_s: float) -> _Known | None:
        """Return what is known of the open text if an unnamed segment covers a part of the same time."""
        last = self._open
        if segment.id is not None or last is None or start_s >= last.end_s or end_s <= last.start_s:
            return None
        return _Known(last.segment_id, last.text, last.completed, last.revision)

    def _remember(self, key: str, known: _Known) -> None:
        self._known[key] = known
        self._known.move_to_end(key)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)


def _key(segment: Segment, start_s: float) -> str:
    if segment.id is None:
        return f"t{round(start_s * _TENTHS)}"
    if not 0 <= segment.id < _MOST_ID:
        raise ProtocolViolation("segment.id is not a small number")
    return str(segment.id)


def _revision(segment: Segment, known: _Known) -> int:
    if segment.revision is None:
        return min(known.revision + 1, _MOST_REVISION)
    if not 0 <= segment.revision <= _MOST_REVISION:
        raise ProtocolViolation("segment.revision is not a small number")
    return min(known.base + segment.revision, _MOST_REVISION)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not -1.0 < seconds <= _MOST_SECONDS:
        raise ProtocolViolation("segment times have to be seconds of the stream")
    return max(0.0, seconds)


def _language(language: str | None) -> str | None:
    return language if language is not None and len(language) <= _MOST_LANGUAGE else None
