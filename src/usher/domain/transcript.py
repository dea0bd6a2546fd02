"""Segments of a transcript: identity, revisions, order, speakers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of a transcript.

    Attributes:
        segment_id: Stable name within the meeting: the same from the first partial to the final text.
        revision: Grows with each change of the same segment; the newest wins.
        session_uid: The session (unbroken audio stream) it was heard in.
        start_s: Seconds from the start of the session.
        end_s: Seconds from the start of the session, at least `start_s`.
        absolute_start: `start_s` as a moment, UTC.
        absolute_end: `end_s` as a moment, UTC.
        text: What was said; never empty.
        speaker: Name as the meeting shows it, or None where nobody knows.
        language: ISO 639-1 code, or None while it is not known.
        completed: Whether the text is final.
    """

    segment_id: str
    revision: int
    session_uid: str
    start_s: float
    end_s: float
    absolute_start: datetime
    absolute_end: datetime
    text: str
    speaker: str | None
    language: str | None
    completed: bool


def supersedes(new: Segment, old: Segment) -> bool:
    """Say whether `new` replaces `old`: a final text is never taken back by a partial one."""
    return (new.completed, new.revision) > (old.completed, old.revision)


def newest(segments: Iterable[Segment]) -> list[Segment]:
    """Keep the newest revision of each segment, in the order in which they were said. Idempotent."""
    by_id: dict[str, Segment] = {}
    for segment in segments:
        known = by_id.get(segment.segment_id)
        if known is None or supersedes(segment, known):
            by_id[segment.segment_id] = segment
    return sorted(by_id.values(), key=lambda s: (s.absolute_start, s.segment_id))


@dataclass(frozen=True, slots=True)
class Totals:
    """What a finished transcript amounts to.

    Attributes:
        segments: Number of final segments.
        words: Number of words in them.
        speakers: Names in order of first word.
        languages: Language codes in order of first use.
        speech_s: Seconds covered by final segments.
    """

    segments: int
    words: int
    speakers: tuple[str, ...]
    languages: tuple[str, ...]
    speech_s: float


def total(segments: Iterable[Segment]) -> Totals:
    """Add up the final segments of a meeting."""
    final = [segment for segment in newest(segments) if segment.completed]
    return Totals(
        segments=len(final),
        words=sum(len(segment.text.split()) for segment in final),
        speakers=tuple(dict.fromkeys(s.speaker for s in final if s.speaker)),
        languages=tuple(dict.fromkeys(s.language for s in final if s.language)),
        speech_s=round(sum(segment.end_s - segment.start_s for segment in final), 3),
    )
