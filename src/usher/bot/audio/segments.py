"""From the speech service's messages to segments with stable names and revisions."""

from dataclasses import dataclass

from usher.protocol.segments import SpokenSegment
from usher.protocol.whisper import Segment

_TENTHS = 10


@dataclass(frozen=True, slots=True)
class _Known:
    text: str
    completed: bool
    revision: int


class SegmentReader:
    """Tells news from repetition within one session.

    Usher's own server names its segments; of a stock server's the start is the name, in tenths of a second.
    """

    def __init__(self, session_uid: str) -> None:
        self._session_uid = session_uid
        self._known: dict[str, _Known] = {}
        self._open: SpokenSegment | None = None
        self.language: str | None = None
        self.final_until_s = 0.0

    def read(self, segments: list[Segment], speaker: str | None) -> list[SpokenSegment]:
        """Return what is new in a message, said by `speaker`."""
        return [news for segment in segments if (news := self._news(segment, speaker)) is not None]

    def close(self) -> SpokenSegment | None:
        """Return the last partial text as final: a stock server does not finish it at the end of the audio."""
        if self._open is None:
            return None
        return self._open.model_copy(update={"completed": True, "revision": self._open.revision + 1})

    def _news(self, segment: Segment, speaker: str | None) -> SpokenSegment | None:
        text, start_s, end_s = segment.text.strip(), float(segment.start), float(segment.end)
        name = f"{self._session_uid}:{segment.id if segment.id is not None else f't{round(start_s * _TENTHS)}'}"
        known = self._known.get(name)
        if not text or (known is not None and (known.text, known.completed) == (text, segment.completed)):
            return None
        if known is not None and known.completed:
            return None
        revision = segment.revision if segment.revision is not None else (known.revision + 1 if known else 0)
        self._known[name] = _Known(text, segment.completed, revision)
        spoken = SpokenSegment(
            segment_id=name,
            revision=revision,
            start_s=start_s,
            end_s=max(start_s, end_s),
            text=text,
            speaker=speaker,
            language=segment.language or self.language,
            completed=segment.completed,
        )
        if segment.completed:
            self.final_until_s = max(self.final_until_s, end_s)
        self._open = None if segment.completed else spoken
        return spoken
