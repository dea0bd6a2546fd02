"""Entries of the segment stream: what a bot heard, signed with its token."""

import hmac
import re
from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

STREAM = "usher:segments"
BODY, SIGNATURE, CONNECTION = "body", "signature", "connection_id"

_MEETING = re.compile(rb'"meeting_id":\s{0,4}(\d{1,18})\b')
_MOST_SECONDS = 30 * 24 * 3600.0


class SpokenSegment(BaseModel):
    """One segment as the bot knows it; times in seconds from the start of its session."""

    model_config = ConfigDict(frozen=True)

    segment_id: str = Field(min_length=1, max_length=120)
    revision: int = Field(ge=0, le=2**31 - 1)
    start_s: float = Field(ge=0, le=_MOST_SECONDS)
    end_s: float = Field(ge=0, le=_MOST_SECONDS)
    text: str = Field(min_length=1, max_length=20_000)
    speaker: str | None = Field(default=None, max_length=255)
    language: str | None = Field(default=None, max_length=10)
    completed: bool


class SegmentEntry(BaseModel):
    """What one entry of the stream says: news of one session."""

    model_config = ConfigDict(frozen=True)

    meeting_id: int
    session_uid: str = Field(min_length=1, max_length=100)
    session_start: datetime = Field(description="When the session's audio began, with time zone.")
    segments: list[SpokenSegment] = Field(max_length=500)


def sign(entry: SegmentEntry, connection_id: str, token: str) -> dict[str, str]:
    """Return the fields of the stream entry for `entry`."""
    body = entry.model_dump_json()
    return {CONNECTION: connection_id, BODY: body, SIGNATURE: _signature(body.encode(), token)}


def is_signed(fields: Mapping[str, bytes], token: str) -> bool:
    """Say whether an entry's body was signed with `token`. Takes the same time for every wrong signature."""
    expected = _signature(fields.get(BODY, b""), token).encode()
    return hmac.compare_digest(fields.get(SIGNATURE, b""), expected)


def meeting_named_in(fields: Mapping[str, bytes]) -> int | None:
    """Return which meeting an entry says it is of, also if its body is cut off or of a form that nobody reads.

    Nobody has checked it: good for nothing but throwing the entry away. What was said cannot be taken for it, because
    quotation marks within a text are written with a backslash.
    """
    found = _MEETING.search(fields.get(BODY, b""))
    return None if found is None else int(found[1])


def _signature(body: bytes, token: str) -> str:
    return hmac.digest(token.encode(), body, "sha256").hex()
